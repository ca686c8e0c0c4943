import json
import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from torchreid_occ.annotate import make_supervision, write_report
from torchreid_occ.annotate.finder import FrameAnnotation
from torchreid_occ.annotate.frames import name_frames
from torchreid_occ.annotate.journal import Journal
from torchreid_occ.data.copies import source_tracklets
from torchreid_occ.data.poses import Pose, Poses
from torchreid_occ.data.supervision import Supervision

PLAN = {"source": "two cameras", "weights": "abc"}
NOTHING = FrameAnnotation(None, np.full(4, np.nan, np.float32), None)


@pytest.fixture
def tracklets(two_cameras):
    """Of eight persons in two cameras, five frames each, whose files are named alike."""
    return source_tracklets({"name": "sduvid", "split_id": 0, "options": {}}, two_cameras)


class Finder:
    """Finds a person in all frames but those whose upper left pixel is even; counts them."""

    def __init__(self, killed_after=None):
        self.seen, self.killed_after = 0, killed_after

    def __call__(self, frames):
        if self.killed_after is not None and self.seen >= self.killed_after:
            raise KeyboardInterrupt
        self.seen += len(frames)
        return [self.find(np.asarray(frame)) for frame in frames]

    @staticmethod
    def find(pixels):
        if pixels[0, 0, 0] % 2 == 0:
            return NOTHING
        lines = np.array([pixels[0, 0, 1] / 255, 0.5, np.nan, 0.25], np.float32)
        return FrameAnnotation(0.75, lines, 255 * (pixels[..., 0] > 100).astype(np.uint8))


def make(folder, tracklets, finder=None, plan=PLAN):
    return make_supervision(folder, tracklets, finder or Finder(), plan, batch_size=3, workers=0)


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".partial"
    }


def test_the_files_are_what_training_reads(tracklets, tmp_path):
    found = make(tmp_path / "supervision", tracklets)
    written = Supervision(
        str(tmp_path / "supervision" / "keypoints.json"),
        str(tmp_path / "supervision" / "foreground"),
    )
    assert len(found) == 80
    without = 0
    for path, record in found.items():
        expected = Finder.find(np.asarray(Image.open(path)))
        np.testing.assert_allclose(written.keypoints(path), expected.lines, atol=6e-5)
        foreground = written.foreground(path)
        if expected.foreground is None:
            without += 1
            assert foreground is None
            assert record["score"] is record["lines"] is record["coverage"] is None
        else:
            np.testing.assert_array_equal(np.asarray(foreground), expected.foreground)
            assert record["coverage"] == round((expected.foreground > 0).mean(), 4)
            assert record["score"] == 0.75
    assert 0 < without < 80


def test_a_killed_call_continues(tracklets, tmp_path):
    whole, rest = Finder(), Finder()
    expected = make(tmp_path / "whole", tracklets, whole)
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        make(killed, tracklets, Finder(killed_after=30))
    assert not (killed / "keypoints.json").exists()
    # A kill in the midst of writing leaves such files, in the folder of a frame and in others.
    with (killed / "frames.jsonl").open("ab") as file:
        file.write(b'{"frame": "cam1/per')
    next_frame = json.loads((tmp_path / "whole" / "frames.jsonl").read_text().splitlines()[30])
    folder = (killed / "foreground" / next_frame["frame"]).with_suffix("")
    folder.mkdir(parents=True)
    for place in (killed, folder):
        (place / ".x.abc.partial").write_bytes(b"half")
    assert make(killed, tracklets, rest) == expected
    assert (whole.seen, rest.seen) == (80, 50)
    assert files(killed) == files(tmp_path / "whole")
    assert not list(killed.glob(".*.partial"))
    again = Finder()
    assert make(killed, tracklets, again) == expected
    assert again.seen == 0


def test_poses_are_kept_beside_the_maps(tracklets, tmp_path):
    def finder(frames):
        points = np.full((33, 3), 0.25, np.float32)
        return [NOTHING._replace(pose=Pose(0.125, points, None)) for _ in frames]

    found = make(tmp_path / "supervision", tracklets, finder)
    poses = Poses(tmp_path / "supervision")
    for path, record in found.items():
        pose = poses.read(path)
        assert pose.presence == 0.125 and (pose.points == 0.25).all() and pose.mask is None
        assert record["score"] is None
    assert Poses(tmp_path / "supervision").read("cam1/person099/0001.png") is None


def test_names_of_a_part_are_those_of_the_whole(tracklets, tmp_path):
    one = {"train": [], "query": tracklets["query"][:1], "gallery": []}
    names = {path: f"of/the/whole/{number}.png" for number, path in enumerate(one["query"][0][0])}
    folder = tmp_path / "supervision"
    found = make_supervision(folder, one, Finder(), PLAN, workers=0, names=names)
    assert list(found) == list(names)
    assert list(json.loads((folder / "keypoints.json").read_text())) == list(names.values())


def test_a_folder_of_other_supervision_is_refused(tracklets, two_cameras, tmp_path):
    make(tmp_path / "supervision", tracklets)
    with pytest.raises(ValueError, match="holds a supervision that was begun with another weig"):
        make(tmp_path / "supervision", tracklets, plan={**PLAN, "weights": "def"})
    fewer = {**tracklets, "query": tracklets["query"][1:]}
    with pytest.raises(ValueError, match="begun with another list of tracklets"):
        make(tmp_path / "supervision", fewer)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty and holds no supervision"):
        make(tmp_path, tracklets)


def test_a_broken_image_is_an_error_before_any_work(tracklets, two_cameras, tmp_path):
    shutil.copytree(two_cameras, tmp_path / "data")
    source = {"name": "sduvid", "split_id": 0, "options": {}}
    tracklets = source_tracklets(source, tmp_path / "data")
    os.truncate(tracklets["gallery"][2][0][1], 40)
    finder = Finder()
    with pytest.raises(ValueError, match="1 of 80 images cannot be read"):
        make(tmp_path / "supervision", tracklets, finder)
    assert finder.seen == 0


def test_a_journal_has_one_writer(tmp_path):
    with Journal(tmp_path / "frames.jsonl") as journal:
        journal.extend([{"a": 1}])
        with pytest.raises(ValueError, match=r"Another process is at work on .*frames\.jsonl"):
            Journal(tmp_path / "frames.jsonl")
    with Journal(tmp_path / "frames.jsonl") as journal:
        assert journal.records == [{"a": 1}]


def test_an_incomplete_last_line_is_removed(tmp_path):
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "' + b"x" * 99)
    with Journal(path) as journal:
        assert journal.records == [{"a": 1}]
        journal.extend([{"c": 2}])
    assert path.read_bytes() == b'{"a": 1}\n{"c": 2}\n'


def test_names_are_as_short_as_unique():
    def names(*paths):
        return list(name_frames({"train": [(paths, 0, 0, 0)]}).values())

    assert names("/d/a/1.jpg", "/d/b/2.jpg", "/d/b/2.jpg") == ["1.jpg", "2.jpg"]
    assert names("/d/a/1.jpg", "/d/b/1.jpg", "/d/b/2.jpg") == ["a/1.jpg", "b/1.jpg", "b/2.jpg"]
    assert names("/q/a/1.jpg", "/g/a/1.jpg") == ["q/a/1.jpg", "g/a/1.jpg"]
    assert names("/q/a/1.jpg", "/g/a/1.png") == ["q/a/1.jpg", "g/a/1.png"]
    with pytest.raises(ValueError, match=r"1\.jpg and /q/a/1\.png differ only in"):
        names("/q/a/1.jpg", "/q/a/1.png")


def test_a_report_has_numbers_and_pictures(tracklets, two_cameras, tmp_path):
    folder = tmp_path / "supervision"
    found = make(folder, tracklets)
    truth = Supervision(str(folder / "keypoints.json"), str(folder / "foreground"))
    text = write_report(folder, tracklets, found, truth).read_text()
    share = np.mean([record["score"] is not None for record in found.values()])
    assert f"| all | 80 | {100 * share:.1f} | {100 * share:.1f} | {100 * share:.1f} | 0.0 |" in text
    # The supervision compared with itself.
    known = round(80 * share)
    assert f"| shoulder row | {known} | 0.0 | 0.0 |" in text
    assert "| knee row | 0 | nan | nan |" in text
    assert f"| foreground, overlap | {known} | 100.0 | 100.0 |" in text
    assert all(f"`{paths[0]}`" in text for items in tracklets.values() for paths, *_ in items)
    for name in ("tracklets", "worst"):
        picture = cv2.imread(str(folder / "report" / f"{name}.png"))
        assert picture.shape == (8 * 256, 10 * 128, 3)
        assert picture.std() > 10
    assert "Compared with the supervision" in text
    assert "Compared with the supervision" not in write_report(folder, tracklets, found).read_text()
