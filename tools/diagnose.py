"""Says what a model would gain if one part of it were perfect, and what its blocks do.

    python tools/diagnose.py log/compare/rfcnet/seed_200/model/model.pth.tar-8
    python tools/diagnose.py --train configs/compare/rfcnet.yaml --truth foreground lines

The first tests a model trained on OccWalk while ground truth takes the place of one thing at a
time. The second trains one whose blocks are told the truth all along.
"""

import argparse
import functools

from torchreid_occ.config import load_config
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.studies.diagnosis import measure_blocks
from torchreid_occ.studies.oracles import (
    ORACLES,
    TRUTHS,
    OracleEngine,
    Truth,
    average_precisions,
    oracle_features,
    predicted_by,
    true_clips,
)

MEASURED = 100  # clips of each part that the blocks are measured on


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
    folder = f"{load_config(arguments.train).data.save_dir}_{name}/seed_{arguments.seed}"
    own = ["train.seed", str(arguments.seed), "data.save_dir", folder]
    own += ["data.supervision", "['keypoints', 'foreground']"]  # the truth about a batch
    own += ["data.split_id", str(arguments.split)] if arguments.split is not None else []
    own += ["data.root", arguments.root] if arguments.root else []
    config = load_config(arguments.train, own)
    sets = true_clips(config, config.data.root, config.data.split_id)
    engine = functools.partial(OracleEngine, arguments.truth, sets)
    results = run_experiment(config, resume=True, clip_engine=engine)
    print(f"| trained with {name} | {100 * results['targets']['true clips']['last']['mAP']:.1f} |")


def test_with_truth(arguments):
    """Prints the table of oracles of a trained model, and what its blocks do."""
    model, config = load_trained_model(arguments.checkpoint)
    split = config.data.split_id if arguments.split is None else arguments.split
    sets = true_clips(config, arguments.root or config.data.root, split)
    predicted = predicted_by(model)
    rows = [((), [*ORACLES])]
    rows += [((truth,), ["as it is"]) for truth in predicted]
    rows += [(tuple(predicted), ["as it is"])] if len(predicted) > 1 else []
    print("| at test | mAP |\n|---|---|", flush=True)
    for truths, oracles in rows:
        model, _ = load_trained_model(arguments.checkpoint)
        truth = Truth(model, truths)
        query, gallery = (oracle_features(model, truth, part, oracles) for part in sets)
        for oracle in oracles:
            precision = average_precisions(query[oracle], gallery[oracle], config.test.dist_metric)
            shown = f"true {' and '.join(truths)}" if truths else oracle
            print(f"| {shown} | {100 * precision.mean():.1f} |", flush=True)
    if hasattr(model, "blocks"):
        model, _ = load_trained_model(arguments.checkpoint)
        parts = true_clips(config, arguments.root or config.data.root, split, ("train", "query"))
        train, query = (measure_blocks(model, spread(clips)) for clips in parts)
        for stage in query:
            print(f"\n| block behind stage {stage} | training | queries |\n|---|---|---|")
            for quantity, value in query[stage].items():
                trained = train[stage].get(quantity, float("nan"))
                print(f"| {quantity} | {trained:.3f} | {value:.3f} |")


def spread(clips):
    """Some clips from all over a set."""
    step = max(1, len(clips) // MEASURED)
    return [clips[index][1] for index in range(0, len(clips), step)][:MEASURED]


if __name__ == "__main__":
    main()
