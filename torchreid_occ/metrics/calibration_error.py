"""Whether probabilities are what they say: reliability diagrams and calibration error."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Reliability(NamedTuple):
    """Probabilities in bins of equal width, without the empty bins.

    Attributes:
        said: Mean probability of each bin. Shape ``(B,)``.
        seen: Share of each bin's outcomes that are true. Shape ``(B,)``.
        counts: Number of outcomes in each bin. Shape ``(B,)``.
    """

    said: npt.NDArray[np.float64]
    seen: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of `said` from `seen`, weighted by counts."""
        return float(np.average(np.abs(self.said - self.seen), weights=self.counts))


def reliability(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, bins: int = 15
) -> Reliability:
    """Compares probabilities with the share of true outcomes, bin by bin.

    Reference: Guo et al., "On calibration of modern neural networks" (ICML 2017), eq. 1 to 3.

    Args:
        probabilities: Probabilities of the outcomes.
        outcomes: Whether each came true.
        bins: Number of bins, ``(0, 1/bins], (1/bins, 2/bins], ...``; 0 belongs to the first.

    Shape:
        probabilities, outcomes: (N,).

    Raises:
        ValueError: If shapes differ, there are no outcomes, or a probability is not in 0 to 1.
    """
    said, true = np.asarray(probabilities, float), np.asarray(outcomes, float)
    if said.shape != true.shape or said.ndim != 1 or not len(said):
        raise ValueError(
            f"Received probabilities of shape {said.shape} and outcomes of shape {true.shape}, but "
            "expected (N,) each, N at least 1."
        )
    if not ((said >= 0) & (said <= 1)).all():
        raise ValueError("Some probabilities are not in 0 to 1.")
    place = np.clip(np.ceil(said * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = counts > 0
    sums = [np.bincount(place, values, bins)[filled] for values in (said, true)]
    return Reliability(sums[0] / counts[filled], sums[1] / counts[filled], counts[filled])
