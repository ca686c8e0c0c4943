import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from torchreid_occ.search import Gallery, GalleryTracklet, tracklets_in
from torchreid_occ.search.contents import State, state_of
from torchreid_occ.search.pipeline import index_tracklets

HASH, DIM = "a1" * 32, 4


class Extractor:
    """A feature of the sizes of the frames' files."""

    checkpoint_hash, feature_dim, precision = HASH, DIM, "float32"

    def __call__(self, tracklets):
        sizes = [[Path(frame).stat().st_size for frame in frames] for frames in tracklets]
        return torch.tensor([[sum(own), len(own), 1, 0] for own in sizes], dtype=torch.float32)


@pytest.fixture
def footage(tmp_path):
    """Two tracklets of two frames in ``footage/gallery``."""
    for name in ("a", "b"):
        write(tmp_path / "footage" / "gallery" / name, name)
    return tmp_path / "footage"


def write(folder, content):
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"{number}.jpg").write_text(content * number)


@pytest.fixture
def gallery(tmp_path):
    return Gallery.create(tmp_path / "g", HASH, DIM)


def index(gallery, folder, **options):
    return index_tracklets(gallery, Extractor(), tracklets_in(folder), **options)


def stored(gallery):
    return {tracklet.name: (number, tracklet) for number, tracklet in gallery.tracklets()}


def test_the_precisions_of_features_are_noted(gallery, footage, monkeypatch):
    assert gallery.precisions == []
    monkeypatch.setattr(Extractor, "precision", "int8")
    index(gallery, footage / "gallery")
    monkeypatch.setattr(Extractor, "precision", "float32")
    index(gallery, footage / "gallery")  # adds nothing
    assert gallery.precisions == ["int8"]
    write(footage / "gallery" / "c", "c")
    index(gallery, footage / "gallery")
    assert Gallery(gallery.folder).precisions == ["int8", "float32"]


def test_frames_that_changed_are_said_and_extracted_anew_on_request(gallery, footage):
    assert index(gallery, footage / "gallery").added == 2
    frame = footage / "gallery" / "a" / "2.jpg"
    before = frame.stat()
    frame.write_text("AA")
    os.utime(frame, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # the same size
    number, tracklet = stored(gallery)["gallery/a"]
    assert state_of(tracklet) is State.CHANGED
    assert state_of(stored(gallery)["gallery/b"][1]) is State.SAME
    done = index(gallery, footage / "gallery")
    assert (done.added, done.renewed, [*done.plan.changed]) == (0, 0, [number])
    assert stored(gallery)["gallery/a"] == (number, tracklet)  # only said
    frame.write_text("longer")
    done = index(gallery, footage / "gallery", renew=True)
    assert (done.added, done.renewed) == (0, 1)
    assert stored(gallery)["gallery/a"][0] == 3 and len(gallery) == 2
    assert state_of(stored(gallery)["gallery/a"][1]) is State.SAME
    (match,) = gallery.search(np.array([7, 2, 1, 0]), HASH, top=1)
    assert (match.id, round(match.distance, 6)) == (3, 0)
    assert index(gallery, footage / "gallery", renew=True).renewed == 0


def test_frames_added_or_taken_away_are_a_change(gallery, footage):
    index(gallery, footage / "gallery")
    (footage / "gallery" / "a" / "3.jpg").write_text("x")
    (footage / "gallery" / "b" / "2.jpg").unlink()
    assert len(index(gallery, footage / "gallery").plan.changed) == 2
    assert state_of(stored(gallery)["gallery/b"][1]) is State.GONE
    assert index(gallery, footage / "gallery", renew=True).renewed == 2
    assert [len(one.frames) for _, one in stored(gallery).values()] == [3, 1]


def test_a_touched_file_is_no_change(gallery, footage):
    index(gallery, footage / "gallery")
    os.utime(footage / "gallery" / "a" / "1.jpg")
    assert state_of(stored(gallery)["gallery/a"][1]) is State.SAME
    plan = index(gallery, footage / "gallery", renew=True).plan
    assert not plan.changed and [*plan.moved] == [1]
    assert not index(gallery, footage / "gallery").plan.moved


def test_the_same_frames_under_another_name_are_left_out_and_named(gallery, footage, tmp_path):
    index(gallery, footage / "gallery")
    done = index(gallery, footage)  # through the parent folder
    assert done.added == 0 and len(gallery) == 2
    assert done.plan.repeated == {
        "footage/gallery/a": "gallery/a", "footage/gallery/b": "gallery/b",
    }  # fmt: skip
    shutil.copytree(footage / "gallery" / "a", tmp_path / "copies" / "first")
    shutil.copytree(footage / "gallery" / "a", tmp_path / "copies" / "second")
    write(tmp_path / "copies" / "new", "n")
    write(tmp_path / "copies" / "twice", "n")
    assert index(gallery, tmp_path / "copies").plan.repeated == {
        "copies/first": "gallery/a", "copies/second": "gallery/a", "copies/twice": "copies/new",
    }  # fmt: skip
    assert len(gallery) == 3


def test_frames_that_were_moved_are_found_again(gallery, footage, tmp_path):
    index(gallery, footage / "gallery")
    (footage / "gallery").rename(tmp_path / "gallery")
    assert state_of(stored(gallery)["gallery/a"][1]) is State.GONE
    done = index(gallery, tmp_path / "gallery")
    assert done.added == 0 and len(done.plan.moved) == 2
    number, tracklet = stored(gallery)["gallery/a"]
    assert (number, tracklet.frames[0]) == (1, str(tmp_path / "gallery" / "a" / "1.jpg"))
    assert state_of(tracklet) is State.SAME


def test_times_that_are_known_later_are_stored(gallery, footage):
    index(gallery, footage / "gallery")
    timed = [one._replace(start=1.5, end=2.0) for one in tracklets_in(footage / "gallery")]
    assert [*index_tracklets(gallery, Extractor(), timed).plan.moved] == [1, 2]
    assert {(one.start, one.end) for _, one in gallery.tracklets()} == {(1.5, 2.0)}
    os.utime(footage / "gallery" / "a" / "1.jpg")
    assert [*index(gallery, footage / "gallery").plan.moved] == [1]  # with the times it has
    assert {(one.start, one.end) for _, one in gallery.tracklets()} == {(1.5, 2.0)}


def test_another_camera_is_noticed_and_not_taken(gallery, footage):
    index(gallery, footage / "gallery")
    given = [one._replace(camera=2) for one in tracklets_in(footage / "gallery")]
    done = index_tracklets(gallery, Extractor(), given)
    assert [*done.plan.other_camera] == [1, 2] and done.added == 0
    assert {one.camera for _, one in gallery.tracklets()} == {None}
    assert not index(gallery, footage / "gallery").plan.other_camera


def test_a_folder_that_was_renamed_keeps_its_id(gallery, footage):
    index(gallery, footage / "gallery")
    before = stored(gallery)["gallery/a"][1]
    (footage / "gallery" / "anna").mkdir()
    (footage / "gallery" / "a").rename(footage / "gallery" / "anna" / "3_a")
    shutil.copytree(footage / "gallery" / "anna", footage / "gallery" / "copy")
    done = index(gallery, footage / "gallery")
    assert done.added == 0 and done.plan.repeated == {
        "gallery/copy/3_a": "gallery/anna/3_a"
    }  # fmt: skip
    number, now = stored(gallery)["gallery/anna/3_a"]
    assert (number, now.camera, now.content, len(gallery)) == (1, 3, before.content, 2)
    assert state_of(now) is State.SAME
    assert index(gallery, footage / "gallery").plan.moved == {}


@pytest.mark.parametrize("where", ["gallery", "renamed"])
def test_what_folders_do_not_tell_stays_when_they_move(gallery, footage, tmp_path, where):
    known = [
        one._replace(camera=5, start=1.0, end=2.0) for one in tracklets_in(footage / "gallery")
    ]
    index_tracklets(gallery, Extractor(), known)
    (footage / "gallery").rename(tmp_path / where)
    assert len(index(gallery, tmp_path / where).plan.moved) == 2
    assert [one.name for _, one in gallery.tracklets()] == [f"{where}/a", f"{where}/b"]
    assert {one[2:5] for _, one in gallery.tracklets()} == {(5, 1.0, 2.0)}


def test_a_name_taken_elsewhere_is_refused(gallery, footage, tmp_path):
    index(gallery, footage / "gallery")
    write(tmp_path / "other" / "gallery" / "a", "z")
    with pytest.raises(ValueError, match=r"'gallery/a' is already in the gallery in .* the id 1"):
        index(gallery, tmp_path / "other" / "gallery")
    assert index(gallery, tmp_path / "other").added == 1  # as the error says


def test_a_gallery_of_an_earlier_version_is_extended(gallery, footage):
    known = tracklets_in(footage / "gallery")
    gallery.add(known, Extractor()([one.frames for one in known]).numpy(), HASH)
    gallery._store._rows("DROP TABLE contents")
    opened = Gallery(gallery.folder)
    assert [one for _, one in opened.tracklets()] == known
    assert state_of(known[0]) is State.UNKNOWN
    done = index(opened, footage / "gallery")
    assert len(done.plan.unknown) == 2 and done.added == done.renewed == 0
    assert index(opened, footage / "gallery", renew=True).renewed == 2
    assert {state_of(one) for _, one in opened.tracklets()} == {State.SAME}


def test_what_was_recorded_goes_with_a_tracklet(gallery, footage):
    index(gallery, footage / "gallery")
    gallery.remove([1])
    assert gallery._store._rows("SELECT id FROM contents") == [(2,)]
    assert index(gallery, footage).added == 1


def test_a_batch_that_fails_changes_nothing(gallery, footage):
    index(gallery, footage / "gallery")
    before = list(gallery.tracklets())
    features = np.full((1, DIM), np.nan)
    with pytest.raises(ValueError, match="not finite"):
        gallery.add([GalleryTracklet("x", ("/x.jpg",))], features, HASH, in_place_of=[1])
    with pytest.raises(ValueError, match="'gallery/b' is already"):
        gallery.add(
            [GalleryTracklet("gallery/b", ("/x",))], np.ones((1, DIM)), HASH, in_place_of=[1]
        )
    assert list(gallery.tracklets()) == before
