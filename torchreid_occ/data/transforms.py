"""Transforms of clips: one random draw for frames, foreground maps and key point lines."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from torchreid_occ.data.clip_occluders import ClipOccluder, RawClip
from torchreid_occ.utils.checks import check_choice

TRANSFORMS = (
    "random_flip",
    "random_crop",
    "color_jitter",
    "random_erase",
    "random_erase_frames",
    "random_paint_frames",
    "random_occluders",
)
INTERPOLATIONS = ("bilinear", "bicubic")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_BLOTCH = 4  # pixels from one random value of a painted rectangle to the next


class TransformedClip(NamedTuple):
    """A clip as tensors; None where the transform was given None.

    Attributes:
        img: Normalised frames. Shape :math:`(T, 3, H, W)`.
        keypoints: Key point lines as fractions. Shape :math:`(T, 4)`.
        foreground: Foreground maps in [0, 1]. Shape :math:`(T, 1, H, W)`.
    """

    img: Tensor
    keypoints: Tensor | None
    foreground: Tensor | None


class ClipTransform:
    """Turns the decoded frames of a clip into normalised tensors.

    Names and values of the augmentations are torchreid's; one draw serves the whole clip. In this
    order: ``random_crop`` (frames are resized to 1.125 times the size, then cropped),
    ``random_flip``, ``color_jitter``, ``random_erase`` (the same rectangle in every frame, filled
    with the mean). ``random_erase_frames`` draws a rectangle for each frame instead, as of a moving
    occluder, so that other frames show the erased part. ``random_paint_frames`` also fills these
    rectangles with random colours instead of the mean. ``random_occluders`` puts something that
    moves over the frames in front of the person, before all other augmentations.

    Args:
        height: Height of the output.
        width: Width of the output.
        transforms: Names among ``TRANSFORMS``.
        norm_mean: Mean of each channel; ImageNet's if None.
        norm_std: Standard deviation of each channel; ImageNet's if None.
        training: False leaves the augmentations out.
        interpolation: How frames are resized, one of ``INTERPOLATIONS``; foreground maps are
            resized bilinearly.
        occluder: What ``random_occluders`` puts in front, and in front of which clips.

    Raises:
        ValueError: If a name is not one of ``TRANSFORMS`` or ``INTERPOLATIONS``, or
            ``random_occluders`` is chosen without an occluder.
    """

    def __init__(
        self,
        height: int,
        width: int,
        transforms: Collection[str] = (),
        norm_mean: Sequence[float] | None = None,
        norm_std: Sequence[float] | None = None,
        training: bool = False,
        interpolation: str = "bilinear",
        occluder: ClipOccluder | None = None,
    ) -> None:
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        unknown = [name for name in transforms if name not in TRANSFORMS]
        if unknown:
            # torchreid's random_patch pastes from earlier images, so a seed cannot repeat it.
            raise ValueError(f"Unknown transforms {unknown}: expected names of {list(TRANSFORMS)}.")
        self.height, self.width = height, width
        self.interpolation = interpolation
        chosen = set(transforms) if training else set()
        self._occluder = occluder if "random_occluders" in chosen else None
        if "random_occluders" in chosen and occluder is None:
            raise ValueError("The transform random_occluders needs an occluder.")
        self._enlarged = "random_crop" in chosen
        steps: list[nn.Module] = []
        if self._enlarged:
            steps.append(v2.RandomCrop((height, width)))
        if "random_flip" in chosen:
            steps.append(v2.RandomHorizontalFlip(0.5))
        if "color_jitter" in chosen:
            steps.append(v2.ColorJitter(brightness=0.2, contrast=0.15))
        self._normalise = v2.Compose(
            [
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(  # in place, as the scaled pixels are a tensor of their own
                    list(norm_mean or IMAGENET_MEAN), list(norm_std or IMAGENET_STD), inplace=True
                ),
            ]
        )
        steps.append(self._normalise)
        if "random_erase" in chosen:
            steps.append(_ClipErasing())
        if "random_erase_frames" in chosen:
            steps.append(_FrameByFrame(_ClipErasing()))
        if "random_paint_frames" in chosen:
            steps.append(_FrameByFrame(_Painting()))
        self._steps = v2.Compose(steps)

    def __call__(
        self,
        frames: Sequence[Image.Image],
        keypoints: npt.NDArray[np.float32] | None = None,
        foregrounds: Sequence[Image.Image | None] | None = None,
        seed: int = 0,
        pid: int = -1,
        camid: int = -1,
    ) -> TransformedClip:
        """Transforms one clip.

        Args:
            frames: T PIL images, of any sizes.
            keypoints: Key point lines as fractions. Shape: :math:`(T, 4)`.
            foregrounds: T grey PIL images, None for a frame without.
            seed: Key of the random draws; the global random state is neither read nor changed.
            pid: Identity, which is not put in front of itself.
            camid: Camera, whose people are not put in front.

        Returns:
            The tensors. NaN lines stay NaN, and the foreground of a frame without one is NaN.
        """
        if self._occluder is not None:
            clip = self._occluder(RawClip(frames, foregrounds, pid, camid), seed)
            frames, foregrounds = clip.frames, clip.foregrounds
        with torch.random.fork_rng(devices=[]):
            # Of the CPU alone: torch.manual_seed formats a stack trace for each kind of device.
            torch.default_generator.manual_seed(seed)
            size = self._draw_size()
            sample: dict[str, Any] = {
                "img": tv_tensors.Image(_stack(frames, size, self.interpolation))
            }
            if keypoints is not None:
                sample["lines"] = _lines_to_points(keypoints, size)
            if foregrounds is not None:
                sample["foreground"] = _stack_foregrounds(foregrounds, size)
            sample = self._steps(sample)
        lines = foreground = None
        if keypoints is not None:
            lines = _points_to_lines(sample["lines"])
        if foregrounds is not None:
            foreground = sample["foreground"].as_subclass(Tensor)
            foreground[[frame is None for frame in foregrounds]] = torch.nan
        return TransformedClip(sample["img"].as_subclass(Tensor), lines, foreground)

    def pixels(self, frames: Sequence[Image.Image]) -> Tensor:
        """Resizes the frames of a test clip and leaves them in eight bits.

        `normalise` makes of them what the transform without augmentations gives.

        Args:
            frames: T PIL images, of any sizes.

        Shape:
            Result: :math:`(T, 3, H, W)`.
        """
        return _stack(frames, [self.height, self.width], self.interpolation)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Scales eight-bit frames to 0..1 and normalises each channel, on their device.

        Shape:
            - pixels: :math:`(..., 3, H, W)`
            - Result: the same, float32.
        """
        normalised: Tensor = self._normalise(pixels)
        return normalised

    def _draw_size(self) -> list[int]:
        """Draws the size to which frames are resized: enlarged for half of the random crops."""
        if self._enlarged and torch.rand(()) < 0.5:
            return [round(self.height * 1.125), round(self.width * 1.125)]
        return [self.height, self.width]


class _ClipErasing(v2.RandomErasing):
    """Random erasing after normalisation (0 is the mean), foreground maps included.

    Erased pixels are occluded, so their foreground is 0; torchvision's class leaves masks as they
    are.
    """

    def __init__(self) -> None:
        super().__init__(p=0.5, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["v"] is None or isinstance(inpt, tv_tensors.KeyPoints):
            return inpt
        top, left = params["i"], params["j"]
        # Differs from paper [R18]: the released code leaves the foreground target as it is.
        fill = 0 if isinstance(inpt, tv_tensors.Mask) else params["v"]
        inpt[..., top : top + params["h"], left : left + params["w"]] = fill
        return inpt


class _Painting(_ClipErasing):
    """Random erasing that fills with a random colour and random blotches instead of the mean."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        params = super().make_params(flat_inputs)
        if params["v"] is not None:
            size = params["h"], params["w"]
            colour = torch.empty(3, 1, 1).uniform_(-2.1, 2.4)  # black to white, normalised
            blotches = torch.randn(1, 3, *(length // _BLOTCH + 1 for length in size))
            blotches = nn.functional.interpolate(blotches, size, mode="bilinear")[0]
            params["v"] = colour + blotches * torch.empty(()).uniform_(0, 0.7)
        return params


class _FrameByFrame(nn.Module):
    """Erases each frame of a clip by its own random draw."""

    def __init__(self, erase: _ClipErasing) -> None:
        super().__init__()
        self._erase = erase

    def forward(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Erases frames and their foreground maps; key point lines stay."""
        maps = {name: value for name, value in sample.items() if name != "lines"}
        for t in range(len(sample["img"])):  # a frame shares the clip's memory
            self._erase({n: tv_tensors.wrap(value[t], like=value) for n, value in maps.items()})
        return sample


def resize_image(image: Image.Image, size: Sequence[int], interpolation: str) -> Tensor:
    """Resizes an image to height and width, and returns its pixels.

    Args:
        image: The image.
        size: Height and width.
        interpolation: One of ``INTERPOLATIONS``.

    Shape:
        Result: :math:`(C, H, W)`, eight bits.
    """
    pixels: Tensor = F.pil_to_tensor(F.resize(image, list(size), InterpolationMode(interpolation)))
    return pixels


def _stack(images: Sequence[Image.Image], size: list[int], interpolation: str) -> Tensor:
    """Resizes each image on its own, as frames of a tracklet may differ in size."""
    return torch.stack([resize_image(image, size, interpolation) for image in images])


def _stack_foregrounds(foregrounds: Sequence[Image.Image | None], size: list[int]) -> Any:
    maps = torch.zeros(len(foregrounds), 1, *size)
    known = {t: image for t, image in enumerate(foregrounds) if image is not None}
    if known:
        maps[[*known]] = _stack([*known.values()], size, "bilinear").float() / 255
    return tv_tensors.Mask(maps)


def _lines_to_points(lines: npt.NDArray[np.float32], size: list[int]) -> Any:
    """Converts lines to pixel positions; a fraction is that of a pixel's centre: (c + 0.5) / W.

    A row is the point (0, row) and a column the point (column, 0).
    """
    height, width = size
    points = torch.zeros(len(lines), 4, 2)
    points[:, :3, 1] = torch.as_tensor(lines[:, :3]) * height - 0.5
    points[:, 3, 0] = torch.as_tensor(lines[:, 3]) * width - 0.5
    return tv_tensors.KeyPoints(points, canvas_size=tuple(size))


def _points_to_lines(points: Any) -> Tensor:
    height, width = points.canvas_size
    points = points.as_subclass(Tensor)
    # Paper silent [R27]: fractions are of pixel centres, so that a flip keeps classes.
    rows = (points[:, :3, 1] + 0.5) / height
    columns = (points[:, 3:, 0] + 0.5) / width
    return torch.cat([rows, columns], dim=1)
