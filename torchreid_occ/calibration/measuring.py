"""Measures calibrations on identities that they were not fitted to, in open-set galleries."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.calibration import Calibration
from torchreid_occ.calibration.fitting import (
    LabelledFeatures,
    TooFewPeopleError,
    fit_calibration,
)
from torchreid_occ.calibration.maxima import highest, threshold_of
from torchreid_occ.calibration.space import Floats, unit
from torchreid_occ.metrics import open_set, reliability
from torchreid_occ.metrics.open_set import OpenSet, rates_at
from torchreid_occ.utils.progress import progress

DIVISIONS = 20
SHOWN = 10  # tracklets of an answer


class Search(NamedTuple):
    """Searches of one division, of people who are in the gallery and of as many who are not.

    Attributes:
        found: Scores of what the searches find, the higher the nearer; negated, as distances.
        plain: The same by cosine distance.
        threshold: Distance below which a tracklet is called the same, of `found`.
        plain_threshold: Likewise of `plain`.
        probabilities: Of the best tracklets of each search. Shape ``(Q, SHOWN)``.
        same: Whether each is the person. Same shape.
        labels: Label of each query, as in `probabilities`. Shape ``(Q,)``.
        mated: Whether the person is in the gallery. Shape ``(Q,)``.
    """

    found: OpenSet
    plain: OpenSet
    threshold: float
    plain_threshold: float
    probabilities: Floats
    same: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    mated: npt.NDArray[np.bool_]


def measure_calibration(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    cohort: LabelledFeatures,
    rate: float = 0.01,
    labels: npt.NDArray[np.int64] | None = None,
) -> dict[str, Any] | None:
    """Calibrates on half of the identities and searches for the others, in 20 random divisions.

    Half of the people searched for are in the gallery. Calibrated verdicts are compared with one
    fixed threshold on the cosine distance that is chosen by the same promise.

    Args:
        query: Features of the queries.
        gallery: Features of the gallery.
        cohort: Features of other people.
        rate: The false positive identification rate that is promised.
        labels: Label of each query, such as that of its occlusion. Shape: ``(Q,)``.

    Returns:
        Means over the divisions and the reliability of the probabilities as plain values, or None
        if there are too few identities or queries to divide.
    """
    try:
        divisions = progress(range(DIVISIONS), "measuring", unit="division")
        found = [_search(query, gallery, cohort, rate, seed, labels) for seed in divisions]
    except TooFewPeopleError:
        return None
    said = np.concatenate([search.probabilities for search in found])
    same = np.concatenate([search.same for search in found])
    there = np.isfinite(said)
    result = {
        "promised_fpir": rate,
        "divisions": DIVISIONS,
        "best": _diagram(said[:, 0], same[:, 0]),
        "answers": _diagram(said[there], same[there]),
        "calibrated": _mean_rates([(one.found, one.threshold) for one in found]),
        "one_threshold": _mean_rates([(one.plain, one.plain_threshold) for one in found]),
    }
    if labels is not None:
        of_label = np.concatenate([search.labels for search in found])
        result["by_label"] = {
            str(label): {
                "calibrated": _mean_rates([*_of_label(found, label, plain=False)]),
                "one_threshold": _mean_rates([*_of_label(found, label, plain=True)]),
                "best": _diagram(*(x[of_label == label] for x in (said[:, 0], same[:, 0]))),
            }
            for label in np.unique(of_label).tolist()
        }
    return result


def _search(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    cohort: LabelledFeatures,
    rate: float,
    seed: int,
    labels: npt.NDArray[np.int64] | None,
) -> Search:
    """Calibrates on half of the identities and searches for the other half."""
    identities = np.random.default_rng(seed).permutation(np.unique(query.pids))
    fitted, tested = np.array_split(identities, 2)
    absent = tested[: len(tested) // 2]
    others = np.setdiff1d(gallery.pids, identities)  # people without a query
    if len(query.of(fitted).pids) < 1 / rate - 1:
        raise TooFewPeopleError(f"{len(query.of(fitted).pids)} queries cannot promise {rate:g}.")
    calibration = fit_calibration(
        query.of(fitted), gallery.of(np.append(fitted, others)), cohort, "", {}, join=False
    )
    searched = query.of(tested)
    left = gallery.of(np.setdiff1d(np.append(tested, others), absent))
    means = calibration.means_of(left.features, left.camids)
    scores = calibration.scores(
        *(calibration.adapted(part.features, part.camids, means) for part in (searched, left))
    )
    same = searched.pids[:, None] == left.pids[None]
    scores[same & (searched.camids[:, None] == left.camids[None])] = -np.inf
    order = np.argsort(-scores, axis=1)[:, :SHOWN]
    of_label = np.zeros(len(query.pids), np.int64) if labels is None else labels
    of_label = of_label[np.isin(query.pids, tested)]
    is_mated = (same & np.isfinite(scores)).any(axis=1)
    labelled = searched.pids, left.pids, searched.camids, left.camids
    return Search(
        open_set(-scores, *labelled),
        open_set(1 - unit(searched.features) @ unit(left.features).T, *labelled),
        -calibration.same_above(rate, len(left.pids)),
        1 - _plain_threshold(query.of(fitted), gallery.of(np.append(fitted, others)), rate, left),
        _probabilities(calibration, np.take_along_axis(scores, order, axis=1), len(left.pids)),
        np.take_along_axis(same, order, axis=1),
        of_label,
        is_mated,
    )


def _probabilities(calibration: Calibration, scores: Floats, size: int) -> Floats:
    rows = [calibration.probabilities_of_search(row, size) for row in scores]
    return np.where(np.isfinite(scores), np.stack(rows), np.nan)


def _plain_threshold(
    query: LabelledFeatures, gallery: LabelledFeatures, rate: float, left: LabelledFeatures
) -> float:
    """Returns the cosine similarity that keeps the promise in the same way."""
    similarities = unit(query.features) @ unit(gallery.features).T
    same = query.pids[:, None] == gallery.pids[None]
    return threshold_of(*highest(similarities, same), rate, len(left.pids))


def _of_label(found: list[Search], label: int, plain: bool) -> Iterator[tuple[OpenSet, float]]:
    for one in found:
        whole = one.plain if plain else one.found
        mated, absent = (one.labels[part] == label for part in (one.mated, ~one.mated))
        part = OpenSet(whole.non_mated[absent], whole.mated[mated], whole.ranks[mated])
        if len(part.non_mated) and len(part.mated):
            yield part, one.plain_threshold if plain else one.threshold


def _mean_rates(parts: list[tuple[OpenSet, float]]) -> Mapping[str, float]:
    rates = [rates_at(found, threshold) for found, threshold in parts]
    if not rates:
        return {}
    return {
        "tpir": round(float(np.mean([one.dir for one in rates])), 4),
        "fpir": round(float(np.mean([one.fpir for one in rates])), 4),
    }


def _diagram(said: Floats, same: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Returns a reliability diagram as plain values."""
    found = reliability(said, same)
    return {
        "expected_calibration_error": round(found.error, 4),
        "said": found.said.round(4).tolist(),
        "seen": found.seen.round(4).tolist(),
        "counts": found.counts.tolist(),
    }
