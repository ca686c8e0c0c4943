"""Measures our engine against torchreid's on the same model: extraction and a training step.

    python tools/benchmark_engine.py --json engine.json

Extraction reads the query tracklets of `occwalk_tiny` from disk, whole, as torchreid's data manager
and ours give them; a training step is that of triplet loss and cross-entropy on one batch of clips.
Both engines take turns in one process; shown are medians.
"""

import argparse
import copy

import torch
from torch.nn import functional as F

from torchreid_occ.data import ClipDataManager
from torchreid_occ.engine.precision import PRECISIONS
from torchreid_occ.engine.video import ClipEngine
from torchreid_occ.engine.video.torchreid_baselines import TorchreidTripletEngine
from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model
from torchreid_occ.registry import torchreid
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.timing import median_seconds

DATASET = "occwalk_tiny"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--precision", default="float32", choices=list(PRECISIONS))
    parser.add_argument("--compile", action="store_true", help="our model, for extraction")
    parser.add_argument("--clips", type=int, default=8, metavar="N", help="in a training batch")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    engines = build_engines(arguments)
    features, seconds = {}, {}

    def extraction(name, engine):
        def run():
            engine.set_model_mode("eval")
            loader = engine.datamanager.test_loader[DATASET]["query"]
            with torch.no_grad():
                features[name] = engine.extract(loader, "query").features

        return run

    seconds["extraction"] = median_seconds(
        {name: extraction(name, engine) for name, engine in engines.items()},
        arguments.repeats,
        "extraction",
    )
    seconds["training step"] = median_seconds(
        {name: training(engine, arguments) for name, engine in engines.items()},
        arguments.repeats,
        "training step",
    )
    cosine = F.cosine_similarity(*features.values()).mean().item()
    for what, times in seconds.items():
        for name, time in times.items():
            print(f"{what}, {name}: {time:.2f} s ({times['torchreid'] / time:.2f}x)")
    print(f"mean cosine of both engines' features: {cosine:.6f}")
    if arguments.json:
        about = {"hardware": hardware(torch.cuda.is_available()), "versions": versions()}
        found = {"seconds": seconds, "cosine": cosine}
        write_json(arguments.json, {"options": vars(arguments), **found, **about})


def build_engines(arguments):
    """Engines of torchreid and ours around copies of one model."""
    size = {"height": arguments.height, "width": arguments.width}
    theirs = torchreid.data.VideoDataManager(
        **{"root": arguments.root, "sources": DATASET, "batch_size_test": 1, **size},
        sample_method="all",  # of a test, too: then tracklets come one by one
    )
    ours = ClipDataManager(arguments.root, DATASET, **size)
    torch.manual_seed(0)
    options = {"pretrained": False, "backbone": arguments.backbone, **size}
    model = build_model("baseline", ours.num_train_pids, **options)
    copies = [copy.deepcopy(model) for _ in range(2)]
    if torch.cuda.is_available():
        copies = [own.cuda() for own in copies]
    copies[0].torchreid_loss = "triplet"  # answers as torchreid's engines expect it
    optimizers = [torch.optim.Adam(own.parameters(), 3e-4) for own in copies]
    criterion = build_criterion("identity", ours.num_train_pids)
    own = {"precision": arguments.precision, "test_precision": arguments.precision}
    own["compile_test"] = arguments.compile
    return {
        "torchreid": TorchreidTripletEngine(theirs, copies[0], optimizers[0]),
        "torchreid_occ": ClipEngine(ours, copies[1], optimizers[1], criterion, **own),
    }


def training(engine, arguments):
    """A step of an engine on random clips, two of an identity."""
    clips = torch.rand(arguments.clips, 4, 3, arguments.height, arguments.width)
    batch = {"img": clips, "pid": torch.arange(arguments.clips) // 2}

    def run():
        engine.set_model_mode("train")
        engine.forward_backward(batch)

    return run


if __name__ == "__main__":
    main()
