import itertools

import numpy as np
import pytest

from torchreid_occ.calibration.maxima import (
    chance_of_maximum,
    highest,
    tail_scale,
    threshold_of,
)


@pytest.mark.parametrize("size", [1, 3, 5, 6, 9])
def test_chances_equal_a_count_over_all_parts(size):
    scores = np.arange(6)[::-1]
    parts = [*itertools.combinations(scores, min(size, 6))]
    expected = [np.mean([max(part) == score for part in parts]) for score in scores]
    found = chance_of_maximum(np.array([6]), size, 6)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_a_shorter_list_gives_its_last_score_the_rest():
    whole, cut = (chance_of_maximum(np.array([50]), 10, depth) for depth in (50, 4))
    np.testing.assert_allclose(cut[0, :3], whole[0, :3])
    assert cut[0, 3] == pytest.approx(whole[0, 3:].sum())


def test_highest_leaves_the_persons_own_tracklets_out():
    scores, others = highest(np.array([[3.0, 1.0, 2.0]]), np.array([[True, False, False]]))
    assert scores.tolist() == [[2.0, 1.0, -np.inf]]
    assert others.tolist() == [2]


@pytest.mark.parametrize(("queries", "rate"), [(150, 0.01), (30, 0.1)])
@pytest.mark.parametrize("size", [40, 200])
def test_the_promised_rate_is_kept_in_the_mean_of_new_searches(queries, rate, size):
    rng = np.random.default_rng(queries + size)
    rates = []
    for _ in range(80):
        scores, others = highest(rng.normal(size=(queries, 200)), np.zeros((queries, 200), bool))
        threshold = threshold_of(scores, others, rate, size)
        rates.append((rng.normal(size=(400, size)).max(axis=1) > threshold).mean())
    assert 0.2 * rate < np.mean(rates) < 1.25 * rate


def test_a_larger_gallery_than_the_calibrations_raises_the_threshold_as_its_tail_asks():
    rng = np.random.default_rng(5)
    drawn = rng.exponential(2.0, size=(3000, 100))  # the maxima's tail falls e-fold every 2
    scores, others = highest(drawn, np.zeros(drawn.shape, bool))
    assert tail_scale(scores[:, 0]) == pytest.approx(2.0, rel=0.15)
    threshold = threshold_of(scores, others, 0.01, 1000)
    found = rng.exponential(2.0, size=(3000, 1000)).max(axis=1) > threshold
    assert found.mean() == pytest.approx(0.01, abs=0.006)


def test_a_rate_that_so_few_queries_cannot_promise():
    scores, others = np.zeros((98, 5)), np.full(98, 5)
    with pytest.raises(ValueError, match="takes 99 queries to calibrate on, and there were 98"):
        threshold_of(scores, others, 0.01, 5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_of(scores, others, 0, 5)
