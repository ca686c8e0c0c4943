import math

import pytest
import torch

from torchreid_occ.completion.network import STCnet
from torchreid_occ.config import load_config, plain
from torchreid_occ.studies.completion_quality import FILLERS, OccludedTracklet
from torchreid_occ.studies.completion_table import CompletionStudy, measure_completion
from torchreid_occ.utils.checkpoint import save_checkpoint


def tracklet():
    """Three frames, of which the second has an occluded middle third."""
    frames = torch.zeros(3, 3, 12, 6)
    mask = torch.zeros(1, 1, 12, 6)
    mask[:, :, 4:8] = 1
    number = torch.tensor
    return OccludedTracklet(
        frames, frames, number([1]), mask, mask, number([0]), number([2]), number([0])
    )


def test_seeds_are_a_row_with_mean_and_spread():
    quantities = {"psnr": 20.0, "ssim": 0.5, "hidden_psnr": 18.0, "hidden_ssim": 0.25}
    rows = [
        {**quantities, "alone_psnr": 21.0, "distance": 0.1},
        {**quantities, "psnr": 22.0, "distance": 0.3},
    ]
    study = CompletionStudy([tracklet()], FILLERS, {"both": rows, "one": rows[:1]})
    titles, _, both, one = study.table().splitlines()
    assert titles.startswith("| occluded thirds | PSNR (dB) | SSIM | hidden PSNR (dB) |")
    cells = [cell.strip() for cell in both.split("|")[1:-1]]
    assert cells[:3] == ["both", f"21.00 ± {math.sqrt(2):.2f}", "0.500 ± 0.000"]
    assert cells[-2:] == ["nan", f"0.2000 ± {math.sqrt(0.02):.4f}"]
    assert one == "| one | 20.00 | 0.500 | 18.00 | 0.250 | 21.00 | 0.1000 |"


def test_a_picture_has_a_column_for_each_filler():
    figure = CompletionStudy([tracklet()] * 3, FILLERS, {}).draw(rows=2)
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes[:5]]
    assert titles == ["mask", *FILLERS, "clean"]
    assert len(figure.axes) == 2 * 5


def test_networks_of_different_sizes_are_refused(tmp_path):
    config = plain(load_config(None))
    paths = []
    for height in (32, 64):
        own = {**config["completion"], "generator": {"width": 4}, "height": height, "width": 16}
        path = tmp_path / f"run_{height}" / "model" / "last.pth"
        models = {"generator": {"state_dict": STCnet(width=4).state_dict()}}
        trained = {**config, "task": "train_completion", "completion": own}
        save_checkpoint({"config": trained, "models": models}, path)
        paths.append(path)
    with pytest.raises(ValueError, match=r"\(64, 16\), bilinear, the others of \(32, 16\), bilin"):
        measure_completion(paths, tmp_path / "extractor.pth")
