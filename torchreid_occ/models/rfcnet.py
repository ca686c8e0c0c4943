"""RFCnet: an image network with region feature completion blocks behind some of its stages."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import Backbone, build_backbone
from torchreid_occ.models.baseline import Baseline
from torchreid_occ.models.layers.foreground_mask import ForegroundMask
from torchreid_occ.models.layers.initialise import initialise_classifier
from torchreid_occ.models.layers.quality import FrameQuality
from torchreid_occ.models.layers.rfc import ARRANGEMENTS, RFC, RfcOutput
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.signatures import takes_options_of


class RfcnetOutput(NamedTuple):
    """What RFCnet's criterion and figures read; `blocks` follows the network's order."""

    logits: Tensor
    features: Tensor
    blocks: tuple[RfcOutput, ...]


class RFCnet(Baseline):
    """The papers' baseline with blocks behind chosen stages.

    Reference: RFCnet, Section 4.1.

    Args:
        backbone: The image network.
        blocks: Block by the number of the stage (from 1) that it follows.
        num_classes: Number of training identities.
        size: Height and width of the frames.
        weigh_frames: Whether frames are weighted by their quality, as in `qan`.

    Raises:
        ValueError: When called with frames of another size.
    """

    def __init__(
        self,
        backbone: Backbone,
        blocks: Mapping[int, RFC | ForegroundMask],
        num_classes: int,
        size: tuple[int, int],
        weigh_frames: bool = False,
    ) -> None:
        super().__init__(backbone, num_classes)
        # Differs from paper [R20]: there is no such weighting; off by default.
        self.quality = FrameQuality(backbone.channels[-2]) if weigh_frames else None
        self.blocks = nn.ModuleDict({str(stage): block for stage, block in blocks.items()})
        self.size = size

    def forward_clip(self, clip: Tensor) -> RfcnetOutput:
        """Returns logits, features and the outputs of the blocks."""
        if clip.shape[-2:] != self.size:
            raise ValueError(
                f"Received frames of {clip.shape[-2]}x{clip.shape[-1]}, but the model was built "
                f"for {self.size[0]}x{self.size[1]}: build it with the height and width of the data"
            )
        num_frames = clip.shape[1]
        maps, weights, found = clip.flatten(0, 1), None, []
        for number, stage in enumerate(self.backbone.stages, start=1):
            if number == len(self.backbone.stages):
                weights = self.frame_weights(maps, num_frames)
            maps = stage(maps)
            if str(number) in self.blocks:
                maps, output = self.blocks[str(number)](maps, num_frames)
                found.append(output)
        logits, features = self.head(maps, num_frames, weights)
        return RfcnetOutput(logits, features, tuple(found))


@register_model("rfcnet")
@takes_options_of(RFC)
def rfcnet(
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 256,
    width: int = 128,
    backbone: str = "resnet50",
    last_stride: int = 1,
    stages: Sequence[int] = (2, 3),
    arrangement: str = "S-T",
    foreground: bool = True,
    weigh_frames: bool = False,
    initial_classifier: str = "pytorch",
    **options: Any,
) -> RFCnet:
    """Builds RFCnet, or any variant of the paper's Tables 8 and 9 and Fig. 7.

    The image model is `arrangement='S'`; the paper's model without external clues is
    `partition='fixed', foreground=False`.

    Args:
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames.
        width: Width of the frames.
        backbone: As for `build_backbone`.
        last_stride: 1 removes the last down-sampling, 2 keeps it.
        stages: Numbers, from 1, of the stages that a block follows.
        arrangement: 'S', 'T', 'S-T', 'T-S' or 'S+T' as in `RFC`, or 'foreground' to multiply by
            the foreground map and complete nothing.
        foreground: Whether a foreground map weights the region features.
        weigh_frames: Whether frames are weighted by their quality, as in `qan` (not in the paper).
        initial_classifier: 'pytorch' or 'released', see `initialise_classifier`.
        **options: See `RFC`.

    Raises:
        ValueError: If an option is not one of the allowed, or the frames are too small.
    """
    trunk = build_backbone(backbone, pretrained, last_stride)
    _check_blocks(stages, len(trunk.stages), arrangement, foreground)
    sizes = trunk.map_sizes(height, width)
    blocks: dict[int, RFC | ForegroundMask] = {}
    for stage in sorted(stages):
        channels = trunk.channels[stage - 1]
        if arrangement == "foreground":
            blocks[stage] = ForegroundMask(channels)
        else:
            options.update(arrangement=arrangement, foreground=foreground)
            blocks[stage] = RFC(channels, *sizes[stage - 1], **options)
    model = RFCnet(trunk, blocks, num_classes, (height, width), weigh_frames)
    initialise_classifier(model.classifier, initial_classifier)
    return model


def _check_blocks(stages: object, num_stages: int, arrangement: str, foreground: bool) -> None:
    allowed = range(1, num_stages + 1)
    listed = stages if isinstance(stages, (list, tuple)) else ()
    if not 0 < len(listed) == len(set(listed)) or any(stage not in allowed for stage in listed):
        raise ValueError(
            f"Received stages {stages!r}, but expected a list of some of {[*allowed]}, each once"
        )
    check_choice("arrangement", arrangement, (*ARRANGEMENTS, "foreground"))
    if arrangement == "foreground" and not foreground:
        raise ValueError('Received foreground False, but arrangement "foreground" needs it')
