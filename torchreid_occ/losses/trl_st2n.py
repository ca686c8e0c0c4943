"""TRL-ST2N's objective: a cross-entropy for each stream."""

from torch import nn

from torchreid_occ._registry import register_criterion


@register_criterion("trl_st2n")
class TrlSt2nLoss(nn.Module):
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

    supervision: tuple[str, ...] = ()

    def __init__(self, num_classes, label_smoothing=0.0):
        super().__init__()
        self.num_classes = num_classes
        self.ce = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, outputs, batch):
        """Returns the total under 'loss', each stream's term, and the accuracy in percent."""
        streams = {"main": outputs.logits, "alignment": outputs.aligned_logits}
        losses = {}
        for name, logits in streams.items():
            if logits is None:
                continue
            if logits.shape[-1] != self.num_classes:
                raise ValueError(
                    f"Received logits of {logits.shape[-1]} classes, but the criterion was built "
                    f"for {self.num_classes}"
                )
            pids = batch["pid"]
            if logits.dim() == 3:
                pids = pids.repeat_interleave(logits.shape[1])
            logits = logits.flatten(0, -2)
            losses[name] = self.ce(logits, pids)
            if name == "main":
                accuracy = 100 * (logits.detach().argmax(1) == pids).float().mean()
        return {"loss": sum(losses.values()), **losses, "acc": accuracy}
