"""SDU-VID, iLIDS-VID and PRID 2011 on miniature trees of their layouts."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from torchreid_occ._torchreid import torchreid
from torchreid_occ.data.datasets.video import ILIDSVID, PRID2011, SDUVID
from torchreid_occ.data.tracklets import load_dataset

pytestmark = pytest.mark.filterwarnings("ignore:.*differs from the published data")


def touch(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def sdu(tmp_path):
    for camera in ("cam1", "cam2"):
        for person in (2, 10, 1, 7):
            names = [f"{camera}_{frame}.png" for frame in (9, 10, 11)]
            touch(tmp_path / "SDU-VID/sequences" / camera / f"person{person}", *names)
    return tmp_path


@pytest.fixture
def ilids(tmp_path):
    for camera in ("cam1", "cam2"):
        for person in range(1, 7):
            folder = tmp_path / f"ilids-vid/i-LIDS-VID/sequences/{camera}/person{person:03d}"
            touch(folder, *(f"{camera}_person{person:03d}_{frame}.png" for frame in (99, 100)))
    return tmp_path


@pytest.fixture
def prid(tmp_path):
    frames = {1: 28, 2: 27, 3: 40, 4: 30, 5: 28}
    for camera, others in (("cam_a", [201]), ("cam_b", [301, 302])):
        for person in [*frames, *others]:
            folder = tmp_path / f"prid2011/prid_2011/multi_shot/{camera}/person_{person:04d}"
            # The rule is about both cameras: person 5 has too few frames in one.
            count = 27 if (person, camera) == (5, "cam_b") else frames.get(person, 50)
            touch(folder, *(f"{frame:04d}.png" for frame in range(count)))
    return tmp_path


def people(items):
    return [(Path(paths[0]).parent.name, pid, camid) for paths, pid, camid, _ in items]


def write_splits(root, path, train, test):
    (root / path).write_text(json.dumps([{"train": train, "test": test}]))


def test_sduvid_items(sdu):
    write_splits(sdu, "SDU-VID/splits.json", [2, 10], [1, 7])
    dataset = SDUVID(sdu, verbose=False)
    assert people(dataset.train) == [
        ("person2", 0, 0),
        ("person10", 1, 0),
        ("person2", 0, 1),
        ("person10", 1, 1),
    ]
    assert people(dataset.query) == [("person1", 0, 0), ("person7", 2, 0)]
    assert people(dataset.gallery) == [("person1", 0, 1), ("person7", 2, 1)]
    names = [Path(path).name for path in dataset.query[0][0]]
    assert names == ["cam1_9.png", "cam1_10.png", "cam1_11.png"]


def test_sduvid_splits_are_made_announced_and_kept(sdu):
    with pytest.warns(UserWarning, match=r"splits\.json does not exist; ten random half splits"):
        first = SDUVID(sdu, split_id=4, verbose=False)
    again = SDUVID(sdu, split_id=4, verbose=False)
    assert again.train == first.train and again.query == first.query
    assert len(json.loads((sdu / "SDU-VID/splits.json").read_text())) == SDUVID.num_splits == 10
    assert str(sdu) not in (sdu / "SDU-VID/splits.json").read_text()
    with pytest.raises(ValueError, match="split_id=10"):
        SDUVID(sdu, split_id=10, verbose=False)


def test_sduvid_finds_out_that_people_were_removed(sdu):
    write_splits(sdu, "SDU-VID/splits.json", [2, 10], [1, 7, 8])
    with pytest.raises(ValueError, match=r"1 identity \(8\) not on disk"):
        SDUVID(sdu, verbose=False)


def test_sduvid_leaves_out_who_is_in_one_camera_only(sdu):
    write_splits(sdu, "SDU-VID/splits.json", [2, 10], [1, 7])
    touch(sdu / "SDU-VID/sequences/cam2/person99", "1.png")
    with pytest.warns(UserWarning, match="1 identities are in one camera only and are left out"):
        dataset = SDUVID(sdu, verbose=False)
    assert "person99" not in [name for name, *_ in people(dataset.train + dataset.gallery)]


def test_sduvid_skips_an_empty_tracklet_by_name(sdu):
    write_splits(sdu, "SDU-VID/splits.json", [2, 10], [1, 7])
    empty = sdu / "SDU-VID/sequences/cam2/person10"
    for frame in empty.iterdir():
        frame.unlink()
    with pytest.warns(UserWarning, match=re.escape(f"{empty} holds no frames")):
        dataset = SDUVID(sdu, verbose=False)
    assert ("person10", 1, 1) not in people(dataset.train)
    assert len(dataset.train) == 3


def test_sduvid_rejects_folders_it_cannot_read(sdu):
    sequences = sdu / "SDU-VID/sequences"
    touch(sequences / "cam1/nobody")
    with pytest.raises(ValueError, match="cam1/nobody names no person"):
        SDUVID(sdu, verbose=False)
    (sequences / "cam1/nobody").rename(sequences / "cam1/person007")
    with pytest.raises(ValueError, match="are both person 7"):
        SDUVID(sdu, verbose=False)
    touch(sequences / "cam3")
    with pytest.raises(ValueError, match=r"end in \['1', '2', '3'\], but expected two"):
        SDUVID(sdu, verbose=False)


def test_ilidsvid_reads_the_published_splits(ilids):
    rows = np.array([[1, 6, 3, 2, 4, 5], [4, 5, 6, 1, 2, 3]])
    folder = ilids / "ilids-vid/train-test people splits"
    folder.mkdir()
    savemat(folder / "train_test_splits_ilidsvid.mat", {"ls_set": rows})
    dataset = ILIDSVID(ilids, verbose=False)
    # The first half of a row tests.
    assert people(dataset.query) == [("person001", 0, 0), ("person003", 2, 0), ("person006", 5, 0)]
    assert people(dataset.gallery) == [
        ("person001", 0, 1),
        ("person003", 2, 1),
        ("person006", 5, 1),
    ]
    assert people(dataset.train)[:3] == [
        ("person002", 0, 0),
        ("person004", 1, 0),
        ("person005", 2, 0),
    ]
    assert [Path(p).name[-7:] for p in dataset.query[0][0]] == ["_99.png", "100.png"]
    second = ILIDSVID(ilids, split_id=1, verbose=False)
    assert [name for name, *_ in people(second.query)] == ["person004", "person005", "person006"]
    with pytest.raises(ValueError, match="has the splits 0 to 1"):
        ILIDSVID(ilids, split_id=2, verbose=False)


def test_ilidsvid_published_splits_need_all_people(ilids):
    folder = ilids / "ilids-vid/train-test people splits"
    folder.mkdir()
    savemat(folder / "train_test_splits_ilidsvid.mat", {"ls_set": np.arange(1, 9)[None]})
    with pytest.raises(ValueError, match="splits 8 identities, but 6 are in both cameras"):
        ILIDSVID(ilids, verbose=False)


def test_ilidsvid_without_published_splits_says_that_it_draws_some(ilids):
    with pytest.warns(UserWarning, match="ten random half splits of 6 identities"):
        dataset = ILIDSVID(ilids, verbose=False)
    assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == (6, 3, 3)


def test_prid2011_splits_those_with_more_than_27_frames(prid):
    with pytest.warns(UserWarning, match="ten random half splits of 3 identities"):
        dataset = PRID2011(prid, verbose=False)
    names = {name for name, *_ in people(dataset.train + dataset.query)}
    assert names == {"person_0001", "person_0003", "person_0004"}
    assert {camid for _, _, camid in people(dataset.query)} == {0}
    assert {camid for _, _, camid in people(dataset.gallery)} == {1}


@pytest.mark.parametrize(("min_frames", "expected"), [(27, 5), (28, 3), (29, 2)])
def test_prid2011_takes_those_with_enough_frames(prid, min_frames, expected):
    with pytest.warns(UserWarning, match=f"ten random half splits of {expected} identities"):
        load_dataset("prid2011", prid, options={"min_frames": min_frames})


@pytest.mark.filterwarnings("ignore:.*ten random half splits")
def test_prid2011_each_limit_has_its_own_splits(prid):
    write_splits(prid, "prid2011/splits_prid2011.json", ["person_0003"], ["person_0004"])
    assert len(PRID2011(prid, verbose=False).query) == 1
    assert len(PRID2011(prid, min_frames=22, verbose=False).query) == 3
    written = json.loads((prid / "prid2011/splits_prid2011_min22.json").read_text())
    assert len(written[0]["train"] + written[0]["test"]) == 5


def test_prid2011_only_the_published_limit_has_published_counts(prid):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ten random half splits")
        with pytest.warns(UserWarning, match="published: 89 identities"):
            PRID2011(prid, verbose=False)
        warnings.filterwarnings("error", message=".*differs from the published")
        PRID2011(prid, min_frames=22, verbose=False)


def test_prid2011_a_given_split_file_decides(prid):
    write_splits(prid, "prid2011/splits_prid2011.json", ["person_0003"], ["person_0002"])
    dataset = PRID2011(prid, verbose=False)
    assert people(dataset.train) == [("person_0003", 0, 0), ("person_0003", 0, 1)]
    assert people(dataset.query) == [("person_0002", 1, 0)]
    assert len(dataset.query[0][0]) == 27


def test_torchreids_own_data_manager_reads_sduvid(tmp_path):
    for camera in (1, 2):
        for person in range(1, 5):
            folder = tmp_path / f"SDU-VID/sequences/cam{camera}/person{person}"
            folder.mkdir(parents=True)
            for frame in range(5):
                Image.new("RGB", (8, 16), (40 * person, 20 * frame, 0)).save(
                    folder / f"{frame}.png"
                )
    write_splits(tmp_path, "SDU-VID/splits.json", [1, 2], [3, 4])
    torchreid.data.register_video_dataset("miniature_sduvid", SDUVID)
    manager = torchreid.data.VideoDataManager(
        root=str(tmp_path),
        sources="miniature_sduvid",
        height=32,
        width=16,
        transforms=None,
        batch_size_train=2,
        batch_size_test=2,
        workers=0,
        num_instances=2,
        seq_len=3,
        use_gpu=False,
    )
    assert (manager.num_train_pids, manager.num_train_cams) == (2, 2)
    batch = next(iter(manager.train_loader))
    assert batch["img"].shape == (2, 3, 3, 32, 16)
    query = next(iter(manager.test_loader["miniature_sduvid"]["query"]))
    assert query["camid"].tolist() == [0, 0] and query["pid"].tolist() == [2, 3]
    gallery = next(iter(manager.test_loader["miniature_sduvid"]["gallery"]))
    assert gallery["camid"].tolist() == [1, 1] and gallery["pid"].tolist() == [2, 3]
    # Frames 0, 1, 2 of person 3: red 120, green 0, 20, 40, in this order.
    mean, std = torch.tensor([0.485, 0.456]), torch.tensor([0.229, 0.224])
    channels = query["img"][0, :, :2].mean(dim=(2, 3)) * std + mean
    expected = torch.tensor([[120, 0], [120, 20], [120, 40]]) / 255
    assert torch.allclose(channels, expected, atol=1e-4)
