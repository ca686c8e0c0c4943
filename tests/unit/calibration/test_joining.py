import numpy as np
import pytest
from synthetic_people import made_up_people

from torchreid_occ.calibration.grouping import group
from torchreid_occ.calibration.joining import best_stop, fit_join, odds_of_pairs
from torchreid_occ.calibration.space import unit


def pairwise_f1(labels, pids):
    same, true = labels[:, None] == labels, pids[:, None] == pids
    both = np.triu(same & true, 1).sum()
    return 2 * both / (np.triu(same, 1).sum() + np.triu(true, 1).sum())


def test_joins_learned_on_some_people_group_others():
    one, other = made_up_people(1, 60, noise=0.6), made_up_people(2, 60, noise=0.6)
    join = np.vstack([fit_join(unit(one.features), one.pids), np.zeros((2, 4))])
    own = unit(other.features)
    labels, _ = group(odds_of_pairs(own, join, unit(one.features), len(own)))
    assert pairwise_f1(labels, other.pids) > 0.8


def test_the_stop_is_the_one_with_the_best_pairwise_f1():
    people = made_up_people(3, 20, noise=1.0)
    own = unit(people.features)
    odds = own @ own.T
    _, joins = group(odds, stop=-np.inf)
    found = pairwise_f1(group(odds, stop=best_stop(joins, people.pids))[0], people.pids)
    values = np.sort(joins.value)
    all_stops = [pairwise_f1(group(odds, stop=value - 1e-6)[0], people.pids) for value in values]
    assert found == pytest.approx(max(all_stops))
