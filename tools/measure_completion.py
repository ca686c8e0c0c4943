r"""Measures completion where OccWalk knows what was behind the occluder, and draws it.

    python tools/measure_completion.py log/vrstc/stcnet/model/model.pth.tar-10 \\
        --extractor log/vrstc/pretrain/model/model.pth.tar-16 --pictures completion.png

Regions are those of the query tracklets that OccWalk's masks say are occluded. PSNR and SSIM are
scikit-image's, inside the regions, much of which no occluder covers, on what is hidden of the
person there, and inside regions that are their frame's only one; the distance is the cosine
distance of the tracklet's feature from that of the clean tracklet. A checkpoint gives a row for
each of its generators, under the name of its run's folder; runs in folders of one name are seeds of
one row, whose mean and spread are shown.
"""

import argparse
import math
import statistics
import sys
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import torch

from torchreid_occ.completion.figures import draw_completions
from torchreid_occ.completion.tasks import load_generator, load_guider
from torchreid_occ.completion.truth import HIDDEN, hidden_person, visible_shares
from torchreid_occ.config import config_of
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.studies.completion_quality import (
    FILLERS,
    OccludedTracklets,
    by_generator,
    measure_quality,
)
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.files import replacing, write_json

# Titles and digits behind the point.
COLUMNS = {
    "psnr": ("PSNR (dB)", 2),
    "ssim": ("SSIM", 3),
    "hidden_psnr": ("hidden PSNR (dB)", 2),
    "hidden_ssim": ("hidden SSIM", 3),
    "alone_psnr": ("one region: PSNR (dB)", 2),
    "distance": ("feature distance", 4),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", help="of task 'train_completion'")
    parser.add_argument("--extractor", required=True, help="checkpoint of a re-ID network")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--split", type=int, metavar="N", help="rendering to measure on")
    parser.add_argument("--tracklets", type=int, metavar="N", help="the first N only")
    parser.add_argument("--json", metavar="FILE", help="also write the numbers")
    parser.add_argument("--pictures", metavar="FILE", help="draw some completed frames")
    try:
        measure(parser.parse_args())
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def measure(arguments):
    """Prints the table; writes numbers and pictures where asked to."""
    fillers, size = {(name, 1): fill for name, fill in FILLERS.items()}, None
    seeds = Counter()
    for path in arguments.checkpoints:
        generator, its_size = load_generator(path)
        if size not in (None, its_size):
            raise ValueError(f"{path} completes frames of {its_size}, the others of {size}.")
        size = its_size
        run = Path(path).absolute().parents[1].name
        seeds[run] += 1
        for part in ("spatial",) if generator.temporal is None else ("spatial", "temporal"):
            fillers[f"{run} {part}", seeds[run]] = by_generator(generator, part)
    tracklets = occluded_queries(arguments, size)
    extractor = load_guider(arguments.extractor).tracklet_feature
    measured = defaultdict(list)
    for (name, _), row in measure_quality(tracklets, fillers, extractor).items():
        measured[name].append(row)
    titles = [title for title, _ in COLUMNS.values()]
    print(f"| occluded regions | {' | '.join(titles)} |\n|---{'|---' * len(titles)}|")
    for name, rows in measured.items():
        cells = [summary(rows, quantity, digits) for quantity, (_, digits) in COLUMNS.items()]
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.json:
        write_json(arguments.json, measured)
    if arguments.pictures:
        first = {name: fill for (name, seed), fill in fillers.items() if seed == 1}
        with replacing(arguments.pictures) as file:
            draw(tracklets, first).savefig(file, format="png", dpi=110)


def summary(rows, quantity, digits):
    """Mean of a quantity over seeds, with its standard deviation if there are several."""
    values = [row.get(quantity, math.nan) for row in rows]
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def occluded_queries(arguments, size):
    """The occluded query tracklets of the rendering that the first checkpoint was trained on."""
    config = config_of(load_checkpoint(arguments.checkpoints[0])["config"])
    name, root = config.data.sources[0], arguments.root or config.data.root
    split = config.data.split_id if arguments.split is None else arguments.split
    datasets = [load_dataset(n, root, split) for n in (name, f"{name}.clean")]
    rendered, clean = (tracklets_of(dataset)["query"] for dataset in datasets)
    rendered, clean = rendered[: arguments.tracklets], clean[: arguments.tracklets]
    masks = [dataset.supervision() for dataset in datasets]
    occluded = [share < 1 - HIDDEN for share in visible_shares(rendered, *masks)]
    return OccludedTracklets(rendered, clean, occluded, partial(hidden_person, *masks), size)


@torch.no_grad()
def draw(tracklets, fillers, rows=6):
    """Side by side: the middle occluded frame of some tracklets as each filler leaves it."""
    step = max(1, len(tracklets) // rows)
    chosen = [tracklets[index] for index in range(0, len(tracklets), step)][:rows]
    columns = {"mask": torch.stack([t.mask[len(t.mask) // 2] for t in chosen])}
    for name, fill in fillers.items():
        columns[name] = torch.stack([fill(t)[len(t.mask) // 2] for t in chosen])
    middle = [t.clean[t.occluded[len(t.mask) // 2]] for t in chosen]
    return draw_completions({**columns, "clean": torch.stack(middle)})


if __name__ == "__main__":
    main()
