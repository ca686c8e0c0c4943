"""What a completion network reads: a frame, the region to complete, and unoccluded neighbours."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms.v2 import functional as F

from torchreid_occ.completion.thirds import REGIONS, region_mask
from torchreid_occ.data.clips import ItemKey
from torchreid_occ.data.images import read_image
from torchreid_occ.data.samplers import EpochSampler


class CompletionItems(Dataset):
    """Unoccluded frames, each with regions to complete at random; indexed by :class:`ItemKey`.

    Reference: VRSTC, Section 5.2: only unoccluded frames have a known truth. The paper masks one
    region, so that a frame with several is unlike all that was trained on, and takes the nearest
    neighbours, which are nearer than those of a frame in the middle of an occlusion.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        occluded: Which regions of each tracklet's frames are occluded, ``(T, 3)`` of bool each.
        height: Height of the frames.
        width: Width of the frames.
        seed: Seed of the run, not negative.
        max_masked: The most regions of a frame to complete.
        max_gap: The most frames on either side that are passed over for its neighbours, as if the
            occlusion lasted so long; it is drawn for each item.

    Raises:
        ValueError: If every frame has an occluded region, or there are fewer regions.
    """

    def __init__(
        self,
        tracklets: Sequence[tuple],
        occluded: Sequence[np.ndarray],
        height: int,
        width: int,
        seed: int,
        max_masked: int = 1,
        max_gap: int = 0,
    ):
        if not 1 <= max_masked <= len(REGIONS):
            raise ValueError(
                f"completion.max_masked is {max_masked}, but must be from 1 to {len(REGIONS)}."
            )
        self.tracklets, self.size, self.seed = tracklets, (height, width), seed
        self.max_masked, self.max_gap = max_masked, max_gap
        self.occluded = [flags.any(1) for flags in occluded]
        self.frames = [
            (index, int(frame))
            for index, flags in enumerate(self.occluded)
            for frame in np.flatnonzero(~flags)
        ]
        if not self.frames:
            raise ValueError(
                f"All {sum(map(len, occluded))} training frames have a region that counts as "
                "occluded, so that there is none to learn from: lower the threshold."
            )

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, key: ItemKey):
        index, frame = self.frames[key.index]
        paths, pid, *_ = self.tracklets[index]
        rng = np.random.default_rng([self.seed, *key])
        regions = np.zeros(len(REGIONS), bool)
        count = rng.integers(1, self.max_masked, endpoint=True)
        regions[rng.permutation(len(REGIONS))[:count]] = True
        passed = rng.integers(0, self.max_gap, endpoint=True)
        places = (frame, *neighbours(pass_over(self.occluded[index], frame, passed), frame))
        img, previous, following = (read_frame(paths[place], self.size) for place in places)
        return {
            "img": img,
            "mask": region_mask(regions, self.size),
            "previous": previous,
            "following": following,
            "pid": pid,
        }


def neighbours(occluded: np.ndarray, frame: int) -> tuple[int, int]:
    """The nearest unoccluded frames before and after a frame.

    Where one side has none, the other's serves for both; where neither has, the frame itself.

    Args:
        occluded: Whether each frame of the tracklet has an occluded region.
        frame: The frame.
    """
    free = np.flatnonzero(~occluded)
    before, after = free[free < frame], free[free > frame]
    previous = before[-1] if len(before) else after[0] if len(after) else frame
    following = after[0] if len(after) else previous
    return int(previous), int(following)


def pass_over(occluded: np.ndarray, frame: int, count: int) -> np.ndarray:
    """Lets frames on either side of one count as occluded, unless none would be left to see.

    Args:
        occluded: Whether each frame of the tracklet has an occluded region.
        frame: The frame.
        count: How many on either side.
    """
    passed = occluded | (np.abs(np.arange(len(occluded)) - frame) <= count)
    return occluded if passed.all() else passed


def read_frame(path: str, size: tuple[int, int]) -> torch.Tensor:
    """A frame scaled to a size and to [-1, 1]. Shape: ``(3, H, W)``."""
    frame = F.pil_to_tensor(F.resize(read_image(path), list(size)))
    return frame.float() / 127.5 - 1


def to_pixels(frame: torch.Tensor) -> np.ndarray:
    """A frame in [-1, 1] as eight-bit colours: ``(3, H, W)`` to ``(H, W, 3)``."""
    return ((frame.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


class CompletionDataManager:
    """Serves a completion network: training frames, and frames of a test set with fixed regions.

    Args:
        train: Training tracklets.
        held_out: Tracklets whose frames measure the completion.
        occluded: Which regions are occluded, for each of the two.
        height: Height of the frames.
        width: Width of the frames.
        batch_size: Frames in a batch.
        workers: Processes that read images.
        seed: Seed of the run, not negative.
        use_gpu: Prepare batches for a GPU.
        num_measured: Held-out frames that are used, evenly taken.
        max_masked: The most regions of a frame to complete.
        max_gap: See `CompletionItems`; the same for frames that are measured.
    """

    def __init__(
        self,
        train: Sequence[tuple],
        held_out: Sequence[tuple],
        occluded: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
        height: int,
        width: int,
        batch_size: int,
        workers: int,
        seed: int,
        use_gpu: bool = False,
        num_measured: int = 512,
        max_masked: int = 1,
        max_gap: int = 0,
    ):
        options = {
            "num_workers": workers,
            "pin_memory": use_gpu,
            "generator": torch.Generator(),  # seeds the workers, which read no seed
        }
        items = CompletionItems(train, occluded[0], height, width, seed, max_masked, max_gap)
        if len(items) < batch_size:
            raise ValueError(
                f"{len(items)} training frames count as unoccluded, fewer than a batch of "
                f"{batch_size}: lower the threshold or train.batch_size."
            )
        self.num_frames = len(items)
        self.num_pids = len({pid for _, pid, *_ in train})
        self._sampler = EpochSampler(RandomSampler(items), seed)
        self.train_loader = DataLoader(
            items,
            batch_size,
            sampler=self._sampler,
            drop_last=True,
            persistent_workers=workers > 0,
            **options,
        )
        measured = CompletionItems(held_out, occluded[1], height, width, seed, max_masked, max_gap)
        step = max(1, len(measured) // num_measured)
        chosen = range(0, len(measured), step)
        keys = [ItemKey(0, place, index) for place, index in enumerate(chosen)]
        self.test_loader = DataLoader(measured, batch_size, sampler=keys, **options)

    def set_epoch(self, epoch: int):
        """Draws the training items of an epoch; call it before iterating ``train_loader``."""
        self._sampler.set_epoch(epoch)
