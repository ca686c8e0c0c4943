"""A dataset some of whose frames were completed or discarded."""

from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.copies import CopiedDataset, Source
from torchreid_occ.data.ground_truth import GroundTruth
from torchreid_occ.data.truth_by_name import load_ground_truth


@register_dataset("completed")
class Completed(CopiedDataset):
    """A video dataset with occluded thirds of frames completed, or with occluded frames left out.

    Task 'copy' writes such copies (VRSTC). A copy holds the new frames and a manifest, which states
    the source, how the copy was made and all changes; other frames are read from the source, which
    must not have changed.
    """

    dataset_dir = Path("completed")

    def ground_truth(self) -> GroundTruth | None:
        """Returns the ground truth of the source, whose query tracklets are in the same order."""
        source: Source = self.manifest["source"]
        return load_ground_truth(
            source["name"], self.source_root, source["split_id"], source["options"]
        )
