"""The lines of docs/footage.md that turn a detector's output into MOTChallenge's text."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import supervision
import torch
import torchvision
from small_videos import FRAMES, corners, write_video

from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.footage.boxes import read_mot

PAGE = Path(__file__).parents[3] / "docs/footage.md"
SNIPPETS = re.findall(
    r"```{code-block} python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


def boxes_of(number):
    return np.array([corners(1, number), corners(2, number)], np.float32)


def of_frame(frame):
    """What a perfect detector finds: the first person's place tells the frame's number."""
    blue = np.flatnonzero(((frame[..., 0] > 200) & (frame[..., 1] < 100)).any(0))
    return boxes_of(round((int(blue[0]) - 5) / 3))


class FakeYolo:
    """Ultralytics' model as it answers."""

    def __init__(self, name):
        assert name.endswith(".pt")

    def predict(self, path, classes, conf, stream):
        assert (classes, stream, Path(path).is_file()) == ([0], True, True) and conf <= 0.1
        for number in range(1, FRAMES + 1):
            xyxy, scores = torch.from_numpy(boxes_of(number)), torch.tensor([0.9, 0.8])
            yield SimpleNamespace(boxes=SimpleNamespace(xyxy=xyxy, conf=scores))


def fake_torchvision(images):
    red, green, blue = (255 * images[0]).round().byte().numpy()
    boxes = torch.from_numpy(
        np.append(of_frame(np.stack([blue, green, red], -1)), [[0, 0, 9, 9]], 0)
    )
    return [
        {"boxes": boxes, "labels": torch.tensor([1, 1, 3]), "scores": torch.tensor([0.9, 0.8, 1])}
    ]


def fake_detect(frame):
    return supervision.Detections(xyxy=of_frame(frame), confidence=np.array([0.9, 0.8]))


@pytest.mark.parametrize("library", ["ultralytics", "supervision", "torchvision"])
def test_the_lines_of_the_page_make_a_file_of_detections(tmp_path, monkeypatch, library):
    (snippet,) = [
        text
        for text in SNIPPETS
        if re.search(rf"(from|import).* {library}\b|import {library}", text)
    ]
    write_video(tmp_path / "gate.avi").rename(tmp_path / "gate.mp4")
    monkeypatch.chdir(tmp_path)
    ultralytics = ModuleType("ultralytics")
    ultralytics.YOLO = FakeYolo
    monkeypatch.setitem(sys.modules, "ultralytics", ultralytics)
    model = SimpleNamespace(eval=lambda: fake_torchvision)
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: model)
    exec(snippet, {"detect": fake_detect})
    boxes = read_mot(tmp_path / "gate.txt")
    assert not boxes.linked and boxes.frame.tolist() == [
        n for n in range(1, FRAMES + 1) for _ in "12"
    ]
    for number in (1, FRAMES):
        assert boxes.corners[boxes.frame == number].tolist() == boxes_of(number).tolist()
    np.testing.assert_allclose(boxes.score, [0.9, 0.8] * FRAMES)
    source = BoxSource(detections="gate.txt")
    made = add_recording("gate.mp4", "data", source, TrackletOptions(camera=1))
    assert len(made["tracklets"]) == 2
