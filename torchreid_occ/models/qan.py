"""Quality weighting: frames of a clip count by how good the network finds them."""

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import build_backbone
from torchreid_occ.models.baseline import Baseline
from torchreid_occ.models.clip_model import ClipOutput
from torchreid_occ.models.layers.quality import FrameQuality


class QAN(Baseline):
    """Image network, mean of the frames weighted by their quality, neck and classifier.

    The first of the answers to occlusion: weigh frames, rather than discard or complete them.

    Reference: Liu, Yan, Ouyang, "Quality Aware Network for Set to Set Recognition", CVPR 2017:
    a sigmoid of the middle maps gives each frame's quality, normalised by the sum over the clip.
    Backbone, neck and objective are those of the papers' baseline, not that paper's.

    Args:
        backbone: The trunk, a `Backbone` of four stages.
        num_classes: Number of training identities.
        neck: See `Baseline`.
    """

    def __init__(self, backbone, num_classes, neck=True):
        super().__init__(backbone, num_classes, neck)
        self.quality = FrameQuality(backbone.channels[2])

    def forward_clip(self, clip):
        """Returns a `ClipOutput`."""
        *lower, last = self.backbone.stages
        maps = clip.flatten(0, 1)
        for stage in lower:
            maps = stage(maps)
        return ClipOutput(*self.head(last(maps), clip.shape[1], self.quality(maps, clip.shape[1])))


@register_model("qan")
def qan(
    num_classes,
    pretrained=False,
    height=256,
    width=128,
    backbone="resnet50",
    last_stride=1,
    neck=True,
):
    """Builds the papers' baseline with frames weighted by their quality.

    Args:
        num_classes: Number of training identities.
        pretrained: What the backbone starts from, see `build_backbone`.
        height: Height of the frames (any other works too).
        width: Width of the frames (any other works too).
        backbone: One of `BACKBONES`.
        last_stride: 1 removes the last down-sampling of a ResNet, 2 keeps it.
        neck: See `Baseline`.
    """
    return QAN(build_backbone(backbone, pretrained, last_stride), num_classes, neck)
