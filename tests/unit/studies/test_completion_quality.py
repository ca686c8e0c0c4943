import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.completion.network import STCnet
from torchreid_occ.studies.completion_quality import (
    FILLERS,
    OccludedTracklets,
    by_generator,
    measure_quality,
)

SIZE = (24, 12)


@pytest.fixture
def tracklets(tmp_path):
    """A still textured scene of five frames; a black bar hides the middle third of frames 1, 2."""
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 220, (24, 12, 3), dtype=np.uint8)
    paths = {"rendered": [], "clean": []}
    for kind, names in paths.items():
        for number in range(5):
            pixels = scene.copy()
            if kind == "rendered" and number in (1, 2):
                pixels[8:16] = 0
            path = tmp_path / f"{kind}_{number}.png"
            Image.fromarray(pixels).save(path)
            names.append(str(path))
    flags = np.zeros((5, 3), bool)
    flags[1:3, 1] = True
    items = [[(tuple(names), 0, 0, 0)] * 2 for names in paths.values()]
    return OccludedTracklets(*items, [flags, flags & False], hidden_middle, SIZE)


def hidden_middle(_path):
    """A person two columns wide, at twice the size; its middle third is covered."""
    covered = np.zeros((48, 24), bool)
    covered[16:32, 10:14] = True
    return covered


def test_only_occluded_tracklets_are_measured(tracklets):
    assert len(tracklets) == 1
    tracklet = tracklets[0]
    assert tracklet.occluded.tolist() == [1, 2]
    assert tracklet.previous.tolist() == [0, 0]
    assert tracklet.following.tolist() == [3, 3]
    assert tracklet.nearest.tolist() == [0, 3]
    assert tracklet.mask.shape == (2, 1, *SIZE)


def test_fillers_change_occluded_thirds_only(tracklets):
    tracklet = tracklets[0]
    fillers = {**FILLERS, "net": by_generator(STCnet(width=4), "temporal")}
    frames = tracklet.frames[tracklet.occluded]
    for name, fill in fillers.items():
        completed = fill(tracklet)
        assert torch.equal(completed * (1 - tracklet.mask), frames * (1 - tracklet.mask))
        assert torch.equal(completed, frames) == (name == "as rendered")


def test_better_completion_gives_better_numbers(tracklets):
    found = measure_quality(tracklets, FILLERS, lambda frames: frames.mean((0, 2)).flatten(), 0)
    assert found["nearest unoccluded frame"]["psnr"] == 60  # the scene stands still
    assert found["nearest unoccluded frame"]["ssim"] == pytest.approx(1)
    assert found["nearest unoccluded frame"]["distance"] == pytest.approx(0, abs=1e-6)
    order = ["nearest unoccluded frame", "mean colour", "as rendered"]
    for quantity, sign in (("psnr", -1), ("ssim", -1), ("hidden_psnr", -1), ("distance", 1)):
        values = [sign * found[name][quantity] for name in order]
        assert values == sorted(values)


def test_psnr_is_measured_in_the_third(tracklets):
    found = measure_quality(tracklets, {"as rendered": FILLERS["as rendered"]}, workers=0)
    truth = tracklets[0].clean[0, :, 8:16]
    error = ((truth + 1) * 127.5).square().mean().item()
    names = {f"{place}{name}" for place in ("", "hidden_", "alone_") for name in ("psnr", "ssim")}
    assert found["as rendered"].keys() == names
    assert found["as rendered"]["alone_psnr"] == found["as rendered"]["psnr"]
    assert found["as rendered"]["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)
    error = ((truth[:, :, 5:7] + 1) * 127.5).square().mean().item()
    hidden = found["as rendered"]["hidden_psnr"]
    assert hidden == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)


def test_a_frame_with_two_thirds_has_none_alone(tracklets):
    two = tracklets[0]
    two.mask[0, :, :8] = 1
    found = measure_quality([two], {"as rendered": FILLERS["as rendered"]}, workers=0)
    assert (
        found["as rendered"]["alone_psnr"] < found["as rendered"]["psnr"]
    )  # the first third is right
    two.mask[1, :, :8] = 1
    found = measure_quality([two], {"as rendered": FILLERS["as rendered"]}, workers=0)
    assert found["as rendered"].keys() & {"alone_psnr", "alone_ssim"} == set()


def test_the_mean_colour_of_a_frame_without_rest_is_grey(tracklets):
    tracklet = tracklets[0]
    everything = tracklet._replace(mask=torch.ones_like(tracklet.mask))
    assert FILLERS["mean colour"](everything).abs().max() == 0
