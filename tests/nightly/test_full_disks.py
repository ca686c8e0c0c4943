"""Files that cannot be written: a clear error, no partial file, and existing files stay.

A limit on the size of files replaces a full disk: it needs no privileges and raises an error of the
same kind.
"""

import contextlib
import io
import resource
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from support import REPOSITORY, TINY, pairs, write_masks, write_two_cameras

from nightly.jobs import PRESET
from torchreid_occ.completion.copy import CopyPlan, complete_frames
from torchreid_occ.completion.network import Completion
from torchreid_occ.config import load_config
from torchreid_occ.data.copies import source_tracklets
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.occlusion.occlude import occlude_dataset
from torchreid_occ.occwalk.build import build
from torchreid_occ.runs.phases import run_config
from torchreid_occ.utils.files import write_json

pytestmark = pytest.mark.nightly
SOURCE = {"name": "sduvid", "split_id": 0, "options": {}}


@contextlib.contextmanager
def files_of_at_most(size):
    """Limits the size of files that this process writes, in bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pytest would keep it in a file
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_that_cannot_be_written_keep_the_old_ones(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"mAP": 0.5})
    before = files_in(tmp_path)
    with files_of_at_most(1000), pytest.raises(OSError, match=r"File too large: '.*results\.json'"):
        write_json(path, {"mAP": "x" * 100_000})
    assert files_in(tmp_path) == before


def test_training_names_the_checkpoint_and_continues_when_there_is_room(tmp_path):
    settings = {
        **TINY,
        "model.name": "baseline",
        "model.options.backbone": "resnet18_x0_5",
        "loss.name": "identity",
        "data.sources": "sduvid",
        "data.root": str(write_two_cameras(tmp_path / "data", persons=4, frames=2)),
        "data.save_dir": str(tmp_path / "run"),
        "data.workers": "0",
        "train.batch_size": "4",
        "train.checkpoint_freq": "1",
    }
    run_config(load_config(overrides=pairs({**settings, "train.max_epoch": "1"})))
    kept = files_in(tmp_path / "run" / "model")
    (tmp_path / "run" / "results.json").unlink()
    config = load_config(overrides=pairs(settings))
    message = (
        r"The checkpoint .*model\.pth\.tar-2 could not be written, \d+ MiB are free there: .*File"
    )
    with files_of_at_most(2**20), pytest.raises(OSError, match=message):
        run_config(config, resume=True)
    assert files_in(tmp_path / "run" / "model") == kept
    run_config(config, resume=True)
    assert len(files_in(tmp_path / "run" / "model")) == 2


class Noise(torch.nn.Module):
    """Completes with noise, which does not compress to a small file."""

    def forward(self, frame, mask, previous, following):
        return Completion(2 * torch.rand_like(frame) - 1, None)


def test_a_completed_copy_names_the_frame_and_has_no_manifest(tmp_path):
    root = write_two_cameras(tmp_path / "data", persons=2, frames=2)
    tracklets = source_tracklets(SOURCE, root)
    occluded = {s: [np.ones((len(item[0]), 3), bool) for item in tracklets[s]] for s in SUBSETS}
    before = files_in(root)
    copy = tmp_path / "copy"
    plan = CopyPlan(copy, SOURCE, root, occluded, {"threshold": 0.5})
    with files_of_at_most(1000), pytest.raises(OSError, match=r"'.*\.partial/00000_0001\.png'"):
        complete_frames(plan, Noise(), (32, 16), workers=0)
    assert not (copy / "manifest.json").exists()
    complete_frames(plan, Noise(), (32, 16), workers=0)
    assert (copy / "manifest.json").is_file()
    assert not [*copy.rglob("*.partial")]
    assert files_in(root) == before


def test_an_occluded_copy_names_the_frame_and_continues_when_there_is_room(tmp_path):
    root = write_two_cameras(tmp_path / "data", persons=2, frames=4)
    masks = write_masks(root, tmp_path / "masks")
    copies = [tmp_path / "copy", tmp_path / "whole"]
    occlude = partial(occlude_dataset, "sduvid", root, masks=masks, occluders="things", workers=0)
    occlude(copies[1])
    largest = max(path.stat().st_size for path in copies[1].glob("*/*/*.png"))
    with files_of_at_most(largest - 1), pytest.raises(OSError, match=r"'.*\.partial/.*\.png'"):
        occlude(copies[0])
    assert not [*copies[0].rglob("*.partial"), *copies[0].glob("manifest.json")]
    occlude(copies[0])
    found, expected = (
        {
            path.relative_to(place): path.read_bytes()
            for path in place.glob("*/[0-9]*/**/*")
            if path.is_file()
        }
        for place in copies
    )
    assert found == expected


def test_a_rendering_names_the_frame_and_continues_when_there_is_room(tmp_path):
    with files_of_at_most(700), pytest.raises(OSError, match=r"File too large: '.*\.jpg'"):
        build(PRESET, 0, str(tmp_path), workers=1)
    assert not [*(tmp_path / "occwalk").glob("[!.]*")]
    folder = build(PRESET, 0, str(tmp_path), workers=1)
    whole = build(PRESET, 0, str(tmp_path / "another"), workers=1)
    found, expected = (
        {path.relative_to(place): content for path, content in files_in(place).items()}
        for place in (folder, whole)
    )
    assert found == expected


READ_ONLY = """
import subprocess, sys
subprocess.run(["mount", "--bind", sys.argv[1], sys.argv[1]], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", sys.argv[1]], check=True)
from torchreid_occ.utils.files import write_json
try:
    write_json(sys.argv[1] + "/results.json", {})
except OSError as error:
    print(error)
"""


def test_a_read_only_disk_is_named(tmp_path):
    (tmp_path / "results.json").write_text("old")
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", READ_ONLY]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True, cwd=REPOSITORY)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("mounting is not allowed on this machine")
    assert f"Read-only file system: '{tmp_path}" in done.stdout
    assert (tmp_path / "results.json").read_text() == "old"
