import json
import math

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.annotate.quality import accuracy, rank_tracklets, shares_by_camera
from torchreid_occ.data.supervision import Supervision

NOTHING = {"score": None, "lines": None, "coverage": None}
ALL = {"score": 0.9, "lines": [0.2, 0.5, 0.7, 0.5], "coverage": 0.3}
HALF = {"score": 0.8, "lines": [0.2, None, None, 0.5], "coverage": None}
FOUND = {"a": ALL, "b": HALF, "c": NOTHING, "d": {**ALL, "coverage": 0.5}}
TRACKLETS = {
    "train": [(("a", "b"), 0, 4, 0)],
    "query": [(("c",), 1, 4, 0)],
    "gallery": [(("c",), 1, 4, 0), (("d",), 1, 7, 0)],
}


def test_shares_are_by_camera():
    shares = shares_by_camera(TRACKLETS, FOUND)
    assert list(shares) == [4, 7, "all"]
    frames, quality = shares[4]
    assert frames == 3  # a frame in query and gallery is one
    expected = {
        "person": 2 / 3,
        "shoulder row": 2 / 3,
        "hip row": 1 / 3,
        "knee row": 1 / 3,
        "knee column": 2 / 3,
        "foreground": 1 / 3,
        "coverage": 0.3,
    }
    assert quality == pytest.approx(expected)
    frames, quality = shares["all"]
    assert (frames, quality["person"], quality["coverage"]) == (4, 0.75, 0.4)
    alone = shares_by_camera({"train": [(("c",), 0, 0, 0)]}, {"c": NOTHING})
    assert math.isnan(alone["all"][1]["coverage"])


def test_the_worst_tracklets_come_first():
    ranked = rank_tracklets(TRACKLETS, FOUND)
    places = [place for _, *place in ranked]
    assert places == [["gallery", 0], ["query", 0], ["train", 0], ["gallery", 1]]
    assert [share for share, *_ in ranked] == pytest.approx([0, 0, (1 + 1 / 2) / 2, 1])


def supervision(folder, lines, masks):
    (folder / "maps").mkdir(parents=True)
    (folder / "k.json").write_text(json.dumps(lines))
    for name, columns in masks.items():
        (folder / "maps" / name).mkdir()
        pixels = np.zeros((4, 10), np.uint8)
        pixels[:, columns] = 255
        Image.fromarray(pixels).save(folder / "maps" / name / "foreground.png")
    return Supervision(str(folder / "k.json"), str(folder / "maps"))


def test_accuracy_is_over_what_both_know(tmp_path):
    found = supervision(
        tmp_path / "found",
        {"a.jpg": [0.2, 0.5, None, 0.5], "b.jpg": [0.25, None, None, 0.4]},
        {"a": slice(0, 5), "c": slice(0, 5)},
    )
    truth = supervision(
        tmp_path / "true",
        {"a.jpg": [0.3, 0.5, 0.7, 0.3], "b.jpg": None},
        {"a": slice(3, 8), "b": slice(0, 1)},
    )
    values = accuracy(["x/a.jpg", "x/b.jpg", "x/c.jpg"], found, truth)
    assert values["shoulder row"] == pytest.approx([0.1])
    assert values["hip row"] == pytest.approx([0.0])
    assert len(values["knee row"]) == 0
    assert values["knee column"] == pytest.approx([0.2])
    assert values["foreground"] == pytest.approx([2 / 8])
