"""X-MARS on a miniature of MARS with matrices of X-MARS's names."""

import numpy as np
import pytest
from scipy.io import savemat

from torchreid_occ.data.datasets.video import Mars, XMars

pytestmark = pytest.mark.filterwarnings("ignore:.*differs from the published data")

# Person, camera, number of the tracklet, frames; by MARS's training and test set.
MARS = {
    "train": [(2, 1, 1, 2), (2, 3, 1, 1), (5, 1, 1, 3)],
    "test": [(-1, 1, 1, 2), (0, 2, 1, 2), (1, 1, 1, 2), (1, 1, 2, 1), (1, 4, 1, 1), (6, 2, 1, 1)],
}
PEOPLE = {"train": {1, 6}, "test": {-1, 0, 2, 5}}  # of X-MARS
QUERIES = [3]  # from 1: person 2 in camera 1


def names_of(tracklets):
    return [
        f"{'00-1' if person == -1 else f'{person:04d}'}C{camera}T{number:04d}F{frame:03d}.jpg"
        for person, camera, number, count in tracklets
        for frame in range(1, count + 1)
    ]


def rows_of(tracklets):
    ends = np.cumsum([count for *_, count in tracklets])
    return [
        [end - count + 1, end, person, camera]
        for (person, camera, _, count), end in zip(tracklets, ends, strict=True)
    ]


@pytest.fixture
def root(tmp_path):
    mars = tmp_path / "mars"
    for folder in ("info", "bbox_train", "bbox_test", "x-mars/info"):
        (mars / folder).mkdir(parents=True)
    for part, key in (("train", "xmars_tracks_train_info"), ("test", "xmars_track_test_info")):
        (mars / f"info/{part}_name.txt").write_text("\n".join(names_of(MARS[part])))
        tracklets = sorted(row for rows in MARS.values() for row in rows if row[0] in PEOPLE[part])
        rows = np.array(rows_of(tracklets), np.int32)
        savemat(mars / f"x-mars/info/tracks_{part}_info.mat", {key: rows})
    queries = {"xmars_query_IDX": np.array([QUERIES], np.uint16)}
    savemat(mars / "x-mars/info/query_IDX.mat", queries)
    return tmp_path


def labels(items):
    return [item[1:3] for item in items]


def test_items_are_those_of_x_mars_in_mars_folders(root):
    dataset = XMars(root, verbose=False)
    assert labels(dataset.train) == [(0, 0), (0, 0), (0, 3), (1, 1)]
    assert labels(dataset.query) == [(2, 0)]
    assert labels(dataset.gallery) == [(0, 1), (2, 0), (2, 2), (5, 0)]
    test_folder, train_folder = (root / f"mars/bbox_{part}" for part in ("test", "train"))
    assert dataset.train[1][0] == (f"{test_folder}/0001/0001C1T0002F001.jpg",)
    expected = [f"{train_folder}/0002/0002C1T0001F00{frame}.jpg" for frame in (1, 2)]
    assert list(dataset.query[0][0]) == expected
    assert dataset.gallery[0][0][0] == f"{test_folder}/0000/0000C2T0001F001.jpg"


def test_torchreids_gallery_lacks_the_queries(root):
    dataset = XMars(root, gallery="torchreid", verbose=False)
    assert labels(dataset.gallery) == [(0, 1), (2, 2), (5, 0)]


def test_published_counts(root):
    with pytest.warns(UserWarning, match="619 identities, 7986 .* 641 identities, 11622 tracklets"):
        XMars(root, verbose=False)


def test_name_lists_of_something_else_are_an_error(root):
    path = root / "mars/info/train_name.txt"
    path.write_text("\n".join(names_of(MARS["train"])[:-1]))
    with pytest.raises(ValueError, match=r"have 9 frames .* of X-MARS, which counts 10"):
        XMars(root, verbose=False)


def test_matrices_of_mars_are_an_error_and_the_other_way_round(root):
    rows = np.array(rows_of(MARS["train"]), np.int32)
    path = root / "mars/x-mars/info/tracks_train_info.mat"
    savemat(path, {"track_train_info": rows})
    with pytest.raises(ValueError, match="no MATLAB file with the matrix xmars_tracks_train_info"):
        XMars(root, verbose=False)
    for file in path.parent.iterdir():
        file.rename(root / "mars/info" / file.name)
    with pytest.raises(ValueError, match="no MATLAB file with the matrix track_test_info"):
        Mars(root, verbose=False)
