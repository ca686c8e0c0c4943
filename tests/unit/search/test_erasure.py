"""After an erasure no byte of any file of a gallery is left of the tracklets."""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import time

import numpy as np
import pytest

from torchreid_occ.identities import correct
from torchreid_occ.search import KINDS, Gallery, GalleryTracklet
from torchreid_occ.search.audit import AUDIT
from torchreid_occ.search.documents import CALIBRATION
from torchreid_occ.search.erasure import choose, erase, other_files
from torchreid_occ.search.index import FeatureIndex
from torchreid_occ.search.store import TrackletStore
from torchreid_occ.search.stored_index import StoredIndex

HASH, DIM, COUNT = "a1" * 32, 64, 60
fork = multiprocessing.get_context("fork")
FEATURES = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype("f4")


def tracklet(number, person=None):
    person = person or f"person-{number:04d}"
    frames = tuple(f"/cameras/{person}/frame-{number:04d}-{n}.jpg" for n in range(300))
    return GalleryTracklet(f"gallery/{person}/{number % 3}_{person}_{number}", frames, number % 3)


def fill(folder, kind=None, numbers=range(COUNT)):
    gallery = Gallery.create(folder, HASH, DIM, kind)
    gallery.add([tracklet(n) for n in numbers], FEATURES[[*numbers]], HASH)
    gallery.save_index()
    return gallery


@pytest.fixture(params=KINDS)
def gallery(request, tmp_path):
    return fill(tmp_path / "gallery", request.param)


def holding(folder, number):
    """Names of the files that hold anything of a tracklet."""
    feature = FEATURES[number]
    unit = (feature / np.linalg.norm(feature)).astype("f4")
    # Parts, as pages may divide values.
    traces = [values[part : part + 8].tobytes() for values in (feature, unit) for part in (0, 32)]
    traces += [f"person-{number:04d}".encode(), f"frame-{number:04d}".encode()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name for path in files if any(trace in path.read_bytes() for trace in traces)}


def audit(gallery):
    return [json.loads(line) for line in (gallery.folder / AUDIT).read_text().splitlines()]


def test_nothing_is_left_in_any_file(gallery):
    copies = 1 if gallery.kind == "codes" else 2  # codes hold no features
    assert len(holding(gallery.folder, 7)) == copies
    assert gallery.erase([8, 9], "id") == 2  # ids from 1 on, numbers from 0 on
    assert holding(gallery.folder, 7) == holding(gallery.folder, 8) == set()
    assert len(holding(gallery.folder, 9)) == copies
    assert {8, 9}.isdisjoint(gallery._index.refreshed().ids)
    assert {path.suffix for path in gallery.folder.iterdir()} == {".sqlite", ".faiss", ".jsonl"}
    found = Gallery(gallery.folder).search(FEATURES[7], HASH, top=COUNT)
    assert len(found) == COUNT - 2 and not {8, 9} & {match.id for match in found}
    (new,) = gallery.add([tracklet(7)], FEATURES[7:8], HASH)
    assert new == COUNT + 1


def test_what_earlier_removals_left_goes_as_well(tmp_path):
    gallery = fill(tmp_path)
    raw = sqlite3.connect(tmp_path / "gallery.sqlite")
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA secure_delete = OFF")
    raw.execute("DELETE FROM tracklets WHERE id = 8")  # as 0.2.0 removed
    raw.commit()
    raw.close()
    gallery.remove([41])
    (tmp_path / ".index-x.faiss.y.partial").write_bytes(FEATURES[7].tobytes())
    assert len(holding(tmp_path, 7)) == 3 and len(holding(tmp_path, 40)) == 1
    assert gallery.erase([8], "id") == 0
    assert holding(tmp_path, 7) == holding(tmp_path, 40) == set()


def test_people_and_corrections_forget_names(tmp_path):
    gallery = fill(tmp_path)
    names = [tracklet(number).name for number in range(COUNT)]
    people = {"1": names[:8], "2": [names[8]], "3": names[9:]}
    content = {"format": 1, "people": people, "merged": [names[3:5], names[7:9]], "split": []}
    (tmp_path / "identities.json").write_text(json.dumps(content), encoding="utf-8")
    gallery.remove([9])
    assert "identities.json" not in holding(tmp_path, 8)
    gallery.erase([8], "id")
    assert holding(tmp_path, 7) == holding(tmp_path, 8) == set()
    left = json.loads((tmp_path / "identities.json").read_text(encoding="utf-8"))
    assert left["people"] == {"1": names[:7], "3": names[9:]}
    assert (left["format"], left["merged"], left["split"]) == (1, [names[3:5]], [])
    assert correct(gallery).merged == (tuple(names[3:5]),)  # still read
    (tmp_path / "identities.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"identities.json is damaged"):
        gallery.erase([1], "id")


def test_files_that_are_not_the_gallerys_are_named(gallery):
    (gallery.folder / "gallery.sqlite-wal").touch()
    correct(gallery, [(1, 2)])
    gallery.documents.write(CALIBRATION, b"")
    assert other_files(gallery) == []
    (gallery.folder / "pages").mkdir()
    pages = [gallery.folder / "answer.html", gallery.folder / "pages" / "people.html"]
    for page in pages:
        page.touch()
    assert other_files(gallery) == pages


def test_removal_alone_overwrites_the_rows(tmp_path):
    gallery = fill(tmp_path)
    gallery.remove([8])
    assert {name[:5] for name in holding(tmp_path, 7)} == {"index"}


def test_a_write_ahead_log_is_emptied(tmp_path):
    gallery = fill(tmp_path)
    raw = sqlite3.connect(tmp_path / "gallery.sqlite")
    raw.execute("PRAGMA journal_mode = WAL")
    gallery.add([tracklet(7, "again")], FEATURES[7:8], HASH)
    assert "gallery.sqlite-wal" in holding(tmp_path, 7)
    gallery.erase([8, COUNT + 1], "id")
    assert holding(tmp_path, 7) == set()


def test_a_log_that_another_process_reads_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("torchreid_occ.search.store.TIMEOUT", 0.1)
    gallery = fill(tmp_path)
    raw = sqlite3.connect(tmp_path / "gallery.sqlite", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("BEGIN")
    raw.execute("SELECT * FROM tracklets").fetchone()
    with pytest.raises(OSError, match=r"-wal cannot be emptied.* repeat the call"):
        gallery.erase([8], "id")
    assert not (tmp_path / AUDIT).exists()
    raw.close()
    assert gallery.erase([8], "id") == 1
    assert holding(tmp_path, 7) == set()


def test_an_index_in_the_memory_of_another_process_is_not_written(gallery):
    other = Gallery(gallery.folder)
    assert other.search(FEATURES[7], HASH, top=1)[0].id == 8
    gallery.erase([8], "id")
    other.add([tracklet(9, "other")], FEATURES[3:4], HASH)
    other.save_index()
    assert holding(gallery.folder, 7) == set()
    assert len(other.search(FEATURES[7], HASH, top=COUNT)) == COUNT


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    "owner, name, kept",
    [
        (TrackletStore, "remove", 1),
        (TrackletStore, "scrub", 0),
        (StoredIndex, "save", 0),
        (FeatureIndex, "write", 0),
    ],
)
def test_a_repeat_completes_what_a_kill_interrupted(tmp_path, monkeypatch, owner, name, kept):
    gallery = fill(tmp_path / "gallery")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        process = fork.Process(target=gallery.erase, args=([8], "id"))
        process.start()
        process.join(60)
    assert process.exitcode == -signal.SIGKILL
    gallery = Gallery(gallery.folder)
    assert sum(number == 8 for number, _ in gallery.tracklets()) == kept
    logged = owner is not TrackletStore  # the index is written last
    assert not (logged and holding(gallery.folder, 7))
    assert gallery.erase([8], "id") == (0 if logged else 1)
    assert holding(gallery.folder, 7) == set()
    assert sum(entry["tracklets"] for entry in audit(gallery)) == 1
    assert len(list(gallery.folder.iterdir())) == 3


def test_the_audit_says_how_many_but_not_which(tmp_path):
    gallery = fill(tmp_path)
    erase(gallery, choose(gallery, person="person-0007"))
    erase(gallery, choose(gallery, ids=[1, 2]))
    person, ids = audit(gallery)
    assert set(person) == {"time", "by", "chosen_by", "tracklets", "frames"}
    assert (person["chosen_by"], person["tracklets"], person["frames"]) == ("person", 1, 0)
    assert (ids["chosen_by"], ids["tracklets"]) == ("id", 2)
    assert "@" in person["by"] and person["time"].endswith("+00:00")
    assert holding(tmp_path, 7) == set()


def test_ids_that_never_were_are_refused_and_nothing_is_erased(tmp_path):
    gallery = fill(tmp_path, numbers=range(5))
    with pytest.raises(KeyError, match=r"There never were tracklets \[0, 6\] in the gallery in"):
        gallery.erase([1, 6, 0], "id")
    assert len(gallery) == 5 and not (tmp_path / AUDIT).exists()


def test_a_person_is_the_folder_above_the_tracklet(tmp_path):
    gallery = Gallery.create(tmp_path, HASH, DIM)
    names = ["gallery/anna/1_morning", "gallery/anna/2", "gallery/bob/1", "anna", "anna/x/1"]
    gallery.add([GalleryTracklet(name, ("/1.jpg",)) for name in names], FEATURES[:5], HASH)
    assert choose(gallery, person="anna") == ([1, 2], "person")
    with pytest.raises(KeyError, match="no tracklet of 'carl'; it has anna, bob, x"):
        choose(gallery, person="carl")


def test_age_counts_from_adding(tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    gallery = fill(tmp_path, numbers=range(3))
    monkeypatch.setattr(time, "time", lambda: now)
    gallery.add([tracklet(3)], FEATURES[3:4], HASH)
    assert choose(gallery, older_than=3590) == ([1, 2, 3], "age")
    assert choose(gallery, older_than=3610) == ([], "age")
    with pytest.raises(ValueError, match="has no retention: set one"):
        choose(gallery, expired=True)
    gallery.retention = 3590.0
    assert Gallery(tmp_path).retention == 3590
    assert choose(gallery, expired=True) == ([1, 2, 3], "retention")
    gallery.retention = 3610.0
    assert choose(gallery, expired=True) == ([], "retention")
    gallery.retention = None
    assert Gallery(tmp_path).retention is None


def test_tracklets_of_0_2_0_are_of_unknown_age(tmp_path):
    gallery = fill(tmp_path, numbers=range(3))
    raw = sqlite3.connect(tmp_path / "gallery.sqlite")
    raw.execute("DROP TABLE added")
    raw.close()
    gallery = Gallery(tmp_path)
    assert gallery.added_before(None) == [1, 2, 3]
    assert gallery.added_before(time.time() + 1) == []
    gallery.add([tracklet(3)], FEATURES[3:4], HASH)
    assert gallery.added_before(None) == [1, 2, 3]
    assert gallery.added_before(time.time() + 1) == [4]
    gallery.erase([1, 4], "id")
    assert gallery.added_before(None) == [2, 3] and not gallery.added_before(time.time() + 1)


@pytest.mark.parametrize("ways", [{}, {"ids": [1], "expired": True}, {"person": "a", "ids": [1]}])
def test_exactly_one_way_of_choosing_is_allowed(tmp_path, ways):
    with pytest.raises(ValueError, match="either by ids, by person, by age, or those expired"):
        choose(fill(tmp_path, numbers=range(2)), **ways)


def test_frames_are_deleted_on_request_but_not_those_of_others(tmp_path):
    gallery = Gallery.create(tmp_path / "g", HASH, DIM)
    paths = {}
    for name in ("anna/1", "bob/1"):
        folder = tmp_path / "gallery" / name
        folder.mkdir(parents=True)
        paths[name] = [folder / f"{n}.jpg" for n in range(2)]
        for path in paths[name]:
            path.write_bytes(b"x")
    shared = paths["bob/1"][0]
    frames = {"anna/1": [*paths["anna/1"], shared], "bob/1": paths["bob/1"]}
    gallery.add(
        [GalleryTracklet(f"gallery/{n}", tuple(map(str, own))) for n, own in frames.items()],
        FEATURES[:2],
        HASH,
    )
    assert erase(gallery, choose(gallery, person="anna"), with_frames=True) == (1, 2, 0)
    assert not (tmp_path / "gallery" / "anna").exists()
    assert all(path.exists() for path in paths["bob/1"])
    assert audit(gallery)[0]["frames"] == 2
    shutil.rmtree(tmp_path / "gallery")
    assert erase(gallery, choose(gallery, person="bob"), with_frames=True) == (1, 0, 2)


def test_an_id_that_never_was_leaves_the_frames(tmp_path):
    gallery = Gallery.create(tmp_path / "g", HASH, DIM)
    frame = tmp_path / "gallery" / "anna" / "1" / "0.jpg"
    frame.parent.mkdir(parents=True)
    frame.write_bytes(b"x")
    gallery.add([GalleryTracklet("gallery/anna/1", (str(frame),))], FEATURES[:1], HASH)
    with pytest.raises(KeyError, match=r"never were tracklets \[9\] .* nothing was erased"):
        erase(gallery, choose(gallery, ids=[1, 9]), with_frames=True)
    assert frame.exists() and len(gallery) == 1
