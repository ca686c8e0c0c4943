"""A rendered tracklet on disk, in DukeMTMC-VideoReID's layout with the truth beside it.

Below the folder of a rendering::

    {train,query,gallery}/<pid>/<tracklet>/<frame>.jpg      what the cameras recorded
    foreground/<frame>/foreground.png                       visible person, the released format
    keypoints.json                                          four lines a frame, the released format
    ground_truth/occlusion.json                             {frame.jpg: [label 0..10, fraction]}
    ground_truth/clean/<as above>.jpg                       the same frames without occluders
    ground_truth/whole/<frame>/foreground.png               whole person, seen or not
    manifest.json                                           what was rendered, and its hashes
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from torchreid_occ.data.ground_truth import occlusion_labels
from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import TrackletSpec
from torchreid_occ.occwalk.render import Tracklet, render_tracklet
from torchreid_occ.utils.files import naming


def write_tracklet(folder: Path, spec: TrackletSpec, preset: Preset, seed: int) -> dict:
    """Renders a tracklet and writes its images.

    Args:
        folder: Folder of the rendering.
        spec: Which tracklet.
        preset: Size of the frames.
        seed: Seed of the rendering.

    Returns:
        What is not an image: ``{"sha256", "keypoints", "occlusion"}``, the latter two by file name.
        The hash is of all of the tracklet's images and numbers.
    """
    tracklet = render_tracklet(spec, preset, seed)
    for place in (folder, folder / "ground_truth/clean"):
        (place / spec.folder).mkdir(parents=True, exist_ok=True)
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


def _images(folder, subfolder, stem, tracklet: Tracklet, frame):
    """Yields the paths of a frame's images and their encoded contents."""
    truth = folder / "ground_truth"
    photo = ".jpg", cv2.IMWRITE_JPEG_QUALITY, tracklet.quality
    names = folder / subfolder / f"{stem}.jpg", truth / "clean" / subfolder / f"{stem}.jpg"
    pictures = tracklet.frames[frame], tracklet.clean[frame]
    yield from zip(names, _encode_pair(*pictures, *photo), strict=True)
    mask = ".png", cv2.IMWRITE_PNG_COMPRESSION, 1
    names = (place / stem / "foreground.png" for place in (folder / "foreground", truth / "whole"))
    masks = tracklet.visible[frame], tracklet.whole[frame]
    yield from zip(names, _encode_pair(*masks, *mask), strict=True)


def _encode_pair(picture, truth, *coding):
    """Encodes what was seen and what was there; where nothing hides they are one picture."""
    content = _encode(picture, *coding)
    return content, content if np.array_equal(picture, truth) else _encode(truth, *coding)


def _encode(picture, suffix, option, value):
    done, content = cv2.imencode(suffix, picture, [option, value])
    assert done, f"OpenCV cannot encode {suffix}"
    return content.tobytes()
