import os

import pytest
from commands import run_command
from support import write_two_cameras

from torchreid_occ.occwalk import PRESETS
from torchreid_occ.occwalk.build import build


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory):
    return write_two_cameras(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def occwalk_root(tmp_path_factory):
    """The folder of `occwalk_tiny`, rendered once for all processes of a test run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root = folder / "shared-occwalk"
    build(PRESETS["occwalk_tiny"], 0, str(root), workers=1)
    return root


@pytest.fixture(scope="session")
def main():
    """Runs `torchreid-occ train`."""

    def run(*arguments, check=True, env=None):
        done = run_command("train", *arguments, env=env)
        if check and done.returncode:
            raise AssertionError(f"{done.stdout}\n{done.stderr}")
        return done

    return run
