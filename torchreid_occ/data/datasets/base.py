"""Base of all dataset readers: the order of files, checks and messages."""

import inspect
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex, TypeAlias, TypeVar

from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import StrPath

Frames = TypeVar("Frames", bound=tuple[str, ...] | str)
# What a reader lists: paths of a tracklet's frames, or the path of an image; pid; camid.
ListedTracklet: TypeAlias = tuple[tuple[str, ...], int, int]
Listed: TypeAlias = tuple[tuple[str, ...] | str, int, int]
Subsets: TypeAlias = tuple[Sequence[Listed], Sequence[Listed], Sequence[Listed]]

_ONE_DIGIT = str.maketrans("123456789", "0" * 9)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


class Counts(NamedTuple):
    """Size of a subset; None where nothing is published."""

    identities: int | None = None
    tracklets: int | None = None
    frames: int | None = None

    def __str__(self) -> str:
        pairs = zip(self, self._fields, strict=True)
        return ", ".join(f"{number} {name}" for number, name in pairs if number is not None)


class Statistics(NamedTuple):
    """The counts of a dataset's subsets."""

    train: Counts = Counts()
    query: Counts = Counts()
    gallery: Counts = Counts()


SUBSETS = Statistics._fields


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts frame2 before frame10; ties, such as f2 and f02, are sorted as text."""
    parts: list[str | int] = list(re.split(r"(\d+)", name))
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, name


def natural_order(names: Iterable[str]) -> list[str]:
    """Sorts names by `natural_key`.

    Names with digits in the same places, as the frames of a tracklet mostly have, are in this order
    when sorted as text, which is many times faster.
    """
    names = list(names)
    shapes = "\n".join(names).translate(_ONE_DIGIT)
    one_shape = shapes == "\n".join([shapes.partition("\n")[0]] * len(names))
    return sorted(names) if one_shape else sorted(names, key=natural_key)


def subfolders(folder: StrPath) -> list[Path]:
    """Returns the visible folders inside a folder, in natural order."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    return [Path(folder, name) for name in natural_order(names)]


def list_frames(folder: StrPath) -> tuple[str, ...]:
    """Returns the paths of the visible image files of a tracklet's folder, in natural order."""
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.name[0] != "."
        ]
    return tuple(f"{folder}/{name}" for name in natural_order(names))


def frames_in(folder: StrPath) -> tuple[str, ...]:
    """Calls `list_frames` and warns of an empty folder, which released datasets contain."""
    frames = list_frames(folder)
    if not frames:
        warnings.warn(f"{folder} holds no frames and is skipped.", stacklevel=2)
    return frames


def relabel(items: Collection[tuple[Frames, int, int]]) -> list[tuple[Frames, int, int]]:
    """Numbers the pids of ``(img_paths, pid, camid)`` items from 0, in the order of the pids."""
    labels = {pid: label for label, pid in enumerate(sorted({pid for _, pid, _ in items}))}
    return [(paths, labels[pid], camid) for paths, pid, camid in items]


def absence_message(dataset: type[Any], path: Path, root: Path) -> str:
    """Returns the message for a user who does not have the data.

    Args:
        dataset: The dataset's class; its docstring is shown.
        path: What is missing.
        root: Where the datasets should be.
    """
    return (
        f"{dataset.__name__} is not there or not complete: {path} does not exist.\n\n"
        f"{inspect.getdoc(dataset)}\n\n"
        f"Here root is {root} (data.root in a configuration)."
    )


class DatasetReader(torchreid.data.datasets.dataset.Dataset):
    """What our video and image datasets add to torchreid's: listing in one place, checks, messages.

    A dataset states its folder and statistics as class attributes and lists its items in ``read``.
    Its docstring is part of the error for missing data, so it names the source and the folders.

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

    dataset_dir: Path = Path()  # below root
    required: tuple[str, ...] = ()  # files and folders below dataset_dir
    # Whether query and gallery are enough, to test on, or a gallery alone, to search in.
    may_lack_train = False
    num_splits = 1
    # Whether the same people are in every split, and in every `split_id` that is ignored.
    splits_share_people = True
    paper_statistics: Statistics | None = None  # the published ones
    train: list[Any]
    num_train_pids: int

    def __init__(self, root: StrPath = "", split_id: int = 0, **kwargs: Any) -> None:
        self.root = Path(root).expanduser().absolute()
        self.dataset_dir = self.root / self.dataset_dir
        self._check_presence()
        subsets = dict(zip(SUBSETS, self.read(split_id), strict=True))
        self._check_subsets(subsets)
        # torchreid refuses None, yet listing the items needs no transform.
        kwargs.setdefault("transform", pil_to_tensor)
        super().__init__(**{name: items or _NoItems() for name, items in subsets.items()}, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the train, query and gallery items, each ``(img_paths, pid, camid)``.

        Training pids count from 0 without gaps; query and gallery share their own pids.
        """
        raise NotImplementedError

    def combine_all(self) -> None:
        """Adds the test identities to the training set.

        torchreid's own orders the new labels by a set, fails for a query identity that the gallery
        lacks, and repeats the queries of a gallery that contains them.
        """
        items = dict.fromkeys(self.query + self.gallery)
        test = [item for item in items if item[1] not in self._junk_pids]
        first = self.num_train_pids
        labels = {pid: first + i for i, pid in enumerate(sorted({item[1] for item in test}))}
        self.train = self.train + [(item[0], labels[item[1]], *item[2:]) for item in test]
        self.num_train_pids = self.get_num_pids(self.train)
        self.num_train_cams = self.get_num_cams(self.train)

    def _check_presence(self) -> None:
        for path in (self.dataset_dir, *(self.dataset_dir / name for name in self.required)):
            if not path.exists():
                raise FileNotFoundError(absence_message(type(self), path, self.root))

    def _check_subsets(self, subsets: Mapping[str, Sequence[Listed]]) -> None:
        name = type(self).__name__
        empty = [subset for subset, items in subsets.items() if not items]
        if empty and not (self.may_lack_train and empty in (["train"], ["train", "query"])):
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


class _NoItems(list[Any]):
    """An empty list; torchreid reads the length of the first item even of a list without items."""

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return ()


class TrackletDataset(DatasetReader, torchreid.data.VideoDataset):
    """Base of video datasets; items are ``(img_paths, pid, camid, dsetid)``, frames in order."""


def _count(items: Sequence[Listed], published: Counts) -> Counts:
    """Counts a subset as far as there are published numbers to compare with."""
    counts = Counts(
        identities=len({item[1] for item in items}),
        tracklets=len(items),
        # An image is a one-frame tracklet.
        frames=sum(1 if isinstance(item[0], str) else len(item[0]) for item in items),
    )
    return Counts(*(None if p is None else n for n, p in zip(counts, published, strict=True)))


def _count_unmatched(query: Sequence[Listed], gallery: Sequence[Listed]) -> int:
    cameras: defaultdict[int, set[int]] = defaultdict(set)
    for item in gallery:
        cameras[item[1]].add(item[2])
    return sum(not cameras[item[1]] - {item[2]} for item in query)
