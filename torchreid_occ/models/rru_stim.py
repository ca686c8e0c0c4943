"""RRU-STIM: maps refined from frame to frame, then integrated over space and time."""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torchvision.models.inception import InceptionAux

from torchreid_occ._registry import register_model
from torchreid_occ.models.backbones import Backbone, build_backbone, load_auxiliary_weights
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.models.layers.initialise import initialise_classifier
from torchreid_occ.models.layers.integration import Integration, LstmMean, MapMean
from torchreid_occ.models.layers.rru import RRU
from torchreid_occ.models.layers.stim import STIM
from torchreid_occ.utils.checks import check_choice

INTEGRATIONS = {"stim": STIM, "lstm": LstmMean, "average": MapMean}
AUXILIARIES = ("mean", "frame", "none")
ACTIVATIONS = ("relu", "leaky")
HIDDEN = 512  # of the classifier block


class RruStimOutput(NamedTuple):
    """What the criterion and figures read.

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
        backbone: The image network.
        num_classes: Number of training identities.
        rru: The unit, or None to leave the maps as they are.
        integration: Turns the maps of a sequence into a feature.
        auxiliary: The auxiliary head behind the third stage reads the 'mean' map over time (as the
            released code) or each 'frame'; 'none' leaves it out.
        activation: Of the classifier block, 'relu' or 'leaky' (as the released code).
    """

    carries = True

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        rru: RRU | None,
        integration: Integration,
        auxiliary: str,
        activation: str,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.origin = backbone.origin
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
            # Paper silent [S4]: the released code has the leaky one.
            nn.ReLU() if activation == "relu" else nn.LeakyReLU(0.1),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, num_classes),
        )

    def forward_clip(self, clip: Tensor) -> RruStimOutput:
        """Returns logits, features and what the criterion's other terms read."""
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

    def extend(self, state: tuple[Any, Any] | None, clip: Tensor) -> tuple[Any, Any]:
        """Reads the next clip of tracklets, see `ClipModel.extend`."""
        unit, integrated = (None, None) if state is None else state
        maps = self.backbone(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        if self.rru is not None:
            maps, unit = self.rru(maps, unit)
        return unit, self.integration.extend(integrated, maps)

    def finish(self, state: tuple[Any, Any]) -> Tensor:
        """Computes the features of whole tracklets, see `ClipModel.finish`."""
        return self.integration.finish(state[1])

    def _auxiliary_logits(self, maps: Tensor, num_frames: int) -> Tensor | None:
        if self.auxiliary is None or not self.training:
            return None
        # Paper silent [S5]: as released, the head starts from Inception's own convolutions, reads
        # the mean over time, and has a weight of 1.
        if self.auxiliary_of == "mean":
            return self.auxiliary(maps.unflatten(0, (-1, num_frames)).mean(1))
        return self.auxiliary(maps).unflatten(0, (-1, num_frames))


@register_model("rru_stim")
def rru_stim(
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 299,
    width: int = 299,
    backbone: str = "inception_v3",
    last_stride: int = 2,
    rru: bool = True,
    attention: str = "both",
    inputs: str = "differences",
    skip_first: bool = False,
    integration: str = "stim",
    auxiliary: str = "mean",
    activation: str = "relu",
    initial_classifier: str = "pytorch",
) -> RruStim:
    """Builds RRU-STIM, or any variant of the paper's Table 1.

    Frames are normalised as the backbone's weights expect them: Inceptions', to [-1, 1], by a mean
    and a standard deviation of 0.5. With ImageNet weights of Inception-v3, the auxiliary head
    starts from those of Inception's own, but for its last layer.

    Args:
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames.
        width: Width of the frames.
        backbone: As for `build_backbone`.
        last_stride: 1 removes the last down-sampling, 2 keeps it.
        rru: Whether maps are refined.
        attention: See `RRU`.
        inputs: See `RRU`.
        skip_first: See `RRU`.
        integration: 'stim', 'lstm' or 'average'.
        auxiliary: See `RruStim`.
        activation: See `RruStim`.
        initial_classifier: 'pytorch' or 'released', see `initialise_classifier`.

    Raises:
        ValueError: If an option is not one of the allowed.
    """
    check_choice("integration", integration, INTEGRATIONS)
    check_choice("auxiliary", auxiliary, AUXILIARIES)
    check_choice("activation", activation, ACTIVATIONS)
    trunk = build_backbone(backbone, pretrained, last_stride, rescale=False)
    unit = None
    if rru:
        size = trunk.map_sizes(height, width)[-1]
        unit = RRU(
            trunk.channels[-1], *size, attention=attention, inputs=inputs, skip_first=skip_first
        )
    integrate = INTEGRATIONS[integration](trunk.channels[-1])
    model = RruStim(trunk, num_classes, unit, integrate, auxiliary, activation)
    initialise_classifier(model.classifier, initial_classifier)
    if model.auxiliary is not None:
        initialise_classifier(model.auxiliary.fc, initial_classifier)
        if pretrained in (True, "torchvision") and backbone == "inception_v3":
            load_auxiliary_weights(model.auxiliary)
    return model
