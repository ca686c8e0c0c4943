"""XQDA: a subspace and a metric in it from the differences of pairs."""

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from torchreid_occ.metrics.kissme import squared_distances
from torchreid_occ.metrics.pair_covariances import pair_covariances


class XQDA:
    """Cross-view Quadratic Discriminant Analysis, as an estimator.

    Reference: Liao et al., CVPR 2015: the subspace of the directions in which pairs of two
    identities differ more than pairs of one (generalised eigenvalues above 1), with the metric
    M = inv(Cov of one) - inv(Cov of two) in it.

    Args:
        regularization: Added to the diagonal of the covariance of pairs of one identity.
    """

    def __init__(self, regularization: float = 0.001) -> None:
        self.regularization = regularization

    def fit(self, features: npt.ArrayLike, pids: npt.ArrayLike, camids: npt.ArrayLike) -> "XQDA":
        """Learns subspace and metric.

        Args:
            features: Training features, `(N, D)`.
            pids: Their identities.
            camids: Their cameras.

        Returns:
            The estimator.

        Raises:
            ValueError: As `pair_covariances`.
        """
        similar, dissimilar = pair_covariances(features, pids, camids)
        similar = similar + self.regularization * np.eye(len(similar))
        values, vectors = eigh(dissimilar, similar)
        order = np.argsort(values)[::-1]
        count = max(1, int((values > 1).sum()))  # at least the best direction
        self.axes = vectors[:, order[:count]]
        inner = [self.axes.T @ moment @ self.axes for moment in (similar, dissimilar)]
        self.metric = np.linalg.inv(inner[0]) - np.linalg.pinv(inner[1])
        return self

    def transform(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Projects features into the subspace: `(N, D)` to `(N, d)`."""
        return np.asarray(features, np.float64) @ self.axes

    def distances(self, query: npt.ArrayLike, gallery: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns distances of queries to gallery items. Shape: `(Q, D)`, `(G, D)` to `(Q, G)`."""
        return squared_distances(self.transform(query), self.transform(gallery), self.metric)
