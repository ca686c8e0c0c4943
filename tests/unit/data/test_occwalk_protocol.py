from collections import Counter, defaultdict

import numpy as np
import pytest

from torchreid_occ.data.occwalk.presets import PRESETS
from torchreid_occ.data.occwalk.protocol import TRACKLET_SHARES, list_tracklets
from torchreid_occ.data.occwalk.stats import frame_shares, tracklet_shares

TINY = PRESETS["occwalk_tiny"]


@pytest.fixture(params=[0, 7])
def specs(request):
    return list_tracklets(TINY, request.param)


def of(specs, split):
    return [spec for spec in specs if spec.split == split]


def test_counts(specs):
    people = {split: {spec.pid for spec in of(specs, split)} for split in TRACKLET_SHARES}
    assert len(people["train"]) == len(people["query"]) == 16
    assert len(people["gallery"]) == 20
    assert people["query"] < people["gallery"]
    assert not people["train"] & people["gallery"]
    assert len(of(specs, "query")) == 32
    assert {spec.num_frames for spec in specs} == set(range(8, 17))


def test_one_or_two_tracklets_in_every_camera(specs):
    for split in ("train", "gallery"):
        counts = Counter((spec.pid, spec.camid) for spec in of(specs, split))
        assert set(counts.values()) == {1, 2}
        assert {camid for _, camid in counts} == {0, 1, 2}
        assert len(counts) == 3 * len({pid for pid, _ in counts})


def test_every_query_has_a_match_in_another_camera(specs):
    cameras = defaultdict(set)
    for spec in of(specs, "gallery"):
        cameras[spec.pid].add(spec.camid)
    assert all(cameras[spec.pid] - {spec.camid} for spec in of(specs, "query"))


def test_queries_are_occluded_in_over_a_third_of_their_frames(specs):
    assert all(3 * spec.num_occluded > spec.num_frames for spec in of(specs, "query"))
    assert np.mean([s.num_occluded / s.num_frames > 0.8 for s in of(specs, "query")]) > 0.5


def test_shares_of_occluded_tracklets(specs):
    shares = {
        split: np.mean([spec.num_occluded > 0 for spec in of(specs, split)])
        for split in ("train", "gallery")
    }
    assert shares["gallery"] == pytest.approx(0.69, abs=0.03)
    assert shares["train"] == pytest.approx(0.55, abs=0.03)


def test_names_are_unique_and_in_the_layout_of_duke(specs):
    stems = [stem for spec in specs for stem in spec.stems]
    assert len(stems) == len(set(stems)) == sum(spec.num_frames for spec in specs)
    assert specs[0].folder == "train/0001/0001"
    assert stems[0] == "0001_C1_F0001_X000001"
    assert len({spec.folder for spec in specs}) == len(specs)
    assert all(spec.stems == sorted(spec.stems) for spec in specs)


def test_query_and_gallery_tracklets_of_a_person_have_different_numbers(specs):
    numbers = [(spec.pid, spec.number) for spec in specs]
    assert len(set(numbers)) == len(numbers)


def test_tables_count_tracklets_and_frames():
    tracklets = [np.zeros(4), np.array([0.05, 0, 0, 0]), np.array([0.75, 0.35, 0.15, 0.8])]
    expected = np.array([1, 1, 0, 0, 0, 0, 0, 0, 1]) / 3
    np.testing.assert_allclose(tracklet_shares(tracklets), expected)
    np.testing.assert_allclose(frame_shares(tracklets), np.array([1, 1, 0, 1, 0, 0, 0, 2]) / 5)
