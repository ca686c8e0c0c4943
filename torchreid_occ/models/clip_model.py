"""What every clip model has in common: the shape of its input and the form of its output."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from torchreid_occ.models.backbones import Origin
from torchreid_occ.utils.checks import check_choice

TORCHREID_LOSSES = ("softmax", "triplet")


class ClipOutput(NamedTuple):
    """The least a clip model returns in train mode: `(B, num_classes)` and `(B, feature_dim)`."""

    logits: Tensor
    features: Tensor


class ClipModel(nn.Module):
    """Base of the models that turn a clip into one feature vector.

    A subclass sets `feature_dim` and implements `forward_clip`; `origin` says where the weights of
    its backbone come from, None if they were drawn.

    In eval mode the model returns the features alone. In train mode it returns the output of
    `forward_clip`, unless `torchreid_loss` asks for what torchreid's own engines expect: the
    logits ('softmax') or the pair of logits and features ('triplet').

    A model with `carries` can also read long tracklets clip by clip, with `extend` and `finish`.
    """

    feature_dim: int
    torchreid_loss: str | None = None
    origin: Origin | None = None
    carries = False

    def forward(self, clip: Tensor) -> Any:
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

    def forward_clip(self, clip: Tensor) -> Any:
        """Computes everything the model's criterion reads.

        Args:
            clip: Frames, `(B, T, 3, H, W)`.

        Returns:
            A NamedTuple with at least `logits` and `features`.
        """
        raise NotImplementedError

    def extend(self, state: Any, clip: Tensor) -> Any:
        """Reads the next frames of tracklets, for models with `carries`.

        Args:
            state: The result for the frames before; None at the start.
            clip: The next frames, `(B, T, 3, H, W)`.

        Returns:
            The state after these frames.
        """
        raise NotImplementedError

    def finish(self, state: Any) -> Tensor:
        """Computes the features, `(B, feature_dim)`, that one pass over all frames gives.

        Args:
            state: The result of `extend` for the last frames.
        """
        raise NotImplementedError


def torchreid_builder(builder: Callable[..., ClipModel]) -> Callable[..., ClipModel]:
    """Returns a builder with the arguments and the output that torchreid's engines expect.

    Args:
        builder: Builder of a `ClipModel`, called with its own defaults.
    """

    def build(
        num_classes: int, loss: str = "softmax", pretrained: bool = True, use_gpu: bool = True
    ) -> ClipModel:
        # torchreid's contract has no input size and never uses `use_gpu` to place a model.
        check_choice("loss", loss, TORCHREID_LOSSES)
        model = builder(num_classes, pretrained=pretrained)
        model.torchreid_loss = loss
        return model

    return build
