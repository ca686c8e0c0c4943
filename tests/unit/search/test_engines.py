"""One suite for all engines of galleries: SQLite with FAISS, PostgreSQL with pgvector, Qdrant."""

import json
import sys
import time
from itertools import product

import numpy as np
import pytest

from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.documents import IDENTITIES
from torchreid_occ.search.erasure import choose
from torchreid_occ.search.faiss_library import faiss

HASH, DIM, COUNT = "a1" * 32, 16, 90
FEATURES = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype("f4")
FEATURES[40:60] = FEATURES[40] * np.repeat(np.float32([0.5, 1, 2, 4]), 5)[:, None]  # equally near
FEATURES[70] = 0
GALLERIES = (
    "folder exact", "folder hnsw", "folder codes", "postgres exact", "postgres hnsw",
    "qdrant exact",
)  # fmt: skip


def tracklet(number):
    camera = None if number % 7 == 6 else number % 7
    name = f"gallery/person {number // 2}/{number} 'ü'\n\\"
    return GalleryTracklet(name, (f"/f/{number}/1.jpg", f"/f/{number}/2.jpg"), camera, 0.5, number)


TRACKLETS = [tracklet(number) for number in range(COUNT)]


@pytest.fixture(params=GALLERIES)
def place(request, tmp_path):
    where, kind = request.param.split()
    address = tmp_path / "g" if where == "folder" else request.getfixturevalue(f"{where}_url")
    return address, kind


@pytest.fixture
def gallery(place):
    return Gallery.create(place[0], HASH, DIM, place[1])


def fill(gallery, numbers=range(COUNT)):
    ids = gallery.add([TRACKLETS[n] for n in numbers], FEATURES[[*numbers]], HASH)
    gallery.save_index()
    return ids


def expected(query, cameras=()):
    """Numbers of the tracklets, nearest first, and of those equally near the lower ones first."""
    lengths = np.linalg.norm(FEATURES, axis=1)
    units = FEATURES / np.maximum(lengths, 1e-12)[:, None]
    distances = (1 - units @ (query / np.linalg.norm(query))).round(5)
    order = np.lexsort((np.arange(COUNT), distances))
    return [n for n in order.tolist() if TRACKLETS[n].camera not in cameras], distances


@pytest.mark.parametrize("cameras", [(), (0,), (0, 1, 2, 3, 4)])
def test_the_nearest_are_found_in_order_and_never_fewer(gallery, cameras):
    fill(gallery)
    queries = FEATURES[3] + 0.1, FEATURES[45], -FEATURES[45]
    for query, top in product(queries, [1, 10, 45, COUNT, 200]):
        found = gallery.search(query, HASH, top, other_than_camera=cameras)
        numbers, distances = expected(query, cameras)
        assert [match.id - 1 for match in found] == numbers[:top]
        np.testing.assert_allclose(
            [match.distance for match in found], distances[numbers[:top]], atol=1e-5
        )
        assert [match.tracklet for match in found] == [TRACKLETS[n] for n in numbers[:top]]


def test_the_number_of_tracklets_and_the_model_are_known(gallery):
    fill(gallery)
    assert len(gallery) == COUNT
    gallery.check_model(HASH, DIM)
    for other in (("b2" * 32, DIM), (HASH, 2 * DIM)):
        with pytest.raises(ValueError, match=f"checkpoint {other[0]} with {other[1]} values each"):
            gallery.check_model(*other)
    with pytest.raises(ValueError, match="use that checkpoint, or index anew into another place"):
        gallery.search(FEATURES[0], "b2" * 32)


def test_invalid_queries_are_refused(gallery):
    with pytest.raises(ValueError, match="Received top 0, but expected to be at least 1"):
        gallery.search(FEATURES[0], HASH, top=0)
    with pytest.raises(ValueError, match="not finite"):
        gallery.search(FEATURES[0] * np.nan, HASH)


def test_tracklets_are_listed_as_they_were_added(gallery, place):
    assert fill(gallery, range(20)) == [*range(1, 21)]
    assert fill(gallery, range(10, 30)) == [*range(11, 31)]
    opened = Gallery(place[0])
    assert [*opened.tracklets()] == [(n + 1, TRACKLETS[n]) for n in range(30)]
    assert opened.ids().tolist() == [*range(1, 31)]
    assert opened.get([5, 999]) == {5: TRACKLETS[4]}
    ((number, feature),) = opened.features_of([5, 999]).items()
    assert number == 5 and np.corrcoef(feature, FEATURES[4])[0, 1] == pytest.approx(1)
    assert (opened.kind, opened.checkpoint_hash, opened.feature_dim) == (place[1], HASH, DIM)
    assert opened.uuid == gallery.uuid
    for number, (_, stored, feature) in enumerate(opened.entries()):
        assert stored == TRACKLETS[number]
        cosine = feature @ FEATURES[number] / np.linalg.norm(feature)
        assert cosine == pytest.approx(np.linalg.norm(FEATURES[number]), rel=1e-5)


def test_ids_are_never_used_twice(gallery, place):
    fill(gallery, range(10))
    gallery.remove([10, 9])
    assert fill(Gallery(place[0]), range(8, 12)) == [11, 12, 13, 14]
    gallery.erase([14], "id")
    assert gallery.add([TRACKLETS[20]], FEATURES[20:21], HASH) == [15]


def test_removal_is_all_or_none(gallery):
    fill(gallery, range(10))
    with pytest.raises(KeyError, match=r"no tracklets with the ids \[11\]: nothing was removed"):
        gallery.remove([1, 11])
    assert len(gallery) == 10
    gallery.remove([1, 2])
    assert {match.id for match in gallery.search(FEATURES[0], HASH, 20)} == {*range(3, 11)}


def test_adding_is_all_or_none(gallery):
    fill(gallery, range(5))
    taken = TRACKLETS[0]._replace(frames=("/other.jpg",))
    with pytest.raises(ValueError, match="with the id 1 and other frames"):
        gallery.add([TRACKLETS[6], taken], FEATURES[6:8], HASH)
    with pytest.raises(ValueError, match="Names must differ"):
        gallery.add([TRACKLETS[6], TRACKLETS[6]], FEATURES[6:8], HASH)
    with pytest.raises(ValueError, match="not finite"):
        gallery.add([TRACKLETS[6]], FEATURES[6:7] + np.inf, HASH)
    with pytest.raises(ValueError, match="checkpoint"):
        gallery.add([TRACKLETS[6]], FEATURES[6:7, :8], HASH)
    with pytest.raises(ValueError, match="is not UTF-8 text: give it another name"):
        gallery.add([TRACKLETS[6], TRACKLETS[7]._replace(name="\udcff")], FEATURES[6:8], HASH)
    assert len(gallery) == 5
    assert fill(gallery, range(6, 7)) == [6]


def test_frames_that_are_no_text_are_kept(gallery):
    odd = GalleryTracklet("odd", ("/\udcff/1.jpg", "/\udcff/\x02.jpg"))
    (number,) = gallery.add([odd], FEATURES[:1], HASH)
    assert gallery.get([number]) == {number: odd}


def test_tracklets_take_the_place_of_others(gallery):
    fill(gallery, range(5))
    new = TRACKLETS[2]._replace(frames=("/new.jpg",), stamp="s", content="c")
    assert gallery.add([new], FEATURES[8:9], HASH, in_place_of=[3]) == [6]
    assert gallery.by_content(["c", "d"]) == {"c": (6, new)}
    people = {"format": 1, "people": {"1": [new.name, "y"]}, "merged": [[new.name, "y"]]}
    gallery.documents.write(IDENTITIES, json.dumps({**people, "split": []}).encode())
    moved = new._replace(
        name="renamed", camera=7, start=1.5, end=2.5, frames=("/moved.jpg",), stamp="t"
    )
    gallery.set_frames({6: moved})
    assert gallery.get([6]) == {6: moved} and gallery.by_name([moved]) == {"renamed": (6, moved)}
    people = json.loads(gallery.documents.read(IDENTITIES))
    assert (people["people"], people["merged"]) == ({"1": ["renamed", "y"]}, [["renamed", "y"]])
    assert gallery.search(FEATURES[8], HASH, 1)[0].tracklet == moved


def test_the_kind_can_be_changed(gallery, place):
    fill(gallery)
    found = [match.id for match in gallery.search(FEATURES[3], HASH, COUNT)]
    for kind in ("hnsw", "exact"):
        changed = Gallery.create(place[0], HASH, DIM, kind)
        changed.save_index()
        assert changed.kind == gallery.kind == kind
        assert [match.id for match in gallery.search(FEATURES[3], HASH, COUNT)] == found
    assert Gallery.create(place[0], HASH, DIM).kind == "exact"
    with pytest.raises(ValueError, match="kind"):
        Gallery.create(place[0], HASH, DIM, "ivf")


def test_another_checkpoint_or_length_is_refused(gallery, place):
    with pytest.raises(ValueError, match=f"has those of checkpoint {HASH} with {DIM}"):
        Gallery.create(place[0], "b2" * 32, DIM)
    with pytest.raises(ValueError, match=f"has those of checkpoint {HASH} with {DIM}"):
        Gallery.create(place[0], HASH, DIM + 1)


def test_a_place_without_a_gallery_is_an_error(place):
    with pytest.raises(FileNotFoundError, match=r"There is no gallery in .*index` makes one"):
        Gallery(place[0])


def test_changes_of_others_are_seen(gallery, place):
    fill(gallery, range(10))
    assert len(gallery.search(FEATURES[3], HASH, 50)) == 10
    other = Gallery(place[0])
    fill(other, range(10, 20))
    other.remove([4])
    found = gallery.search(FEATURES[3], HASH, 50)
    assert len(found) == len(gallery) == 19 and 4 not in {match.id for match in found}


def test_erasing_counts_and_can_be_repeated(gallery):
    fill(gallery, range(10))
    gallery.remove([3])
    assert gallery.erase([1, 2, 3], "id") == 2
    assert gallery.erase([1, 2, 3], "id") == 0
    with pytest.raises(KeyError, match=r"There never were tracklets \[0, 11\] in"):
        gallery.erase([0, 4, 11], "id")
    assert gallery.ids().tolist() == [*range(4, 11)]
    assert len(gallery.search(FEATURES[0], HASH, 20)) == 7


def test_tracklets_are_chosen_by_person_and_age(gallery, place, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    fill(gallery, range(4))
    monkeypatch.setattr(time, "time", lambda: now)
    fill(gallery, range(4, 6))
    assert choose(gallery, person="person 1") == ([3, 4], "person")
    assert choose(gallery, older_than=3500).ids == [1, 2, 3, 4]
    assert gallery.added_before(None) == []
    assert gallery.retention is None
    gallery.retention = 3500.5
    assert choose(Gallery(place[0]), expired=True).ids == [1, 2, 3, 4]


def test_the_checkpoint_is_remembered(gallery, place, tmp_path):
    assert gallery.checkpoint is None
    gallery.remember_checkpoint(tmp_path / "model.pth.tar-1")
    assert Gallery(place[0]).checkpoint == tmp_path / "model.pth.tar-1"


def test_a_package_that_is_missing_is_told_before_a_gallery_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    faiss.cache_clear()
    with pytest.raises(ImportError, match=r"pip install torchreid-occ\[search\]"):
        Gallery.create(tmp_path / "g", HASH, DIM)
    assert not (tmp_path / "g").exists()
