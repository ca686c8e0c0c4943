"""Writes a copy of a dataset whose occluded regions are completed, or whose occluded frames go.

Reference: VRSTC, Section 4 (completion) and 5.3.2, Table 2 (discarding).
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from torchreid_occ.completion.data import neighbours, read_frame, to_pixels
from torchreid_occ.completion.dataset import MANIFEST, fingerprint, source_tracklets
from torchreid_occ.completion.thirds import region_mask, region_rows
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.images import read_image
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.utils.files import claim_folder, naming, write_json
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

_PARTIAL = ".partial"


def discard_frames(folder, source, root, occluded, made_by):
    """Makes a copy without the frames that have an occluded region; all stay if all have one.

    Args:
        folder: Where the copy goes.
        source: `{"name", "split_id", "options"}` of the dataset.
        root: Folder that holds the datasets.
        occluded: `(T, 3)` of bool for each tracklet, by subset.
        made_by: Plain values that say how regions were found.
    """
    tracklets = source_tracklets(source, root)
    frames = {subset: {} for subset in SUBSETS}
    for subset in SUBSETS:
        for index, flags in enumerate(occluded[subset]):
            dropped = flags.any(1)
            if dropped.any() and not dropped.all():
                changes = {str(frame): None for frame in np.flatnonzero(dropped)}
                frames[subset][str(index)] = changes
    _write_manifest(folder, _plan(source, tracklets, occluded, made_by), frames)


@torch.no_grad()
def complete_frames(folder, source, root, occluded, generator, size, made_by, workers=2, gpu=False):
    """Makes a copy whose occluded regions a completion network has filled in.

    A tracklet's frames appear together or not at all, so that a killed run goes on where it was.

    Args:
        folder: Where the copy goes.
        source: `{"name", "split_id", "options"}` of the dataset.
        root: Folder that holds the datasets.
        occluded: `(T, 3)` of bool for each tracklet, by subset.
        generator: An `STCnet` in eval mode.
        size: Height and width of the frames it works on.
        made_by: Plain values that say how regions were found and what the generator is.
        workers: Processes that read images.
        gpu: Whether the generator is on the GPU.

    Raises:
        ValueError: If the folder holds what was made of other data or by other means.
    """
    folder = Path(folder)
    tracklets = source_tracklets(source, root)
    plan = _plan(source, tracklets, occluded, made_by)
    claim_folder(folder, plan, "copy")
    for subset in SUBSETS:
        todo = [
            index
            for index, flags in enumerate(occluded[subset])
            if flags.any() and not _tracklet_folder(folder, subset, index).is_dir()
        ]
        inputs = _Inputs(tracklets[subset], occluded[subset], todo, size)
        loader = item_loader(inputs, workers)
        for index, batch in progress(loader, f"completing {subset}", unit="tracklet"):
            arguments = [part.cuda() if gpu else part for part in batch]
            completed = generator(*arguments).final.cpu()
            paths = tracklets[subset][index][0]
            _write_tracklet(folder, subset, index, paths, occluded[subset][index], completed)
    frames = {
        subset: {
            str(index): _changes(subset, index, tracklets[subset][index][0], flags)
            for index, flags in enumerate(occluded[subset])
            if flags.any()
        }
        for subset in SUBSETS
    }
    _write_manifest(folder, plan, frames)


class _Inputs(Dataset):
    """Per tracklet, what the generator needs of the frames with an occluded region."""

    def __init__(self, tracklets, occluded, indices, size):
        self.tracklets, self.occluded, self.indices, self.size = tracklets, occluded, indices, size

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, item):
        index = self.indices[item]
        paths, flags = self.tracklets[index][0], self.occluded[index]
        frames = np.flatnonzero(flags.any(1))
        places = [(frame, *neighbours(flags.any(1), frame)) for frame in frames]
        read = {
            place: read_frame(paths[place], self.size)
            for place in {int(place) for trio in places for place in trio}
        }
        frame, previous, following = (
            torch.stack([read[place] for place in column]) for column in zip(*places, strict=True)
        )
        mask = torch.stack([region_mask(flags[number], self.size) for number in frames])
        return index, (frame, mask, previous, following)


def _write_tracklet(folder, subset, index, paths, flags, completed):
    target = _tracklet_folder(folder, subset, index)
    partial = target.with_name(target.name + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, frame in zip(np.flatnonzero(flags.any(1)), completed, strict=True):
        picture = paste_regions(read_image(paths[number]), frame, flags[number])
        path = partial / _frame_name(number, paths[number])
        with naming(path):
            picture.save(path)
    partial.rename(target)


def paste_regions(picture, completed, regions):
    """A frame at its own size with the chosen regions taken from its completion.

    Args:
        picture: The original PIL image.
        completed: The completed frame in [-1, 1], `(3, H, W)`.
        regions: Which regions to take, `(3,)` of bool.
    """
    filled = Image.fromarray(to_pixels(completed)).resize(picture.size, Image.Resampling.BILINEAR)
    result = np.array(picture)
    for chosen, rows in zip(regions, region_rows(picture.height), strict=True):
        if chosen:
            result[rows] = np.asarray(filled)[rows]
    return Image.fromarray(result)


def _plan(source, tracklets, occluded, made_by):
    digest = hashlib.sha256()
    for subset in SUBSETS:
        for flags in occluded[subset]:
            digest.update(np.packbits(flags).tobytes())
    return {
        "source": source,
        "fingerprint": fingerprint(tracklets),
        "occluded": digest.hexdigest(),
        "made_by": made_by,
    }


def _write_manifest(folder, plan, frames):
    changed = {subset: sum(map(len, tracklets.values())) for subset, tracklets in frames.items()}
    write_json(Path(folder) / MANIFEST, {**plan, "changed": changed, "frames": frames})
    logger.info("%s: %s frames changed.", folder, changed)


def _changes(subset, index, paths, flags):
    relative = _tracklet_folder(Path(), subset, index)
    return {
        str(frame): str(relative / _frame_name(frame, paths[frame]))
        for frame in np.flatnonzero(flags.any(1))
    }


def _tracklet_folder(folder, subset, index):
    return folder / subset / f"{index:05d}"


def _frame_name(number, path):
    return f"{number:05d}_{Path(path).stem}.png"
