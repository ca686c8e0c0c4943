import numpy as np
import pytest

from torchreid_occ.calibration.grouping import group


def loop_over_groups(odds, apart, stop):
    """Average linkage by its definition: all pairs of groups are compared before each join."""
    groups = [{i} for i in range(len(odds))]
    values = []
    while True:
        best = max(
            (
                (np.mean([odds[i, j] for i in one for j in other]), -min(one), -min(other))
                for one in groups
                for other in groups
                if min(one) < min(other) and not any(apart[i, j] for i in one for j in other)
            ),
            default=(-np.inf, 0, 0),
        )
        if best[0] <= stop:
            break
        one, other = (next(g for g in groups if min(g) == -name) for name in best[1:])
        groups = [g for g in groups if g not in (one, other)] + [one | other]
        values.append(best[0])
    labels = np.empty(len(odds), int)
    for own in groups:
        labels[[*own]] = min(own)
    return labels, values


@pytest.mark.parametrize("seed", range(6))
def test_equals_a_loop_over_all_pairs_of_groups(seed):
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=(25, 25))
    odds = odds + odds.T
    apart = np.triu(rng.random((25, 25)) < 0.15, 1)
    apart |= apart.T
    labels, joins = group(odds, apart=apart, stop=-0.5)
    expected, values = loop_over_groups(odds, apart, -0.5)
    assert labels.tolist() == expected.tolist()
    np.testing.assert_allclose(joins.value, values)
    assert not any(apart[i, j] for i, j in np.argwhere(labels[:, None] == labels))


def test_a_demanded_join_overrules_what_keeps_two_apart():
    odds = np.full((4, 4), -9.0)
    apart = np.zeros((4, 4), bool)
    apart[0, 2] = apart[0, 1] = True
    apart |= apart.T
    labels, joins = group(odds, [(2, 0)], apart)
    assert labels.tolist() == [0, 1, 0, 3]
    assert joins.value == [np.inf]
    odds[1, 2] = odds[2, 1] = 9.0  # 1 is nobody's but 0 is not its, so neither is the joined group
    assert group(odds, [(2, 0)], apart)[0].tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize("number", [0, 1])
def test_nothing_to_group(number):
    labels, joins = group(np.zeros((number, number)))
    assert labels.tolist() == [*range(number)]
    assert joins.one == []
