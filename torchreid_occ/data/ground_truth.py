"""Ground truth of occluders, which a dataset may offer, as an interface."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from torchreid_occ.data.supervision import Supervision


@dataclass(frozen=True)
class Twin:
    """A dataset of the same tracklets.

    Attributes:
        name: Name of the dataset.
        options: Further arguments of its constructor.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


class GroundTruth(ABC):
    """Ground truth of a dataset's occluders.

    An occluded dataset and its twin without occluders have the same tracklets, hidden shares and
    labels; shares and labels describe the occluded frames.

    Attributes:
        clean: The twin without occluders; None if there is none or if this is it.
        occluded: The occluded twin; None unless this is the clean one.
    """

    clean: Twin | None = None
    occluded: Twin | None = None

    @abstractmethod
    def hidden_share(self, img_path: str) -> float:
        """Returns how much of the person in a frame is hidden, 0 to 1; 1 less this is visible."""

    @abstractmethod
    def query_tracklets(self) -> Sequence[Sequence[str]]:
        """Returns the paths of the frames of each query tracklet."""

    @abstractmethod
    def visible(self) -> Supervision | None:
        """Returns key points and masks of what is seen of the persons; None if not known.

        They are known of every frame, while a dataset's
        :func:`~torchreid_occ.data.supervision.supervision_of` may leave frames out.
        """

    @abstractmethod
    def whole(self) -> Supervision | None:
        """Returns the masks of the whole persons, hidden parts included; None if not known."""

    def query_labels(self) -> npt.NDArray[np.int64]:
        """Returns the label of each query tracklet for the mean hidden share of its frames.

        Reference: RFCnet, section 5.2, note 3. Shape: ``(Q,)``, each 0 to 10.
        """
        shares = ([self.hidden_share(path) for path in paths] for paths in self.query_tracklets())
        return occlusion_labels(np.array([np.array(tracklet).mean() for tracklet in shares]))


@runtime_checkable
class HasGroundTruth(Protocol):
    """A dataset that may have ground truth."""

    def ground_truth(self) -> GroundTruth | None:
        """Returns the ground truth, or None."""


def ground_truth_of(dataset: object) -> GroundTruth | None:
    """Returns the ground truth of a dataset, or None.

    Args:
        dataset: A dataset of ours or of torchreid's.
    """
    return dataset.ground_truth() if isinstance(dataset, HasGroundTruth) else None


def occlusion_labels(fractions: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Returns the paper's labels of hidden fractions: 0 for none, 1 up to a tenth, ... 10.

    Reference: RFCnet, section 5.2, note 3.

    Args:
        fractions: How much of a person is hidden, 0 to 1.
    """
    return np.ceil(np.round(fractions * 10, 6)).astype(np.int64)
