"""Samplers: torchreid's made repeatable."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest

import numpy as np
import torch
from torch.utils.data import Sampler

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import Item
from torchreid_occ.data.clips import ItemKey
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.processes import process_count, process_rank


class EpochSampler(Sampler[ItemKey]):
    """Draws a torchreid sampler's epoch from a key instead of the global random state.

    torchreid's samplers draw from the global state of three libraries, and its
    ``RandomIdentitySampler`` overstates its length. Here the epoch's list is drawn at once, keyed
    by seed and epoch, and its length is exact; it may differ from epoch to epoch.

    Args:
        sampler: A sampler of torchreid's or torch's.
        seed: Seed of the run, not negative.
    """

    def __init__(self, sampler: Iterable[int], seed: int) -> None:
        self.sampler = sampler
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draws the items of an epoch."""
        self.epoch = epoch
        with _seeded_global_state(self.seed, epoch):
            self.indices = [int(index) for index in self.sampler]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[ItemKey]:
        for position, index in enumerate(self.indices):
            yield ItemKey(self.epoch, position, index)


def build_epoch_sampler(
    tracklets: Sequence[Item],
    name: str,
    batch_size: int,
    num_instances: int,
    num_cams: int,
    num_datasets: int,
    seed: int,
    across_cameras: bool = False,
) -> EpochSampler:
    """Builds one of torchreid's training samplers by name and checks its arguments.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        name: Name of torchreid's sampler.
        batch_size: Clips in a batch.
        num_instances: Clips of an identity (``RandomIdentitySampler``).
        num_cams: Cameras in a batch (``RandomDomainSampler``); 0 takes all.
        num_datasets: Datasets in a batch (``RandomDatasetSampler``); 0 takes all.
        seed: Seed of the run, not negative.
        across_cameras: Whether ``RandomIdentitySampler`` takes the clips of an identity from
            different cameras where it can, see :class:`CrossCameraSampler`.

    Raises:
        ValueError: If the name is unknown, ``across_cameras`` is set for another sampler, or the
            tracklets cannot fill one batch.
    """
    check_choice("train_sampler", name, torchreid.data.sampler.AVAI_SAMPLERS)
    if name == "RandomIdentitySampler":
        _check_identities(tracklets, batch_size, num_instances)
    elif name == "RandomDomainSampler":
        _check_groups(tracklets, 2, "camera", "sampler.num_cams", num_cams, batch_size)
    elif name == "RandomDatasetSampler":
        _check_groups(tracklets, 3, "dataset", "sampler.num_datasets", num_datasets, batch_size)
    if across_cameras and name != "RandomIdentitySampler":
        raise ValueError(
            "sampler.across_cameras is for RandomIdentitySampler, but sampler.train_sampler is "
            f"{name!r}: set it to False."
        )
    drawn: Iterable[int]
    if across_cameras:
        drawn = CrossCameraSampler(tracklets, batch_size, num_instances)
    else:
        with _seeded_global_state(seed, 0):  # some draw once to learn their length
            drawn = torchreid.data.sampler.build_train_sampler(
                tracklets,
                name,
                batch_size=batch_size,
                num_instances=num_instances,
                num_cams=num_cams,
                num_datasets=num_datasets,
            )
    sampler = EpochSampler(drawn, seed)
    if len(sampler) < batch_size:
        raise ValueError(
            f"An epoch of {len(sampler)} clips does not fill one batch of {batch_size}: lower "
            "train.batch_size."
        )
    return sampler


class CrossCameraSampler:
    """Draws identities and clips like ``RandomIdentitySampler``, but across cameras.

    The tracklets of an identity are shuffled, then ordered so that cameras alternate, and cut into
    groups for a batch; those that fill no group are left out of the epoch. An identity with fewer
    tracklets than a group needs gives some of them again.

    Draws from NumPy's global random state, which :class:`EpochSampler` seeds.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        batch_size: Clips in a batch.
        num_instances: Clips of an identity in a batch.
    """

    def __init__(self, tracklets: Sequence[Item], batch_size: int, num_instances: int) -> None:
        self.num_identities, self.num_instances = batch_size // num_instances, num_instances
        self.cameras = [camid for _, _, camid, _ in tracklets]
        self.indices: defaultdict[int, list[int]] = defaultdict(list)
        for index, (_, pid, *_) in enumerate(tracklets):
            self.indices[pid].append(index)

    def __iter__(self) -> Iterator[int]:
        groups = {pid: self._groups(indices) for pid, indices in self.indices.items()}
        while len(groups) >= self.num_identities:
            chosen = np.random.choice([*groups], self.num_identities, replace=False).tolist()
            for pid in chosen:
                yield from groups[pid].pop()
                if not groups[pid]:
                    del groups[pid]

    def _groups(self, indices: Sequence[int]) -> list[list[int]]:
        """Cuts the tracklets of an identity into groups for a batch, in random order."""
        missing = self.num_instances - len(indices)
        again = np.random.choice(indices, missing).tolist() if missing > 0 else []
        by_camera: defaultdict[int, list[int]] = defaultdict(list)
        for index in np.random.permutation([*indices, *again]).tolist():
            by_camera[self.cameras[index]].append(index)
        rounds = zip_longest(*by_camera.values())
        ordered = [index for turn in rounds for index in turn if index is not None]
        size = self.num_instances
        return [ordered[i : i + size] for i in range(0, len(ordered) - size + 1, size)]


class ProcessShare(Sampler[ItemKey]):
    """The part of each batch that this rank reads in distributed training.

    All ranks draw the same items and each reads its part of every batch, so together they read the
    batches of a single process. Items that fill no batch are left out.

    Args:
        sampler: Draws the items of an epoch, the same on every rank.
        batch_size: Clips in a batch of all ranks together.

    Raises:
        ValueError: If a batch can't be shared evenly.
    """

    def __init__(self, sampler: EpochSampler, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size
        self.share, rest = divmod(batch_size, process_count())
        if rest:
            raise ValueError(
                f"A batch of {batch_size} clips can't be shared by {process_count()} processes: "
                "set train.batch_size to a multiple."
            )

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size * self.share

    def __iter__(self) -> Iterator[ItemKey]:
        whole = len(self.sampler) // self.batch_size * self.batch_size
        for position, key in enumerate(self.sampler):
            own = position % self.batch_size // self.share == process_rank()
            if own and position < whole:
                yield key


@contextmanager
def _seeded_global_state(seed: int, epoch: int) -> Iterator[None]:
    """Seeds the global random state of the three libraries by a key and restores it afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    key = np.random.SeedSequence([seed, epoch]).generate_state(3)
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(int(key[0]))
            np.random.seed(key[1])
            torch.default_generator.manual_seed(int(key[2]))
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _check_identities(tracklets: Sequence[Item], batch_size: int, num_instances: int) -> None:
    if num_instances < 1 or batch_size % num_instances:
        raise ValueError(
            f"RandomIdentitySampler draws {num_instances} clips of an identity "
            f"(sampler.num_instances), but a batch of {batch_size} (train.batch_size) is not a "
            "multiple of it."
        )
    needed = batch_size // num_instances
    identities = len({pid for _, pid, *_ in tracklets})
    if identities < needed:
        raise ValueError(
            f"RandomIdentitySampler needs {needed} identities for a batch of {batch_size} with "
            f"{num_instances} clips each, but there are {identities}: set train.batch_size to at "
            f"most {identities * num_instances}, or raise sampler.num_instances."
        )


def _check_groups(
    tracklets: Sequence[Item], column: int, what: str, option: str, groups: int, batch_size: int
) -> None:
    """Checks that each of the cameras or datasets drawn for a batch has enough tracklets."""
    sizes = Counter(tracklet[column] for tracklet in tracklets)
    groups = groups if groups > 0 else len(sizes)
    share = batch_size // groups
    if groups > len(sizes) or batch_size % groups or min(sizes.values()) < share:
        raise ValueError(
            f"A batch of {batch_size} (train.batch_size) from {groups} {what}s ({option}) takes "
            f"{batch_size / groups:g} tracklets of each, but there are {len(sizes)} {what}s, the "
            f"smallest with {min(sizes.values())} tracklets: set {option} to a divisor of "
            "train.batch_size that they can fill, or lower train.batch_size."
        )
