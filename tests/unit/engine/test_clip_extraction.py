"""Features of tracklets and their labels by the clip engine, and what a test makes of them."""

import numpy as np
import pytest
import torch
from small_engine import Loader, engine

from torchreid_occ.engine.evaluation import Features, distance_matrix


def test_a_tracklets_feature_is_the_mean_over_its_frames():
    loader = Loader()
    built = engine()
    built.set_model_mode("eval")
    found = built.extract(loader, "test")
    frames = loader.dataset.frames.mean((2, 3))
    expected = torch.stack([frames[:3].mean(0), frames[3]])
    torch.testing.assert_close(found.features, expected)
    assert found.pids.tolist() == [5, 6]
    assert found.camids.tolist() == [0, 1]


def test_results_of_every_target_are_kept():
    built = engine()
    rank1 = built.test(dist_metric="cosine", ranks=[1, 20])
    assert rank1 == 1.0
    assert built.results.keys() == {"first", "second"}
    for target, results in built.results.items():
        queries = len(built.test_loader[target]["query"].dataset.tracklets)
        expected = {"mAP": 1.0, "cmc": {1: 1.0, 20: 1.0}, "average_precisions": [1.0] * queries}
        expected["mINP"] = 1.0
        assert results == expected


# People 0 and 1 in cameras 0 and 1; the second camera's features are three times as long.
FEATURES = torch.tensor([[1.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 3, 0]])
PEOPLE = Features(FEATURES, np.arange(4) // 2, np.arange(4) % 2)


def test_a_curve_that_ends_early_stays_at_its_last_value(monkeypatch):
    built = engine()
    built.test_loader = {"target": {"query": "query", "gallery": "gallery"}}
    monkeypatch.setattr(built, "extract", lambda loader, description: PEOPLE)
    built.test(dist_metric="euclidean", ranks=[1, 2, 3, 4, 20])
    assert built.results["target"]["cmc"] == {1: 0.5, 2: 1.0, 3: 1.0, 4: 1.0, 20: 1.0}
    assert built.results["target"]["mAP"] == 0.75


def test_normalised_features_have_the_distances_of_features_of_length_one():
    found = distance_matrix(PEOPLE, PEOPLE, "euclidean", normalize_feature=True)
    same = PEOPLE.pids[:, None] == PEOPLE.pids
    np.testing.assert_allclose(found, np.where(same, 0, 2), atol=1e-6)


def test_distances_are_kept_when_asked_for():
    built = engine()
    built.test(dist_metric="cosine")
    assert built.distances == {}
    built.test(dist_metric="euclidean", keep_distances=True)
    assert built.distances.keys() == {"first", "second"}
    query, gallery = (built.test_loader["first"][name] for name in ("query", "gallery"))
    found = built.distances["first"]
    features = [built.extract(loader, "test").features for loader in (query, gallery)]
    np.testing.assert_allclose(found.distmat, torch.cdist(*features).square(), atol=1e-5)
    assert found.q_pids.tolist() == [5, 6]
    assert found.q_camids.tolist() != found.g_camids.tolist()


@pytest.mark.parametrize("metric", ["kissme", "xqda"])
def test_a_learned_metric_is_fitted_to_the_training_tracklets(metric, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(6).repeat(2), np.tile([0, 1], 6)

    def features(noise):
        seen = rng.normal(size=(6, 2)).repeat(2, axis=0)
        parts = [seen + 0.05 * rng.normal(size=(12, 2)), noise * rng.normal(size=(12, 2))]
        return Features(torch.tensor(np.concatenate(parts, axis=1)).float(), *labels)

    known, asked = features(5.0), features(5.0)
    built = engine()
    built.datamanager.train_dataset = "training tracklets"
    built.datamanager.loader_of = lambda tracklets: tracklets
    built.test_loader = {"target": {"query": "query", "gallery": "gallery"}}
    sets = {"training tracklets": known, "query": asked, "gallery": asked}
    monkeypatch.setattr(built, "extract", lambda loader, description: sets[loader])
    scores = {}
    for name in ("euclidean", metric):
        built.test(dist_metric=name)
        scores[name] = built.results["target"]["mAP"]
    assert scores[metric] > scores["euclidean"] + 0.2
    # Its options reach it: the component that varies most is noise.
    if metric == "kissme":
        built.metric_options = {"num_components": 1}
        built.test(dist_metric=metric)
        assert built.results["target"]["mAP"] < scores[metric] - 0.2
