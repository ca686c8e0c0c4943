"""A rendered tracklet on disk, in DukeMTMC-VideoReID's layout with ground truth beside it.

Below the folder of a rendering::

    {train,query,gallery}/<pid>/<tracklet>/<frame>.jpg      recorded frames
    foreground/<frame>/foreground.png                       visible person, the released format
    keypoints.json                                          four lines a frame, the released format
    ground_truth/occlusion.json                             {frame.jpg: [label 0..10, fraction]}
    ground_truth/clean/<as above>.jpg                       the same frames without occluders
    ground_truth/whole/<frame>/foreground.png               whole person, hidden or not
    manifest.json                                           what was rendered, and its hashes
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from torchreid_occ.data.ground_truth import occlusion_labels
from torchreid_occ.occwalk.arrays import Pixels
from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import TrackletSpec
from torchreid_occ.occwalk.render import RenderedTracklet, render_tracklet
from torchreid_occ.utils.files import naming


def write_tracklet(folder: Path, spec: TrackletSpec, preset: Preset, seed: int) -> dict[str, Any]:
    """Renders a tracklet and writes its images.

    Args:
        folder: Folder of the rendering.
        spec: The tracklet.
        preset: Size of the frames.
        seed: Seed of the rendering.

    Returns:
        ``{"sha256", "keypoints", "occlusion"}``, the latter two by file name. The hash is of all of
        the tracklet's images and numbers.
    """
    tracklet = render_tracklet(spec, preset, seed)
    for parent in (folder, folder / "ground_truth/clean"):
        (parent / spec.folder).mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for frame, stem in enumerate(spec.stems):
        for place in ("foreground", "ground_truth/whole"):
            (folder / place / stem).mkdir(parents=True, exist_ok=True)
        for path, content in _images(folder, spec.folder, stem, tracklet, frame):
            digest.update(content)
            with naming(path):
                path.write_bytes(content)
    names = [f"{stem}.jpg" for stem in spec.stems]
    keypoints = tracklet.keypoints.round(6).tolist()
    labels = occlusion_labels(tracklet.fractions).tolist()
    occlusion = list(zip(labels, tracklet.fractions.round(6).tolist(), strict=True))
    digest.update(repr((keypoints, occlusion)).encode())
    return {
        "sha256": digest.hexdigest(),
        "keypoints": dict(zip(names, keypoints, strict=True)),
        "occlusion": dict(zip(names, occlusion, strict=True)),
    }


class _Coding(NamedTuple):
    """How OpenCV encodes an image: the file's suffix, and an option with its value."""

    suffix: str
    option: int
    value: int


def _images(
    folder: Path, subfolder: str, stem: str, tracklet: RenderedTracklet, frame: int
) -> Iterator[tuple[Path, bytes]]:
    """Yields the paths of a frame's images and their encoded contents."""
    truth = folder / "ground_truth"
    photo = _Coding(".jpg", cv2.IMWRITE_JPEG_QUALITY, tracklet.quality)
    photos = folder / subfolder / f"{stem}.jpg", truth / "clean" / subfolder / f"{stem}.jpg"
    pictures = tracklet.frames[frame], tracklet.clean[frame]
    yield from zip(photos, _encode_pair(*pictures, photo), strict=True)
    mask = _Coding(".png", cv2.IMWRITE_PNG_COMPRESSION, 1)
    names = (place / stem / "foreground.png" for place in (folder / "foreground", truth / "whole"))
    masks = tracklet.visible[frame], tracklet.whole[frame]
    yield from zip(names, _encode_pair(*masks, mask), strict=True)


def _encode_pair(picture: Pixels, truth: Pixels, coding: _Coding) -> tuple[bytes, bytes]:
    """Encodes an occluded picture and its ground truth, once if they are equal."""
    content = _encode(picture, coding)
    if np.array_equal(picture, truth):
        return content, content
    return content, _encode(truth, coding)


def _encode(picture: Pixels, coding: _Coding) -> bytes:
    done, content = cv2.imencode(coding.suffix, picture, [coding.option, coding.value])
    assert done, f"OpenCV cannot encode {coding.suffix}"
    return content.tobytes()
