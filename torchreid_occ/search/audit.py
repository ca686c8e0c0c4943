"""The audit of a gallery: who erased how many tracklets, when and how chosen, but not which."""

import getpass
import json
import os
import socket
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

AUDIT = "audit.jsonl"


def audit_entry(chosen_by: str, tracklets: int, frames: int) -> dict[str, Any]:
    """Describes an erasure by this process, now.

    Args:
        chosen_by: How the tracklets were chosen, such as 'id' or 'age'.
        tracklets: Number of tracklets that were erased.
        frames: Number of their frames that were deleted.
    """
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "by": f"{_user()}@{socket.gethostname()}",
        "chosen_by": chosen_by,
        "tracklets": tracklets,
        "frames": frames,
    }


def append_audit(path: Path, entry: Mapping[str, Any]) -> None:
    """Appends a line to an audit file and waits until it is on disk.

    Args:
        path: The file.
        entry: Plain values.
    """
    line = json.dumps(entry, ensure_ascii=False) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(handle, line.encode("utf-8", "surrogateescape"))
        os.fsync(handle)
    finally:
        os.close(handle)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
