"""STCnet's objective: reconstruction, realness, identity."""

from torch import nn
from torch.nn import functional as F

from torchreid_occ.utils.checks import check_choice

REDUCTIONS = ("mean", "sum")


class CompletionLoss(nn.Module):
    """What a completed frame is judged by.

    Reference: VRSTC, Section 3.6, Eq. 4 and 7 to 10.

    Args:
        reduction: 'mean' or 'sum' of the absolute differences of a frame.
        lambda_adversarial: Weight of each adversarial term (lambda1).
        lambda_guider: Weight of the guider's cross-entropy (lambda2).
        saturating: Whether the generators minimise log(1 - D(x)) (Eq. 7 and 8) or maximise
            log D(x).

    Raises:
        ValueError: If an option is not one of the allowed.
    """

    def __init__(
        self, reduction="mean", lambda_adversarial=0.001, lambda_guider=0.1, saturating=True
    ):
        super().__init__()
        check_choice("reduction", reduction, REDUCTIONS)
        self.reduction = reduction
        self.lambda_adversarial, self.lambda_guider = lambda_adversarial, lambda_guider
        self.saturating = saturating

    def forward(self, completion, frame, judgements, guess=None, pids=None):
        """What the generators minimise.

        Args:
            completion: The generators' `Completion`.
            frame: The original frames.
            judgements: Logits of "the completed frame is real" by discriminator.
            guess: The guider's logits on the completed frames, or None without guider.
            pids: Identities of the frames, read with a guess only.

        Returns:
            The total under 'loss' and each term's value, unweighted.
        """
        parts = [part for part in completion if part is not None]
        terms = {"reconstruction": sum(self._distance(part, frame) for part in parts)}
        total = terms["reconstruction"]
        for name, logits in judgements.items():
            # Differs from paper: it writes log D(1 - x) for log(1 - D(x)).
            fooled = -realness_loss(logits, False) if self.saturating else realness_loss(logits)
            terms[f"{name}_adversarial"] = fooled
            total = total + self.lambda_adversarial * fooled
        if guess is not None:
            terms["guider"] = F.cross_entropy(guess, pids)
            total = total + self.lambda_guider * terms["guider"]
        return {"loss": total, **terms}

    def _distance(self, completed, frame):
        differences = (completed - frame).abs().flatten(1)
        return (differences.mean(1) if self.reduction == "mean" else differences.sum(1)).mean()


def realness_loss(logits, real=True):
    """Cross-entropy of a discriminator's verdict.

    Args:
        logits: Logits of "this frame is real".
        real: Whether the frames are real.

    Shape:
        logits: `(B,)`.
    """
    return F.softplus(-logits if real else logits).mean()
