r"""Measures completion where a dataset knows what was behind the occluder, and draws it.

    torchreid-occ measure-completion log/vrstc/stcnet/model/model.pth.tar-10 \
        --extractor log/vrstc/pretrain/model/model.pth.tar-16 --pictures completion.png

Measured are the query tracklets with thirds that masks, of OccWalk or of an occluded copy, say
are occluded. PSNR and SSIM are scikit-image's, inside these thirds, much of which no occluder
covers, on what is hidden of the person there, and inside thirds that are their frame's only one;
the distance is the cosine distance of the tracklet's feature from that of the clean tracklet. A
checkpoint gives a row for each of its generators, under the name of its run's folder; runs in
folders of one name are seeds of one row, whose mean and spread are shown.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("checkpoints", nargs="+", help="of task 'train_completion'")
    parser.add_argument("--extractor", required=True, help="checkpoint of a re-ID network")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--split", type=int, metavar="N", help="rendering to measure on")
    parser.add_argument("--tracklets", type=int, metavar="N", help="the first N only")
    parser.add_argument("--json", metavar="FILE", help="also write the numbers")
    parser.add_argument("--pictures", metavar="FILE", help="draw some completed frames")


def run(arguments: argparse.Namespace) -> None:
    """Prints the table, and writes numbers and pictures where they are asked for.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.studies.completion_table import measure_completion
    from torchreid_occ.utils.files import replacing, write_json

    study = measure_completion(
        arguments.checkpoints,
        arguments.extractor,
        arguments.root,
        arguments.split,
        arguments.tracklets,
    )
    print(study.table(), end="")
    if arguments.json:
        write_json(arguments.json, study.measured)
    if arguments.pictures:
        with replacing(arguments.pictures) as file:
            study.draw().savefig(file, format="png", dpi=110)
