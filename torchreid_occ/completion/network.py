"""STCnet: completes a part of a frame from the rest of the frame and from its neighbours."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from torchreid_occ.ops import patch_attention
from torchreid_occ.utils.checks import check_choice

KINDS = ("spatial", "autoencoder", "temporal_autoencoder", "temporal")
FILLS = ("zero", "white")
AUTOENCODERS = ("equal", "triple")
NUM_DILATED = 4


class Completion(NamedTuple):
    """Completed frames after each generator; pixels that are not masked are the original's.

    spatial: after the spatial structure generator, `(B, 3, H, W)`; temporal: after the second
    generator, which refines them, or None without one.
    """

    spatial: Tensor
    temporal: Tensor | None

    @property
    def final(self) -> Tensor:
        """The last generator's frames."""
        return self.spatial if self.temporal is None else self.temporal


class _EncoderOptions(TypedDict):
    dilations: tuple[int, ...]
    batch_norm: bool


class _DecoderOptions(TypedDict):
    kernel: int
    batch_norm: bool


class _AttentionOptions(TypedDict):
    scale: float
    aggregate: str


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
        autoencoder: Width of the encoder of Spa+AE: 'equal' gives it the parameters of Spa+Tem,
            'triple' three times the channels.

    Shape:
        frame, previous, following: `(B, 3, H, W)`, sides multiples of 4; mask: `(B, 1, H, W)`, 1
        where the frame is to be completed.

    Raises:
        ValueError: If an option is not one of the allowed, or frames have another shape.
    """

    def __init__(
        self,
        kind: str = "temporal",
        width: int = 64,
        # Paper silent [V1]: widths, dilations and no normalisation are those of Iizuka et al. 2017.
        dilations: Sequence[int] = (2, 4, 8, 16),
        # Paper silent [V18]: 4 doubles the size evenly.
        deconv_kernel: int = 4,
        batch_norm: bool = False,
        fill: str = "zero",
        mask_channel: bool = False,
        scale: float = 1.0,
        # Paper silent [V7]: overlaps are averaged.
        aggregate: str = "overlap",
        autoencoder: str = "equal",
    ) -> None:
        super().__init__()
        check_choice("kind", kind, KINDS)
        check_choice("autoencoder", autoencoder, AUTOENCODERS)
        check_choice("fill", fill, FILLS)
        self.fill, self.mask_channel = fill, mask_channel
        encoder: _EncoderOptions = {"dilations": tuple(dilations), "batch_norm": batch_norm}
        decoder: _DecoderOptions = {"kernel": deconv_kernel, "batch_norm": batch_norm}
        self.spatial = nn.Sequential(
            Encoder(3 + mask_channel, width, **encoder), Decoder(4 * width, 2 * width, **decoder)
        )
        self.temporal: nn.Module | None = None
        if kind == "autoencoder":
            # Differs from paper [V16]: "to control for the total number of parameters" and "three
            # times the filters" contradict each other: 12.0 M of the former, 32.8 M of the latter.
            wide = 3 * width if autoencoder == "triple" else _equal_width(width, encoder, decoder)
            self.temporal = _Autoencoder(wide, 2 * width, encoder, decoder)
        elif kind != "spatial":
            attention: _AttentionOptions = {"scale": scale, "aggregate": aggregate}
            self.temporal = TemporalGenerator(
                width, encoder, decoder, attention if kind == "temporal" else None
            )
        self.apply(_initialise)

    def forward(
        self, frame: Tensor, mask: Tensor, previous: Tensor, following: Tensor
    ) -> Completion:
        """Completes the masked part of frames.

        Args:
            frame: The frames; masked pixels are not read.
            mask: The pixels to complete.
            previous: The nearest unoccluded frames before.
            following: The nearest unoccluded frames after.
        """
        _check_shapes(frame, mask, previous, following)
        kept = (1 - mask) * frame
        # Paper silent [V3]: "white" in the text is zero in Eq. 5.
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
        dilations: Dilation of each of the last four convolutions.
        batch_norm: Whether a batch normalisation follows each convolution.

    Raises:
        ValueError: If there are not four dilations.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 64,
        dilations: Sequence[int] = (2, 4, 8, 16),
        batch_norm: bool = False,
    ) -> None:
        if len(dilations) != NUM_DILATED:
            raise ValueError(f"Received dilations {dilations}, but expected four numbers")
        channels = (in_channels, width, 2 * width, 2 * width, 4 * width, 4 * width)
        steps: list[nn.Module] = []
        for index, stride in enumerate((1, 2, 1, 2, 1)):
            conv = nn.Conv2d(channels[index], channels[index + 1], 3, stride, padding=1)
            steps += _activated(conv, batch_norm)
        for dilation in dilations:
            conv = nn.Conv2d(4 * width, 4 * width, 3, padding=dilation, dilation=dilation)
            steps += _activated(conv, batch_norm)
        super().__init__(*steps)


class Decoder(nn.Sequential):
    """Two deconvolutions back to the full size, with results in [-1, 1].

    Args:
        in_channels: Channels of the input.
        width: Channels after the first deconvolution.
        kernel: Side of the kernels, 3 or 4.
        batch_norm: Whether a batch normalisation follows the first deconvolution.

    Raises:
        ValueError: If the kernel is not one of the allowed.
    """

    def __init__(
        self, in_channels: int, width: int, kernel: int = 4, batch_norm: bool = False
    ) -> None:
        check_choice("deconv_kernel", kernel, (3, 4))
        super().__init__(
            *_activated(_doubling(in_channels, width, kernel), batch_norm),
            _doubling(width, 3, kernel),
            nn.Tanh(),
        )


class TemporalGenerator(nn.Module):
    """Refines completed frames by their neighbours.

    Reference: VRSTC, Section 3.3.

    Args:
        width: Channels of each encoder's first convolution.
        encoder: Options of each `Encoder`.
        decoder: Options of the `Decoder`.
        attention: Options of `patch_attention`, which rebuilds the current frame's map from each
            neighbour's; None joins the three maps as they are (TAE of Table 1).
    """

    def __init__(
        self,
        width: int,
        encoder: _EncoderOptions,
        decoder: _DecoderOptions,
        attention: _AttentionOptions | None,
    ) -> None:
        super().__init__()
        self.current, self.previous, self.following = (
            Encoder(3, width, **encoder) for _ in range(3)
        )
        self.decoder = Decoder(3 * 4 * width, 2 * width, **decoder)
        # Paper silent [V6]: Eq. 2 prints no scale of the softmax, so it is 1.
        self.attention = attention

    def forward(self, frame: Tensor, previous: Tensor, following: Tensor) -> Tensor:
        """Computes refined frames, masked and unmasked pixels alike.

        Args:
            frame: Frames completed by the spatial structure generator.
            previous: The nearest unoccluded frames before.
            following: The nearest unoccluded frames after.
        """
        current = self.current(frame)
        neighbours = [self.previous(previous), self.following(following)]
        if self.attention is not None:
            neighbours = [patch_attention(current, maps, **self.attention) for maps in neighbours]
        refined: Tensor = self.decoder(torch.cat((current, *neighbours), dim=1))
        return refined


class _Autoencoder(nn.ModuleList):
    """AE of Table 1: a second generator that reads the completed frame alone.

    Args:
        width: Channels of the encoder's first convolution.
        decoded: Channels after the first deconvolution.
        encoder: Options of the `Encoder`.
        decoder: Options of the `Decoder`.
    """

    def __init__(
        self, width: int, decoded: int, encoder: _EncoderOptions, decoder: _DecoderOptions
    ) -> None:
        super().__init__([Encoder(3, width, **encoder), Decoder(4 * width, decoded, **decoder)])

    def forward(self, frame: Tensor, _previous: Tensor, _following: Tensor) -> Tensor:
        encoder, decoder = self
        refined: Tensor = decoder(encoder(frame))
        return refined


def _equal_width(width: int, encoder: _EncoderOptions, decoder: _DecoderOptions) -> int:
    """Returns the width at which an autoencoder's parameters are nearest the temporal generator's.

    Args:
        width: That of the temporal generator.
        encoder: Options of each `Encoder`.
        decoder: Options of each `Decoder`.
    """

    def parameters(network: nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    with torch.device("meta"):
        wanted = parameters(TemporalGenerator(width, encoder, decoder, None))
        found = {
            wide: parameters(_Autoencoder(wide, 2 * width, encoder, decoder))
            for wide in range(width, 3 * width + 1)
        }
    return min(found, key=lambda wide: abs(found[wide] - wanted))


def _initialise(layer: nn.Module) -> None:
    """Initialises convolutions by He et al. 2015, which keeps the variance; the paper gives none.

    With PyTorch's default, differences between frames are 500 times smaller after an encoder, and
    nothing is learned in the first few hundred steps.
    """
    # Paper silent [V2]: PyTorch's own initialisation learns nothing for hundreds of steps.
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        # The first dimension of a transposed convolution's weight is that of its inputs.
        transposed = isinstance(layer, nn.ConvTranspose2d)
        mode: Literal["fan_in", "fan_out"] = "fan_out" if transposed else "fan_in"
        nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)


def _activated(layer: nn.Conv2d | nn.ConvTranspose2d, batch_norm: bool) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(layer.out_channels)] if batch_norm else []
    return [layer, *norm, nn.ELU()]


def _doubling(in_channels: int, out_channels: int, kernel: int) -> nn.ConvTranspose2d:
    """Returns a deconvolution that doubles the size."""
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel, stride=2, padding=1, output_padding=4 - kernel
    )


def _check_shapes(frame: Tensor, mask: Tensor, previous: Tensor, following: Tensor) -> None:
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
