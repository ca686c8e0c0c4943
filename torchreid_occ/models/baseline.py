"""The papers' baseline: frame features of an image network, averaged over the clip."""

from typing import Any

from torch import Tensor, nn

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import Backbone, build_backbone
from torchreid_occ.models.clip_model import ClipModel, ClipOutput
from torchreid_occ.models.layers.initialise import initialise_classifier
from torchreid_occ.models.layers.quality import FrameQuality


class Baseline(ClipModel):
    """Image network, global average, temporal mean, batch normalisation neck, classifier.

    Reference: RFCnet, Sections 4.1 and 6.4 ("modified ResNet50"). The feature behind the neck is
    the one of the triplet term and of the test, as in the released code.

    Args:
        backbone: The image network.
        num_classes: Number of training identities.
        neck: Whether a batch normalisation stands between the mean and the classifier (RFCnet) or
            not (VRSTC).

    Attributes:
        quality: Weights the frames of a clip by the maps before the last stage, see
            `torchreid_occ.models.qan`; None for a plain mean.
    """

    def __init__(self, backbone: Backbone, num_classes: int, neck: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.origin = backbone.origin
        self.feature_dim = backbone.channels[-1]
        self.neck = nn.BatchNorm1d(self.feature_dim) if neck else nn.Identity()
        self.classifier = nn.Linear(self.feature_dim, num_classes)
        self.quality: FrameQuality | None = None

    def forward_clip(self, clip: Tensor) -> Any:
        """Returns a `ClipOutput`."""
        num_frames = clip.shape[1]
        *lower, last = self.backbone.stages
        maps = clip.flatten(0, 1)
        for stage in lower:
            maps = stage(maps)
        high = last(maps)
        return ClipOutput(*self.head(high, num_frames, self.frame_weights(maps, num_frames)))

    def frame_weights(self, maps: Tensor, num_frames: int) -> Tensor | None:
        """Computes the weights of a clip's frames, `(B, T, 1)`.

        Args:
            maps: Maps before the last stage.
            num_frames: Frames of a clip.

        Returns:
            None if all frames weigh the same.
        """
        return None if self.quality is None else self.quality(maps, num_frames)

    def head(
        self, maps: Tensor, num_frames: int, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Computes logits and features from the last maps.

        Args:
            maps: Maps of the last stage.
            num_frames: Frames of a clip.
            weights: Weights of the frames; None for a plain mean.

        Shape:
            maps: `(B * T, C, H, W)`; weights: `(B, T, 1)`; logits: `(B, num_classes)`;
            features: `(B, C)`.
        """
        frames = maps.mean((2, 3)).unflatten(0, (-1, num_frames))
        features = self.neck(frames.mean(1) if weights is None else (weights * frames).sum(1))
        return self.classifier(features), features


@register_model("baseline")
def baseline(
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 256,
    width: int = 128,
    backbone: str = "resnet50",
    last_stride: int = 1,
    neck: bool = True,
    initial_classifier: str = "pytorch",
) -> Baseline:
    """Builds the papers' baseline.

    Args:
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames (any other works too).
        width: Width of the frames (any other works too).
        backbone: As for `build_backbone`.
        last_stride: 1 removes the last down-sampling, 2 keeps it.
        neck: See `Baseline`.
        initial_classifier: 'pytorch' or 'released', see `initialise_classifier`.
    """
    model = Baseline(build_backbone(backbone, pretrained, last_stride), num_classes, neck)
    initialise_classifier(model.classifier, initial_classifier)
    return model
