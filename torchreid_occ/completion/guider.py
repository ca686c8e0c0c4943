"""The ID guider: a trained re-ID network that classifies completed frames by identity."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ.models.clip_model import ClipModel


class IdGuider(nn.Module):
    """A frozen clip model as a classifier of single frames.

    Reference: VRSTC, Section 3.5. Its weights and running statistics never change, in train mode
    neither; gradients pass through it to the frames.

    Args:
        model: A trained `ClipModel`.
        height: Height of the frames it was trained on.
        width: Width of the frames it was trained on.
        norm_mean: Mean of each channel it was trained with.
        norm_std: Standard deviation of each channel it was trained with.

    Shape:
        frame: `(B, 3, H, W)` in [-1, 1], any size; result: `(B, num_classes)`, logits.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: ClipModel,
        height: int,
        width: int,
        norm_mean: Sequence[float],
        norm_std: Sequence[float],
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.size = (height, width)
        self.register_buffer("mean", torch.tensor(norm_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(norm_std).view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "IdGuider":
        """Stays in eval mode.

        Args:
            mode: Ignored.
        """
        del mode
        return self

    def forward(self, frame: Tensor) -> Tensor:
        """Computes the logits of the training identities.

        Args:
            frame: The frames.
        """
        logits: Tensor = self.model.forward_clip(self.prepare(frame)[:, None]).logits
        return logits

    def tracklet_feature(self, frames: Tensor) -> Tensor:
        """Extracts the model's feature of a tracklet: `(T, 3, H, W)` to `(D,)`.

        Args:
            frames: All frames of the tracklet in [-1, 1].
        """
        features: Tensor = self.model(self.prepare(frames)[None])
        return features[0]

    def prepare(self, frames: Tensor) -> Tensor:
        """Scales and normalises frames as the model was trained on them.

        Args:
            frames: Frames in [-1, 1].
        """
        # Paper silent [V13]: frames are rescaled to what the guider was trained on.
        resized = F.interpolate(frames, self.size, mode="bilinear", align_corners=False)
        return ((resized + 1) / 2 - self.mean) / self.std
