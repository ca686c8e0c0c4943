import numpy as np
import pytest
from support import ranking_problem as problem

from torchreid_occ.metrics import pairs_of, roc_curve, tpr_at_fpr
from torchreid_occ.metrics.verification import threshold_at


def loop_over_pairs(distmat, q_pids, g_pids, q_camids, g_camids):
    return [
        (distmat[q, g], q_pids[q] == g_pids[g])
        for q in range(len(q_pids))
        for g in range(len(g_pids))
        if not (q_pids[q] == g_pids[g] and q_camids[q] == g_camids[g])
    ]


@pytest.mark.parametrize("decimals", [None, 1])
def test_pairs_and_rates_equal_a_loop(decimals):
    arguments = problem(3, num_q=12, num_g=40, ids=6, decimals=decimals)
    expected = loop_over_pairs(*arguments)
    pairs = pairs_of(*arguments)
    assert list(zip(*pairs, strict=True)) == expected
    roc = roc_curve(*pairs)
    same = [distance for distance, is_same in expected if is_same]
    other = [distance for distance, is_same in expected if not is_same]
    for threshold, fpr, tpr in zip(*roc, strict=True):
        assert fpr == sum(distance < threshold for distance in other) / len(other)
        assert tpr == sum(distance < threshold for distance in same) / len(same)
    assert (roc.fpr[-1], roc.tpr[-1]) == (1, 1)


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("fpr", [0, 0.001, 0.01, 0.1, 0.5, 1])
def test_tpr_at_fpr_is_the_best_that_the_curve_allows(decimals, fpr):
    pairs = pairs_of(*problem(5, decimals=decimals))
    roc = roc_curve(*pairs)
    assert tpr_at_fpr(*pairs, fpr) == roc.tpr[roc.fpr <= fpr].max()


def test_by_hand():
    distances, same = [0.1, 0.2, 0.3, 0.4, 0.5], [True, False, True, False, False]
    assert tpr_at_fpr(distances, same, 0) == 0.5
    assert tpr_at_fpr(distances, same, 1 / 3) == 1
    assert tpr_at_fpr(distances, same, 0.3) == 0.5


def test_a_threshold_admits_the_share_exactly_whatever_the_rounding():
    for number in range(1, 200):
        for allowed in range(number):
            threshold = threshold_at(np.arange(number), allowed / number)
            assert (np.arange(number) < threshold).sum() == allowed


@pytest.mark.parametrize(
    ("distances", "same", "message"),
    [
        ([0.1, 0.2], [True, True], "2 pairs of one person and 0 pairs of two"),
        ([0.1], [True, False], "shape"),
        ([np.nan, 0.2], [True, False], "NaN"),
    ],
)
def test_bad_pairs(distances, same, message):
    with pytest.raises(ValueError, match=message):
        roc_curve(distances, same)


def test_bad_rate():
    with pytest.raises(ValueError, match=r"rate of 1\.5"):
        tpr_at_fpr([0.1, 0.2], [True, False], 1.5)
