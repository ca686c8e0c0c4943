"""The package's readers of files from untrusted sources, with malformed inputs for each."""

import csv
import io
import json
import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hypothesis.strategies import SearchStrategy, binary, sampled_from
from matlab_files import matlab_73
from onnx_files import write_mean_colour
from PIL import Image
from scipy.io import savemat
from small_videos import mot_lines
from support import write_two_cameras

from nightly import containers, inputs
from torchreid_occ.completion.copy import CopyPlan, discard_frames
from torchreid_occ.completion.dataset import Completed
from torchreid_occ.completion.scores import read_scores, write_scores
from torchreid_occ.config import config_of, load_config, plain
from torchreid_occ.data.copies import source_tracklets
from torchreid_occ.data.datasets.matlab import read_matrix
from torchreid_occ.data.datasets.splits import half_splits, load_split
from torchreid_occ.data.datasets.video.tracklet_folder import TrackletFolder
from torchreid_occ.data.download import unpack
from torchreid_occ.data.images import read_image
from torchreid_occ.data.poses import read_pose
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.embedders.onnx_file import load_onnx
from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.models import build_model
from torchreid_occ.occlusion.dataset import OccludedGroundTruth
from torchreid_occ.runs.builders import build_test_transform, load_trained_model
from torchreid_occ.runs.folder import read_results
from torchreid_occ.utils.checkpoint import load_checkpoint, load_weights

SUBSETS = ("train", "query", "gallery")
SOURCE = {"name": "sduvid", "split_id": 0, "options": {}}
IDENTITIES = (1, 2, 3, 4)


class Reader(NamedTuple):
    """A reader of a file, with malformed contents.

    Attributes:
        file: Name of the file.
        contents: Makes the strategy of malformed contents.
        read: Reads a path; raises AssertionError if the result is wrong.
        prepare: Writes what belongs beside the file into a folder.
        starts_processes: Whether it reads in a subprocess.
    """

    file: str
    contents: Callable[[], SearchStrategy[bytes]]
    read: Callable[[Path], None]
    prepare: Callable[[Path], None] = lambda folder: None
    starts_processes: bool = False


def _read_image(path):
    for mode in ("RGB", "L"):
        image = read_image(path, mode)
        assert image.mode == mode
        assert np.asarray(image).dtype == np.uint8


def _keypoints():
    return inputs.json_files(
        [{"a.jpg": [0.2, 0.5, 0.7, 0.5], "b.jpg": None, "c.jpg": [None, 1, 0.5, -0.1]}, {}]
    )


def _read_keypoints(path):
    supervision = Supervision(str(path))
    for name in ("a.jpg", "b.jpg", "c.jpg", "absent"):
        lines = supervision.keypoints(name)
        assert lines.shape == (4,) and lines.dtype == np.float32
        assert not np.isinf(lines).any()


def _splits():
    return inputs.json_files([half_splits(IDENTITIES, 2)])


def _read_splits(path):
    split = load_split(path, 0, IDENTITIES, make=lambda: None)
    assert {*split["train"]} | {*split["test"]} == {*IDENTITIES}


def _results():
    result = {"mAP": 0.5, "cmc": {"1": 0.4, "5": 0.6}, "average_precisions": [0.5, None]}
    targets = {"sduvid": {"last": result, "selected": result}}
    return inputs.json_files(
        [{"targets": targets, "epochs": 2, "selected_epoch": None, "config": plain(load_config())}]
    )


def _read_results(path):
    results = read_results(path.parent)
    config_of(results["config"], origin=str(path))
    for checkpoints in results.get("targets", {}).values():
        for result in checkpoints.values():
            assert all(isinstance(rank, int) for rank in result["cmc"])


@cache
def _manifest():
    """Returns the manifest of a copy of `write_two_cameras`."""
    with tempfile.TemporaryDirectory() as folder:
        _write_source(Path(folder))
        tracklets = source_tracklets(SOURCE, folder)
        occluded = {
            subset: [np.arange(len(item[0]) * 3).reshape(-1, 3) == 0 for item in tracklets[subset]]
            for subset in SUBSETS
        }
        copy = Path(folder, "copy")
        discard_frames(CopyPlan(copy, SOURCE, folder, occluded, {"threshold": 0.5}))
        return json.loads(Path(folder, "copy", "manifest.json").read_text())


def _write_source(folder):
    write_two_cameras(folder, persons=2, frames=2)
    splits = json.dumps(half_splits((1, 2)))
    Path(folder, "SDU-VID", "splits.json").write_text(splits)


def _read_manifest(path):
    copy = Completed(path.parent, path=path.parent, verbose=False)
    for subset in SUBSETS:
        for paths, *_ in getattr(copy, subset):
            assert paths and all(Path(frame).is_file() for frame in paths)


def _occlusion_records():
    frames = {"1": {"file": "00001_a.png", "share": 0.4, "occluders": ["test van"]}}
    return inputs.json_files([{"query": {"0": {"sha256": "ab", "frames": frames}}, "train": {}}])


def _read_occlusion_records(path):
    frame = str(path.parent / "query/00000/00001_a.png")
    truth = OccludedGroundTruth(path.parent, SOURCE, [[frame]], None, None)
    assert 0 <= truth.query_labels()[0] <= 10
    assert all(isinstance(name, str) for name in truth.occluders(frame))


def _configs():
    small = {
        "model": {"name": "baseline", "pretrained": False, "options": {"backbone": "resnet18"}},
        "data": {"sources": ["mars"], "norm_mean": [0.5, 0.5, 0.5], "transforms": ["random_flip"]},
        "train": {"lr": 3e-4, "stepsize": [20], "max_epoch": 2, "optim": "adam"},
        "test": {"ranks": [1, 5], "rerank": True},
    }
    phases = {
        "_BASE_": [],
        "phases": [
            {"name": "one", "train": {"max_epoch": 3}},
            {"name": "two", "task": "copy", "take": {"completion.scores": "one"}},
        ],
    }
    return inputs.yaml_files([small, phases])


def _read_config(path):
    config = load_config(path)
    assert load_config(path, ["train.seed", "3"]).train.seed == 3
    assert plain(config_of(plain(config))) == plain(config)
    assert math.isfinite(config.train.lr)


def _tracklet_tables():
    rows = [["path", "pid", "camid", "split", "tracklet"]]
    rows += [
        [f"{number}.png", f"p{number % 2}", str(number % 2), subset, "t"]
        for subset in SUBSETS
        for number in range(4)
    ]
    return inputs.csv_files([rows, [row[:4] for row in rows]])


def _write_frames(folder):
    for number in range(4):
        Image.new("RGB", (2, 4)).save(folder / f"{number}.png")


def _read_tracklets(path):
    dataset = TrackletFolder(path.parent, verbose=False)
    pids = {pid for _, pid, *_ in dataset.train}
    assert pids == set(range(len(pids)))
    for subset in SUBSETS:
        for paths, *_ in getattr(dataset, subset):
            assert paths and all(Path(frame).is_file() for frame in paths)


_SCORED = {subset: [((f"{subset}.png", "b\n,é.png"), 0, 0, 0)] for subset in SUBSETS}


@cache
def _scores():
    with tempfile.TemporaryDirectory() as folder:
        scores = {subset: [np.full((2, 3), 0.5)] for subset in SUBSETS}
        write_scores(Path(folder, "scores.csv"), _SCORED, scores)
        content = Path(folder, "scores.csv").read_bytes()
    rows = [*csv.reader(io.StringIO(content.decode(), newline=""))]
    return inputs.csv_files([rows]) | inputs.damaged([content])


def _read_scores(path):
    for rows in read_scores(path, _SCORED).values():
        assert [row.shape for row in rows] == [(2, 3)]
        assert np.isfinite(rows[0]).all()


@cache
def _state():
    """A checkpoint of the smallest model, as a run writes it."""
    config = load_config(
        overrides=["model.name", "baseline", "model.options", "{'backbone': 'resnet18_x0_5'}",
                   "loss.name", "identity", "data.height", "32", "data.width", "16"]
    )  # fmt: skip
    options = {"pretrained": False, "height": 32, "width": 16, **plain(config.model.options)}
    weights = {
        name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)  # as small as a file can be
        for name, tensor in build_model("baseline", 2, **options).state_dict().items()
    }
    return {"config": plain(config), "num_classes": 2, "epoch": 1, "state_dict": weights}


def _mot_files():
    lines = mot_lines({1: 1, 2: 2}), mot_lines()
    rows = [[line.split(",") for line in part[:6]] for part in lines]
    return inputs.csv_files(rows) | inputs.damaged(["\n".join(part).encode() for part in lines])


def _read_mot(path):
    boxes = read_mot(path)
    assert len(boxes) > 0 and (boxes.frame >= 1).all()
    assert (np.diff(boxes.frame) >= 0).all()
    assert np.isfinite(boxes.corners).all() and np.isfinite(boxes.score).all()


def _matrices():
    files = []
    for compress in (False, True):
        buffer = io.BytesIO()
        rows = {"ls_set": np.arange(12).reshape(2, 6), "text": "x", "cells": np.array([{}, "a"])}
        savemat(buffer, rows, do_compression=compress)
        files.append(buffer.getvalue())
    for wrong in (np.array([math.nan]), "text", {"a": 1}, np.array(["x", 1], object), 1j):
        buffer = io.BytesIO()
        savemat(buffer, {"ls_set": wrong})
        files.append(buffer.getvalue())
    hdf5 = {"ls_set": np.arange(12.0).reshape(2, 6)}
    files += [matlab_73(hdf5, kind) for kind in ("double", "char")]
    return inputs.damaged(files) | sampled_from(files) | binary(max_size=200)


def _read_matrix(path):
    assert read_matrix(path, "ls_set").dtype == int


def _small_states():
    return [{"epoch": 3, "best": {"mAP": 0.5}, "state_dict": {"a.weight": torch.ones(2, 2)}}]


def _read_checkpoint(path):
    load_checkpoint(path)
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2, bias=False)})
    load_weights(model, path)
    assert model["a"].weight.shape == (2, 2)


def _read_model(path):
    model, config, _ = load_trained_model(path)
    clip = torch.zeros(1, 1, 3, config.data.height, config.data.width)
    assert model(clip).shape[0] == 1


def _write_mean_colour(folder):
    write_mean_colour(folder / "colours.onnx")


def _embedder_settings():
    frames = {"height": 8, "width": 4, "norm_mean": [0.5, 0.5, 0.5], "norm_std": [1, 1, 1]}
    known = {"trained_on": "a mall", "num_people": 12, "results": "5 mAP", "channels": "bgr"}
    return inputs.yaml_files([frames, {**frames, **known, "interpolation": "bicubic"}])


def _read_embedder(path):
    loaded = load_onnx(path.with_suffix(".onnx"))
    size = loaded.config.data.height, loaded.config.data.width
    assert size == (8, 4) and loaded.model(torch.zeros(1, 1, 3, *size)).shape == (1, 3)
    build_test_transform(loaded.config)
    assert "was trained on" in str(loaded.provenance)


def _poses():
    points = [[0.25, 0.5, 0.75], [1, 0, -0.25]]
    return inputs.json_files([{"presence": 0.5, "points": points}])


def _read_pose(path):
    pose = read_pose(path)
    assert 0 <= pose.presence <= 1 and pose.mask is None
    assert pose.points.shape[1:] == (3,) and np.isfinite(pose.points).all()


def _unpack(path):
    before = {*path.parent.rglob("*")}
    try:
        entries = unpack(path, path.parent / "out")
    except Exception:
        assert {*path.parent.rglob("*")} - {path.parent / "out"} == before
        raise
    assert {*(path.parent / "out").iterdir()} == {*entries}
    for found in path.parent.rglob("*"):
        assert path.parent in found.resolve().parents, f"{found} leads to {found.resolve()}"


READERS = {
    "images": Reader("1.jpg", containers.image_files, _read_image),
    "key points": Reader("keypoints.json", _keypoints, _read_keypoints),
    "splits": Reader("splits.json", _splits, _read_splits),
    "results": Reader("results.json", _results, _read_results),
    "records of occluded copies": Reader(
        "occlusion.json", _occlusion_records, _read_occlusion_records
    ),
    "manifests": Reader(
        "manifest.json", lambda: inputs.json_files([_manifest()]), _read_manifest, _write_source
    ),
    "configurations": Reader("run.yaml", _configs, _read_config),
    "tracklet tables": Reader("tracklets.csv", _tracklet_tables, _read_tracklets, _write_frames),
    "scores": Reader("scores.csv", _scores, _read_scores),
    "MOT text": Reader("boxes.txt", _mot_files, _read_mot),
    "MATLAB matrices": Reader("splits.mat", _matrices, _read_matrix, starts_processes=True),
    "checkpoints": Reader(
        "weights.pth", lambda: containers.checkpoint_files(_small_states()), _read_checkpoint
    ),
    "models": Reader("model.pth", lambda: containers.checkpoint_files([_state()]), _read_model),
    "embedder settings": Reader(
        "colours.yaml", _embedder_settings, _read_embedder, _write_mean_colour
    ),
    "poses": Reader("pose.json", _poses, _read_pose),
    "zip archives": Reader("a.zip", containers.zip_files, _unpack),
    "tar archives": Reader("a.tar", containers.tar_files, _unpack),
}
