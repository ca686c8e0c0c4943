"""A rendered tracklet on disk, in DukeMTMC-VideoReID's layout with the truth beside it.

Below the folder of a rendering::

    {train,query,gallery}/<pid>/<tracklet>/<frame>.jpg      what the cameras recorded
    foreground/<frame>/foreground.png                       visible person, the released format
    keypoints.json                                          four lines a frame, the released format
    ground_truth/occlusion.json                             {frame.jpg: [label 0..10, fraction]}
    ground_truth/clean/<as above>.jpg                       the same frames without occluders
    ground_truth/whole/<as above>.png                       whole person, seen or not
    manifest.json                                           what was rendered, and its hashes
"""

import hashlib
from pathlib import Path

import cv2

from torchreid_occ.data.occwalk.presets import Preset
from torchreid_occ.data.occwalk.protocol import TrackletSpec
from torchreid_occ.data.occwalk.render import Tracklet, occlusion_labels, render_tracklet


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
    places = folder, folder / "ground_truth/clean", folder / "ground_truth/whole"
    for place in places:
        (place / spec.folder).mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for frame, stem in enumerate(spec.stems):
        (folder / "foreground" / stem).mkdir(parents=True, exist_ok=True)
        for path, content in _images(folder, spec.folder, stem, tracklet, frame):
            digest.update(content)
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
    for place, pictures in ((folder, tracklet.frames), (truth / "clean", tracklet.clean)):
        content = _encode(".jpg", pictures[frame], cv2.IMWRITE_JPEG_QUALITY, tracklet.quality)
        yield place / subfolder / f"{stem}.jpg", content
    for path, masks in (
        (folder / "foreground" / stem / "foreground.png", tracklet.visible),
        (truth / "whole" / subfolder / f"{stem}.png", tracklet.whole),
    ):
        yield path, _encode(".png", masks[frame], cv2.IMWRITE_PNG_COMPRESSION, 1)


def _encode(suffix, picture, option, value):
    done, content = cv2.imencode(suffix, picture, [option, value])
    assert done, f"OpenCV cannot encode {suffix}"
    return content.tobytes()
