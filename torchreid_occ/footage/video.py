"""Videos: the number of frames, their times and their pixels."""

import hashlib
import math
import re
from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.footage.image_sequence import find_sequence, read_sequence
from torchreid_occ.footage.pyav import decoded, sought
from torchreid_occ.footage.reading import Frame, Reading, grabbed, opened
from torchreid_occ.utils.files import file_hash


class Video(NamedTuple):
    """Frames of a video, counted by decoding it because its header may be wrong.

    Where the frame size changes, OpenCV resizes later frames to the size of the first.

    Attributes:
        path: The file, or a folder of images.
        times: Time of each frame in seconds, strictly increasing. Shape: `(N,)`.
        size: Width and height of the frames in pixels.
        announced: Number of frames by the header; None if it gives no plausible number.
        reader: What reads the frames.
    """

    path: Path
    times: npt.NDArray[np.float64]
    size: tuple[int, int]
    announced: int | None
    reader: Literal["opencv", "pyav", "images"] = "opencv"

    @classmethod
    def of(cls, reading: Reading) -> "Video":
        """Returns the video of a reading whose frames were all read.

        Args:
            reading: The reading.

        Raises:
            ValueError: If the video has no plausible times.
        """
        times = reading.times()
        return cls(reading.path, times, reading.size, reading.announced, reading.reader)

    @property
    def frame_rate(self) -> float:
        """Frames per second, from the median time between frames."""
        return 1 / float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1.0

    def frames_within(self, gap: float) -> int:
        """Returns how many frames after a box its track may continue.

        A gap is counted in steps of this video with half a step of tolerance, so that neither
        rounding nor a camera that stalls ends a track. The next frame is always within.

        Args:
            gap: Longest gap in seconds.
        """
        return max(1, math.floor(min(gap * self.frame_rate + 0.5, len(self.times))))


def scan_video(path: StrPath, frame_rate: float | None = None) -> Video:
    """Decodes a video once to count its frames and read their times; warns if it ends early.

    A folder of images may stand in place of a video, see `find_sequence`. If OpenCV decodes no
    frame, PyAV reads the video.

    Args:
        path: The video.
        frame_rate: Frames per second, in place of the times in the video.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no video, has no frames, or has no plausible times.
    """
    reading = Reading(existing_video(path), frame_rate)
    for _ in reading.frames(lambda number: False):
        pass
    return Video.of(reading)


def existing_video(path: StrPath) -> Path:
    """Returns the absolute path of a video or a folder of images.

    Args:
        path: The path.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is the address of a stream, or a device.
    """
    absolute = Path(path).expanduser().absolute()
    if absolute.is_file() or absolute.is_dir():
        return absolute
    stream = re.match(r"([a-z][a-z0-9+.-]+):/", str(path), re.IGNORECASE)
    kind = f"address of a stream ({stream[1].lower()})" if stream else "path of a device or a pipe"
    if absolute.exists() or (stream and stream[1].lower() != "file"):
        raise ValueError(
            f"This is the {kind}, not of a video file. A stream has no end, and frames are read "
            "more than once: record it first, such as a minute by `ffmpeg -i ADDRESS -t 60 -c copy "
            "gate.mkv`, and give that file."
        )
    raise FileNotFoundError(f"There is no video {path}.")


def video_hash(path: StrPath) -> str:
    """Returns the SHA-256 of a video's content; of a folder, that of its frames and their names.

    Args:
        path: The video, or the folder of images.
    """
    path = existing_video(path)
    if path.is_file():
        return file_hash(path)
    sequence = find_sequence(path)
    files = [*map(Path, sequence.frames), *([sequence.info] if sequence.info else [])]
    listed = "".join(f"{file.name} {file_hash(file)}\n" for file in files)
    return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()


def read_frames(video: Video, first: int = 1) -> Iterator[tuple[int, Frame]]:
    """Yields the frames of a video with their numbers, which count from 1.

    All frames are decoded in order: seeking by number or time finds other frames where the frame
    rate varies.

    Args:
        video: Result of `scan_video`.
        first: Number of the first frame to yield.

    Shape:
        A frame: `(H, W, 3)`, in OpenCV's channel order blue, green, red.

    Raises:
        ValueError: If the file has changed since it was scanned.
    """
    if video.reader == "images":
        sequence = find_sequence(video.path)
        wanted = sequence._replace(frames=sequence.frames[: len(video.times)])
        frames = read_sequence(wanted, first)
    else:
        frames = _decoded_in_order(video, range(first, len(video.times) + 1))
    number = first - 1
    for number, frame in frames:
        yield number, frame
    if number < len(video.times):
        raise _changed(video, number + 1)


def chosen_frames(
    video: Video, numbers: Collection[int]
) -> Generator[tuple[int, Frame], None, None]:
    """Yields some frames of a video with their numbers, in their order.

    Decoding begins at the keyframe before a wanted frame, if PyAV is installed and the container
    has a time for each frame that decodes; else all frames up to the last wanted one are decoded.

    Args:
        video: Result of `scan_video`.
        numbers: Numbers of frames that the video has.

    Shape:
        A frame: `(H, W, 3)`, in OpenCV's channel order blue, green, red.

    Raises:
        ValueError: If the file has changed since it was scanned.
    """
    left = sorted(set(numbers))
    if video.reader == "images":
        sequence = find_sequence(video.path)
        for number in left:
            yield from read_sequence(sequence._replace(frames=sequence.frames[:number]), number)
        return
    for number, frame in sought(video.path, tuple(left), len(video.times), video.size):
        yield number, frame
        left.remove(number)
    if left:
        for number, frame in _decoded_in_order(video, tuple(left)):
            yield number, frame
            left.remove(number)
    if left:
        raise _changed(video, left[0])


def _decoded_in_order(video: Video, numbers: Collection[int]) -> Iterator[tuple[int, Frame]]:
    """Yields the frames of some numbers, and ends early if the video does."""
    wanted, last = numbers.__contains__, max(numbers, default=0)
    with ExitStack() as stack:
        if video.reader == "opencv":
            frames = grabbed(stack.enter_context(opened(video.path)), wanted)
        else:
            frames = decoded(video.path, wanted)
        for number, (_, frame) in enumerate(frames, start=1):
            if frame is not None and wanted(number):
                yield number, frame
            if number >= last:
                return


def _changed(video: Video, number: int) -> ValueError:
    return ValueError(
        f"{video.path} had {len(video.times)} frames, but frame {number} cannot be read any more: "
        "the file has changed."
    )
