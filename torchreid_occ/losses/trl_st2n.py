"""TRL-ST2N's objective: a cross-entropy for each stream."""

from functools import reduce
from operator import add

from torch import Tensor, nn

from torchreid_occ._registry import register_criterion
from torchreid_occ._types import Batch
from torchreid_occ.losses.criterion import Criterion, accuracy
from torchreid_occ.models.trl_st2n import TrlSt2nOutput


@register_criterion("trl_st2n")
class TrlSt2nLoss(Criterion):
    """Cross-entropy of the main stream plus that of the alignment stream.

    Reference: TRL-ST2N, Section III.D. At frame level every frame of a clip has its identity.

    Args:
        num_classes: Number of training identities.
        label_smoothing: Share of the label spread evenly over all identities.

    Shape:
        outputs.logits, outputs.aligned_logits: `(B, num_classes)` or `(B, T, num_classes)`;
        batch["pid"]: `(B,)`.

    Raises:
        ValueError: When called with logits of another number of classes.
    """

    def __init__(self, num_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__(num_classes)
        self.ce = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, outputs: TrlSt2nOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns the total under 'loss', each stream's term, and the accuracy in percent."""
        pids = batch["pid"]
        if outputs.logits.dim() == 3:
            pids = pids.repeat_interleave(outputs.logits.shape[1])
        streams = {"main": outputs.logits, "alignment": outputs.aligned_logits}
        losses = {}
        for name, logits in streams.items():
            if logits is not None:
                self.check_classes(logits)
                losses[name] = self.ce(logits.flatten(0, -2), pids)
        # Paper silent [T5]: both streams count alike.
        total = reduce(add, losses.values())
        return {"loss": total, **losses, "acc": accuracy(outputs.logits.flatten(0, -2), pids)}
