"""Measures what extracting one tracklet's feature takes, for tracklets of growing length.

    python tools/benchmarks/memory.py --json memory.json

Each tracklet repeats the frames of a query tracklet of `occwalk_tiny`, is read from disk in clips
as in a test, and has a process to itself, in which a short tracklet has warmed everything up.
"""

import argparse
import multiprocessing
import time

import torch

from torchreid_occ.data import ClipDataManager, ClipOptions
from torchreid_occ.engine import ClipEngine
from torchreid_occ.models import build_model
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.memory import added_mebibytes

CLIP_LEN, BATCH = 64, 4


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--model", default="baseline")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument(
        "--lengths", nargs="+", type=int, default=[64, 1000, 20000], metavar="FRAMES"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    print("| frames | memory (MiB) | frames/s |\n|---|---|---|")
    found = {}
    for length in arguments.lengths:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found[length] = pool.apply(measure, (length, arguments))
        print("| {} | {:.0f} | {:.0f} |".format(length, *found[length].values()))
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "measured": found, **about})


def measure(length, arguments):
    """Memory that a tracklet of so many frames adds, and frames a second."""
    size = {"height": arguments.height, "width": arguments.width}
    data = ClipDataManager(
        arguments.root,
        "occwalk_tiny",
        options=ClipOptions(test_clip_len=CLIP_LEN),
        batch_size_test=BATCH,
        use_gpu=False,
        workers=0,
        **size,
    )  # without workers, so that all memory is that of one process
    options = {"pretrained": False, "backbone": arguments.backbone, **size}
    model = build_model(arguments.model, data.num_train_pids, **options)
    engine = ClipEngine(data, model, None, None, use_gpu=False)
    engine.set_model_mode("eval")
    frames, *labels = data.test_dataset["occwalk_tiny"]["query"][0]

    @torch.no_grad()
    def extract(count):
        paths = tuple(frames[index % len(frames)] for index in range(count))
        engine.extract(data.loader_of([(paths, *labels)]), f"{count} frames")

    extract(2 * BATCH * CLIP_LEN)
    start = time.perf_counter()
    memory = added_mebibytes(lambda: extract(length))
    return {"mebibytes": memory, "frames per second": length / (time.perf_counter() - start)}


if __name__ == "__main__":
    main()
