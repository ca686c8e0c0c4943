"""VRSTC's re-ID network: the papers' baseline with non-local blocks inside two stages."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import Backbone, Stage, build_backbone
from torchreid_occ.models.baseline import Baseline
from torchreid_occ.models.clip_model import ClipOutput
from torchreid_occ.models.layers.non_local import NonLocal
from torchreid_occ.utils.checks import check_choice

FRAME_PIXELS = 64 * 256 * 128  # of the frames that are processed at a time
STAGES = (2, 3)  # res3 and res4
# Paper silent [V8]: only the numbers of blocks are printed.
FIRST = {"odd": 1, "even": 0}


class VRSTC(Baseline):
    """Image network with non-local blocks, temporal mean and classifier.

    Reference: VRSTC, Sections 4.2 and 5.2.

    Args:
        backbone: The image network.
        num_classes: Number of training identities.
        non_local: Non-local block by the stage and the index of the residual block it follows.
        neck: See `Baseline`.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        non_local: Mapping[tuple[int, int], NonLocal],
        neck: bool = False,
    ) -> None:
        super().__init__(backbone, num_classes, neck)
        self.non_local = nn.ModuleDict({f"{s}_{i}": block for (s, i), block in non_local.items()})

    def forward_clip(self, clip: Tensor) -> ClipOutput:
        """Returns logits and features.

        In eval mode without gradients few frames are processed at a time, so that memory holds one
        map of each frame of a clip, and not one of each layer.
        """
        num_frames = clip.shape[1]
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._forward_parts([clip.flatten(0, 1)], num_frames)
        few = max(1, FRAME_PIXELS // (clip.shape[3] * clip.shape[4]))
        outputs = [
            self._forward_parts([*some.flatten(0, 1).split(few)], num_frames)
            for some in clip.split(max(1, few // num_frames))
        ]
        return ClipOutput(*map(torch.cat, zip(*outputs, strict=True)))

    def _forward_parts(self, parts: list[Tensor], num_frames: int) -> ClipOutput:
        """Computes logits and features of clips.

        Args:
            parts: The frames of one clip, cut anywhere, or those of several clips as one part. The
                list is emptied of them, which frees their memory.
            num_frames: Frames of a clip.
        """
        for layers, block in self._steps():
            for index in range(len(parts)):
                for layer in layers:
                    parts[index] = layer(parts[index])
            if block is not None:
                known = block.keys(parts, num_frames)
                for index in range(len(parts)):
                    parts[index] = block.attend(parts[index], known)
        means = torch.cat([part.mean((2, 3), keepdim=True) for part in parts])
        return ClipOutput(*self.head(means, num_frames))

    def _steps(self) -> Iterator[tuple[list[nn.Module], NonLocal | None]]:
        """Yields the layers up to each non-local block and the block, at last those after it."""
        layers: list[nn.Module] = []
        for number, stage in enumerate(self.backbone.stages, start=1):
            if number not in STAGES:
                layers.append(stage)
                continue
            assert isinstance(stage, Stage)
            for index, step in enumerate(stage.steps()):
                layers += step
                name = f"{number}_{index}"
                if name in self.non_local:
                    non_local = self.non_local[name]
                    assert isinstance(non_local, NonLocal)
                    yield layers, non_local
                    layers = []
        yield layers, None


@register_model("vrstc")
def vrstc(
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 256,
    width: int = 128,
    backbone: str = "resnet50",
    last_stride: int = 1,
    positions: str = "odd",
    scaled_attention: bool = False,
    max_key_frames: int = 0,
    neck: bool = False,
) -> VRSTC:
    """Builds VRSTC's re-ID network.

    Args:
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames (any other works too).
        width: Width of the frames (any other works too).
        backbone: As for `build_backbone`.
        last_stride: 1 removes the last down-sampling, 2 keeps it.
        positions: After which residual blocks of the second and third stage (res3 and res4),
            counted from 0, the non-local blocks sit, 'odd' or 'even'. Other networks than ResNets
            have them in the last layer of a stage; a layer that is not a sequence of blocks is
            followed by one.
        scaled_attention: See `NonLocal`.
        max_key_frames: See `NonLocal`.
        neck: See `Baseline`.

    Raises:
        ValueError: If an option is not one of the allowed.
    """
    check_choice("positions", positions, FIRST)
    trunk = build_backbone(backbone, pretrained, last_stride)
    non_local = {}
    for number in STAGES:
        stage = trunk.stages[number - 1]
        assert isinstance(stage, Stage)
        num_steps = len(stage.steps())
        for index in range(min(FIRST[positions], num_steps - 1), num_steps, 2):
            channels = trunk.channels[number - 1]
            non_local[number, index] = NonLocal(channels, scaled_attention, max_key_frames)
    return VRSTC(trunk, num_classes, non_local, neck)
