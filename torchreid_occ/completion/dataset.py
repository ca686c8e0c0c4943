"""A dataset of which some frames were completed or discarded."""

import hashlib
from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import SUBSETS, TrackletDataset
from torchreid_occ.data.ground_truth import GroundTruth, load_ground_truth
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.utils.documents import read_json

MANIFEST = "manifest.json"


@register_dataset("completed")
class Completed(TrackletDataset):
    """A video dataset with occluded regions completed, or with occluded frames left out.

    ``torchreid-occ train`` writes such copies (VRSTC). Beside the new frames a copy holds a manifest that
    says what it was made of and by what; all other frames are read from the source, which must be
    as it was.

    Args:
        root: Folder that holds the source.
        split_id: Split of the source that the copy was made of.
        path: Folder of the copy (``data.options`` of a configuration).
        **kwargs: torchreid's.

    Raises:
        FileNotFoundError: If there is no finished copy.
        ValueError: If the source has changed since, or another split is asked for.
    """

    required = (MANIFEST,)

    def __init__(self, root="", split_id=0, path="", **kwargs):
        self._source_root = root
        self.dataset_dir = Path(path).expanduser().absolute()
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id):
        """Lists the source's items with the copy's frames in place of theirs."""
        path = self.dataset_dir / MANIFEST
        manifest = _read_manifest(path)
        self._source = source = manifest["source"]
        if split_id != source["split_id"]:
            raise ValueError(
                f"{path}: this is a copy of split {source['split_id']} of {source['name']}, "
                f"but data.split_id is {split_id}: make one of this split, or set data.split_id."
            )
        try:
            tracklets = source_tracklets(source, self._source_root)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path} names a source that cannot be read: {error}") from error
        found = fingerprint(tracklets)
        if found != manifest["fingerprint"]:
            raise ValueError(
                f"{path}: this copy was made of {source['name']} as it was then: its files have "
                f"other names or sizes now ({found[:12]}, then {manifest['fingerprint'][:12]}). "
                "Make the copy anew."
            )
        subsets = []
        for subset in SUBSETS:
            changes = manifest["frames"][subset]
            subsets.append(
                [
                    (self._frames(paths, changes.get(str(index), {})), pid, camid)
                    for index, (paths, pid, camid, _) in enumerate(tracklets[subset])
                ]
            )
        return subsets

    def ground_truth(self) -> GroundTruth | None:
        """Returns the ground truth of the source, whose query tracklets are in the same order."""
        source = self._source
        return load_ground_truth(
            source["name"], self._source_root, source["split_id"], source["options"]
        )

    def _frames(self, paths, changes):
        """Paths of a tracklet's frames; a change is the new frame's path, or None to leave it."""
        kept = []
        for number, path in enumerate(paths):
            change = changes.get(str(number), path)
            if change is not None:
                kept.append(path if change is path else str(self.dataset_dir / change))
        if not kept:
            raise ValueError(f"{self.dataset_dir / MANIFEST} leaves none of the frames {paths}.")
        return tuple(kept)


def _read_manifest(path):
    """What `pipelines.completed_copy` wrote, checked as far as it is read."""
    manifest = read_json(path)
    try:
        source = manifest["source"]
        well_formed = (
            isinstance(source["name"], str)
            and isinstance(source["split_id"], int)
            and isinstance(source["options"], dict)
            and isinstance(manifest["fingerprint"], str)
            and all(
                change is None or (path.parent / change).is_file()
                for subset in SUBSETS
                for changes in manifest["frames"][subset].values()
                for change in changes.values()
            )
        )
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        well_formed = False
    if not well_formed:
        raise ValueError(
            f"{path} is no manifest of a copy, or frames of it are gone: make it anew."
        )
    return manifest


def source_tracklets(source, root):
    """Tracklets by subset of what a copy is made of.

    Args:
        source: `{"name", "split_id", "options"}` of a dataset.
        root: Folder that holds the datasets.
    """
    dataset = load_dataset(
        source["name"], root, source["split_id"], options=source["options"] or None
    )
    return tracklets_of(dataset)


def fingerprint(tracklets):
    """A hash of which frames a dataset has, by name and size of each file.

    Args:
        tracklets: Tracklets by subset.
    """
    digest = hashlib.sha256()
    for subset in SUBSETS:
        for index, (paths, pid, camid, *_) in enumerate(tracklets[subset]):
            for path in map(Path, paths):
                size = path.stat().st_size
                digest.update(f"{subset} {index} {pid} {camid} {path.name} {size}\n".encode())
    return digest.hexdigest()
