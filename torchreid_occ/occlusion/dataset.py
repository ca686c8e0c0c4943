"""An occluded copy as a dataset with ground truth."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.copies import CopiedDataset, Source
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.ground_truth import GroundTruth, Twin
from torchreid_occ.data.supervision import Supervision, supervision_of
from torchreid_occ.data.tracklets import tracklets_of
from torchreid_occ.occlusion.bodies import BodyMasks, CopiedSupervision
from torchreid_occ.occlusion.files import OCCLUSION, visible_name
from torchreid_occ.utils.documents import read_json


class OccludedGroundTruth(GroundTruth):
    """Ground truth of an occluded copy; its files are read when they are first asked for.

    Args:
        folder: Folder of the copy.
        source: The dataset that it was made of.
        query: Paths of the frames of each query tracklet.
        visible: Masks of what is seen of the persons.
        whole: Masks of the whole persons.
    """

    def __init__(
        self,
        folder: Path,
        source: Source,
        query: Sequence[Sequence[str]],
        visible: Supervision,
        whole: Supervision,
    ) -> None:
        self.clean = Twin(source["name"], source["options"])
        self._folder, self._query, self._visible, self._whole = folder, query, visible, whole

    @cached_property
    def _frames(self) -> dict[str, tuple[float, list[str]]]:
        """Hidden share, and names of what is in front, by path of the frame."""
        path = self._folder / OCCLUSION
        records = read_json(path)
        try:
            return {
                str(self._folder / subset / f"{int(index):05d}" / frame["file"]): (
                    _checked_share(frame["share"]),
                    [*map(str, frame["occluders"])],
                )
                for subset, found in records.items()
                for index, record in found.items()
                for frame in record["frames"].values()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} does not say what is hidden in the copy's frames: make the copy anew."
            ) from error

    def hidden_share(self, img_path: str) -> float:
        """Returns how much of the person in a frame the copy hides, 0 to 1."""
        return self._frames.get(img_path, (0.0, []))[0]

    def occluders(self, img_path: str) -> Sequence[str]:
        """Returns what is in front of a frame's person: tracklets, things or files by name."""
        return self._frames.get(img_path, (0.0, []))[1]

    def query_tracklets(self) -> Sequence[Sequence[str]]:
        """Returns the paths of the frames of each query tracklet."""
        return self._query

    def visible(self) -> Supervision:
        """Returns key points and the masks of what is seen of the persons, of every frame."""
        return self._visible

    def whole(self) -> Supervision:
        """Returns key points and the masks of the whole persons, of every frame."""
        return self._whole


def _checked_share(share: Any) -> float:
    if not 0 <= float(share) <= 1:  # not a number is neither
        raise ValueError(f"a share is {share}")
    return float(share)


@register_dataset("occluded")
class Occluded(CopiedDataset):
    """A copy of a video dataset with something in front of its people, and its ground truth.

    ``torchreid-occ occlude`` makes such copies. A copy holds the occluded frames and a manifest,
    which states the source, how the copy was made and all changes; other frames are read from the
    source, which must not have changed. The source is the clean twin.

    Args:
        root: Folder that holds the source.
        split_id: Split of the source that the copy was made of.
        path: Folder of the copy (``data.options`` of a configuration); ``occluded`` below root if
            empty.
        masks: Folder of the source's masks, if it is no longer where it was.
        **kwargs: torchreid's.

    Raises:
        FileNotFoundError: If there is no finished copy.
        ValueError: If the source has changed since, or another split is asked for.
    """

    dataset_dir = Path("occluded")
    required = (*CopiedDataset.required, OCCLUSION)

    def __init__(
        self,
        root: StrPath = "",
        split_id: int = 0,
        path: StrPath = "",
        masks: StrPath = "",
        **kwargs: Any,
    ) -> None:
        self._masks = masks
        super().__init__(root, split_id, path, **kwargs)

    def supervision(self) -> CopiedSupervision:
        """Returns the source's key point lines, and masks of what is seen of the person."""
        return CopiedSupervision(self._masks_of_source(), self._originals, self._visible)

    def ground_truth(self) -> OccludedGroundTruth:
        """Returns the ground truth of the occluders."""
        query = [paths for paths, *_ in self.query]
        source: Source = self.manifest["source"]
        known = self._masks_of_source()
        tracklets = [paths for items in tracklets_of(self.source).values() for paths, *_ in items]
        visible, whole = (
            BodyMasks(known, tracklets, self._originals, masks) for masks in (self._visible, {})
        )
        return OccludedGroundTruth(self.dataset_dir, source, query, visible, whole)

    @cached_property
    def _originals(self) -> dict[str, str]:
        """Path of the source's frame by path of the occluded one."""
        source = tracklets_of(self.source)
        pairs = (
            pair
            for subset in SUBSETS
            for own, theirs in zip(getattr(self, subset), source[subset], strict=False)
            for pair in zip(own[0], theirs[0], strict=True)
        )
        return {own: original for own, original in pairs if own != original}

    @cached_property
    def _visible(self) -> dict[str, Path]:
        """Path of the mask of what is seen, by path of the occluded frame."""
        paths = map(Path, self._originals)
        return {str(path): path.parent / visible_name(path.name) for path in paths}

    def _masks_of_source(self) -> Supervision:
        return source_masks(self.source, self._masks or self.manifest["masks"])


def source_masks(source: Any, folder: StrPath) -> Supervision:
    """Returns key points and masks of the people of a dataset.

    Args:
        source: The dataset.
        folder: Where `torchreid-occ annotate` wrote them; empty for the dataset's own.

    Raises:
        FileNotFoundError: If the folder does not have them.
        ValueError: If the dataset has none of its own and no folder is given.
    """
    if folder:
        return Supervision(Path(folder, "keypoints.json"), Path(folder, "foreground"))
    own = supervision_of(source)
    if own is None or "foreground" not in own.fields:
        raise ValueError(
            f"{type(source).__name__} has no masks of its people, by which they are cut out and "
            "what is hidden is measured: make them by `torchreid-occ annotate`, and name the "
            "folder that it writes."
        )
    return own
