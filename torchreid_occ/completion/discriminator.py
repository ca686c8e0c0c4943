"""The discriminator of completed frames."""

import math

from torch import nn

CHANNELS = (64, 128, 256, 512, 512, 512)


class Discriminator(nn.Module):
    """Says how real a frame looks.

    Reference: VRSTC, Section 3.4, in the manner of DCGAN; one serves as the global discriminator
    and one, which sees what the mask covers, as the local one. Their sigmoid is in the loss.

    Args:
        height: Height of the frames.
        width: Width of the frames.
        channels: Channels of the six convolutions, each of which halves the size.
        batch_norm: Whether a batch normalisation follows each but the first.

    Shape:
        frame: `(B, 3, height, width)`; result: `(B,)`, logits.
    """

    def __init__(self, height=128, width=64, channels=CHANNELS, batch_norm=False):
        super().__init__()
        steps, size = [], (height, width)
        for index, (before, after) in enumerate(zip((3, *channels), channels, strict=False)):
            steps.append(nn.Conv2d(before, after, 3, stride=2, padding=1))
            if batch_norm and index > 0:
                steps.append(nn.BatchNorm2d(after))
            steps.append(nn.LeakyReLU(0.2))
            size = tuple(math.ceil(side / 2) for side in size)
        self.features = nn.Sequential(*steps)
        self.linear = nn.Linear(channels[-1] * math.prod(size), 1)

    def forward(self, frame):
        """Returns the logit of "this frame is real" for each frame."""
        return self.linear(self.features(frame).flatten(1)).squeeze(1)
