"""A person as flat shapes: tapered capsules for limbs, profiles for torso, skirt and bag."""

from enum import IntEnum, auto
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from torchreid_occ.occwalk.arrays import Floats, Ints

Shade = TypeVar("Shade", int, Ints)

ARC = np.linspace(-np.pi / 2, np.pi / 2, 7)


class Surface(IntEnum):
    """Surfaces of a body, numbered; a trim follows the surface it decorates."""

    SKIN = 0
    HAIR = auto()
    UPPER = auto()
    UPPER_TRIM = auto()
    LOWER = auto()
    LOWER_TRIM = auto()
    SHOES = auto()
    BAG = auto()
    HAT = auto()


SHADES = 3  # dark, middle, light


class Shape(NamedTuple):
    """One polygon moving through a tracklet.

    Attributes:
        order: Order of painting, the smallest first. Shape ``(T,)``.
        label: Label of its pixels, from :func:`label_of`. Shape ``(T,)``.
        polygon: Its outline in body heights. Shape ``(T, points, 2)``.
    """

    order: Floats
    label: Ints
    polygon: Floats


def label_of(surface: Surface, shade: Shade) -> Shade:
    """Returns the label of a surface in a shade; 0 is the background."""
    return 1 + SHADES * surface + shade


def capsule(start: Floats, end: Floats, first: float, last: float) -> Floats:
    """Computes the outlines of a limb that tapers from one joint to the next.

    Args:
        start: One end.
        end: The other end.
        first: Radius at the start.
        last: Radius at the end.

    Shape:
        start, end ``(T, 2)``; returns ``(T, 14, 2)``.
    """
    along = end - start
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None]
    near, far = angle + np.pi + ARC, angle + ARC
    return np.concatenate(
        [
            start[:, None] + first * np.stack([np.cos(near), np.sin(near)], axis=-1),
            end[:, None] + last * np.stack([np.cos(far), np.sin(far)], axis=-1),
        ],
        axis=1,
    )


def profile(spine: Floats, half_widths: Floats) -> Floats:
    """Computes the outlines of an upright solid given by its half width at points of its spine.

    Args:
        spine: Points from top to bottom.
        half_widths: Half width at each of them.

    Shape:
        spine ``(T, N, 2)``, half_widths ``(T, N)``; returns ``(T, 2 * N, 2)``.
    """
    offset = np.stack([half_widths, np.zeros_like(half_widths)], axis=-1)
    return np.concatenate([spine - offset, (spine + offset)[:, ::-1]], axis=1)


def shaded(
    order: npt.ArrayLike,
    surface: Surface,
    polygon: Floats,
    light: float,
    far: npt.ArrayLike = False,
) -> list[Shape]:
    """Makes a shape, and a lighter part of it on the side of the light.

    Args:
        order: Order of painting; a number or one per frame.
        surface: Its surface.
        polygon: Its outline.
        light: -1 for light from the left, 1 from the right.
        far: Whether it lies in the shade of the body; a flag or one per frame.

    Shape:
        polygon ``(T, N, 2)``.
    """
    length = len(polygon)
    order, far = np.broadcast_to(order, length), np.broadcast_to(far, length)
    centre = polygon.mean(axis=1, keepdims=True)
    reach = np.abs(polygon - centre).max(axis=1, keepdims=True)
    inner = centre + [0.6, 0.94] * (polygon - centre)
    inner[..., 0] += 0.28 * light * np.minimum(reach[..., 0], 0.12)
    return [
        Shape(order, label_of(surface, np.where(far, 0, 1)), polygon),
        Shape(order + 1e-3, label_of(surface, np.where(far, 1, 2)), inner),
    ]
