"""RRU-STIM's multi-level objective: identity, video and parts."""

import torch
from torch import Tensor, nn

from torchreid_occ._registry import register_criterion
from torchreid_occ._types import Batch
from torchreid_occ.losses.criterion import Criterion, accuracy
from torchreid_occ.losses.triplet import BatchHardTriplet
from torchreid_occ.models.rru_stim import RruStimOutput


@register_criterion("rru_stim")
class RruStimLoss(Criterion):
    """Cross-entropies Lc, ranking of video features Lv, ranking of strip features Lp.

    Reference: RRU-STIM, Eq. 7 to 10.

    Args:
        num_classes: Number of training identities.
        video: Whether to use Lv.
        parts: Whether to use Lp.
        margin: Margin of both.
        lambda_auxiliary: Weight of the auxiliary head's cross-entropy.

    Shape:
        outputs.logits: `(B, num_classes)`; outputs.features: `(B, D)`; outputs.strips:
        `(B, C, H)`; outputs.auxiliary: as logits, or `(B, T, num_classes)`; batch["pid"]: `(B,)`.

    Raises:
        ValueError: When called with logits of another number of classes.
    """

    def __init__(
        self,
        num_classes: int,
        video: bool = True,
        parts: bool = True,
        margin: float = 0.4,
        lambda_auxiliary: float = 1.0,
    ) -> None:
        super().__init__(num_classes)
        self.ce = nn.CrossEntropyLoss()
        self.triplet = BatchHardTriplet("euclidean", margin)
        self.video, self.parts, self.lambda_auxiliary = video, parts, lambda_auxiliary

    def forward(self, outputs: RruStimOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns the total under 'loss', each term's value, and the accuracy in percent."""
        pids = batch["pid"]
        self.check_classes(outputs.logits)
        losses = {"ce": self.ce(outputs.logits, pids)}
        total = losses["ce"]
        if outputs.auxiliary is not None:
            logits = outputs.auxiliary
            frames = pids if logits.dim() == 2 else pids.repeat_interleave(logits.shape[1])
            losses["auxiliary"] = self.ce(logits.flatten(0, -2), frames)
            total = total + self.lambda_auxiliary * losses["auxiliary"]
        if self.video:
            losses["video"] = self.triplet(outputs.features, pids)
            total = total + losses["video"]
        if self.parts:
            # Paper silent [S6]: the mean over strips, distance and margin are the released code's.
            strips = outputs.strips.unbind(2)
            losses["parts"] = torch.stack([self.triplet(strip, pids) for strip in strips]).mean()
            total = total + losses["parts"]
        return {"loss": total, **losses, "acc": accuracy(outputs.logits, pids)}
