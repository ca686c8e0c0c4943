"""A detector run over a video, into a file that a killed run goes on with."""

from collections.abc import Callable
from pathlib import Path

from torchreid_occ.footage.boxes import Boxes, mot_line, read_mot
from torchreid_occ.footage.video import Video, read_frames
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.progress import progress


def detect(video: Video, detector: Callable, path: Path) -> Boxes:
    """Finds people in all frames of a video.

    Args:
        video: The video.
        detector: Function from a frame to corners and scores.
        path: Where the detections go, in MOTChallenge's format; those that an interrupted run of
            the same detector left there are not made again.

    Raises:
        ValueError: If nobody is found.
    """
    first = _keep_whole_frames(path)
    frames = read_frames(video, first)
    with path.open("a", encoding="utf-8") as file:
        for number, frame in progress(frames, "detecting", len(video.times) - first + 1, "frame"):
            corners, scores = detector(frame)
            file.writelines(
                mot_line(number, box, score) for box, score in zip(corners, scores, strict=True)
            )
            file.flush()
    if not path.stat().st_size:
        raise ValueError(
            f"Nobody was found in any of the {len(video.times)} frames of {video.path}."
        )
    return read_mot(path)


def _keep_whole_frames(path):
    """Takes the last frame, which may have been interrupted, off a file; returns its number."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    if not lines or not lines[-1].endswith("\n"):
        lines = lines[:-1]  # its frame's number may be cut, too
    if not lines:
        write_text(path, "")
        return 1
    last = lines[-1].partition(",")[0]
    write_text(path, "".join(line for line in lines if line.partition(",")[0] != last))
    return int(last)
