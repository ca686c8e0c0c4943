"""The picture of a re-ID network before and after completion."""

import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.cli import main
from torchreid_occ.completion.network import STCnet
from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import save_checkpoint
from torchreid_occ.visualization import pictures
from torchreid_occ.visualization.pictures import draw_completion, draw_pictures

REID = [
    *("model.name", "vrstc", "model.options.backbone", "resnet18_x0_5"),
    *("data.height", "48", "data.width", "24"),
]
STCNET = [
    *("task", "train_completion", "completion.generator.width", "4"),
    *("completion.height", "32", "completion.width", "16"),
]


@pytest.fixture
def checkpoints(tmp_path):
    """An untrained re-ID network and an untrained STCnet."""
    torch.manual_seed(0)
    model = build_model("vrstc", 3, height=48, width=24, backbone="resnet18_x0_5")
    reid = {
        "config": plain(load_config(None, REID)),
        "num_classes": 3,
        "state_dict": model.state_dict(),
    }
    network = {"generator": {"state_dict": STCnet(width=4).state_dict()}}
    save_checkpoint(reid, tmp_path / "reid")
    save_checkpoint(
        {"config": plain(load_config(None, STCNET)), "models": network}, tmp_path / "stcnet"
    )
    return tmp_path / "reid", tmp_path / "stcnet"


@pytest.fixture
def frames(tmp_path):
    """Six frames, of which the third and fourth are covered at the bottom."""
    folder = tmp_path / "frames"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 24, 3), dtype=np.uint8)
    paths = []
    for number in range(6):
        shown = pixels.copy()
        shown[32:] = 255 if number in (2, 3) else shown[32:]
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(shown).save(paths[-1])
    return paths


def test_frames_and_responses_before_and_after_completion(
    checkpoints, frames, tmp_path, monkeypatch
):
    scores = np.ones((6, 3))
    scores[2:4, 2] = 0.5
    monkeypatch.setattr(pictures, "score_by_thirds", lambda *_, **__: [scores])
    drawn = {}
    draw = pictures.draw_activations
    monkeypatch.setattr(
        pictures, "draw_activations", lambda versions: draw(drawn.update(versions) or versions)
    )
    path = draw_completion(*checkpoints, frames, tmp_path / "out")
    assert path == tmp_path / "out/completion.png"
    assert Image.open(path).width > 100
    (original, before), (completed, after) = drawn["original"], drawn["completed"]
    assert (len(original), before.shape) == (2, after.shape)
    for old, new in zip(original, completed, strict=True):
        np.testing.assert_array_equal(old[:32], new[:32])
        assert not np.array_equal(old[32:], new[32:])
    assert not torch.equal(before, after)
    draw_completion(*checkpoints, frames, tmp_path / "out", num_frames=1)
    assert len(drawn["original"][0]) == 1


def test_a_tracklet_without_low_scores_is_refused(checkpoints, frames, tmp_path):
    with pytest.raises(ValueError, match=r"scores below 0 .* so that nothing is completed"):
        draw_completion(*checkpoints, frames, tmp_path, tau=0.0)
    with pytest.raises(ValueError, match="no frames to draw"):
        draw_completion(*checkpoints, [], tmp_path)


def test_the_command_draws_a_folder(checkpoints, frames, tmp_path, capsys):
    reid, stcnet = map(str, checkpoints)
    folder, out = str(tmp_path / "frames"), str(tmp_path / "pictures")
    main(["draw", reid, "--tracklet", folder, "--out", out])
    assert capsys.readouterr().out.split() == [f"{out}/activation.png"]
    completing = ["--completion", stcnet, "--tau", "1.1"]
    main(["draw", reid, "--tracklet", folder, "--out", out, *completing])
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}/completion.png"
    assert len(frames) == 6


def test_the_responses_of_a_network_are_one_of_its_pictures(checkpoints, frames, tmp_path):
    (path,) = draw_pictures(checkpoints[0], frames, tmp_path)
    assert path.name == "activation.png"
