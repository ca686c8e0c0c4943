"""LS-VID on a miniature tree with the quirks of the published metadata."""

from pathlib import Path

import numpy as np
import pytest
from matlab_files import matlab_73

from torchreid_occ.data.datasets.video import LSVID

pytestmark = pytest.mark.filterwarnings("ignore:.*(differs from the published|cannot be matched)")

# Person, number of the tracklet, camera, frames. Identities count from 0, in train and test.
TRAIN = [(7, 1, 4, 2), (7, 10, 15, 1), (0, 1, 1, 2)]
TEST = [(0, 1, 1, 2), (0, 2, 7, 3), (1, 1, 1, 1), (1, 11, 2, 2)]
QUERIES = [2, 3]  # from 1


def write_matrices(root, rows, queries=QUERIES):
    """Writes info_test.mat as published: MATLAB 7.3, columns first, doubles."""
    path = root / "LS-VID/test/data/info_test.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    matrices = {"info_test": np.array(rows, float), "query": np.array([queries], float).T}
    path.write_bytes(matlab_73(matrices))


def rows_of(tracklets):
    """Rows [start, end, person, camera]."""
    ends = np.cumsum([count for *_, count in tracklets])
    return [
        [end - count + 1, end, person, camera]
        for (person, _, camera, count), end in zip(tracklets, ends, strict=True)
    ]


def write_part(root, part, tracklets, form="{person:04d}_{number:04d}"):
    """Writes a list and empty frames; the list gives what the frames' paths begin with."""
    lines = []
    for person, number, camera, count in tracklets:
        folder = f"tracklet_{part}/{person:04d}"
        lines.append(f"{folder}/{form.format(person=person, number=number, camera=camera)}")
        (root / "LS-VID" / folder).mkdir(parents=True, exist_ok=True)
        for frame in range(9, 9 + count):
            name = f"{person:04d}_{number:04d}_{camera:02d}_{frame:04d}.jpg"
            (root / "LS-VID" / folder / name).touch()
    path = root / f"LS-VID/list_sequence/list_seq_{part}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "".join(f"{line} {row[0]}\n" for line, row in zip(lines, tracklets, strict=True))
    )


@pytest.fixture
def root(tmp_path):
    write_part(tmp_path, "train", TRAIN)
    write_part(tmp_path, "test", TEST)
    write_matrices(tmp_path, rows_of(TEST))
    return tmp_path


def labels(items):
    return [tuple(item[1:3]) for item in items]


def test_items(root):
    dataset = LSVID(root, verbose=False)
    assert labels(dataset.train) == [(1, 3), (1, 14), (0, 0)]
    assert labels(dataset.query) == [(0, 6), (1, 0)]
    assert labels(dataset.gallery) == [(0, 0), (1, 1)]  # the published gallery lacks the queries
    folder = root / "LS-VID/tracklet_test/0000"
    frames = [str(folder / f"0000_0002_07_{frame:04d}.jpg") for frame in (9, 10, 11)]
    assert list(dataset.query[0][0]) == frames


def test_query_and_gallery_may_be_searched(root):
    dataset = LSVID(root, gallery="all", verbose=False)
    assert labels(dataset.gallery) == [(0, 0), (0, 6), (1, 0), (1, 1)]
    with pytest.raises(ValueError, match=r"gallery \"some\", but .* \['without_queries', 'all'\]"):
        LSVID(root, gallery="some", verbose=False)


@pytest.mark.parametrize(
    "form", ["{person:04d}_{number:04d}_", "{person:04d}_{number:04d}_{camera:02d}"]
)
def test_lists_may_name_more_of_the_frames(root, form):
    expected = LSVID(root, verbose=False)
    write_part(root, "train", TRAIN, form)
    assert LSVID(root, verbose=False).train == expected.train


def test_a_number_at_the_end_of_a_row_is_a_whole_number(root):
    tracklets = [(3, 1, 1, 2), (3, 12, 2, 3)]
    write_part(root, "train", tracklets, "{person:04d}_{number:d}")
    folder = root / "LS-VID/tracklet_train/0003"
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("_0001_", "_1_").replace("_0012_", "_12_"))
    frames = [[Path(path).name for path in item[0]] for item in LSVID(root, verbose=False).train]
    assert frames == [
        ["0003_1_01_0009.jpg", "0003_1_01_0010.jpg"],
        ["0003_12_02_0009.jpg", "0003_12_02_0010.jpg", "0003_12_02_0011.jpg"],
    ]


def test_frames_that_lack_are_counted(root):
    (root / "LS-VID/tracklet_test/0000/0000_0002_07_0010.jpg").unlink()
    with pytest.warns(UserWarning, match="1 of 4 test tracklets have another number of frames"):
        assert len(LSVID(root, verbose=False).query[0][0]) == 2


def test_published_counts_follow_the_gallery(root):
    with pytest.warns(UserWarning, match="gallery .*2730 identities, 7829 tracklets"):
        LSVID(root, verbose=False)
    with pytest.warns(UserWarning, match="gallery .*2730 identities, 11333 tracklets"):
        LSVID(root, gallery="all", verbose=False)


@pytest.mark.parametrize("label", [2, 3])
def test_labels_of_another_tracklet_are_an_error(root, label):
    rows = rows_of(TEST)
    rows[1][label] += 1
    write_matrices(root, rows)
    with pytest.raises(ValueError, match=r"info_test\.mat, row 2 is of .* is of person 0 in cam"):
        LSVID(root, verbose=False)


def test_a_matrix_of_another_list_is_an_error(root):
    write_matrices(root, rows_of(TEST[:3]))
    with pytest.raises(ValueError, match=r"has 3 tracklets .* list_seq_test\.txt has 4"):
        LSVID(root, verbose=False)
    write_matrices(root, rows_of(TEST), [5])
    with pytest.raises(ValueError, match="queries up to 5, but"):
        LSVID(root, verbose=False)


def test_a_row_without_frames_is_named(root):
    for path in (root / "LS-VID/tracklet_train/0007").glob("0007_0010*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"list_seq_train\.txt, line 2: 0 frames begin with"):
        LSVID(root, verbose=False)


def test_frames_of_two_cameras_or_without_one_are_an_error(root):
    folder = root / "LS-VID/tracklet_train/0007"
    (folder / "0007_0010_03_0001.jpg").touch()
    with pytest.raises(ValueError, match=r"line 2: 2 frames .* of one camera"):
        LSVID(root, verbose=False)
    for path in folder.glob("0007_0010*"):
        path.unlink()
    (folder / "0007_0010_cam_0001.jpg").touch()
    with pytest.raises(ValueError, match="the third number is the camera"):
        LSVID(root, verbose=False)


def test_a_row_that_is_none_is_named(root):
    with (root / "LS-VID/list_sequence/list_seq_train.txt").open("a") as file:
        file.write("\nonly/a/path\n")
    with pytest.raises(ValueError, match="line 5: expected the beginning of a path"):
        LSVID(root, verbose=False)
