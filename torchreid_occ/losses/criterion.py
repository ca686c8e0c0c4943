"""What every criterion has in common."""

from torch import Tensor, nn


class Criterion(nn.Module):
    """Base of the criteria, which are called with a model's output and a batch.

    A criterion returns the total under 'loss', the value of each term, and under 'acc' the
    accuracy in percent.

    Args:
        num_classes: Number of training identities.

    Attributes:
        supervision: Batch entries that the criterion reads beside images and identities.
    """

    supervision: tuple[str, ...] = ()

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def check_classes(self, logits: Tensor) -> None:
        """Checks the number of classes of a model's logits.

        Args:
            logits: Logits with the classes in the last dimension.

        Raises:
            ValueError: If the criterion was built for another number.
        """
        if logits.shape[-1] != self.num_classes:
            raise ValueError(
                f"Received logits of {logits.shape[-1]} classes, but the criterion was built for "
                f"{self.num_classes}"
            )


def accuracy(logits: Tensor, pids: Tensor) -> Tensor:
    """Computes the share of correct predictions in percent.

    Args:
        logits: Logits of the identities.
        pids: True identities.

    Shape:
        logits: `(B, num_classes)`; pids: `(B,)`.
    """
    return 100 * (logits.detach().argmax(1) == pids).float().mean()
