"""A rendering on disk: made once, under a lock, resumable, and atomic."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from tqdm import tqdm

from torchreid_occ._types import StrPath
from torchreid_occ.occwalk.frozen import FROZEN
from torchreid_occ.occwalk.parallel import render_in_workers
from torchreid_occ.occwalk.presets import VERSION, Preset
from torchreid_occ.occwalk.protocol import TrackletSpec, list_tracklets
from torchreid_occ.occwalk.records import data_folder, read_record, render_record
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.locks import try_lock, wait_for_lock
from torchreid_occ.utils.threads import usable_cores

FRAMES_PER_WORKER = 2000  # starting a worker takes as long as rendering these


def build(preset: Preset, seed: int, root: StrPath = "", workers: int | None = None) -> Path:
    """Renders a preset unless it is there already, and returns its folder.

    One process renders while others wait. Tracklets that a killed process has finished are
    kept, and the next process continues.

    Args:
        preset: Size of the rendering.
        seed: Seed of the rendering.
        root: Folder that holds the datasets.
        workers: Number of processes; None takes one per core, fewer for a small rendering.

    Raises:
        ValueError: If the rendering is not there and cannot be written below the root.
    """
    parent = Path(root).expanduser().absolute() / "occwalk"
    folder = parent / f"{preset.name}-v{VERSION}-s{seed}"
    if folder.exists():
        return folder
    with _lock(parent, folder.name) as lock:
        if not folder.exists():  # another process may have made it meanwhile
            _render(folder, preset, seed, workers, lock)
    return folder


@contextmanager
def _lock(parent: Path, name: str) -> Iterator[IO[str]]:
    """Holds a lock, which the kernel releases when this process and its workers have ended."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        file = (parent / f".{name}.lock").open("w")
    except OSError as error:
        raise ValueError(
            f"{name} is rendered before its first use, but {parent} cannot be written ({error}). "
            "Set data.root to a writable folder."
        ) from error
    with file:
        if not try_lock(file):
            print(f"=> Waiting for another process that renders {name}", flush=True)
            wait_for_lock(file)
        yield file


def _render(folder: Path, preset: Preset, seed: int, workers: int | None, lock: IO[str]) -> None:
    """Renders into a hidden sibling folder, which is renamed at the end."""
    partial = folder.with_name(f".{folder.name}.partial")
    if not data_folder(partial).exists():  # stale records: the folder was renamed
        shutil.rmtree(partial, ignore_errors=True)
    specs = list_tracklets(preset, seed)
    pending = [spec for spec in specs if read_record(partial, spec) is None]
    num_frames = sum(spec.num_frames for spec in pending)
    if workers is None:
        workers = max(1, min(usable_cores(), num_frames // FRAMES_PER_WORKER))
    print(f"=> Rendering {num_frames} frames of {preset.name} into {folder}", flush=True)
    started = time.monotonic()
    with tqdm(total=num_frames, unit="frame", disable=None) as bar:
        if workers == 1:
            for spec in pending:
                render_record(partial, spec, preset, seed)
                bar.update(spec.num_frames)
        else:
            render_in_workers(partial, pending, preset, seed, workers, bar, lock)
    _write_index(partial, specs, preset, seed)
    data_folder(partial).rename(folder)
    shutil.rmtree(partial)
    print(f"=> Rendered in {time.monotonic() - started:.0f} s", flush=True)


def _sha256(preset: Preset, seed: int, hashes: Mapping[str, str]) -> str:
    """Returns the hash of all tracklets' hashes; warns if it is not the frozen one."""
    found = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()
    if found != FROZEN.get((VERSION, preset.name, seed), found):
        print(
            f"=> WARNING: this rendering of {preset.name}, seed {seed}, is not the frozen one. "
            "Numbers on it cannot be compared with others': OpenCV is another version than "
            "constraints.txt names, or the renderer was changed.",
            flush=True,
        )
    return found


def _write_index(partial: Path, specs: list[TrackletSpec], preset: Preset, seed: int) -> None:
    """Writes the key points, the occlusion and the manifest of all tracklets."""
    data = data_folder(partial)
    found = {}
    for spec in specs:
        record = read_record(partial, spec)
        assert record is not None, f"{spec.folder} is not rendered"
        found[spec.folder] = record
    for name, path in (
        ("keypoints", "keypoints.json"),
        ("occlusion", "ground_truth/occlusion.json"),
    ):
        merged = {key: value for record in found.values() for key, value in record[name].items()}
        write_text(data / path, json.dumps(merged))
    hashes = {tracklet: record["sha256"] for tracklet, record in found.items()}
    manifest = {
        "version": VERSION,
        "preset": asdict(preset),
        "seed": seed,
        "frames": sum(spec.num_frames for spec in specs),
        "sha256": _sha256(preset, seed, hashes),
        "tracklets": hashes,
    }
    write_text(data / "manifest.json", json.dumps(manifest, indent=1))
