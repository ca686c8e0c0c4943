import numpy as np
import pytest

from torchreid_occ.calibration.cohort import evidence, levels
from torchreid_occ.calibration.space import unit


def test_evidence_equals_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    query, gallery, cohort = (rng.normal(size=(n, 8)) for n in (3, 5, 200))
    cohort = unit(cohort)
    found = evidence(query, gallery, cohort)
    for q, one in enumerate(query):
        for g, other in enumerate(gallery):
            one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
            similarity = one @ other
            sides = [np.sort(cohort @ side)[-10:] for side in (one, other)]  # 5 % of 200
            expected = [
                similarity,
                similarity**2,
                sum(side.mean() for side in sides),
                sum(side.std() for side in sides),
                sum((similarity - side.mean()) / side.std() for side in sides),
            ]
            np.testing.assert_allclose(found[q, g], expected)


def test_evidence_does_not_depend_on_norms_nor_on_the_other_pairs():
    rng = np.random.default_rng(1)
    query, gallery, cohort = (rng.normal(size=(n, 8)) for n in (3, 5, 40))
    whole = evidence(query, gallery, unit(cohort))
    part = evidence(7 * query[1:2], 0.5 * gallery[3:4], unit(cohort))
    np.testing.assert_allclose(part[0, 0], whole[1, 3])


def test_a_small_cohort_counts_five_tracklets():
    found = levels(np.array([[0.1, 0.5, 0.3, 0.9, 0.2, 0.4]]))
    assert found.mean[0] == pytest.approx(np.mean([0.5, 0.3, 0.9, 0.2, 0.4]))
    assert levels(np.ones((2, 3))).spread.tolist() == [1e-6, 1e-6]
