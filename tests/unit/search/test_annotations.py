from xml.etree import ElementTree

import numpy as np
import pytest
from small_videos import corners, mot_lines, write_video

from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.footage.recording import BoxSource, TrackletOptions, add_recording
from torchreid_occ.search import GalleryTracklet, tracklets_in
from torchreid_occ.search.annotations import write_annotations

GAP = 12  # a frame in which nobody was detected


@pytest.fixture
def tracklets(tmp_path):
    """Ids from 7 on, of two recordings of two people each."""
    video, boxes = write_video(tmp_path / "gate.avi"), tmp_path / "gate.txt"
    kept = [line for line in mot_lines({1: 1, 2: 2}) if not line.startswith(f"{GAP},")]
    boxes.write_text("\n".join(kept))
    for name in ("gate", "yard"):
        source = BoxSource(str(boxes))
        add_recording(video, tmp_path / "data", source, TrackletOptions(camera=1), name)
    return [*enumerate(tracklets_in(tmp_path / "data" / "gallery"), start=7)]


def test_mot_text_has_the_boxes_under_the_ids(tracklets, tmp_path):
    others = [(99, GalleryTracklet("other", ("/elsewhere/1.jpg",)))]
    written = write_annotations(tmp_path / "out", [*tracklets, *others], "mot")
    assert [file.name for file in written.files] == ["gate.txt", "yard.txt"]
    assert (written.tracklets, written.left_out) == (4, 1)
    boxes = read_mot(tmp_path / "out" / "gate.txt")
    assert sorted(set(boxes.track.tolist())) == [7, 8]
    own = boxes[boxes.track == 7]
    assert own.frame.tolist() == [n for n in range(1, 31) if n != GAP]
    np.testing.assert_allclose(own.corners, [corners(1, int(n)) for n in own.frame])


def test_cvats_xml_has_tracks_that_are_outside_in_gaps_and_at_the_end(tracklets, tmp_path):
    (file, _) = write_annotations(tmp_path / "out", tracklets, "cvat").files
    root = ElementTree.parse(file).getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    assert root.findtext("meta/task/labels/label/name") == "person"
    assert root.findtext("meta/task/original_size/width") == "160"
    tracks = root.findall("track")
    assert [(track.get("id"), track.get("label")) for track in tracks] == [
        ("7", "person"), ("8", "person"),
    ]  # fmt: skip
    boxes = tracks[0].findall("box")
    assert [int(box.get("frame")) for box in boxes] == [*range(31)]  # from 0
    outside = [int(box.get("frame")) for box in boxes if box.get("outside") == "1"]
    assert outside == [GAP - 1, 30]
    sides = [float(boxes[4].get(name)) for name in ("xtl", "ytl", "xbr", "ybr")]
    assert sides == [*corners(1, 5)]


def test_what_cannot_be_written_is_refused(tracklets, tmp_path):
    with pytest.raises(ValueError, match="None of the tracklets was cut out of a video"):
        write_annotations(tmp_path, [(1, GalleryTracklet("a", ("/b/1.jpg",)))], "mot")
    with pytest.raises(ValueError, match="coco"):
        write_annotations(tmp_path, tracklets, "coco")
    other = tmp_path / "other"
    add_recording(
        tmp_path / "gate.avi", other, BoxSource(str(tmp_path / "gate.txt")), TrackletOptions(2),
        "gate",
    )  # fmt: skip
    more = [*tracklets, *enumerate(tracklets_in(other / "gallery"), start=50)]
    with pytest.raises(ValueError, match="Two recordings are named gate"):
        write_annotations(tmp_path / "out", more, "mot")
    assert not (tmp_path / "out").exists()
