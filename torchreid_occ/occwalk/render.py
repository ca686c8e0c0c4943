"""Renders one tracklet: its frames and their pixel ground truth."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Floats, Pixels
from torchreid_occ.occwalk.camera import Exposure, make_camera
from torchreid_occ.occwalk.crop import CroppedWalk
from torchreid_occ.occwalk.gait import Joint
from torchreid_occ.occwalk.identity import make_identity
from torchreid_occ.occwalk.keys import keyed_rng
from torchreid_occ.occwalk.occluders import Layer, Occluder, draw_occluders
from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import TrackletSpec
from torchreid_occ.utils.opencv import compute_in_one_thread

SUPERSAMPLING = 2
MAX_OCCLUSION = 0.8  # no frame hides more of the body
MIN_PEAK = 0.1  # the most hidden frame of an occluded tracklet hides at least this much
MAX_ATTEMPTS = 200

Slices: TypeAlias = tuple[slice, ...]


class RenderedTracklet(NamedTuple):
    """The frames of a tracklet and their ground truth.

    Attributes:
        frames: Recorded frames. Shape ``(T, H, W, 3)``, blue first.
        clean: The same without occluders.
        visible: Mask of the visible part of the person, 0 or 255. Shape ``(T, H, W)``.
        whole: Mask of the whole person. Shape ``(T, H, W)``.
        keypoints: Shoulder, hip and knee rows and knee column as fractions. Shape ``(T, 4)``.
        joints: Image points of the skeleton in frame pixels. Shape ``(T, joints, 2)``.
        fractions: How much of the person is hidden, 0 to 1. Shape ``(T,)``.
        quality: JPEG quality of the camera.
    """

    frames: Pixels
    clean: Pixels
    visible: Pixels
    whole: Pixels
    keypoints: Floats
    joints: Floats
    fractions: Floats
    quality: int


def render_tracklet(spec: TrackletSpec, preset: Preset, seed: int) -> RenderedTracklet:
    """Renders a tracklet, which depends only on the arguments and the renderer's version.

    Args:
        spec: The tracklet to render.
        preset: Size of the frames.
        seed: Seed of the rendering.

    Raises:
        RuntimeError: If it fails, which is a fault of the renderer; names seed and tracklet.
    """
    try:
        return _rendered(spec, preset, seed)
    except (ArithmeticError, AssertionError, LookupError, ValueError, cv2.error) as error:
        raise RuntimeError(
            f"OccWalk could not render tracklet {spec.folder} (number {spec.uid}) of "
            f"{preset.name}, seed {seed}: {type(error).__name__}: {error}. Any seed should render: "
            "this is a fault of torchreid_occ, not of your data. Please report this line."
        ) from error


def _rendered(spec: TrackletSpec, preset: Preset, seed: int) -> RenderedTracklet:
    compute_in_one_thread()
    canvas = SUPERSAMPLING * preset.height, SUPERSAMPLING * preset.width
    camera = make_camera(seed, spec.camid, *canvas)
    rng = keyed_rng(seed, "tracklet", preset.name, spec.uid)
    identity = make_identity(seed, spec.group, spec.index)
    crop = CroppedWalk(rng, identity, camera, spec.num_frames, canvas)
    whole = np.stack([_shrink_mask(body) for body in crop.bodies])
    occluders, visible = _hide(crop, whole, spec, seed)
    exposure = Exposure(camera, rng, spec.num_frames, preset.height, preset.width)
    frames, clean = [], []
    for frame in range(spec.num_frames):
        picture = crop.picture(frame)
        clean.append(exposure.take(_shrink(picture), frame))
        for occluder in occluders:
            _paste(picture, occluder.layer(frame))
        frames.append(exposure.take(_shrink(picture), frame) if occluders else clean[-1])
    joints = crop.walker.points / SUPERSAMPLING
    return RenderedTracklet(
        np.stack(frames), np.stack(clean), visible, whole,
        _lines(joints) / [preset.height, preset.height, preset.height, preset.width],
        joints, _fractions(visible, whole), camera.quality,
    )  # fmt: skip


def _hide(
    crop: CroppedWalk, whole: Pixels, spec: TrackletSpec, seed: int
) -> tuple[list[Occluder], Pixels]:
    """Draws occluders until they fulfil the protocol; returns them and the visible masks."""
    if spec.num_occluded == 0:
        return [], whole
    bounds = crop.bounds()
    pool = "train" if spec.split == "train" else "test"
    for attempt in range(MAX_ATTEMPTS):
        rng = keyed_rng(seed, "occluders", spec.split, spec.uid, attempt)
        occluders = draw_occluders(rng, seed, pool, bounds, spec.num_occluded)
        visible = np.stack([_visible(body, occluders, t) for t, body in enumerate(crop.bodies)])
        fractions = _fractions(visible, whole)
        number = np.count_nonzero(fractions)
        enough = spec.split != "query" or 3 * number > spec.num_frames
        near = abs(number - spec.num_occluded) <= max(1, spec.num_frames // 16)
        if enough and near and MIN_PEAK <= fractions.max() <= MAX_OCCLUSION:
            return occluders, visible
    raise AssertionError(f"no occluders found for {spec}")


def _visible(body: Pixels, occluders: Iterable[Occluder], frame: int) -> Pixels:
    mask = body.copy()
    for occluder in occluders:
        layer = occluder.layer(frame)
        here, there = _overlap(mask.shape, layer)
        mask[here][layer.mask[there] > 0] = 0
    return _shrink_mask(mask)


def _paste(picture: Pixels, layer: Layer) -> None:
    here, there = _overlap(picture.shape[:2], layer)
    if picture[here].size:
        cv2.copyTo(layer.picture[there], layer.mask[there], picture[here])


def _overlap(shape: tuple[int, ...], layer: Layer) -> tuple[Slices, Slices]:
    """Returns the overlap of a layer and the canvas, as slices of the canvas and of the layer."""
    here, there = [], []
    for size, start, extent in zip(shape, (layer.top, layer.left), layer.mask.shape, strict=True):
        first, last = max(0, start), max(0, min(size, start + extent))
        here.append(slice(first, max(first, last)))
        there.append(slice(first - start, max(first, last) - start))
    return tuple(here), tuple(there)


def _shrink(picture: Pixels) -> Pixels:
    height, width = (size // SUPERSAMPLING for size in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _shrink_mask(labels: Pixels) -> Pixels:
    """Returns the mask of the pixels of which at least half is the person."""
    solid = _shrink(cv2.threshold(labels, 0, 255, cv2.THRESH_BINARY)[1])
    return cv2.threshold(solid, 127, 255, cv2.THRESH_BINARY)[1]


def _fractions(visible: Pixels, whole: Pixels) -> Floats:
    seen = np.count_nonzero(visible, axis=(1, 2))
    return 1 - seen / np.count_nonzero(whole, axis=(1, 2))


def _lines(joints: Floats) -> Floats:
    """Returns shoulder, hip and knee rows and the knee column in pixels."""
    pairs = [
        (joints[:, Joint[f"LEFT_{name}"]] + joints[:, Joint[f"RIGHT_{name}"]]) / 2
        for name in ("SHOULDER", "HIP", "KNEE")
    ]
    return np.stack([*(pair[:, 1] for pair in pairs), pairs[2][:, 0]], axis=1)
