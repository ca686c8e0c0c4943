"""Integration of a sequence's maps into one feature: a mean of maps, or an LSTM on means."""

from typing import Any

from torch import Tensor, nn


class Integration(nn.Module):
    """Base of the modules that turn the maps of a sequence into one feature.

    In eval mode, parts read one after the other by `extend` give what the whole sequence gives.

    Args:
        feature_dim: Length of the feature.

    Shape:
        maps: `(B, T, C, H, W)`; result: `(B, feature_dim)`.
    """

    def __init__(self, feature_dim: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the feature of whole sequences."""
        return self.finish(self.extend(None, maps))

    def extend(self, state: Any, maps: Tensor) -> Any:
        """Reads the next part of a sequence.

        Args:
            state: The result for the part before; None at the start.
            maps: The next maps, in temporal order.

        Returns:
            The state after them.
        """
        raise NotImplementedError

    def finish(self, state: Any) -> Tensor:
        """Returns the feature of a sequence after its last part.

        Args:
            state: The result of `extend` for that part.
        """
        raise NotImplementedError


class MapMean(Integration):
    """Mean over time and space.

    Reference: RRU-STIM, Table 1, the rows without LSTM and STIM.

    Args:
        channels: Channels of the maps, and length of the feature.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def extend(self, state: tuple[Tensor, int] | None, maps: Tensor) -> tuple[Tensor, int]:
        """Reads the next part of a sequence, see `Integration.extend`."""
        return _added(state, maps.mean((3, 4)))

    def finish(self, state: tuple[Tensor, int]) -> Tensor:
        """Returns the feature of a sequence after its last part."""
        total, num_frames = state
        return total / num_frames


class LstmMean(Integration):
    """Mean over time of an LSTM's outputs on the maps' means.

    Reference: RRU-STIM, Table 1, the rows with LSTM.

    Args:
        channels: Channels of the maps.
        hidden: Units of the LSTM, and length of the feature.
    """

    def __init__(self, channels: int, hidden: int = 256) -> None:
        super().__init__(hidden)
        self.lstm = nn.LSTM(channels, hidden, batch_first=True)

    def extend(
        self, state: tuple[tuple[Tensor, int], Any] | None, maps: Tensor
    ) -> tuple[tuple[Tensor, int], Any]:
        """Reads the next part of a sequence, see `Integration.extend`."""
        summed, memory = (None, None) if state is None else state
        outputs, memory = self.lstm(maps.mean((3, 4)), memory)
        return _added(summed, outputs), memory

    def finish(self, state: tuple[tuple[Tensor, int], Any]) -> Tensor:
        """Returns the feature of a sequence after its last part."""
        (total, num_frames), _ = state
        return total / num_frames


def _added(state: tuple[Tensor, int] | None, features: Tensor) -> tuple[Tensor, int]:
    """Sum and number of frame features so far, with more of them."""
    if state is None:
        return features.sum(1), features.shape[1]
    return state[0] + features.sum(1), state[1] + features.shape[1]
