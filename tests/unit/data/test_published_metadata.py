"""Readers on the metadata as published, with made-up frames; skipped where it is not there.

Any warning is an error: the published counts have to be met.
"""

import warnings
from collections import Counter

import numpy as np
import pytest
from published_metadata import METADATA, mars_names, needs_metadata, place

from torchreid_occ.data.datasets import base
from torchreid_occ.data.datasets.image import OccludedDukeMTMCreID
from torchreid_occ.data.datasets.matlab import MatrixName, read_matrices, read_matrix
from torchreid_occ.data.datasets.video import ILIDSVID, LSVID, PRID2011, Mars, XMars, lsvid

pytestmark = [needs_metadata, pytest.mark.filterwarnings("error")]


@pytest.fixture(scope="module")
def mars(tmp_path_factory):
    """MARS and X-MARS: the published matrices and name lists that fit them."""
    root = tmp_path_factory.mktemp("mars")
    for part in ("train", "test"):
        file = f"tracks_{part}_info.mat"
        place(f"mars_info/{file}", root / "mars/info" / file)
        place(f"mars_info/x-mars/{file}", root / "mars/x-mars/info" / file)
        rows = read_matrix(root / "mars/info" / file, f"track_{part}_info")
        (root / f"mars/info/{part}_name.txt").write_text("\n".join(mars_names(rows)) + "\n")
        (root / f"mars/bbox_{part}").mkdir()
    place("mars_info/query_IDX.mat", root / "mars/info/query_IDX.mat")
    place("mars_info/x-mars/query_IDX.mat", root / "mars/x-mars/info/query_IDX.mat")
    return root


@pytest.fixture
def frames(monkeypatch):
    """Names of frames by folder, in place of tens of thousands of files."""
    names = {}

    def listed(folder):
        return tuple(f"{folder}/{name}" for name in sorted(names[folder]))

    monkeypatch.setattr(base, "list_frames", listed)
    return names


def counts(dataset):
    subsets = dataset.train, dataset.query, dataset.gallery
    return [(len({pid for _, pid, *_ in items}), len(items)) for items in subsets]


def num_frames(items):
    return sum(len(paths) for paths, *_ in items)


def test_mars(mars):
    dataset = Mars(mars, verbose=False)
    assert counts(dataset) == [(625, 8298), (626, 1980), (635, 11310)]
    assert num_frames(dataset.train) == 509_914
    assert sorted({pid for _, pid, *_ in dataset.train}) == list(range(625))


def test_mars_with_torchreids_gallery(mars):
    with pytest.warns(UserWarning, match="140 of 1980 queries have no gallery item"):
        dataset = Mars(mars, gallery="torchreid", verbose=False)
    assert counts(dataset)[2] == (621, 9330)


def test_x_mars(mars):
    dataset = XMars(mars, verbose=False)
    assert counts(dataset) == [(619, 7986), (632, 2003), (641, 11622)]
    assert num_frames(dataset.train) == 495_857
    # Tracklets are whole: a number each in MARS's names.
    for paths, *_ in dataset.train + dataset.gallery:
        first, last = (path.rpartition("/")[2] for path in (paths[0], paths[-1]))
        assert first[:11] == last[:11] and first[11:] == "F001.jpg"
        assert int(last[12:15]) == len(paths)
    folders = Counter(paths[0].split("/")[-3] for paths, *_ in dataset.train)
    assert set(folders) == {"bbox_train", "bbox_test"}


def test_x_mars_with_torchreids_gallery(mars):
    with pytest.warns(UserWarning, match="150 of 2003 queries have no gallery item"):
        dataset = XMars(mars, gallery="torchreid", verbose=False)
    assert counts(dataset)[2] == (623, 9619)


def test_lsvid(tmp_path, monkeypatch):
    place("lsvid_info/info_test.mat", tmp_path / "LS-VID/test/data/info_test.mat")
    rows = read_matrix(METADATA / "lsvid_info/info_test.mat", "info_test")
    assert rows.shape == (11333, 4)
    names, lines = {}, []
    for number, (start, end, person, camera) in enumerate(rows.tolist()):
        folder = f"tracklet_test/{person:04d}"
        lines.append(f"{folder}/{person:04d}_{number:05d} {person}")
        # Two frames stand for all, for a few tracklets all.
        count = end - start + 1 if number < 40 else 2
        names.setdefault(f"{tmp_path}/LS-VID/{folder}", []).extend(
            f"{person:04d}_{number:05d}_{camera:02d}_{frame:04d}.jpg" for frame in range(count)
        )
    train = [f"tracklet_train/{n % 842:04d}/{n % 842:04d}_{n:05d} {n % 842}" for n in range(2831)]
    for number, line in enumerate(train):
        folder, _, prefix = line.partition(" ")[0].rpartition("/")
        frames = names.setdefault(f"{tmp_path}/LS-VID/{folder}", [])
        frames.append(f"{prefix}_{number % 15 + 1:02d}_0001.jpg")
    (tmp_path / "LS-VID/list_sequence").mkdir()
    (tmp_path / "LS-VID/list_sequence/list_seq_train.txt").write_text("\n".join(train))
    (tmp_path / "LS-VID/list_sequence/list_seq_test.txt").write_text("\n".join(lines))
    monkeypatch.setattr(lsvid, "image_names", lambda folder: sorted(names[folder]))
    expected = "11293 of 11333 test tracklets", "4 of 3504 queries have no gallery item"
    with pytest.warns(UserWarning) as caught:
        dataset = LSVID(tmp_path, verbose=False)
    assert all(part in str(w.message) for part, w in zip(expected, caught, strict=True))
    assert counts(dataset) == [(842, 2831), (2730, 3504), (2730, 7829)]
    assert min(pid for _, pid, *_ in dataset.query) == 0
    assert sorted({camid for _, _, camid, _ in dataset.gallery}) == list(range(15))
    assert len(dataset.gallery[0][0]) == 359  # the first row's frames, of a tracklet of the gallery
    with pytest.warns(UserWarning):
        assert counts(LSVID(tmp_path, gallery="all", verbose=False))[2] == (2730, 11333)


def test_lsvids_validation_list_is_of_an_older_version():
    names = [
        MatrixName(METADATA / "lsvid_info/info_val.mat", key) for key in ("info_test", "query")
    ]
    rows, query = read_matrices(names)
    assert rows.shape == (779, 4) and query.shape == (252, 1)
    assert len(set(rows[:, 2].tolist())) == 200


def test_ilidsvid(tmp_path, frames):
    place(
        "splits/splits_ilidsvid.mat",
        tmp_path / "ilids-vid/train-test people splits/train_test_splits_ilidsvid.mat",
    )
    # The people's numbers have gaps.
    people = [f"person{number:03d}" for number in range(1, 320) if number % 17]
    assert len(people) == 301
    for camera in ("cam1", "cam2"):
        for person in people[:300]:
            folder = tmp_path / f"ilids-vid/i-LIDS-VID/sequences/{camera}/{person}"
            folder.mkdir(parents=True)
            frames[folder] = [f"{camera}_{person}_00001.png"]
    halves = []
    for split_id in range(10):
        dataset = ILIDSVID(tmp_path, split_id=split_id, verbose=False)
        assert counts(dataset) == [(150, 300), (150, 150), (150, 150)]
        halves.append(tuple(pid for _, pid, *_ in dataset.query))
    assert len(set(halves)) == 10
    rows = read_matrix(METADATA / "splits/splits_ilidsvid.mat", "ls_set")
    assert halves[0] == tuple(np.sort(rows[0, :150] - 1).tolist())


def test_prid2011(tmp_path, frames):
    path = tmp_path / "prid2011/splits_prid2011.json"
    place("splits/splits_prid2011.json", path)
    selected = set(read_matrix(METADATA / "splits/splits_prid.mat", "select_idx").ravel().tolist())
    assert len(selected) == 178
    for camera in ("cam_a", "cam_b"):
        for person in range(1, 201):
            folder = tmp_path / f"prid2011/prid_2011/multi_shot/{camera}/person_{person:04d}"
            folder.mkdir(parents=True)
            frames[folder] = [f"{n:04d}.png" for n in range(28 if person in selected else 20)]
    for split_id in range(10):
        dataset = PRID2011(tmp_path, split_id=split_id, verbose=False)
        assert counts(dataset) == [(89, 178), (89, 89), (89, 89)]
        assert min(len(paths) for paths, *_ in dataset.train + dataset.gallery) == 28
    # The same people without the file.
    path.unlink()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ten random half splits of 178 identities")
        assert counts(PRID2011(tmp_path, verbose=False)) == [(89, 178), (89, 89), (89, 89)]


def test_occluded_dukemtmc(tmp_path, frames):
    lists = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
    for name, subfolder in lists.items():
        folder = tmp_path / "Occluded_Duke" / subfolder
        folder.mkdir(parents=True)
        frames[folder] = (METADATA / f"occduke_lists/{name}.list").read_text().split()
    dataset = OccludedDukeMTMCreID(tmp_path, verbose=False)
    assert counts(dataset) == [(702, 15618), (519, 2210), (1110, 17661)]
