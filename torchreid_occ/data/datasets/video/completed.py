"""A dataset of which some frames were completed or discarded."""

import hashlib
import json
from pathlib import Path

from torchreid_occ.data.datasets.base import SUBSETS, TrackletDataset

MANIFEST = "manifest.json"


class Completed(TrackletDataset):
    """A video dataset with occluded regions completed, or with occluded frames left out.

    ``tools/main.py`` writes such copies (VRSTC). Beside the new frames a copy holds a manifest that
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
        manifest = json.loads((self.dataset_dir / MANIFEST).read_text(encoding="utf-8"))
        source = manifest["source"]
        if split_id != source["split_id"]:
            raise ValueError(
                f"{self.dataset_dir} is a copy of split {source['split_id']} of {source['name']}, "
                f"but data.split_id is {split_id}: make one of this split, or set data.split_id."
            )
        tracklets = source_tracklets(source, self._source_root)
        found = fingerprint(tracklets)
        if found != manifest["fingerprint"]:
            raise ValueError(
                f"{self.dataset_dir} was made of {source['name']} as it was then: its files have "
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

    def _frames(self, paths, changes):
        """Paths of a tracklet's frames; a change is the new frame's path, or None to leave it."""
        kept = []
        for number, path in enumerate(paths):
            change = changes.get(str(number), path)
            if change is not None:
                kept.append(path if change is path else str(self.dataset_dir / change))
        return tuple(kept)


def source_tracklets(source, root):
    """Tracklets by subset of what a copy is made of.

    Args:
        source: `{"name", "split_id", "options"}` of a dataset.
        root: Folder that holds the datasets.
    """
    # Imported here, as loading any dataset by name needs all of them, this one included.
    from torchreid_occ.data.tracklets import load_dataset, tracklets_of

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
