"""Runs a detector over a video; a killed run continues from its file of detections."""

from pathlib import Path

from torchreid_occ.footage.boxes import Boxes, NoTrackletsError, mot_line, read_mot
from torchreid_occ.footage.detectors import Detector
from torchreid_occ.footage.video import Video, read_frames
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.progress import progress


def detect(video: Video, detector: Detector, path: Path) -> Boxes:
    """Detects people in all frames of a video.

    Args:
        video: The video.
        detector: Function from a frame to corners and scores.
        path: File of detections in MOTChallenge's format. What an interrupted run of the same
            detector wrote there is kept, and detection continues after it.

    Raises:
        NoTrackletsError: If no person is found.
    """
    first = _drop_last_frame(path)
    frames = read_frames(video, first)
    with path.open("a", encoding="utf-8") as file:
        for number, frame in progress(frames, "detecting", len(video.times) - first + 1, "frame"):
            corners, scores = detector(frame)
            file.writelines(
                mot_line(number, box, score) for box, score in zip(corners, scores, strict=True)
            )
            file.flush()
    if not path.stat().st_size:
        raise NoTrackletsError(
            f"No person was found in any of the {len(video.times)} frames of {video.path}."
        )
    return read_mot(path)


def _drop_last_frame(path: Path) -> int:
    """Removes the last frame of a file, which may be incomplete, and returns its number."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    if not lines or not lines[-1].endswith("\n"):
        lines = lines[:-1]  # the frame number of an incomplete line may be incomplete, too
    if not lines:
        write_text(path, "")
        return 1
    last = lines[-1].partition(",")[0]
    write_text(path, "".join(line for line in lines if line.partition(",")[0] != last))
    return int(last)
