"""Ground truth of a rendering."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torchreid_occ.data.ground_truth import GroundTruth, Twin
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.utils.documents import read_json


class OccWalkGroundTruth(GroundTruth):
    """Ground truth of an OccWalk dataset; its files are read when they are first asked for.

    Args:
        folder: Folder of the rendering.
        preset: Name of the preset.
        is_clean: Whether the dataset is the twin without occluders.
        query: Paths of the frames of each query tracklet.
        options: The dataset's options.
    """

    def __init__(
        self,
        folder: Path,
        preset: str,
        is_clean: bool,
        query: Sequence[Sequence[str]],
        options: Mapping[str, Any],
    ) -> None:
        self._folder, self._is_clean, self._query = folder, is_clean, query
        if is_clean:
            self.occluded = Twin(preset, options)
        else:
            self.clean = Twin(f"{preset}.clean", options)

    @cached_property
    def _occlusion(self) -> dict[str, tuple[int, float]]:
        """Label and hidden fraction by file name of the frame."""
        return read_json(self._folder / "ground_truth/occlusion.json")

    def hidden_share(self, img_path: str) -> float:
        """Returns how much of the person in a frame is hidden, 0 to 1."""
        return self._occlusion[Path(img_path).name][1]

    def query_tracklets(self) -> Sequence[Sequence[str]]:
        """Returns the paths of the frames of each query tracklet."""
        return self._query

    def visible(self) -> Supervision:
        """Returns key points and the masks of what is seen of the persons."""
        return self.whole() if self._is_clean else self._masks("foreground")

    def whole(self) -> Supervision:
        """Returns key points and the masks of the whole persons."""
        return self._masks("ground_truth/whole")

    def _masks(self, folder: str) -> Supervision:
        return Supervision(str(self._folder / "keypoints.json"), str(self._folder / folder))
