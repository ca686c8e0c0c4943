"""A folder of numbered frames in place of a video, as MOTChallenge's sequences are."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.data.datasets.base import IMAGE_SUFFIXES, list_frames
from torchreid_occ.data.images import read_image
from torchreid_occ.utils.logs import logger

FRAMES, INFO = "img1", "seqinfo.ini"  # MOTChallenge's folder of frames, and the file beside it


class ImageSequence(NamedTuple):
    """Frames of a folder.

    Attributes:
        name: Name of the sequence: the folder's, or of the folder above ``img1``.
        frames: The images; the first is frame 1.
        info: The file ``seqinfo.ini``, if there is one.
        frame_rate: Frames per second by that file.
        announced: Number of frames by that file.
    """

    name: str
    frames: tuple[str, ...]
    info: Path | None
    frame_rate: float | None
    announced: int | None


def find_sequence(folder: Path) -> ImageSequence:
    """Finds the frames of a sequence in a folder, in its ``img1``, or where ``seqinfo.ini`` says.

    Args:
        folder: The sequence's folder, or that of its frames.

    Raises:
        ValueError: If there are no images, their numbers have gaps, or ``seqinfo.ini`` is damaged.
    """
    folder = folder.absolute()
    info, place, rate, length = None, folder, None, None
    for own in (folder, folder.parent):
        if (own / INFO).is_file():
            info = own / INFO
            below, rate, length = _read_info(info)
            place = folder if own != folder else own / below
            break
    frames = list_frames(place) if place.is_dir() else ()
    if not frames and (folder / FRAMES).is_dir():
        place = folder / FRAMES
        frames = list_frames(place)
    if not frames:
        raise ValueError(
            f"{folder} is a folder without frames: expected images ({', '.join(IMAGE_SUFFIXES)}) "
            f"in it or in its folder {FRAMES}, or the path of a video."
        )
    _check_numbers(place, frames)
    of_parent = place.name == FRAMES or place != folder
    return ImageSequence((place.parent if of_parent else place).name, frames, info, rate, length)


def read_sequence(
    sequence: ImageSequence, first: int = 1
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yields the frames with their numbers, which count from 1.

    Args:
        sequence: The frames.
        first: Number of the first frame to yield.

    Shape:
        A frame: `(H, W, 3)`, in OpenCV's channel order blue, green, red.

    Raises:
        ValueError: If an image is damaged, or another size than the one before it.
    """
    size = None
    for number, path in enumerate(sequence.frames[first - 1 :], start=first):
        image = read_image(path)
        if size is not None and image.size != size:
            raise ValueError(
                f"{path} has {image.width}x{image.height} pixels, but the frame before it "
                f"{size[0]}x{size[1]}: they are no frames of one camera."
            )
        size = image.size
        yield number, np.ascontiguousarray(np.asarray(image, np.uint8)[..., ::-1])


def _read_info(path: Path) -> tuple[str, float, int | None]:
    """Returns the folder of frames, their rate and their number by MOTChallenge's file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8-sig")
        section = parser["Sequence"]
        length = section.getint("seqLength")
        return section.get("imDir", FRAMES), float(section["frameRate"]), length
    except (configparser.Error, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not MOTChallenge's file about a sequence, with [Sequence] and frameRate: "
            f"{error!r}."
        ) from error


def _check_numbers(folder: Path, frames: tuple[str, ...]) -> None:
    """Checks that the numbers at the ends of the names count up by one, as boxes refer to them."""
    names = [Path(path).name for path in frames]
    found = [re.search(r"\d+$", Path(name).stem) for name in names]
    numbers = [int(match[0]) if match else None for match in found]
    if numbers[0] is None and set(numbers) == {None}:
        return
    for place in range(1, len(numbers)):
        number, before = numbers[place], numbers[place - 1]
        if number is None or before is None or number != before + 1:
            raise ValueError(
                f"{names[place]} follows {names[place - 1]} in {folder}: a frame is missing, or "
                "the names are not numbered in steps of one, and it is not clear which frame a "
                "box belongs to."
            )
    if numbers[0] != 1:
        logger.warning("%s begins with %s, which is frame 1.", folder, names[0])
