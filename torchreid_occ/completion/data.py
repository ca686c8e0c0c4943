"""Inputs of a completion network: a frame, the thirds to complete, and unoccluded neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from torchreid_occ._types import Batch, Item
from torchreid_occ.completion.thirds import THIRDS, Flags, third_mask
from torchreid_occ.data.clips import ItemKey
from torchreid_occ.data.images import read_image
from torchreid_occ.data.samplers import EpochSampler
from torchreid_occ.data.transforms import resize_image


@dataclass(frozen=True)
class ItemOptions:
    """How frames are read and masked.

    Args:
        height: Height of the frames.
        width: Width of the frames.
        seed: Seed of the run, not negative.
        max_masked: The most thirds of a frame to complete, 1 to 3.
        max_gap: The most frames on either side that are passed over for the neighbours, as if the
            occlusion lasted that long; the number is drawn for each item.
        interpolation: How frames are resized, 'bilinear' or 'bicubic'.

    Raises:
        ValueError: If there are fewer thirds than `max_masked`, or it is below 1.
    """

    height: int
    width: int
    seed: int
    # Paper silent [V14]: Section 5.2 masks one third; several never occur, so 1 is the default.
    max_masked: int = 1
    max_gap: int = 0
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if not 1 <= self.max_masked <= len(THIRDS):
            raise ValueError(
                f"completion.max_masked is {self.max_masked}, but must be from 1 to {len(THIRDS)}."
            )


class CompletionItems(Dataset[dict[str, Any]]):
    """Unoccluded frames, each with random thirds to complete; indexed by :class:`ItemKey`.

    Reference: VRSTC, Section 5.2: only for unoccluded frames is the truth known. The paper masks
    one third and takes the nearest neighbours, as the options do by default.

    Args:
        tracklets: torchreid's tuples.
        occluded: Which thirds of each tracklet's frames are occluded, ``(T, 3)`` each.
        options: How frames are read and masked.

    Raises:
        ValueError: If every frame has an occluded third.
    """

    def __init__(
        self, tracklets: Sequence[Item], occluded: Sequence[Flags], options: ItemOptions
    ) -> None:
        self.tracklets, self.options = tracklets, options
        self.occluded = [np.asarray(flags.any(1)) for flags in occluded]
        self.frames = [
            (index, int(frame))
            for index, flags in enumerate(self.occluded)
            for frame in np.flatnonzero(~flags)
        ]
        if not self.frames:
            raise ValueError(
                f"All {sum(map(len, occluded))} training frames have a third that counts as "
                "occluded, so that there is none to learn from: lower the threshold."
            )

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: ItemKey) -> dict[str, Any]:
        options, size = self.options, (self.options.height, self.options.width)
        index, frame = self.frames[key.number]
        paths, pid, *_ = self.tracklets[index]
        rng = np.random.default_rng([options.seed, *key])
        masked = np.zeros(len(THIRDS), bool)
        count = rng.integers(1, options.max_masked, endpoint=True)
        masked[rng.permutation(len(THIRDS))[:count]] = True
        gap = int(rng.integers(0, options.max_gap, endpoint=True))
        places = (frame, *neighbours(pass_over(self.occluded[index], frame, gap), frame))
        img, previous, following = (
            read_frame(paths[place], size, options.interpolation) for place in places
        )
        return {
            "img": img,
            "mask": third_mask(masked, size),
            "previous": previous,
            "following": following,
            "pid": pid,
        }


def neighbours(occluded: npt.NDArray[np.bool_], frame: int | np.integer) -> tuple[int, int]:
    """Finds the nearest unoccluded frames before and after a frame.

    If there is none on one side, that of the other side is taken twice; without any, the frame
    itself.

    Args:
        occluded: Whether each frame of the tracklet has an occluded third.
        frame: Number of the frame.
    """
    # Paper silent [V11]: a missing neighbour is replaced by the other side's.
    free = np.flatnonzero(~occluded)
    before, after = free[free < frame], free[free > frame]
    previous = before[-1] if len(before) else after[0] if len(after) else frame
    following = after[0] if len(after) else previous
    return int(previous), int(following)


def pass_over(occluded: npt.NDArray[np.bool_], frame: int, count: int) -> npt.NDArray[np.bool_]:
    """Marks a frame and those on either side as occluded, unless no unoccluded frame remains.

    Args:
        occluded: Whether each frame of the tracklet has an occluded third.
        frame: Number of the frame.
        count: Frames on either side.
    """
    passed = occluded | (np.abs(np.arange(len(occluded)) - frame) <= count)
    return occluded if passed.all() else passed


def read_frame(path: str, size: tuple[int, int], interpolation: str = "bilinear") -> Tensor:
    """Reads a frame, scaled to a size and to [-1, 1].

    Args:
        path: The image file.
        size: Height and width.
        interpolation: How it is resized, 'bilinear' or 'bicubic'.

    Shape:
        Result: ``(3, H, W)``.
    """
    return resize_image(read_image(path), size, interpolation).float() / 127.5 - 1


def to_pixels(frame: Tensor) -> npt.NDArray[np.uint8]:
    """Converts a frame in [-1, 1] to eight-bit colours.

    Args:
        frame: The frame.

    Shape:
        frame: ``(3, H, W)``; result: ``(H, W, 3)``.
    """
    pixels: npt.NDArray[np.uint8] = (
        ((frame.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    )
    return pixels


class CompletionDataManager:
    """Loads training frames, and held-out frames that are masked alike in every test.

    Args:
        train: Training frames.
        held_out: Frames that measure the completion.
        batch_size: Frames in a batch.
        workers: Worker processes.
        use_gpu: Whether batches are pinned for a GPU.
        num_measured: Number of held-out frames that are used, evenly taken.

    Raises:
        ValueError: If there are fewer training frames than a batch has.
    """

    def __init__(
        self,
        train: CompletionItems,
        held_out: CompletionItems,
        batch_size: int,
        workers: int,
        use_gpu: bool = False,
        num_measured: int = 512,
    ) -> None:
        if len(train) < batch_size:
            raise ValueError(
                f"{len(train)} training frames count as unoccluded, fewer than a batch of "
                f"{batch_size}: lower the threshold or train.batch_size."
            )
        self.num_frames = len(train)
        self.num_pids = len({pid for _, pid, *_ in train.tracklets})
        # Seeds the workers, which read no seed.
        generator = torch.Generator()
        self._sampler = EpochSampler(RandomSampler(train), train.options.seed)
        self.train_loader: DataLoader[Batch] = DataLoader(
            train,
            batch_size,
            sampler=self._sampler,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=use_gpu,
            generator=generator,
        )
        step = max(1, len(held_out) // num_measured)
        chosen = range(0, len(held_out), step)
        keys = [ItemKey(0, place, index) for place, index in enumerate(chosen)]
        self.test_loader: DataLoader[Batch] = DataLoader(
            held_out,
            batch_size,
            sampler=keys,
            num_workers=workers,
            pin_memory=use_gpu,
            generator=generator,
        )

    def set_epoch(self, epoch: int) -> None:
        """Draws the training items of an epoch; call it before iterating ``train_loader``.

        Args:
            epoch: Number of the epoch, from 0.
        """
        self._sampler.set_epoch(epoch)
