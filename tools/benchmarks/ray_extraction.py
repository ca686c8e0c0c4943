"""Compares `torchreid-occ extract` to Parquet by one process and by a Ray cluster in this machine.

    python tools/benchmarks/ray_extraction.py --videos 24 --json ray_extraction.json

Videos of coloured rectangles with true boxes are cut and extracted with an untrained network. The
commands take turns. Seconds a video are those from the first to the last part, divided by the
videos between, of the clock and of all processors in all processes of the command, Ray's own
included; what comes before, less a video, is start-up. On a machine that does other work, too, the
seconds of processors are the ones to compare. Memory is the largest seen while a command runs: of
an actor, and of the object store (the shared pages that Ray's daemon holds). The parts of commands
with the same number of threads must be the same bytes.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import torch

from torchreid_occ.config import load_config, merged, plain
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import save_checkpoint
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.progress import progress

# Words of the command by name: one process, an actor of the same threads, an actor for each core.
SIDES = {
    "plain, 2 threads": ["--threads", "2"],
    "Ray, an actor of 2 threads": ["--threads", "2", "--ray", "local"],
    "plain, 1 thread": ["--threads", "1"],
    "Ray, 2 actors of 1 thread": ["--threads", "1", "--ray", "local"],
}
SIZE, BOX = (640, 360), (60, 140)
COMMAND = [sys.executable, "-m", "torchreid_occ_command", "extract"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=24, metavar="N")
    parser.add_argument("--frames", type=int, default=100, metavar="N", help="of a video")
    parser.add_argument("--people", type=int, default=4, metavar="N", help="of a video, up to 8")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--backbone", default="resnet18_x0_5", metavar="NAME")
    parser.add_argument("--sides", nargs="+", default=[*SIDES], choices=[*SIDES], metavar="NAME")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    found = {side: [] for side in arguments.sides}
    with TemporaryDirectory() as folder:
        words = write_inputs(Path(folder), arguments)
        contents = {}
        for _ in progress(range(arguments.rounds), "measuring", unit="round"):
            for side in arguments.sides:
                found[side].append(measured(Path(folder), [*words, *SIDES[side]]))
                print(f"{side}: {found[side][-1]}", file=sys.stderr, flush=True)
                own = {part.name: part.read_bytes() for part in parts(Path(folder))}
                if contents.setdefault(SIDES[side][1], own) != own:
                    sys.exit(f"{side}: the parts differ.")
    for side, runs in found.items():
        middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print(f"{side}: " + ", ".join(f"{name} {value:.2f}" for name, value in middle.items()))
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "measured": found, **about})


def write_inputs(folder, arguments):
    """Writes a checkpoint and videos; returns the words of the command."""
    options = {"model": {"name": "baseline", "options": {"backbone": arguments.backbone}}}
    config = plain(merged(plain(load_config(None, [])), [options], "benchmark"))
    torch.manual_seed(0)
    height, width = config["data"]["height"], config["data"]["width"]
    model = build_model("baseline", 4, height=height, width=width, backbone=arguments.backbone)
    state = {"config": config, "num_classes": 4, "state_dict": model.state_dict()}
    save_checkpoint(state, folder / "model.pth.tar-1")
    lines = write_video(folder / "0.avi", arguments.frames, arguments.people)
    (folder / "boxes.txt").write_text(lines)
    rows = ["video,camera,detections,name"]
    for number in range(arguments.videos):
        if number:
            os.link(folder / "0.avi", folder / f"{number}.avi")
        rows.append(f"{number}.avi,{number},boxes.txt,v{number:03d}")
    (folder / "videos.csv").write_text("\n".join(rows) + "\n")
    words = [folder / "model.pth.tar-1", folder / "videos.csv", "--workers", "0"]
    words += ["--footage", folder / "data", "--out", folder / "f.parquet"]
    return [*COMMAND, *map(str, words)]


def write_video(path, frames, people):
    """Writes rectangles that walk over noise, and returns their true boxes as MOT's text."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 255, (36, 64, 3), np.uint8), SIZE)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, SIZE)
    lines = []
    for frame in range(1, frames + 1):
        pixels = ground.copy()
        for person in range(people):
            left = int((person // 2 * 150 + frame) % (SIZE[0] - BOX[0]))
            top = 20 + person % 2 * 180
            colour = rng.permutation([40 * (person % 4) + 60, 90, 200]).tolist()
            cv2.rectangle(pixels, (left, top), (left + BOX[0], top + BOX[1]), colour, -1)
            lines.append(f"{frame},{person + 1},{left},{top},{BOX[0]},{BOX[1]},1,-1,-1,-1")
        writer.write(pixels)
    writer.release()
    return "\n".join(lines) + "\n"


def parts(folder):
    return sorted((folder / "f.parquet").glob("*.parquet"))


def measured(folder, words):
    """Runs a command and returns seconds and mebibytes."""
    for made in ("data", "f.parquet"):
        shutil.rmtree(folder / made, ignore_errors=True)
    # Ray's workers yield to other processes unless told otherwise, and the plain command does not.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    seconds, counted, actor, store = {}, {}, 0.0, 0.0
    start = time.time()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)
    while process.poll() is None:
        time.sleep(0.3)
        for pid, one in family(process.pid).items():
            seconds[pid] = one.seconds
            actor = max(actor, one.own if one.name.startswith("ray::Map") else 0)
            store = max(store, one.shared if one.name == "raylet" else 0)
        counted.setdefault(len(parts(folder)), sum(seconds.values()))
    if process.returncode:
        sys.exit(f"{' '.join(words)} failed.")
    end = time.time()
    times = sorted(part.stat().st_mtime for part in parts(folder))
    first, last = min(filter(None, counted)), max(counted)
    a_video = (times[-1] - times[0]) / (len(times) - 1)
    return {
        "seconds a video": a_video,
        "processor seconds a video": (counted[last] - counted[first]) / (last - first),
        "start-up": times[0] - start - a_video,
        "in all": end - start,
        "MiB of an actor": actor,
        "MiB of the store": store,
    }


class Process(NamedTuple):
    """A process: seconds of processors, and mebibytes of its own and shared."""

    name: str
    parent: int
    seconds: float
    own: float
    shared: float


def family(pid):
    """The processes that a process has started, those of these too, and itself, by their ids."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            found[int(folder.name)] = read_process(folder)
    family = {pid}
    while more := {one for one, process in found.items() if process.parent in family} - family:
        family |= more
    return {one: found[one] for one in family if one in found}


def read_process(folder):
    name, _, rest = (folder / "stat").read_text().rpartition(")")
    values = rest.split()
    pages = [int(value) for value in (folder / "statm").read_text().split()[1:3]]
    resident, shared = (count * os.sysconf("SC_PAGE_SIZE") / 2**20 for count in pages)
    ticks = int(values[11]) + int(values[12])
    seconds = ticks / os.sysconf("SC_CLK_TCK")
    return Process(name.partition("(")[2], int(values[1]), seconds, resident - shared, shared)


if __name__ == "__main__":
    main()
