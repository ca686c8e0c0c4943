import runpy

import numpy as np
import pytest
from support import REPOSITORY

from torchreid_occ.search.index import FeatureIndex


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(REPOSITORY / "tools" / "benchmarks" / "search.py"))


@pytest.fixture(scope="module")
def clusters(tool):
    """Two hundred people whose centres spread along the first axis, tracklets along the others."""
    rng = np.random.default_rng(0)
    centres = [5, 2, 0] + rng.standard_normal((200, 1)) * [3, 0, 0]
    features = np.repeat(centres, 4, 0) + rng.standard_normal((800, 3)) * [0, 0.5, 0.1]
    return tool["Clusters"](features, np.repeat(np.arange(200), 4))


def test_people_and_tracklets_are_drawn_like_the_real_ones(clusters):
    rng = np.random.default_rng(1)
    people = clusters.people(4000, rng)
    np.testing.assert_allclose(people.mean(0), [5, 2, 0], atol=0.6)
    np.testing.assert_allclose(people.std(0), [3, 0.25, 0.05], rtol=0.15)  # 0.5 / sqrt(4)
    around = clusters.tracklets(people, rng) - people
    np.testing.assert_allclose(around.std(0), [0, 0.5, 0.1], rtol=0.1, atol=1e-3)


def test_recall_counts_what_the_exact_search_finds(tool):
    exact = [np.array([1, 2, 3]), np.array([4, 5, 6])]
    found = [np.array([1, 3, 9]), np.array([5, 4, 6])]
    assert tool["recall"](found, exact, 1) == 0.5
    assert tool["recall"](found, exact, 3) == pytest.approx(5 / 6)
    assert tool["recall"]([np.array([], int)] * 2, exact, 3) == 0


def test_known_people_are_found_among_those_added(tool):
    rng = np.random.default_rng(2)
    centres = np.repeat(rng.standard_normal((40, 8)), 4, 0)
    features = centres + 0.01 * rng.standard_normal(centres.shape)
    clusters = tool["Clusters"](features, np.repeat(np.arange(40), 4))
    known = clusters.people(5, rng)
    kinds = tool["KINDS"]
    indices, seconds = {kind: FeatureIndex(kind, 8) for kind in kinds}, dict.fromkeys(kinds, 0.0)
    for ids in (range(1, 101), range(101, 251)):
        tool["grow"](indices, ids, clusters, known, rng, seconds)
    for index in indices.values():
        assert index.ids.tolist() == list(range(1, 251))
        ids, milliseconds = tool["search"](index, known)
        assert [len(own) for own in ids] == [10] * 5 and milliseconds > 0
        for person, own in enumerate(ids):
            assert set(own) == set(range(10 * person + 1, 10 * person + 11))
        assert tool["mebibytes"](index) > 250 * 8 * 4 / 2**20
