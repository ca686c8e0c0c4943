"""Measures what VRSTC's re-ID network takes to read a whole tracklet as one clip, on a CPU.

    python tools/benchmarks/whole_tracklets.py --lengths 200 1000 5000 --json memory.json

The network is that of configs/vrstc.yaml (ResNet-50, five non-local blocks, float32) with random
weights, and frames are random. Each length has a process to itself, in which a short clip has
warmed everything up; memory is what a clip adds to the process, without its frames.
"""

import argparse
import multiprocessing
import time

import torch

from torchreid_occ.models import build_model
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.utils.memory import added_mebibytes

STRIDE = 8  # of the maps of res3, which have the most units


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--max-key-frames", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--lengths", nargs="+", type=int, default=[200, 1000, 5000], metavar="FRAMES"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    titles = ("frames", "frames (MiB)", "memory (MiB)", "all pairs (MiB)", "seconds")
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    found = {}
    for length in arguments.lengths:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found[length] = pool.apply(measure, (length, arguments))
        print("| {} | {:.0f} | {:.0f} | {:.0f} | {:.0f} |".format(length, *found[length].values()))
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "measured": found, **about})


def measure(length, arguments):
    """Memory that a clip of so many frames adds, that all its pairs would take, and seconds."""
    torch.set_num_threads(arguments.threads)
    size = {"height": arguments.height, "width": arguments.width}
    model = build_model(
        "vrstc", 2, backbone=arguments.backbone, max_key_frames=arguments.max_key_frames, **size
    )
    lay_out_channels_last(model.eval())

    def clip(frames):
        return torch.randn(1, frames, 3, arguments.height, arguments.width)

    with torch.inference_mode():
        model(clip(16))
        frames = clip(length)
        start = time.perf_counter()
        memory = added_mebibytes(lambda: model(frames))
    seconds = time.perf_counter() - start
    units = length * arguments.height * arguments.width // STRIDE**2
    return {
        "frames (MiB)": frames.numel() * 4 / 2**20,
        "mebibytes": memory,
        "all pairs (MiB)": units * units / 4 * 4 / 2**20,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
