"""STCnet: completes a region of a frame from the rest of the frame and from its neighbours."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from torchreid_occ.ops import patch_attention
from torchreid_occ.utils.checks import check_choice

KINDS = ("spatial", "autoencoder", "temporal_autoencoder", "temporal")
FILLS = ("zero", "white")
NUM_DILATED = 4


class Completion(NamedTuple):
    """A completed frame after each generator, the rest of the frame being the original's.

    spatial: by the spatial structure generator, `(B, 3, H, W)`; temporal: the same refined by the
    second generator, None where there is none.
    """

    spatial: Tensor
    temporal: Tensor | None

    @property
    def final(self):
        """The last generator's frame."""
        return self.spatial if self.temporal is None else self.temporal


class STCnet(nn.Module):
    """Spatial structure generator and temporal attention generator.

    Reference: VRSTC, Section 3. Frames are scaled to [-1, 1].

    Args:
        kind: 'spatial' (Spa of Table 1), 'autoencoder' (Spa+AE), 'temporal_autoencoder' (Spa+TAE)
            or 'temporal' (Spa+Tem).
        width: Channels of the first convolution.
        dilations: Dilation of each of the last four convolutions of an encoder.
        deconv_kernel: Side of the deconvolutions' kernels, 3 or 4.
        batch_norm: Whether a batch normalisation follows each layer but the last.
        fill: What masked pixels are set to, 'zero' (Eq. 5) or 'white'.
        mask_channel: Whether the spatial generator sees the mask as a fourth channel.
        scale: Factor of the similarities in the temporal attention.
        aggregate: See `torchreid_occ.ops.patch_attention`.

    Shape:
        frame, previous, following: `(B, 3, H, W)`, sides multiples of 4; mask: `(B, 1, H, W)`, 1
        where the frame is to be completed.

    Raises:
        ValueError: If an option is not one of the allowed, or frames have another shape.
    """

    def __init__(
        self,
        kind="temporal",
        width=64,
        dilations=(2, 4, 8, 16),
        deconv_kernel=4,
        batch_norm=False,
        fill="zero",
        mask_channel=False,
        scale=1.0,
        aggregate="overlap",
    ):
        super().__init__()
        check_choice("kind", kind, KINDS)
        check_choice("fill", fill, FILLS)
        self.fill, self.mask_channel = fill, mask_channel
        encoder = {"dilations": tuple(dilations), "batch_norm": batch_norm}
        decoder = {"kernel": deconv_kernel, "batch_norm": batch_norm}
        self.spatial = nn.Sequential(
            Encoder(3 + mask_channel, width, **encoder), Decoder(4 * width, 2 * width, **decoder)
        )
        if kind == "spatial":
            self.temporal = None
        elif kind == "autoencoder":
            self.temporal = _Autoencoder(width, encoder, decoder)
        else:
            attention = {"scale": scale, "aggregate": aggregate} if kind == "temporal" else None
            self.temporal = TemporalGenerator(width, encoder, decoder, attention)
        self.apply(_initialise)

    def forward(self, frame, mask, previous, following):
        """Completes the masked part of frames; returns a `Completion`.

        Args:
            frame: The frames; what the mask covers is not read.
            mask: What is to be completed.
            previous: The nearest unoccluded frames before.
            following: The nearest unoccluded frames after.
        """
        _check_shapes(frame, mask, previous, following)
        kept = (1 - mask) * frame
        shown = kept + mask if self.fill == "white" else kept
        shown = torch.cat((shown, mask), dim=1) if self.mask_channel else shown
        spatial = mask * self.spatial(shown) + kept
        if self.temporal is None:
            return Completion(spatial, None)
        temporal = mask * self.temporal(spatial, previous, following) + kept
        return Completion(spatial, temporal)


class Encoder(nn.Sequential):
    """Five convolutions down to a quarter of the size, then four dilated ones.

    Reference: VRSTC, Section 3.2; widths after Iizuka et al. 2017, from which it is derived.

    Args:
        in_channels: Channels of the input.
        width: Channels of the first convolution; the result has four times as many.
        dilations: Of the last four convolutions.
        batch_norm: Whether a batch normalisation follows each convolution.

    Raises:
        ValueError: If there are not four dilations.
    """

    def __init__(self, in_channels=3, width=64, dilations=(2, 4, 8, 16), batch_norm=False):
        if len(dilations) != NUM_DILATED:
            raise ValueError(f"Received dilations {dilations}, but expected four numbers")
        channels = (in_channels, width, 2 * width, 2 * width, 4 * width, 4 * width)
        steps = []
        for index, stride in enumerate((1, 2, 1, 2, 1)):
            conv = nn.Conv2d(channels[index], channels[index + 1], 3, stride, padding=1)
            steps += _activated(conv, batch_norm)
        for dilation in dilations:
            conv = nn.Conv2d(4 * width, 4 * width, 3, padding=dilation, dilation=dilation)
            steps += _activated(conv, batch_norm)
        super().__init__(*steps)


class Decoder(nn.Sequential):
    """Two deconvolutions back to the full size, the last one's values in [-1, 1].

    Args:
        in_channels: Channels of the input.
        width: Channels between the two.
        kernel: Side of their kernels, 3 or 4.
        batch_norm: Whether a batch normalisation follows the first.

    Raises:
        ValueError: If the kernel is not one of the allowed.
    """

    def __init__(self, in_channels, width, kernel=4, batch_norm=False):
        check_choice("deconv_kernel", kernel, (3, 4))
        doubling = {"kernel_size": kernel, "stride": 2, "padding": 1, "output_padding": 4 - kernel}
        super().__init__(
            *_activated(nn.ConvTranspose2d(in_channels, width, **doubling), batch_norm),
            nn.ConvTranspose2d(width, 3, **doubling),
            nn.Tanh(),
        )


class TemporalGenerator(nn.Module):
    """Refines a completed frame by what its neighbours show.

    Reference: VRSTC, Section 3.3.

    Args:
        width: Channels of each encoder's first convolution.
        encoder: Options of each `Encoder`.
        decoder: Options of the `Decoder`.
        attention: Options of `patch_attention`, which rebuilds the current frame's map from each
            neighbour's; None joins the three maps as they are (TAE of Table 1).
    """

    def __init__(self, width, encoder, decoder, attention):
        super().__init__()
        self.current, self.previous, self.following = (
            Encoder(3, width, **encoder) for _ in range(3)
        )
        self.decoder = Decoder(3 * 4 * width, 2 * width, **decoder)
        self.attention = attention

    def forward(self, frame, previous, following):
        """Returns the refined frame; it is not yet put into the original."""
        current = self.current(frame)
        neighbours = [self.previous(previous), self.following(following)]
        if self.attention is not None:
            neighbours = [patch_attention(current, maps, **self.attention) for maps in neighbours]
        return self.decoder(torch.cat((current, *neighbours), dim=1))


class _Autoencoder(nn.Sequential):
    """AE of Table 1: the second generator's size on the completed frame alone."""

    def __init__(self, width, encoder, decoder):
        super().__init__(
            Encoder(3, 3 * width, **encoder), Decoder(3 * 4 * width, 2 * width, **decoder)
        )

    def forward(self, frame, _previous, _following):
        return super().forward(frame)


def _initialise(layer):
    """Keeps the size of signals from layer to layer, by He et al. 2015; the paper is silent.

    With PyTorch's own initialisation what differs between frames is 500 times smaller behind an
    encoder, and nothing is learned in the first few hundred steps.
    """
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        # The weight of a transposed convolution names its inputs first.
        mode = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
        nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def _activated(layer, batch_norm):
    norm = [nn.BatchNorm2d(layer.out_channels)] if batch_norm else []
    return [layer, *norm, nn.ELU()]


def _check_shapes(frame, mask, previous, following):
    if frame.dim() != 4 or frame.shape[1] != 3 or any(side % 4 for side in frame.shape[2:]):
        raise ValueError(
            f"Received frames of shape {tuple(frame.shape)}, but expected (B, 3, H, W) with sides "
            "that are multiples of 4"
        )
    if mask.shape != (len(frame), 1, *frame.shape[2:]):
        raise ValueError(
            f"Received a mask of shape {tuple(mask.shape)} for frames of {tuple(frame.shape)}, but "
            "expected one channel of the same size"
        )
    if not frame.shape == previous.shape == following.shape:
        raise ValueError(
            f"Received neighbours of shape {tuple(previous.shape)} and {tuple(following.shape)} "
            f"for frames of {tuple(frame.shape)}, but expected the same"
        )
