"""TRL-ST2N: a stream on frames and a stream on aligned frames, each with two BiLSTMs."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import Backbone, build_backbone
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.models.layers.st2n import ST2N
from torchreid_occ.models.layers.trl import TRL
from torchreid_occ.utils.checks import check_choice, check_share

LEVELS = ("sequence", "frame")
ALIGNMENTS = ("st2n", "stn", "none")


class TrlSt2nOutput(NamedTuple):
    """What the criterion and figures read.

    logits: of the main stream; features: the fused ones; aligned_logits: of the alignment stream;
    theta: scales and shifts of each frame, `(B, T, 4)`. The last two are None without alignment.
    Logits are `(B, num_classes)`, or `(B, T, num_classes)` at frame level.
    """

    logits: Tensor
    features: Tensor
    aligned_logits: Tensor | None
    theta: Tensor | None


class TrlSt2n(ClipModel):
    """Main and alignment stream behind a shared stem.

    Reference: TRL-ST2N, Section III.

    Args:
        backbone: The image network: its first stage is the stem, each stream has a copy of the
            others.
        num_classes: Number of training identities.
        alignment: The spatial transformer, or None for the main stream alone.
        trls: A `TRL` for each stream; None to average frame features.
        beta: Weight of the main stream in the fused feature.
        frozen_statistics: Whether the image network normalises by its initial statistics, also in
            training. The paper's GoogLeNet has no normalisation; with few tracklets in a batch,
            its frames are so similar that their statistics differ from those of the test.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        alignment: ST2N | None,
        trls: Sequence[TRL] | None,
        beta: float = 0.5,
        frozen_statistics: bool = False,
    ) -> None:
        super().__init__()
        self.origin = backbone.origin
        self.stem, *stages = backbone.stages
        num_streams = 1 if alignment is None else 2
        self.streams = nn.ModuleList(
            nn.ModuleList(copy.deepcopy(stages)) for _ in range(num_streams)
        )
        self.alignment = alignment
        self.trls = None if trls is None else nn.ModuleList(trls)
        width = backbone.channels[-1] if trls is None else trls[0].feature_dim
        self.classifiers = nn.ModuleList(nn.Linear(width, num_classes) for _ in range(num_streams))
        self.feature_dim = num_streams * width
        self.beta = beta
        self.frozen_statistics = frozen_statistics

    def train(self, mode: bool = True) -> "TrlSt2n":
        """Sets the mode of all layers but those with frozen statistics."""
        super().train(mode)
        if self.frozen_statistics:
            for layer in (*self.stem.modules(), *self.streams.modules()):
                if isinstance(layer, (nn.BatchNorm2d, nn.SyncBatchNorm)):
                    layer.eval()
        return self

    def forward_clip(self, clip: Tensor) -> TrlSt2nOutput:
        """Returns the logits of both streams, the fused features and theta."""
        num_frames = clip.shape[1]
        low = self.stem(clip.flatten(0, 1))
        high, frames = _stream(self.streams[0], low, num_frames)
        streams, theta = [frames], None
        if self.alignment is not None:
            aligned, theta = self.alignment(high, low.unflatten(0, (-1, num_frames)))
            streams.append(_stream(self.streams[1], aligned.flatten(0, 1), num_frames)[1])
        if self.trls is None:  # frame level: each frame is classified by itself
            logits = [head(frames) for head, frames in zip(self.classifiers, streams, strict=True)]
            features = [frames.mean(1) for frames in streams]
        else:
            features = [trl(frames) for trl, frames in zip(self.trls, streams, strict=True)]
            logits = [head(part) for head, part in zip(self.classifiers, features, strict=True)]
        aligned_logits = logits[1] if len(logits) == 2 else None
        return TrlSt2nOutput(logits[0], self._fuse(features), aligned_logits, theta)

    def _fuse(self, features: list[Tensor]) -> Tensor:
        """Eq. 16."""
        if len(features) == 1:
            return features[0]
        weights = (self.beta, 1 - self.beta)
        parts = [weight * F.normalize(part) for weight, part in zip(weights, features, strict=True)]
        return torch.cat(parts, dim=1)


def _stream(stages: nn.Module, low: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
    """A stream's high maps, `(B, T, C, h, w)`, and its frame features, `(B, T, D)`."""
    second, third, fourth = stages.children()
    high = third(second(low))
    features = fourth(high).mean((2, 3))
    return high.unflatten(0, (-1, num_frames)), features.unflatten(0, (-1, num_frames))


@register_model("trl_st2n")
def trl_st2n(
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 224,
    width: int = 224,
    backbone: str = "googlenet",
    level: str = "sequence",
    alignment: str = "st2n",
    alpha: float = 0.5,
    beta: float = 0.5,
    # Paper silent [T1]: 512 units are counted in each direction.
    hidden: int = 512,
    bidirectional: bool = True,
    align_corners: bool = True,
    initial_std: float = 0.1,
    frozen_statistics: bool = False,
) -> TrlSt2n:
    """Builds TRL-ST2N, or any variant of the paper's Table I and Figs. 4 and 5.

    Args:
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames (any other works too).
        width: Width of the frames (any other works too).
        backbone: As for `build_backbone`.
        level: 'sequence', or 'frame' for the first stage of training, without LSTMs behind the
            streams.
        alignment: 'st2n', 'stn' (each frame by itself) or 'none' (the main stream alone).
        alpha: Weight of generic features, see `TRL`.
        beta: Weight of the main stream.
        hidden: Units of each LSTM behind the streams in each direction.
        bidirectional: Whether these LSTMs also run backwards.
        align_corners: See `ST2N`.
        initial_std: Standard deviation of the initial weights of new convolutions and classifiers;
            the paper prints a variance of 0.01.
        frozen_statistics: See `TrlSt2n`; for a backbone with trained weights.

    Raises:
        ValueError: If an option is not one of the allowed.
    """
    check_choice("level", level, LEVELS)
    check_choice("alignment", alignment, ALIGNMENTS)
    check_share("beta", beta)
    trunk = build_backbone(backbone, pretrained)
    transformer = None
    if alignment != "none":
        units = 256 if alignment == "st2n" else 0
        transformer = ST2N(trunk.channels[2], units, align_corners=align_corners)
    trls = None
    if level == "sequence":
        num_streams = 1 if transformer is None else 2
        trls = [TRL(trunk.channels[-1], hidden, alpha, bidirectional) for _ in range(num_streams)]
    model = TrlSt2n(trunk, num_classes, transformer, trls, beta, frozen_statistics)
    new = [*model.classifiers, *([] if transformer is None else transformer.localise)]
    # Paper silent [T4]: a variance of 0.01 is a standard deviation of 0.1.
    for layer in new:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=initial_std)
    return model
