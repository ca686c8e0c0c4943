"""Measures everything that a GPU changes, part by part, in the minutes there are.

    python tools/benchmarks/gpu_day.py --out gpu_day --minutes 8

Each part writes `<out>/<part>.json` as soon as it knows something; one that fails writes its error,
and the next goes on. Data is rendered below --root. `--tiny --device cpu` is the form in which the
tests run it. Nothing is downloaded.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch
from gpu_parts import extraction, loading, machine, operator, runs, training
from gpu_parts.day import Day, Save

from torchreid_occ.occwalk import PRESETS
from torchreid_occ.occwalk.build import build
from torchreid_occ.utils.files import write_json

PARTS: dict[str, Callable[[Day, Save], None]] = {
    "environment": machine.environment,
    "build": machine.build,
    "tests": machine.tests,
    "operator": operator.operator,
    "training": training.training,
    "loading": loading.loading,
    "extraction": extraction.extraction,
    "agreement": extraction.agreement,
    "resume": runs.resume,
    "comparison": runs.comparison,
    "real": runs.real,
}
NEED_DATA = {"training", "loading", "extraction", "agreement", "comparison"}
SHORTEST = 5  # seconds that must be left for a part to begin


def main() -> int:
    """Runs the command line."""
    arguments = _parser().parse_args()
    unknown = sorted(set(arguments.parts) - PARTS.keys())
    if unknown:
        sys.exit(f"There are no parts {unknown}: expected names of {[*PARTS]}.")
    day = Day(
        device=arguments.device,
        tiny=arguments.tiny,
        out=Path(arguments.out).absolute(),
        root=Path(arguments.root).absolute(),
        workers=0 if arguments.tiny else min(16, os.cpu_count() or 1),
        deadline=time.monotonic() + 60 * arguments.minutes,
        real=Path(arguments.real).absolute() if arguments.real else None,
        run_seconds=60 * arguments.run_minutes,
    )
    day.out.mkdir(parents=True, exist_ok=True)
    rendering = _render(day) if NEED_DATA & set(arguments.parts) else None
    failed = []
    for number, name in enumerate(arguments.parts):
        if rendering is not None and name in NEED_DATA:
            wait([rendering])
        if not run_part(name, day):
            failed.append(name)
            if _is_broken(day):
                _start_again(arguments, arguments.parts[number + 1 :], day)
    return 1 if failed else 0


def run_part(name: str, day: Day) -> bool:
    """Runs a part and writes its file.

    Args:
        name: One of `PARTS`.
        day: What it is run with.

    Returns:
        Whether it ended without an error.
    """
    start = time.monotonic()
    content: dict[str, Any] = {}

    def write(status: str, **more: Any) -> None:
        seconds = round(time.monotonic() - start, 2)
        head = {"part": name, "status": status, "seconds_in_all": seconds, "tiny": day.tiny}
        write_json(day.out / f"{name}.json", {**head, **more, **content})

    def save(found: Mapping[str, Any]) -> None:
        content.update(found)
        write("running")

    if day.seconds_left() < SHORTEST:
        write("left out", reason="no time was left")
        print(f"{name}: left out, as no time was left", flush=True)
        return True
    print(f"{name}: begins, {day.seconds_left():.0f} s are left", flush=True)
    try:
        PARTS[name](day, save)
    except Exception:
        write("failed", error=traceback.format_exc())
        print(f"{name}: failed\n{traceback.format_exc()}", flush=True)
        return False
    write("done")
    print(f"{name}: done in {time.monotonic() - start:.1f} s", flush=True)
    return True


def _render(day: Day) -> "Future[Path]":
    """Starts to render the data beside the parts that need none."""
    return ThreadPoolExecutor(1).submit(build, PRESETS[day.dataset], 0, day.root)


def _is_broken(day: Day) -> bool:
    """Whether an error on the GPU has left this process unable to use it."""
    if not day.use_gpu:
        return False
    try:
        torch.cuda.synchronize()
        torch.ones(1, device="cuda").item()
    except RuntimeError:
        return True
    return False


def _start_again(arguments: argparse.Namespace, parts: list[str], day: Day) -> None:
    """Takes this process's place by one for the parts that are left."""
    if not parts:
        return
    words = ["--out", str(day.out), "--root", str(day.root), "--device", day.device]
    words += ["--minutes", str(day.seconds_left() / 60), "--parts", *parts]
    words += ["--run-minutes", str(arguments.run_minutes)]
    words += ["--real", str(day.real)] if day.real else []
    words += ["--tiny"] if day.tiny else []
    print(f"The GPU can no longer be used: a new process runs {parts}.", flush=True)
    os.execv(sys.executable, [sys.executable, __file__, *words])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="of the JSON files")
    parser.add_argument("--root", default="reid-data", metavar="DIR", help="of the datasets")
    parser.add_argument("--parts", nargs="+", default=[*PARTS], metavar="PART", help="in order")
    parser.add_argument("--minutes", type=float, default=8.0, metavar="N")
    parser.add_argument(
        "--run-minutes", type=float, default=3.0, metavar="N",
        help="at most for each of the parts 'comparison' and 'real'",
    )  # fmt: skip
    parser.add_argument("--real", metavar="DIR", help="folder that holds mars/, for part 'real'")
    parser.add_argument(
        "--device", choices=["cuda", "cpu"],
        default="cuda" if torch.cuda.is_available() else "cpu",
    )  # fmt: skip
    parser.add_argument("--tiny", action="store_true", help="sizes of a test")
    return parser


if __name__ == "__main__":
    sys.exit(main())
