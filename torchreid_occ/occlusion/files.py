"""An occluded copy on disk.

Below its folder::

    plan.json                                  what the copy is made of, and how
    {train,query,gallery}/<tracklet>/          number of the tracklet in the source's subset
        <number>_<name of the source's frame>  the occluded frames, coded as the source's are
        visible/<number>_<stem>.png            what is seen of the person there
        record.json                            how much is hidden, by what, and a hash
    occlusion.json                             the records of all tracklets
    manifest.json                              the source, options, versions, changes and hashes;
                                               written last
    report.md, report/*.png                    statistics and contact sheets
"""

import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image, JpegImagePlugin

from torchreid_occ.data.images import FORMATS
from torchreid_occ.occlusion.sprites import Pixels
from torchreid_occ.occlusion.tracklets import OccludedFrame, Place
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import naming

OCCLUSION, RECORD, VISIBLE = "occlusion.json", "record.json", "visible"
_PARTIAL = ".partial"


class FrameRecord(TypedDict):
    """What is known of an occluded frame.

    Attributes:
        file: Name of the frame's file.
        share: How much of the person is hidden, 0 to 1.
        occluders: Names of what is in front.
    """

    file: str
    share: float
    occluders: list[str]


class TrackletRecord(TypedDict):
    """What is known of an occluded tracklet.

    Attributes:
        sha256: Hash of its files.
        frames: Its occluded frames by number, as text.
    """

    sha256: str
    frames: dict[str, FrameRecord]


def read_record(folder: Path, place: Place) -> TrackletRecord | None:
    """Returns the record of a tracklet, or None if it is not finished.

    Args:
        folder: Folder of the copy.
        place: The tracklet.
    """
    path = folder / str(place) / RECORD
    return read_json(path) if path.is_file() else None


def write_tracklet(
    folder: Path, place: Place, paths: Sequence[str], occluded: Sequence[OccludedFrame]
) -> TrackletRecord:
    """Writes the occluded frames of a tracklet atomically.

    Args:
        folder: Folder of the copy.
        place: The tracklet.
        paths: The source's frames.
        occluded: The occluded ones.
    """
    target = folder / str(place)
    partial = target.with_name(target.name + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    (partial / VISIBLE).mkdir(parents=True)
    try:
        record = _write(partial, paths, occluded)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(target)
    return record


def _write(folder: Path, paths: Sequence[str], occluded: Sequence[OccludedFrame]) -> TrackletRecord:
    digest = hashlib.sha256()
    frames: dict[str, FrameRecord] = {}
    for frame in occluded:
        original = Path(paths[frame.number])
        name = f"{frame.number:05d}_{original.name}"
        mask = io.BytesIO()
        Image.fromarray(frame.visible.astype(np.uint8) * 255).save(mask, "PNG", compress_level=1)
        for path, content in (
            (folder / name, encode_like(original, frame.picture)),
            (folder / visible_name(name), mask.getvalue()),
        ):
            digest.update(content)
            with naming(path):
                path.write_bytes(content)
        share = round(frame.share, 6)
        frames[str(frame.number)] = {
            "file": name, "share": share, "occluders": [*frame.occluders],
        }  # fmt: skip
    digest.update(repr(frames).encode())
    record: TrackletRecord = {"sha256": digest.hexdigest(), "frames": frames}
    with naming(folder / RECORD):
        (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")
    return record


def visible_name(file: str) -> str:
    """Returns where the mask of an occluded frame is, beside the frame.

    Args:
        file: Name of the frame's file.
    """
    return f"{VISIBLE}/{Path(file).stem}.png"


def encode_like(original: Path, picture: Pixels) -> bytes:
    """Encodes a frame as another is encoded: its format, and of JPEG its quantisation and sampling.

    Args:
        original: The file of the other frame.
        picture: The frame, ``(H, W, 3)``.
    """
    image, content = Image.fromarray(picture), io.BytesIO()
    with Image.open(original, formats=FORMATS) as other:
        if isinstance(other, JpegImagePlugin.JpegImageFile):
            grey = other.mode == "L"
            sampling = 0 if grey else JpegImagePlugin.get_sampling(other)
            (image.convert("L") if grey else image).save(
                content, "JPEG", qtables=other.quantization, subsampling=max(0, sampling)
            )
        else:
            image.save(content, other.format)
    return content.getvalue()
