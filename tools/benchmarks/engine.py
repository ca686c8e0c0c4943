"""Measures our engine against torchreid's on the same model: extraction and a training step.

    python tools/benchmarks/engine.py --json engine.json

Extraction reads query tracklets of `occwalk_tiny` from disk, whole, as torchreid's data manager
and ours give them; a training step is that of triplet loss and cross-entropy on one batch of clips.
Each engine has a process of its own, as what ours does to memory would help torchreid's, too; they
take turns, and shown are medians. `--test-backend openvino --test-precision int8` runs ours with
OpenVINO; its calibration on training tracklets is not in the time. Layers with random weights do
not quantise as those of a trained model do (`--weights`).
"""

import argparse
import contextlib
import functools
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.nn import functional as F

from torchreid_occ._torchreid import torchreid
from torchreid_occ.config.schema import BACKENDS
from torchreid_occ.data import ClipDataManager
from torchreid_occ.engine import ClipEngine
from torchreid_occ.engine.precision import PRECISIONS
from torchreid_occ.engine.torchreid_backend import TorchreidTripletEngine
from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import load_matching_weights
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.memory import keep_freed_memory
from torchreid_occ.utils.timing import median_seconds

DATASET = "occwalk_tiny"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--model", default="baseline", choices=("baseline", "rfcnet"))
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", metavar="FILE", help="of a trained model, for both")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--tracklets", type=int, default=8, metavar="N", help="to extract")
    parser.add_argument(
        "--frames", type=int, default=60, metavar="N",
        help="of each, its own again and again; by default as many as a query of "
        "Occluded-DukeMTMC-VideoReID has on average",
    )  # fmt: skip
    parser.add_argument("--precision", default="float32", choices=list(PRECISIONS))
    parser.add_argument("--test-backend", default="torch", choices=BACKENDS, help="of ours")
    parser.add_argument("--test-precision", default="float32", choices=[*PRECISIONS, "int8"])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--compile", action="store_true", help="our model, for extraction")
    parser.add_argument("--clips", type=int, default=8, metavar="N", help="in a training batch")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    load(arguments)  # renders what is missing, once
    spawn, method = multiprocessing.get_context("spawn"), multiprocessing.get_start_method()
    sides = {
        side: ProcessPoolExecutor(1, spawn, start, (prepare, method, arguments))
        for side, prepare in SIDES.items()
    }
    seconds = {}
    for what in arguments.parts:
        work = PARTS[what]
        steps = {side: functools.partial(result_of, pool, work) for side, pool in sides.items()}
        seconds[what] = median_seconds(steps, arguments.repeats, what)
    cosine = None
    if "extraction" in arguments.parts:
        features = [result_of(pool, last_features) for pool in sides.values()]
        cosine = F.cosine_similarity(*map(torch.from_numpy, features)).mean().item()
    for what, times in seconds.items():
        for side, time in times.items():
            print(f"{what}, {side}: {time:.2f} s ({times['torchreid'] / time:.2f}x)")
    print(f"mean cosine of both engines' features: {cosine}")
    if arguments.json:
        about = {"hardware": hardware(torch.cuda.is_available()), "versions": versions()}
        found = {"seconds": seconds, "cosine": cosine}
        write_json(arguments.json, {"options": vars(arguments), **found, **about})


def result_of(pool, work):
    """What work gives in the process of a pool."""
    return pool.submit(work).result()


class Side:
    """What a process holds: its engine, a batch, and the features it extracted last."""

    engine = batch = features = loader = None
    network = contextlib.ExitStack()


def start(prepare, method, arguments):
    """Makes this process a side's, whose loaders start workers as those of a user's process do."""
    # A spawned process would spawn them, too, and each would import torch again for seconds.
    multiprocessing.set_start_method(method, force=True)
    prepare(arguments)


def prepare_theirs(arguments):
    """Makes this process torchreid's."""
    data = torchreid.data.VideoDataManager(
        root=arguments.root,
        sources=DATASET,
        batch_size_test=1,
        height=arguments.height,
        width=arguments.width,
        sample_method="all",  # of a test, too: then tracklets come one by one
    )
    Side.loader = data.test_loader[DATASET]["query"]
    Side.loader.dataset.data = tracklets(Side.loader.dataset.data, arguments)
    model = build(arguments, data.num_train_pids)
    model.torchreid_loss = "triplet"  # answers as torchreid's engines expect it
    Side.engine = TorchreidTripletEngine(data, model, torch.optim.Adam(model.parameters(), 3e-4))
    Side.batch = draw(arguments)


def prepare_ours(arguments):
    """Makes this process ours."""
    data = load(arguments)
    Side.loader = data.loader_of(tracklets(data.test_dataset[DATASET]["query"], arguments))
    model = build(arguments, data.num_train_pids)
    Side.engine = ClipEngine(
        data,
        model,
        torch.optim.Adam(model.parameters(), 3e-4),
        build_criterion("identity", data.num_train_pids),
        precision=arguments.precision,
        test_precision=arguments.test_precision,
        compile_test=arguments.compile,
        test_backend=arguments.test_backend,
    )
    Side.engine.set_model_mode("eval")
    Side.network.enter_context(Side.engine.image_network())  # built once, as in a test
    Side.batch = draw(arguments)


SIDES = {"torchreid": prepare_theirs, "torchreid_occ": prepare_ours}


def extract():
    """Extracts the features of the tracklets."""
    Side.engine.set_model_mode("eval")
    with torch.no_grad():
        Side.features = Side.engine.extract(Side.loader, "query").features.numpy()


def train():
    """A step on the batch."""
    if isinstance(Side.engine, ClipEngine) and not Side.engine.use_gpu:
        keep_freed_memory()  # as its run does
    Side.engine.set_model_mode("train")
    Side.engine.forward_backward(Side.batch)


PARTS = {"extraction": extract, "training step": train}


def last_features():
    """What `extract` found last."""
    return Side.features


def load(arguments):
    """Our data manager."""
    size = {"height": arguments.height, "width": arguments.width}
    return ClipDataManager(arguments.root, DATASET, **size)


def tracklets(found, arguments):
    """Some tracklets with their frames repeated."""
    return [
        (tuple(itertools.islice(itertools.cycle(paths), arguments.frames)), *labels)
        for paths, *labels in found[: arguments.tracklets]
    ]


def build(arguments, num_classes):
    """The same model in each process, trained or with the statistics of a few random frames."""
    torch.manual_seed(0)
    size = {"height": arguments.height, "width": arguments.width}
    model = build_model(
        arguments.model, num_classes, pretrained=False, backbone=arguments.backbone, **size
    )
    if arguments.weights:
        load_matching_weights(model, arguments.weights)
    else:
        with torch.no_grad():
            model(torch.randn(2, 4, 3, arguments.height, arguments.width))  # in train mode
    return model.cuda() if torch.cuda.is_available() else model


def draw(arguments):
    """Random clips, two of an identity."""
    clips = torch.rand(arguments.clips, 4, 3, arguments.height, arguments.width)
    return {"img": clips, "pid": torch.arange(arguments.clips) // 2}


if __name__ == "__main__":
    main()
