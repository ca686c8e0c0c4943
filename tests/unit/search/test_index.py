import numpy as np
import pytest
from support import qdrant_in_memory

from torchreid_occ.search import KINDS, Gallery, GalleryTracklet, graph
from torchreid_occ.search.index import FeatureIndex
from torchreid_occ.search.qdrant import QdrantCollection

DIM = 64
# Relative deviations of the features that repeat.
SPREADS = (0, 1e-6, 1e-3)


def with_repeats(spread, repeats=600, others=2400):
    """Features of which some are nearly equal, in random order, and the places of the rest."""
    rng = np.random.default_rng(0)
    one = rng.standard_normal((1, DIM)) * (1 + spread * rng.standard_normal((repeats, DIM)))
    order = rng.permutation(repeats + others)
    features = np.concatenate([one, rng.standard_normal((others, DIM))])[order].astype("f4")
    return features, np.flatnonzero(order >= repeats)


def filled(kind, features, block=1000):
    index = FeatureIndex(kind, DIM)
    for start in range(0, len(features), block):
        ids = np.arange(start, min(start + block, len(features))) + 1
        index.add(ids, features[start : start + block])
    return index


@pytest.mark.parametrize("spread", SPREADS)
def test_a_graph_loses_nobody_when_others_repeat(spread):
    features, others = with_repeats(spread)
    index = filled("hnsw", features)
    found = [index.search(features[place], 1)[0][0] for place in others[:300]]
    assert found == (others[:300] + 1).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_of_equally_near_ones_the_first_are_found(kind, tmp_path):
    features, _ = with_repeats(0)
    rows = features.view(f"V{features.itemsize * DIM}").ravel()
    unique, counts = np.unique(rows, return_counts=True)
    equal = np.flatnonzero(rows == unique[counts.argmax()]) + 1
    index = filled(kind, features)
    with (tmp_path / "index").open("wb") as file:
        index.write(file)
    for one in (index, FeatureIndex.read(tmp_path / "index", kind)):
        for top in (1, 3, 10, 599, 600):
            ids, distances = one.search(features[equal[0] - 1], top)
            assert ids.tolist() == equal[:top].tolist()
            assert set(distances.tolist()) == {distances[0]}
        ids, _ = one.search(features[equal[0] - 1], 5, allowed=equal[100:])
        assert ids.tolist() == equal[100:105].tolist()
        # Some nearer ones before the equal ones.
        query = features[equal[0] - 1] + features[0] * (0.9 if equal[0] > 1 else 0)
        exact = index.search(query, 40)[0]
        assert exact.tolist() == filled("exact", features).search(query, 40)[0].tolist()


def test_a_filter_that_leaves_few_finds_as_many_as_asked(monkeypatch):
    features, _ = with_repeats(0)
    index, exact = filled("hnsw", features), filled("exact", features)
    allowed = np.arange(7, 3000, 60)
    for few in (graph._FEW, 0):  # compared one by one; by the graph, and then one by one
        monkeypatch.setattr(graph, "_FEW", few)
        for query in features[:20]:
            ids, distances = index.search(query, 30, allowed)
            expected = exact.search(query, 30, allowed)
            assert ids.tolist() == expected[0].tolist()
            np.testing.assert_allclose(distances, expected[1], atol=2e-6)


def test_a_graph_of_an_earlier_version_is_refused(tmp_path):
    with (tmp_path / "index").open("wb") as file:
        filled("exact", with_repeats(0)[0][:9]).write(file)
    with pytest.raises(RuntimeError, match="an earlier version wrote it"):
        FeatureIndex.read(tmp_path / "index", "hnsw")


@pytest.mark.parametrize("kind", KINDS)
def test_features_beside_a_removed_one_are_found(kind, tmp_path):
    features = np.ones((12, DIM))
    gallery = Gallery.create(tmp_path, "a", DIM, kind)
    gallery.add([GalleryTracklet(f"t{n}", (f"/{n}.jpg",)) for n in range(12)], features, "a")
    gallery.save_index()
    gallery.remove([1, 3])
    found = gallery.search(features[0], "a", top=4)
    assert [match.id for match in found] == [2, 4, 5, 6]
    gallery.remove([2, 4, 5])  # more than a fifth is gone: built anew
    assert [match.id for match in gallery.search(features[0], "a", top=4)] == [6, 7, 8, 9]


def test_every_engine_orders_equally_near_ones_by_id(tmp_path):
    features, _ = with_repeats(0, repeats=200, others=800)
    query = features[0] + 0.1 * features[1]
    found = []
    for kind in KINDS:
        gallery = Gallery.create(tmp_path / kind, "a", DIM, kind)
        tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",), n % 3) for n in range(1000)]
        gallery.add(tracklets, features, "a")
        collection = QdrantCollection(qdrant_in_memory(), "people")
        collection.mirror(gallery)
        found += [place.search(query, "a", 50, 1) for place in (gallery, collection)]
    assert len({tuple(match.id for match in one) for one in found}) == 1
    equal = [match.id for match in found[0] if match.distance == found[0][20].distance]
    assert len(equal) > 20 and equal == sorted(equal)
