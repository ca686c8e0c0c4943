import sqlite3

import numpy as np
import pytest

from torchreid_occ.search import KINDS, Gallery, GalleryTracklet, codes, graph
from torchreid_occ.search.index import FeatureIndex
from torchreid_occ.search.store import TrackletStore
from torchreid_occ.search.stored_index import FILTERS

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


class Source:
    """The features that an index is made of, with ids from 1 on."""

    def __init__(self, features):
        self._features = features

    def ids(self):
        return np.arange(len(self._features)) + 1

    def features_of(self, ids):
        return {number: self._features[number - 1] for number in ids}


def filled(kind, features, block=1000):
    index = FeatureIndex(kind, DIM, Source(features))
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
    for one in (index, FeatureIndex.read(tmp_path / "index", kind, Source(features))):
        for top in (1, 3, 10, 599, 600):
            ids, distances = one.search(features[equal[0] - 1], top)
            assert ids.tolist() == equal[:top].tolist()
            assert set(distances.tolist()) == {distances[0]}
        ids, _ = one.search(features[equal[0] - 1], 5, one.allow(equal[100:]))
        assert ids.tolist() == equal[100:105].tolist()
        # Some nearer ones before the equal ones.
        query = features[equal[0] - 1] + features[0] * (0.9 if equal[0] > 1 else 0)
        exact = index.search(query, 40)[0]
        assert exact.tolist() == filled("exact", features).search(query, 40)[0].tolist()


def test_a_filter_that_leaves_few_finds_as_many_as_asked(monkeypatch):
    features, _ = with_repeats(0)
    index, exact = filled("hnsw", features), filled("exact", features)
    allowed = np.arange(7, 3000, 60)
    for few in (graph._FEW, 0):  # compared one by one; by the graph
        monkeypatch.setattr(graph, "_FEW", few)
        for query in features[:20]:
            ids, distances = index.search(query, 30, index.allow(allowed))
            expected = exact.search(query, 30, exact.allow(allowed))
            assert ids.tolist() == expected[0].tolist()
            np.testing.assert_allclose(distances, expected[1], atol=2e-6)
    monkeypatch.setattr(graph, "BREADTH_OF_SEARCH", 1)  # such a search of the graph ends too early
    for query in features[:20]:
        assert len(index.search(query, 45, index.allow(allowed))[0]) == 45


def test_the_nearest_may_share_the_node_of_one_that_is_not():
    angles = np.array([[1.0, 1.0 - 1.2e-3, 0.0], [0.0, 0.0, 1.0 - 0.6e-3]])  # in two planes
    features = np.zeros((3, DIM), np.float32)
    features[:, 0] = np.cos(angles.sum(0))
    features[:, 1:3] = np.sin(angles).T
    index = filled("hnsw", features)
    assert len(np.unique(index._index._node)) == 2
    assert [index.search(np.eye(DIM)[0], top)[0].tolist() for top in (1, 3)] == [[2], [2, 3, 1]]


def test_a_graph_of_an_earlier_version_is_refused(tmp_path):
    with (tmp_path / "index").open("wb") as file:
        filled("exact", with_repeats(0)[0][:9]).write(file)
    with pytest.raises(RuntimeError, match="an earlier version wrote it"):
        FeatureIndex.read(tmp_path / "index", "hnsw", Source(np.empty((0, DIM))))


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


def test_every_engine_orders_equally_near_ones_by_id(tmp_path, qdrant_url):
    features, _ = with_repeats(0, repeats=200, others=800)
    query = features[0] + 0.1 * features[1]
    found = []
    for place, kind in [*((tmp_path / kind, kind) for kind in KINDS), (qdrant_url, "exact")]:
        gallery = Gallery.create(place, "a", DIM, kind)
        tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",), n % 3) for n in range(1000)]
        gallery.add(tracklets, features, "a")
        found.append(gallery.search(query, "a", 50, 1))
    assert len({tuple(match.id for match in one) for one in found}) == 1
    equal = [match.id for match in found[0] if match.distance == found[0][20].distance]
    assert len(equal) > 20 and equal == sorted(equal)


def drawn(people, rng, of_one=8):
    """Tracklets of people about their centres."""
    centres = np.repeat(rng.standard_normal((people, DIM)), of_one, 0)
    return (centres + 0.3 * rng.standard_normal(centres.shape)).astype("f4")


def test_codes_find_nearly_all_that_is_near():
    rng = np.random.default_rng(0)
    features = drawn(2500, rng)  # 20,000
    index, exact = filled("codes", features, 4000), filled("exact", features, 4000)
    assert 4 < index._index._index.nlist <= len(features) // 40
    shares = []
    for place in range(0, 20_000, 400):
        ids, distances = index.search(features[place], 10)
        expected, true_distances = exact.search(features[place], 10)
        shares.append(np.isin(expected, ids).mean())
        both = np.isin(ids, expected)
        true = dict(zip(expected.tolist(), true_distances.tolist(), strict=True))
        np.testing.assert_allclose(distances[both], [true[n] for n in ids[both]], atol=1e-6)
    assert np.mean(shares) > 0.99


def test_codes_are_an_eighth_of_the_features_on_disk(tmp_path):
    features = drawn(2500, np.random.default_rng(0))
    index = filled("codes", features)
    with (tmp_path / "index").open("wb") as file:
        index.write(file)
    # A code, an id and a share of the lists' centres.
    assert (tmp_path / "index").stat().st_size < len(features) * (DIM / 2 + 8 + 4 * DIM / 39) + 9999


def test_codes_searched_in_few_lists_give_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr(codes, "PROBES", 1)
    features = drawn(2500, np.random.default_rng(0))
    index = filled("codes", features)
    allowed = np.arange(7, 20_000, 500)
    ids, distances = index.search(features[0], 30, index.allow(allowed))
    assert len(ids) == 30 and set(ids) <= {*allowed} and (np.diff(distances) >= 0).all()
    assert len(index.search(features[0], 500, index.allow(allowed))[0]) == len(allowed)


def test_codes_are_arranged_anew_when_a_gallery_has_grown(tmp_path):
    features = drawn(500, np.random.default_rng(0))
    gallery = Gallery.create(tmp_path, "a", DIM, "codes")
    assert gallery.search(features[0], "a") == []
    lists = []
    for start, end in ((0, 100), (100, 200), (200, 4000)):
        names = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",)) for n in range(start, end)]
        gallery.add(names, features[start:end], "a")
        assert [match.id for match in gallery.search(features[start], "a", 1)] == [start + 1]
        lists.append(gallery._index.refreshed()._index._index.nlist)
    assert lists[0] == lists[1] == 2 and lists[2] > 10


def test_an_index_in_use_follows_changes_by_others(tmp_path):
    features = drawn(20, np.random.default_rng(0))
    tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",)) for n in range(160)]
    for kind in KINDS:
        gallery = Gallery.create(tmp_path / kind, "a", DIM, kind)
        gallery.add(tracklets[:100], features[:100], "a")
        gallery.save_index()
        reader = Gallery(tmp_path / kind)
        assert reader.search(features[40], "a", 1)[0].id == 41
        gallery.remove([41, 42])
        gallery.add(tracklets[100:], features[100:], "a")
        for one in (reader, Gallery(tmp_path / kind)):  # from memory, from the file
            assert {match.id for match in one.search(features[40], "a", 200)} == {
                *range(1, 41), *range(43, 161)
            }  # fmt: skip
        gallery.erase([43], "id")
        assert 43 not in {match.id for match in reader.search(features[42], "a", 200)}


def test_a_file_without_notes_of_removals_is_compared_whole(tmp_path):
    features = drawn(20, np.random.default_rng(0))
    tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",)) for n in range(160)]
    gallery = Gallery.create(tmp_path, "a", DIM)
    gallery.add(tracklets, features, "a")
    gallery.save_index()
    raw = sqlite3.connect(tmp_path / "gallery.sqlite")
    raw.execute("DROP TRIGGER note_removal")
    raw.execute("UPDATE about SET value = NULL WHERE key = 'index_removals'")
    raw.commit()
    gallery.remove([5])
    assert gallery._store.removals() is None
    assert 5 not in {match.id for match in gallery.search(features[4], "a", 160)}
    # Opening it again notes removals from then on.
    assert len(Gallery(tmp_path).search(features[4], "a", 160)) == 159
    assert Gallery(tmp_path)._store.removals() is not None


def test_codes_without_a_source_and_in_a_database_are_refused():
    with pytest.raises(ValueError, match="'codes' needs a source of features"):
        FeatureIndex("codes", DIM)
    with pytest.raises(ValueError, match=r"kind .codes., but expected to be one of"):
        Gallery.create("postgresql://localhost/none", "a", DIM, "codes")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kept_filter_follows_what_is_added_and_removed(tmp_path, kind):
    features = drawn(120, np.random.default_rng(0))
    gallery = Gallery.create(tmp_path, "a", DIM, kind)
    one_more = Gallery(tmp_path)  # changes come from elsewhere, too
    filters = [(), (0,), (1, 2), (0, 1, 2)]
    left = {}
    for step, changed in enumerate((gallery, one_more, gallery)):
        new = range(40 * step, 40 * step + 40)
        ids = changed.add(
            [GalleryTracklet(f"t{n}", (f"{n}.jpg",), n % 4) for n in new], features[new], "a"
        )
        left.update(zip(ids, new, strict=True))
        changed.remove(ids[:3])
        for number in ids[:3]:
            del left[number]
        for cameras in [*filters, *filters]:
            found = [match.id for match in gallery.search(features[5], "a", 9, cameras)]
            allowed = [number for number, place in left.items() if place % 4 not in cameras]
            nearest = sorted(
                allowed, key=lambda number: -similarity(features[left[number]], features[5])
            )
            assert found == nearest[:9]


def test_only_the_last_filters_are_kept(tmp_path, monkeypatch):
    features = drawn(60, np.random.default_rng(0), 1)
    gallery = Gallery.create(tmp_path, "a", DIM, "exact")
    gallery.add([GalleryTracklet(f"t{n}", (f"{n}.jpg",), n) for n in range(60)], features, "a")
    asked = []
    ids = TrackletStore.ids
    monkeypatch.setattr(TrackletStore, "ids", lambda *given: asked.append(given[1:]) or ids(*given))
    for camera in [*range(FILTERS), 0, FILTERS, 1, 0]:
        assert camera not in [
            m.tracklet.camera for m in gallery.search(features[camera], "a", 60, camera)
        ]
    # The second search without camera 0 asks for nothing; the one more filter replaces it.
    assert asked == [((camera,),) for camera in [*range(FILTERS), FILTERS, 0]]


def similarity(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)
