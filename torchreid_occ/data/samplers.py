"""Which items make a batch: torchreid's samplers made repeatable, and batches of equal clips."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import Sampler

from torchreid_occ._torchreid import torchreid
from torchreid_occ.data.clips import ItemKey
from torchreid_occ.utils.processes import process_count, process_rank


class EpochSampler(Sampler):
    """Draws a torchreid sampler's epoch from a key instead of the global random state.

    torchreid's samplers draw from the global state of three libraries, and its
    ``RandomIdentitySampler`` overstates its length. Here the epoch's list is drawn at once, keyed
    by seed and epoch, and its length is exact; it may differ from epoch to epoch.

    Args:
        sampler: A sampler of torchreid's or torch's.
        seed: Seed of the run, not negative.
    """

    def __init__(self, sampler: Iterable[int], seed: int):
        self.sampler = sampler
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int):
        """Draws the items of an epoch."""
        self.epoch = epoch
        with _seeded_global_state(self.seed, epoch):
            self.indices = [int(index) for index in self.sampler]

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        for position, index in enumerate(self.indices):
            yield ItemKey(self.epoch, position, index)


def build_epoch_sampler(
    tracklets: Sequence[tuple],
    name: str,
    batch_size: int,
    num_instances: int,
    num_cams: int,
    num_datasets: int,
    seed: int,
) -> EpochSampler:
    """Builds one of torchreid's training samplers by name, with what it needs checked first.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        name: Name of torchreid's sampler.
        batch_size: Clips in a batch.
        num_instances: Clips of an identity (``RandomIdentitySampler``).
        num_cams: Cameras in a batch (``RandomDomainSampler``); 0 takes all.
        num_datasets: Datasets in a batch (``RandomDatasetSampler``); 0 takes all.
        seed: Seed of the run, not negative.

    Raises:
        ValueError: If the name is unknown, or the tracklets cannot fill one batch.
    """
    known = torchreid.data.sampler.AVAI_SAMPLERS
    if name not in known:
        raise ValueError(f"Unknown train_sampler {name!r}: expected one of {known}.")
    if name == "RandomIdentitySampler":
        _check_identities(tracklets, batch_size, num_instances)
    elif name == "RandomDomainSampler":
        _check_groups(tracklets, 2, "camera", "sampler.num_cams", num_cams, batch_size)
    elif name == "RandomDatasetSampler":
        _check_groups(tracklets, 3, "dataset", "sampler.num_datasets", num_datasets, batch_size)
    with _seeded_global_state(seed, 0):  # some draw once to learn their length
        sampler = torchreid.data.sampler.build_train_sampler(
            tracklets,
            name,
            batch_size=batch_size,
            num_instances=num_instances,
            num_cams=num_cams,
            num_datasets=num_datasets,
        )
    sampler = EpochSampler(sampler, seed)
    if len(sampler) < batch_size:
        raise ValueError(
            f"An epoch of {len(sampler)} clips does not fill one batch of {batch_size}: lower "
            "train.batch_size."
        )
    return sampler


class ProcessShare(Sampler):
    """The part of each batch that this process reads, of those that train as one.

    All processes draw the same items and take turns at each batch, so that together they read what
    one process would. Items that fill no batch are left out.

    Args:
        sampler: Draws the items of an epoch, the same in every process.
        batch_size: Clips in a batch of all processes together.

    Raises:
        ValueError: If a batch can't be shared evenly.
    """

    def __init__(self, sampler: EpochSampler, batch_size: int):
        self.sampler, self.batch_size = sampler, batch_size
        self.share, rest = divmod(batch_size, process_count())
        if rest:
            raise ValueError(
                f"A batch of {batch_size} clips can't be shared by {process_count()} processes: "
                "set train.batch_size to a multiple."
            )

    def __len__(self):
        return len(self.sampler) // self.batch_size * self.share

    def __iter__(self):
        whole = len(self.sampler) // self.batch_size * self.batch_size
        for position, key in enumerate(self.sampler):
            own = position % self.batch_size // self.share == process_rank()
            if own and position < whole:
                yield key


class ClipBatchSampler(Sampler):
    """Batches test clips of equal length across tracklets, always in the same order.

    No batch holds more than ``batch_size * clip_len`` frames, so short clips come in larger
    batches. For whole tracklets (``clip_len`` 0) the longest one stands for ``clip_len``. Long
    clips come first: what does not fit into memory fails at the start.

    Args:
        clips: ``(tracklet, start, stop)`` of each clip.
        batch_size: Clips of full length in a batch.
        clip_len: Frames in a full clip, 0 for whole tracklets.
    """

    def __init__(self, clips: Sequence[tuple[int, int, int]], batch_size: int, clip_len: int):
        by_length = defaultdict(list)
        for index, (_, start, stop) in enumerate(clips):
            by_length[stop - start].append(index)
        max_frames = batch_size * (clip_len or max(by_length, default=0))
        self.batches = []
        for length, indices in sorted(by_length.items(), reverse=True):
            size = max_frames // length
            self.batches += [indices[i : i + size] for i in range(0, len(indices), size)]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


@contextmanager
def _seeded_global_state(seed, epoch):
    """Keys the global random state of the three libraries, and puts it back afterwards."""
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


def _check_identities(tracklets, batch_size, num_instances):
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


def _check_groups(tracklets, column, what, option, groups, batch_size):
    """Checks that each of the cameras or datasets drawn for a batch can give its share."""
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
