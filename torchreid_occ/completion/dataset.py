"""A dataset some of whose frames were completed or discarded."""

from collections.abc import Sequence
from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.copies import CopiedDataset, Source
from torchreid_occ.data.ground_truth import GroundTruth
from torchreid_occ.data.truth_by_name import load_ground_truth


class CompletedGroundTruth(GroundTruth):
    """What was hidden before completion; masks of completed frames are not known.

    Args:
        source: Ground truth of the dataset that was completed.
    """

    def __init__(self, source: GroundTruth) -> None:
        self._source, self.clean, self.occluded = source, source.clean, source.occluded

    def hidden_share(self, img_path: str) -> float:
        """Returns how much of the person in a frame of the source is hidden, 0 to 1."""
        return self._source.hidden_share(img_path)

    def query_tracklets(self) -> Sequence[Sequence[str]]:
        """Returns the paths of the source's frames of each query tracklet, in the same order."""
        return self._source.query_tracklets()

    def visible(self) -> None:
        """Returns None."""

    def whole(self) -> None:
        """Returns None."""


@register_dataset("completed")
class Completed(CopiedDataset):
    """A video dataset with occluded thirds of frames completed, or with occluded frames left out.

    Task 'copy' writes such copies (VRSTC). A copy holds the new frames and a manifest, which states
    the source, how the copy was made and all changes; other frames are read from the source, which
    must not have changed.
    """

    dataset_dir = Path("completed")

    def ground_truth(self) -> CompletedGroundTruth | None:
        """Returns the ground truth of what was hidden in the source, or None."""
        source: Source = self.manifest["source"]
        truth = load_ground_truth(
            source["name"], self.source_root, source["split_id"], source["options"]
        )
        return None if truth is None else CompletedGroundTruth(truth)
