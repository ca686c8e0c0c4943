"""A rendering that is killed is absent, and worker processes render the rest."""

import os
import time
from functools import partial

import pytest
from commands import start
from small_rendering import SMALLER, hash_tree

from torchreid_occ.occwalk import VERSION
from torchreid_occ.occwalk.build import build
from torchreid_occ.occwalk.protocol import list_tracklets

pytestmark = pytest.mark.nightly
NAME = f"smaller-v{VERSION}-s0"


def test_killed_rendering_is_absent_and_resumed_by_workers(tmp_path):
    process = start(partial(build, SMALLER, 0, tmp_path, workers=1), os.devnull)
    records = tmp_path / "occwalk" / f".{NAME}.partial" / "records"
    deadline = time.monotonic() + 60
    while len(list(records.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert not (tmp_path / "occwalk" / NAME).exists()
    kept = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert 2 <= len(kept) < len(list_tracklets(SMALLER, 0))
    images = {p: p.stat().st_mtime_ns for p in records.parent.glob("data/train/0001/0001/*")}
    assert images
    folder = build(SMALLER, 0, tmp_path, workers=2)
    assert hash_tree(folder) == hash_tree(build(SMALLER, 0, tmp_path / "whole", workers=1))
    for path, written in images.items():  # what was finished is not rendered again
        assert (folder / path.relative_to(records.parent / "data")).stat().st_mtime_ns == written
