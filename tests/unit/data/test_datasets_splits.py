"""Half splits and the files that keep them."""

import json
from itertools import combinations
from pathlib import Path

import pytest

from torchreid_occ.data.datasets.splits import half_splits, load_split

PEOPLE = [f"person{number:03d}" for number in range(1, 12)]


def make():
    return half_splits(PEOPLE)


def test_ten_different_splits_into_disjoint_halves():
    splits = half_splits(PEOPLE)
    assert len(splits) == 10
    for split in splits:
        assert len(split["train"]) == 5 and len(split["test"]) == 6
        assert sorted(split["train"] + split["test"]) == PEOPLE
        assert split["train"] == sorted(split["train"])
    assert all(a != b for a, b in combinations(splits, 2))


def test_splits_depend_on_seed_and_identities_alone():
    # Literal, so that another generator or order of draws cannot slip in unseen.
    assert half_splits(list(range(6)), num_splits=2) == [
        {"train": [1, 2, 5], "test": [0, 3, 4]},
        {"train": [1, 3, 4], "test": [0, 2, 5]},
    ]
    assert half_splits(PEOPLE, seed=0) == half_splits(PEOPLE, seed=0)
    assert half_splits(PEOPLE, seed=1) != half_splits(PEOPLE, seed=0)


def test_a_missing_file_is_made_once_and_then_read(tmp_path):
    path = tmp_path / "splits.json"
    first = load_split(path, 3, PEOPLE, make)
    assert first == make()[3]
    assert json.loads(path.read_text()) == make()
    assert [file.name for file in tmp_path.iterdir()] == ["splits.json"]
    assert load_split(path, 3, PEOPLE, make=None) == first  # nothing is made again


def test_a_folder_that_cannot_be_written_warns_and_uses_memory(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)  # chmod would not stop root
    path = tmp_path / "splits.json"
    with pytest.warns(UserWarning, match="could not be written to .*Permission denied") as caught:
        assert load_split(path, 3, PEOPLE, make) == make()[3]
    assert len(caught) == 1
    assert not path.exists()


@pytest.mark.parametrize("split_id", [-1, 10])
def test_split_id_out_of_range(tmp_path, split_id):
    with pytest.raises(ValueError, match=f"split_id={split_id}, but .* has the splits 0 to 9"):
        load_split(tmp_path / "splits.json", split_id, PEOPLE, make)


def test_a_file_for_other_identities_is_an_error_and_stays(tmp_path):
    path = tmp_path / "splits.json"
    load_split(path, 0, PEOPLE, make)
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=r"1 identity \(person001\) not on disk.*delete the file"):
        load_split(path, 0, PEOPLE[1:], make)
    with pytest.raises(ValueError, match=r"1 identity \(zoe\) on disk but in neither half"):
        load_split(path, 0, [*PEOPLE, "zoe"], make)
    assert load_split(path, 0, [*PEOPLE, "zoe"], make, complete=False) == make()[0]
    assert path.read_bytes() == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1]",
        '[{"train": ["a"]}]',
        '[{"train": 1, "test": 2}]',
        '[{"train": [[]], "test": ["a"]}]',
    ],
)
def test_a_file_that_holds_no_splits_is_an_error(tmp_path, text):
    path = Path(tmp_path, "splits.json")
    path.write_text(text)
    with pytest.raises(ValueError, match=r"splits\.json is no split file: expected a JSON list"):
        load_split(path, 0, PEOPLE, make)


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ({"train": ["a"], "test": ["a", "b"]}, r"1 identity \(a\) in both halves"),
        ({"train": [], "test": ["a", "b"]}, "a half without identities"),
    ],
)
def test_a_split_that_is_no_split_is_an_error(tmp_path, split, problem):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps([split]))
    with pytest.raises(ValueError, match=f"Split 0 of .*{problem}"):
        load_split(path, 0, ["a", "b"], make)


def test_too_few_identities_to_split_leave_no_file(tmp_path):
    path = tmp_path / "splits.json"
    with pytest.raises(ValueError, match="a half without identities"):
        load_split(path, 0, ["a"], lambda: half_splits(["a"]))
    assert not path.exists()
