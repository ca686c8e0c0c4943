"""Calibrated answers: probabilities and verdicts for pairs of tracklets."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from torchreid_occ.calibration.cohort import evidence
from torchreid_occ.calibration.joining import odds_of_pairs
from torchreid_occ.calibration.maxima import threshold_of
from torchreid_occ.calibration.space import (
    CameraMeans,
    Floats,
    camera_means,
    unit,
    without_variation,
)

SAME, DIFFERENT, UNKNOWN = "same", "different", "cannot tell"
SAME_FRAMES = 1e-3  # cosine distance of one tracklet's features, however they were extracted
PRESENT = 0.5  # share of the people searched for that are taken to be in the gallery


@dataclass(frozen=True)
class Calibration:
    """What distances of a checkpoint's features mean, learned from people it was not trained on.

    Attributes:
        checkpoint_hash: SHA-256 of the checkpoint.
        about: What it was learned from, and how well it does there; plain values.
        cohort: Features of tracklets of other people, of unit length. Shape ``(C, D)``.
        cohort_cameras: Their cameras. Shape ``(C,)``.
        variation: Directions in which features of one person vary, see
            :func:`~torchreid_occ.calibration.space.variation`. Shape ``(R, D)``.
        scale: Mean and standard deviation of each kind of evidence. Shape ``(2, E)``.
        weights: Weights of the scaled evidence, and last the intercept. Shape ``(E + 1,)``.
        curve: Scores, ascending, and the probabilities at them. Shape ``(2, P)``.
        first: Weights of the log odds of the best tracklet of a search: of its score, of the
            logarithm of the gallery's size, and the intercept. Shape ``(3,)``.
        maxima: Highest scores of other people for each query. Shape ``(Q, K)``.
        others: Number of tracklets of other people for each query. Shape ``(Q,)``.
        mates: Scores of pairs of one person, ascending. Shape ``(S,)``.
        join: Weights for grouping tracklets into people, see
            :func:`~torchreid_occ.calibration.small_galleries.weights_at`. Shape ``(3, 4)``.
    """

    checkpoint_hash: str
    about: Mapping[str, Any]
    cohort: Floats
    cohort_cameras: npt.NDArray[np.int64]
    variation: Floats
    scale: Floats
    weights: Floats
    curve: Floats
    first: Floats
    maxima: Floats
    others: npt.NDArray[np.int64]
    mates: Floats
    join: Floats

    @property
    def feature_dim(self) -> int:
        """Length of a feature."""
        return int(self.cohort.shape[1])

    @property
    def full_size(self) -> int:
        """Number of tracklets in the gallery that it was fitted to, on average without a mate."""
        return round(float(self.others.mean()))

    @property
    def lowest_rate(self) -> float:
        """Lowest rate of false matches that it can promise."""
        return 1 / (len(self.maxima) + 1)

    def check_model(self, checkpoint_hash: str) -> None:
        """Checks that the calibration belongs to a checkpoint.

        Args:
            checkpoint_hash: Hash of the checkpoint.

        Raises:
            ValueError: If it belongs to another one; names both.
        """
        if checkpoint_hash != self.checkpoint_hash:
            raise ValueError(
                f"The calibration is of checkpoint {self.checkpoint_hash}, but the features are of "
                f"{checkpoint_hash}: calibrate that one, too."
            )

    def without(self, features: Floats) -> "Calibration | None":
        """Returns the calibration without some tracklets in its cohort; None if none is left.

        Args:
            features: Features of the tracklets, of any norm. Shape: ``(N, D)``.
        """
        gone = (self.cohort @ unit(features).T >= 1 - SAME_FRAMES).any(axis=1)
        if gone.all():
            return None
        if not gone.any():
            return self
        left = self.cohort[~gone], self.cohort_cameras[~gone]
        return replace(self, cohort=left[0], cohort_cameras=left[1])

    def differs_from(self, other: "Calibration") -> bool:
        """Returns whether another calibration was fitted differently; their cohorts may differ.

        Args:
            other: The other one.
        """
        return (self.checkpoint_hash, self.about) != (other.checkpoint_hash, other.about) or any(
            not np.array_equal(getattr(self, name), getattr(other, name))
            for name in ARRAYS
            if name not in ("cohort", "cohort_cameras")
        )

    def means_of(self, features: Floats, cameras: npt.NDArray[np.int64]) -> CameraMeans:
        """Returns the means of a gallery and its cameras, drawn towards those of the cohort.

        Args:
            features: Features of the gallery, or of a part of it, of any norm. Shape: ``(N, D)``.
            cameras: Their cameras. Shape: ``(N,)``.
        """
        return camera_means(features, cameras, self.cohort.mean(axis=0))

    def adapted(
        self, features: Floats, cameras: npt.NDArray[np.int64], means: CameraMeans
    ) -> Floats:
        """Returns features as scores compare them, of unit length.

        Args:
            features: Features of any norm. Shape: ``(N, D)``.
            cameras: Their cameras; any number that the gallery has not, where unknown.
                Shape: ``(N,)``.
            means: Those of the gallery that is searched.
        """
        return without_variation(means.centre(features, cameras), self.variation)

    def scores(self, query: Floats, gallery: Floats) -> Floats:
        """Returns scores of pairs: the higher, the more probably both are one person.

        Args:
            query: Features from `adapted`.
            gallery: Likewise.

        Shape:
            query: ``(Q, D)``; gallery: ``(G, D)``; result: ``(Q, G)``.
        """
        mean, spread = self.scale
        known = (evidence(query, gallery, self._adapted_cohort()) - mean) / spread
        scores: Floats = known @ self.weights[:-1] + self.weights[-1]
        return scores

    def odds_of_joins(self, gallery: Floats) -> Floats:
        """Returns the log odds that two tracklets of a gallery should be joined into one person.

        Args:
            gallery: Features from `adapted`.

        Shape:
            gallery: ``(N, D)``; result: ``(N, N)``.
        """
        return odds_of_pairs(gallery, self.join, self._adapted_cohort(), self.full_size)

    def probabilities(self, scores: Floats, gallery_size: int, present: float = PRESENT) -> Floats:
        """Returns the probabilities that pairs of a query and a gallery's tracklet are one person.

        That of the best tracklet of a search is lower, see `probabilities_of_search`: it is chosen
        because its score is high. A person in the gallery is taken to have as many tracklets
        there as in the calibration set, so that a pair of one person is the rarer the larger the
        gallery is.

        Args:
            scores: Scores of any shape.
            gallery_size: Number of tracklets in the gallery.
            present: Share of the people searched for that are in the gallery.
        """
        return self._in_gallery(np.interp(scores, *self.curve), gallery_size, present)

    def probabilities_of_search(
        self, scores: Floats, gallery_size: int, present: float = PRESENT
    ) -> Floats:
        """Returns the probabilities that the tracklets of an answer are the person searched for.

        Args:
            scores: Scores of the tracklets that a search found. Shape: ``(N,)``.
            gallery_size: Number of tracklets in the gallery.
            present: Share of the people searched for that are in the gallery.
        """
        found = self.probabilities(scores, gallery_size, present)
        if len(found):
            slope, growth, intercept = self.first
            odds = slope * np.max(scores) + growth * np.log(max(gallery_size, 1)) + intercept
            best = expit(odds + np.log(present / PRESENT))
            found = np.minimum(found, best)
            found[np.argmax(scores)] = best
        return found

    def _adapted_cohort(self) -> Floats:
        own = self.means_of(self.cohort, self.cohort_cameras)
        return self.adapted(self.cohort, self.cohort_cameras, own)

    def _in_gallery(self, probability: Floats, gallery_size: int, present: float) -> Floats:
        odds = probability / np.maximum(1 - probability, 1e-9)
        odds = odds * (present / PRESENT) * float(self.others.mean()) / max(gallery_size, 1)
        result: Floats = odds / (1 + odds)
        return result

    def same_above(self, false_matches: float, gallery_size: int) -> float:
        """Returns the score above which a verdict is 'same'.

        Args:
            false_matches: The promise: of the people searched for that are not in the gallery, for
                at most this share somebody in it is called the same.
            gallery_size: Number of tracklets in the gallery.

        Raises:
            ValueError: If the calibration has too few queries for that promise.
        """
        return threshold_of(self.maxima, self.others, false_matches, gallery_size)

    def different_below(self, missed_matches: float) -> float:
        """Returns the score below which a verdict is 'different'.

        Args:
            missed_matches: The promise: at most this share of the pairs of one person is called
                different.

        Raises:
            ValueError: If it is no share.
        """
        if not 0 < missed_matches < 1:
            raise ValueError(
                f"Received missed_matches {missed_matches}, but expected a share between 0 and 1."
            )
        # The product is rounded: 0.29 * 100 is 28.999999999999996.
        place = int(missed_matches * (len(self.mates) + 1) + 1e-9) - 1
        return float(self.mates[place]) if place >= 0 else -np.inf

    def verdicts(
        self,
        scores: Floats,
        gallery_size: int,
        false_matches: float = 0.01,
        missed_matches: float = 0.05,
    ) -> list[str]:
        """Returns 'same', 'different' or 'cannot tell' for scores of pairs.

        Args:
            scores: The scores. Shape: ``(N,)``.
            gallery_size: Number of tracklets in the gallery.
            false_matches: See `same_above`.
            missed_matches: See `different_below`.
        """
        same = self.same_above(false_matches, gallery_size)
        different = self.different_below(missed_matches)
        return [
            SAME if score > same else DIFFERENT if score < different else UNKNOWN
            for score in np.asarray(scores).tolist()
        ]


ARRAYS = tuple(field.name for field in fields(Calibration))[2:]  # that a file holds
