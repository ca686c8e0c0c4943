"""Cuts boxes out of a video while it is read, and gives the crops to tracklets afterwards."""

import json
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.footage.boxes import Boxes
from torchreid_occ.footage.detecting import KnownBoxes
from torchreid_occ.footage.linking import lowest_score
from torchreid_occ.footage.reading import Frame, Reading
from torchreid_occ.footage.tracks import in_frame
from torchreid_occ.footage.video import Video, chosen_frames
from torchreid_occ.utils.files import naming, write_text
from torchreid_occ.utils.threads import ahead, map_in_threads, usable_cores

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
_QUALITY_OF_FRAMES = [cv2.IMWRITE_WEBP_QUALITY, 80]
_WIDEST = 960  # pixels of a whole frame, which is to be looked at only
_FRAMES_AHEAD = 3  # decoded before they are needed
_MOST_THREADS = 8  # that write; each keeps two frames at most
_LOG = "cut.txt"  # the options of the crops in a folder, then the frames that are cut
_FRAMES_IN_FOLDER = 1000


class Cutting(NamedTuple):
    """Which boxes are cut out, and how.

    Attributes:
        min_score: Lowest score of a detection that starts a track.
        min_height: Smallest height of a box in pixels.
        margin: Margin around a box, as a share of its width and height; cut off at the border of
            the frame.
    """

    min_score: float
    min_height: float
    margin: float


class CropStore:
    """Crops of all boxes that may be of a track, in a folder, as JPEG files.

    What an interrupted run with the same options cut is kept.

    Args:
        folder: The folder; created if missing, emptied if its crops have other options.
        cutting: The options.
    """

    def __init__(self, folder: Path, cutting: Cutting) -> None:
        self._folder, self._cutting = folder, cutting
        options = json.dumps([float(option) for option in cutting])
        log = folder / _LOG
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
        if lines[:1] != [f"{options}\n"]:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            lines = [f"{options}\n"]
            write_text(log, lines[0])
        frames = [int(line) for line in lines[1:] if line.endswith("\n")]
        self._last = frames[-1] if frames else 0  # frame that was cut

    def cut(self, reading: Reading, boxes: KnownBoxes) -> None:
        """Reads a video once, finds its boxes, and cuts out those that may be of a track.

        Frames are decoded in one thread, crops written in others; boxes are found in this one.

        Args:
            reading: The video.
            boxes: Gives the boxes of each frame.
        """

        def wanted(number: int) -> bool:
            return number >= boxes.first or (
                number > self._last and len(boxes.in_frame(number)) > 0
            )

        workers = min(usable_cores(), _MOST_THREADS)
        with (
            closing(ahead(reading.frames(wanted), _FRAMES_AHEAD)) as frames,
            closing(self._crops(boxes.find(frames), reading)) as crops,
            (self._folder / _LOG).open("a", encoding="utf-8") as log,
        ):
            for number in map_in_threads(self._write, crops, workers):
                log.write(f"{number}\n")
                log.flush()

    def give(self, tracks: Boxes, folders: Mapping[int, Path], size: tuple[int, int]) -> None:
        """Moves the crop of each box of the tracks into its track's folder.

        Args:
            tracks: Boxes inside the frames.
            folders: Folder of each track's images, which are named by the track's parent folder and
                the frame's number.
            size: Width and height of the frames.
        """
        (self._folder / _LOG).unlink()  # from here on, an interrupted run cuts them again
        for folder in folders.values():
            folder.mkdir(parents=True)
        given: dict[str, Path] = {}
        frame = 0
        for number, track, rectangle in zip(
            tracks.frame.tolist(),
            tracks.track.tolist(),
            _rectangles(tracks.corners, self._cutting.margin, size),
            strict=True,
        ):
            if number != frame:
                frame, given = number, {}
            folder = folders[track]
            file = folder / f"{folder.parent.name}_{number:06d}.jpg"
            crop = self._place(number, rectangle)
            if crop in given:  # of two tracks with the same box
                shutil.copyfile(given[crop], file)
            else:
                Path(crop).rename(file)
                given[crop] = file

    def _crops(
        self, frames: Iterator[tuple[int, Frame | None, Boxes]], reading: Reading
    ) -> Generator[tuple[int, Frame, list[list[int]]], None, None]:
        """Yields the frames from which boxes are to be cut, with the corners of their crops."""
        place = -1
        for number, pixels, found in frames:
            if number <= self._last or pixels is None or not len(found):
                continue
            corners, inside, high = in_frame(found.corners, reading.size, self._cutting.min_height)
            strong = found.score >= lowest_score(self._cutting.min_score)
            kept = inside & high & (strong | found.linked)
            if not kept.any():
                continue
            if number // _FRAMES_IN_FOLDER != place:
                place = number // _FRAMES_IN_FOLDER
                (self._folder / f"{place}").mkdir(exist_ok=True)
            margin = self._cutting.margin
            yield number, pixels, _rectangles(corners[kept], margin, reading.size)

    def _write(self, crops: tuple[int, Frame, list[list[int]]]) -> int:
        number, pixels, rectangles = crops
        for rectangle in rectangles:
            left, top, right, bottom = rectangle
            crop = pixels[top:bottom, left:right]
            _write_file(self._place(number, rectangle), _encoded(".jpg", crop, _QUALITY))
        return number

    def _place(self, number: int, rectangle: Iterable[int]) -> str:
        """Returns the file of a crop, which the frame and the crop's corners determine."""
        corners = "_".join(map(str, rectangle))
        return f"{self._folder}/{number // _FRAMES_IN_FOLDER}/{number}_{corners}.jpg"


def write_moments(video: Video, moments: Mapping[Path, int]) -> None:
    """Writes whole frames of a video as WebP files, at most 960 pixels wide.

    Args:
        video: The video.
        moments: Numbers of the frames by the files.
    """
    files: dict[int, list[Path]] = {}
    for file, number in moments.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        files.setdefault(number, []).append(file)

    def write(one: tuple[int, Frame]) -> None:
        number, frame = one
        scale = min(1.0, _WIDEST / frame.shape[1])
        smaller = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        content = _encoded(".webp", smaller, _QUALITY_OF_FRAMES)
        for file in files[number]:
            _write_file(file, content)

    workers = min(usable_cores(), _MOST_THREADS)
    with closing(chosen_frames(video, files)) as frames:
        for _ in map_in_threads(write, frames, workers):
            pass


def _encoded(suffix: str, pixels: npt.NDArray[Any], options: list[int]) -> bytes:
    encoded, content = cv2.imencode(suffix, pixels, options)
    assert encoded  # JPEG and WebP take any image of such a size that is not empty
    return content.tobytes()


def _write_file(file: str | Path, content: bytes) -> None:
    with naming(file):
        Path(file).write_bytes(content)


def _rectangles(
    corners: npt.NDArray[np.float64], margin: float, size: tuple[int, int]
) -> list[list[int]]:
    """Returns the smallest whole-pixel boxes that cover boxes and their margins in the frame."""
    around = margin * np.tile(corners[:, 2:] - corners[:, :2], 2) * (-1, -1, 1, 1)
    low, high = np.split(corners + around, 2, axis=1)
    low, high = np.floor(low).clip(0), np.ceil(high).clip(None, size)
    rectangles: list[list[int]] = np.concatenate([low, high], axis=1).astype(np.int64).tolist()
    return rectangles
