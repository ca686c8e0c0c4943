"""Tracklets in the forms a caller may pass: a folder, image files, arrays or a tensor."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import IMAGE_SUFFIXES, list_frames
from torchreid_occ.data.images import read_image

# A path, a uint8 array (H, W, 3) in RGB, or a float tensor (3, H, W) in 0..1.
Frame: TypeAlias = StrPath | npt.NDArray[np.uint8] | torch.Tensor
# Frames in temporal order; an array (T, H, W, 3) or a tensor (T, 3, H, W) is one, too.
Frames: TypeAlias = Sequence[Frame] | npt.NDArray[np.uint8] | torch.Tensor
FrameSource: TypeAlias = StrPath | Frames  # a folder, or the frames

KINDS = (
    "a folder of images, a list of image paths or of uint8 arrays (H, W, 3), a uint8 array "
    "(T, H, W, 3) in RGB, or a float tensor (T, 3, H, W) in 0..1"
)


def frames_of(tracklet: FrameSource) -> Frames:
    """Returns the frames of a tracklet in temporal order, each for :func:`read_frame`.

    Args:
        tracklet: A folder of images, read in natural order; a list of image paths or of
            uint8 RGB arrays (H, W, 3), which may differ in size; a uint8 RGB array (T, H, W, 3); or
            a float tensor (T, 3, H, W) in 0..1.

    Raises:
        FileNotFoundError: If a folder or a file is not there.
        ValueError: If it is none of these, or has no frames.
    """
    if isinstance(tracklet, (str, os.PathLike)):
        return _frames_in(Path(tracklet))
    if isinstance(tracklet, torch.Tensor):
        return _checked_tensor(tracklet)
    if isinstance(tracklet, np.ndarray):
        return _checked_array(tracklet, "T, H, W, 3")
    if not isinstance(tracklet, (list, tuple)):
        raise ValueError(f"received {type(tracklet).__name__}, but expected {KINDS}.")
    if not tracklet:
        raise ValueError("it has no frames.")
    for frame in tracklet:
        _check_frame(frame)
    return tracklet


def read_frame(frame: Frame) -> Image.Image:
    """Reads a frame as an image in RGB.

    Args:
        frame: The path of an image file, a uint8 array (H, W, 3), or a float tensor (3, H, W) in
            0..1, whose values are rounded to the eight bits of image files.
    """
    if isinstance(frame, torch.Tensor):
        frame = (255 * frame.float()).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(frame) if isinstance(frame, np.ndarray) else read_image(frame)


def _frames_in(folder: Path) -> tuple[str, ...]:
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, but expected {KINDS}.")
    frames = list_frames(folder)
    if not frames:
        raise ValueError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}).")
    return frames


def _check_frame(frame: Frame) -> None:
    if isinstance(frame, np.ndarray):
        _checked_array(frame, "H, W, 3")
    elif not isinstance(frame, (str, os.PathLike)):
        raise ValueError(f"a frame is {type(frame).__name__}, but expected {KINDS}.")
    elif not Path(frame).is_file():
        raise FileNotFoundError(f"there is no image {frame}.")


def _checked_array(array: npt.NDArray[Any], shape: str) -> npt.NDArray[np.uint8]:
    right = array.ndim == shape.count(",") + 1 and array.shape[-1] == 3 and array.size
    if array.dtype != np.uint8 or not right:
        raise ValueError(
            f"received an array of {array.dtype} and shape {array.shape}, but expected uint8 and "
            f"({shape}), colours in the order RGB."
        )
    return array


def _checked_tensor(tensor: torch.Tensor) -> torch.Tensor:
    right = tensor.dim() == 4 and tensor.shape[1] == 3 and tensor.numel()
    if not tensor.is_floating_point() or not right:
        raise ValueError(
            f"received a tensor of {tensor.dtype} and shape {tuple(tensor.shape)}, but expected "
            "floating point and (T, 3, H, W)."
        )
    low, high = (value.item() for value in tensor.aminmax())
    if not (low >= 0 and high <= 1):  # not a number is neither
        raise ValueError(f"received values from {low:g} to {high:g}, but expected 0 to 1.")
    return tensor.detach().cpu()
