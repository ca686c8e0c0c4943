import json

import pytest
from PIL import Image

from torchreid_occ.search import GalleryTracklet, tracklets_in, tracklets_of_dataset


@pytest.fixture
def write_frames(tmp_path):
    def write(folder, names=("2.jpg", "10.jpg")):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (4, 8)).save(tmp_path / folder / name)
        return tuple(str(tmp_path / folder / name) for name in names)

    return write


def test_each_folder_with_images_is_a_tracklet(tmp_path, write_frames):
    frames = {
        folder: write_frames(folder)
        for folder in ("gallery/anna/3_a b", "gallery/anna/10", "gallery/ü\n人", "gallery/.hidden")
    }
    (tmp_path / "gallery" / "empty").mkdir()
    (tmp_path / "gallery" / "empty" / "loop").symlink_to(tmp_path / "gallery")
    cameras = {"gallery/anna/3_a b": 3, "gallery/anna/10": 10, "gallery/ü\n人": None}
    assert tracklets_in(tmp_path / "gallery") == [
        GalleryTracklet(name, frames[name], camera) for name, camera in cameras.items()
    ]
    assert {one.camera for one in tracklets_in(tmp_path / "gallery", camera=7)} == {7}
    (single,) = tracklets_in(tmp_path / "gallery/anna/10")
    assert single == GalleryTracklet("10", frames["gallery/anna/10"], 10)


SEEN = {
    "seconds": [1.5, 1.6, 2.75], "frames": [16, 17, 28], "boxes": [[1, 2, 3, 4]] * 3,
}  # fmt: skip


def test_times_come_from_the_recording(tmp_path, write_frames):
    write_frames("gallery/gate_0001/4_gate_0001")
    write_frames("gallery/other/4")
    (tmp_path / "recordings").mkdir()
    file = tmp_path / "recordings" / "gate.json"
    seen = {"gallery/gate_0001/4_gate_0001": SEEN}
    manifest = {"tracklets": seen, "file": "gate.mp4", "frames": 30, "size": [160, 120]}
    file.write_text(json.dumps(manifest))
    for folder in ("", "gallery", "gallery/gate_0001"):
        first = tracklets_in(tmp_path / folder)[0]
        assert (first.camera, first.start, first.end) == (4, 1.5, 2.75)
    assert tracklets_in(tmp_path)[1].start is None
    # Merged with another person: its own folder keeps its name.
    (tmp_path / "gallery/gate_0001").rename(tmp_path / "gallery/anna")
    assert tracklets_in(tmp_path)[0].start == 1.5
    damaged = {"gallery/gate_0001/4_gate_0001": {"seconds": []}}
    for content in ("{", '{"tracklets": 3}', json.dumps({**manifest, "tracklets": damaged}), "[]"):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"gate.json is no manifest of a recording"):
            tracklets_in(tmp_path)


def test_nothing_to_index(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing"):
        tracklets_in(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"No folder at or below .* holds images"):
        tracklets_in(tmp_path)


def test_a_datasets_subset(two_cameras):
    found = tracklets_of_dataset("sduvid", str(two_cameras), "query")
    assert len(found) == 4 and {one.camera for one in found} == {0}
    for one in found:
        folder = two_cameras / "SDU-VID" / one.name.removeprefix("sduvid/")
        assert one.frames == tuple(str(folder / f"{n:04d}.png") for n in range(1, 6))


def test_tracklets_that_share_a_folder_are_named_by_their_first_frames(tmp_path, write_frames):
    write_frames("frames", ("a1.jpg", "a2.jpg", "b1.jpg", "b2.jpg"))
    rows = [
        f"frames/{own}{frame}.jpg,{own},{camera},{split},{own}"
        for camera, split in enumerate(("train", "query", "gallery"), start=1)
        for own in "ab"
        for frame in (1, 2)
    ]
    (tmp_path / "tracklets.csv").write_text("\n".join(["path,pid,camid,split,tracklet", *rows]))
    found = tracklets_of_dataset("tracklet_folder", str(tmp_path), "gallery")
    assert [one.name for one in found] == [f"tracklet_folder/frames/{own}1.jpg" for own in "ab"]
    assert found[1].frames == tuple(str(tmp_path / f"frames/b{n}.jpg") for n in (1, 2))
