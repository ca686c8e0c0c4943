import pytest
from commands import run_command
from support import write_two_cameras


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory):
    return write_two_cameras(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def main():
    """Runs `torchreid-occ train`."""

    def run(*arguments, check=True, env=None):
        done = run_command("train", *arguments, env=env)
        if check and done.returncode:
            raise AssertionError(f"{done.stdout}\n{done.stderr}")
        return done

    return run
