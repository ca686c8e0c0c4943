"""OccWalk's truth about regions: how much of the person in each is to be seen."""

import numpy as np
from torch.utils.data import Dataset

from torchreid_occ.completion.thirds import REGIONS, region_rows
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.utils.progress import progress

PERSON = 128  # grey level of a mask from which on it shows the person
HIDDEN = 0.5  # a region counts as occluded if more of its person than this is hidden
LEAST = 8  # pixels of the person that a region must have for anything of it to be hidden


def visible_shares(tracklets, visible, whole, workers=2):
    """The share of the person's pixels in each region that nothing hides.

    A region with next to nothing of the person counts as visible.

    Args:
        tracklets: torchreid tuples of an OccWalk set.
        visible: Its `Supervision`.
        whole: The `Supervision` of the same set without occluders.
        workers: Processes that read masks.

    Returns:
        A `(T, 3)` array for each tracklet.
    """
    masks = _Masks(tracklets, visible, whole)
    loader = item_loader(masks, workers)
    return [shares.numpy() for shares in progress(loader, "masks", unit="tracklet")]


def hidden_person(visible, whole, path):
    """The pixels of a frame's person that an occluder covers, `(H, W)` of bool.

    Args:
        visible: An OccWalk set's `Supervision`.
        whole: The `Supervision` of the same set without occluders.
        path: The frame's.
    """
    return _person(whole, path) & ~_person(visible, path)


def precision_and_recall(flagged, shares):
    """How well flagged regions agree with the truth.

    Args:
        flagged: `(T, 3)` arrays of bool.
        shares: What `visible_shares` gives of the same tracklets.

    Returns:
        Share of flagged regions that are occluded, and of occluded regions that are flagged, to
        three digits; None where there are none.
    """
    flagged, occluded = np.concatenate(flagged), np.concatenate(shares) < 1 - HIDDEN
    both = (flagged & occluded).sum()
    return tuple(
        round(float(both / of.sum()), 3) if of.any() else None for of in (flagged, occluded)
    )


class _Masks(Dataset):
    """Visible shares, tracklet by tracklet."""

    def __init__(self, tracklets, visible, whole):
        self.tracklets, self.visible, self.whole = tracklets, visible, whole

    def __len__(self):
        return len(self.tracklets)

    def __getitem__(self, index):
        return np.stack([self._shares(path) for path in self.tracklets[index][0]])

    def _shares(self, path):
        seen, whole = (_person(masks, path) for masks in (self.visible, self.whole))
        shares = np.ones(len(REGIONS), np.float32)
        for region, rows in enumerate(region_rows(len(whole))):
            if whole[rows].sum() >= LEAST:
                shares[region] = min(1.0, seen[rows].sum() / whole[rows].sum())
        return shares


def _person(masks, path):
    return np.asarray(masks.foreground(path)) >= PERSON
