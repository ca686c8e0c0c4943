"""Locates occlusion: scores the thirds of all frames, keeps the scores in a file, flags low ones.

Reference: VRSTC, Section 4.1.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from torchreid_occ._types import Item, StrPath
from torchreid_occ.completion.similarity import third_features, third_scores
from torchreid_occ.completion.thirds import THIRDS, AllValues, Flags, Values
from torchreid_occ.data.clips import TestClips
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

COLUMNS = ("subset", "tracklet", "frame", "name", *THIRDS)


class TrackletMaps:
    """Maps of one stage of a network, tracklet by tracklet.

    Args:
        model: A clip model with a `backbone`, in eval mode.
        stage: Index of the backbone's stage; -1 is the last.
        reduce: What is kept of the maps `(T, C, H, W)` of a clip; its first dimension is T.
        transform: A transform without augmentation.
        clip_len: Frames of a clip; 0 keeps tracklets whole.
        workers: Worker processes that read images.
        use_gpu: Whether the model is on the GPU.
    """

    def __init__(
        self,
        model: ClipModel,
        stage: int,
        reduce: Callable[[Tensor], Tensor],
        transform: ClipTransform,
        clip_len: int = 64,
        workers: int = 2,
        use_gpu: bool = False,
    ) -> None:
        backbone: Any = model.backbone
        self._model, self._stage, self._reduce = model, backbone.stages[stage], reduce
        self._transform, self._clip_len = transform, clip_len
        self._workers, self._use_gpu = workers, use_gpu

    @torch.no_grad()
    def __call__(self, tracklets: Sequence[Item]) -> Iterator[Tensor]:
        """Yields what is kept of the maps of each tracklet's frames, on the CPU.

        Args:
            tracklets: torchreid's tuples.
        """
        clips = TestClips(tracklets, self._clip_len, self._transform)
        maps: list[Tensor] = []
        handle = self._stage.register_forward_hook(lambda _stage, _in, output: maps.append(output))
        parts: list[Tensor] = []
        current = 0
        try:
            for clip in progress(item_loader(clips, self._workers), "scores", unit="clip"):
                if clip["tracklet"] != current:
                    yield torch.cat(parts)
                    parts, current = [], clip["tracklet"]
                pixels = clip["img"].cuda() if self._use_gpu else clip["img"]
                self._model(self._transform.normalise(pixels)[None])
                # A network that reads long clips in parts calls a stage for each.
                parts.append(self._reduce(torch.cat(maps)).cpu())
                maps.clear()
            yield torch.cat(parts)
        finally:
            handle.remove()


def score_by_thirds(
    model: ClipModel,
    tracklets: Sequence[Item],
    transform: ClipTransform,
    clip_len: int = 64,
    workers: int = 2,
    use_gpu: bool = False,
) -> list[Values]:
    """Scores all thirds of all frames of tracklets by the mean features of thirds, as the paper.

    Args:
        model: A clip model with a `backbone`, in eval mode; its last map is the feature.
        tracklets: torchreid's tuples.
        transform: A transform without augmentation.
        clip_len: Frames of a clip.
        workers: Worker processes that read images.
        use_gpu: Whether the model is on the GPU.

    Returns:
        A `(T, 3)` array for each tracklet.
    """
    maps = TrackletMaps(model, -1, third_features, transform, clip_len, workers, use_gpu)
    return [third_scores(features).numpy() for features in maps(tracklets)]


def write_scores(path: StrPath, tracklets: Mapping[str, Sequence[Item]], scores: AllValues) -> None:
    """Writes scores as a table, a line for each frame.

    Args:
        path: The CSV file.
        tracklets: Tracklets by subset.
        scores: `(T, 3)` arrays by subset, in the tracklets' order.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for subset in SUBSETS:
        pairs = zip(tracklets[subset], scores[subset], strict=True)
        for index, ((paths, *_), rows) in enumerate(pairs):
            for frame, (image, row) in enumerate(zip(paths, rows, strict=True)):
                values = (f"{value:.4f}" for value in row)
                table.writerow((subset, index, frame, Path(image).name, *values))
    write_text(path, text.getvalue())


def read_scores(
    path: StrPath, tracklets: Mapping[str, Sequence[Item]]
) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Reads the scores of tracklets.

    Args:
        path: The CSV file.
        tracklets: Tracklets by subset, all of which must have scores.

    Returns:
        `(T, 3)` arrays by subset.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no table of scores, or holds scores of other frames.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file of scores {path}.")
    try:
        # Keeps the bytes of names that are not UTF-8, as `write_text` does.
        with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *lines = [*csv.reader(file)] or [[]]
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}.") from error
    if tuple(header) != COLUMNS:
        raise ValueError(f"{path} has the columns {header}, but scores have {[*COLUMNS]}.")
    expected = [
        (subset, str(index), str(frame), Path(image).name)
        for subset in SUBSETS
        for index, (paths, *_) in enumerate(tracklets[subset])
        for frame, image in enumerate(paths)
    ]
    found = [tuple(line[:4]) for line in lines]
    if found != expected:
        place = next(
            (i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]),
            min(len(found), len(expected)),
        )
        raise ValueError(
            f"{path} holds scores of {len(found)} frames, the dataset has {len(expected)}; line "
            f"{place + 2} is the first that differs: score the dataset as it is now."
        )
    try:
        table = np.array([line[4:] for line in lines], np.float32).reshape(len(lines), len(THIRDS))
    except ValueError as error:  # not a number, or not three a line
        raise ValueError(f"{path} holds something else than scores: {error}.") from error
    if not np.isfinite(table).all():
        line = 2 + int(np.flatnonzero(~np.isfinite(table).all(1))[0])
        raise ValueError(f"{path}, line {line}: a score is no finite number.")
    values = iter(table)
    return {
        subset: [np.stack([next(values) for _ in paths]) for paths, *_ in tracklets[subset]]
        for subset in SUBSETS
    }


def choose_threshold(scores: Sequence[Values], tau: float = 0.89, quantile: float = 0.0) -> float:
    """Chooses the score below which a third counts as occluded.

    Args:
        scores: Scores of the training tracklets.
        tau: The threshold; the paper's fits features pretrained on ImageNet.
        quantile: If not 0, the share of training thirds that count as occluded instead of `tau`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 <= quantile < 1:
        raise ValueError(f"Received quantile {quantile}, but expected a share from 0 to below 1.")
    if not -1 <= tau <= 1:
        raise ValueError(f"Received tau {tau}, but cosines lie between -1 and 1.")
    return float(np.quantile(np.concatenate(scores), quantile)) if quantile else tau


def occluded_thirds(scores: AllValues, threshold: float) -> dict[str, list[Flags]]:
    """Flags the thirds whose scores are low and logs their share.

    Args:
        scores: Scores by subset.
        threshold: Score below which a third is occluded.

    Returns:
        `(T, 3)` arrays by subset.
    """
    occluded = {
        subset: [np.asarray(rows < threshold) for rows in tracklets]
        for subset, tracklets in scores.items()
    }
    for subset, flags in occluded.items():
        flagged = np.concatenate(flags)
        shares = "  ".join(
            f"{name} {share:.1%}" for name, share in zip(THIRDS, flagged.mean(0), strict=True)
        )
        logger.info("%s thirds below %.3f: %s", subset, threshold, shares)
        if flagged.all() or not flagged.any():
            logger.warning(
                "%s third of %s counts as occluded at the threshold %.3f: scores lie between "
                "%.3f and %.3f. Choose another tau, or a quantile.",
                "Every" if flagged.all() else "No",
                subset,
                threshold,
                np.concatenate(scores[subset]).min(),
                np.concatenate(scores[subset]).max(),
            )
    return occluded
