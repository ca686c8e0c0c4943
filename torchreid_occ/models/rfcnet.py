"""RFCnet: an image network with region feature completion blocks behind some of its stages."""

from typing import NamedTuple

from torch import Tensor, nn

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import build_backbone
from torchreid_occ.models.baseline import Baseline
from torchreid_occ.models.layers.foreground_mask import ForegroundMask
from torchreid_occ.models.layers.quality import FrameQuality
from torchreid_occ.models.layers.rfc import ARRANGEMENTS, RFC, RfcOutput
from torchreid_occ.utils.checks import check_choice


class RfcnetOutput(NamedTuple):
    """What RFCnet's criterion and pictures read; `blocks` follows the network's order."""

    logits: Tensor
    features: Tensor
    blocks: tuple[RfcOutput, ...]


class RFCnet(Baseline):
    """The papers' baseline with blocks behind chosen stages.

    Reference: RFCnet, Section 4.1.

    Args:
        backbone: The trunk, a `Backbone`.
        blocks: Block by the number of the stage (from 1) that it follows.
        num_classes: Number of training identities.
        size: Height and width of the frames.
        weigh_frames: Whether frames count by their quality, as in `QAN`, or all alike.

    Raises:
        ValueError: When called with frames of another size.
    """

    def __init__(self, backbone, blocks, num_classes, size, weigh_frames=False):
        super().__init__(backbone, num_classes)
        # Differs from paper: there is no such weighting; off unless asked for.
        self.quality = FrameQuality(backbone.channels[-2]) if weigh_frames else None
        self.blocks = nn.ModuleDict({str(stage): block for stage, block in blocks.items()})
        self.size = tuple(size)

    def forward_clip(self, clip):
        """Returns an `RfcnetOutput`."""
        if clip.shape[-2:] != self.size:
            raise ValueError(
                f"Received frames of {clip.shape[-2]}x{clip.shape[-1]}, but the model was built "
                f"for {self.size[0]}x{self.size[1]}: build it with the height and width of the data"
            )
        num_frames = clip.shape[1]
        maps, weights, found = clip.flatten(0, 1), None, []
        for number, stage in enumerate(self.backbone.stages, start=1):
            if self.quality is not None and number == len(self.backbone.stages):
                weights = self.quality(maps, num_frames)
            maps = stage(maps)
            if str(number) in self.blocks:
                maps, output = self.blocks[str(number)](maps, num_frames)
                found.append(output)
        return RfcnetOutput(*self.head(maps, num_frames, weights), tuple(found))


@register_model("rfcnet")
def rfcnet(
    num_classes,
    pretrained=False,
    height=256,
    width=128,
    backbone="resnet50",
    last_stride=1,
    stages=(2, 3),
    arrangement="S-T",
    partition="apu",
    num_regions=6,
    allow_empty=False,
    foreground=True,
    region_feature="paper",
    initial_scale=0.0,
    projection="random",
    position="center",
    assignment="both",
    scaled_attention=False,
    gate="scalar",
    weigh_frames=False,
):
    """Builds RFCnet, or any variant of the paper's Tables 8 and 9 and Fig. 7.

    The image model is `arrangement='S'`; the paper's model without external clues is
    `partition='fixed', foreground=False`.

    Args:
        num_classes: Number of training identities.
        pretrained: What the backbone starts from, see `build_backbone`.
        height: Height of the frames.
        width: Width of the frames.
        backbone: One of `BACKBONES`.
        last_stride: 1 removes the last down-sampling of a ResNet, 2 keeps it.
        stages: Numbers, from 1, of the stages that a block follows.
        arrangement: 'S', 'T', 'S-T', 'T-S' or 'S+T' as in `RFC`, or 'foreground' to multiply by
            the foreground map and complete nothing.
        partition: 'apu', 'fixed' or 'stn'.
        num_regions: Number of regions, 3 to 8.
        allow_empty: Whether the lines of 'apu' may leave regions empty (Fig. 9).
        foreground: Whether a foreground map weights the region features.
        region_feature: 'paper' (Eq. 2), 'masked' (Section 3.4) or 'official' (released code), see
            `RegionBranch`.
        initial_scale: How loudly blocks start to speak, from 0 (released code) to 1, see
            `RegionBranch`; one number, or one for each letter of the arrangement.
        projection: How a block's projections start, 'random' (released code) or 'paired', see
            `RegionBranch`.
        position: 'center' (paper) or 'official_topleft' (released code).
        assignment: 'both', 'appearance' (SRFC-A), 'position' (SRFC-P) or 'fixed'
            (Keypoint-Select).
        scaled_attention: Whether TRFC divides similarities by the square root of the channels.
        gate: 'scalar' or 'channel' weights in TRFC.
        weigh_frames: Whether frames count by their quality, as in `QAN` (not in the paper).

    Raises:
        ValueError: If an option is not one of the allowed, or the frames are too small.
    """
    trunk = build_backbone(backbone, pretrained, last_stride)
    _check_blocks(stages, len(trunk.stages), arrangement, foreground)
    sizes = trunk.map_sizes(height, width)
    blocks = {}
    for stage in sorted(stages):
        channels = trunk.channels[stage - 1]
        if arrangement == "foreground":
            blocks[stage] = ForegroundMask(channels)
            continue
        blocks[stage] = RFC(
            channels,
            *sizes[stage - 1],
            arrangement=arrangement,
            partition=partition,
            num_regions=num_regions,
            allow_empty=allow_empty,
            foreground=foreground,
            region_feature=region_feature,
            initial_scale=initial_scale,
            projection=projection,
            position=position,
            assignment=assignment,
            scaled_attention=scaled_attention,
            gate=gate,
        )
    return RFCnet(trunk, blocks, num_classes, (height, width), weigh_frames)


def _check_blocks(stages, num_stages, arrangement, foreground):
    allowed = range(1, num_stages + 1)
    is_list = isinstance(stages, (list, tuple)) and len(stages) == len(set(stages)) > 0
    if not is_list or any(stage not in allowed for stage in stages):
        raise ValueError(
            f"Received stages {stages!r}, but expected a list of some of {[*allowed]}, each once"
        )
    arrangements = (*ARRANGEMENTS, "foreground")
    check_choice("arrangement", arrangement, arrangements)
    if arrangement == "foreground" and not foreground:
        raise ValueError('Received foreground False, but arrangement "foreground" needs it')
