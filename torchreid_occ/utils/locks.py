"""Locks between processes of one machine; the kernel releases those of a process that ended."""

import fcntl
from typing import IO, Any


def try_lock(file: int | IO[Any]) -> bool:
    """Takes the lock of an open file or folder, which lasts until that is closed.

    Args:
        file: The open file, or the descriptor of an open file or folder.

    Returns:
        False if another process holds the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(file: int | IO[Any]) -> None:
    """Takes the lock of an open file or folder once no other process holds it.

    Args:
        file: The open file, or the descriptor of an open file or folder.
    """
    fcntl.flock(file, fcntl.LOCK_EX)
