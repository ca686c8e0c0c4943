from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import LabelledFeatures, fit_calibration
from torchreid_occ.calibration.measuring import measure_calibration
from torchreid_occ.metrics import reliability

COHORT = made_up_people(1, 60)


@pytest.fixture(scope="module")
def fitted():
    query, gallery = query_and_gallery(made_up_people(2, 150))
    return fit_calibration(query, gallery, COHORT, "abc", {"dataset": "made up"}, join=False)


def scores_of(fitted, query, gallery):
    means = fitted.means_of(gallery.features, gallery.camids)
    return fitted.scores(
        *(fitted.adapted(part.features, part.camids, means) for part in (query, gallery))
    )


def test_probabilities_are_true_of_other_people(fitted):
    query, gallery = query_and_gallery(made_up_people(3, 150))
    half = gallery.of(np.arange(75))  # half of those searched for are there
    scores = scores_of(fitted, query, half)
    same = query.pids[:, None] == half.pids
    probabilities = fitted.probabilities(scores, len(half.pids))
    assert reliability(probabilities.ravel(), same.ravel()).error < 0.02
    best = np.array([fitted.probabilities_of_search(row, len(half.pids)).max() for row in scores])
    assert best.mean() == pytest.approx(same[np.arange(150), scores.argmax(1)].mean(), abs=0.1)


def test_the_best_of_a_search_has_the_highest_probability(fitted):
    scores = np.array([-1.0, 3.0, 1.0, -9.0])
    found = fitted.probabilities_of_search(scores, 300)
    assert found.argmax() == 1
    assert (np.diff(found[np.argsort(scores)]) >= 0).all()
    assert fitted.probabilities_of_search(np.zeros(0), 300).tolist() == []
    # Of the pairs alone, all of these were the searched person with near certainty.
    unsure = replace(fitted, first=np.zeros(3))
    assert unsure.probabilities_of_search(np.array([30.0, 29.0]), 100).tolist() == [0.5, 0.5]


def test_a_pair_is_less_probably_one_person_in_a_larger_gallery(fitted):
    small, large = (fitted.probabilities(np.array([0.0]), size)[0] for size in (100, 10_000))
    assert small / (1 - small) == pytest.approx(100 * large / (1 - large))


@pytest.mark.parametrize("kind", ["probabilities", "probabilities_of_search"])
def test_half_as_many_searches_for_people_who_are_there_halve_the_odds(fitted, kind):
    low, high = (getattr(fitted, kind)(np.array([0.0]), 100, share)[0] for share in (0.25, 0.5))
    assert high / (1 - high) == pytest.approx(2 * low / (1 - low))


def test_verdicts_keep_both_promises(fitted):
    query, gallery = query_and_gallery(made_up_people(4, 200))
    scores = scores_of(fitted, query, gallery)
    same = query.pids[:, None] == gallery.pids
    absent = np.where(same, -np.inf, scores).max(axis=1)
    threshold = fitted.same_above(0.05, len(gallery.pids))
    assert (absent > threshold).mean() == pytest.approx(0.05, abs=0.04)
    missed = fitted.different_below(0.1)
    assert (scores[same] < missed).mean() == pytest.approx(0.1, abs=0.05)
    middle = (missed + threshold) / 2
    given = np.array([threshold + 1, missed - 1, middle])
    verdicts = fitted.verdicts(given, len(gallery.pids), 0.05, 0.1)
    assert verdicts == ["same", "different", "cannot tell" if missed < threshold else "same"]


@pytest.mark.parametrize("mates, rate, place", [(99, 0.05, 5), (99, 0.29, 29), (18, 0.05, 0)])
def test_a_new_pair_of_one_person_counts_among_those_known(fitted, mates, rate, place):
    # Of 99 pairs and a new one, equally likely in every place, 5 of 100 are below the fifth.
    known = replace(fitted, mates=np.arange(mates) - 1000.0)
    lowest = known.mates[place - 1] if place else -np.inf
    assert known.different_below(rate) == lowest
    assert known.verdicts(np.array([lowest]), 100, 0.1, rate) == ["cannot tell"]


def test_too_few_people_are_refused_with_the_number_needed():
    query, gallery = query_and_gallery(made_up_people(2, 19))
    with pytest.raises(ValueError, match=r"19 people .* takes 20"):
        fit_calibration(query, gallery, COHORT, "abc", {})


def test_people_of_one_camera_do_not_count():
    query, gallery = query_and_gallery(made_up_people(2, 30))
    alone = gallery._replace(camids=np.zeros_like(gallery.camids))
    with pytest.raises(ValueError, match="0 people"):
        fit_calibration(query, alone, COHORT, "abc", {})


def test_measured_on_the_other_half():
    query, gallery = query_and_gallery(made_up_people(6, 80))
    labels = np.arange(80) % 2
    found = measure_calibration(query, gallery, COHORT, 0.1, labels)
    assert found["calibrated"]["fpir"] == pytest.approx(0.1, abs=0.05)
    assert 0 < found["calibrated"]["tpir"] <= 1
    assert found["answers"]["expected_calibration_error"] < 0.05
    assert sum(found["answers"]["counts"]) == 20 * 40 * 10  # divisions, queries, shown of each
    assert sum(found["best"]["counts"]) == 20 * 40
    assert found["by_label"].keys() == {"0", "1"}
    parts = [found["by_label"][label]["best"]["counts"] for label in ("0", "1")]
    assert np.add(*parts).tolist() == found["best"]["counts"]
    again = measure_calibration(query, gallery, COHORT, 0.1, labels)
    assert found == again


def test_the_querys_own_camera_is_no_match_when_measured():
    query, gallery = query_and_gallery(made_up_people(6, 80, noise=1))
    copied = LabelledFeatures(*map(np.concatenate, zip(gallery, query, strict=True)))
    right = []
    for searched in (gallery, copied):  # the latter holds the queries themselves
        best = measure_calibration(query, searched, COHORT, 0.1)["best"]
        right.append(np.dot(best["seen"], best["counts"]) / sum(best["counts"]))
    assert right[1] == pytest.approx(right[0], abs=0.05)
    assert right[1] < 0.4


def test_too_few_to_divide_are_not_measured():
    query, gallery = query_and_gallery(made_up_people(6, 80))
    assert measure_calibration(query, gallery, COHORT, 0.01) is None


def test_people_without_a_match_are_too_few_to_be_measured():
    query, gallery = query_and_gallery(made_up_people(6, 80))
    seen = gallery.at(np.flatnonzero(gallery.pids < 30))  # half of these are fewer than 20
    assert fit_calibration(query, seen, COHORT, "abc", {}, join=False).feature_dim == 16
    assert measure_calibration(query, seen, COHORT, 0.1) is None
