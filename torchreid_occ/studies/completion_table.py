"""The table of completion networks, measured on a dataset with ground truth, and their pictures."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from matplotlib.figure import Figure

from torchreid_occ._types import StrPath
from torchreid_occ.completion.builders import load_generator, load_guider
from torchreid_occ.completion.figures import draw_completions
from torchreid_occ.completion.truth import HIDDEN, hidden_person, visible_shares
from torchreid_occ.config import config_of
from torchreid_occ.data.frame_strip import spread_frames
from torchreid_occ.studies.completion_quality import (
    FILLERS,
    Filler,
    OccludedTracklets,
    by_generator,
    measure_quality,
)
from torchreid_occ.studies.true_clips import load_true_dataset
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.tables import markdown_table

# By quantity: title of the column, digits after the decimal point.
COLUMNS = {
    "psnr": ("PSNR (dB)", 2),
    "ssim": ("SSIM", 3),
    "hidden_psnr": ("hidden PSNR (dB)", 2),
    "hidden_ssim": ("hidden SSIM", 3),
    "alone_psnr": ("one third: PSNR (dB)", 2),
    "distance": ("feature distance", 4),
}

# By row of the table, the quantities of each seed.
Measured: TypeAlias = dict[str, list[dict[str, float]]]


class CompletionStudy(NamedTuple):
    """Fillers compared on the occluded tracklets of a dataset.

    Attributes:
        tracklets: The tracklets.
        fillers: By row of the table, the filler of the first seed.
        measured: By row of the table, what `measure_quality` gave for each seed.
    """

    tracklets: OccludedTracklets
    fillers: dict[str, Filler]
    measured: Measured

    def table(self) -> str:
        """Returns a Markdown table: a row for each filler, mean and spread over seeds."""
        titles = ["occluded thirds", *(title for title, _ in COLUMNS.values())]
        rows = [
            [name, *(_cell(seeds, quantity, digits) for quantity, (_, digits) in COLUMNS.items())]
            for name, seeds in self.measured.items()
        ]
        return markdown_table(titles, rows)

    @torch.no_grad()
    def draw(self, rows: int = 6) -> Figure:
        """Draws, side by side, an occluded frame of some tracklets as each filler completes it.

        Args:
            rows: The number of tracklets, evenly spread; the frame is the middle occluded one.
        """
        chosen = [self.tracklets[n] for n in spread_frames(range(len(self.tracklets)), rows)]
        columns = {"mask": torch.stack([t.mask[len(t.mask) // 2] for t in chosen])}
        for name, fill in self.fillers.items():
            columns[name] = torch.stack([fill(t)[len(t.mask) // 2] for t in chosen])
        middle = [t.clean[t.occluded[len(t.mask) // 2]] for t in chosen]
        return draw_completions({**columns, "clean": torch.stack(middle)})


def measure_completion(
    checkpoints: Sequence[StrPath],
    extractor: StrPath,
    root: str | None = None,
    split: int | None = None,
    num_tracklets: int | None = None,
) -> CompletionStudy:
    """Measures completion networks on the occluded query tracklets of a dataset with ground truth.

    A checkpoint gives a row for each of its generators, named after the folder of its run; runs in
    folders of the same name are seeds of one row.

    Args:
        checkpoints: Checkpoints of task 'train_completion'. The first one's configuration names the
            dataset.
        extractor: Checkpoint of a re-ID network, which measures the distance of features.
        root: Folder of the datasets; the training's if None.
        split: Which split to measure on; the training's if None.
        num_tracklets: Measure on the first query tracklets only; on all if None.

    Raises:
        ValueError: If a checkpoint holds no such network, the networks read frames of different
            sizes, or the dataset has no ground truth.
    """
    fillers, frames = _fillers(checkpoints)
    config = config_of(load_checkpoint(checkpoints[0])["config"])
    split = config.data.split_id if split is None else split
    known = load_true_dataset(config, root or config.data.root, split)["query"]
    rendered, clean = known.tracklets[:num_tracklets], known.clean[:num_tracklets]
    masks = known.visible, known.whole
    occluded = [share < 1 - HIDDEN for share in visible_shares(rendered, *masks)]
    hidden = partial(hidden_person, *masks)
    tracklets = OccludedTracklets(rendered, clean, occluded, hidden, *frames)
    measured: Measured = defaultdict(list)
    found = measure_quality(tracklets, fillers, load_guider(extractor).tracklet_feature)
    for (name, _), row in found.items():
        measured[name].append(row)
    first = {name: fill for (name, seed), fill in fillers.items() if seed == 1}
    return CompletionStudy(tracklets, first, dict(measured))


def _fillers(
    checkpoints: Sequence[StrPath],
) -> tuple[Mapping[tuple[str, int], Filler], tuple[tuple[int, int], str]]:
    """Returns the fillers by name and seed, and size and interpolation of what they complete."""
    fillers = {(name, 1): fill for name, fill in FILLERS.items()}
    known: set[tuple[tuple[int, int], str]] = set()
    seeds: Counter[str] = Counter()
    for path in checkpoints:
        generator, size, interpolation = load_generator(path)
        own = size, interpolation
        if known - {own}:
            raise ValueError(
                f"{path} completes frames of {size}, {interpolation}, the others of "
                "{}, {}.".format(*known.pop())
            )
        known.add(own)
        run = Path(path).absolute().parents[1].name
        seeds[run] += 1
        fillers[f"{run} spatial", seeds[run]] = by_generator(generator, "spatial")
        if generator.temporal is not None:
            fillers[f"{run} temporal", seeds[run]] = by_generator(generator, "temporal")
    return fillers, known.pop()


def _cell(seeds: Sequence[Mapping[str, float]], quantity: str, digits: int) -> str:
    """Returns the mean of a quantity over seeds and, of several, its standard deviation."""
    values = [row.get(quantity, math.nan) for row in seeds]
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1 or math.isnan(sum(values)):  # of NaN there is no deviation
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"
