"""STCnet's objective: reconstruction, adversarial terms, identity."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ.completion.network import Completion
from torchreid_occ.utils.checks import check_choice

REDUCTIONS = ("mean", "sum")


class CompletionLoss(nn.Module):
    """The criterion of the generators.

    Reference: VRSTC, Section 3.6, Eq. 4 and 7 to 10.

    Args:
        reduction: 'mean' or 'sum' of the absolute differences of a frame.
        lambda_adversarial: Weight of each adversarial term (lambda1).
        lambda_guider: Weight of the guider's cross-entropy (lambda2).
        saturating: Whether the generators minimise log(1 - D(x)) (Eq. 7 and 8) or maximise
            log D(x).

    Raises:
        ValueError: If the reduction is unknown.
    """

    def __init__(
        self,
        reduction: str = "mean",
        lambda_adversarial: float = 0.001,
        lambda_guider: float = 0.1,
        saturating: bool = True,
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, REDUCTIONS)
        self.reduction = reduction
        self.lambda_adversarial, self.lambda_guider = lambda_adversarial, lambda_guider
        self.saturating = saturating

    def forward(
        self,
        completion: Completion,
        frame: Tensor,
        realness: Mapping[str, Tensor],
        identity: Tensor | None = None,
        pids: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Computes the loss that the generators minimise, and its terms.

        Args:
            completion: The generators' frames.
            frame: The original frames.
            realness: The logits of each discriminator on the completed frames, by its name.
            identity: The guider's logits on the completed frames, or None without guider.
            pids: Identities of the frames; read with `identity` only.

        Returns:
            The total under 'loss' and each term's value, unweighted.
        """
        total = self._distance(completion.spatial, frame)
        if completion.temporal is not None:
            total = total + self._distance(completion.temporal, frame)
        terms = {"reconstruction": total}
        for name, logits in realness.items():
            # Differs from paper [V4]: it writes log D(1 - x) for log(1 - D(x)).
            fooled = -realness_loss(logits, False) if self.saturating else realness_loss(logits)
            terms[f"{name}_adversarial"] = fooled
            total = total + self.lambda_adversarial * fooled
        if identity is not None and pids is not None:
            terms["guider"] = F.cross_entropy(identity, pids)
            total = total + self.lambda_guider * terms["guider"]
        return {"loss": total, **terms}

    def _distance(self, completed: Tensor, frame: Tensor) -> Tensor:
        differences = (completed - frame).abs().flatten(1)
        # Paper silent [V5]: lambda1 of 0.001 suits the mean.
        return (differences.mean(1) if self.reduction == "mean" else differences.sum(1)).mean()


def realness_loss(logits: Tensor, real: bool = True) -> Tensor:
    """Computes the cross-entropy of a discriminator.

    Args:
        logits: A discriminator's logits.
        real: Whether the frames are original.

    Shape:
        logits: `(B,)`.
    """
    return F.softplus(-logits if real else logits).mean()
