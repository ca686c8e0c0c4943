"""One random draw per clip: frames, foreground maps and key point lines move together."""

import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

TRANSFORMS = (
    "random_flip",
    "random_crop",
    "color_jitter",
    "random_erase",
    "random_erase_frames",
    "random_paint_frames",
)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_ERASING = {"p": 0.5, "scale": (0.02, 0.4), "ratio": (0.3, 1 / 0.3)}
_BLOTCH = 4  # pixels from one random value of a painted rectangle to the next


class ClipTransform:
    """Turns the decoded frames of a clip into normalised tensors.

    Names and values of the augmentations are torchreid's; one draw serves the whole clip. In this
    order: ``random_crop`` (frames are resized to 1.125 times the size, then cropped),
    ``random_flip``, ``color_jitter``, ``random_erase`` (the same rectangle in every frame, filled
    with the mean). ``random_erase_frames`` erases frame by frame instead, as if something were
    passing: what one frame lacks another shows. ``random_paint_frames`` does the same in colours
    drawn at random instead of the mean, as what passes has some colour.

    Args:
        height: Height of the output.
        width: Width of the output.
        transforms: Names among ``TRANSFORMS``.
        norm_mean: Mean of each channel; ImageNet's if None.
        norm_std: Standard deviation of each channel; ImageNet's if None.
        training: False leaves the augmentations out.

    Raises:
        ValueError: If a name is not one of ``TRANSFORMS``.
    """

    def __init__(
        self,
        height: int,
        width: int,
        transforms: tuple[str, ...] = (),
        norm_mean: tuple[float, ...] | None = None,
        norm_std: tuple[float, ...] | None = None,
        training: bool = False,
    ):
        unknown = [name for name in transforms if name not in TRANSFORMS]
        if unknown:
            # torchreid's random_patch pastes from a pool of earlier images: no seed can repeat it.
            raise ValueError(f"Unknown transforms {unknown}: expected names of {list(TRANSFORMS)}.")
        self.height, self.width = height, width
        chosen = set(transforms) if training else set()
        self._enlarged = "random_crop" in chosen
        steps = [v2.RandomCrop((height, width))] if self._enlarged else []
        if "random_flip" in chosen:
            steps.append(v2.RandomHorizontalFlip(0.5))
        if "color_jitter" in chosen:
            steps.append(v2.ColorJitter(brightness=0.2, contrast=0.15))
        steps += [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(norm_mean or IMAGENET_MEAN), list(norm_std or IMAGENET_STD)),
        ]
        if "random_erase" in chosen:
            steps.append(_ClipErasing(**_ERASING))
        if "random_erase_frames" in chosen:
            steps.append(_FrameByFrame(_ClipErasing(**_ERASING)))
        if "random_paint_frames" in chosen:
            steps.append(_FrameByFrame(_Painting(**_ERASING)))
        self._steps = v2.Compose(steps)

    def __call__(self, frames, keypoints=None, foregrounds=None, seed: int = 0):
        """Transforms one clip.

        Args:
            frames: T PIL images, of any sizes.
            keypoints: Key point lines as fractions, or None.
            foregrounds: T grey PIL images or None entries, or None.
            seed: Key of the random draws; the global random state is neither read nor changed.

        Returns:
            ``(img, keypoints, foreground)``, None where None was given. NaN lines stay NaN, and the
            foreground of a frame without one is NaN everywhere.

        Shape:
            - keypoints: :math:`(T, 4)`
            - img: :math:`(T, 3, H, W)`; foreground: :math:`(T, 1, H, W)` in [0, 1].
        """
        with torch.random.fork_rng(devices=[]):
            # Of the CPU alone: torch.manual_seed formats a stack trace for each kind of device.
            torch.default_generator.manual_seed(seed)
            size = self._draw_size()
            sample = {"img": tv_tensors.Image(_stack(frames, size))}
            if keypoints is not None:
                sample["lines"] = _lines_to_points(keypoints, size)
            if foregrounds is not None:
                sample["foreground"] = _stack_foregrounds(foregrounds, size)
            sample = self._steps(sample)
        if keypoints is not None:
            keypoints = _points_to_lines(sample["lines"])
        foreground = None
        if foregrounds is not None:
            foreground = sample["foreground"].as_subclass(torch.Tensor)
            foreground[[frame is None for frame in foregrounds]] = torch.nan
        return sample["img"].as_subclass(torch.Tensor), keypoints, foreground

    def _draw_size(self):
        """The size frames are resized to; when it is enlarged, the crop has room to move."""
        if self._enlarged and torch.rand(()) < 0.5:
            return [round(self.height * 1.125), round(self.width * 1.125)]
        return [self.height, self.width]


class _ClipErasing(v2.RandomErasing):
    """Random erasing after normalisation (0 is the mean), foreground maps included.

    An erased pixel is an occluded one. torchvision's own passes masks through.
    """

    def transform(self, inpt, params):
        if params["v"] is None or isinstance(inpt, tv_tensors.KeyPoints):
            return inpt
        top, left = params["i"], params["j"]
        fill = 0 if isinstance(inpt, tv_tensors.Mask) else params["v"]
        inpt[..., top : top + params["h"], left : left + params["w"]] = fill
        return inpt


class _Painting(_ClipErasing):
    """Fills the rectangle with a random colour, more or less blotched, instead of the mean."""

    def make_params(self, flat_inputs):
        params = super().make_params(flat_inputs)
        if params["v"] is not None:
            size = params["h"], params["w"]
            colour = torch.empty(3, 1, 1).uniform_(-2.1, 2.4)  # black to white, normalised
            blotches = torch.randn(1, 3, *(length // _BLOTCH + 1 for length in size))
            blotches = nn.functional.interpolate(blotches, size, mode="bilinear")[0]
            params["v"] = colour + blotches * torch.empty(()).uniform_(0, 0.7)
        return params


class _FrameByFrame(nn.Module):
    """Erases each frame of a clip by a draw of its own."""

    def __init__(self, erase):
        super().__init__()
        self._erase = erase

    def forward(self, sample):
        """Erases frames and their foreground maps; key point lines stay."""
        maps = {name: value for name, value in sample.items() if name != "lines"}
        for t in range(len(sample["img"])):  # a frame shares the clip's memory
            self._erase({n: tv_tensors.wrap(value[t], like=value) for n, value in maps.items()})
        return sample


def _stack(images, size):
    """Resizes each image by itself, as frames of one tracklet may differ in size."""
    return torch.stack([F.pil_to_tensor(F.resize(image, size)) for image in images])


def _stack_foregrounds(foregrounds, size):
    maps = torch.zeros(len(foregrounds), 1, *size)
    known = [t for t, foreground in enumerate(foregrounds) if foreground is not None]
    if known:
        maps[known] = _stack([foregrounds[t] for t in known], size).float() / 255
    return tv_tensors.Mask(maps)


def _lines_to_points(lines, size):
    """Writes each line as a pixel position; fractions are of pixel centres: (c + 0.5) / W.

    A row is the point (0, row) and a column the point (column, 0).
    """
    height, width = size
    points = torch.zeros(len(lines), 4, 2)
    points[:, :3, 1] = torch.as_tensor(lines[:, :3]) * height - 0.5
    points[:, 3, 0] = torch.as_tensor(lines[:, 3]) * width - 0.5
    return tv_tensors.KeyPoints(points, canvas_size=tuple(size))


def _points_to_lines(points):
    height, width = points.canvas_size
    points = points.as_subclass(torch.Tensor)
    rows = (points[:, :3, 1] + 0.5) / height
    columns = (points[:, 3:, 0] + 0.5) / width
    return torch.cat([rows, columns], dim=1)
