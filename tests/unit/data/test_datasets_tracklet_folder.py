"""A user's own data, as folders and as a CSV."""

from pathlib import Path

import pytest

from torchreid_occ.data.datasets.video import TrackletFolder
from torchreid_occ.data.tracklets import load_dataset

FRAMES = [
    "train/anna/0/1.jpg",
    "train/anna/3_morning/10.png",
    "train/anna/3_morning/9.png",
    "train/anna/3_evening/1.png",
    "train/p10/1/1.jpg",
    "train/p9/1/1.jpg",
    "query/zoe/0/1.jpg",
    "gallery/zoe/2/1.jpg",
    "gallery/ben/0/1.jpg",
]
ROWS = [
    "path,pid,camid,split,tracklet",
    "a/2.jpg,anna,0,train,",
    "a/10.jpg,anna,0,train,",
    "a/1.jpg,anna,0,train,late",
    "b.jpg,zoe,0,query,",
    "c.jpg,zoe,2,gallery,",
]


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def listed(items, base):
    return [
        ([Path(path).relative_to(base).as_posix() for path in paths], *labels)
        for paths, *labels in items
    ]


@pytest.fixture
def table(tmp_path):
    """A function that writes tracklets.csv and the frames of ROWS, and returns the root."""
    for row in ROWS[1:]:
        touch(tmp_path / row.split(",")[0])

    def write(rows):
        (tmp_path / "tracklets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize("inner", ["tracklet_folder", ""])
def test_folders(tmp_path, inner):
    base = tmp_path / inner
    for frame in FRAMES:
        touch(base / frame)
    dataset = TrackletFolder(tmp_path, verbose=False)
    assert listed(dataset.train, base) == [
        (["train/anna/0/1.jpg"], 0, 0, 0),
        (["train/anna/3_evening/1.png"], 0, 3, 0),
        (["train/anna/3_morning/9.png", "train/anna/3_morning/10.png"], 0, 3, 0),
        (["train/p9/1/1.jpg"], 1, 1, 0),
        (["train/p10/1/1.jpg"], 2, 1, 0),
    ]
    # anna, ben, p9, p10, zoe: one numbering for query and gallery.
    assert listed(dataset.query, base) == [(["query/zoe/0/1.jpg"], 4, 0, 0)]
    assert listed(dataset.gallery, base) == [
        (["gallery/ben/0/1.jpg"], 1, 0, 0),
        (["gallery/zoe/2/1.jpg"], 4, 2, 0),
    ]


def test_a_camera_without_a_number_is_an_error(tmp_path):
    for frame in [*FRAMES, "query/zoe/front/1.jpg"]:
        touch(tmp_path / frame)
    with pytest.raises(ValueError, match="query/zoe/front: expected a folder named by the camera"):
        TrackletFolder(tmp_path, verbose=False)


def test_absent_data_shows_both_forms(tmp_path):
    with pytest.raises(FileNotFoundError, match="name occwalk_tiny in its place") as error:
        load_dataset("tracklet_folder", str(tmp_path))
    assert f"{tmp_path / 'train'} does not exist" in str(error.value)
    assert "3_morning" in str(error.value) and "path,pid,camid,split[,tracklet]" in str(error.value)


def test_csv_rows_are_frames_in_the_order_of_time(table):
    root = table(ROWS)
    dataset = TrackletFolder(root, verbose=False)
    assert listed(dataset.train, root) == [
        (["a/2.jpg", "a/10.jpg"], 0, 0, 0),
        (["a/1.jpg"], 0, 0, 0),
    ]
    assert listed(dataset.query, root) == [(["b.jpg"], 1, 0, 0)]
    assert listed(dataset.gallery, root) == [(["c.jpg"], 1, 2, 0)]


def test_csv_without_tracklets_joins_a_person_in_a_camera(table):
    root = table([row.rsplit(",", 1)[0] for row in ROWS])
    dataset = TrackletFolder(root, verbose=False)
    assert listed(dataset.train, root) == [(["a/2.jpg", "a/10.jpg", "a/1.jpg"], 0, 0, 0)]


def test_csv_as_spreadsheets_write_it(table):
    root = table([])
    (root / "tracklets.csv").write_bytes("\r\n".join(ROWS).encode("utf-8-sig"))
    assert len(TrackletFolder(root, verbose=False).train) == 2


def test_csv_beside_folders_is_preferred(table):
    root = table(ROWS)
    for frame in FRAMES:
        touch(root / frame)
    assert len(TrackletFolder(root, verbose=False).gallery) == 1


@pytest.mark.parametrize(
    ("line", "row", "message"),
    [
        (1, "file;person", r"the columns \['path', 'pid', 'camid', 'split'\] are missing"),
        (3, "a/10.jpg,anna,0", "does not have as many values as the header"),
        (3, "a/10.jpg,anna,0,train,,,", "does not have as many values as the header"),
        (3, "a/10.jpg,,0,train,", "no pid is given"),
        (3, "a/10.jpg,anna,0,test,", r"split is 'test', but expected one of \['train', 'query'"),
        (3, "a/10.jpg,anna,front,train,", "camid is 'front', but expected a whole number"),
        (3, "a/2.jpg,anna,1,train,", "a/2.jpg is already in train, in line 2"),
    ],
)
def test_a_bad_row_is_named_by_its_line(table, line, row, message):
    rows = list(ROWS)
    rows[line - 1] = row
    with pytest.raises(ValueError, match=rf"tracklets\.csv, line {line}: .*{message}"):
        TrackletFolder(table(rows), verbose=False)


def test_a_missing_frame_is_named_with_its_line(table):
    rows = [*ROWS, "d.jpg,ben,0,gallery,"]
    with pytest.raises(
        FileNotFoundError, match=r"line 7: the frame .*d\.jpg does .* remove its row"
    ):
        TrackletFolder(table(rows), verbose=False)


def test_a_binary_csv_is_named(table):
    root = table(ROWS)
    (root / "tracklets.csv").write_bytes(b"\xff\xfe\x00p")
    with pytest.raises(ValueError, match=r"tracklets\.csv cannot be read as CSV in UTF-8"):
        TrackletFolder(root, verbose=False)


def test_an_empty_csv_is_an_error(table):
    root = table(ROWS[:1])
    with pytest.raises(ValueError, match=r"tracklets\.csv has no frames whose split is train or"):
        TrackletFolder(root, verbose=False)
