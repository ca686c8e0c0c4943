import json
import math
from functools import partial

import pytest
import torch
from commands import run_command
from support import REPOSITORY

from torchreid_occ.cli import main
from torchreid_occ.completion.network import STCnet
from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.studies.completion_quality import FILLERS

OVERRIDES = [
    "model.options.backbone", "resnet18_x0_5", "data.sources", "['occwalk_tiny']",
    "data.height", "64", "data.width", "32",
]  # fmt: skip


measure = partial(run_command, "measure-completion")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Checkpoints of untrained networks: a guider, and completion with and without time."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    config = plain(load_config(REPOSITORY / "configs/baseline_resnet50.yaml", OVERRIDES))
    guider = build_model("baseline", 16, pretrained=False, backbone="resnet18_x0_5")
    state = {"config": config, "num_classes": 16, "state_dict": guider.state_dict()}
    torch.save(state, folder / "guider.pth")
    kinds = {"seed_1/both": "temporal", "seed_2/both": "temporal", "seed_1/alone": "spatial"}
    for name, kind in kinds.items():
        options = {"width": 4, "kind": kind}
        own = {**config["completion"], "generator": options, "height": 32, "width": 16}
        models = {"generator": {"state_dict": STCnet(**options).state_dict()}}
        (folder / name / "model").mkdir(parents=True)
        trained = {**config, "task": "train_completion", "completion": own}
        torch.save({"config": trained, "models": models}, folder / name / "model" / "last.pth")
    return folder


def test_a_row_for_each_generator_and_a_picture(runs, occwalk_root, tmp_path):
    names = ("seed_1/both", "seed_2/both", "seed_1/alone")
    done = measure(
        *(runs / name / "model" / "last.pth" for name in names),
        "--extractor", runs / "guider.pth", "--root", occwalk_root, "--tracklets", 4,
        "--json", tmp_path / "numbers.json", "--pictures", tmp_path / "frames.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert [*numbers] == [*FILLERS, "both spatial", "both temporal", "alone spatial"]
    for name in (*FILLERS, "alone spatial"):
        (row,) = numbers[name]
        line = f"| {name} | {row['psnr']:.2f} | {row['ssim']:.3f} | {row['hidden_psnr']:.2f} |"
        assert line in done.stdout
        alone = f"{row.get('alone_psnr', math.nan):.2f}"
        rest = f"| {row['hidden_ssim']:.3f} | {alone} | {row['distance']:.4f} |"
        assert rest in done.stdout
    first, second = (row["psnr"] for row in numbers["both temporal"])
    assert first != second
    mean, spread = (first + second) / 2, abs(first - second) / 2**0.5
    assert f"| both temporal | {mean:.2f} ± {spread:.2f} |" in done.stdout
    assert (tmp_path / "frames.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_ends_in_one_line(runs):
    guider = str(runs / "guider.pth")
    with pytest.raises(SystemExit, match=r"^error: .* holds no completion network"):
        main(["measure-completion", guider, "--extractor", guider, "--root", str(runs)])
