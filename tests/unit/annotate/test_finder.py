import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from torchreid_occ.annotate import PersonFinder

LEFT, RIGHT = [0.0, 0.0, 30.0, 100.0], [20.0, 0.0, 50.0, 100.0]


class FixedResult(nn.Module):
    """A detector that says the same of every image, and keeps the images."""

    def __init__(self, boxes, **more):
        super().__init__()
        self.answer = {
            "boxes": torch.tensor(boxes).reshape(-1, 4),
            "scores": torch.full((len(boxes),), 0.9),
            "labels": torch.ones(len(boxes), dtype=torch.long),
            **more,
        }

    def forward(self, images):
        self.images = images
        return [self.answer for _ in images]


def keypoints(boxes, scores=5.0):
    points = torch.ones(len(boxes), 17, 3)
    points[:, :, 0] = torch.tensor(boxes).reshape(-1, 4)[:, :1] + 15
    points[:, 5:7, 1], points[:, 11:13, 1], points[:, 13:15, 1] = 20, 50, 75
    return FixedResult(
        boxes, keypoints=points, keypoints_scores=torch.full((len(boxes), 17), scores)
    )


def masks(boxes, value=0.8):
    maps = torch.zeros(len(boxes), 1, 100, 50)
    for number, (left, _, right, _) in enumerate(boxes):
        maps[number, 0, :, int(left) : int(right)] = value
    return FixedResult(boxes, masks=maps)


def find(*detectors, frames=1):
    frame = Image.new("RGB", (50, 100), (255, 0, 51))
    return PersonFinder(*detectors)([frame] * frames)


def test_lines_and_foreground_of_one_person():
    detectors = keypoints([RIGHT]), masks([LEFT, RIGHT])
    one, two = find(*detectors, frames=2)
    for found in (one, two):
        assert found.score == pytest.approx(0.9)
        np.testing.assert_allclose(found.lines, [0.2, 0.5, 0.75, 0.7])
        assert found.foreground.dtype == np.uint8
        # The mask of the one on the right, although the other is as likely by itself.
        assert (found.foreground[:, 20:] == 255).all()
        assert (found.foreground[:, :20] == 0).all()
    for detector in detectors:
        assert detector.images[0].shape == (3, 100, 50)
        colour = detector.images[0][:, 0, 0].cpu()
        torch.testing.assert_close(colour, torch.tensor([1.0, 0.0, 0.2]))


def test_a_mask_of_another_person_is_dropped():
    (found,) = find(keypoints([[0.0, 0.0, 20.0, 100.0]]), masks([RIGHT]))
    assert found.foreground is None
    assert not np.isnan(found.lines).any()


def test_a_mask_without_key_points_is_kept():
    (found,) = find(keypoints([]), masks([RIGHT]))
    assert found.score is None
    assert np.isnan(found.lines).all()
    assert (found.foreground > 0).mean() == pytest.approx(0.6)


def test_no_person():
    (found,) = find(keypoints([]), masks([]))
    assert (found.score, found.foreground) == (None, None)
    assert np.isnan(found.lines).all()
    # A mask that is empty says nothing, either.
    assert find(keypoints([LEFT]), masks([LEFT], 0.4))[0].foreground is None


def test_low_peaks_are_not_visible():
    (found,) = find(keypoints([RIGHT], 1.9), masks([RIGHT]))
    assert found.score == pytest.approx(0.9)
    assert np.isnan(found.lines).all()
    assert not np.isnan(find(keypoints([RIGHT], 2.0), masks([RIGHT]))[0].lines).any()
