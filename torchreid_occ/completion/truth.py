"""The truth about occluded thirds: which share of the person in each is visible."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import rankdata
from torch.utils.data import Dataset

from torchreid_occ._types import Item
from torchreid_occ.completion.thirds import THIRDS, Flags, Values, third_rows
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.utils.progress import progress

PERSON = 128  # lowest grey level of a mask's pixels that show the person
HIDDEN = 0.5  # a third is occluded if more than this share of its person is hidden
LEAST = 8  # pixels of the person below which a third counts as visible


class Masks(Protocol):
    """Foreground masks by frame, such as a `Supervision`."""

    def foreground(self, img_path: str) -> Image.Image | None:
        """Returns the mask of the person in a frame, or None."""


class Agreement(NamedTuple):
    """How scores and flagged thirds agree with the truth, to three digits; None where undefined.

    Attributes:
        precision: Share of the flagged thirds that are occluded.
        recall: Share of the occluded thirds that are flagged.
        area: Area under the ROC curve of the scores: how often an occluded third has a lower score
            than another one, equal scores counting half.
    """

    precision: float | None
    recall: float | None
    area: float | None


def visible_shares(
    tracklets: Sequence[Item], visible: Masks, whole: Masks, workers: int = 2
) -> list[Values]:
    """Computes the share of the person's pixels in each third that is visible.

    A third with fewer than `LEAST` pixels of the person counts as visible.

    Args:
        tracklets: torchreid's tuples.
        visible: Masks of what the frames show of the person.
        whole: Masks of the whole person, hidden parts included.
        workers: Worker processes that read masks.

    Returns:
        A `(T, 3)` array for each tracklet.
    """
    shares = item_loader(_Shares(tracklets, visible, whole), workers)
    return [rows.numpy() for rows in progress(shares, "masks", unit="tracklet")]


def hidden_person(visible: Masks, whole: Masks, path: str) -> npt.NDArray[np.bool_]:
    """Returns which pixels of a frame's person an occluder covers, `(H, W)`.

    Args:
        visible: Masks of what the frames show of the person.
        whole: Masks of the whole person, hidden parts included.
        path: Path of the frame.
    """
    return _person(whole, path) & ~_person(visible, path)


def agreement(
    flagged: Sequence[Flags], scores: Sequence[Values], shares: Sequence[Values]
) -> Agreement:
    """Compares scores and flagged thirds with the truth.

    Args:
        flagged: Whether each third is flagged as occluded, `(T, 3)` for each tracklet.
        scores: The scores of the same tracklets, low where a third is occluded.
        shares: Their visible shares.
    """
    found, occluded = np.concatenate(flagged), np.concatenate(shares) < 1 - HIDDEN
    both = (found & occluded).sum()
    values = [both / of.sum() if of.any() else None for of in (found, occluded)]
    ranks = rankdata(np.concatenate(scores), axis=None).reshape(occluded.shape)
    lower, higher = occluded.sum(), (~occluded).sum()
    if lower and higher:
        above = ranks[occluded].sum() - lower * (lower + 1) / 2
        values.append(1 - above / (lower * higher))
    else:
        values.append(None)
    return Agreement(*(None if value is None else round(float(value), 3) for value in values))


class _Shares(Dataset[npt.NDArray[np.float32]]):
    """Visible shares by tracklet."""

    def __init__(self, tracklets: Sequence[Item], visible: Masks, whole: Masks) -> None:
        self.tracklets, self.visible, self.whole = tracklets, visible, whole

    def __len__(self) -> int:
        return len(self.tracklets)

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        return np.stack([self._shares(path) for path in self.tracklets[index][0]])

    def _shares(self, path: str) -> npt.NDArray[np.float32]:
        seen, whole = (_person(masks, path) for masks in (self.visible, self.whole))
        shares = np.ones(len(THIRDS), np.float32)
        for third, rows in enumerate(third_rows(len(whole))):
            if whole[rows].sum() >= LEAST:
                shares[third] = min(1.0, seen[rows].sum() / whole[rows].sum())
        return shares


def _person(masks: Masks, path: str) -> npt.NDArray[np.bool_]:
    mask = masks.foreground(path)
    if mask is None:
        raise FileNotFoundError(f"There is no foreground mask of {path}.")
    return np.asarray(np.asarray(mask) >= PERSON)
