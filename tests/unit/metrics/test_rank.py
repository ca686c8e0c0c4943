import inspect

import numpy as np
import pytest
from support import ranking_problem as problem

from torchreid_occ._torchreid import torchreid
from torchreid_occ.metrics import evaluate_rank, rank_lists, rank_queries


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decimals", [None, 4, 1])  # 4: a few distances are tied, 1: most
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_torchreid_exactly(seed, decimals, dtype):
    arguments = problem(seed, decimals=decimals, dtype=dtype)
    expected_cmc, expected_map = torchreid.metrics.evaluate_rank(*arguments, use_cython=False)
    cmc, mAP = evaluate_rank(*arguments)  # noqa: N806
    np.testing.assert_array_equal(cmc, expected_cmc)
    assert cmc.dtype == expected_cmc.dtype
    assert mAP == expected_map


def test_equals_torchreid_on_cuhk03s_metric_for_the_same_global_draws():
    arguments = problem(0, num_q=10, num_g=60, ids=5)
    np.random.seed(3)
    expected_cmc, expected_map = torchreid.metrics.evaluate_rank(
        *arguments, max_rank=5, use_metric_cuhk03=True, use_cython=False
    )
    np.random.seed(3)
    cmc, mAP = evaluate_rank(*arguments, max_rank=5, use_metric_cuhk03=True)  # noqa: N806
    np.testing.assert_array_equal(cmc, expected_cmc)
    assert mAP == expected_map


def test_signature_is_torchreids():
    ours = inspect.signature(evaluate_rank).parameters
    theirs = inspect.signature(torchreid.metrics.evaluate_rank).parameters
    assert list(ours) == list(theirs)
    assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]


def test_by_hand():
    # Query 0 (pid 7, camera 0): gallery in order 3, 0, 1, 2; item 3 is its own camera's.
    distmat = np.array([[0.2, 0.3, 0.4, 0.1]])
    cmc, mAP = evaluate_rank(  # noqa: N806
        distmat, [7], [8, 7, 7, 7], [0], [1, 1, 2, 0], max_rank=3
    )
    assert cmc.tolist() == [0, 1, 1]
    assert mAP == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_gallery_smaller_than_the_largest_rank():
    distmat = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    # Query 0 keeps three items, query 1 only two of them.
    cmc, mAP = evaluate_rank(  # noqa: N806
        distmat, [1, 2], [9, 1, 2], [0, 0], [1, 1, 1], max_rank=50
    )
    assert cmc.tolist() == [0.5, 1, 1]
    assert mAP == pytest.approx((1 / 2 + 1) / 2)
    short, _ = evaluate_rank(np.array([[0.1, 0.2]]), [1], [1, 1], [0], [0, 1])
    assert short.tolist() == [1, 1]


def test_queries_without_a_match_are_left_out():
    distmat = np.array([[0.1, 0.2], [0.2, 0.1]])
    ranks = rank_queries(distmat, [1, 5], [1, 2], [0, 0], [1, 1])
    assert ranks.queries.tolist() == [0]
    assert ranks.average_precision.tolist() == [1.0]


def test_lists_hold_what_the_metrics_count():
    distmat, q_pids, g_pids, q_camids, g_camids = arguments = problem(2, decimals=1)
    ranks = rank_queries(*arguments, max_rank=300)
    lists = rank_lists(*arguments, length=300)
    matched = [index for index, found in enumerate(lists) if found.first_rank is not None]
    assert matched == ranks.queries.tolist()
    for row, index in enumerate(matched):
        found = lists[index]
        junk = (g_pids == q_pids[index]) & (g_camids == q_camids[index])
        assert sorted(found.items) == np.flatnonzero(~junk).tolist()
        assert (np.diff(distmat[index][found.items]) >= 0).all()
        right = np.flatnonzero(g_pids[found.items] == q_pids[index])
        precision = np.mean(np.arange(1, len(right) + 1) / (right + 1))
        assert precision == pytest.approx(ranks.average_precision[row])
        assert found.first_rank == right[0] + 1 == 301 - ranks.cmc[row].sum()
        assert found.first_match == found.items[right[0]]
    assert [len(found.items) for found in rank_lists(*arguments, length=4)] == [4] * 40


def test_a_list_leaves_out_the_querys_own_pid_and_camid():
    distmat = np.array([[0.1, 0.2, 0.3, 0.4]])
    (found,) = rank_lists(distmat, [1], [1, 2, 2, 1], [0], [0, 0, 1, 1], length=2)
    assert found.items.tolist() == [1, 2]
    assert (found.first_rank, found.first_match) == (3, 3)
    (found,) = rank_lists(distmat, [5], [1, 2, 2, 1], [0], [0, 0, 1, 1])
    assert (found.first_rank, found.first_match) == (None, None)


def test_errors():
    distmat = np.zeros((1, 2))
    with pytest.raises(ValueError, match="None of the queries has its identity"):
        evaluate_rank(distmat, [1], [1, 2], [0], [0, 0])
    with pytest.raises(ValueError, match=r"distmat is \(1, 2\) for 2 query pids"):
        evaluate_rank(distmat, [1, 2], [1, 2], [0, 0], [0, 0])
    with pytest.raises(ValueError, match="NaN"):
        evaluate_rank(distmat * np.nan, [1], [1, 2], [0], [1, 1])


@pytest.mark.parametrize("decimals", [None, 1])
def test_inverse_penalty_equals_a_loop_over_the_order(decimals):
    distmat, q_pids, g_pids, q_camids, g_camids = arguments = problem(11, decimals=decimals)
    ranked = rank_queries(*arguments)
    expected = []
    for q in ranked.queries:
        rank, number, last = 0, 0, 0
        for g in np.argsort(distmat[q]):
            if g_pids[g] == q_pids[q] and g_camids[g] == q_camids[q]:
                continue
            rank += 1
            if g_pids[g] == q_pids[q]:
                number, last = number + 1, rank
        expected.append(number / last)
    assert ranked.inverse_penalty.tolist() == expected
    assert ranked.mean_inverse_penalty() == pytest.approx(np.mean(expected))
