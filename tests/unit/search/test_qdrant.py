import numpy as np
import pytest
from support import qdrant_in_memory

from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.qdrant import QdrantCollection

HASH, DIM = "a1" * 32, 8


def fill(folder, name, features):
    gallery = Gallery.create(folder, HASH, DIM)
    gallery.add(
        [
            GalleryTracklet(f"{name} {n}\n", (f"/{n}/1.jpg", f"/{n}/2.jpg"), n % 2 or None, 0.5 * n)
            for n in range(len(features))
        ],
        features,
        HASH,
    )
    return gallery


@pytest.fixture
def collection():
    return QdrantCollection(qdrant_in_memory(), "people")


@pytest.fixture
def features():
    return np.random.default_rng(0).standard_normal((40, DIM)).astype("f4")


def test_the_collection_finds_what_the_gallery_finds(collection, features, tmp_path):
    gallery = fill(tmp_path, "a", features)
    assert collection.mirror(gallery) == (40, 0)
    assert len(collection) == len(gallery) == 40
    query = features[3] + 0.1
    for camera in (None, 1):
        expected = gallery.search(query, HASH, 40, other_than_camera=camera)
        found = collection.search(query, HASH, 40, other_than_camera=camera)
        assert [match.tracklet for match in found] == [match.tracklet for match in expected]
        np.testing.assert_allclose(
            [match.distance for match in found], [m.distance for m in expected], atol=2e-6
        )
    assert len(collection.search(query, HASH, 3)) == 3


def test_mirroring_again_adds_new_and_deletes_removed_tracklets(collection, features, tmp_path):
    gallery = fill(tmp_path / "a", "a", features[:20])
    other = fill(tmp_path / "b", "b", features[20:])
    collection.mirror(gallery)
    assert collection.mirror(other) == (20, 0)
    gallery.remove([1, 2])
    gallery.add([GalleryTracklet("new", ("/new.jpg",))], features[:1], HASH)
    assert collection.mirror(gallery) == (1, 2)
    assert collection.mirror(gallery) == (0, 0)
    found = [match.tracklet.name for match in collection.search(features[0], HASH, 100)]
    assert found[0] == "new" and len(found) == 19 + 20 and "a 1\n" not in found


def test_another_model_is_refused_with_both_hashes(collection, features, tmp_path):
    collection.mirror(fill(tmp_path / "a", "a", features))
    other = Gallery.create(tmp_path / "b", "b2" * 32, DIM)
    both = f"checkpoint {'b2' * 32} .*the collection people has those of checkpoint {HASH}"
    with pytest.raises(ValueError, match=both):
        collection.mirror(other)
    with pytest.raises(ValueError, match=both):
        collection.search(features[0], "b2" * 32)


def test_invalid_queries_are_refused(collection, features, tmp_path):
    collection.mirror(fill(tmp_path / "a", "a", features))
    with pytest.raises(ValueError, match="Received top 0, but expected to be at least 1"):
        collection.search(features[0], HASH, top=0)
    with pytest.raises(ValueError, match="not finite"):
        collection.search(features[0] * float("nan"), HASH)


def test_the_error_names_a_server_that_does_not_answer():
    with pytest.raises(ConnectionError, match=r"No Qdrant server answers at http://127.0.0.1:9"):
        QdrantCollection.at("http://127.0.0.1:9", "people")
