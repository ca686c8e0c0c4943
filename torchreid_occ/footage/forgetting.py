"""Deletes the frames of tracklets, and what the recordings they were cut from hold of them."""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchreid_occ.footage.manifest import MOMENTS, RECORDINGS, WHOLE_FRAME, middle
from torchreid_occ.footage.recording import SHEET, TRACKS
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import write_text


def delete_tracklet_frames(frames: Iterable[Path]) -> int:
    """Deletes frames, folders that are empty then, and what recordings hold of the tracklets.

    A recording's manifest and tracks lose the tracklets. Its page of pictures and the whole frames
    in which the tracklets are, which `torchreid_occ.footage.add_recording` wrote, are deleted. The
    recording still counts as added, so the tracklets do not come back. Detections of a detector
    stay: they name nobody.

    Args:
        frames: Paths of the frames; those that do not exist are ignored.

    Returns:
        The number of frames deleted.

    Raises:
        OSError: If a file cannot be deleted.
        ValueError: If the manifest of a recording is damaged.
    """
    frames = list(frames)
    folders = sorted({frame.parent for frame in frames})
    names: dict[Path, set[str]] = {}  # of tracklets, by the dataset that they may be of
    for folder in folders:
        for dataset in folder.parents[1:3]:  # above gallery/<person>/<tracklet>
            names.setdefault(dataset, set()).add(folder.name)
    for dataset, tracklets in names.items():
        for manifest in sorted((dataset / RECORDINGS).glob("*.json")):
            _forget_in_recording(manifest, tracklets)
    deleted = 0
    for frame in frames:
        with suppress(FileNotFoundError):
            frame.unlink()
            deleted += 1
    for folder in folders:
        for own in (folder, folder.parent):  # the tracklet's and the person's
            with suppress(OSError):  # not empty, or gone
                own.rmdir()
    return deleted


def _forget_in_recording(file: Path, names: Collection[str]) -> None:
    """Removes tracklets from the manifest, the tracks and the pictures of a recording."""
    manifest = read_json(file)
    recorded = manifest.get("tracklets") if isinstance(manifest, dict) else None
    if not isinstance(recorded, dict):
        raise ValueError(f"{file} is no manifest of a recording.")
    left = {key: where for key, where in recorded.items() if Path(key).name not in names}
    own = recorded.keys() - left.keys()
    if not own:
        return
    file.with_suffix(f".{SHEET}").unlink(missing_ok=True)
    _forget_moments(file.with_suffix(f".{MOMENTS}"), recorded, own)
    _forget_tracks(file.with_suffix(f".{TRACKS}"), own)
    text = json.dumps({**manifest, "tracklets": left}, ensure_ascii=False)
    write_text(file, text + "\n")


def _forget_moments(pictures: Path, recorded: Mapping[str, Any], own: Collection[str]) -> None:
    """Deletes whole frames of the video in which tracklets are, those kept for others as well."""
    seen = {frame for key in own for frame in recorded[key]["frames"]}
    for key, where in recorded.items():
        if middle(where["frames"]) in seen:
            name = Path(key).name.partition("_")[2]  # after the camera
            (pictures / f"{name}{WHOLE_FRAME}").unlink(missing_ok=True)


def _forget_tracks(path: Path, tracklets: Collection[str]) -> None:
    """Removes the rows of tracklets, whose folders' names end in their ids, from a file."""
    if not path.exists():
        return
    tracks = {int(tracklet.rpartition("_")[2]) for tracklet in tracklets}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(path, "".join(line for line in lines if int(line.split(",")[1]) not in tracks))
