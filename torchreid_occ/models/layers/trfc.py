"""Temporal region feature completion: attention of a region to itself in the other frames."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from torchreid_occ.utils.checks import check_choice

GATES = ("scalar", "channel")


class TrfcOutput(NamedTuple):
    """Output of TRFC for the N region features of each of F frames.

    initial, completed: `(F, N, D)`; gate: `(F, N, 1)` or `(F, N, D)`; attention: `(B, N, T, T)`.
    Gate and attention are None for clips of one frame, which have no other frames to attend.
    """

    initial: Tensor
    completed: Tensor
    gate: Tensor | None
    attention: Tensor | None


class TRFC(nn.Module):
    """Query-memory attention between the frames of a clip, added by a gate.

    Reference: RFCnet, Section 3.4, Eq. 10 and 11. For a clip of one frame Eq. 10 is an empty
    softmax: its features stay unchanged, as do those of a clip of identical frames.

    Args:
        channels: Channels of the region features.
        scaled_attention: Whether to divide the similarities by the square root of `channels`.
        gate: 'scalar', one weight per region and frame (the paper's parameter counts allow no
            other), or 'channel', one per channel.

    Shape:
        features: `(B * T, N, D)`.

    Raises:
        ValueError: If the gate is not one of the allowed.
    """

    def __init__(self, channels: int, scaled_attention: bool = False, gate: str = "scalar") -> None:
        super().__init__()
        check_choice("gate", gate, GATES)
        # Paper silent [R12]: Eq. 10 prints no scale.
        self.scale = channels**-0.5 if scaled_attention else 1.0
        self.gate = nn.Linear(channels, 1 if gate == "scalar" else channels)
        # Paper silent [R13]: W of Eq. 11 is not negative; ReLU keeps it so.
        with torch.no_grad():  # behind the ReLU, negative weights would have no gradient
            self.gate.weight.abs_()
            self.gate.bias.zero_()

    def forward(self, features: Tensor, num_frames: int) -> TrfcOutput:
        """Completes the features of clips of `num_frames` frames each; see `TrfcOutput`."""
        # Paper silent [R11]: Eq. 10 is an empty softmax for one frame.
        if not torch.compiler.is_exporting() and num_frames == 1:
            return TrfcOutput(features, features, None, None)
        tracks = features.unflatten(0, (-1, num_frames)).transpose(1, 2)  # (B, N, T, D)
        similarity = self.scale * (tracks @ tracks.transpose(2, 3))
        itself = torch.eye(num_frames, dtype=torch.bool, device=features.device)
        # Finite, as an exported graph has no branches: there, a single frame attends to itself.
        least = torch.finfo(similarity.dtype).min
        attention = similarity.masked_fill(itself, least).softmax(3)
        context = (attention.to(tracks.dtype) @ tracks).transpose(1, 2).flatten(0, 1)
        weight = torch.relu(self.gate.weight)
        gate = torch.sigmoid(nn.functional.linear(features, weight, self.gate.bias))
        completed = gate * features + (1 - gate) * context
        return TrfcOutput(features, completed, gate, attention)
