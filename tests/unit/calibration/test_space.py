import numpy as np
import pytest
from synthetic_people import made_up_people

from torchreid_occ.calibration.space import camera_means, unit, variation, without_variation

MEAN = np.zeros(16)


def centred(features, cameras, mean):
    return camera_means(features, cameras, mean).centre(features, cameras)


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


def test_an_unknown_camera_has_the_mean_of_all():
    people = made_up_people(6, 50)
    means = camera_means(people.features, people.camids, MEAN)
    found = means.centre(people.features[:1], np.array([-1]))
    expected = unit(unit(people.features[:1]) - means.overall)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_directions_scale_by_the_inverse_of_the_deviation():
    rng = np.random.default_rng(0)
    deviations = np.array([3.0, 1.0, 1.0, 0.5])
    pids = np.repeat(np.arange(3000), 2)
    features = rng.normal(size=(3000, 4))[pids] + deviations * rng.normal(size=(6000, 4))
    directions = variation(features, pids)
    scaled = np.eye(4) - directions.T @ directions
    variances = deviations**2 / 2  # of two tracklets around their mean
    expected = 1 / np.sqrt(1 + variances / (3 * variances.mean()))
    np.testing.assert_allclose(scaled, np.diag(expected), atol=0.02)
    np.testing.assert_allclose(
        without_variation(features[:5], directions), unit(features[:5] @ scaled), atol=1e-6
    )


def test_people_with_one_tracklet_say_nothing_of_variation():
    people = made_up_people(7, 30, cameras=1)
    found = variation(people.features, people.pids)
    assert found.shape == (0, 16)
    np.testing.assert_array_equal(without_variation(people.features, found), unit(people.features))


def test_adapted_features_find_more_of_the_people():
    rng = np.random.default_rng(1)
    noise = np.where(np.arange(16) < 4, 3.0, 0.3)
    cohort, tested = (made_up_people(seed, 100, noise=0) for seed in (8, 9))
    shaken = [unit(one.features + noise * rng.normal(size=(300, 16))) for one in (cohort, tested)]
    adapted = without_variation(shaken[1], variation(shaken[0], cohort.pids))

    def rank1(features):
        nearest = (features @ features.T - 2 * np.eye(300)).argmax(axis=1)
        return (tested.pids[nearest] == tested.pids).mean()

    assert rank1(adapted) > rank1(shaken[1]) + 0.1
