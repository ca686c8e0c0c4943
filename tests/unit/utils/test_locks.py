import os
import subprocess
import sys

from torchreid_occ.utils.locks import try_lock, wait_for_lock

TRY = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("taken")
"""


def taken_elsewhere(path):
    """Returns whether another process fails to take the lock of a file."""
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout == "taken\n"


def test_a_lock_lasts_until_its_file_is_closed(tmp_path):
    path = tmp_path / "lock"
    with path.open("w") as file:
        assert try_lock(file)
        assert taken_elsewhere(path)
        with path.open() as other:
            assert not try_lock(other)
    assert not taken_elsewhere(path)


def test_a_folder_is_locked_by_its_descriptor(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        wait_for_lock(descriptor)
        other = os.open(tmp_path, os.O_RDONLY)
        assert not try_lock(other)
        os.close(other)
    finally:
        os.close(descriptor)
