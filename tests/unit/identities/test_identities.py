import csv
import json
import multiprocessing
import os
import shutil
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import calibration_bytes, fit_calibration, save_calibration
from torchreid_occ.cli.command import main
from torchreid_occ.identities import Corrections, correct, find_identities, update_identities
from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.documents import CALIBRATION, IDENTITIES

PEOPLE = made_up_people(7, 40, noise=0.5)


@pytest.fixture(scope="module")
def calibration():
    query, gallery = query_and_gallery(made_up_people(2, 120, noise=0.5))
    return fit_calibration(query, gallery, made_up_people(1, 60), "abc", {})


def add(gallery, rows):
    gallery.add(
        [GalleryTracklet(f"t{i}", (f"/gone/{i}.jpg",), int(PEOPLE.camids[i])) for i in rows],
        PEOPLE.features[list(rows)],
        "abc",
    )


@pytest.fixture
def gallery(gallery_place, calibration):
    made = Gallery.create(gallery_place, "abc", 16)
    add(made, range(90))  # ids are places + 1; persons 0 to 29
    made.documents.write(CALIBRATION, calibration_bytes(calibration))
    return made


def f1(found):
    person = found.person_of()
    labels = np.array([person[number] for number in sorted(person)])
    pids = PEOPLE.pids[: len(labels)]
    same, true = labels[:, None] == labels, pids[:, None] == pids
    return 2 * np.triu(same & true, 1).sum() / (np.triu(same, 1).sum() + np.triu(true, 1).sum())


def test_tracklets_are_grouped_into_people(gallery, calibration):
    found = find_identities(gallery, calibration)
    assert f1(found) > 0.8
    assert sorted(n for one in found.people for n in one.tracklets) == [*range(1, 91)]
    certainties = [one.certainty for one in found.people]
    assert certainties == sorted(certainties)
    assert all(0.5 <= value <= 1 for value in certainties)


def test_decisions_come_least_certain_first_and_say_what_was_done(gallery, calibration):
    found = find_identities(gallery, calibration)
    person = found.person_of()
    doubts = [one.doubt for one in found.decisions]
    assert doubts == sorted(doubts, reverse=True)
    for one in found.decisions:
        assert (person[one.one] == person[one.other]) == (one.same > 0.5)
    joins = sum(one.same > 0.5 for one in found.decisions)
    assert joins == 90 - len(found.people)


def test_corrections_hold_in_later_runs(gallery, calibration):
    before = update_identities(gallery, calibration)
    person = before.person_of()
    joined = next(one for one in before.decisions if one.same > 0.5)
    divided = next(
        one for one in before.decisions
        if one.same < 0.5 and not {one.one, one.other} & {joined.one, joined.other}
    )  # fmt: skip
    correct(gallery, [(divided.one, divided.other)], [(joined.one, joined.other)])
    for rows in ((), range(90, 120)):
        add(gallery, rows)
        now = update_identities(gallery, calibration).person_of()
        assert now[divided.one] == now[divided.other]
        assert now[joined.one] != now[joined.other]
    assert person[joined.one] == person[joined.other]
    correct(gallery, forgotten=[(joined.other, joined.one)])
    assert len(json.loads(gallery.documents.read(IDENTITIES))["split"]) == 0


def test_people_keep_their_numbers_when_tracklets_are_added(gallery, calibration):
    before = update_identities(gallery, calibration).person_of()
    add(gallery, range(90, 120))
    after = update_identities(gallery, calibration).person_of()
    kept = sum(before[number] == after[number] for number in before)
    assert kept > 0.9 * len(before)
    assert max(after.values()) > max(before.values())


def test_joined_people_keep_the_number_of_who_had_most_tracklets(tmp_path, calibration):
    gallery = Gallery.create(tmp_path, "abc", 16)
    add(gallery, range(4))
    one = Corrections(merged=(("t0", "t1"), ("t1", "t2")), split=(("t0", "t3"),))
    former = {1: ["t0"], 2: ["t1", "t2"], 5: ["gone"]}
    found = find_identities(gallery, calibration, one, former)
    assert found.person_of() == {1: 2, 2: 2, 3: 2, 4: 6}


def test_corrections_go_with_a_tracklet_that_is_removed(gallery, calibration):
    correct(gallery, [(1, 2), (2, 3)])
    gallery.remove([2])
    found = correct(gallery, split=[(1, 3)])  # the chain that contradicted it is broken
    assert found == Corrections(split=(("t0", "t2"),))
    person = update_identities(gallery, calibration).person_of()
    assert person[1] != person[3]


def test_contradictions_and_unknown_ids_change_nothing(gallery, calibration):
    correct(gallery, [(1, 2), (2, 3)])
    written = gallery.documents.read(IDENTITIES)
    with pytest.raises(ValueError, match="t0 = t1 = t2 are one person, but t0 and t2 are two"):
        correct(gallery, split=[(1, 3)])
    with pytest.raises(KeyError, match=r"no tracklets with the ids \[999\]"):
        correct(gallery, [(1, 999)])
    assert gallery.documents.read(IDENTITIES) == written
    gallery.documents.write(IDENTITIES, b"{}")
    with pytest.raises(ValueError, match=r"identities\.json.* is damaged"):
        update_identities(gallery, calibration)


# Qdrant's engine in this process cannot be forked.
@pytest.mark.parametrize("gallery_place", ["folder", "postgres"], indirect=True)
def test_a_run_that_is_killed_changes_nothing_and_can_be_repeated(
    gallery, gallery_place, calibration, monkeypatch
):
    correct(gallery, [(1, 2)])
    stored = gallery.documents.read(IDENTITIES)

    def run():
        own = Gallery(gallery_place)
        monkeypatch.setattr(own.documents, "write", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        update_identities(own, calibration)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert gallery.documents.read(IDENTITIES) == stored
    person = update_identities(Gallery(gallery_place), calibration).person_of()
    assert person[1] == person[2]


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_small_galleries(tmp_path, calibration, number):
    small = Gallery.create(tmp_path / "small", "abc", 16)
    add(small, range(number))
    found = find_identities(small, calibration)
    assert sum(len(one.tracklets) for one in found.people) == number


def test_a_calibration_of_another_checkpoint_is_refused(tmp_path, calibration):
    other = Gallery.create(tmp_path / "other", "xyz", 16)
    with pytest.raises(ValueError, match="The calibration is of checkpoint abc"):
        find_identities(other, calibration)


def test_the_command_writes_page_csv_json_and_parquet(gallery, gallery_place, tmp_path, capsys):
    files = [tmp_path / f"people.{kind}" for kind in ("html", "csv", "json", "parquet")]
    words = [f"--{path.suffix[1:]}={path}" for path in files]
    main(["identities", str(gallery_place), "--merge", "1", "90", *words])
    assert "people in 90 tracklets" in capsys.readouterr().out
    html, rows, content = (path.read_text() for path in files[:3])
    people = content and json.loads(content)["people"]
    assert html.count('<section class="card"') == len(people)
    assert "--split" in html
    listed = [*csv.DictReader(rows.splitlines())]
    assert len(listed) == 90
    by_id = {row["id"]: row["person"] for row in listed}
    assert by_id["1"] == by_id["90"]
    table = pq.read_table(files[3])
    assert json.loads(table.schema.metadata[b"torchreid_occ"]) == {"checkpoint_hash": "abc"}
    for row, other in zip(table.to_pylist(), listed, strict=True):
        same = ("person", "id", "camera", "name")
        assert [str(row[name]) for name in same] == [other[name] for name in same]
        assert row["certainty"] == pytest.approx(float(other["certainty"]), abs=1e-4)
        assert row["frames"] == [f"/gone/{row['id'] - 1}.jpg"] and row["start"] is None


def test_the_command_needs_a_calibration(gallery, gallery_place):
    gallery.documents.write(CALIBRATION, None)
    with pytest.raises(SystemExit, match="carries no calibration"):
        main(["identities", str(gallery_place)])


def test_people_of_recordings_as_mot_text(tmp_path, calibration, capsys):
    data = tmp_path / "data"
    names = ["1_gate_0001", "1_gate_0002"]
    for name in names:
        folder = data / "gallery" / name[2:] / name
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 8)).save(folder / "1.png")
    where = {"frames": [3, 4], "seconds": [0.2, 0.3], "boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    manifest = {"file": "gate.mp4", "frames": 9, "size": [64, 48], "box": ["left"]}
    manifest["tracklets"] = {f"gallery/{name[2:]}/{name}": where for name in names}
    (data / "recordings").mkdir()
    (data / "recordings" / "gate.json").write_text(json.dumps(manifest))
    made = Gallery.create(tmp_path / "gallery", "abc", 16)
    made.add(
        [
            GalleryTracklet(name, (str(data / "gallery" / name[2:] / name / "1.png"),), 1, 0.2, 0.3)
            for name in names
        ],
        np.ones((2, 16), np.float32),
        "abc",
    )
    save_calibration(calibration, made.folder / CALIBRATION)
    main(["identities", str(made.folder), "--mot", str(tmp_path / "mot")])
    lines = (tmp_path / "mot" / "gate.txt").read_text().splitlines()
    assert [line.split(",")[:6] for line in lines] == [  # seen at once, so two people
        ["3", "1", "1.00", "2.00", "3.00", "4.00"],
        ["3", "2", "1.00", "2.00", "3.00", "4.00"],
        ["4", "1", "5.00", "6.00", "7.00", "8.00"],
        ["4", "2", "5.00", "6.00", "7.00", "8.00"],
    ]
    assert "2 people in 2 tracklets" in capsys.readouterr().out
    truth = tmp_path / "gt.txt"
    truth.write_text("3,7,1,2,3,4,1\n4,7,5,6,7,8,1\n")
    words = ["identities", str(made.folder), "--mot", str(tmp_path / "mot")]
    main([*words, "--evaluate", str(truth)])
    assert "IDF1 66.7%  MOTA 0.0%" in capsys.readouterr().out  # 2 of 4 boxes are right, 2 false
    with pytest.raises(SystemExit, match="must be there"):
        main([*words, "--evaluate", str(tmp_path / "none.txt")])
    shutil.copytree(data, tmp_path / "other")
    other = tmp_path / "other/gallery/gate_0001/1_gate_0001/1.png"
    later = GalleryTracklet("other", (str(other),), 1, 0.2, 0.3)
    made.add([later], np.ones((1, 16), np.float32), "abc")
    with pytest.raises(SystemExit, match="Two recordings are named gate"):
        main(words)
