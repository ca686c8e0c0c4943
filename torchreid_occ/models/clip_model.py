"""What every clip model has in common: the shape of its input and the form of its output."""

from typing import NamedTuple

from torch import Tensor, nn


class ClipOutput(NamedTuple):
    """The least a clip model returns in train mode."""

    logits: Tensor
    features: Tensor


class ClipModel(nn.Module):
    """Base of the models that turn a clip into one feature vector.

    A subclass sets `feature_dim` and implements `forward_clip`, which takes `(B, T, 3, H, W)` and
    returns a NamedTuple with at least `logits` and `features`.

    In eval mode the model returns the features alone. In train mode it returns the NamedTuple,
    unless `torchreid_loss` asks for what torchreid's own engines expect: the logits ('softmax')
    or the pair of logits and features ('triplet').

    A model that `carries` reads long tracklets clip by clip: `extend(state, clip)` takes the next
    frames, `(B, T, 3, H, W)`, and what it returned for those before (None at the start), and
    `finish(state)` gives the features, `(B, feature_dim)`, that one pass over all would give.
    """

    feature_dim: int
    torchreid_loss: str | None = None
    carries = False

    def forward(self, clip):
        """Runs the model on a batch of clips.

        Args:
            clip: Frames of the clips; four dimensions mean clips of one frame.

        Shape:
            clip: `(B, T, 3, H, W)` or `(B, 3, H, W)`; features: `(B, feature_dim)`.

        Raises:
            ValueError: If the input has another shape, or clips without frames.
        """
        if clip.dim() == 4:
            clip = clip.unsqueeze(1)
        if clip.dim() != 5 or clip.shape[1] == 0 or clip.shape[2] != 3:
            raise ValueError(
                f"Received a clip of shape {tuple(clip.shape)}, but expected (B, T, 3, H, W) with "
                "T >= 1, or (B, 3, H, W) for clips of one frame"
            )
        outputs = self.forward_clip(clip)
        if not self.training:
            return outputs.features
        if self.torchreid_loss == "softmax":
            return outputs.logits
        if self.torchreid_loss == "triplet":
            return outputs.logits, outputs.features
        return outputs

    def forward_clip(self, clip):
        """Computes everything the model's criterion reads."""
        raise NotImplementedError


def torchreid_builder(builder):
    """Gives a builder the arguments and its models the output that torchreid's engines expect.

    Args:
        builder: Builder of a `ClipModel`, which it builds with the builder's own defaults.
    """

    def build(num_classes, loss="softmax", pretrained=True, use_gpu=True):
        # torchreid's contract has no input size and never uses `use_gpu` to place a model.
        if loss not in ("softmax", "triplet"):
            raise ValueError(f"Received loss={loss!r}, but expected one of ['softmax', 'triplet'].")
        model = builder(num_classes, pretrained=pretrained)
        model.torchreid_loss = loss
        return model

    return build
