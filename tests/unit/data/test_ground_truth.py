import numpy as np
import pytest

from torchreid_occ.data.ground_truth import (
    GroundTruth,
    ground_truth_of,
    occlusion_labels,
)
from torchreid_occ.data.truth_by_name import load_ground_truth


class Shares(GroundTruth):
    """Hidden shares by path."""

    def __init__(self, *tracklets):
        self.shares = {
            f"{index}/{frame}": share
            for index, shares in enumerate(tracklets)
            for frame, share in enumerate(shares)
        }
        self.tracklets = [
            [f"{index}/{frame}" for frame in range(len(shares))]
            for index, shares in enumerate(tracklets)
        ]

    def hidden_share(self, img_path):
        return self.shares[img_path]

    def query_tracklets(self):
        return self.tracklets

    def visible(self):
        return None

    def whole(self):
        return None


@pytest.mark.parametrize(
    ("fraction", "label"),
    [(0.0, 0), (1e-4, 1), (0.1, 1), (0.1001, 2), (0.3, 3), (0.1 + 0.2, 3), (0.8, 8), (1.0, 10)],
)
def test_labels_are_the_papers(fraction, label):
    assert occlusion_labels(np.array([fraction])).tolist() == [label]


def test_label_of_a_query_is_that_of_its_mean_hidden_share():
    truth = Shares([0.0, 0.0], [0.0, 0.0, 0.03], [0.1, 0.5], [1.0])
    np.testing.assert_array_equal(truth.query_labels(), [0, 1, 3, 10])


def test_by_default_there_are_no_twins():
    assert Shares().clean is None
    assert Shares().occluded is None


def test_dataset_without_ground_truth_is_not_loaded(tmp_path):
    assert load_ground_truth("mars", tmp_path) is None
    assert ground_truth_of(object()) is None


def test_unknown_name():
    with pytest.raises(ValueError, match='Received dataset "no such"'):
        load_ground_truth("no such")
