"""Measures how fast a video becomes tracklets, and the memory that it takes.

    python tools/benchmarks/footage.py --earlier CHECKOUT --json footage.json

The video is made here: H.264 in 1080p, 25 frames a second at 4 Mbit/s with a keyframe every two
seconds, of noise from a sensor and ten people (patterns of noise, 200 to 320 pixels high) who are
in each frame. Three sides cut out the same people:

- `this`: `add_recording` of this checkout.
- `earlier`: that of another checkout, such as of a release (`git worktree add CHECKOUT COMMIT`).
- `loop`: OpenCV and the library `trackers` in one loop, which writes the same crops and nothing
  else: no page, no whole frames, no manifest, nothing atomic.

Boxes come from a file, or from a scripted detector that knows them, so that only reading, linking
and writing count. Each measurement is a process of its own; sides take turns. Wall time
depends on what else runs; `cpu` is the time of all threads, which other work changes less.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

SIZE, RATE, PEOPLE = (1920, 1080), 25, 10
BITS, KEYFRAMES = 4_000_000, 50
ROOT = Path(__file__).parents[2]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--earlier", type=Path, metavar="CHECKOUT", help="to compare with")
    parser.add_argument("--frames", type=int, nargs="+", default=[600], help="of each video")
    parser.add_argument("--boxes", nargs="+", default=["scripted", "file"])
    parser.add_argument("--keyframes", type=int, default=KEYFRAMES, help="frames between two")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)  # what the processes get
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(*arguments.side)))
        return
    sides = {"this": ROOT, "loop": ROOT}
    if arguments.earlier is not None:
        sides["earlier"] = arguments.earlier.absolute()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for frames in arguments.frames:
            video = make_video(Path(folder, f"{frames}.mp4"), frames, arguments.keyframes)
            for boxes in arguments.boxes:
                rows += compare(sides, video, boxes, arguments.repeats)
    if arguments.json:
        from torchreid_occ.utils.environment import hardware, versions

        about = {"hardware": hardware(False), "versions": versions(), "opencv": cv2.__version__}
        Path(arguments.json).write_text(json.dumps({"measured": rows, **about}, indent=2))


def compare(sides, video, boxes, repeats):
    """Measures all sides in turns, prints the medians, and returns all measurements."""
    measured = {side: [] for side in sides}
    for _ in range(repeats):
        for side in measured:
            words = [sys.executable, __file__, "--side", side, str(video), boxes]
            with tempfile.TemporaryDirectory(dir=video.parent) as out:
                path = os.pathsep.join(
                    filter(None, [str(sides[side]), os.environ.get("PYTHONPATH")])
                )
                found = subprocess.run(
                    [*words, out], env={**os.environ, "PYTHONPATH": path},
                    stdout=subprocess.PIPE, check=True, text=True,
                )  # fmt: skip
            measured[side].append(json.loads(found.stdout.splitlines()[-1]))
    crops = {run["crops"] for runs in measured.values() for run in runs}
    assert len(crops) == 1, f"The crops differ: {crops}"
    middle = {
        side: {key: statistics.median(run[key] for run in runs) for key in ("ms", "cpu_ms", "mib")}
        for side, runs in measured.items()
    }
    print(f"\n{video.stem} frames, boxes: {boxes}")
    print("| side | ms a frame | ms of a core | MiB |\n|---|---|---|---|")
    for side, values in middle.items():
        print(f"| {side} | {values['ms']:.2f} | {values['cpu_ms']:.2f} | {values['mib']:.0f} |")
    for other in set(measured) - {"this"}:
        pairs = [*zip(measured[other], measured["this"], strict=True)]
        for key in ("ms", "cpu_ms"):
            ratios = [theirs[key] / ours[key] for theirs, ours in pairs]
            print(f"{other} / this, {key}: {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    about = {"frames": int(video.stem), "boxes": boxes}
    return [about | {"side": side} | run for side, runs in measured.items() for run in runs]


def measure(side, video, boxes, out):
    """Runs a side in this process; returns milliseconds a frame, MiB and a hash of the crops."""
    known = known_boxes(Path(video))
    run = loop if side == "loop" else recording
    work = run(Path(video), boxes, known, Path(out, "data"))  # imports what it needs
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak of memory is counted anew
    load, memory = os.getloadavg()[0], memory_mib("VmRSS")
    start, start_of_cores = time.perf_counter(), cores_seconds()
    work()
    seconds, of_cores = time.perf_counter() - start, cores_seconds() - start_of_cores
    contents = sorted(hashlib.sha256(p.read_bytes()).digest() for p in Path(out).rglob("*.jpg"))
    return {
        "ms": 1000 * seconds / len(known),
        "cpu_ms": 1000 * of_cores / len(known),
        "mib": memory_mib("VmHWM") - memory,
        "load": load,
        "crops": f"{len(contents)} {hashlib.sha256(b''.join(contents)).hexdigest()[:16]}",
    }


def recording(video, boxes, known, out):
    """Prepares `add_recording` of whichever checkout is imported."""
    import supervision  # noqa: F401  that no side counts the import
    import trackers  # noqa: F401

    from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
    from torchreid_occ.footage import recording as module

    source = BoxSource(detections=str(boxes_of(video)))
    options = TrackletOptions(camera=1, min_score=0.7)
    if boxes == "scripted":
        frames = iter(known)

        def detector(frame):
            corners = np.array(next(frames), np.float64)
            return corners, np.full(len(corners), 0.9)

        module.build_detector = lambda *_: detector
        source = BoxSource(detector="hog")
    return lambda: add_recording(video, out, source, options, "v")


def loop(video, boxes, known, out):
    """Prepares the loop that one would write: a folder for each track, short tracks removed."""
    import shutil

    import supervision
    import trackers

    def work():
        tracker = trackers.ByteTrackTracker(
            lost_track_buffer=30, frame_rate=RATE, track_activation_threshold=0.7,
            high_conf_det_threshold=0.7, minimum_iou_threshold=0.3, minimum_consecutive_frames=1,
        )  # fmt: skip
        capture, lengths = cv2.VideoCapture(str(video)), {}
        for number, corners in enumerate(known):
            frame = capture.read()[1]
            found = supervision.Detections(
                xyxy=np.array(corners, np.float64), confidence=np.full(len(corners), 0.9)
            )
            found = tracker.update(found, timestamp=number / RATE)
            for box, track in zip(found.xyxy, found.tracker_id, strict=True):
                if track < 0:
                    continue
                folder = out / str(track)
                folder.mkdir(parents=True, exist_ok=True)
                left, top = np.floor(box[:2]).astype(int)
                right, bottom = np.ceil(box[2:]).astype(int)
                file = str(folder / f"{number:06d}.jpg")
                cv2.imwrite(file, frame[top:bottom, left:right], [cv2.IMWRITE_JPEG_QUALITY, 95])
                lengths[track] = lengths.get(track, 0) + 1
        for track, length in lengths.items():
            if length < 8:
                shutil.rmtree(out / str(track))

    return work


def make_video(path, frames, keyframes):
    """Writes the video, and a file of its boxes as MOTChallenge's text."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 190, (27, 48, 3)).astype(np.uint8)
    scene = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = rng.normal(0, 4, (8, height, width, 1)).astype(np.int16)
    people = []
    for _ in range(PEOPLE):
        high = int(rng.integers(200, 320))
        pattern = rng.integers(0, 255, (12, 5, 3)).astype(np.uint8)
        wide = int(0.4 * high)
        start = rng.uniform((0, 0), (width - wide, height - high))
        step = rng.uniform((-4, -1), (4, 1))
        people.append((cv2.resize(pattern, (wide, high)), start, step))
    with av.open(str(path), "w") as file, boxes_of(path).open("w") as text:
        stream = file.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate, stream.codec_context.gop_size = BITS, keyframes
        stream.options = {"preset": "veryfast", "maxrate": str(BITS), "bufsize": str(2 * BITS)}
        for number in range(frames):
            pixels = scene.copy()
            for pattern, start, step in people:
                high, wide = pattern.shape[:2]
                room = np.array([width - wide, height - high])
                left, top = (room - np.abs((start + step * number) % (2 * room) - room)).astype(int)
                pixels[top : top + high, left : left + wide] = pattern
                text.write(f"{number + 1},-1,{left},{top},{wide},{high},0.9,-1,-1,-1\n")
            pixels = (pixels + noise[number % len(noise)]).clip(0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        file.mux(stream.encode())
    return path


def boxes_of(video):
    return video.with_suffix(".txt")


def known_boxes(video):
    """Returns the corners of each frame's people."""
    frames = {}
    for line in boxes_of(video).read_text().splitlines():
        number, _, left, top, width, height, *_ = map(float, line.split(","))
        frames.setdefault(number, []).append((left, top, left + width, top + height))
    return [*frames.values()]


def cores_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_mib(name):
    """Returns the memory of this process: VmRSS is that of now, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) / 1024


if __name__ == "__main__":
    main()
