"""Datasets by name -> loaders of clip batches, with separate sampling for training and testing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from torchreid_occ.data.clips import TestClips, TrainClips
from torchreid_occ.data.images import verify_images
from torchreid_occ.data.loaders import clip_loader, every_frame_loader
from torchreid_occ.data.samplers import ProcessShare, build_epoch_sampler
from torchreid_occ.data.supervision import FIELDS, Supervision
from torchreid_occ.data.tracklets import (
    hold_out_identities,
    join_sources,
    load_dataset,
    tracklets_of,
)
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.utils.logs import logger


class ClipDataManager:
    """Loads sources and targets, and serves batches of clips.

    It has the attributes of torchreid's data managers without being one: their constructor builds
    transforms of single images. All random draws are keyed by seed, epoch and item, so the number
    of workers changes nothing, and loaders leave the global random state alone.

    Args:
        root: Folder that holds the datasets.
        sources: Names of the datasets to train on.
        targets: Names of the datasets to test on; the sources if None.
        height: Height of the frames.
        width: Width of the frames.
        transforms: Augmentations, see :class:`~torchreid_occ.data.transforms.ClipTransform`.
        norm_mean: Mean of each channel; ImageNet's if None.
        norm_std: Standard deviation of each channel; ImageNet's if None.
        use_gpu: Whether batches are pinned for a GPU, where there is one.
        split_id: Which split of the datasets.
        combineall: Whether query and gallery are trained on, too.
        batch_size_train: Clips in a training batch.
        batch_size_test: Clips of full length in a test batch.
        workers: Worker processes of each loader.
        train_sampler: One of torchreid's samplers.
        num_instances: Clips of an identity in a batch.
        num_cams: Cameras in a batch of ``RandomDomainSampler``.
        num_datasets: Datasets in a batch of ``RandomDatasetSampler``.
        seq_len: Frames in a training clip.
        train_sampling: How they are sampled, see :func:`~torchreid_occ.data.sampling.sample_clip`.
        stride: Distance between the frames of a strided clip.
        test_clip_len: Frames in a test clip; 0 keeps tracklets whole.
        seed: Seed of the run, not negative.
        supervision: What training batches carry: names among ``'keypoints'`` and ``'foreground'``.
        keypoints: JSON file of key points for the sources that bring none.
        foreground: Folder of foreground maps for the sources that bring none.
        dataset_options: ``{dataset name: {constructor argument: value}}``.
        val_identities: How many training identities are held out to choose a checkpoint on; None
            leaves the number to :func:`~torchreid_occ.data.tracklets.hold_out_identities`.

    Attributes:
        train_loader, train_dataset: Batches of training clips, and the tracklets they come from.
        test_loader, test_dataset: Per target ``{'query': ..., 'gallery': ...}``.
        val_loader, val_dataset: Those of the identities held out, or None.

    Raises:
        ValueError: If an argument does not fit the data; says what does.
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
        train_sampling: str = "strided",
        stride: int = 8,
        test_clip_len: int = 64,
        seed: int = 1,
        supervision: Sequence[str] = (),
        keypoints: str = "",
        foreground: str = "",
        dataset_options: Mapping[str, Mapping] | None = None,
        val_identities: int | None = 0,
    ):
        self.sources = _names(sources)
        self.targets = _names(targets) or self.sources
        if not self.sources:
            raise ValueError("There is nothing to train on: set data.sources to names of datasets.")
        self.height, self.width = height, width
        self.use_gpu = use_gpu and torch.cuda.is_available()
        self.transform_te = ClipTransform(height, width, (), norm_mean, norm_std)
        self._batch_size_test, self._test_clip_len = batch_size_test, test_clip_len
        self._workers = workers

        datasets = self._load_datasets(root, split_id, combineall, dataset_options or {})
        tracklets = {name: tracklets_of(dataset) for name, dataset in datasets.items()}
        _check_presence(tracklets, self.sources, "train")
        _check_presence(tracklets, self.targets, "query")

        train, dsetids = join_sources([tracklets[name]["train"] for name in self.sources])
        train, held_out = hold_out_identities(train, val_identities, seed)
        given = Supervision(keypoints, foreground) if keypoints or foreground else None
        self.train_dataset = train
        self._sampler = build_epoch_sampler(
            train, train_sampler, batch_size_train, num_instances, num_cams, num_datasets, seed
        )
        clips = TrainClips(
            train,
            seq_len,
            train_sampling,
            stride,
            ClipTransform(height, width, _names(transforms), norm_mean, norm_std, training=True),
            seed,
            self._supervise(datasets, dsetids, supervision, given),
            supervision,
        )
        share = ProcessShare(self._sampler, batch_size_train)
        self.train_loader = clip_loader(
            clips,
            workers,
            self.use_gpu,
            batch_size=share.share,
            sampler=share,
            persistent_workers=workers > 0,
        )
        self.val_dataset = held_out or None
        self.val_loader = self.loader_of(held_out) if held_out else None
        self.test_dataset = {
            name: {subset: tracklets[name][subset] for subset in ("query", "gallery")}
            for name in self.targets
        }
        self.test_loader = {
            name: {subset: self.loader_of(items) for subset, items in subsets.items()}
            for name, subsets in self.test_dataset.items()
        }

    @property
    def num_train_pids(self) -> int:
        """Number of training identities, without those held out."""
        return len({pid for _, pid, *_ in self.train_dataset})

    @property
    def num_train_cams(self) -> int:
        """Number of training cameras."""
        return len({camid for _, _, camid, _ in self.train_dataset})

    def set_epoch(self, epoch: int):
        """Draws the training items of an epoch; call it before iterating ``train_loader``."""
        self._sampler.set_epoch(epoch)

    def fetch_test_loaders(self, name: str) -> tuple[list[tuple], list[tuple]]:
        """The query and gallery tracklets of a target, under torchreid's name for it."""
        return self.test_dataset[name]["query"], self.test_dataset[name]["gallery"]

    def verify(self, workers: int):
        """Decodes every image of train, validation, query and gallery and every map once.

        Args:
            workers: Number of threads.

        Raises:
            ValueError: If files cannot be read; lists the first ten with reasons.
        """
        subsets = [self.train_dataset, self.val_dataset or []]
        subsets += chain.from_iterable(pair.values() for pair in self.test_dataset.values())
        paths = [path for items in subsets for paths, *_ in items for path in paths]
        clips = self.train_loader.dataset
        if "foreground" in clips.fields:
            paths += filter(
                None,
                (
                    clips.supervision[dsetid].foreground_path(path)
                    for paths, *_, dsetid in self.train_dataset
                    if dsetid in clips.supervision
                    for path in paths
                ),
            )
        verify_images(paths, workers)

    def _load_datasets(self, root, split_id, combineall, options):
        """Builds each dataset once, even where it is both source and target."""
        names = list(dict.fromkeys(self.sources + self.targets))
        unused = sorted(options.keys() - set(names))
        if unused:
            raise ValueError(f"Options are given for datasets {unused}, but used are {names}.")
        return {
            name: load_dataset(name, root, split_id, combineall, options.get(name))
            for name in names
        }

    def _supervise(self, datasets, dsetids, fields, given):
        """The supervision of each ``dsetid``: the dataset's own, else what the config gives."""
        unknown = [field for field in fields if field not in FIELDS]
        if unknown:
            raise ValueError(f"Unknown data.supervision {unknown}: expected names of {FIELDS}.")
        found, unaided = {}, []
        for name, dsetid in zip(self.sources, dsetids, strict=True):
            own = getattr(datasets[name], "supervision", lambda: None)()
            if own is None:
                unaided.append(dsetid)
            if own or given:
                found[dsetid] = own or given
        if given and not unaided:
            raise ValueError(
                "data.keypoints and data.foreground would not be read: every source of "
                f"{self.sources} brings its own supervision. Leave them empty."
            )
        if given:
            _check_names_differ(given, [item for item in self.train_dataset if item[3] in unaided])
        for field in fields:
            if not any(field in supervision.fields for supervision in found.values()):
                raise ValueError(
                    f"data.supervision asks for {field!r}, but no source of {self.sources} brings "
                    f"it: set data.{field} to where it is, or take it out of data.supervision."
                )
        for field in fields:
            self._report_share(field, found)
        return found

    def _report_share(self, field, supervision):
        """Says how many training frames a field is known of; none is a mistake in the names."""
        known = [
            dsetid in supervision and supervision[dsetid].has(field, path)
            for paths, *_, dsetid in self.train_dataset
            for path in paths
        ]
        if not any(known):
            example = Path(self.train_dataset[0][0][0])
            raise ValueError(
                f"data.supervision asks for {field!r}, but it is known of none of {len(known)} "
                f"training frames: entries are looked up by file name, such as {example.name!r} in "
                f"the key point file or the folder {example.stem!r} of foreground maps."
            )
        logger.info("%s: known of %.1f%% of training frames", field, 100 * np.mean(known))

    def loader_of(self, tracklets: Sequence[tuple]) -> DataLoader:
        """Every frame of tracklets in clips, as for a test."""
        clips = TestClips(tracklets, self._test_clip_len, self.transform_te)
        return every_frame_loader(clips, self._batch_size_test, self._workers, self.use_gpu)


def _names(names):
    return [names] if isinstance(names, str) else list(names or ())


def _check_presence(tracklets, names, subset):
    for name in names:
        if not tracklets[name][subset]:
            raise ValueError(
                f"{name} is a gallery alone, without a {subset} set: it can be searched in, but "
                "not trained or tested on."
            )


def _check_names_differ(supervision, tracklets):
    """A name that two frames are looked up by would mislabel one of them."""
    paths = {path for item in tracklets for path in item[0]}
    name, count = Counter(map(supervision.name_of, paths)).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"data.keypoints and data.foreground are looked up by the frame's name, but {count} "
            f'training frames are named "{name}": give every frame a name of its own, in the files '
            "or by the last parts of its path (torchreid-occ annotate does so)."
        )
