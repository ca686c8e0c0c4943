"""MARS on a miniature tree: both gallery protocols, and files that do not fit."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from torchreid_occ.data.datasets.video import Mars

pytestmark = pytest.mark.filterwarnings("ignore:.*differs from the published data")

# person, camera, frames
TRAIN = [(7, 1, 3), (7, 2, 2), (3, 6, 1)]
TEST = [(-1, 1, 2), (0, 2, 2), (2, 1, 2), (2, 3, 1), (6, 1, 2), (6, 2, 1)]
QUERIES = [3, 5, 6]  # from 1: person 2 in camera 1, person 6 in both cameras


def names_of(rows):
    """The frame names of all tracklets and the rows `[start, end, person, camera]`."""
    names, info = [], []
    for tracklet, (person, camera, count) in enumerate(rows):
        person_name = "00-1" if person == -1 else f"{person:04d}"
        info.append([len(names) + 1, len(names) + count, person, camera])
        names += [f"{person_name}C{camera}T{tracklet:04d}F{i + 1:03d}.jpg" for i in range(count)]
    return names, np.array(info, dtype=float)


def write(root, part, names, info):
    (root / f"mars/info/{part}_name.txt").write_text("\n".join(names) + "\n")
    savemat(root / f"mars/info/tracks_{part}_info.mat", {f"track_{part}_info": info})


@pytest.fixture
def root(tmp_path):
    for folder in ("info", "bbox_train", "bbox_test"):
        (tmp_path / "mars" / folder).mkdir(parents=True)
    write(tmp_path, "train", *names_of(TRAIN))
    write(tmp_path, "test", *names_of(TEST))
    savemat(tmp_path / "mars/info/query_IDX.mat", {"query_IDX": np.array([QUERIES], np.uint16)})
    return tmp_path


def test_train_items(root):
    train = Mars(root, verbose=False).train
    assert [labels for _, *labels in train] == [[1, 0, 0], [1, 1, 0], [0, 5, 0]]
    folder = root / "mars/bbox_train/0007"
    assert train[0][0] == tuple(str(folder / f"0007C1T0000F00{i}.jpg") for i in (1, 2, 3))


def test_frames_listed_in_another_order_are_put_in_the_order_of_time(root):
    names, info = names_of(TRAIN)
    write(root, "train", [names[2], names[0], names[1], *names[3:]], info)
    frames = Mars(root, verbose=False).train[0][0]
    assert [Path(path).name[-8:-4] for path in frames] == ["F001", "F002", "F003"]


def test_the_papers_gallery_holds_the_queries_so_all_have_a_match(root, recwarn):
    dataset = Mars(root, verbose=False)
    assert [labels[:2] for _, *labels in dataset.query] == [[2, 0], [6, 0], [6, 1]]
    # All but junk (-1); the distractors (0) stay.
    assert [labels[:2] for _, *labels in dataset.gallery] == [
        [0, 1],
        [2, 0],
        [2, 2],
        [6, 0],
        [6, 1],
    ]
    assert not [w for w in recwarn if "cannot be matched" in str(w.message)]


def test_torchreids_gallery_lacks_the_queries_and_some_have_no_match(root):
    with pytest.warns(UserWarning, match="2 of 3 queries have no gallery item"):
        dataset = Mars(root, gallery="torchreid", verbose=False)
    assert len(dataset.query) == 3
    assert [labels[:2] for _, *labels in dataset.gallery] == [[0, 1], [2, 2]]


@pytest.mark.filterwarnings("ignore:.*cannot be matched")
def test_published_counts_follow_the_protocol(root):
    with pytest.warns(UserWarning, match=r"gallery has 3 identities.*635 identities, 11310 track"):
        Mars(root, verbose=False)
    with pytest.warns(UserWarning, match=r"gallery has 2 identities.*621 identities, 9330 track"):
        Mars(root, gallery="torchreid", verbose=False)


def test_an_unknown_protocol_is_an_error(root):
    with pytest.raises(ValueError, match=r"gallery \"none\", but .* \['all', 'torchreid'\]"):
        Mars(root, gallery="none", verbose=False)


def test_combine_all_takes_each_test_tracklet_once_without_distractors(root):
    dataset = Mars(root, combineall=True, verbose=False)
    assert [labels[:2] for _, *labels in dataset.train[3:]] == [[2, 0], [3, 0], [3, 1], [2, 2]]


def test_a_tracklet_without_frames_is_skipped_by_row(root):
    names, info = names_of(TRAIN)
    info = np.vstack([info, [5, 4, 3, 1]])
    write(root, "train", names, info)
    with pytest.warns(UserWarning, match=r"tracks_train_info\.mat, row 4 has no frames"):
        assert len(Mars(root, verbose=False).train) == 3


@pytest.mark.parametrize("rows", [[(7, 2, 3), *TRAIN[1:]], [(8, 1, 3), *TRAIN[1:]]])
def test_names_of_another_person_or_camera_are_an_error(root, rows):
    _, info = names_of(rows)
    write(root, "train", names_of(TRAIN)[0], info)
    with pytest.raises(ValueError, match=r"row 1: frames 1 to 3 .* 0007C1T0000F001\.jpg"):
        Mars(root, verbose=False)


def test_rows_beyond_the_names_are_an_error(root):
    names, info = names_of(TEST)
    write(root, "test", names, info + [0, 1, 0, 0] * (np.arange(6) == 5)[:, None])
    with pytest.raises(ValueError, match=r"tracks_test_info\.mat, row 6: frames 10 to 11"):
        Mars(root, verbose=False)


def test_a_query_that_is_no_test_tracklet_is_an_error(root):
    savemat(root / "mars/info/query_IDX.mat", {"query_IDX": np.array([[3, 99]])})
    with pytest.raises(ValueError, match=r"query_IDX\.mat marks tracklets that"):
        Mars(root, verbose=False)


def test_a_file_that_is_no_matlab_file_is_named(root):
    (root / "mars/info/query_IDX.mat").write_text("not a matrix, not at all" * 20)
    with pytest.raises(ValueError, match=r"query_IDX\.mat is no MATLAB file with the matrix query"):
        Mars(root, verbose=False)
