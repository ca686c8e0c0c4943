"""Quality weighting: the mean over a clip weights each frame by a learned quality.

Reference: Liu, Yan, Ouyang, "Quality Aware Network for Set to Set Recognition", CVPR 2017: a
sigmoid of the middle maps gives each frame's quality, normalised by the sum over the clip.
"""

from typing import Any

from torchreid_occ._registry import register_model
from torchreid_occ.models.baseline import Baseline, baseline
from torchreid_occ.models.layers.quality import FrameQuality
from torchreid_occ.utils.signatures import takes_options_of


@register_model("qan")
@takes_options_of(baseline)
def qan(
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 256,
    width: int = 128,
    **options: Any,
) -> Baseline:
    """Builds the papers' baseline with frames weighted by their quality.

    Args:
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames (any other works too).
        width: Width of the frames (any other works too).
        **options: See `baseline`.
    """
    model = baseline(num_classes, pretrained, height, width, **options)
    # Differs from paper [Q1]: backbone, neck and objective are those of the papers' baseline.
    model.quality = FrameQuality(model.backbone.channels[2])
    return model
