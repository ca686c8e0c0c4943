"""MSMT17 on a miniature tree of both versions."""

import pytest

from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.datasets.image import MSMT17
from torchreid_occ.data.tracklets import load_dataset, tracklets_of

pytestmark = pytest.mark.filterwarnings("ignore:.*differs from the published data")

# Persons, cameras: training and test persons are numbered from 0 each.
LISTS = {
    "train": [(0, 1), (0, 15), (2, 3)],
    "val": [(2, 4), (0, 2)],
    "query": [(0, 5)],
    "gallery": [(0, 6), (1, 5)],
}


def write(root, version="MSMT17_V1", folders=("train", "test")):
    for folder in folders:
        (root / "msmt17" / version / folder).mkdir(parents=True)
    for name, rows in LISTS.items():
        lines = [
            f"{person:04d}/{person:04d}_{index:03d}_{camera:02d}_0303morning_0015_{index}.jpg"
            f" {person}\n"
            for index, (person, camera) in enumerate(rows)
        ]
        (root / f"msmt17/{version}/list_{name}.txt").write_text("".join(lines))


def labels(items):
    return [item[1:3] for item in items]


def test_validation_belongs_to_the_training_set_query_and_gallery_do_not(tmp_path):
    write(tmp_path)
    dataset = MSMT17(tmp_path, verbose=False)
    assert labels(dataset.train) == [(0, 0), (0, 14), (1, 2), (1, 3), (0, 1)]
    assert labels(dataset.query) == [(0, 4)]
    assert labels(dataset.gallery) == [(0, 5), (1, 4)]
    folder = tmp_path / "msmt17/MSMT17_V1"
    assert dataset.train[0][0] == f"{folder}/train/0000/0000_000_01_0303morning_0015_0.jpg"
    assert dataset.query[0][0] == f"{folder}/test/0000/0000_000_05_0303morning_0015_0.jpg"


def test_the_training_list_alone_on_request(tmp_path):
    write(tmp_path)
    dataset = load_dataset("msmt17", tmp_path, options={"train_val": False})
    assert labels(dataset.train) == [(0, 0), (0, 14), (1, 2)]
    assert len(tracklets_of(dataset)["train"]) == 3


def test_published_counts_follow_the_lists(tmp_path):
    write(tmp_path)
    with pytest.warns(UserWarning, match="1041 identities, 32621 frames"):
        MSMT17(tmp_path, verbose=False)
    with pytest.warns(UserWarning, match="1041 identities, 30248 frames"):
        MSMT17(tmp_path, train_val=False, verbose=False)


def test_version_2_has_other_folders(tmp_path):
    write(tmp_path, "MSMT17_V2", ("mask_train_v2", "mask_test_v2"))
    dataset = MSMT17(tmp_path, verbose=False)
    assert "/MSMT17_V2/mask_train_v2/0000/" in dataset.train[0][0]
    assert "/MSMT17_V2/mask_test_v2/0000/" in dataset.gallery[0][0]


def test_ours_is_read_by_its_name(tmp_path):
    assert dataset_class("msmt17") is MSMT17
    with pytest.raises(FileNotFoundError, match="32,621 images"):
        load_dataset("msmt17", tmp_path)


def test_combineall_adds_the_test_people(tmp_path):
    write(tmp_path)
    dataset = MSMT17(tmp_path, combineall=True, verbose=False)
    assert labels(dataset.train)[5:] == [(2, 4), (2, 5), (3, 4)]


def test_rows_that_are_none_are_named(tmp_path):
    write(tmp_path)
    with (tmp_path / "msmt17/MSMT17_V1/list_val.txt").open("a") as file:
        file.write("0000/image.jpg 3\n")
    with pytest.raises(ValueError, match=r"list_val\.txt, line 3: expected a row such as"):
        MSMT17(tmp_path, verbose=False)
