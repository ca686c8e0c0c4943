import itertools

import numpy as np
import pytest

from torchreid_occ.metrics.kissme import KISSME, squared_distances
from torchreid_occ.metrics.pair_covariances import pair_covariances
from torchreid_occ.metrics.xqda import XQDA


@pytest.fixture
def data():
    """Ten people before three cameras; two dimensions tell them apart, the others are noise."""
    rng = np.random.default_rng(0)
    pids, camids = np.arange(10).repeat(6), np.tile([0, 0, 1, 1, 2, 2], 10)
    features = rng.normal(size=(60, 6)) * [0.1, 0.2, 3, 3, 3, 3]
    features[:, :2] += rng.normal(size=(10, 2))[pids]
    return features, pids, camids


def by_pairs(features, pids, camids):
    """The definition, pair by pair."""
    moments = {True: [], False: []}
    for i, j in itertools.permutations(range(len(pids)), 2):
        if camids[i] != camids[j]:
            difference = features[i] - features[j]
            moments[bool(pids[i] == pids[j])].append(np.outer(difference, difference))
    return np.mean(moments[True], axis=0), np.mean(moments[False], axis=0)


def test_covariances_are_those_of_all_pairs_across_cameras(data):
    features, pids, camids = data
    keep = np.arange(60) % 7 != 0  # uneven numbers, and an identity that one camera saw
    keep[:6] = [True, True, False, False, False, False]
    subset = features[keep], pids[keep], camids[keep]
    for found, expected in zip(pair_covariances(*subset), by_pairs(*subset), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_kissme_is_the_projected_difference_of_inverses(data):
    features, pids, camids = data
    estimator = KISSME(num_components=6, ridge=0.0).fit(*data)
    similar, dissimilar = by_pairs(features, pids, camids)
    values, vectors = np.linalg.eigh(np.linalg.inv(similar) - np.linalg.inv(dissimilar))
    metric = (vectors * values.clip(min=0)) @ vectors.T
    differences = features[:5, None] - features[None, 5:9]
    expected = np.einsum("qgd,de,qge->qg", differences, metric, differences)
    # All six components are kept, so that the axes are a mere rotation.
    np.testing.assert_allclose(
        estimator.distances(features[:5], features[5:9]), expected, rtol=1e-6
    )


def test_kissme_drops_what_varies_least(data):
    estimator = KISSME(num_components=4).fit(*data)
    assert estimator.axes.shape == (6, 4)
    assert (np.abs(estimator.axes[:2]) < 0.5).all()


def test_kissme_keeps_as_many_components_as_mars_own_evaluation():
    rng = np.random.default_rng(0)
    people = rng.normal(size=(150, 256)).repeat(2, axis=0)
    features = people + rng.normal(size=people.shape)
    estimator = KISSME().fit(features, np.arange(150).repeat(2), np.tile([0, 1], 150))
    assert estimator.axes.shape == (256, 200)


def test_xqda_keeps_what_tells_people_apart(data):
    features, pids, camids = data
    estimator = XQDA(regularization=0.01).fit(*data)
    similar, dissimilar = by_pairs(features, pids, camids)
    similar = similar + 0.01 * np.eye(6)
    ratios = np.linalg.eigvals(np.linalg.solve(similar, dissimilar)).real
    assert estimator.axes.shape[1] == (ratios > 1).sum()
    axes = estimator.axes
    inner = [np.linalg.inv(axes.T @ moment @ axes) for moment in (similar, dissimilar)]
    differences = features[:4, None] @ axes - features[None, 4:7] @ axes
    expected = np.einsum("qgd,de,qge->qg", differences, inner[0] - inner[1], differences)
    np.testing.assert_allclose(
        estimator.distances(features[:4], features[4:7]), expected, rtol=1e-6
    )


@pytest.mark.parametrize("estimator", [KISSME(), XQDA()])
def test_ranking_improves(estimator, data):
    features, pids, camids = data
    train, test = pids < 7, pids >= 7
    estimator.fit(features[train], pids[train], camids[train])
    query, gallery = (test & (camids == cam) for cam in (0, 1))

    def rank1(distances):
        return np.mean(pids[gallery][distances.argmin(1)] == pids[query])

    plain = rank1(squared_distances(features[query], features[gallery]))
    assert rank1(estimator.distances(features[query], features[gallery])) > plain
    assert estimator.transform(features[:3]).shape[0] == 3


@pytest.mark.parametrize("estimator", [KISSME(), XQDA()])
def test_fewer_samples_than_dimensions(estimator, data):
    features, pids, camids = data
    wide = np.concatenate([features, np.zeros((60, 3)), features[:, :1]] * 8, axis=1)
    few = np.flatnonzero(pids < 4)
    estimator.fit(wide[few], pids[few], camids[few])
    distances = estimator.distances(wide[:3], wide[3:9])
    assert distances.shape == (3, 6)
    assert np.isfinite(distances).all()


@pytest.mark.parametrize("estimator", [KISSME(), XQDA()])
def test_what_can_not_be_learned_from(estimator, data):
    features, pids, camids = data
    with pytest.raises(ValueError, match="are 0 pairs of one identity"):
        estimator.fit(features, np.arange(60), camids)
    with pytest.raises(ValueError, match="and 0 of two identities from different cameras"):
        estimator.fit(features, np.zeros(60), camids)
    with pytest.raises(ValueError, match="are 0 pairs of one identity and 0"):
        estimator.fit(features, pids, np.zeros(60))
    with pytest.raises(ValueError, match="not finite"):
        estimator.fit(np.where(features > 2, np.nan, features), pids, camids)
