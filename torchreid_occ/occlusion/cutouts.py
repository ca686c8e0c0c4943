"""Which people of a dataset can be cut out and walk in front of others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ._types import Item
from torchreid_occ.data.images import read_image
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.occlusion.bodies import PERSON
from torchreid_occ.occlusion.draws import keyed_rng
from torchreid_occ.occlusion.sprites import Colour, Mask, Sprite, mean_colour, soft_sprite
from torchreid_occ.utils.progress import progress

# (left, top, right, bottom) of a person in a frame, in pixels.
Box: TypeAlias = tuple[int, int, int, int]

TALLEST_GAP = 0.3  # a person who fills less than the rest of the frame's height is not whole
AREA = 0.12, 0.62  # share of the frame that is the person
SLENDER = 0.55  # breadth by height of a person, at most
BORDER = 0.04  # share of a border that the person may touch, of its last two rows or columns
STRAY = 0.03  # share of the mask that is not in its largest part, at most
HOLES = 0.01  # share of the mask that is a hole, at most
# Rows of shoulders, hips and knees as shares of a standing person's height.
STANDING = (0.12, 0.25), (0.40, 0.60), (0.63, 0.82)
HEAD = 0.62  # breadth of chin and neck by that of the body, at most
EDGE = 3  # rows at the frame's lower border; a mask that reaches them may be cut off there
DARK = 70  # mean level of a frame below which heads and hair are lost in the background
SURE = 0.95  # lowest score of the person in `torchreid-occ annotate`, where it is known
LONGEST_RUN = 8  # frames of a walk that is cut out
CACHED = 1000  # cut-outs that stay in memory
PER_PERSON = 4  # tracklets that are cut out of a person
ENOUGH, NEEDED = 500, 10  # tracklets that are cut out; fewer people than NEEDED hide too uniformly


class CutOut(NamedTuple):
    """A person in a frame who can be cut out.

    Attributes:
        path: The frame.
        box: The person in it.
        footless: Whether the frame's lower border cuts the person off.
    """

    path: str
    box: Box
    footless: bool


@dataclass(frozen=True)
class Donor:
    """A person who walks in front of others.

    Attributes:
        name: Subset and number of the tracklet, such as ``gallery/00012``.
        pid: Identity.
        camid: Camera.
        walk: The person in consecutive frames.
        light: Mean colour of the first of these.
    """

    name: str
    pid: int
    camid: int
    walk: tuple[CutOut, ...]
    light: Colour


def person_mask(masks: Supervision, path: str) -> Mask | None:
    """Returns which pixels of a frame show its person, ``(H, W)``; None if that is not known.

    Args:
        masks: Foreground maps.
        path: The frame.
    """
    grey = masks.foreground(path)
    return None if grey is None else np.asarray(np.asarray(grey) >= PERSON)


def whole_person(
    mask: Mask | None, lines: npt.NDArray[np.floating] | None = None
) -> tuple[Box | None, str]:
    """Checks that a mask is that of a whole person, who can be cut out.

    Args:
        mask: The person's pixels, ``(H, W)``.
        lines: Rows of shoulders, hips and knees as shares of the frame's height, by which heads and
            feet are found to be there; None if masks come without.

    Returns:
        The person's box and an empty text, or None and why not.
    """
    if mask is None or not mask.any():
        return None, "no mask"
    solid = mask.astype(np.uint8)
    height, width = solid.shape
    share = int(solid.sum()) / solid.size
    left, top, breadth, tall = cv2.boundingRect(solid)
    box = left, top, left + breadth, top + tall
    if not AREA[0] <= share <= AREA[1]:
        return None, "too small or too large"
    if tall < (1 - TALLEST_GAP) * height or breadth > SLENDER * tall:
        return None, "not as tall and slender as a person"
    sides = max(int(solid[:, :2].max(1).sum()), int(solid[:, -2:].max(1).sum()))
    if sides > BORDER * height or int(solid[:2].max(0).sum()) > BORDER * width:
        return None, "cut off by the frame's border"
    stands = lines is None or _stands(lines[:3], top / height, (top + tall) / height)
    if not stands or not _has_head(mask[top : top + tall]):
        return None, "without head or feet"
    _, _, parts, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    if int(parts[1:, cv2.CC_STAT_AREA].max()) < (1 - STRAY) * int(solid.sum()):
        return None, "in several parts"
    if int(fill_holes(mask).sum()) - int(solid.sum()) > HOLES * int(solid.sum()):
        return None, "with holes"
    return box, ""


def _stands(lines: npt.NDArray[np.floating], top: float, bottom: float) -> bool:
    """Whether shoulders, hips and knees are where those of a standing person are."""
    rows = ((lines - top) / (bottom - top)).tolist()
    return all(low <= row <= high for row, (low, high) in zip(rows, STANDING, strict=True))


def _has_head(person: Mask) -> bool:
    """Whether a person is slimmer at the height of chin and neck than at that of the chest."""
    breadths = person.sum(1)
    head, body = (
        breadths[len(person) * first // 100 : max(1, len(person) * last // 100)]
        for first, last in ((8, 14), (15, 45))
    )
    return bool(head.mean() <= HEAD * body.max())


def fill_holes(mask: Mask) -> Mask:
    """Returns a mask without its holes.

    Args:
        mask: Any mask, ``(H, W)``.
    """
    outside = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels != labels[0, 0])[1:-1, 1:-1]


def largest_part(mask: Mask) -> Mask:
    """Returns the largest connected part of a mask.

    Args:
        mask: A mask that is not empty, ``(H, W)``.
    """
    _, labels, parts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels == 1 + int(parts[1:, cv2.CC_STAT_AREA].argmax()))


def cut_out(cutout: CutOut, masks: Supervision) -> Sprite:
    """Cuts a person out of a frame.

    Args:
        cutout: Where the person is.
        masks: Foreground maps.
    """
    left, top, right, bottom = cutout.box
    frame = np.asarray(read_image(cutout.path), np.uint8)
    mask = person_mask(masks, cutout.path)
    assert mask is not None, "a cut-out has a mask"
    mask = fill_holes(largest_part(mask))
    place = slice(top, bottom), slice(left, right)
    return soft_sprite(frame[place], mask[place], mean_colour([frame]))


class CutOuts:
    """Cuts people out of frames; some stay in memory.

    Args:
        masks: Foreground maps.
    """

    def __init__(self, masks: Supervision) -> None:
        self._masks, self._sprites = masks, dict[CutOut, Sprite]()

    def __call__(self, cutout: CutOut) -> Sprite:
        """Returns a person.

        Args:
            cutout: Where the person is.
        """
        if cutout not in self._sprites:
            if len(self._sprites) >= CACHED:
                self._sprites.clear()
            self._sprites[cutout] = cut_out(cutout, self._masks)
        return self._sprites[cutout]


class DonorSearch(NamedTuple):
    """Donors that were found, and why other frames were not taken.

    Attributes:
        donors: The donors.
        frames: Number of frames that were looked at, by what was wrong; empty for nothing.
    """

    donors: list[Donor]
    frames: Mapping[str, int]


def find_donors(
    tracklets: Mapping[str, Sequence[Item]],
    masks: Supervision,
    scores: Mapping[str, float | None],
    seed: int,
    enough: int = ENOUGH,
) -> DonorSearch:
    """Looks for people who can be cut out, in a random order of tracklets, until there are enough.

    Args:
        tracklets: Tracklets by subset.
        masks: Foreground maps of their frames.
        scores: How sure it is that a frame shows its person, by the frame's name; a frame without
            an entry is not judged by it.
        seed: Seed of the copy.
        enough: Number of donors, one from each tracklet.
    """
    listed = [
        (f"{subset}/{index:05d}", paths, pid, camid)
        for subset, items in tracklets.items()
        for index, (paths, pid, camid, _) in enumerate(items)
    ]
    order = keyed_rng(seed, *map(ord, "".join(tracklets))).permutation(len(listed))
    donors: list[Donor] = []
    frames: Counter[str] = Counter()
    taken: Counter[int] = Counter()
    seen: set[tuple[str, ...]] = set()  # of tracklets, as queries may be in the gallery, too
    for number in progress(order.tolist(), "looking for cut-outs", unit="tracklet"):
        name, paths, pid, camid = listed[number]
        if len(donors) == enough:
            break
        if taken[pid] == PER_PERSON or tuple(paths) in seen:
            continue
        seen.add(tuple(paths))
        walk = _longest_walk(paths, masks, scores, frames)
        if walk:
            taken[pid] += 1
            donors.append(Donor(name, pid, camid, walk, _light(walk[0].path)))
    return DonorSearch(donors, frames)


def _longest_walk(
    paths: Sequence[str],
    masks: Supervision,
    scores: Mapping[str, float | None],
    frames: Counter[str],
) -> tuple[CutOut, ...]:
    """Returns the person in the longest run of frames that can be cut out; counts all frames."""
    runs: list[list[CutOut]] = [[]]
    for path in paths:
        cutout, fault = _judge(path, masks, scores)
        frames[fault] += 1
        if cutout is None:
            runs.append([])
        elif len(runs[-1]) < LONGEST_RUN:
            runs[-1].append(cutout)
    longest = max(runs, key=len)
    return tuple(longest)


def _judge(
    path: str, masks: Supervision, scores: Mapping[str, float | None]
) -> tuple[CutOut | None, str]:
    name = masks.name_of(path)
    score = scores.get(name, 1.0)
    if score is None or score < SURE:
        return None, "no sure person"
    lines = masks.keypoints(path) if "keypoints" in masks.fields else None
    mask = person_mask(masks, path)
    box, fault = whole_person(mask, lines)
    if box is None or mask is None:
        return None, fault
    if sum(_light(path)) < 3 * DARK:
        return None, "in the dark"
    return CutOut(path, box, box[3] >= len(mask) - EDGE), ""


def _light(path: str) -> Colour:
    """Returns the mean colour of a frame."""
    return mean_colour([np.asarray(read_image(path), np.uint8)])


def check_donors(found: DonorSearch, purpose: str) -> None:
    """Checks that there are people enough to hide others.

    Args:
        found: What `find_donors` returned.
        purpose: Which tracklets they are for, for the error.

    Raises:
        ValueError: If there are too few people; says how many frames had which fault.
    """
    people = len({donor.pid for donor in found.donors})
    cameras = len({donor.camid for donor in found.donors})
    if people >= NEEDED and cameras > 1:
        return
    faults = ", ".join(
        f"{count:,} {fault}" for fault, count in sorted(found.frames.items()) if fault
    )
    raise ValueError(
        f"Too few people can be cut out to hide those of the {purpose} set: {people} people of "
        f"{cameras} cameras, but needed are {NEEDED} people of 2 cameras. Of "
        f"{sum(found.frames.values()):,} frames {found.frames.get('', 0):,} can be used; the "
        f"others' masks are: {faults or 'none'}. Take rendered things or a folder of cut-outs as "
        "occluders, or better masks."
    )
