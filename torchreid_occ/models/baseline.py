"""The papers' baseline: frame features of an image network, averaged over the clip."""

from torch import nn

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import build_backbone
from torchreid_occ.models.clip_model import ClipModel, ClipOutput


class Baseline(ClipModel):
    """Image network, global average, temporal mean, batch normalisation neck, classifier.

    Reference: RFCnet, Sections 4.1 and 6.4 ("modified ResNet50"). The feature behind the neck is
    the one of the triplet term and of the test, as in the released code.

    Args:
        backbone: The trunk, a `Backbone`.
        num_classes: Number of training identities.
        neck: Whether a batch normalisation stands between the mean and the classifier (RFCnet) or
            not (VRSTC).
    """

    def __init__(self, backbone, num_classes, neck=True):
        super().__init__()
        self.backbone = backbone
        self.feature_dim = backbone.channels[-1]
        self.neck = nn.BatchNorm1d(self.feature_dim) if neck else nn.Identity()
        self.classifier = nn.Linear(self.feature_dim, num_classes)

    def forward_clip(self, clip):
        """Returns a `ClipOutput`."""
        return ClipOutput(*self.head(self.backbone(clip.flatten(0, 1)), clip.shape[1]))

    def head(self, maps, num_frames, weights=None):
        """Turns the last maps of clips of `num_frames` frames each into logits and features.

        Frames count by their `weights`, `(B, T, 1)`, or all alike.
        """
        frames = maps.mean((2, 3)).unflatten(0, (-1, num_frames))
        features = self.neck(frames.mean(1) if weights is None else (weights * frames).sum(1))
        return self.classifier(features), features


@register_model("baseline")
def baseline(
    num_classes,
    pretrained=False,
    height=256,
    width=128,
    backbone="resnet50",
    last_stride=1,
    neck=True,
):
    """Builds the papers' baseline.

    Args:
        num_classes: Number of training identities.
        pretrained: What the backbone starts from, see `build_backbone`.
        height: Height of the frames (any other works too).
        width: Width of the frames (any other works too).
        backbone: One of `BACKBONES`.
        last_stride: 1 removes the last down-sampling of a ResNet, 2 keeps it.
        neck: See `Baseline`.
    """
    return Baseline(build_backbone(backbone, pretrained, last_stride), num_classes, neck)
