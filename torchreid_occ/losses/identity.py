"""Identity criterion: cross-entropy and batch-hard triplet loss."""

from functools import reduce
from operator import add

from torch import Tensor, nn

from torchreid_occ._registry import register_criterion
from torchreid_occ._types import Batch
from torchreid_occ.losses.criterion import Criterion, accuracy
from torchreid_occ.losses.triplet import BatchHardTriplet
from torchreid_occ.models.clip_model import ClipOutput


@register_criterion("identity")
class IdentityLoss(Criterion):
    """Cross-entropy on the logits plus the triplet loss on the features.

    Reference: RFCnet, Section 4.2, the first two terms of Eq. 13; margin, distance and label
    smoothing as in its released code.

    Args:
        num_classes: Number of training identities.
        ce: Whether to use the cross-entropy.
        triplet: Whether to use the triplet loss.
        label_smoothing: Share of the label spread evenly over all identities.
        distance: Distance of the triplet loss, 'cosine' or 'euclidean'.
        margin: Margin of the triplet loss; None takes 0.5 for cosine and 0.3 for Euclidean.

    Shape:
        outputs.logits: `(B, num_classes)`; outputs.features: `(B, D)`; batch["pid"]: `(B,)`.

    Raises:
        ValueError: If both terms are off, or the logits have another number of classes.
    """

    def __init__(
        self,
        num_classes: int,
        ce: bool = True,
        triplet: bool = True,
        label_smoothing: float = 0.1,
        distance: str = "cosine",
        margin: float | None = None,
    ) -> None:
        super().__init__(num_classes)
        if not ce and not triplet:
            raise ValueError("Received ce False and triplet False, but one of them must be on")
        self.ce = nn.CrossEntropyLoss(label_smoothing=label_smoothing) if ce else None
        self.triplet = BatchHardTriplet(distance, margin) if triplet else None

    def forward(self, outputs: ClipOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns the total under 'loss', each term's value, and the accuracy in percent."""
        logits, pids = outputs.logits, batch["pid"]
        self.check_classes(logits)
        terms = {}
        if self.ce is not None:
            terms["ce"] = self.ce(logits, pids)
        if self.triplet is not None:
            terms["triplet"] = self.triplet(outputs.features, pids)
        total = reduce(add, terms.values())
        return {"loss": total, **terms, "acc": accuracy(logits, pids)}
