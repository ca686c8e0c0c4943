"""Measures a trained model in half precision against the same model in float32.

    python tools/benchmarks/precision.py log/demo/rfcnet/model/model.pth.tar-9

Extracts the model's target in both, and shows how alike the features are, how many queries change
their first match, what becomes of mAP, and seconds.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch.nn import functional as F

from torchreid_occ.config import merged, plain
from torchreid_occ.engine import ClipEngine
from torchreid_occ.engine.evaluation import distance_matrix
from torchreid_occ.engine.precision import PRECISIONS
from torchreid_occ.metrics import evaluate_rank
from torchreid_occ.runs.builders import backend_of, load_trained_model
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("--precision", default="bfloat16", choices=list(PRECISIONS))
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--target", metavar="NAME", help="dataset; the training's first if left")
    parser.add_argument(
        "--splits", nargs="+", type=int, metavar="N",
        help="renderings that are tested one after the other; the training's if left",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    model, config = load_trained_model(arguments.checkpoint)
    model = model.cuda() if torch.cuda.is_available() else model
    parts = [compare(model, config, arguments, split) for split in arguments.splits or [None]]
    numbers = total(parts, arguments.precision)
    for name, value in numbers.items():
        print(f"{name}: {value}")
    if arguments.json:
        about = {"hardware": hardware(torch.cuda.is_available()), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), **numbers, **about})


def compare(model, config, arguments, split):
    """Numbers of one rendering in both precisions: what half precision changes, mAP, seconds."""
    target = arguments.target and [arguments.target]
    own = {"root": arguments.root, "split_id": split, "targets": target}
    given = {name: value for name, value in own.items() if value is not None}
    config = merged(plain(config), [{"data": given}], "the command line")
    features, first, mAP, seconds = {}, {}, {}, {}  # noqa: N806  the field writes mAP
    for precision in ("float32", arguments.precision):
        start = time.perf_counter()
        query, gallery = extract(model, config, precision)
        seconds[precision] = time.perf_counter() - start
        distances = distance_matrix(query, gallery, "cosine")
        labels = query.pids, gallery.pids, query.camids, gallery.camids
        features[precision] = torch.cat((query.features, gallery.features))
        first[precision] = first_matches(distances, query, gallery)
        mAP[precision] = float(evaluate_rank(distances, *labels)[1])
    exact, half = (features[precision] for precision in features)
    return {
        "cosines": F.cosine_similarity(exact, half),
        "changed": first["float32"] != first[arguments.precision],
        "mAP": mAP,
        "seconds": seconds,
    }


def total(parts, precision):
    """The numbers of all renderings together."""
    names = ("float32", precision)
    changed = np.concatenate([part["changed"] for part in parts])
    return {
        "cosine": torch.cat([part["cosines"] for part in parts]).mean().item(),
        "queries": len(changed),
        "changed first matches": int(changed.sum()),
        "mAP": {name: statistics.mean(part["mAP"][name] for part in parts) for name in names},
        "seconds": {name: sum(part["seconds"][name] for part in parts) for name in names},
    }


def extract(model, config, precision):
    """Features of queries and gallery of the model's first target."""
    data = backend_of(config).build_datamanager()
    engine = ClipEngine(data, model, None, None, test_precision=precision)
    engine.set_model_mode("eval")
    loaders = next(iter(data.test_loader.values()))
    with torch.no_grad():
        return [engine.extract(loader, f"{precision} {part}") for part, loader in loaders.items()]


def first_matches(distances, query, gallery):
    """The nearest gallery item of each query, those of its person in its own camera left out."""
    same = query.pids[:, None] == gallery.pids
    same &= query.camids[:, None] == gallery.camids
    return np.where(same, np.inf, distances).argmin(1)


if __name__ == "__main__":
    main()
