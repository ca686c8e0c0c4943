"""The ID guider: a trained re-ID network that says whom a completed frame shows."""

import torch
from torch import nn
from torch.nn import functional as F


class IdGuider(nn.Module):
    """A frozen clip model as a classifier of single frames.

    Reference: VRSTC, Section 3.5. Its weights and its running statistics never change, whatever
    mode it is put into; gradients pass through it to the frames.

    Args:
        model: A trained `ClipModel`.
        height: Height of the frames it was trained on.
        width: Width of the frames it was trained on.
        norm_mean: Mean of each channel it was trained with.
        norm_std: Standard deviation of each channel it was trained with.

    Shape:
        frame: `(B, 3, H, W)` in [-1, 1], any size; result: `(B, num_classes)`, logits.
    """

    def __init__(self, model, height, width, norm_mean, norm_std):
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.size = (height, width)
        self.register_buffer("mean", torch.tensor(norm_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(norm_std).view(3, 1, 1), persistent=False)

    def train(self, mode=True):
        """Stays in eval mode."""
        del mode
        return self

    def forward(self, frame):
        """Returns the logits of the training identities."""
        return self.model.forward_clip(self.prepare(frame)[:, None]).logits

    def tracklet_feature(self, frames):
        """The model's feature of a tracklet: `(T, 3, H, W)` to `(D,)`."""
        return self.model(self.prepare(frames)[None])[0]

    def prepare(self, frames):
        """Frames as the model was trained on them."""
        resized = F.interpolate(frames, self.size, mode="bilinear", align_corners=False)
        return ((resized + 1) / 2 - self.mean) / self.std
