import numpy as np
import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.metrics import rank_features, rank_queries


def problem(seed, num_q=30, num_g=200, ids=12, cams=3):
    """Features of few whole numbers: products are exact, many distances are tied."""
    rng = np.random.default_rng(seed)
    query, gallery = (
        torch.from_numpy(rng.integers(-1, 2, (n, 4)).astype(np.float32)) for n in (num_q, num_g)
    )
    labels = [
        rng.integers(n, size=size)
        for n, size in ((ids + 2, num_q), (ids, num_g), (cams, num_q), (cams, num_g))
    ]
    return query, gallery, *labels


def with_ties_by_index(distmat, *labels, **options):
    """What `rank_queries` gives for distances of the same order in which none is tied."""
    order = np.argsort(distmat, axis=1, kind="stable")
    ranks = np.empty(distmat.shape)
    np.put_along_axis(ranks, order, np.arange(distmat.shape[1], dtype=float)[None], axis=1)
    return rank_queries(ranks, *labels, **options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("block", [(1, 1), (7, 13), (1024, 16384)])
def test_equals_ranking_by_all_distances(seed, block):
    query, gallery, *labels = problem(seed)
    distmat = torch.cdist(query.double(), gallery.double()).square().round().numpy()
    expected = with_ties_by_index(distmat, *labels)
    found = rank_features(query, gallery, *labels, block=block)
    assert found.queries.tolist() == expected.queries.tolist()
    np.testing.assert_array_equal(found.cmc, expected.cmc)
    np.testing.assert_allclose(found.average_precision, expected.average_precision, rtol=1e-12)
    np.testing.assert_array_equal(found.inverse_penalty, expected.inverse_penalty)


def test_cosine_of_real_numbers():
    query, gallery, *labels = problem(0)
    generator = torch.Generator().manual_seed(0)
    query, gallery = (torch.randn(part.shape, generator=generator) for part in (query, gallery))
    distmat = 1 - F.normalize(query) @ F.normalize(gallery).T
    expected = rank_queries(distmat.numpy(), *labels, max_rank=5)
    found = rank_features(query, gallery, *labels, dist_metric="cosine", max_rank=5, block=(8, 32))
    np.testing.assert_array_equal(found.cmc, expected.cmc)
    np.testing.assert_allclose(found.average_precision, expected.average_precision, rtol=1e-12)
    np.testing.assert_array_equal(found.inverse_penalty, expected.inverse_penalty)


def test_copies_of_a_feature_are_tied_wherever_they_lie():
    feature = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    gallery = feature.expand(50, 64)
    pids = np.arange(50)
    found = rank_features(feature + 1, gallery, [33], pids, [0], np.ones(50), block=(1, 7))
    assert found.average_precision.tolist() == [1 / 34]


def test_copies_are_tied_for_single_queries():
    generator = torch.Generator().manual_seed(0)
    people = torch.randn(50, 256, generator=generator)
    shown = torch.randperm(1050, generator=generator) % 50
    query = torch.randn(1, 256, generator=generator)
    nearest = (1 - F.normalize(query) @ F.normalize(people).T)[0].argsort().argsort().numpy()
    ranks = np.argsort(np.argsort(nearest[shown], kind="stable"), kind="stable")
    pids = np.arange(1050)
    some = pids[-70:]  # products of single rows round the last columns differently
    found = rank_features(
        query.expand(70, 256), people[shown], some, pids, np.zeros(70), np.ones(1050), "cosine",
        block=(1, 16384),
    )  # fmt: skip
    np.testing.assert_allclose(1 / found.average_precision, 1 + ranks[some], rtol=1e-9)


def test_a_gallery_mapped_from_a_file(tmp_path):
    query, gallery, *labels = problem(1)
    np.save(tmp_path / "gallery.npy", gallery.numpy())
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    expected = rank_features(query, gallery, *labels)
    found = rank_features(query, mapped, *labels, block=(16, 16))
    np.testing.assert_array_equal(found.average_precision, expected.average_precision)


def test_no_query_with_a_match():
    found = rank_features(torch.ones(1, 2), torch.ones(3, 2), [5], [1, 2, 5], [0], [0, 0, 0])
    assert len(found.queries) == 0
    with pytest.raises(ValueError, match="None of the queries"):
        found.mean()


def test_errors():
    query, gallery, *labels = problem(0)
    with pytest.raises(ValueError, match='Received dist_metric "dot", but expected to be one of'):
        rank_features(query, gallery, *labels, dist_metric="dot")
    with pytest.raises(ValueError, match=r"features of shapes \(30, 4\) and \(200, 3\)"):
        rank_features(query, gallery[:, :3], *labels)
    with pytest.raises(ValueError, match="Received 200 pids and 200 camids for 199 gallery items"):
        rank_features(query, gallery[1:], *labels)
    with pytest.raises(ValueError, match="Some query features are not finite"):
        rank_features(query * torch.nan, gallery, *labels)
    gallery[7, 0] = torch.inf
    with pytest.raises(ValueError, match="Some gallery features are not finite"):
        rank_features(query, gallery, *labels)
