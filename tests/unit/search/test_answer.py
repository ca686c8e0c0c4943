import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.search import Gallery, GalleryTracklet, Match
from torchreid_occ.search.answer import as_json, as_lines, as_table
from torchreid_occ.search.page import write_page
from torchreid_occ.search.query import SearchQuery

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
    answer = as_json(gallery, SearchQuery("folder\n", ["a", "b"]), matches)
    assert answer["query"] == {"title": r"folder\n", "frames": 2}
    assert answer["tracklets"] == 1 and answer["checkpoint_hash"] == "ab" * 32
    assert answer["matches"][0] == {
        "rank": 1, "id": 4, "distance": 0.0123456, "name": EVIL,
        "frames": matches[0].tracklet.frames, "camera": 2, "start": 3.25, "end": 64.0,
    }  # fmt: skip


def test_the_page_shows_frames_and_escapes_what_it_says(gallery, matches, tmp_path):
    crops = [np.full((8, 4, 3), 40 * n, np.uint8) for n in range(1, 4)]
    path = tmp_path / "deep" / "answer.html"
    write_page(path, gallery, SearchQuery("video <i>", crops), matches)
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
    assert "distance 0.0123" in page and "camera 2" in page and "0:03.2 to 1:04.0" in page
    assert page.count("not where they were indexed") == 1
    assert not re.findall(r'(?:href|src)="(?!data:)', page) and "url(" not in page
