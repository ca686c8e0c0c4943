from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from torchreid_occ.occwalk.keys import keyed_rng
from torchreid_occ.occwalk.occluders import draw_windows
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import render_tracklet
from torchreid_occ.occwalk.stats import FRAME_SHARES, frame_shares, tracklet_shares

# Identities of train, query and gallery, and tracklets of train, query and gallery.
COUNTS = {
    "occwalk_tiny": ((16, 16, 20), (68, 32, 87)),
    "occwalk_small": ((300, 300, 350), (900, 300, 1050)),
    "occwalk_full": ((500, 500, 650), (1500, 1000, 1950)),
}


@pytest.fixture(params=PRESETS.values(), ids=PRESETS, scope="module")
def preset(request):
    return request.param


@pytest.fixture(params=[0, 7], scope="module")
def specs(request, preset):
    return list_tracklets(preset, request.param)


def of(specs, split):
    return [spec for spec in specs if spec.split == split]


def test_counts(preset):
    specs = list_tracklets(preset, 0)
    splits = [of(specs, split) for split in ("train", "query", "gallery")]
    people = [{spec.pid for spec in split} for split in splits]
    assert (tuple(map(len, people)), tuple(map(len, splits))) == COUNTS[preset.name]
    assert people[1] < people[2]
    assert not people[0] & people[2]
    low, high = preset.frames
    assert {spec.num_frames for spec in specs} == set(range(low, high + 1))


def test_everyone_walks_past_as_many_cameras(specs, preset):
    for split in ("train", "gallery"):
        counts = Counter((spec.pid, spec.camid) for spec in of(specs, split))
        assert set(counts.values()) == set(range(1, preset.max_tracklets + 1))
        assert set(Counter(pid for pid, _ in counts).values()) == {preset.sightings}
        visitors = Counter(camid for _, camid in counts)
        assert set(visitors) == set(range(preset.cameras))
        assert max(visitors.values()) < 1.25 * min(visitors.values())


def test_queries_are_by_different_cameras_on_the_persons_way(specs, preset):
    cameras = {(spec.pid, spec.camid) for spec in of(specs, "gallery")}
    queries = [(spec.pid, spec.camid) for spec in of(specs, "query")]
    assert set(queries) < cameras
    assert len(set(queries)) == len(queries)
    assert set(Counter(pid for pid, _ in queries).values()) == {preset.queries_per_identity}


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
    assert stems[0] == f"0001_C{specs[0].camid + 1}_F0001_X000001"
    assert len({spec.folder for spec in specs}) == len(specs)
    assert all(spec.stems == sorted(spec.stems) for spec in specs)


def test_ways_differ_from_person_to_person():
    ways = defaultdict(set)
    for spec in of(list_tracklets(PRESETS["occwalk_full"], 0), "train"):
        ways[spec.pid].add(spec.camid)
    assert len(set(map(frozenset, ways.values()))) == 20  # 3 of 6 cameras


def test_long_tracklets_are_hidden_by_more_occluders():
    for num_occluded, passes in ((1, {1}), (48, {1, 2}), (49, {2, 3, 4}), (90, {2, 3, 4})):
        found = set()
        for key in range(50):
            windows = draw_windows(keyed_rng(0, "test", key), 0, 96, num_occluded)
            edges = [edge for window in windows for edge in window]
            assert edges == sorted(edges)
            assert min(edges) >= 0
            assert max(edges) <= 96
            assert sum(stop - start for start, stop in windows) == num_occluded
            found.add(len(windows))
        assert found == passes


def test_long_tracklets_are_hidden_as_in_the_papers_table_2():
    small_pictures = replace(PRESETS["occwalk_full"], height=64, width=32)
    queries = of(list_tracklets(small_pictures, 0), "query")[::20]
    hidden = [render_tracklet(spec, small_pictures, 0).fractions for spec in queries]
    np.testing.assert_allclose(frame_shares(hidden), FRAME_SHARES["query"], atol=0.1)
    for spec, fractions in zip(queries, hidden, strict=True):
        assert abs(np.count_nonzero(fractions) - spec.num_occluded) <= spec.num_frames // 16
        assert np.mean(fractions > 0) > 1 / 3


def test_query_and_gallery_tracklets_of_a_person_have_different_numbers(specs):
    numbers = [(spec.pid, spec.number) for spec in specs]
    assert len(set(numbers)) == len(numbers)


def test_tables_count_tracklets_and_frames():
    tracklets = [np.zeros(4), np.array([0.05, 0, 0, 0]), np.array([0.75, 0.35, 0.15, 0.8])]
    expected = np.array([1, 1, 0, 0, 0, 0, 0, 0, 1]) / 3
    np.testing.assert_allclose(tracklet_shares(tracklets), expected)
    np.testing.assert_allclose(frame_shares(tracklets), np.array([1, 1, 0, 1, 0, 0, 0, 2]) / 5)
