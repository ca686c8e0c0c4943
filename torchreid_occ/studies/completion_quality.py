"""Quality of completed frames where ground truth shows what was behind the occluder."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from torchreid_occ._types import Item
from torchreid_occ.completion.data import neighbours, read_frame, to_pixels
from torchreid_occ.completion.network import STCnet
from torchreid_occ.completion.thirds import Flags, third_mask
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.utils.progress import progress

Name = TypeVar("Name", bound=Hashable)


class OccludedTracklet(NamedTuple):
    """A tracklet with its ground truth; T frames in [-1, 1], N of them occluded.

    frames, clean: `(T, 3, H, W)`; occluded: `(N,)`, numbers of the occluded frames; mask:
    `(N, 1, H, W)`, 1 in their occluded thirds; hidden: likewise, 1 where the occluder covers the
    person; previous, following, nearest: `(N,)`, numbers of their unoccluded neighbours.
    """

    frames: Tensor
    clean: Tensor
    occluded: Tensor
    mask: Tensor
    hidden: Tensor
    previous: Tensor
    following: Tensor
    nearest: Tensor


# Maps a tracklet to its occluded frames with the occluded thirds filled, `(N, 3, H, W)`.
Filler: TypeAlias = Callable[[OccludedTracklet], Tensor]


class OccludedTracklets(Dataset[OccludedTracklet]):
    """The tracklets of a dataset that have occluded thirds, each an `OccludedTracklet`.

    Args:
        tracklets: The tracklets.
        clean: The same tracklets without occluders.
        occluded: `(T, 3)` of bool for each tracklet.
        hidden: Maps the path of a frame to the pixels of the person that are covered, `(H, W)` of
            bool at any size.
        size: Height and width of the frames.
        interpolation: How they are resized, 'bilinear' or 'bicubic'.
    """

    def __init__(
        self,
        tracklets: Sequence[Item],
        clean: Sequence[Item],
        occluded: Sequence[Flags],
        hidden: Callable[[str], npt.NDArray[np.bool_]],
        size: tuple[int, int],
        interpolation: str = "bilinear",
    ) -> None:
        self.items = [
            (item[0], without[0], flags)
            for item, without, flags in zip(tracklets, clean, occluded, strict=True)
            if flags.any()
        ]
        self.hidden, self.size, self.interpolation = hidden, size, interpolation

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> OccludedTracklet:
        paths, clean, flags = self.items[index]
        touched = np.asarray(flags.any(1))
        numbers = np.flatnonzero(touched)
        sides = np.array([neighbours(touched, number) for number in numbers])
        closer = np.abs(sides - numbers[:, None]).argmin(1)
        nearest = sides[np.arange(len(sides)), closer]
        return OccludedTracklet(
            torch.stack([read_frame(path, self.size, self.interpolation) for path in paths]),
            torch.stack([read_frame(path, self.size, self.interpolation) for path in clean]),
            torch.from_numpy(numbers),
            torch.stack([third_mask(flags[number], self.size) for number in numbers]),
            torch.stack([self._hidden(paths[number]) for number in numbers]),
            torch.from_numpy(sides[:, 0]),
            torch.from_numpy(sides[:, 1]),
            torch.from_numpy(nearest),
        )

    def _hidden(self, path: str) -> Tensor:
        covered = torch.from_numpy(self.hidden(path)).float()[None, None]
        return (F.interpolate(covered, self.size, mode="area")[0] >= 0.5).float()


def as_rendered(tracklet: OccludedTracklet) -> Tensor:
    """Leaves the occluded frames as they are."""
    return tracklet.frames[tracklet.occluded]


def mean_colour(tracklet: OccludedTracklet) -> Tensor:
    """Fills occluded thirds with the mean colour of the rest of the frame, grey without a rest."""
    frames, kept = tracklet.frames[tracklet.occluded], 1 - tracklet.mask
    colour = (frames * kept).sum((2, 3), keepdim=True)
    colour = colour / kept.sum((2, 3), keepdim=True).clamp(min=1)
    return tracklet.mask * colour + kept * frames


def nearest_frame(tracklet: OccludedTracklet) -> Tensor:
    """Copies occluded thirds from the nearest unoccluded frame."""
    frames = tracklet.frames[tracklet.occluded]
    return tracklet.mask * tracklet.frames[tracklet.nearest] + (1 - tracklet.mask) * frames


def by_generator(generator: STCnet, part: str) -> Filler:
    """Returns a filler that completes by a network.

    Args:
        generator: The network.
        part: 'spatial' for the result of its spatial generator, 'temporal' for that of both.
    """

    def fill(tracklet: OccludedTracklet) -> Tensor:
        frames = tracklet.frames
        completion = generator(
            frames[tracklet.occluded],
            tracklet.mask,
            frames[tracklet.previous],
            frames[tracklet.following],
        )
        return completion.spatial if part == "spatial" else completion.temporal

    return fill


FILLERS: dict[str, Filler] = {
    "as rendered": as_rendered,
    "mean colour": mean_colour,
    "nearest unoccluded frame": nearest_frame,
}


@torch.no_grad()
def measure_quality(
    tracklets: Dataset[OccludedTracklet],
    fillers: Mapping[Name, Filler],
    extractor: Callable[[Tensor], Tensor] | None = None,
    workers: int = 2,
) -> dict[Name, dict[str, float]]:
    """Compares fillers on the occluded thirds of tracklets.

    Args:
        tracklets: The tracklets.
        fillers: The fillers by name.
        extractor: Maps frames in [-1, 1], `(T, 3, H, W)`, to one feature, `(D,)`; None measures no
            distance.
        workers: Processes that read images.

    Returns:
        By filler a dict of ``psnr``, ``ssim``, ``hidden_psnr``, ``hidden_ssim``, ``alone_psnr``,
        ``alone_ssim`` and ``distance``. PSNR (in decibel) and SSIM are measured inside the occluded
        thirds, where the person is covered there (``hidden_``), and inside thirds that are the
        only one of their frame (``alone_``), and averaged over the frames with such pixels. The
        distance is the cosine distance of the tracklet's feature from that of the clean tracklet,
        averaged over tracklets. A quantity that no frame has is left out.
    """
    found: dict[Name, dict[str, list[float]]] = {name: defaultdict(list) for name in fillers}
    loader = item_loader(tracklets, workers)
    for tracklet in progress(loader, "quality", unit="tracklet"):
        truth = tracklet.clean[tracklet.occluded]
        target = None if extractor is None else extractor(tracklet.clean)
        for name, fill in fillers.items():
            completed = fill(tracklet)
            alone = tracklet.mask.mean((1, 2, 3), keepdim=True) < 0.5  # one third, not two
            places = {
                "": tracklet.mask,
                "hidden_": tracklet.mask * tracklet.hidden,
                "alone_": tracklet.mask * alone,
            }
            for place, masks in places.items():
                for one, other, mask in zip(completed, truth, masks, strict=True):
                    if mask.any():
                        psnr, ssim = _similarity(one, other, mask)
                        found[name][f"{place}psnr"].append(psnr)
                        found[name][f"{place}ssim"].append(ssim)
            if extractor is not None and target is not None:
                frames = tracklet.frames.clone()
                frames[tracklet.occluded] = completed
                distance = 1 - F.cosine_similarity(extractor(frames), target, dim=0)
                found[name]["distance"].append(distance.item())
    return {
        name: {quantity: float(np.mean(values)) for quantity, values in quantities.items()}
        for name, quantities in found.items()
    }


def _similarity(completed: Tensor, truth: Tensor, mask: Tensor) -> tuple[float, float]:
    """Computes PSNR and SSIM inside a mask, of eight-bit images."""
    found, true = to_pixels(completed), to_pixels(truth)
    inside = mask[0].bool().numpy()
    psnr = peak_signal_noise_ratio(true[inside], found[inside], data_range=255)
    _, ssim = structural_similarity(true, found, channel_axis=2, full=True, data_range=255)
    # The PSNR of an exact frame is infinite; 60 dB is a quarter of a grey level.
    return min(psnr, 60.0), ssim[inside].mean()
