"""Says what a model would gain if one part of it were perfect, and what its blocks do.

    python tools/diagnose.py log/compare/rfcnet/seed_200/model/model.pth.tar-7
    python tools/diagnose.py --train configs/compare/rfcnet.yaml --truth foreground lines

The first tests a model trained on OccWalk while ground truth takes the place of one thing at a
time. The second trains one whose blocks are told the truth all along.
"""

import argparse

import numpy as np

from torchreid_occ.config import load_config, plain
from torchreid_occ.pipelines.build import (
    build_configured_model,
    build_datamanager,
    build_engine,
    load_trained_model,
)
from torchreid_occ.pipelines.diagnosis import measure_blocks
from torchreid_occ.pipelines.oracles import (
    ORACLES,
    OracleEngine,
    Truth,
    average_precisions,
    oracle_features,
    true_clips,
)
from torchreid_occ.registry import torchreid

TRUTHS = ("foreground", "lines")
MEASURED = 100  # query clips that the blocks are measured on


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT")
    parser.add_argument("--train", metavar="FILE", help="train this configuration with the truth")
    parser.add_argument("--truth", nargs="+", choices=TRUTHS, default=TRUTHS, help="with --train")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="with --train")
    parser.add_argument("--split", type=int, metavar="N", help="rendering; the training's if left")
    arguments = parser.parse_args()
    if bool(arguments.checkpoint) == bool(arguments.train):
        parser.error("name either a CHECKPOINT or a configuration by --train")
    if arguments.train:
        train_with_truth(arguments)
    else:
        test_with_truth(arguments)


def train_with_truth(arguments):
    """Trains with the truth in place of what blocks predict, and prints the mAP."""
    name = "_".join(("true", *arguments.truth))
    own = ["train.seed", str(arguments.seed)]
    own += ["data.split_id", str(arguments.split)] if arguments.split is not None else []
    own += ["data.root", arguments.root] if arguments.root else []
    config = load_config(arguments.train, own)
    torchreid.utils.set_random_seed(config.train.seed)
    datamanager = build_datamanager(config)
    model, pretrained = build_configured_model(config, datamanager.num_train_pids)
    metadata = {
        "config": plain(config),
        "num_classes": datamanager.num_train_pids,
        "pretrained": pretrained,
    }
    engine = build_engine(config, datamanager, model, metadata, clip_engine=OracleEngine)
    engine.truth = Truth(model, **dict.fromkeys(arguments.truth, True))
    engine.sets = true_clips(config, config.data.root, config.data.split_id)
    folder = f"{config.data.save_dir}_{name}/seed_{config.train.seed}"
    results = engine.run(folder, config.train.max_epoch, dist_metric=config.test.dist_metric)
    print(f"| trained with {name} | mAP {100 * results['last']['true clips']['mAP']:.1f} |")


def test_with_truth(arguments):
    """Prints the table of oracles of a trained model, and what its blocks do."""
    model, config = load_trained_model(arguments.checkpoint)
    split = config.data.split_id if arguments.split is None else arguments.split
    sets = true_clips(config, arguments.root or config.data.root, split)
    has_blocks = hasattr(model, "blocks")
    rows = [((), [*ORACLES])]
    if has_blocks:
        rows += [(truths, ["as it is"]) for truths in (*((name,) for name in TRUTHS), TRUTHS)]
    print("| at test | mAP |\n|---|---|", flush=True)
    for truths, oracles in rows:
        model, _ = load_trained_model(arguments.checkpoint)
        truth = Truth(model, **dict.fromkeys(truths, True))
        query, gallery = (oracle_features(model, truth, part, oracles) for part in sets)
        for oracle in oracles:
            precision = average_precisions(query[oracle], gallery[oracle], config.test.dist_metric)
            shown = f"true {' and '.join(truths)}" if truths else oracle
            print(f"| {shown} | {100 * np.mean(precision):.1f} |", flush=True)
    if has_blocks:
        model, _ = load_trained_model(arguments.checkpoint)
        clips = [sets[0][index][1] for index in range(min(MEASURED, len(sets[0])))]
        for stage, quantities in measure_blocks(model, clips).items():
            print(f"\n| block behind stage {stage} | mean |\n|---|---|")
            for quantity, value in quantities.items():
                print(f"| {quantity} | {value:.3f} |")


if __name__ == "__main__":
    main()
