"""Temporal residual learning: what a sequence has in general, and what its frames add to it."""

from torch import nn


class TRL(nn.Module):
    """Mean of a BiLSTM's outputs, and mean of another's on their differences from that mean.

    Reference: TRL-ST2N, Section III.C, Eq. 7 to 15.

    Args:
        channels: Channels of the frame features.
        hidden: Units of each LSTM in each direction.
        alpha: Weight of the generic feature; 1 leaves the second BiLSTM out (BiLSTM_g of Table I),
            0 the first one's mean (BiLSTM_s).
        bidirectional: Whether the LSTMs also run backwards.

    Shape:
        features: `(B, T, C)`; result: `(B, 2 * hidden)`, or `(B, hidden)` in one direction.

    Raises:
        ValueError: If alpha is not a share.
    """

    def __init__(self, channels, hidden=512, alpha=0.5, bidirectional=True):
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError(f"Received alpha {alpha}, but expected a share from 0 to 1")
        self.alpha = alpha
        self.feature_dim = (1 + bidirectional) * hidden
        options = {"batch_first": True, "bidirectional": bidirectional}
        self.generic = nn.LSTM(channels, hidden, **options)
        self.specific = None
        if alpha < 1:
            self.specific = nn.LSTM(self.feature_dim, hidden, **options)
        self.apply(initialise_lstm)

    def forward(self, features):
        """Returns the feature of each sequence."""
        outputs, _ = self.generic(features)
        generic = outputs.mean(1)
        if self.specific is None:
            return generic
        residuals, _ = self.specific(generic[:, None] - outputs)
        return self.alpha * generic + (1 - self.alpha) * residuals.mean(1)


def initialise_lstm(module):
    """Draws an LSTM's weights as orthogonal matrices and clears its biases (Section IV.B).

    Args:
        module: A layer; other than LSTMs are left alone. For use with `nn.Module.apply`.
    """
    if isinstance(module, nn.LSTM):
        for name, parameter in module.named_parameters():
            if "weight" in name:
                for gate in parameter.data.chunk(4):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.zeros_(parameter)
