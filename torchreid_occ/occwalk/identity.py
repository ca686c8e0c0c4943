"""Identities: body, gait and clothes, with pairs that differ in one garment only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np

from torchreid_occ.occwalk.keys import keyed_rng

T = TypeVar("T")
Colour: TypeAlias = tuple[int, int, int]  # blue, green, red, as in OpenCV

SKINS = ((176, 202, 236), (150, 180, 222), (118, 152, 200), (84, 116, 168), (58, 82, 124))
HAIRS = ((22, 22, 26), (30, 44, 66), (44, 78, 120), (96, 160, 200), (150, 150, 152), (40, 60, 150))
UPPER_COLOURS = (
    (34, 34, 36), (232, 232, 232), (140, 140, 140), (44, 40, 190), (180, 90, 40), (84, 52, 40),
    (70, 130, 50), (60, 200, 225), (50, 130, 230), (150, 60, 120), (190, 150, 220), (210, 190, 120),
    (90, 110, 140), (60, 70, 110),
)  # fmt: skip
LOWER_COLOURS = (
    (30, 30, 32), (120, 78, 48), (150, 120, 90), (70, 66, 64), (120, 150, 180), (60, 80, 110),
    (56, 84, 66), (150, 150, 150), (215, 215, 210), (60, 50, 130), (60, 44, 40),
)  # fmt: skip
SHOES = ((28, 28, 30), (225, 225, 225), (40, 60, 100), (50, 50, 170), (150, 90, 50))
BAGS = ((36, 36, 38), (50, 70, 120), (130, 70, 40), (50, 50, 180), (70, 120, 80), (60, 170, 210))
UPPER_KINDS, UPPER_ODDS = ("tshirt", "shirt", "jacket", "coat"), (0.35, 0.3, 0.2, 0.15)
UPPER_PATTERNS = ("plain", "hoops", "stripes", "checks", "dots", "block", "logo", "band")
UPPER_PATTERN_ODDS = (0.36, 0.13, 0.08, 0.08, 0.06, 0.1, 0.1, 0.09)
LOWER_KINDS, LOWER_ODDS = ("trousers", "shorts", "skirt"), (0.66, 0.18, 0.16)
LOWER_PATTERNS, LOWER_PATTERN_ODDS = (
    ("plain", "stripes", "checks", "block"),
    (0.76, 0.08, 0.08, 0.08),
)
# Least distance of the colours of the garment in which near-twins differ.
TWIN_COLOUR_DISTANCE = 90.0


@dataclass(frozen=True)
class Garment:
    """A piece of clothing: its cut, its colour and a pattern in a second colour."""

    kind: str
    colour: Colour
    pattern: str
    trim: Colour
    pattern_scale: float


@dataclass(frozen=True)
class Body:
    """Proportions in body heights, skin and hair."""

    shoulder: float
    hip: float
    leg: float
    girth: float
    skin: Colour
    hair: Colour
    hair_style: str


@dataclass(frozen=True)
class Gait:
    """Manner of walking: angles in radians, and walk cycles per frame."""

    stride: float
    arm_swing: float
    elbow: float
    lean: float
    cadence: float


@dataclass(frozen=True)
class Identity:
    """Appearance of a person, the same in all tracklets."""

    body: Body
    gait: Gait
    upper: Garment
    lower: Garment
    shoes: Colour
    bag: str
    bag_colour: Colour
    hat: str
    hat_colour: Colour


def make_identity(seed: int, group: str, index: int) -> Identity:
    """Returns the identity of an index within a group of people ("train", "test", ...).

    Of every four people the second is a near-twin of the first, which differs only in the lower
    garment, in every other four in the upper garment: without it the two are the same.

    Args:
        seed: Seed of the rendering.
        group: People of different groups are drawn independently.
        index: Number of the person in the group.
    """
    block, place = divmod(index, 4)
    if place != 1:
        return _draw_identity(keyed_rng(seed, "identity", group, index))
    twin = make_identity(seed, group, index - 1)
    rng = keyed_rng(seed, "twin", group, index)
    if block % 2 == 0:
        return replace(twin, lower=_draw_other(rng, _draw_lower, twin.lower))
    return replace(twin, upper=_draw_other(rng, _draw_upper, twin.upper))


def _draw_other(
    rng: np.random.Generator, draw: Callable[[np.random.Generator], Garment], garment: Garment
) -> Garment:
    """Draws a garment until its colour is far from another garment's."""
    other = draw(rng)
    while _colour_distance(other, garment) < TWIN_COLOUR_DISTANCE:
        other = draw(rng)
    return other


def _draw_identity(rng: np.random.Generator) -> Identity:
    body = Body(
        shoulder=rng.uniform(0.1, 0.125),
        hip=rng.uniform(0.05, 0.065),
        leg=rng.uniform(0.475, 0.515),
        girth=rng.uniform(0.85, 1.3),
        skin=_pick(rng, SKINS),
        hair=_pick(rng, HAIRS),
        hair_style=_pick(rng, ("short", "short", "long", "bun", "bald")),
    )
    gait = Gait(
        stride=rng.uniform(0.38, 0.56),
        arm_swing=rng.uniform(0.3, 0.75),
        elbow=rng.uniform(0.15, 0.6),
        lean=rng.uniform(-0.01, 0.06),
        cadence=rng.uniform(0.085, 0.125),
    )
    return Identity(
        body=body,
        gait=gait,
        upper=_draw_upper(rng),
        lower=_draw_lower(rng),
        shoes=_pick(rng, SHOES),
        bag=_pick(rng, ("none", "none", "none", "backpack", "backpack", "messenger", "handbag")),
        bag_colour=_pick(rng, BAGS),
        hat=_pick(rng, ("none", "none", "none", "none", "cap", "beanie")),
        hat_colour=_pick(rng, BAGS),
    )


def _draw_upper(rng: np.random.Generator) -> Garment:
    return _draw_garment(
        rng, UPPER_COLOURS, UPPER_KINDS, UPPER_ODDS, UPPER_PATTERNS, UPPER_PATTERN_ODDS
    )


def _draw_lower(rng: np.random.Generator) -> Garment:
    return _draw_garment(
        rng, LOWER_COLOURS, LOWER_KINDS, LOWER_ODDS, LOWER_PATTERNS, LOWER_PATTERN_ODDS
    )


def _draw_garment(
    rng: np.random.Generator,
    colours: Sequence[Colour],
    kinds: Sequence[str],
    kind_odds: Sequence[float],
    patterns: Sequence[str],
    pattern_odds: Sequence[float],
) -> Garment:
    colour, trim = (colours[index] for index in rng.choice(len(colours), 2, replace=False))
    return Garment(
        kind=str(rng.choice(kinds, p=kind_odds)),
        colour=_vary(rng, colour),
        pattern=str(rng.choice(patterns, p=pattern_odds)),
        trim=_vary(rng, trim),
        pattern_scale=rng.uniform(0.8, 1.3),
    )


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _vary(rng: np.random.Generator, colour: Colour) -> Colour:
    """Draws a colour near another one, so that a dozen colours suffice for hundreds of people."""
    blue, green, red = np.clip(np.add(colour, rng.integers(-18, 19, 3)), 8, 247).tolist()
    return blue, green, red


def _colour_distance(one: Garment, other: Garment) -> float:
    return float(np.linalg.norm(np.subtract(one.colour, other.colour)))
