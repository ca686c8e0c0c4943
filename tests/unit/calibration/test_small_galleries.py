import numpy as np
import pytest
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import fit_calibration
from torchreid_occ.calibration.grouping import group
from torchreid_occ.calibration.joining import certainty
from torchreid_occ.calibration.small_galleries import (
    fit_changes,
    random_parts,
    stand_ins,
    weights_at,
)


def test_a_small_gallery_is_filled_up_with_tracklets_all_over_the_cohort():
    cohort = np.arange(10.0)[:, None]
    assert stand_ins(cohort, 3, 7)[:, 0].tolist() == [0, 3, 6, 9]
    assert len(stand_ins(cohort, 7, 7)) == len(stand_ins(cohort, 70, 7)) == 0
    assert stand_ins(cohort, 3, 700).tolist() == cohort.tolist()
    assert len(stand_ins(np.zeros((900, 1)), 3, 700)) == 100


def test_weights_change_with_the_logarithm_of_the_size():
    join = np.array([[1.0, 2.0], [10.0, 0.0], [0.0, 100.0]])
    assert weights_at(join, 100, 100).tolist() == weights_at(join, 900, 100).tolist() == [1, 2]
    smaller = np.log(100 / 20)
    expected = [1 + 10 * smaller, 2 + 100 * smaller**2]
    np.testing.assert_allclose(weights_at(join, 20, 100), expected)


def test_random_parts_are_small_galleries_of_some_cameras():
    people = made_up_people(1, 60, cameras=4)
    parts = [*random_parts(people.pids, people.camids, 200)]
    sizes = np.array([len(rows) for rows in parts])
    assert sizes.min() == 2
    assert 50 < sizes.max() <= 100
    assert {len(np.unique(people.camids[rows])) for rows in parts} >= {2, 3, 4}
    assert all(len(np.unique(rows)) == len(rows) for rows in parts)
    again = random_parts(people.pids, people.camids, 200)
    assert all((one == other).all() for one, other in zip(parts, again, strict=True))


def test_the_changes_are_those_by_which_the_pairs_were_made():
    rng = np.random.default_rng(0)
    weights = np.array([2.0, -1.0])
    join = np.array([weights, [-0.5, 0.6], [0.0, -0.1]])
    known, same = [], []
    for size in rng.integers(5, 60, 150):
        evidence = rng.normal(size=(size, size, 1))
        slope, intercept = weights_at(join, size, 100)
        drawn = rng.random((size, size)) < 1 / (1 + np.exp(-(slope * evidence[..., 0] + intercept)))
        known.append(evidence)
        same.append(drawn)
    found = np.vstack([weights, fit_changes(known, same, weights, 100)])
    for size in (8, 20, 50):
        np.testing.assert_allclose(
            weights_at(found, size, 100), weights_at(join, size, 100), atol=0.2
        )


def test_each_gallery_counts_alike_in_the_changes():
    shares, sizes = (0.8, 0.3, 0.8), (5, 20, 50)  # more than two changes can follow
    known = [np.zeros((size, size, 1)) for size in sizes]
    same = [np.zeros((size, size), bool) for size in sizes]
    for labels, share, size in zip(same, shares, sizes, strict=True):
        pairs = np.triu_indices(size, 1)
        labels[pairs] = np.arange(len(pairs[0])) < share * len(pairs[0])
    found = np.vstack([np.zeros(2), fit_changes(known, same, np.zeros(2), 100)])
    odds = np.array([weights_at(found, size, 100)[1] for size in sizes])
    powers = np.array([[np.log(100 / size), np.log(100 / size) ** 2] for size in sizes])
    means = [np.mean(labels[np.triu_indices(len(labels), 1)]) for labels in same]
    np.testing.assert_allclose(powers.T @ (1 / (1 + np.exp(-odds)) - means), 0, atol=0.05)


@pytest.fixture(scope="module")
def calibration():
    query, gallery = query_and_gallery(made_up_people(2, 40, cameras=6))
    return fit_calibration(query, gallery, made_up_people(1, 60, cameras=6), "abc", {})


def test_different_people_are_seldom_joined_with_certainty_in_small_galleries(calibration):
    """Of five tracklets, all are one another's neighbours."""
    people = made_up_people(3, 200, cameras=6)
    rng = np.random.default_rng(0)
    joined, certain, found = 0, 0, 0
    for start in range(0, 200, 4):  # four people, one of them twice
        rows = 6 * (start + np.array([0, 1, 2, 3, 0])) + rng.permutation(6)[:5]
        part = people.at(rows)
        means = calibration.means_of(part.features, part.camids)
        odds = calibration.odds_of_joins(calibration.adapted(part.features, part.camids, means))
        labels, joins = group(odds)
        found += labels[0] == labels[4]
        wrong = (labels[:, None] == labels) & (part.pids[:, None] != part.pids)
        joined += wrong.any()
        certain += wrong.any() and certainty(min(joins.value)) > 0.9
    assert found >= 35
    assert joined <= 15
    assert certain <= 3
