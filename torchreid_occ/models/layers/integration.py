"""What STIM is compared with, read part by part like it: a mean of maps, an LSTM on means."""

from torch import nn


class MapMean(nn.Module):
    """Mean over time and space.

    Reference: RRU-STIM, Table 1, the rows without LSTM and STIM.

    Args:
        channels: Channels of the maps.

    Shape:
        maps: `(B, T, C, H, W)`; result: `(B, C)`.
    """

    def __init__(self, channels):
        super().__init__()
        self.feature_dim = channels

    def forward(self, maps):
        """Returns the feature of whole sequences."""
        return self.finish(self.extend(None, maps))

    def extend(self, state, maps):
        """Takes the next part of a sequence in; see `STIM.extend`."""
        return _added(state, maps.mean((3, 4)))

    def finish(self, state):
        """The feature of a sequence, once all of it has been taken in."""
        total, num_frames = state
        return total / num_frames


class LstmMean(nn.Module):
    """Mean over time of an LSTM's outputs on the maps' means.

    Reference: RRU-STIM, Table 1, the rows with LSTM.

    Args:
        channels: Channels of the maps.
        hidden: Units of the LSTM.

    Shape:
        maps: `(B, T, C, H, W)`; result: `(B, hidden)`.
    """

    def __init__(self, channels, hidden=256):
        super().__init__()
        self.feature_dim = hidden
        self.lstm = nn.LSTM(channels, hidden, batch_first=True)

    def forward(self, maps):
        """Returns the feature of whole sequences."""
        return self.finish(self.extend(None, maps))

    def extend(self, state, maps):
        """Takes the next part of a sequence in; see `STIM.extend`."""
        summed, memory = (None, None) if state is None else state
        outputs, memory = self.lstm(maps.mean((3, 4)), memory)
        return _added(summed, outputs), memory

    def finish(self, state):
        """The feature of a sequence, once all of it has been taken in."""
        (total, num_frames), _ = state
        return total / num_frames


def _added(state, features):
    """Sum and number of frame features so far, with more of them."""
    total, num_frames = (0, 0) if state is None else state
    return total + features.sum(1), num_frames + features.shape[1]
