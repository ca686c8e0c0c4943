"""The command in processes that torchrun itself starts."""

import json
import os
import subprocess
import sys

import pytest
from support import REPOSITORY, TINY, pairs

pytestmark = pytest.mark.nightly


def test_two_processes_train(two_cameras, tmp_path):
    settings = {**TINY, "data.root": two_cameras, "data.save_dir": tmp_path, "data.workers": 0}
    words = ["--config-file", "configs/baseline_resnet50.yaml", "-s", "sduvid", *pairs(settings)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"),
            *("--standalone", "tools/main.py", *map(str, words)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["hardware"]["processes"] == 2
    assert done.stdout.count("Evaluating sduvid") == 1  # rank 0 alone logs
