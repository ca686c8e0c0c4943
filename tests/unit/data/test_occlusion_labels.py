"""Labels of occlusion of Occluded-DukeMTMC-VideoReID, on invented annotation files."""

import json

import numpy as np
import pytest

from torchreid_occ.cli import main
from torchreid_occ.data.datasets.video import OccludedDukeMTMCVidReID
from torchreid_occ.data.ground_truth import ground_truth_of
from torchreid_occ.data.occlusion_labels import (
    LabelledOcclusion,
    fractions_by_split,
    read_occlusion_labels,
)
from torchreid_occ.data.truth_by_name import load_ground_truth
from torchreid_occ.occwalk.stats import frame_shares, tracklet_shares

pytestmark = pytest.mark.filterwarnings("ignore:.*differs from the published data")

LABELS = {
    "query/0077/0005": [0, 3, 3, 5],
    "query/0078/0006": [1, 1],
    "gallery/0077/0007": [0, 0],
    "gallery/0078/0008": [10],
}


@pytest.fixture
def data(tmp_path):
    """The root of a miniature dataset, and the labels of its query and gallery frames by name."""
    base = tmp_path / "Occluded-DukeMTMC-VideoReID"
    labels = {}
    for camera, (folder, values) in enumerate({**LABELS, "train/0001/0001": [0]}.items(), start=1):
        (base / folder).mkdir(parents=True)
        for number, label in enumerate(values, start=1):
            name = f"{folder.split('/')[1]}_C{camera}_F{number:04d}_X{number:05d}.jpg"
            (base / folder / name).touch()
            if not folder.startswith("train"):
                labels[name] = label
    return tmp_path, labels


def write(path, labels):
    if path.suffix == ".json":
        path.write_text(json.dumps(labels))
    else:
        path.write_text("".join(f"{name},{value}\n" for name, value in labels.items()))
        path.write_text("frame,label\n" + path.read_text())
    return path


@pytest.mark.parametrize("name", ["labels.csv", "labels.json", "LABELS.CSV"])
def test_both_forms_are_read(name, tmp_path):
    expected = {"a.jpg": 0, "b.jpg": 10}
    assert read_occlusion_labels(write(tmp_path / name, expected)) == expected


def test_a_query_has_the_label_of_its_mean_hidden_share(data, tmp_path):
    root, labels = data
    path = write(tmp_path / "labels.csv", labels)
    dataset = OccludedDukeMTMCVidReID(root, occlusion=path, verbose=False)
    truth = ground_truth_of(dataset)
    frames = dataset.query[0][0]
    assert [truth.hidden_share(frame) for frame in frames] == [0, 0.25, 0.25, 0.45]
    # (0 + 0.25 + 0.25 + 0.45) / 4 = 0.2375: the third tenth.
    np.testing.assert_array_equal(truth.query_labels(), [3, 1])
    assert truth.query_tracklets() == [paths for paths, *_ in dataset.query]
    assert (truth.whole(), truth.clean, truth.occluded) == (None, None, None)
    by_name = load_ground_truth("occluded_dukemtmcvidreid", root, options={"occlusion": str(path)})
    np.testing.assert_array_equal(by_name.query_labels(), [3, 1])


def test_a_label_alone_is_its_own(data):
    for label in range(11):
        truth = LabelledOcclusion({"a": label}, [["x/a", "y/a"]])
        assert truth.query_labels().tolist() == [label]


def test_without_an_annotation_there_is_no_ground_truth(data):
    root, _ = data
    assert ground_truth_of(OccludedDukeMTMCVidReID(root, verbose=False)) is None


def test_the_statistics_are_those_of_the_labels(data, tmp_path):
    root, labels = data
    path = write(tmp_path / "labels.json", labels)
    splits = fractions_by_split(OccludedDukeMTMCVidReID(root, occlusion=path, verbose=False))
    # Query tracklets are occluded in 3 of 4 and in all frames, gallery tracklets in none and all.
    np.testing.assert_allclose(tracklet_shares(splits["query"]), [0, 0, 0, 0, 0, 0, 0.5, 0, 0.5])
    np.testing.assert_allclose(tracklet_shares(splits["gallery"]), [0.5, *7 * [0], 0.5])
    # Labels 3, 3, 5, 1, 1 of query frames, 10 of a gallery frame.
    np.testing.assert_allclose(frame_shares(splits["query"]), [0.4, 0, 0.4, 0, 0.2, 0, 0, 0])
    np.testing.assert_allclose(frame_shares(splits["gallery"]), [*7 * [0], 1])


def test_the_command_prints_both_tables_beside_the_papers(data, tmp_path, capsys):
    root, labels = data
    path = write(tmp_path / "labels.csv", labels)
    main(["occlusion", str(path), "--root", str(root)])
    first, table_1, table_2 = capsys.readouterr().out.split("\n\n")
    assert first.splitlines()[-3:] == [
        "Occluded-DukeMTMC-VideoReID: tracklets and frames by split",
        "  query        2 tracklets        6 frames",
        "  gallery      2 tracklets        3 frames",
    ]
    rows = {line[:20].strip(): line[20:].split() for line in table_1.splitlines()[2:]}
    assert [*rows] == ["query, paper", "query, labels", "gallery, paper", "gallery, labels"]
    assert rows["query, paper"][2:5] == ["1.1", "2.1", "4.0"]
    assert rows["query, labels"] == ["0.0"] * 6 + ["50.0", "0.0", "50.0"]
    assert table_2.splitlines()[3].split()[2:5] == ["40.0", "0.0", "40.0"]


def test_a_gallery_without_labels_has_no_rows(data, tmp_path):
    root, labels = data
    query = {name: label for name, label in labels.items() if name[5:7] in ("C1", "C2")}
    path = write(tmp_path / "labels.csv", query)
    dataset = OccludedDukeMTMCVidReID(root, occlusion=path, verbose=False)
    with pytest.warns(UserWarning, match="3 of 3 frames of the gallery set have no label"):
        assert [*fractions_by_split(dataset)] == ["query"]
    plain = OccludedDukeMTMCVidReID(root, verbose=False)
    with pytest.raises(ValueError, match="has no labels of occlusion"):
        fractions_by_split(plain)


def test_query_frames_without_a_label_are_refused(data, tmp_path):
    root, labels = data
    del labels["0077_C1_F0002_X00002.jpg"]
    path = write(tmp_path / "labels.csv", labels)
    with pytest.raises(
        ValueError, match=r"no label for 1 of 6 query frames, the first .*_F0002_X00002\.jpg"
    ):
        OccludedDukeMTMCVidReID(root, occlusion=path, verbose=False)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.csv", "", r"line 1: the columns are \[\], but expected \['frame', 'label'\]"),
        ("labels.csv", "frame,label\n", "holds no labels"),
        ("labels.csv", "name,share\na.jpg,3\n", r"line 1: the columns are \['name', 'share'\]"),
        ("labels.csv", "frame,label,by\na,3,me\n", "but expected"),
        ("labels.csv", "frame,label\na.jpg,3,4\n", "line 2: .* does not have two values"),
        ("labels.csv", "frame,label\na.jpg\n", "line 2: .* does not have two values"),
        ("labels.csv", "frame,label\na.jpg,11\n", "line 2: the label of a.jpg is '11'"),
        ("labels.csv", "frame,label\na.jpg,-1\n", "whole number from 0 to 10"),
        ("labels.csv", "frame,label\na.jpg,0.5\n", "whole number from 0 to 10"),
        ("labels.csv", "frame,label\na.jpg,\n", "whole number from 0 to 10"),
        ("labels.csv", "frame,label\n,3\n", "line 2: there is a label without a frame"),
        ("labels.csv", "frame,label\na.jpg,3\nx/a.jpg,3\n", "line 3: .*a.jpg has a label already"),
        ("labels.csv", "frame,label\n\0\udcff,3\n", "cannot be read as CSV"),
        ("labels.json", "", "as JSON"),
        ("labels.json", "{}", "holds no labels"),
        ("labels.json", "[3, 4]", "holds a list, but expected an object"),
        ("labels.json", '{"a.jpg": 3, "a.jpg": 4}', "'a.jpg' is there twice"),
        ("labels.json", '{"a.jpg": 11}', "the label of a.jpg is 11"),
        ("labels.json", '{"a.jpg": true}', "the label of a.jpg is True"),
        ("labels.json", '{"a.jpg": 3.0}', "the label of a.jpg is 3.0"),
        ("labels.json", '{"a.jpg": null}', "the label of a.jpg is None"),
        ("labels.mat", "", "no annotation of occlusion that can be read: expected a .csv file"),
        ("labels", "", "no annotation of occlusion that can be read"),
    ],
)
def test_other_files_are_refused_by_name(name, text, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message) as error:
        read_occlusion_labels(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"labels\.csv"):
        read_occlusion_labels(tmp_path / "labels.csv")
