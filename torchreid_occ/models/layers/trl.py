"""Temporal residual learning: a generic feature of a sequence, and residuals of its frames."""

from torch import Tensor, nn

from torchreid_occ.utils.checks import check_share


class TRL(nn.Module):
    """Mean of a BiLSTM's outputs, plus the mean of a second BiLSTM on their residuals.

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

    def __init__(
        self,
        channels: int,
        hidden: int = 512,
        alpha: float = 0.5,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        check_share("alpha", alpha)
        self.alpha = alpha
        self.feature_dim = (1 + bidirectional) * hidden

        def lstm(inputs: int) -> nn.LSTM:
            return nn.LSTM(inputs, hidden, batch_first=True, bidirectional=bidirectional)

        self.generic = lstm(channels)
        self.specific = lstm(self.feature_dim) if alpha < 1 else None
        self.apply(initialise_lstm)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the feature of each sequence."""
        outputs, _ = self.generic(features)
        generic = outputs.mean(1)
        if self.specific is None:
            return generic
        residuals, _ = self.specific(generic[:, None] - outputs)
        return self.alpha * generic + (1 - self.alpha) * residuals.mean(1)


def initialise_lstm(module: nn.Module) -> None:
    """Draws an LSTM's weights as orthogonal matrices and sets its biases to 0 (Section IV.B).

    Args:
        module: A layer; others than LSTMs stay unchanged. For use with `nn.Module.apply`.
    """
    if isinstance(module, nn.LSTM):
        for name, parameter in module.named_parameters():
            if "weight" in name:
                for gate in parameter.data.chunk(4):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.zeros_(parameter)
