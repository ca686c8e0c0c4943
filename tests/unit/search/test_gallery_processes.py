"""What a kill and a second process do to a gallery."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.index import FeatureIndex
from torchreid_occ.search.store import TrackletStore

DIM = 512
fork = multiprocessing.get_context("fork")


def add_blocks(folder, name, blocks, barrier=None):
    """Adds ten tracklets at a time, and the index after every second block."""
    gallery = Gallery.create(folder, "aa", DIM)
    if barrier:
        barrier.wait()
    for block in range(blocks):
        numbers = range(10 * block, 10 * block + 10)
        features = np.random.default_rng(block).standard_normal((10, DIM))
        gallery.add(
            [GalleryTracklet(f"{name} {n}", (f"/{n}.jpg",)) for n in numbers], features, "aa"
        )
        if block % 2:
            gallery.save_index()


def names_by_ids(folder):
    return {number: tracklet.name for number, tracklet in Gallery(folder).tracklets()}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def rows_inserted_but_not_kept(monkeypatch):
    add = TrackletStore.add

    def killed(store, tracklets, features):
        store._rows("PRAGMA cache_size = 1")  # does not wait with the file until the end
        ids = add(store, tracklets, features)
        if tracklets[0].name == "t 50":
            die()
        return ids

    monkeypatch.setattr(TrackletStore, "add", killed)


def index_half_written(monkeypatch):
    write = FeatureIndex.write

    def killed(index, file):
        write(index, file)
        if len(index.ids) == 60:
            file.flush()
            die()

    monkeypatch.setattr(FeatureIndex, "write", killed)


def index_in_place_but_not_named(monkeypatch):
    set_about = TrackletStore.set_about

    def killed(store, **values):
        if "index_file" in values and len(store) == 60:
            die()
        set_about(store, **values)

    monkeypatch.setattr(TrackletStore, "set_about", killed)


@pytest.mark.parametrize(
    "point, kept, left_over",
    [
        (rows_inserted_but_not_kept, 50, "gallery.sqlite-journal"),
        (index_half_written, 60, ".index-*.faiss.*.partial"),
        (index_in_place_but_not_named, 60, "index-*.faiss"),
    ],
)
def test_work_continues_after_a_kill(tmp_path, monkeypatch, point, kept, left_over):
    with monkeypatch.context() as patch:
        point(patch)
        process = fork.Process(target=add_blocks, args=(tmp_path / "killed", "t", 8))
        process.start()
        process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list((tmp_path / "killed").iterdir())) == 3  # the gallery, its index and
    assert list((tmp_path / "killed").glob(left_over))
    assert names_by_ids(tmp_path / "killed") == {n + 1: f"t {n}" for n in range(kept)}
    found = Gallery(tmp_path / "killed").search(np.ones(DIM), "aa", top=100)
    assert len(found) == kept
    for folder in ("killed", "whole"):
        add_blocks(tmp_path / folder, "t", 8)
    one, other = (list(Gallery(tmp_path / folder).entries()) for folder in ("killed", "whole"))
    assert [entry[:2] for entry in one] == [entry[:2] for entry in other] and len(one) == 80
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(one, other, strict=True))
    assert len(list((tmp_path / "killed").iterdir())) == 2


def test_two_processes_add_at_once(tmp_path):
    barrier = fork.Barrier(2)
    processes = [
        fork.Process(target=add_blocks, args=(tmp_path, name, 15, barrier))
        for name in ("one", "other")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    held = names_by_ids(tmp_path)
    assert sorted(held) == list(range(1, 301))
    assert set(held.values()) == {f"{name} {n}" for name in ("one", "other") for n in range(150)}
    assert len(Gallery(tmp_path).search(np.ones(DIM), "aa", top=1000)) == 300
    assert len(list(tmp_path.glob("index-*"))) == 1
