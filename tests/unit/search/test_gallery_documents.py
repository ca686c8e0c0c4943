"""What galleries of both engines keep besides their tracklets, and what is left after removals."""

import threading
import time
import warnings
from base64 import b64decode
from pathlib import Path

import numpy as np
import psycopg
import pytest
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import (
    calibration_bytes,
    calibration_path,
    fit_calibration,
    load_calibration,
    read_calibration,
    save_calibration,
)
from torchreid_occ.identities import correct
from torchreid_occ.search import Gallery, GalleryTracklet, qdrant_connection
from torchreid_occ.search.documents import CALIBRATION, IDENTITIES
from torchreid_occ.search.judging import carry_calibration, find_calibration
from torchreid_occ.search.qdrant_address import QdrantAddress

PEOPLE = made_up_people(1, 20)


@pytest.fixture(scope="module")
def calibration():
    query, others = query_and_gallery(made_up_people(2, 40))
    return fit_calibration(query, others, PEOPLE, "abc", {}, join=False)


@pytest.fixture
def gallery(gallery_place):
    """Ten of the sixty tracklets of the calibration's cohort."""
    made = Gallery.create(gallery_place, "abc", 16)
    tracklets = [GalleryTracklet(f"gallery/p{n:03d}/1", (f"/p{n:03d}/1.jpg",)) for n in range(10)]
    made.add(tracklets, 3 * PEOPLE.features[:10], "abc")
    return made


def holding(place, number):
    """Files, or in Qdrant collections, of a gallery that hold anything of a tracklet."""
    feature = PEOPLE.features[number]
    unit = feature / np.linalg.norm(feature)
    forms = [3 * feature, unit, unit.astype("f2")]
    traces = [form.tobytes()[:12] for form in forms] + [f"p{number:03d}".encode()]
    folder = Path(place)
    if str(place).startswith("qdrant"):
        contents = qdrant_contents(place)
        return {name for name, content in contents if any(trace in content for trace in traces)}
    if "://" in str(place):
        with psycopg.connect(str(place).partition("#")[0], autocommit=True) as connection:
            ((data,),) = connection.execute("SHOW data_directory").fetchall()
            connection.execute("CHECKPOINT")
        folder = Path(data, "base")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name for path in files if any(trace in path.read_bytes() for trace in traces)}


def qdrant_contents(place):
    """The content of each collection: vectors, texts, and documents as they are."""
    client = qdrant_connection.connect(QdrantAddress(place))
    for collection in client.get_collections().collections:
        points, _ = client.scroll(collection.name, limit=1000, with_vectors=True)
        vectors = [np.float32(point.vector).tobytes() for point in points if point.vector]
        documents = [b64decode(point.payload.get("content") or "") for point in points]
        texts = [str(point.payload).encode() for point in points]
        yield collection.name, b"".join(vectors + documents + texts)


def test_documents_are_replaced_and_removed(gallery, gallery_place):
    other = Gallery(gallery_place).documents
    assert other.read("notes") is None
    for content in (b"", b"\x00\xff" * 5000, b"last"):
        gallery.documents.write("notes", content)
        assert other.read("notes") == content
    other.write("notes", None)
    assert gallery.documents.read("notes") is None
    other.write("notes", None)
    assert "notes" in other.place_of("notes")


def test_one_process_at_a_time_changes_them(gallery, gallery_place):
    other = Gallery(gallery_place).documents

    def append():
        with other.locked():
            other.write("notes", other.read("notes") + b" two")

    with gallery.documents.locked():
        thread = threading.Thread(target=append)
        thread.start()
        time.sleep(0.2)
        assert thread.is_alive()
        gallery.documents.write("notes", b"one")
    thread.join(10)
    assert gallery.documents.read("notes") == b"one two"


def test_what_a_killed_change_left_goes_with_the_next_one(tmp_path):
    gallery = Gallery.create(tmp_path / "gallery", "abc", 16)
    left = tmp_path / "gallery" / f".{IDENTITIES}.x1.partial"
    others = tmp_path / "gallery" / ".index-1.faiss.x2.partial"  # another process may write it
    for file in (left, others):
        file.write_text("half")
    with gallery.documents.locked():
        assert not left.exists() and others.exists()


def test_an_error_changes_no_correction(gallery):
    correct(gallery, [(1, 2)], [(3, 4)])
    stored = gallery.documents.read(IDENTITIES)
    with pytest.raises(ValueError, match="contradict one another"):
        correct(gallery, [(3, 4)])
    assert gallery.documents.read(IDENTITIES) == stored
    gallery.documents.write(IDENTITIES, b'{"people": 3}')
    with pytest.raises(ValueError, match=r"identities.json.* is damaged"):
        correct(gallery)
    with pytest.raises(ValueError, match=r"identities.json.* is damaged"):
        gallery.erase([1], "id")


def test_a_carried_calibration_is_found_without_the_checkpoint(
    gallery, gallery_place, calibration, tmp_path
):
    checkpoint = tmp_path / "model.pth"
    assert not carry_calibration(gallery, checkpoint)
    assert find_calibration(gallery, checkpoint) is None
    save_calibration(calibration, calibration_path(checkpoint))
    assert carry_calibration(gallery, checkpoint)
    calibration_path(checkpoint).unlink()
    found = find_calibration(Gallery(gallery_place))
    assert not found.differs_from(calibration) and len(found.cohort) == 60
    gallery.documents.write(CALIBRATION, b"PK")
    with pytest.raises(ValueError, match=r"calibration.npz.* is damaged or no calibration"):
        find_calibration(gallery)


@pytest.mark.parametrize("how", ["erase", "remove, then erase", "replace, then erase"])
def test_an_erasure_leaves_nothing_in_calibrations(
    gallery, gallery_place, calibration, tmp_path, how
):
    checkpoint = tmp_path / "models" / "model.pth"
    save_calibration(calibration, calibration_path(checkpoint))
    gallery.remember_checkpoint(checkpoint)
    carry_calibration(gallery, checkpoint)
    correct(gallery, [(8, 9)])
    assert holding(gallery_place, 7)
    if how == "remove, then erase":
        gallery.remove([8])
    elif how == "replace, then erase":
        (tracklet,) = gallery.get([8]).values()
        gallery.add([tracklet], -PEOPLE.features[7:8], "abc", in_place_of=[8])
        gallery.remove([11])
    gallery.erase([8], "id")
    assert holding(gallery_place, 7) == holding(checkpoint.parent, 7) == set()
    assert holding(gallery_place, 8) and holding(checkpoint.parent, 8)
    # Indexing again does not bring it back, wherever the calibration is copied from.
    for beside in (load_calibration(calibration_path(checkpoint)), calibration):
        save_calibration(beside, calibration_path(checkpoint))
        assert carry_calibration(gallery, checkpoint)
        assert len(find_calibration(gallery).cohort) == 59
    assert holding(gallery_place, 7) == set()


def test_a_calibration_of_erased_people_alone_goes(gallery, calibration):
    own = calibration.without(PEOPLE.features[10:])
    gallery.documents.write(CALIBRATION, calibration_bytes(own))
    gallery.erase(range(1, 10), "id")
    assert len(find_calibration(gallery).cohort) == 1
    gallery.erase([10], "id")
    assert find_calibration(gallery) is None


def test_a_calibration_that_cannot_be_changed_is_named(gallery, calibration, tmp_path, monkeypatch):
    checkpoint = tmp_path / "models" / "model.pth"
    save_calibration(calibration, calibration_path(checkpoint))
    gallery.remember_checkpoint(checkpoint)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("torchreid_occ.search.documents.replacing", refused)
    with pytest.warns(UserWarning, match=r"model.pth.calibration.npz cannot be changed .*anew"):
        gallery.remove([8])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gallery.add([GalleryTracklet("new", ("/n.jpg",))], -PEOPLE.features[:1], "abc")
        gallery.remove([11])  # is not in the cohort, so the file need not change


def test_calibrations_of_other_checkpoints_stay(gallery, calibration, tmp_path):
    checkpoint = tmp_path / "models" / "model.pth"
    query, others = query_and_gallery(made_up_people(2, 40, dim=8))
    other = fit_calibration(query, others, made_up_people(1, 20, dim=8), "xyz", {}, join=False)
    save_calibration(other, calibration_path(checkpoint))
    gallery.remember_checkpoint(checkpoint)
    stored = calibration_path(checkpoint).read_bytes()
    gallery.remove([8])
    assert calibration_path(checkpoint).read_bytes() == stored


def test_half_precision_and_noise_of_extraction_are_recognised(calibration):
    stored = read_calibration(calibration_bytes(calibration), "here")
    noise = np.random.default_rng(0).standard_normal((3, 16)) * 0.005
    again = PEOPLE.features[:3] / np.linalg.norm(PEOPLE.features[:3], axis=1)[:, None] + noise
    assert len(stored.without(5 * again).cohort) == 57
    assert stored.without(-again) is stored
