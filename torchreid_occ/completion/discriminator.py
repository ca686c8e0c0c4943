"""The discriminator of completed frames."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

CHANNELS = (64, 128, 256, 512, 512, 512)


class Discriminator(nn.Module):
    """Tells original from completed frames.

    Reference: VRSTC, Section 3.4, after DCGAN. It serves as the global discriminator and, on frames
    that show the masked part alone, as the local one. The loss applies the sigmoid.

    Args:
        height: Height of the frames.
        width: Width of the frames.
        channels: Channels of the six convolutions, each of which halves the size.
        batch_norm: Whether a batch normalisation follows each convolution but the first.

    Shape:
        frame: `(B, 3, height, width)`; result: `(B,)`, logits.
    """

    def __init__(
        self,
        height: int = 128,
        width: int = 64,
        channels: Sequence[int] = CHANNELS,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for index, (before, after) in enumerate(zip((3, *channels), channels, strict=False)):
            steps.append(nn.Conv2d(before, after, 3, stride=2, padding=1))
            if batch_norm and index > 0:
                steps.append(nn.BatchNorm2d(after))
            steps.append(nn.LeakyReLU(0.2))
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        self.features = nn.Sequential(*steps)
        self.linear = nn.Linear(channels[-1] * height * width, 1)

    def forward(self, frame: Tensor) -> Tensor:
        """Computes for each frame the logit of the probability that it is original.

        Args:
            frame: The frames.
        """
        logits: Tensor = self.linear(self.features(frame).flatten(1))
        return logits.squeeze(1)
