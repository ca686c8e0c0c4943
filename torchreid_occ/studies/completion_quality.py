"""How good completed frames are where OccWalk knows what was behind the occluder."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from torchreid_occ.completion.data import neighbours, read_frame, to_pixels
from torchreid_occ.completion.thirds import region_mask
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.utils.progress import progress


class OccludedTracklet(NamedTuple):
    """A tracklet with what is true of it; T frames in [-1, 1], N of them occluded.

    frames, clean: `(T, 3, H, W)`; occluded: `(N,)`, numbers of the occluded frames; mask:
    `(N, 1, H, W)`, 1 in their occluded regions; hidden: likewise, 1 where the occluder covers the
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


class OccludedTracklets(Dataset):
    """The tracklets of an OccWalk set that have occluded regions, each an `OccludedTracklet`.

    Args:
        tracklets: torchreid tuples of the rendering.
        clean: The same tracklets without occluders.
        occluded: `(T, 3)` of bool for each tracklet.
        hidden: Gives the pixels of a frame's person that are covered, `(H, W)` of bool at any size.
        size: Height and width of the frames.
    """

    def __init__(self, tracklets, clean, occluded, hidden, size):
        self.items = [
            (item[0], without[0], flags)
            for item, without, flags in zip(tracklets, clean, occluded, strict=True)
            if flags.any()
        ]
        self.hidden, self.size = hidden, size

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        paths, clean, flags = self.items[index]
        touched = flags.any(1)
        numbers = np.flatnonzero(touched)
        sides = np.array([neighbours(touched, number) for number in numbers])
        farther = np.abs(sides - numbers[:, None]).argmin(1)
        nearest = sides[np.arange(len(sides)), farther]
        return OccludedTracklet(
            torch.stack([read_frame(path, self.size) for path in paths]),
            torch.stack([read_frame(path, self.size) for path in clean]),
            torch.from_numpy(numbers),
            torch.stack([region_mask(flags[number], self.size) for number in numbers]),
            torch.stack([self._hidden(paths[number]) for number in numbers]),
            *(torch.from_numpy(column) for column in (sides[:, 0], sides[:, 1], nearest)),
        )

    def _hidden(self, path):
        covered = torch.from_numpy(self.hidden(path)).float()[None, None]
        return (F.interpolate(covered, self.size, mode="area")[0] >= 0.5).float()


def as_rendered(tracklet):
    """The occluded frames as they are."""
    return tracklet.frames[tracklet.occluded]


def mean_colour(tracklet):
    """Occluded regions in the mean colour of the rest of the frame, grey if there is no rest."""
    frames, kept = tracklet.frames[tracklet.occluded], 1 - tracklet.mask
    colour = (frames * kept).sum((2, 3), keepdim=True)
    colour = colour / kept.sum((2, 3), keepdim=True).clamp(min=1)
    return tracklet.mask * colour + kept * frames


def nearest_frame(tracklet):
    """Occluded regions copied from the nearest unoccluded frame."""
    frames = tracklet.frames[tracklet.occluded]
    return tracklet.mask * tracklet.frames[tracklet.nearest] + (1 - tracklet.mask) * frames


def by_generator(generator, part):
    """A filler that completes by a network, up to its 'spatial' or its 'temporal' generator."""

    def fill(tracklet):
        frames = tracklet.frames
        completion = generator(
            frames[tracklet.occluded],
            tracklet.mask,
            frames[tracklet.previous],
            frames[tracklet.following],
        )
        return getattr(completion, part)

    return fill


FILLERS = {
    "as rendered": as_rendered,
    "mean colour": mean_colour,
    "nearest unoccluded frame": nearest_frame,
}


@torch.no_grad()
def measure_quality(tracklets, fillers, extractor=None, workers=2):
    """Compares fillers on the occluded regions of tracklets.

    Args:
        tracklets: An `OccludedTracklets`.
        fillers: By name, functions from an `OccludedTracklet` to its completed occluded frames.
        extractor: Maps frames in [-1, 1], `(T, 3, H, W)`, to one feature, `(D,)`; None measures no
            distance.
        workers: Processes that read images.

    Returns:
        By filler a dict of ``psnr``, ``ssim``, ``hidden_psnr``, ``hidden_ssim``, ``alone_psnr``,
        ``alone_ssim`` and ``distance``: PSNR in decibel and SSIM inside the regions, where a person
        is covered there, and inside regions that are a frame's only one, means over frames that
        have such pixels, and
        the cosine distance of the tracklet's feature from that of the clean tracklet, mean over
        tracklets. What no frame has is left out.
    """
    found = {name: defaultdict(list) for name in fillers}
    loader = item_loader(tracklets, workers)
    for tracklet in progress(loader, "quality", unit="tracklet"):
        truth = tracklet.clean[tracklet.occluded]
        target = None if extractor is None else extractor(tracklet.clean)
        for name, fill in fillers.items():
            completed = fill(tracklet)
            alone = tracklet.mask.mean((1, 2, 3), keepdim=True) < 0.5  # a third, not two
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
            if extractor is not None:
                frames = tracklet.frames.clone()
                frames[tracklet.occluded] = completed
                distance = 1 - F.cosine_similarity(extractor(frames), target, dim=0)
                found[name]["distance"].append(distance.item())
    return {
        name: {quantity: float(np.mean(values)) for quantity, values in quantities.items()}
        for name, quantities in found.items()
    }


def _similarity(completed, truth, mask):
    """PSNR and SSIM inside a mask, of eight-bit images."""
    completed, truth = to_pixels(completed), to_pixels(truth)
    inside = mask[0].bool().numpy()
    error = {"data_range": 255}
    psnr = peak_signal_noise_ratio(truth[inside], completed[inside], **error)
    _, ssim = structural_similarity(truth, completed, channel_axis=2, full=True, **error)
    # A frame that is exactly right would have infinite PSNR; 60 dB is a quarter of a grey level.
    return min(psnr, 60.0), ssim[inside].mean()
