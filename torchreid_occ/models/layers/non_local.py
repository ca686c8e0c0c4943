"""Non-local block: attention of each unit of a clip's maps to all units of all its frames."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Keys(NamedTuple):
    """Keys and values of all frames of clips, each `(B, 1, units, D)`."""

    keys: Tensor
    values: Tensor


class NonLocal(nn.Module):
    """Embedded-Gaussian attention over space and time, added to the map.

    Reference: VRSTC, Section 5.2, after Wang et al. 2018: half the channels inside, keys and values
    sub-sampled in space, and a last normalisation with gamma 0 at first, so that a new block is the
    identity.

    Args:
        channels: Channels of the map.
        scaled_attention: Whether to divide similarities by the square root of the inner channels.
        max_key_frames: Where not 0, keys and values of a longer clip are sub-sampled in time, too,
            to at most so many frames.

    Shape:
        maps: `(B * T, C, H, W)`; result: the same.
    """

    def __init__(
        self, channels: int, scaled_attention: bool = False, max_key_frames: int = 0
    ) -> None:
        super().__init__()
        inner = channels // 2
        # Paper silent [V9]: details are those of Wang et al. 2018, without a scale.
        self.scale = inner**-0.5 if scaled_attention else 1.0
        self.max_key_frames = max_key_frames
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, inner, 1)
        norm = nn.BatchNorm2d(channels)
        self.output = nn.Sequential(nn.Conv2d(inner, channels, 1), norm)
        nn.init.zeros_(norm.weight)

    def forward(self, maps: Tensor, num_frames: int) -> Tensor:
        """Returns the maps of clips of `num_frames` frames each plus the block's residual."""
        return self.attend(maps, self.keys([maps], num_frames))

    def keys(self, parts: Sequence[Tensor], num_frames: int) -> Keys:
        """Computes the keys and values of clips.

        Args:
            parts: The maps of all frames, in order, cut anywhere.
            num_frames: Frames of a clip.
        """
        # ceil_mode keeps the only row or column of a map.
        pooled = torch.cat([F.max_pool2d(part, 2, ceil_mode=True) for part in parts])
        if 0 < self.max_key_frames < num_frames:
            # Differs from paper [V15]: Wang et al. pool keys and values in space alone.
            window = -(-num_frames // self.max_key_frames)
            groups = pooled.unflatten(0, (-1, num_frames)).split(window, dim=1)
            pooled = torch.stack([group.amax(1) for group in groups], dim=1).flatten(0, 1)
            num_frames = len(groups)
        return Keys(*(_tokens(embed(pooled), num_frames) for embed in (self.key, self.value)))

    def attend(self, maps: Tensor, known: Keys) -> Tensor:
        """Returns maps plus the block's residual.

        Args:
            maps: The maps of all frames of the clips, or of some frames of a single clip.
            known: Keys and values of the clips.
        """
        num_frames = maps.shape[0] // known.keys.shape[0]
        query = _tokens(self.query(maps), num_frames)
        # The fused kernel does not store the matrix of all pairs, so clips may be long.
        found = F.scaled_dot_product_attention(query, *known, scale=self.scale).squeeze(1)
        found = found.unflatten(1, (num_frames, -1)).flatten(0, 1).transpose(1, 2)
        return maps + self.output(found.unflatten(2, maps.shape[-2:]))


def _tokens(maps: Tensor, num_frames: int) -> Tensor:
    """Units of a clip's maps as rows of one head: `(B * T, D, H, W)` to `(B, 1, T * H * W, D)`."""
    units = maps.flatten(2).transpose(1, 2)
    return torch.reshape(units, (-1, 1, num_frames * units.shape[1], units.shape[2]))
