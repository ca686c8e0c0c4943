import subprocess
import sys

import pytest
from support import REPOSITORY, write_two_cameras


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory):
    return write_two_cameras(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def main():
    """Runs tools/main.py as a user does."""

    def run(*arguments, check=True, **kwargs):
        command = [sys.executable, str(REPOSITORY / "tools" / "main.py"), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, **kwargs
        )
        if check and done.returncode:
            raise AssertionError(f"{done.stdout}\n{done.stderr}")
        return done

    return run
