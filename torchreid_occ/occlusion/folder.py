"""A folder of cut-outs as occluders."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import natural_order
from torchreid_occ.occlusion.sources import Hidden, Moving, Occluder, move_past
from torchreid_occ.occlusion.sprites import SOLID, Sprite
from torchreid_occ.occwalk.occluders import draw_windows

POOLS = ("train", "test")
NEEDED = 2  # cut-outs of a pool, at least
TALL = 400  # rows of a cut-out that are kept, at most
UPRIGHT = 1.8  # height by breadth of what stands as high as a person
WIDEST = 6.0  # breadth by height of a cut-out, at most
SUFFIXES = (".png", ".webp", ".tif", ".tiff")


class _CutOut(NamedTuple):
    name: str
    sprite: Sprite


class Folder:
    """Pictures of things or people with transparency around them.

    What is upright is about as high as the person it hides; what is broad hides a person from the
    ground up to a part of the height. Cut-outs of the folders ``train`` and ``test`` are for
    training and test tracklets; without such folders every second file is for training.

    Args:
        folder: The folder.
        pools: Which of 'train' and 'test' are needed.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has too few cut-outs, or one cannot be used.
    """

    def __init__(self, folder: StrPath, pools: Sequence[str] = POOLS) -> None:
        self._cutouts: dict[str, list[_CutOut]] = {}
        for pool, paths in list_cutouts(folder).items():
            if pool in pools and len(paths) < NEEDED:
                raise ValueError(
                    f"{folder} has {len(paths)} cut-outs for {pool} tracklets, but needed are "
                    f"{NEEDED} or more ({', '.join(SUFFIXES)} with transparency)."
                )
            self._cutouts[pool] = [_CutOut(name, _read(path)) for name, path in paths.items()]

    def draw(self, rng: np.random.Generator, hidden: Hidden) -> list[Occluder]:
        """Draws cut-outs, one after the other.

        Args:
            rng: Random number generator.
            hidden: Who is to be hidden.
        """
        bounds, cutouts = hidden.bounds, self._cutouts[hidden.pool]
        height = bounds.ground - bounds.top
        occluders = []
        for window in draw_windows(rng, 0, len(bounds.shift), hidden.num_occluded):
            name, sprite = cutouts[int(rng.integers(len(cutouts)))]
            breadth, tall = sprite.image.size
            upright = tall >= UPRIGHT * breadth
            share = rng.uniform(0.95, 1.25) if upright else rng.uniform(0.4, 0.75)
            bottom = bounds.ground + height * rng.uniform(0.02, 0.15)
            moving = Moving(
                name, np.array([[breadth, tall]], float), partial(_only, sprite),
                share * height, bottom,
            )  # fmt: skip
            occluders.append(move_past(rng, moving, bounds, window))
        return occluders


def list_cutouts(folder: StrPath) -> dict[str, dict[str, Path]]:
    """Lists the cut-outs of a folder by name, for training and for test tracklets.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f'There is no folder of cut-outs "{folder}".')
    if all((folder / pool).is_dir() for pool in POOLS):
        return {pool: _files(folder / pool, f"{pool}/") for pool in POOLS}
    files = [*_files(folder, "").items()]
    return {pool: dict(files[number::2]) for number, pool in enumerate(POOLS)}


def _files(folder: Path, prefix: str) -> dict[str, Path]:
    names = [path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    return {f"{prefix}{name}": folder / name for name in natural_order(names)}


def _only(sprite: Sprite, _number: int) -> Sprite:
    return sprite


def _read(path: Path) -> Sprite:
    """Reads a cut-out without the empty space around it."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, EOFError, ...
        raise ValueError(f'Cannot decode image "{path}": {error}.') from error
    opacity = image.getchannel("A")
    box = opacity.point(lambda value: 255 * (value >= SOLID)).getbbox()
    if box is None or opacity.getextrema()[0] == 255:
        what = "nothing in it" if box is None else "no transparency"
        raise ValueError(f"{path} has {what}: a cut-out is a picture with transparency around it.")
    image = image.crop(box)
    if image.width > WIDEST * image.height:
        raise ValueError(
            f"{path} is {image.width} x {image.height} pixels, too wide for a frame of a person: "
            f"expected at most {WIDEST:g} times as wide as high."
        )
    image.thumbnail((WIDEST * TALL, TALL))
    return Sprite(image.convert("RGBa"))
