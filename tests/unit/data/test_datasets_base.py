"""What all readers share, shown on smallest datasets of our own."""

import re
import warnings

import pytest

from torchreid_occ.data.datasets.base import (
    Counts,
    Statistics,
    TrackletDataset,
    frames_in,
    natural_key,
    natural_order,
    relabel,
)
from torchreid_occ.data.supervision import supervision_of


class Listed(TrackletDataset):
    """A dataset given as lists.

    Folders below root::

        listed/
            people/
    """

    dataset_dir = "listed"
    required = ("people",)

    def __init__(self, root, train, query, gallery, **kwargs):
        self.lists = train, query, gallery
        super().__init__(root, verbose=False, **kwargs)

    def read(self, split_id):
        return self.lists


@pytest.fixture
def root(tmp_path):
    (tmp_path / "listed" / "people").mkdir(parents=True)
    return tmp_path


def item(pid, camid, frames=("a.jpg",)):
    return (tuple(frames), pid, camid)


TRAIN = [item(0, 0), item(0, 1)]
QUERY = [item(5, 0)]
GALLERY = [item(5, 1, ["b.jpg", "c.jpg"])]


def test_natural_order():
    names = ["f10.png", "f2.png", "f02.png", "f1.png", "2.png", "x.png"]
    assert sorted(names, key=natural_key) == [
        "2.png",
        "f1.png",
        "f02.png",
        "f2.png",
        "f10.png",
        "x.png",
    ]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["0001C1T0001F010.jpg", "0001C1T0001F002.jpg", "0001C1T0001F001.jpg"],
        ["f10.png", "f2a.png", "f2.png"],  # of one length, not of one shape
        ["f10a", "f2ab"],
        ["a\nb", "a", "a1", "a"],
        ["x٣", "x1", "x2"],  # digits of another script
    ],
)
def test_natural_order_is_that_of_the_key(names):
    assert natural_order(iter(names)) == sorted(names, key=natural_key)


def test_frames_are_the_visible_images_in_natural_order(tmp_path):
    for name in ("10.JPG", "9.png", "1.bmp", "2.jpeg", "Thumbs.db", ".3.png", "note.txt"):
        (tmp_path / name).touch()
    expected = tuple(str(tmp_path / name) for name in ("1.bmp", "2.jpeg", "9.png", "10.JPG"))
    assert frames_in(tmp_path) == expected


def test_a_folder_without_frames_is_named(tmp_path):
    with pytest.warns(UserWarning, match=re.escape(f"{tmp_path} holds no frames")):
        assert frames_in(tmp_path) == ()


def test_relabel_follows_the_order_of_pids():
    # As strings or in a set the order could differ.
    items = [item(1000, 0), item(7, 1), item(1000, 1), item(-1, 0)]
    assert [pid for _, pid, _ in relabel(items)] == [2, 1, 2, 0]


def test_items_have_torchreids_form_and_need_no_transform(root):
    dataset = Listed(root, TRAIN, QUERY, GALLERY)
    assert dataset.train == [(("a.jpg",), 0, 0, 0), (("a.jpg",), 0, 1, 0)]
    assert dataset.gallery == [(("b.jpg", "c.jpg"), 5, 1, 0)]
    assert (dataset.num_train_pids, dataset.num_train_cams) == (1, 2)
    assert supervision_of(dataset) is None


@pytest.mark.parametrize("missing", ["listed", "listed/people"])
def test_absent_data_is_explained_once(tmp_path, missing):
    if missing != "listed":
        (tmp_path / "listed").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        Listed(tmp_path, TRAIN, QUERY, GALLERY)
    message = str(error.value)
    assert f"{tmp_path / missing} does not exist" in message
    assert "    listed/\n        people/" in message  # the folders, from the docstring


@pytest.mark.parametrize("empty", ["train", "query", "gallery"])
def test_an_empty_subset_is_an_error(root, empty):
    lists = {"train": TRAIN, "query": QUERY, "gallery": GALLERY, empty: []}
    with pytest.raises(ValueError, match=f"listed: the {empty} set has no items"):
        Listed(root, **lists)


def test_other_counts_than_published_warn_with_both(root, monkeypatch):
    published = Statistics(train=Counts(702, 1702), gallery=Counts(frames=2))
    monkeypatch.setattr(Listed, "paper_statistics", published)
    with pytest.warns(UserWarning) as caught:
        Listed(root, TRAIN, QUERY, GALLERY)
    (warning,) = caught
    assert (
        "train has 1 identities, 2 tracklets (published: 702 identities, 1702 tracklets)."
        in str(warning.message)
    )


def test_counts_as_published_are_silent(root, monkeypatch):
    published = Statistics(Counts(1, 2, 2), Counts(1, 1, 1), Counts(1, 1, 2))
    monkeypatch.setattr(Listed, "paper_statistics", published)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Listed(root, TRAIN, QUERY, GALLERY)


def test_queries_that_cannot_be_matched_are_counted(root):
    query = [item(5, 0), item(5, 1), item(8, 0)]  # 5 is in the gallery in camera 1 only, 8 is not
    with pytest.warns(UserWarning, match="Listed: 2 of 3 queries have no gallery item"):
        Listed(root, TRAIN, query, GALLERY)


def test_combine_all_adds_each_test_tracklet_once_and_no_junk(root, monkeypatch):
    monkeypatch.setattr(Listed, "_junk_pids", (0,))
    query = [item(9, 0), item(5, 2, ["q.jpg"])]
    gallery = [*query, item(5, 1, ["g.jpg"]), item(0, 1, ["junk.jpg"])]
    with pytest.warns(UserWarning, match="1 of 2 queries"):
        dataset = Listed(root, TRAIN, query, gallery, combineall=True)
    added = [(paths[0], pid, camid) for paths, pid, camid, _ in dataset.train[2:]]
    assert added == [("a.jpg", 2, 0), ("q.jpg", 1, 2), ("g.jpg", 1, 1)]
    assert (dataset.num_train_pids, dataset.num_train_cams) == (3, 3)
