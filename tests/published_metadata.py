"""Datasets' metadata as their authors published it, which lies beside the repository, if at all."""

import pytest
from support import REPOSITORY

METADATA = REPOSITORY.parent / "shared" / "real" / "metadata"
needs_metadata = pytest.mark.skipif(
    not METADATA.is_dir(), reason="the published metadata is not beside the repository"
)


def place(source, target):
    """Links a published file to where a reader expects it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(METADATA / source)


def mars_names(rows):
    """Frame names of MARS for rows `[start, end, person, camera]`: a number for each tracklet."""
    names, tracklets = [], {}
    for start, end, pid, camera in rows.tolist():
        person = "00-1" if pid == -1 else f"{pid:04d}"
        number = tracklets[person, camera] = tracklets.get((person, camera), 0) + 1
        beginning = f"{person}C{camera}T{number:04d}F"
        names += [f"{beginning}{frame:03d}.jpg" for frame in range(1, end - start + 2)]
    return names
