"""Writes a copy of a dataset with occluded thirds completed, or without occluded frames.

Reference: VRSTC, Section 4 (completion) and 5.3.2, Table 2 (discarding).
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from torchreid_occ._types import Item, StrPath
from torchreid_occ.completion.data import neighbours, read_frame, to_pixels
from torchreid_occ.completion.network import Completion
from torchreid_occ.completion.thirds import AllFlags, Flags, third_mask, third_rows
from torchreid_occ.data.copies import MANIFEST, Source, fingerprint, source_tracklets
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.images import read_image
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.utils.files import claim_folder, naming, write_json
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

_PARTIAL = ".partial"

# Path of the new frame, or None to leave it out, by number of the frame; all as text, as in JSON.
Changes: TypeAlias = dict[str, str | None]
# The generator's arguments for all frames to complete: frame, mask, previous, following.
_Arguments: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class CopyPlan:
    """A copy to make.

    Attributes:
        folder: Folder of the copy.
        source: The dataset to copy.
        root: Folder that holds the datasets.
        occluded: Which thirds are occluded, `(T, 3)` for each tracklet, by subset.
        made_by: Plain values that say how thirds were flagged and by which generator they are
            completed.
    """

    folder: StrPath
    source: Source
    root: StrPath
    occluded: AllFlags
    made_by: Mapping[str, Any]

    @cached_property
    def tracklets(self) -> dict[str, list[Item]]:
        """Tracklets of the source by subset."""
        return source_tracklets(self.source, self.root)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What the manifest says of the source and of how the copy was made."""
        digest = hashlib.sha256()
        for subset in SUBSETS:
            for flags in self.occluded[subset]:
                digest.update(np.packbits(flags).tobytes())
        return {
            "source": self.source,
            "fingerprint": fingerprint(self.tracklets),
            "occluded": digest.hexdigest(),
            "made_by": self.made_by,
        }


def discard_frames(plan: CopyPlan) -> None:
    """Makes a copy without the frames that have an occluded third; all stay if all have one.

    Args:
        plan: The copy to make.
    """
    frames: dict[str, dict[str, Changes]] = {subset: {} for subset in SUBSETS}
    for subset in SUBSETS:
        for index, flags in enumerate(plan.occluded[subset]):
            dropped = flags.any(1)
            # Paper silent [V12]: a tracklet whose frames are all occluded keeps them.
            if dropped.any() and not dropped.all():
                frames[subset][str(index)] = {str(n): None for n in np.flatnonzero(dropped)}
    _write_manifest(plan, frames)


@torch.no_grad()
def complete_frames(
    plan: CopyPlan,
    generator: Callable[..., Completion],
    size: tuple[int, int],
    workers: int = 2,
    use_gpu: bool = False,
    interpolation: str = "bilinear",
) -> None:
    """Makes a copy whose occluded thirds are completed by a network.

    The frames of a tracklet are written atomically, so that a killed run can be continued.

    Args:
        plan: The copy to make.
        generator: An `STCnet` in eval mode.
        size: Height and width of the frames it works on.
        workers: Worker processes that read images.
        use_gpu: Whether the generator is on the GPU.
        interpolation: How frames are resized to `size`, 'bilinear' or 'bicubic'.

    Raises:
        ValueError: If the folder holds a copy of other data, or one made differently.
    """
    folder = Path(plan.folder)
    claim_folder(folder, plan.description, "copy")
    frames: dict[str, dict[str, Changes]] = {}
    for subset in SUBSETS:
        tracklets, occluded = plan.tracklets[subset], plan.occluded[subset]
        touched = [index for index, flags in enumerate(occluded) if flags.any()]
        left = [index for index in touched if not _tracklet_folder(folder, subset, index).is_dir()]
        inputs = _Inputs(tracklets, occluded, left, size, interpolation)
        loader = item_loader(inputs, workers)
        for index, batch in progress(loader, f"completing {subset}", unit="tracklet"):
            arguments = [part.cuda() if use_gpu else part for part in batch]
            completed = generator(*arguments).final.cpu()
            target = _tracklet_folder(folder, subset, index)
            _write_tracklet(target, tracklets[index][0], occluded[index], completed)
        frames[subset] = {
            str(index): _changes(subset, index, tracklets[index][0], occluded[index])
            for index in touched
        }
    _write_manifest(plan, frames)


class _Inputs(Dataset[tuple[int, _Arguments]]):
    """Index of a tracklet, and the generator's arguments for its frames with an occluded third."""

    def __init__(
        self,
        tracklets: Sequence[Item],
        occluded: Sequence[Flags],
        indices: Sequence[int],
        size: tuple[int, int],
        interpolation: str,
    ) -> None:
        self.tracklets, self.occluded, self.indices, self.size = tracklets, occluded, indices, size
        self.interpolation = interpolation

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[int, _Arguments]:
        index = self.indices[item]
        paths, flags = self.tracklets[index][0], self.occluded[index]
        return index, _arguments(paths, flags, self.size, self.interpolation)


@torch.no_grad()
def complete_tracklet(
    generator: Callable[..., Completion],
    paths: Sequence[str],
    flags: Flags,
    size: tuple[int, int],
    interpolation: str = "bilinear",
) -> dict[int, Image.Image]:
    """Completes the occluded thirds of a tracklet's frames.

    Args:
        generator: An `STCnet` in eval mode on the CPU.
        paths: Paths of the frames.
        flags: Whether each third is occluded, `(T, 3)`.
        size: Height and width of the frames the generator works on.
        interpolation: How frames are resized to `size`, 'bilinear' or 'bicubic'.

    Returns:
        The completed frames at their own size, by number.
    """
    if not flags.any():
        return {}
    completed = generator(*_arguments(paths, flags, size, interpolation)).final
    return {
        number: paste_thirds(read_image(paths[number]), frame, flags[number])
        for number, frame in zip(_touched(flags), completed, strict=True)
    }


def _arguments(
    paths: Sequence[str], flags: Flags, size: tuple[int, int], interpolation: str
) -> _Arguments:
    """Reads the generator's arguments for the frames with an occluded third."""
    numbers = _touched(flags)
    occluded = np.asarray(flags.any(1))
    places = [(number, *neighbours(occluded, number)) for number in numbers]
    read = {
        place: read_frame(paths[place], size, interpolation)
        for place in {place for trio in places for place in trio}
    }
    frame, previous, following = (
        torch.stack([read[place] for place in column]) for column in zip(*places, strict=True)
    )
    mask = torch.stack([third_mask(flags[number], size) for number in numbers])
    return frame, mask, previous, following


def _write_tracklet(target: Path, paths: Sequence[str], flags: Flags, completed: Tensor) -> None:
    partial = target.with_name(target.name + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, frame in zip(_touched(flags), completed, strict=True):
        picture = paste_thirds(read_image(paths[number]), frame, flags[number])
        path = partial / _frame_name(number, paths[number])
        with naming(path):
            picture.save(path)
    partial.rename(target)


def paste_thirds(picture: Image.Image, completed: Tensor, flags: Flags) -> Image.Image:
    """Replaces thirds of a frame, at its own size, by those of its completion.

    Args:
        picture: The original frame.
        completed: The completed frame in [-1, 1], `(3, H, W)`.
        flags: Whether each third is replaced, `(3,)`.
    """
    filled = Image.fromarray(to_pixels(completed)).resize(picture.size, Image.Resampling.BILINEAR)
    result = np.array(picture)
    for chosen, rows in zip(flags, third_rows(picture.height), strict=True):
        if chosen:
            result[rows] = np.asarray(filled)[rows]
    return Image.fromarray(result)


def _write_manifest(plan: CopyPlan, frames: Mapping[str, Mapping[str, Changes]]) -> None:
    changed = {subset: sum(map(len, tracklets.values())) for subset, tracklets in frames.items()}
    manifest = {**plan.description, "changed": changed, "frames": frames}
    write_json(Path(plan.folder) / MANIFEST, manifest)
    logger.info("%s: %s frames changed.", plan.folder, changed)


def _changes(subset: str, index: int, paths: Sequence[str], flags: Flags) -> Changes:
    relative = _tracklet_folder(Path(), subset, index)
    return {
        str(number): str(relative / _frame_name(number, paths[number]))
        for number in _touched(flags)
    }


def _touched(flags: Flags) -> list[int]:
    """Returns the numbers of the frames with an occluded third."""
    return [int(number) for number in np.flatnonzero(flags.any(1))]


def _tracklet_folder(folder: Path, subset: str, index: int) -> Path:
    return folder / subset / f"{index:05d}"


def _frame_name(number: int, path: str) -> str:
    return f"{number:05d}_{Path(path).stem}.png"
