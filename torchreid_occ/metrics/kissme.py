"""KISSME: a Mahalanobis metric from the differences of pairs."""

import numpy as np
import numpy.typing as npt

from torchreid_occ.metrics.pair_covariances import as_training_set, pair_covariances


class KISSME:
    """Keep It Simple and Straightforward MEtric learning, as an estimator.

    Reference: Koestinger et al., CVPR 2012: M = inv(Cov of similar pairs) - inv(Cov of dissimilar
    pairs), projected to the positive semidefinite matrices, after a principal component analysis.

    The number of components is the researcher's: TRL-ST2N's paper, which tests KISSME on MARS
    (Table II), does not name it. The default, 200, is that of MARS's own evaluation code
    (MARS-evaluation, ``test_mars.m``), whose protocol the paper follows. Koestinger et al.'s code
    for VIPeR keeps 34, of 316 training pairs.

    Args:
        num_components: Components kept; fewer where the data have fewer.
        ridge: Added to the covariances' diagonals, relative to their mean diagonal, so that they
            can be inverted.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> features = rng.normal(size=(8, 5)).repeat(2, axis=0) + 0.1 * rng.normal(size=(16, 5))
        >>> pids, camids = np.arange(8).repeat(2), np.tile([0, 1], 8)
        >>> KISSME().fit(features, pids, camids).transform(features).shape[0]
        16
    """

    # Paper silent [D5]: MARS's evaluation code keeps 200 components, as by default here.
    def __init__(self, num_components: int = 200, ridge: float = 1e-6) -> None:
        self.num_components, self.ridge = num_components, ridge

    def fit(self, features: npt.ArrayLike, pids: npt.ArrayLike, camids: npt.ArrayLike) -> "KISSME":
        """Learns the metric.

        Args:
            features: Training features, `(N, D)`.
            pids: Their identities.
            camids: Their cameras.

        Returns:
            The estimator.

        Raises:
            ValueError: As `pair_covariances`.
        """
        items = as_training_set(features, pids, camids)
        self.mean = items.features.mean(0)
        centred = items.features - self.mean
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        known = singular > singular.max(initial=0) * 1e-10
        self.axes = axes[known][: self.num_components].T
        moments = pair_covariances(centred @ self.axes, items.pids, items.camids)
        similar, dissimilar = (_inverse(moment, self.ridge) for moment in moments)
        values, vectors = np.linalg.eigh(similar - dissimilar)
        positive = values > 0
        self.factor = vectors[:, positive] * np.sqrt(values[positive])
        return self

    def transform(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Projects features so that squared Euclidean distances are the metric's.

        Shape:
            `(N, D)` to `(N, d)`.
        """
        return (np.asarray(features, np.float64) - self.mean) @ self.axes @ self.factor

    def distances(self, query: npt.ArrayLike, gallery: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns distances of queries to gallery items. Shape: `(Q, D)`, `(G, D)` to `(Q, G)`."""
        return squared_distances(self.transform(query), self.transform(gallery))


def squared_distances(
    query: npt.NDArray[np.float64],
    gallery: npt.NDArray[np.float64],
    metric: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Computes (q - g)' M (q - g) for all pairs; M is the identity if None."""
    weighted = gallery if metric is None else gallery @ metric
    own = ((query if metric is None else query @ metric) * query).sum(1)
    return own[:, None] + (weighted * gallery).sum(1) - 2 * query @ weighted.T


def _inverse(moment: npt.NDArray[np.float64], ridge: float) -> npt.NDArray[np.float64]:
    return np.linalg.inv(moment + ridge * np.trace(moment) / len(moment) * np.eye(len(moment)))
