import json
import re

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.data.supervision import Supervision


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_lines_are_found_by_file_name(tmp_path):
    entries = {
        "a.jpg": [0.2, 0.5, 0.7, 0.5],
        "b.jpg": [-0.1, None, 1.3, 1],
        "c.jpg": None,
    }
    supervision = Supervision(write(tmp_path / "k.json", entries))
    lines = supervision.keypoints("/any/folder/a.jpg")
    assert lines.dtype == np.float32
    np.testing.assert_array_equal(lines, np.float32([0.2, 0.5, 0.7, 0.5]))
    # Outside [0, 1] is allowed: released labels have some.
    np.testing.assert_array_equal(
        supervision.keypoints("b.jpg"), np.float32([-0.1, np.nan, 1.3, 1])
    )
    assert np.isnan(supervision.keypoints("c.jpg")).tolist() == [True] * 4
    assert np.isnan(supervision.keypoints("unknown.jpg")).tolist() == [True] * 4
    assert supervision.foreground("a.jpg") is None
    assert supervision.fields == ("keypoints",)


def test_an_empty_file_knows_nothing(tmp_path):
    supervision = Supervision(write(tmp_path / "k.json", {}))
    assert np.isnan(supervision.keypoints("a.jpg")).all()


def test_foreground_is_found_by_stem(tmp_path):
    (tmp_path / "0001_c1").mkdir()
    Image.new("RGB", (4, 6), (90, 90, 90)).save(tmp_path / "0001_c1" / "foreground.png")
    supervision = Supervision(foreground_dir=str(tmp_path))
    foreground = supervision.foreground("x/0001_c1.jpg")
    assert foreground.mode == "L"
    assert (np.asarray(foreground) == 90).all()
    assert supervision.foreground("x/0002_c1.jpg") is None
    assert np.isnan(supervision.keypoints("x/0001_c1.jpg")).all()
    assert supervision.fields == ("foreground",)


def test_frames_of_one_file_name_go_by_the_last_parts_of_their_paths(tmp_path):
    entries = {"cam1/p1/1.jpg": [0.1, 0.2, 0.3, 0.4], "cam2/p1/1.jpg": [0.5, 0.6, 0.7, 0.8]}
    for number, folder in enumerate(("p1/1", "p2/1")):
        (tmp_path / "maps" / folder).mkdir(parents=True)
        image = Image.new("L", (4, 6), 10 + number)
        image.save(tmp_path / "maps" / folder / "foreground.png")
    supervision = Supervision(write(tmp_path / "k.json", entries), str(tmp_path / "maps"))
    assert supervision.keypoints("/any/cam2/p1/1.jpg")[0] == np.float32(0.5)
    assert np.isnan(supervision.keypoints("/any/cam3/p1/1.jpg")).all()
    assert np.isnan(supervision.keypoints("1.jpg")).all()
    assert np.asarray(supervision.foreground("/any/cam1/p2/1.jpg")).mean() == 11
    assert supervision.foreground("/any/cam1/p3/1.jpg") is None
    # Key points tell cameras apart, maps do not.
    assert supervision.name_of("/any/cam2/p1/1.jpg") == "p1/1.jpg"
    assert Supervision(str(tmp_path / "k.json")).name_of("/a/b/c/d.jpg") == "b/c/d.jpg"
    assert Supervision().name_of("/a/b/c/d.jpg") == "d.jpg"
    (tmp_path / "empty").mkdir()
    assert Supervision(None, str(tmp_path / "empty")).name_of("/a/b/c/d.jpg") == "d.jpg"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([[0.1, 0.2, 0.3, 0.4]], "holds a JSON list, but expected an object"),
        ({"ok.jpg": [0, 0, 0, 0], "bad.jpg": [0.1, 0.2, 0.3]}, r"'bad.jpg' is \[0.1, 0.2, 0.3\]"),
        ({"bad.jpg": ["0.1", 0, 0, 0]}, "'bad.jpg'.*expected four numbers"),
        ({"bad.jpg": [True, 0, 0, 0]}, "'bad.jpg'"),
        ({"bad.jpg": 0.4}, "'bad.jpg' is 0.4"),
        ({"bad.jpg": {"row": 1}}, "'bad.jpg'"),
        ('{"bad.jpg": [Infinity, 0, 0, 0]}', "'bad.jpg'"),
        ('{"a.jpg": [0, 0', "as JSON"),
        ("", "as JSON"),
    ],
)
def test_a_wrong_shape_names_file_and_entry(tmp_path, entries, message):
    path = write(tmp_path / "k.json", entries)
    with pytest.raises(ValueError, match=re.escape(path) + ".*" + message):
        Supervision(path)


def test_binary_content_names_the_file(tmp_path):
    path = tmp_path / "k.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        Supervision(str(path))


def test_missing_places_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.json"):
        Supervision(str(tmp_path / "no.json"))
    with pytest.raises(FileNotFoundError, match=r'"[^"]*no_masks" does not exist'):
        Supervision(foreground_dir=str(tmp_path / "no_masks"))
