"""A person as flat shapes: tapered capsules for limbs, profiles for torso, skirt and bag."""

from enum import IntEnum, auto
from typing import NamedTuple

import numpy as np

ARC = np.linspace(-np.pi / 2, np.pi / 2, 7)


class Surface(IntEnum):
    """What a label of a body stands for; a trim follows the surface it decorates."""

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
        order: When it is painted, the smallest first. Shape ``(T,)``.
        label: What it is painted with, from :func:`label_of`. Shape ``(T,)``.
        polygon: Its outline in body heights. Shape ``(T, points, 2)``.
    """

    order: np.ndarray
    label: np.ndarray
    polygon: np.ndarray


def label_of(surface: Surface, shade: int | np.ndarray) -> int | np.ndarray:
    """The label of a surface in a shade; 0 is left for what is not the person."""
    return 1 + SHADES * surface + shade


def capsule(start: np.ndarray, end: np.ndarray, first: float, last: float) -> np.ndarray:
    """Outlines of a limb that tapers from one joint to the next.

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


def profile(spine: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
    """Outlines of an upright solid given by its half width at points of its spine.

    Args:
        spine: Points from top to bottom.
        half_widths: Half width at each of them.

    Shape:
        spine ``(T, N, 2)``, half_widths ``(T, N)``; returns ``(T, 2 * N, 2)``.
    """
    offset = np.stack([half_widths, np.zeros_like(half_widths)], axis=-1)
    return np.concatenate([spine - offset, (spine + offset)[:, ::-1]], axis=1)


def shaded(order, surface: Surface, polygon: np.ndarray, light: float, far=False) -> list[Shape]:
    """A shape, and a lighter part of it on the side of the light.

    Args:
        order: When it is painted; a number or one per frame.
        surface: What it is.
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
