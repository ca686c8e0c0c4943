"""Makes an occluded copy of a dataset; a killed call is continued by the same call."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from PIL import Image
from torch.utils.data import Dataset

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.copies import MANIFEST, Source, fingerprint
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.images import read_image
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.occlusion.bodies import PERSON, BodyMasks, upright_ellipse
from torchreid_occ.occlusion.draws import VERSION
from torchreid_occ.occlusion.files import (
    OCCLUSION,
    TrackletRecord,
    read_record,
    write_tracklet,
)
from torchreid_occ.occlusion.protocol import Protocol
from torchreid_occ.occlusion.sources import OccluderSource
from torchreid_occ.occlusion.sprites import Mask, resized
from torchreid_occ.occlusion.tracklets import Place, occlude_tracklet
from torchreid_occ.utils.files import claim_folder, write_json
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.opencv import compute_in_one_thread
from torchreid_occ.utils.progress import progress
from torchreid_occ.version import __version__

# Records by number of the tracklet, as text, by subset.
Records = dict[str, dict[str, TrackletRecord]]


@dataclass(frozen=True)
class CopyPlan:
    """An occluded copy to make.

    Attributes:
        folder: Folder of the copy.
        source: The dataset to copy.
        tracklets: Its tracklets by subset.
        masks: Whole masks of the people in its frames.
        masks_folder: Folder of masks that `torchreid-occ annotate` made; empty for the source's
            own.
        parts: Which subsets are occluded.
        protocol: How much of them.
        occluders: Plain values that describe the occluders.
        seed: Seed of the copy.
    """

    folder: StrPath
    source: Source
    tracklets: Mapping[str, Sequence[Item]]
    masks: BodyMasks
    masks_folder: str
    parts: Sequence[str]
    protocol: Protocol
    occluders: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str] = field(
        default_factory=lambda: {
            "torchreid_occ": __version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
        }
    )

    def description(self) -> dict[str, Any]:
        """Returns what the manifest says of the source and of how the copy is made."""
        return {
            "version": VERSION,
            "seed": self.seed,
            "source": self.source,
            "fingerprint": fingerprint(self.tracklets),
            "masks": self.masks_folder,
            "masks_fingerprint": self._masks_fingerprint(),
            "parts": [*self.parts],
            "protocol": self.protocol.plain(),
            "occluders": dict(self.occluders),
        }

    def _masks_fingerprint(self) -> str:
        """Hashes which frames have a mask, and the sizes of the masks' files."""
        digest = hashlib.sha256()
        paths = {path: None for items in self.tracklets.values() for frames, *_ in items
                 for path in frames}  # fmt: skip
        for path in paths:
            mask = self.masks.foreground_path(path)
            size = 0 if mask is None else mask.stat().st_size
            digest.update(f"{self.masks.name_of(path)} {size}\n".encode())
        return digest.hexdigest()


def make_copy(
    plan: CopyPlan, find_occluders: Callable[[], OccluderSource], workers: int = 2
) -> Records:
    """Makes an occluded copy.

    Args:
        plan: The copy to make.
        find_occluders: Finds the occluders, once the folder is known to be the copy's.
        workers: Processes that occlude tracklets; 0 takes this one.

    Returns:
        What was occluded.

    Raises:
        ValueError: If the folder holds something else, the source has changed since the copy was
            begun, an image cannot be read, or occluders cannot be found.
    """
    folder = Path(plan.folder)
    description = plan.description()
    new = not folder.exists()
    claim_folder(folder, description, "copy")
    places = _places(plan)
    pending = [each for each in places if read_record(folder, each[0]) is None]
    if pending:
        with _removed_after_an_error(folder, new):
            occluders = find_occluders()
        work = _Tracklets(plan, occluders, pending)
        loader = item_loader(work, workers)
        frames = sum(len(paths) for _, paths, _ in pending)
        logger.info("%d tracklets of %d frames are to be occluded.", len(pending), frames)
        for _ in progress(loader, "occluding", unit="tracklet"):
            pass
    records: Records = {subset: {} for subset in SUBSETS}
    for place, *_ in places:
        record = read_record(folder, place)
        assert record is not None, f"{place} is finished"
        records[place.subset][str(place.number)] = record
    write_json(folder / OCCLUSION, records)
    frames_changed = {
        subset: {
            index: {
                number: f"{subset}/{int(index):05d}/{frame['file']}"
                for number, frame in record["frames"].items()
            }
            for index, record in found.items()
        }
        for subset, found in records.items()
    }
    hashes = {
        subset: hashlib.sha256(
            "".join(record["sha256"] for record in found.values()).encode()
        ).hexdigest()
        for subset, found in records.items()
        if found
    }
    changed = {
        subset: sum(map(len, tracklets.values())) for subset, tracklets in frames_changed.items()
    }
    manifest = {
        **description,
        "versions": dict(plan.versions),
        "sha256": hashes,
        "changed": changed,
        "frames": frames_changed,
    }
    write_json(folder / MANIFEST, manifest)
    logger.info("%s: %s frames changed.", folder, changed)
    return records


@contextmanager
def _removed_after_an_error(folder: Path, new: bool) -> Iterator[None]:
    """Removes a folder after an error if it is new: other occluders may be tried in it."""
    try:
        yield
    except Exception:
        if new:
            shutil.rmtree(folder)
        raise


def _places(plan: CopyPlan) -> list[tuple[Place, tuple[str, ...], int]]:
    """Lists the tracklets to occlude, with their frames and in how many something is in front."""
    listed = []
    for subset in plan.parts:
        items = plan.tracklets[subset]
        lengths = [len(paths) for paths, *_ in items]
        numbers = plan.protocol.occluded_frames(subset, lengths, plan.seed)
        for index, ((paths, pid, camid, _), number) in enumerate(zip(items, numbers, strict=True)):
            if number:
                listed.append((Place(subset, index, pid, camid), tuple(paths), number))
    return listed


class _Tracklets(Dataset[int]):
    """Occludes and writes tracklets; an item is the number of frames that changed."""

    def __init__(
        self,
        plan: CopyPlan,
        occluders: OccluderSource,
        pending: Sequence[tuple[Place, tuple[str, ...], int]],
    ) -> None:
        self.plan, self.occluders, self.pending = plan, occluders, pending

    def __len__(self) -> int:
        return len(self.pending)

    def __getitem__(self, item: int) -> int:
        compute_in_one_thread()
        place, paths, number = self.pending[item]
        plan = self.plan
        frames = [np.array(read_image(path), np.uint8) for path in paths]
        bodies = [
            body_mask(plan.masks, path, frame.shape[:2])
            for path, frame in zip(paths, frames, strict=True)
        ]
        occluded = occlude_tracklet(
            place, frames, bodies, number, self.occluders, plan.protocol, plan.seed
        )
        write_tracklet(Path(plan.folder), place, paths, occluded)
        return len(occluded)


def body_mask(masks: BodyMasks, path: str, size: tuple[int, ...]) -> Mask:
    """Returns the whole person of a frame.

    Args:
        masks: Masks of the people.
        path: The frame.
        size: Its height and width.

    Shape:
        returns ``(H, W)``.
    """
    width, height = size[1], size[0]
    grey = resized(masks.foreground(path), (width, height), Image.Resampling.BICUBIC)
    mask = np.asarray(grey) >= PERSON
    return mask if mask.any() else np.asarray(upright_ellipse((width, height))) >= PERSON
