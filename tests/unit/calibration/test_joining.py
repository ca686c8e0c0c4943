import numpy as np
import pytest
from synthetic_people import made_up_people

from torchreid_occ.calibration.cohort import unit
from torchreid_occ.calibration.grouping import group
from torchreid_occ.calibration.joining import best_stop, centred, fit_join, odds_of_pairs

MEAN = np.zeros(16)


def pairwise_f1(labels, pids):
    same, true = labels[:, None] == labels, pids[:, None] == pids
    both = np.triu(same & true, 1).sum()
    return 2 * both / (np.triu(same, 1).sum() + np.triu(true, 1).sum())


def test_joins_learned_on_some_people_group_others():
    one, other = made_up_people(1, 60, noise=0.6), made_up_people(2, 60, noise=0.6)
    join = fit_join(one.features, one.camids, one.pids, MEAN)
    labels, _ = group(odds_of_pairs(other.features, other.camids, MEAN, join))
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


def test_a_shift_of_a_camera_is_removed():
    people = made_up_people(4, 200, cameras=2)
    moved = unit(people.features).copy()
    moved[people.camids == 1] += np.linspace(0, 0.2, 16)
    found = centred(moved, people.camids, MEAN)
    means = [found[people.camids == camera].mean(axis=0) for camera in (0, 1)]
    assert np.abs(np.subtract(*means)).max() < 0.02


def test_a_camera_with_one_tracklet_keeps_it():
    features = made_up_people(5, 3, cameras=1).features
    found = centred(features, np.arange(3), unit(features).mean(axis=0))
    assert np.linalg.norm(found, axis=1).tolist() == pytest.approx([1, 1, 1])
