"""What all dataset readers share: the order of files, the checks and the messages."""

import inspect
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ._torchreid import torchreid

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


class Counts(NamedTuple):
    """How much a subset holds; None where nothing is published."""

    identities: int | None = None
    tracklets: int | None = None
    frames: int | None = None

    def __str__(self):
        pairs = zip(self, self._fields, strict=True)
        return ", ".join(f"{number} {name}" for number, name in pairs if number is not None)


class Statistics(NamedTuple):
    """The counts of a dataset's subsets."""

    train: Counts = Counts()
    query: Counts = Counts()
    gallery: Counts = Counts()


SUBSETS = Statistics._fields


def natural_key(name: str) -> tuple:
    """Sorts frame2 before frame10; names that differ only in leading zeros keep one order."""
    parts = re.split(r"(\d+)", name)
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, name


def subfolders(folder: str | Path) -> list[Path]:
    """Visible folders inside a folder, in natural order."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    return [Path(folder, name) for name in sorted(names, key=natural_key)]


def list_frames(folder: str | Path) -> tuple[str, ...]:
    """Paths of the visible image files of a tracklet's folder, in natural order."""
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.name[0] != "."
        ]
    return tuple(f"{folder}/{name}" for name in sorted(names, key=natural_key))


def frames_in(folder: str | Path) -> tuple[str, ...]:
    """As `list_frames`, with a warning where there are none: released datasets have such."""
    frames = list_frames(folder)
    if not frames:
        warnings.warn(f"{folder} holds no frames and is skipped.", stacklevel=2)
    return frames


def relabel(items: Collection[tuple]) -> list[tuple]:
    """Numbers the pids of ``(img_paths, pid, camid)`` items from 0, in the order of the pids."""
    labels = {pid: label for label, pid in enumerate(sorted({pid for _, pid, _ in items}))}
    return [(paths, labels[pid], camid) for paths, pid, camid in items]


def absence_message(dataset: type, path: Path, root: Path) -> str:
    """What to tell a user who does not have the data.

    Args:
        dataset: The dataset's class; its docstring is shown.
        path: What is missing.
        root: Where the datasets should be.
    """
    return (
        f"{dataset.__name__} is not there or not complete: {path} does not exist.\n\n"
        f"{inspect.getdoc(dataset)}\n\n"
        f"Here root is {root} (config key data.root, option --root)."
    )


class DatasetReader:
    """What our video and image datasets add to torchreid's: one way in, checks and clear messages.

    A dataset states its place and statistics as class attributes and lists its items in ``read``.
    Its docstring is shown to whoever does not have the data, so it names the source and the
    folders.

    Args:
        root: Folder that holds the datasets.
        split_id: Which split to read. Datasets with one fixed split ignore it, as torchreid's do:
            they may be the source of a run over the splits of another.
        **kwargs: torchreid's: ``transform``, ``mode``, ``combineall``, ``verbose``, ``seq_len``,
            ``sample_method``.

    Raises:
        FileNotFoundError: If the dataset is not there.
        ValueError: If train, query or gallery has no items.
    """

    dataset_dir = ""  # below root
    required = ()  # files and folders below dataset_dir
    may_be_gallery = False  # whether a gallery alone will do, to be searched in
    num_splits = 1
    paper_statistics = None  # the published Statistics

    def __init__(self, root: str | Path = "", split_id: int = 0, **kwargs):
        self.root = Path(root).expanduser().absolute()
        self.dataset_dir = self.root / self.dataset_dir
        self._check_presence()
        subsets = dict(zip(Statistics._fields, self.read(split_id), strict=True))
        self._check_subsets(subsets)
        # torchreid refuses None, yet listing the items needs no transform.
        kwargs.setdefault("transform", pil_to_tensor)
        super().__init__(**{name: items or _NoItems() for name, items in subsets.items()}, **kwargs)

    def read(self, split_id: int) -> tuple[list[tuple], list[tuple], list[tuple]]:
        """Lists the train, query and gallery items, each ``(img_paths, pid, camid)``.

        Training pids count from 0 without gaps; query and gallery share their own pids.
        """
        raise NotImplementedError

    def combine_all(self):
        """Adds the test identities to the training set.

        torchreid's own orders the new labels by a set, fails for a query identity that the gallery
        lacks, and repeats the queries of a gallery that contains them.
        """
        test = dict.fromkeys(self.query + self.gallery)
        test = [item for item in test if item[1] not in self._junk_pids]
        first = self.num_train_pids
        labels = {pid: first + i for i, pid in enumerate(sorted({item[1] for item in test}))}
        self.train = self.train + [(item[0], labels[item[1]], *item[2:]) for item in test]
        self.num_train_pids = self.get_num_pids(self.train)
        self.num_train_cams = self.get_num_cams(self.train)

    def _check_presence(self):
        for path in (self.dataset_dir, *(self.dataset_dir / name for name in self.required)):
            if not path.exists():
                raise FileNotFoundError(absence_message(type(self), path, self.root))

    def _check_subsets(self, subsets):
        name = type(self).__name__
        empty = [subset for subset, items in subsets.items() if not items]
        if empty and not (self.may_be_gallery and empty == ["train", "query"]):
            raise ValueError(f"{name} in {self.dataset_dir}: the {empty[0]} set has no items.")
        differences = [
            f"{subset} has {found} (published: {published})"
            for subset, published in (self.paper_statistics or Statistics())._asdict().items()
            if (found := _count(subsets[subset], published)) != published
        ]
        if differences:
            warnings.warn(
                f"{name} in {self.dataset_dir} differs from the published data, so results cannot "
                f"be compared with the papers': {'; '.join(differences)}.",
                stacklevel=3,
            )
        unmatched = _count_unmatched(subsets["query"], subsets["gallery"])
        if unmatched:
            warnings.warn(
                f"{name}: {unmatched} of {len(subsets['query'])} queries have no gallery item of "
                "their identity in another camera; they cannot be matched, so the metrics leave "
                "them out.",
                stacklevel=3,
            )


class _NoItems(list):
    """No items, for torchreid, which asks for the first one's length unasked."""

    def __getitem__(self, index):
        return ()


class TrackletDataset(DatasetReader, torchreid.data.VideoDataset):
    """Base of video datasets; items are ``(img_paths, pid, camid, dsetid)``, frames in order."""

    def supervision(self):
        """Key points and foreground maps that come with the data, a `Supervision`, or None."""


def _count(items, published):
    """Counts what is published of a subset."""
    counts = Counts(
        identities=len({item[1] for item in items}),
        tracklets=len(items),
        # An image is a one-frame tracklet.
        frames=sum(1 if isinstance(item[0], str) else len(item[0]) for item in items),
    )
    return Counts(*(None if p is None else n for n, p in zip(counts, published, strict=True)))


def _count_unmatched(query, gallery):
    cameras = defaultdict(set)
    for item in gallery:
        cameras[item[1]].add(item[2])
    return sum(not cameras[item[1]] - {item[2]} for item in query)
