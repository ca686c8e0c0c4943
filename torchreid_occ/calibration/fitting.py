"""Fits a calibration to the features of identities that the checkpoint was not trained on."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.calibration import PRESENT, Calibration
from torchreid_occ.calibration.cohort import evidence
from torchreid_occ.calibration.joining import JOIN_WEIGHTS, evidence_of_pairs, fit_join
from torchreid_occ.calibration.maxima import highest
from torchreid_occ.calibration.searches import fit_first
from torchreid_occ.calibration.small_galleries import (
    DEGREE,
    fit_changes,
    random_parts,
    stand_ins,
)
from torchreid_occ.calibration.space import (
    Floats,
    camera_means,
    unit,
    variation,
    without_variation,
)
from torchreid_occ.utils.dependencies import import_optional

MIN_IDENTITIES = 20
_COPY = 0.9999  # similarity of a query to itself in the gallery, extracted in other batches
_NEAREST = 50  # gallery items of each query that the classifier learns from: those that are shown


class TooFewPeopleError(ValueError):
    """There are too few people to calibrate on."""


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
        return self.at(np.flatnonzero(np.isin(self.pids, pids)))

    def at(self, rows: npt.NDArray[np.int64]) -> "LabelledFeatures":
        """Returns some rows.

        Args:
            rows: Their indices.
        """
        return LabelledFeatures(self.features[rows], self.pids[rows], self.camids[rows])


def fit_calibration(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    cohort: LabelledFeatures,
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
        cohort: Features of other people.
        checkpoint_hash: Hash of the checkpoint.
        about: Plain values to be kept.
        join: Whether to fit the weights for grouping tracklets into people, too.

    Raises:
        TooFewPeopleError: If there are too few; says how many are needed.
        ImportError: If scikit-learn is not installed.
    """
    linear, isotonic = import_optional(
        "sklearn.linear_model", "sklearn.isotonic", extra="calibration"
    )
    same = query.pids[:, None] == gallery.pids[None]
    compared = ~(same & (query.camids[:, None] == gallery.camids[None]))
    check_people(query.pids[(same & compared).any(axis=1)], MIN_IDENTITIES)
    space = _Space(cohort)
    known = evidence(space.of(query, gallery), space.of(gallery, gallery), space.cohort)
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
    return Calibration(
        checkpoint_hash,
        about,
        unit(cohort.features),
        cohort.camids,
        space.variation,
        np.stack([mean, spread]),
        weights,
        np.stack([curve.X_thresholds_, curve.y_thresholds_]),
        fit_first(scores, same, compared, gallery.pids),
        maxima,
        others,
        np.sort(scores[same & compared]),
        _fit_join(space, query, gallery, round(float(others.mean())))
        if join
        else np.zeros((DEGREE + 1, JOIN_WEIGHTS)),
    )


class _Space:
    """The space of a calibration: the cohort's directions, and the means of galleries."""

    def __init__(self, cohort: LabelledFeatures) -> None:
        self.mean = unit(cohort.features).mean(axis=0)
        own = camera_means(cohort.features, cohort.camids, self.mean)
        centred = own.centre(cohort.features, cohort.camids)
        self.variation = variation(centred, cohort.pids)
        self.cohort = without_variation(centred, self.variation)

    def of(self, labelled: LabelledFeatures, gallery: LabelledFeatures) -> Floats:
        """Returns features as those of a gallery, or of queries to it, are compared."""
        means = camera_means(gallery.features, gallery.camids, self.mean)
        centred = means.centre(labelled.features, labelled.camids)
        return without_variation(centred, self.variation)


def _fit_join(
    space: _Space, query: LabelledFeatures, gallery: LabelledFeatures, full: int
) -> npt.NDArray[np.float64]:
    """Fits the weights for grouping to the gallery and the queries that it does not hold."""
    own = (query.pids[:, None] == gallery.pids) & (query.camids[:, None] == gallery.camids)
    similarities = unit(query.features) @ unit(gallery.features).T
    new = ~((similarities > _COPY) & own).any(axis=1)
    added = query.at(np.flatnonzero(new))
    everyone = LabelledFeatures(
        np.concatenate([gallery.features, added.features]),
        np.concatenate([gallery.pids, added.pids]),
        np.concatenate([gallery.camids, added.camids]),
    )
    weights = fit_join(space.of(everyone, gallery), everyone.pids)
    known, same = [], []
    for rows in random_parts(everyone.pids, everyone.camids, full):
        part = everyone.at(rows)
        strangers = stand_ins(space.cohort, len(rows), full)
        known.append(evidence_of_pairs(space.of(part, part), strangers))
        same.append(part.pids[:, None] == part.pids)
    return np.vstack([weights, fit_changes(known, same, weights, full)])


def check_people(pids: npt.NDArray[np.int64], needed: int) -> None:
    """Checks that there are enough people to calibrate on.

    Args:
        pids: Identities of the queries that have a match in another camera.
        needed: Number of people that it takes.

    Raises:
        TooFewPeopleError: If there are fewer.
    """
    found = len(np.unique(pids))
    if found < needed:
        raise TooFewPeopleError(
            f"{found} people have a query and a gallery tracklet of another camera, but it takes "
            f"{needed} to calibrate on (and 99 queries to promise one false match in 100)."
        )
