"""Fits a calibration to the features of identities that the checkpoint was not trained on."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.calibration import PRESENT, Calibration
from torchreid_occ.calibration.cohort import Floats, evidence, unit
from torchreid_occ.calibration.joining import JOIN_WEIGHTS, fit_join
from torchreid_occ.calibration.maxima import highest
from torchreid_occ.utils.dependencies import import_optional

MIN_IDENTITIES = 20
_COPY = 0.9999  # similarity of a query to itself in the gallery, extracted in other batches
_NEAREST = 50  # gallery items of each query that the classifier learns from: those that are shown


class LabelledFeatures(NamedTuple):
    """Features with the labels of their tracklets.

    Attributes:
        features: Of any norm. Shape ``(N, D)``.
        pids: Shape ``(N,)``.
        camids: Shape ``(N,)``.
    """

    features: Floats
    pids: npt.NDArray[np.int64]
    camids: npt.NDArray[np.int64]

    def of(self, pids: npt.NDArray[np.int64]) -> "LabelledFeatures":
        """Returns the features of some identities.

        Args:
            pids: The identities.
        """
        chosen = np.isin(self.pids, pids)
        return LabelledFeatures(self.features[chosen], self.pids[chosen], self.camids[chosen])


def fit_calibration(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    cohort: Floats,
    checkpoint_hash: str,
    about: Mapping[str, Any],
    join: bool = True,
) -> Calibration:
    """Fits a calibration: a score from what is known of a pair, its probability, and thresholds.

    The score is a logistic regression on each query's nearest gallery items, the probability an
    isotonic regression of the score.

    Args:
        query: Features of the queries.
        gallery: Features of the gallery, which may hold the queries.
        cohort: Features of other people, of any norm.
        checkpoint_hash: Hash of the checkpoint.
        about: Plain values to be kept.
        join: Whether to fit the weights for grouping tracklets into people, too.

    Shape:
        cohort: ``(C, D)``.

    Raises:
        ValueError: If there are too few identities; says how many are needed.
        ImportError: If scikit-learn is not installed.
    """
    linear, isotonic = import_optional(
        "sklearn.linear_model", "sklearn.isotonic", extra="calibration"
    )
    same = query.pids[:, None] == gallery.pids[None]
    compared = ~(same & (query.camids[:, None] == gallery.camids[None]))
    check_people(query.pids[(same & compared).any(axis=1)], MIN_IDENTITIES)
    cohort = unit(cohort)
    known = evidence(query.features, gallery.features, cohort)
    mean, spread = known[compared].mean(axis=0), known[compared].std(axis=0) + 1e-9
    similarity = np.where(compared, known[..., 0], -np.inf)
    near = compared & (similarity.argsort(axis=1).argsort(axis=1) >= len(gallery.pids) - _NEAREST)
    model = linear.LogisticRegression(max_iter=1000).fit((known[near] - mean) / spread, same[near])
    weights = np.append(model.coef_[0], model.intercept_[0])
    scores = (known - mean) / spread @ weights[:-1] + weights[-1]
    # A query of a person who is in the gallery meets its mates and all others, one of a person who
    # is not meets the others alone.
    weight = np.where(same, PRESENT, 1.0)[compared]
    curve = isotonic.IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
    curve.fit(scores[compared], same[compared], weight)
    maxima, others = highest(scores, same)
    best = np.where(compared, scores, -np.inf)
    best_is_same = np.take_along_axis(same, best.argmax(axis=1)[:, None], axis=1)[:, 0]
    first = linear.LogisticRegression(C=1e6).fit(
        np.concatenate([best.max(axis=1), maxima[:, 0]])[:, None],
        np.concatenate([best_is_same, np.zeros(len(maxima), bool)]),
    )
    return Calibration(
        checkpoint_hash,
        about,
        cohort,
        np.stack([mean, spread]),
        weights,
        np.stack([curve.X_thresholds_, curve.y_thresholds_]),
        np.array([first.coef_[0, 0], first.intercept_[0]]),
        maxima,
        others,
        np.sort(scores[same & compared]),
        _fit_join(query, gallery, known[..., 0], cohort) if join else np.zeros(JOIN_WEIGHTS),
    )


def _fit_join(
    query: LabelledFeatures, gallery: LabelledFeatures, similarities: Floats, cohort: Floats
) -> Floats:
    """Fits the weights for grouping to the gallery and the queries that it does not hold."""
    own = (query.pids[:, None] == gallery.pids) & (query.camids[:, None] == gallery.camids)
    new = ~((similarities > _COPY) & own).any(axis=1)
    return fit_join(
        np.concatenate([gallery.features, query.features[new]]),
        np.concatenate([gallery.camids, query.camids[new]]),
        np.concatenate([gallery.pids, query.pids[new]]),
        cohort.mean(axis=0),
    )


def check_people(pids: npt.NDArray[np.int64], needed: int) -> None:
    """Checks that there are enough people to calibrate on.

    Args:
        pids: Identities of the queries that have a match in another camera.
        needed: Number of people that it takes.

    Raises:
        ValueError: If there are fewer.
    """
    found = len(np.unique(pids))
    if found < needed:
        raise ValueError(
            f"{found} people have a query and a gallery tracklet of another camera, but it takes "
            f"{needed} to calibrate on (and 99 queries to promise one false match in 100)."
        )
