import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_videos import FPS, corners, mot_lines, write_video

from torchreid_occ.embedders import Provenance
from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.search import Gallery, GalleryTracklet, Match, moments, tracklets_in
from torchreid_occ.search.answer import as_csv, as_json, as_lines, as_table
from torchreid_occ.search.contents import recorded
from torchreid_occ.search.moments import moment_picture, timelines, video_link
from torchreid_occ.search.page import write_page
from torchreid_occ.search.query import SearchQuery, Seen
from torchreid_occ.search.same_frames import KnownFrames
from torchreid_occ.search.sightings import sightings

PROVENANCE = Provenance(
    "model<i>", "a mall (12 people)", "it had 5 mAP on a bank", "too few people."
)
EVIL = "<script>alert('x')</script>\n| \x1b[31mred"


@pytest.fixture
def matches(tmp_path):
    frames = []
    for number in range(7):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (10, 20), (30 * number, 0, 0)).save(path)
        frames.append(str(path))
    return [
        Match(4, 0.0123456, GalleryTracklet(EVIL, tuple(frames), 2, 3.25, 64.0)),
        Match(2, 0.5, GalleryTracklet("gone", ("/nowhere/1.jpg",))),
    ]


@pytest.fixture
def gallery(tmp_path):
    made = Gallery.create(tmp_path / "gallery <b>", "ab" * 32, 4)
    made.add([GalleryTracklet("t", ("/1.jpg",))], np.ones((1, 4)), "ab" * 32)
    return made


def test_a_table_has_a_line_for_each_match(matches):
    lines = as_table(matches).splitlines()
    assert lines[0] == "| rank | distance | id | camera | time | frames | name |"
    name = r"<script>alert('x')</script>\n\| \x1b[31mred"
    assert lines[2] == f"| 1 | 0.0123 | 4 | 2 | 0:03.2 to 1:04.0 | 7 | {name} |"
    assert lines[3] == "| 2 | 0.5000 | 2 |  |  | 1 | gone |"
    listed = list(as_lines((match.id, match.tracklet) for match in matches))
    assert listed[3] == "| 2 |  |  | 1 | gone |" and len(listed) == 4


def test_json_has_everything(gallery, matches):
    answer = as_json(gallery, SearchQuery("folder\n", ["a", "b"]), matches, PROVENANCE)
    assert answer["query"] == {"title": r"folder\n", "frames": 2}
    assert answer["checkpoint"] == PROVENANCE._asdict()
    assert answer["tracklets"] == 1 and answer["checkpoint_hash"] == "ab" * 32
    assert answer["matches"][0] == {
        "rank": 1, "id": 4, "distance": 0.0123456, "name": EVIL,
        "frames": matches[0].tracklet.frames, "camera": 2, "start": 3.25, "end": 64.0,
        "stamp": None, "content": None, "state": "unknown", "moment": None,
    }  # fmt: skip


def test_the_page_shows_frames_and_escapes_what_it_says(gallery, matches, tmp_path):
    crops = [np.full((8, 4, 3), 40 * n, np.uint8) for n in range(1, 4)]
    path = tmp_path / "deep" / "answer.html"
    write_page(path, gallery, SearchQuery("video <i>", crops), matches, PROVENANCE)
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page and "<i>" not in page and "<b>" not in page and "\x1b" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\\n|" in page
    pictures = re.findall(r'src="([^"]*)"', page)
    assert len(pictures) == 3 + 7
    assert all(one.startswith("data:image/jpeg;base64,") for one in pictures)
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one.split(",")[1])))).mean()
        for one in pictures
    ]
    np.testing.assert_allclose(shown[:3], [40, 80, 120], atol=2)
    assert np.argsort(shown[3:]).tolist() == list(range(7))  # dark to bright, as they were taken
    assert "model&lt;i&gt;, abababab" in page and "a mall (12 people)" in page
    assert "it had 5 mAP on a bank" in page and "<strong>Warning:</strong> too few people." in page
    assert "distance 0.0123" in page and "camera 2" in page and "0:03.2 to 1:04.0" in page
    assert page.count("not where they were indexed") == 1 and "have changed" not in page
    assert not re.findall(r'(?:href|src)="(?!data:|#r\d+")', page) and "url(" not in page


@pytest.fixture
def seen(tmp_path):
    """Matches that were cut out of a video."""
    video = write_video(tmp_path / "a gate.avi")
    (tmp_path / "det.txt").write_text("\n".join(mot_lines()) + "\n")
    source = BoxSource(detections=str(tmp_path / "det.txt"))
    add_recording(video, tmp_path / "data", source, TrackletOptions(camera=3), "gate")
    found = [recorded(one) for one in tracklets_in(tmp_path / "data" / "gallery")]
    return [Match(n, 0.25 * n, one) for n, one in enumerate(found, start=1)]


def test_whole_frames_are_no_tracklets(seen, tmp_path):
    assert len(tracklets_in(tmp_path / "data")) == len(seen)


def test_json_has_the_moment_in_the_video(gallery, seen, tmp_path):
    first = as_json(gallery, SearchQuery("q", ["a"]), seen, PROVENANCE)["matches"][0]
    assert first["state"] == "same"
    moment = first["moment"]
    assert moment["video"] == str(tmp_path / "a gate.avi") and moment["recording"] == "gate"
    assert moment["box"] == ["left", "top", "width", "height"]
    assert moment["frames"] == [*range(2, 31)] and len(first["frames"]) == 29
    assert moment["boxes"][3] == [*corners(1, 5)[:2], 16, 40]
    assert moment["seconds"][3] == pytest.approx(4 / FPS)


def test_the_person_in_a_box_of_the_video_is_recognised(seen, tmp_path):
    def held(frames, boxes, video=tmp_path / "a gate.avi"):
        query = SearchQuery("q", [np.zeros((8, 4, 3), np.uint8)], seen=Seen(video, frames, boxes))
        return [KnownFrames(query).hold(match) for match in seen]

    def box(person, frame, moved=0):
        left, top, *_ = corners(person, frame)
        return [left + moved, top, 16, 40]

    assert held([9], [box(1, 9)]) == [True, False]
    assert held([9, 10, 11], [box(2, n, moved=3) for n in (9, 10, 11)]) == [False, True]
    assert held([9], [box(1, 9, moved=9)]) == [False, False]  # a third is shared
    assert held([9, 10, 11], [box(1, 9), box(2, 10), box(2, 11)]) == [False, True]
    assert held([1, 40], [box(1, 1), box(1, 9)]) == [False, False]  # other frames
    assert held([9], [box(1, 9)], tmp_path / "other.avi") == [False, False]


def test_csv_has_a_row_for_each_frame(seen, matches, tmp_path):
    frame = Path(seen[0].tracklet.frames[2])
    rows = [*csv.DictReader(io.StringIO(as_csv([*seen, *matches])))]
    assert len(rows) == 29 + 29 + 7 + 1
    left, top, *_ = corners(1, 4)
    assert rows[2] == {
        "rank": "1", "distance": "0.25", "id": "1", "camera": "3",
        "name": "gallery/gate_0001/3_gate_0001", "state": "same", "path": str(frame),
        "video": str(tmp_path / "a gate.avi"), "frame": "4", "seconds": "0.3",
        "left": f"{left}.0", "top": f"{top}.0", "width": "16.0", "height": "40.0",
    }  # fmt: skip
    assert rows[-1]["name"] == "gone" and rows[-1]["frame"] is None
    assert rows[-2]["name"] == EVIL
    # A frame that was taken out does not shift the others.
    kept = seen[0].tracklet._replace(frames=seen[0].tracklet.frames[3:])
    assert next(csv.DictReader(io.StringIO(as_csv([Match(1, 0, kept)]))))["frame"] == "5"


def test_the_page_shows_the_moment_and_links_to_it(gallery, seen, tmp_path):
    path = tmp_path / "answer.html"
    write_page(path, gallery, SearchQuery("q", [np.zeros((8, 4, 3), np.uint8)]), seen, PROVENANCE)
    page = path.read_text(encoding="utf-8")
    video = (tmp_path / "a gate.avi").as_uri()
    link = f'<a href="{video}#t=0.1,2.9" target="_top">a gate.avi</a>, frames 2 to 30'
    assert page.count(link) == 2 and page.count("shown is frame 16") == 2
    assert len(re.findall(r"<img ", page)) == 1 + 2 * (8 + 1)
    assert page.count('class="line"') == 1 + 1 and "camera 3 · gate" in page
    assert re.findall(r'<a href="#r(\d)"', page) == ["1", "2"] and 'id="r2"' in page
    (tmp_path / "a gate.avi").unlink()
    Image.new("RGB", (4, 8)).save(seen[0].tracklet.frames[0])
    write_page(path, gallery, SearchQuery("q", [np.zeros((8, 4, 3), np.uint8)]), seen, PROVENANCE)
    page = path.read_text(encoding="utf-8")
    assert "file://" not in page and "<figcaption>a gate.avi, frames 2" in page
    assert page.count("have changed since they were indexed") == 1


@pytest.mark.parametrize("widest, scale", [(480, 1), (80, 0.5)])
def test_the_box_is_drawn_where_the_person_is(seen, monkeypatch, widest, scale):
    monkeypatch.setattr(moments, "_WIDTH", widest)
    for person, one in enumerate(sightings(seen), start=1):
        content = base64.b64decode(moment_picture(one.where).uri.split(",")[1])
        pixels = np.asarray(Image.open(io.BytesIO(content))).astype(int)
        assert pixels.shape == (120 * scale, 160 * scale, 3)
        left, top, right, bottom = (scale * at for at in corners(person, one.where.pictured))
        yellow = (pixels[..., 0] > 170) & (pixels[..., 1] > 120) & (pixels[..., 2] < 110)
        rows, columns = np.nonzero(yellow)
        assert abs(columns.min() - left) <= 2 and abs(columns.max() - right) <= 2
        assert abs(rows.min() - top) <= 2 and abs(rows.max() - bottom) <= 2


def test_a_timeline_for_each_camera(matches):
    def one(number, camera, start, end):
        return Match(number, 0.1, GalleryTracklet(f"{number}", ("/x/1.jpg",), camera, start, end))

    found = [one(1, 2, 5.0, 10.0), one(2, 1, 0.0, 20.0), one(3, 2, 0.0, 1.0), matches[1]]
    lines, longest = timelines(sightings(found))
    assert longest == 20
    assert lines == [
        ("camera 1", [(2, 0, 1, 0)], 1), ("camera 2", [(3, 0, 0.05, 0), (1, 0.25, 0.25, 0)], 1),
    ]  # fmt: skip
    # Those seen at the same time are one below the other.
    found += [one(4, 2, 6.0, 7.0), one(5, 2, 6.5, 8.0), one(6, 2, 11.0, 12.0)]
    ((_, camera), _) = timelines(sightings(found))
    lanes = {span.rank: span.lane for span in camera.spans}
    assert lanes == {3: 0, 1: 0, 5: 1, 6: 2, 7: 0} and camera.lanes == 3
    assert timelines(sightings(matches[1:])) == ([], 1.0)


def test_recordings_of_one_name_have_timelines_of_their_own(seen):
    first, *_ = sightings(seen)
    later = first._replace(rank=3, where=first.where._replace(dataset=Path("/later")))
    lines, _ = timelines([first, later])
    titles = [f"camera 3 · gate · {place}" for place in ("/later", first.where.dataset)]
    assert sorted(titles) == [line.title for line in lines]
    assert [line.title for line in timelines([first])[0]] == ["camera 3 · gate"]


def test_a_damaged_manifest_is_no_end_of_an_answer(gallery, seen, tmp_path):
    (tmp_path / "data/recordings/gate.json").write_text("{")
    with pytest.warns(UserWarning, match=r"gate.json is no manifest"):
        answer = as_json(gallery, SearchQuery("q", ["a"]), seen, PROVENANCE)
    assert [one["moment"] for one in answer["matches"]] == [None, None]


def test_a_video_that_is_known_by_name_only_has_no_link(seen):
    where = sightings(seen)[0].where
    assert video_link(where._replace(video="gate.avi")) is None
