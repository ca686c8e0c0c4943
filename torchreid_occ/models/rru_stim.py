"""RRU-STIM: maps refined from frame to frame, then integrated over space and time."""

from typing import NamedTuple

from torch import Tensor, nn
from torchvision.models.inception import InceptionAux

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import build_backbone
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.models.layers.integration import LstmMean, MapMean
from torchreid_occ.models.layers.rru import RRU
from torchreid_occ.models.layers.stim import STIM

INTEGRATIONS = {"stim": STIM, "lstm": LstmMean, "average": MapMean}
AUXILIARIES = ("mean", "frame", "none")
ACTIVATIONS = {"relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.1)}
HIDDEN = 512  # of the classifier block


class RruStimOutput(NamedTuple):
    """What the criterion and pictures read.

    logits: `(B, num_classes)`; features: `(B, D)`; auxiliary: logits of the auxiliary head,
    `(B, num_classes)` or `(B, T, num_classes)`, None where there is none; strips: `(B, C, H)`,
    mean features of the refined maps' rows; raw, refined: the maps before and after, `(B, T, C, H,
    W)`.
    """

    logits: Tensor
    features: Tensor
    auxiliary: Tensor | None
    strips: Tensor
    raw: Tensor
    refined: Tensor


class RruStim(ClipModel):
    """Image network, refining recurrent unit, integration, classifier block.

    Reference: RRU-STIM, Fig. 1.

    Args:
        backbone: The trunk, a `Backbone`.
        num_classes: Number of training identities.
        rru: The unit, or None to leave the maps as they are.
        integration: What turns maps into a feature: a `STIM`, `LstmMean` or `MapMean`.
        auxiliary: The auxiliary head behind the third stage reads the 'mean' map over time (as the
            released code) or each 'frame'; 'none' leaves it out.
        activation: Of the classifier block, 'relu' or 'leaky' (as the released code).
    """

    carries = True

    def __init__(self, backbone, num_classes, rru, integration, auxiliary, activation):
        super().__init__()
        self.backbone = backbone
        self.rru = rru
        self.integration = integration
        self.feature_dim = integration.feature_dim
        self.auxiliary_of = auxiliary
        self.auxiliary = None
        if auxiliary != "none":
            self.auxiliary = InceptionAux(backbone.channels[2], num_classes)
        self.classifier = nn.Sequential(
            nn.Linear(self.feature_dim, HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            ACTIVATIONS[activation](),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, num_classes),
        )

    def forward_clip(self, clip):
        """Returns a `RruStimOutput`."""
        num_frames = clip.shape[1]
        maps = clip.flatten(0, 1)
        *lower, last = self.backbone.stages
        for stage in lower:
            maps = stage(maps)
        auxiliary = self._auxiliary_logits(maps, num_frames)
        raw = last(maps).unflatten(0, (-1, num_frames))
        refined = raw if self.rru is None else self.rru(raw)[0]
        features = self.integration(refined)
        strips = refined.mean((1, 4))  # a strip is a row (Eq. 9)
        logits = self.classifier(features)
        return RruStimOutput(logits, features, auxiliary, strips, raw, refined)

    def extend(self, state, clip):
        """Reads the next clip of tracklets, see `ClipModel.extend`."""
        unit, integrated = (None, None) if state is None else state
        maps = self.backbone(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        if self.rru is not None:
            maps, unit = self.rru(maps, unit)
        return unit, self.integration.extend(integrated, maps)

    def finish(self, state):
        """The features of tracklets that have been read to their end."""
        return self.integration.finish(state[1])

    def _auxiliary_logits(self, maps, num_frames):
        if self.auxiliary is None or not self.training:
            return None
        clips = maps.unflatten(0, (-1, num_frames))
        if self.auxiliary_of == "mean":
            return self.auxiliary(clips.mean(1))
        return self.auxiliary(maps).unflatten(0, (-1, num_frames))


@register_model("rru_stim")
def rru_stim(
    num_classes,
    pretrained=False,
    height=299,
    width=299,
    backbone="inception_v3",
    last_stride=2,
    rru=True,
    attention="both",
    inputs="differences",
    skip_first=False,
    integration="stim",
    auxiliary="mean",
    activation="relu",
):
    """Builds RRU-STIM, or any variant of the paper's Table 1.

    Frames are normalised to [-1, 1], by a mean and a standard deviation of 0.5.

    Args:
        num_classes: Number of training identities.
        pretrained: What the backbone starts from, see `build_backbone`.
        height: Height of the frames.
        width: Width of the frames.
        backbone: One of `BACKBONES`.
        last_stride: 1 removes the last down-sampling of a ResNet, 2 keeps it.
        rru: Whether maps are refined.
        attention: See `RRU`.
        inputs: See `RRU`.
        skip_first: See `RRU`.
        integration: 'stim', 'lstm' or 'average'.
        auxiliary: See `RruStim`.
        activation: See `RruStim`.

    Raises:
        ValueError: If an option is not one of the allowed.
    """
    choices = {
        "integration": (integration, tuple(INTEGRATIONS)),
        "auxiliary": (auxiliary, AUXILIARIES),
        "activation": (activation, tuple(ACTIVATIONS)),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(f'Received {name} "{value}", but expected to be one of {allowed}')
    trunk = build_backbone(backbone, pretrained, last_stride, rescale=False)
    unit = None
    if rru:
        size = trunk.map_sizes(height, width)[-1]
        options = {"attention": attention, "inputs": inputs, "skip_first": skip_first}
        unit = RRU(trunk.channels[-1], *size, **options)
    integrate = INTEGRATIONS[integration](trunk.channels[-1])
    return RruStim(trunk, num_classes, unit, integrate, auxiliary, activation)
