import numpy as np
import pytest
import torch

from torchreid_occ._torchreid import torchreid
from torchreid_occ.engine.evaluation import Features, distance_matrix
from torchreid_occ.metrics import re_rank
from torchreid_occ.metrics.re_ranking import shared_neighbours


def problem(num_queries=12, num_items=90, people=9):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(people, 8))
    features = centres[np.arange(num_items) % people] + 0.7 * rng.normal(size=(num_items, 8))
    distmat = np.square(features[:, None] - features).sum(2).astype(np.float32)
    return distmat, num_queries


@pytest.mark.parametrize(("k1", "k2", "share"), [(20, 6, 0.3), (9, 1, 0.0), (5, 3, 0.8)])
@pytest.mark.parametrize("block", [1, 17, 512])
def test_equals_torchreid(k1, k2, share, block):
    distmat, queries = problem()
    parts = distmat[:queries, queries:], distmat[:queries, :queries], distmat[queries:, queries:]
    expected = torchreid.utils.re_ranking(*parts, k1, k2, share)
    found = re_rank(distmat.__getitem__, queries, len(distmat), k1, k2, share, block)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.std() > 0.1


def test_fewer_items_than_neighbours():
    distmat, _ = problem(2, 10)
    found = re_rank(distmat[:10, :10].__getitem__, 2, 10)
    assert found.shape == (2, 8)
    assert np.isfinite(found).all()


def test_never_more_rows_than_a_block_are_asked_for():
    distmat, queries = problem()
    asked = []

    def distances(rows):
        asked.append(rows.stop - rows.start)
        return distmat[rows]

    re_rank(distances, queries, len(distmat), block=8)
    assert max(asked) == 8


def test_the_engines_distances_are_re_ranked():
    generator = torch.Generator().manual_seed(0)
    query, gallery = (torch.randn(n, 8, generator=generator) for n in (7, 60))
    sets = [Features(part, np.zeros(len(part)), np.zeros(len(part))) for part in (query, gallery)]
    found = distance_matrix(*sets, "cosine", rerank=True)
    pairs = ((query, gallery), (query, query), (gallery, gallery))
    compute = torchreid.metrics.compute_distance_matrix
    expected = torchreid.utils.re_ranking(*(compute(*pair, "cosine").numpy() for pair in pairs))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_shared_neighbours_are_the_jaccard_part_of_re_ranking():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(60, 8))
    distances = np.linalg.norm(items[:, None] - items, axis=2)
    expected = 1 - re_rank(lambda rows: distances[rows], 20, 60, 10, 3, lambda_value=0)
    found = shared_neighbours(lambda rows: distances[rows], 60, 10, 3)
    assert (found == found.T).all()
    np.testing.assert_allclose(found[:20, 20:], expected, atol=1e-5)
