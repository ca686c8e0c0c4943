"""Says what a model would gain if one part of it were perfect, and what its blocks do.

    python tools/diagnose.py log/compare/rfcnet/seed_200/model/model.pth.tar-8
    python tools/diagnose.py --train configs/compare/rfcnet.yaml --truth foreground lines

The first tests a model trained on OccWalk while ground truth takes the place of one thing at a
time. The second trains one whose blocks are told the truth all along.
"""

import argparse

from torchreid_occ.studies.diagnosis import block_tables, diagnose_blocks
from torchreid_occ.studies.oracles import upper_bounds
from torchreid_occ.studies.true_training import train_with_truth
from torchreid_occ.studies.truth import TRUTHS
from torchreid_occ.utils.tables import markdown_header


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
        bound = train_with_truth(
            arguments.train, arguments.truth, arguments.root, arguments.seed, arguments.split
        )
        print(bound.row())
        return
    print(markdown_header(["at test", "mAP"]), flush=True)
    for bound in upper_bounds(arguments.checkpoint, arguments.root, arguments.split):
        print(bound.row(), flush=True)
    train, query = diagnose_blocks(arguments.checkpoint, arguments.root, arguments.split)
    if query:
        print(f"\n{block_tables(train, query)}", end="")


if __name__ == "__main__":
    main()
