"""Occluders as an augmentation of training clips: ``random_occluders`` in ``data.transforms``."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from PIL import Image

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.clip_occluders import OccluderMaker, RawClip
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.occlusion.bodies import PERSON, read_scores, upright_ellipse
from torchreid_occ.occlusion.cutouts import (
    ENOUGH,
    CutOut,
    Donor,
    DonorSearch,
    check_donors,
    cut_out,
    find_donors,
)
from torchreid_occ.occlusion.folder import Folder
from torchreid_occ.occlusion.painting import (
    PaintedFrame,
    bounds_of,
    estimate_shares,
    on_grid,
    paint,
)
from torchreid_occ.occlusion.people import People
from torchreid_occ.occlusion.protocol import LEAST_HIDDEN, MOST_HIDDEN, Protocol
from torchreid_occ.occlusion.sources import Hidden, OccluderSource
from torchreid_occ.occlusion.sprites import Mask, Sprite, mean_colour
from torchreid_occ.occlusion.things import Things
from torchreid_occ.utils.checks import check_share

ATTEMPTS = 10  # after which a clip stays as it is


class RandomOccluders:
    """Puts something in front of the people of some training clips; it moves over the frames.

    From more than a third to three quarters of a clip's frames are occluded, and at most 80 % of
    the person where the foreground is known. Foreground maps lose what is covered; key point lines
    stay.

    Args:
        source: Draws the occluders.
        share: Share of the clips that are occluded.
    """

    def __init__(self, source: OccluderSource, share: float) -> None:
        check_share("share", share)
        self._source, self._share = source, share

    def __call__(self, clip: RawClip, seed: int) -> RawClip:
        """Returns a clip with something in front, or as it is.

        Args:
            clip: The clip.
            seed: Key of the random draws.
        """
        rng = np.random.default_rng(seed)
        if rng.random() >= self._share:
            return clip
        frames = [np.array(frame, np.uint8) for frame in clip.frames]
        bodies = _bodies(clip)
        bounds, light = bounds_of(frames, bodies, rng), mean_colour(frames)
        num_occluded = Protocol().draw_number(len(frames), rng)
        hidden = Hidden(clip.pid, clip.camid, "train", bounds, num_occluded, light)
        grid = on_grid(bodies)
        for _ in range(ATTEMPTS):
            occluders = self._source.draw(rng, hidden)
            if LEAST_HIDDEN <= estimate_shares(grid, occluders).max() <= MOST_HIDDEN:
                return _occluded(clip, [*paint(frames, bodies, occluders, light)])
        return clip


def _bodies(clip: RawClip) -> list[Mask]:
    """Returns the person in each frame, an upright ellipse where the foreground is not known."""
    known = clip.foregrounds or [None] * len(clip.frames)
    bodies = []
    for frame, foreground in zip(clip.frames, known, strict=True):
        grey = upright_ellipse(frame.size) if foreground is None else foreground.resize(frame.size)
        body = np.asarray(grey) >= PERSON
        bodies.append(body if body.any() else np.asarray(upright_ellipse(frame.size)) >= PERSON)
    return bodies


def _occluded(clip: RawClip, painted: Sequence[PaintedFrame]) -> RawClip:
    frames, foregrounds = [*clip.frames], None if clip.foregrounds is None else [*clip.foregrounds]
    for frame in painted:
        frames[frame.number] = Image.fromarray(frame.picture)
        foreground = None if foregrounds is None else foregrounds[frame.number]
        if foregrounds is not None and foreground is not None:
            covered = Image.fromarray(frame.covered.astype(np.uint8) * 255)
            seen = np.array(foreground)
            seen[np.asarray(covered.resize(foreground.size)) >= PERSON] = 0
            foregrounds[frame.number] = Image.fromarray(seen)
    return clip._replace(frames=frames, foregrounds=foregrounds)


def occluder_maker(
    source: str = "people", share: float = 0.5, masks_folder: StrPath = ""
) -> OccluderMaker:
    """Returns what makes `RandomOccluders` of the training tracklets.

    Args:
        source: 'people' of the training set, cut out by its foreground maps, OccWalk's 'things', or
            a folder of cut-outs.
        share: Share of the clips that are occluded.
        masks_folder: Folder that `torchreid-occ annotate` wrote, for the people's scores.
    """
    return partial(_make, source, share, masks_folder)


def _make(
    source: str,
    share: float,
    masks_folder: StrPath,
    tracklets: Sequence[Item],
    supervision: Mapping[int, Supervision],
) -> RandomOccluders:
    if source == "things":
        return RandomOccluders(Things(seed=0), share)
    if source != "people":
        return RandomOccluders(Folder(source, ["train"]), share)
    return RandomOccluders(_training_people(masks_folder, tracklets, supervision), share)


def _training_people(
    masks_folder: StrPath, tracklets: Sequence[Item], supervision: Mapping[int, Supervision]
) -> People:
    """Cuts people out of the training tracklets of all sources; worker processes share them."""
    masks = {dsetid: found for dsetid, found in supervision.items() if "foreground" in found.fields}
    if not masks:
        raise ValueError(
            "random_occluders cuts people out by their foreground maps, but no training dataset "
            "has any: make them by `torchreid-occ annotate` and set data.foreground, or set "
            "data.occluders.source to 'things' or to a folder of cut-outs."
        )
    items: defaultdict[int, list[Item]] = defaultdict(list)
    for item in tracklets:
        items[item[3]].append(item)
    donors: list[Donor] = []
    sprites: dict[CutOut, Sprite] = {}
    frames: Counter[str] = Counter()
    for dsetid, own in masks.items():
        found = find_donors(
            {"train": items[dsetid]}, own, read_scores(masks_folder), seed=0,
            enough=ENOUGH // len(masks),
        )  # fmt: skip
        donors += found.donors
        frames.update(found.frames)
        sprites |= {cutout: cut_out(cutout, own) for d in found.donors for cutout in d.walk}
    check_donors(DonorSearch(donors, frames), "train")
    return People({"train": donors}, sprites.__getitem__)
