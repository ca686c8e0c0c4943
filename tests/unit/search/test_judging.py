import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import calibration_path, fit_calibration, save_calibration
from torchreid_occ.embedders.provenance import Provenance
from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.answer import as_csv, as_json, as_table, promise_of
from torchreid_occ.search.judging import Judge, carry_calibration, judge_of
from torchreid_occ.search.page import write_page
from torchreid_occ.search.parquet import write_answer_table
from torchreid_occ.search.query import SearchQuery

MADE_UP = Provenance("made up", "nothing", "not measured")
QUERY, GALLERY = query_and_gallery(made_up_people(2, 120))


@pytest.fixture(scope="module")
def calibration():
    cohort = made_up_people(1, 60)
    return fit_calibration(QUERY, GALLERY, cohort, "abc", {"dataset": "made up"}, join=False)


@pytest.fixture
def gallery(tmp_path):
    made = Gallery.create(tmp_path / "gallery", "abc", 16)
    tracklets = [GalleryTracklet(f"t{i}", (f"/gone/{i}.jpg",), 1) for i in range(60)]
    made.add(tracklets, GALLERY.features[:60], "abc")
    return made


def test_judgements_are_those_of_the_calibration(gallery, calibration):
    feature = QUERY.features[3]
    matches = gallery.search(feature, "abc", 4)
    judged = Judge(gallery, calibration, 0.05)(feature, matches)
    assert [one.id for one in judged] == [one.id for one in matches]
    ids = np.array([one.id - 1 for one in matches])
    ones = np.ones(60, int)
    means = calibration.means_of(GALLERY.features[:60], ones)
    features = calibration.adapted(GALLERY.features[ids], ones[:4], means)
    scores = calibration.scores(calibration.adapted(feature[None], -ones[:1], means), features)[0]
    expected = calibration.probabilities_of_search(scores, 60)
    np.testing.assert_allclose([one.judged.probability for one in judged], expected, rtol=1e-5)
    assert [one.judged.verdict for one in judged] == calibration.verdicts(scores, 60, 0.05)
    assert {one.judged.false_matches for one in judged} == {0.05}


def test_a_tracklet_that_was_removed_meanwhile_has_no_judgement(gallery, calibration):
    feature = QUERY.features[3]
    matches = gallery.search(feature, "abc", 3)
    gallery.remove([matches[0].id])
    judged = Judge(gallery, calibration)(feature, matches)
    assert judged[0].judged is None
    assert judged[1].judged is not None
    assert as_table(judged).count("%") == 2
    assert next(csv.DictReader(as_csv(judged).splitlines()))["verdict"] == ""
    gallery.remove([one.id for one in matches[1:]])
    assert Judge(gallery, calibration)(feature, matches) == matches


def test_table_json_and_page_show_it(gallery, calibration, tmp_path):
    feature = QUERY.features[3]
    matches = Judge(gallery, calibration)(feature, gallery.search(feature, "abc", 3))
    first = matches[0].judged
    table = as_table(matches).splitlines()
    assert "| probability | verdict |" in table[0]
    assert f"| {first.probability:.1%} | {first.verdict} |" in table[2]
    content = json.loads(json.dumps(as_json(gallery, SearchQuery("who", []), matches, MADE_UP)))
    assert content["matches"][0]["verdict"] == first.verdict
    assert content["matches"][0]["probability"] == first.probability
    assert content["matches"][0]["false_matches"] == 0.01
    (row, *_) = csv.DictReader(as_csv(matches).splitlines())
    assert (float(row["probability"]), row["verdict"]) == (first.probability, first.verdict)
    assert (row["id"], row["path"]) == (str(matches[0].id), f"/gone/{matches[0].id - 1}.jpg")
    write_answer_table(tmp_path / "answer.parquet", matches, "abc")
    row = pq.read_table(tmp_path / "answer.parquet").to_pylist()[0]
    assert (row["probability"], row["verdict"]) == (first.probability, first.verdict)
    write_page(tmp_path / "page.html", gallery, SearchQuery("who", []), matches, MADE_UP)
    page = (tmp_path / "page.html").read_text()
    assert f"{first.verdict}, {100 * first.probability:.1f}" in page
    assert "at most 0.01 get the verdict same" in promise_of(matches)
    assert promise_of(matches) in page


def test_answers_without_a_calibration_are_as_before(gallery):
    matches = gallery.search(QUERY.features[3], "abc", 3)
    assert promise_of(matches) == ""
    assert "verdict" not in as_table(matches) and "verdict" not in as_csv(matches)
    assert "verdict" not in as_json(gallery, SearchQuery("who", []), matches, MADE_UP)["matches"][0]
    assert judge_of(gallery) is None
    with pytest.raises(ValueError, match=r"neither the gallery in .* has a calibration"):
        judge_of(gallery, false_matches=0.01)


def test_a_gallery_carries_the_calibration(gallery, calibration, tmp_path):
    checkpoint = tmp_path / "model.pth"
    assert not carry_calibration(gallery, checkpoint)
    save_calibration(calibration, calibration_path(checkpoint))
    assert judge_of(gallery, checkpoint).promises == (0.01, 0.05)  # of the checkpoint's own
    assert carry_calibration(gallery, checkpoint)
    calibration_path(checkpoint).unlink()
    assert judge_of(gallery, checkpoint, 0.1).promises == (0.1, 0.05)


def test_the_default_promise_is_one_that_can_be_kept(gallery):
    query, others = (part.of(np.arange(40)) for part in (QUERY, GALLERY))
    small = fit_calibration(query, others, made_up_people(1, 60), "abc", {}, join=False)
    assert Judge(gallery, small).promises[0] == pytest.approx(1 / 41)
    with pytest.raises(ValueError, match="takes 99 queries to calibrate on, and there were 40"):
        Judge(gallery, small, 0.01)


def test_a_calibration_of_another_checkpoint_is_refused(gallery, calibration, tmp_path):
    other = tmp_path / "other.pth"
    moved = Gallery.create(tmp_path / "another", "xyz", 16)
    save_calibration(calibration, calibration_path(other))
    for use in (carry_calibration, judge_of):
        with pytest.raises(ValueError, match="The calibration is of checkpoint abc"):
            use(moved, other)
    with pytest.raises(ValueError, match="The calibration is of checkpoint abc"):
        Judge(moved, calibration)
