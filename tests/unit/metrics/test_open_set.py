import numpy as np
import pytest
from support import ranking_problem as problem

from torchreid_occ.metrics import dir_at_fpir, open_set
from torchreid_occ.metrics.open_set import rates_at


def loop_over_queries(threshold, rank, distmat, q_pids, g_pids, q_camids, g_camids):
    """The definitions, query by query and item by item: DIR and FPIR."""
    found, mated, false, non_mated = 0, 0, 0, 0
    for q, pid in enumerate(q_pids):
        matches = [g for g in range(len(g_pids)) if g_pids[g] == pid and g_camids[g] != q_camids[q]]
        others = [g for g in range(len(g_pids)) if g_pids[g] != pid]
        if not matches:
            non_mated += 1
            false += any(distmat[q, g] < threshold for g in others)
            continue
        mated += 1
        best = min(distmat[q, g] for g in matches)
        nearer = sum(distmat[q, g] <= best for g in others)
        found += best < threshold and nearer < rank
    return found / mated, false / non_mated


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("rank", [1, 3, 300])
def test_rates_equal_a_loop_over_queries(decimals, rank):
    arguments = problem(7, num_q=60, num_g=80, ids=60, decimals=decimals)
    found = open_set(*arguments)
    for threshold in (0, 0.01, 0.1, 0.3, 2):
        rates = rates_at(found, threshold, rank)
        assert rates[1:] == loop_over_queries(threshold, rank, *arguments)


@pytest.mark.parametrize("fpir", [0, 0.05, 0.2, 1])
def test_the_threshold_is_the_largest_that_keeps_the_rate(fpir):
    arguments = problem(9, num_q=60, num_g=80, ids=60, decimals=2)
    found = open_set(*arguments)
    rates = dir_at_fpir(found, fpir)
    assert rates.fpir <= fpir
    assert rates == rates_at(found, rates.threshold)
    if fpir < 1:
        assert rates_at(found, np.nextafter(rates.threshold, 2)).fpir > fpir


def test_by_hand():
    # Persons 0 and 1 are in the gallery, person 2 is not; 1's nearest item is 0's.
    distmat = np.array([[0.1, 0.5], [0.2, 0.3], [0.4, 0.25]])
    found = open_set(distmat, [0, 1, 2], [0, 1], [0, 0, 0], [1, 1])
    assert found.non_mated.tolist() == [0.25]
    assert found.mated.tolist() == [0.1, 0.3]
    assert found.ranks.tolist() == [1, 2]
    assert dir_at_fpir(found, 0)[1:] == (0.5, 0)
    assert dir_at_fpir(found, 1, rank=2)[1:] == (1, 1)


def test_a_tie_counts_against_the_match():
    found = open_set(np.array([[0.1, 0.1]]), [0], [0, 1], [0], [1, 1])
    assert found.ranks.tolist() == [2]


def test_a_query_whose_person_is_in_its_own_camera_only_has_no_match():
    found = open_set(np.array([[0.1, 0.4]]), [0], [0, 1], [0], [0, 1])
    assert (found.non_mated.tolist(), found.mated.tolist()) == ([0.4], [])


def test_both_kinds_of_queries_are_needed():
    found = open_set(np.array([[0.1, 0.4]]), [0], [0, 1], [0], [1, 1])
    with pytest.raises(ValueError, match="1 queries have a match in the gallery and 0 have none"):
        dir_at_fpir(found)
    with pytest.raises(ValueError, match="rank 0"):
        dir_at_fpir(found, rank=0)
