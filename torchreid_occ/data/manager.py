"""Data manager: from names of datasets to loaders of clip batches for training and testing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch.utils.data import DataLoader

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.clip_occluders import OccluderMaker
from torchreid_occ.data.clips import TestClips, TrainClips
from torchreid_occ.data.images import verify_images
from torchreid_occ.data.loaders import clip_loader, every_frame_loader
from torchreid_occ.data.samplers import ProcessShare, build_epoch_sampler
from torchreid_occ.data.supervision import Supervision, supervision_of
from torchreid_occ.data.supervision_choice import choose_supervision
from torchreid_occ.data.tracklets import (
    HeldOut,
    cut_tracklets,
    hold_out_identities,
    join_sources,
    leave_out_short,
    load_dataset,
    tracklets_of,
)
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.utils.checks import check_choice

PURPOSES = ("train", "test", "test with training tracklets")


@dataclass(frozen=True)
class ClipOptions:
    """Options of a :class:`ClipDataManager` that torchreid's data managers do not have.

    Attributes:
        train_sampling: How the frames of a training clip are sampled, see
            :func:`~torchreid_occ.data.sampling.sample_clip`.
        stride: Distance between the frames of a strided clip.
        test_clip_len: Frames in a test clip; 0 keeps tracklets whole.
        seed: Seed of the run, not negative.
        supervision: Fields of training batches: names among ``'keypoints'`` and ``'foreground'``.
        keypoints: JSON file of key points for the sources without supervision of their own.
        foreground: Folder of foreground maps for the sources without supervision of their own.
        dataset_options: ``{dataset name: {constructor argument: value}}``.
        interpolation: How frames are resized: ``'bilinear'`` or ``'bicubic'``.
        across_cameras: Whether ``RandomIdentitySampler`` takes the clips of an identity from
            different cameras where it can.
        min_frames: Training tracklets with fewer frames are left out.
        train_cut: Where not 0, frames of the items that training tracklets are cut into, see
            :func:`~torchreid_occ.data.tracklets.cut_tracklets`.
        val_identities: How many training identities are held out to choose a checkpoint on; None
            leaves the number to :func:`~torchreid_occ.data.tracklets.hold_out_identities`.
        purpose: What the data are for, one of ``PURPOSES``. For a test alone no sources are read;
            'test with training tracklets' reads them, for a learned metric.
        occluders: Makes what the transform ``random_occluders`` puts in front of people.
    """

    train_sampling: str = "strided"
    stride: int = 8
    test_clip_len: int = 64
    seed: int = 1
    supervision: Sequence[str] = ()
    keypoints: str = ""
    foreground: str = ""
    dataset_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    interpolation: str = "bilinear"
    across_cameras: bool = False
    min_frames: int = 0
    train_cut: int = 0
    val_identities: int | None = 0
    purpose: str = "train"
    occluders: OccluderMaker | None = None


class ClipDataManager:
    """Loads sources and targets, and provides loaders of batches of clips.

    It has the attributes of torchreid's data managers, but is not a subclass: their constructor
    builds transforms of single images. All random draws are keyed by seed, epoch and item, so they
    do not depend on the number of workers, and loaders leave the global random state alone.

    Args:
        root: Folder that holds the datasets.
        sources: Names of the datasets to train on.
        targets: Names of the datasets to test on; the sources if None.
        height: Height of the frames.
        width: Width of the frames.
        transforms: Augmentations, see :class:`~torchreid_occ.data.transforms.ClipTransform`.
        norm_mean: Mean of each channel; ImageNet's if None.
        norm_std: Standard deviation of each channel; ImageNet's if None.
        use_gpu: Whether batches are pinned for a GPU if there is one.
        split_id: Which split of the datasets.
        combineall: Whether query and gallery are added to the training set.
        batch_size_train: Clips in a training batch.
        batch_size_test: Clips of full length in a test batch.
        workers: Worker processes of each loader.
        train_sampler: One of torchreid's samplers.
        num_instances: Clips of an identity in a batch.
        num_cams: Cameras in a batch of ``RandomDomainSampler``.
        num_datasets: Datasets in a batch of ``RandomDatasetSampler``.
        seq_len: Frames in a training clip.
        options: What torchreid's data managers do not have.

    Attributes:
        train_loader, train_dataset: Batches of training clips, and the tracklets they come from;
            None and none for a test alone.
        test_loader, test_dataset: Per target ``{'query': ..., 'gallery': ...}``.
        val_loader, val_dataset: The same of the held-out identities, or None.

    Raises:
        ValueError: If an argument does not fit the data; says which and how.
        FileNotFoundError: If a dataset or a file of supervision is not there.
    """

    data_type = "video"

    def __init__(
        self,
        root: str = "",
        sources: str | Sequence[str] | None = None,
        targets: str | Sequence[str] | None = None,
        height: int = 256,
        width: int = 128,
        transforms: str | Sequence[str] = ("random_flip",),
        norm_mean: Sequence[float] | None = None,
        norm_std: Sequence[float] | None = None,
        use_gpu: bool = True,
        split_id: int = 0,
        combineall: bool = False,
        batch_size_train: int = 32,
        batch_size_test: int = 4,
        workers: int = 2,
        train_sampler: str = "RandomIdentitySampler",
        num_instances: int = 4,
        num_cams: int = 1,
        num_datasets: int = 1,
        seq_len: int = 4,
        options: ClipOptions | None = None,
    ) -> None:
        options = options or ClipOptions()
        check_choice("purpose", options.purpose, PURPOSES)
        self.sources = _names(sources)
        self.targets = _names(targets) or self.sources
        if not self.sources and options.purpose != "test":
            raise ValueError("There is nothing to train on: set data.sources to names of datasets.")
        self.height, self.width = height, width
        self.use_gpu = use_gpu and torch.cuda.is_available()
        frames = height, width, _names(transforms), norm_mean, norm_std
        interpolation = options.interpolation
        self.transform_te = ClipTransform(*frames, training=False, interpolation=interpolation)
        self._batch_size_test, self._test_clip_len = batch_size_test, options.test_clip_len
        self._workers = workers

        read = self.targets if options.purpose == "test" else self.sources + self.targets
        datasets = self._load_datasets(
            root, split_id, combineall, options.dataset_options, [*dict.fromkeys(read)]
        )
        tracklets = {name: tracklets_of(dataset) for name, dataset in datasets.items()}
        _check_presence(tracklets, self.targets, "query")
        self.test_dataset = {
            name: {subset: tracklets[name][subset] for subset in ("query", "gallery")}
            for name in self.targets
        }
        self.test_loader = {
            name: {subset: self.loader_of(items) for subset, items in subsets.items()}
            for name, subsets in self.test_dataset.items()
        }
        self.train_dataset: Sequence[Item] = []
        self.train_loader: DataLoader[dict[str, Any]] | None = None
        self.val_dataset: Sequence[Item] | None = None
        self.val_loader: DataLoader[dict[str, Any]] | None = None
        self._clips: TrainClips | None = None
        if options.purpose == "test":
            return

        _check_presence(tracklets, self.sources, "train")
        joined = join_sources([tracklets[name]["train"] for name in self.sources])
        remaining, held_out = _split(joined.tracklets, options)
        train = _training_items(remaining, options)
        self.train_dataset = train
        if options.purpose != "train":
            return
        self._sampler = build_epoch_sampler(
            train,
            train_sampler,
            batch_size_train,
            num_instances,
            num_cams,
            num_datasets,
            options.seed,
            options.across_cameras,
        )
        supervision = self._choose_supervision(datasets, joined.dsetids, options)
        occluder = None
        if options.occluders and "random_occluders" in _names(transforms):
            occluder = options.occluders(train, supervision)
        self._clips = TrainClips(
            train,
            seq_len,
            options.train_sampling,
            options.stride,
            ClipTransform(*frames, training=True, interpolation=interpolation, occluder=occluder),
            options.seed,
            supervision,
            options.supervision,
        )
        self.train_loader = self._build_train_loader(batch_size_train)
        self.val_dataset = held_out or None
        self.val_loader = self.loader_of(held_out) if held_out else None

    @property
    def num_train_pids(self) -> int:
        """Number of training identities without the held-out ones."""
        return len({pid for _, pid, *_ in self.train_dataset})

    @property
    def num_train_cams(self) -> int:
        """Number of training cameras."""
        return len({camid for _, _, camid, _ in self.train_dataset})

    def set_epoch(self, epoch: int) -> None:
        """Draws the training items of an epoch; call it before iterating ``train_loader``."""
        self._sampler.set_epoch(epoch)

    def fetch_test_loaders(self, name: str) -> tuple[list[Item], list[Item]]:
        """Returns the query and gallery tracklets of a target; the name is torchreid's."""
        return self.test_dataset[name]["query"], self.test_dataset[name]["gallery"]

    def verify(self, workers: int) -> None:
        """Decodes every image of train, validation, query and gallery and every map once.

        Args:
            workers: Number of threads.

        Raises:
            ValueError: If files cannot be read; lists the first ten with reasons.
        """
        subsets = [self.train_dataset, self.val_dataset or []]
        subsets += chain.from_iterable(pair.values() for pair in self.test_dataset.values())
        files: list[StrPath] = [path for items in subsets for paths, *_ in items for path in paths]
        if self._clips is not None and "foreground" in self._clips.fields:
            supervision = self._clips.supervision
            maps = (
                supervision[dsetid].foreground_path(path)
                for paths, *_, dsetid in self.train_dataset
                if dsetid in supervision
                for path in paths
            )
            files += (path for path in maps if path is not None)
        verify_images(files, workers)

    def _load_datasets(
        self,
        root: str,
        split_id: int,
        combineall: bool,
        options: Mapping[str, Mapping[str, Any]],
        names: Sequence[str],
    ) -> dict[str, Any]:
        """Builds each dataset once, even if it is both source and target."""
        known = list(dict.fromkeys(self.sources + self.targets))
        unused = sorted(options.keys() - set(known))
        if unused:
            raise ValueError(f"Options are given for datasets {unused}, but used are {known}.")
        return {
            name: load_dataset(name, root, split_id, combineall, options.get(name))
            for name in names
        }

    def _choose_supervision(
        self, datasets: Mapping[str, Any], dsetids: Sequence[int], options: ClipOptions
    ) -> dict[int, Supervision]:
        """Returns the supervision of each ``dsetid``."""
        own = {
            dsetid: supervision_of(datasets[name])
            for name, dsetid in zip(self.sources, dsetids, strict=True)
        }
        files = options.keypoints, options.foreground
        configured = Supervision(*files) if any(files) else None
        return choose_supervision(
            self.train_dataset, own, options.supervision, configured, self.sources
        )

    def _build_train_loader(self, batch_size: int) -> DataLoader[dict[str, Any]]:
        assert self._clips is not None
        share = ProcessShare(self._sampler, batch_size)
        return clip_loader(
            self._clips,
            self._workers,
            self.use_gpu,
            batch_size=share.share,
            sampler=share,
            persistent_workers=self._workers > 0,
        )

    def loader_of(self, tracklets: Sequence[Item]) -> DataLoader[dict[str, Any]]:
        """Builds a loader of every frame of tracklets in test clips."""
        clips = TestClips(tracklets, self._test_clip_len, self.transform_te)
        return every_frame_loader(clips, self._batch_size_test, self._workers, self.use_gpu)


def _split(tracklets: Sequence[Item], options: ClipOptions) -> HeldOut:
    """Holds out identities; a test reads all where there are too few, as it validates nothing."""
    try:
        return hold_out_identities(tracklets, options.val_identities, options.seed)
    except ValueError:
        if options.purpose == "train":
            raise
        return HeldOut(list(tracklets), [])


def _training_items(tracklets: Sequence[Item], options: ClipOptions) -> list[Item]:
    """Returns what the sampler draws from: long enough tracklets, or the pieces of them."""
    items = list(tracklets)
    if options.min_frames:
        items = leave_out_short(items, options.min_frames)
    return cut_tracklets(items, options.train_cut) if options.train_cut else items


def _names(names: str | Iterable[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _check_presence(
    tracklets: Mapping[str, Mapping[str, Sequence[Item]]], names: Sequence[str], subset: str
) -> None:
    for name in names:
        if tracklets[name][subset]:
            continue
        if tracklets[name]["query"]:
            raise ValueError(
                f"{name} has a query and a gallery set only and no {subset} set: it can be tested "
                "on, but not trained on."
            )
        raise ValueError(
            f"{name} has a gallery only and no {subset} set: it can be searched in, but not "
            "trained or tested on."
        )
