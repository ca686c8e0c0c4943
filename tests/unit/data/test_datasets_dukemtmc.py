"""The DukeMTMC family on miniature trees of their layouts."""

import re
from pathlib import Path

import pytest

from torchreid_occ.data.datasets.image import OccludedDukeMTMCreID
from torchreid_occ.data.datasets.video import DukeMTMCVidReID, OccludedDukeMTMCVidReID

pytestmark = pytest.mark.filterwarnings("ignore:.*differs from the published data")


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def fill(base):
    """Two training people, one in the old form of names; one query; a gallery with a distractor."""
    # Starts late and has a gap; F1000 sorts before F999 as text.
    touch(
        base / "train/0300/0001",
        "0300_C6_F0998_X20998.jpg",
        "0300_C6_F1000_X21000.jpg",
        "0300_C6_F0999_X20999.jpg",
        "0300_C6_F1003_X21003.jpg",
    )
    touch(base / "train/0010/1234", "0010C2F0002X30824.jpg", "0010C2F0001X30823.jpg")
    touch(base / "query/0077/0005", "0077_C1_F0001_X00001.jpg")
    touch(base / "gallery/0077/0006", "0077_C8_F0001_X00001.jpg")
    touch(base / "gallery/2000/0007", "2000_C3_F0001_X00001.jpg")


@pytest.fixture(
    params=[
        (DukeMTMCVidReID, "dukemtmc-vidreid/DukeMTMC-VideoReID"),
        (OccludedDukeMTMCVidReID, "Occluded-DukeMTMC-VideoReID"),
    ],
    ids=["holistic", "occluded"],
)
def video(request, tmp_path):
    """The reader, its root and its folder."""
    reader, folder = request.param
    fill(tmp_path / folder)
    return reader, tmp_path, tmp_path / folder


def test_every_frame_in_the_order_of_time_with_the_camera_of_the_name(video):
    reader, root, _ = video
    dataset = reader(root, verbose=False)
    train = [([Path(p).name for p in paths], *labels) for paths, *labels in dataset.train]
    assert train == [
        (["0010C2F0001X30823.jpg", "0010C2F0002X30824.jpg"], 0, 1, 0),
        (
            [
                "0300_C6_F0998_X20998.jpg",
                "0300_C6_F0999_X20999.jpg",
                "0300_C6_F1000_X21000.jpg",
                "0300_C6_F1003_X21003.jpg",
            ],
            1,
            5,
            0,
        ),
    ]
    assert [labels for _, *labels in dataset.query] == [[77, 0, 0]]
    assert [labels for _, *labels in dataset.gallery] == [[77, 7, 0], [2000, 2, 0]]


def test_nothing_is_written(video):
    reader, root, _ = video
    before = sorted(root.rglob("*"))
    reader(root, verbose=False)
    assert sorted(root.rglob("*")) == before


def test_annotation_files_are_tolerated(video):
    reader, root, base = video
    expected = reader(root, verbose=False).train
    touch(base, "occluded_fraction.txt")
    touch(base / "train", "annotation.mat")
    touch(base / "train/0300", "labels.json")
    touch(base / "train/0300/0001", "occlusion.txt")
    touch(base / "train/annotations")
    with pytest.warns(UserWarning, match="annotations is not named by a person's number: skipped"):
        dataset = reader(root, verbose=False)
    assert dataset.train == expected


def test_an_empty_tracklet_is_skipped_by_name(video):
    reader, root, base = video
    empty = base / "gallery/2000/0008"
    touch(empty)
    with pytest.warns(UserWarning, match=re.escape(f"{empty} holds no frames")):
        dataset = reader(root, verbose=False)
    assert len(dataset.gallery) == 2


def test_a_frame_without_a_camera_in_its_name_is_an_error(video):
    reader, root, base = video
    touch(base / "query/0077/0005", "frame7.jpg")
    with pytest.raises(ValueError, match=r"0005/frame7\.jpg is not named as 0001_C6_F0099_X30823"):
        reader(root, verbose=False)


def test_a_tracklet_of_two_cameras_is_an_error(video):
    reader, root, base = video
    touch(base / "query/0077/0005", "0077_C4_F0002_X00002.jpg")
    with pytest.raises(ValueError, match=r"query/0077/0005 mixes frames of the cameras \[1, 4\]"):
        reader(root, verbose=False)


def test_absent_data_is_not_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="never downloads it") as error:
        OccludedDukeMTMCVidReID(tmp_path, verbose=False)
    assert "Occluded-DukeMTMC-VideoReID/\n" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("default:.*differs from the published data")
def test_the_papers_counts_are_compared(tmp_path):
    fill(tmp_path / "Occluded-DukeMTMC-VideoReID")
    with pytest.warns(UserWarning) as caught:
        OccludedDukeMTMCVidReID(tmp_path, verbose=False)
    message = str(caught[0].message)
    assert (
        "train has 2 identities, 2 tracklets, 6 frames "
        "(published: 702 identities, 1702 tracklets, 292343 frames)" in message
    )
    assert "(published: 661 identities, 661 tracklets, 39526 frames)" in message
    assert "(published: 1110 identities, 2636 tracklets, 281114 frames)" in message


@pytest.fixture
def images(tmp_path):
    base = tmp_path / "Occluded_Duke"
    touch(
        base / "bounding_box_train",
        "0020_c2_f0046182.jpg",
        "0003_c8_f0046999.jpg",
        "0020_c1_f0046182.jpg",
    )
    touch(base / "query", "0005_c1_f0000001.jpg")
    touch(base / "bounding_box_test", "0005_c4_f0000009.jpg", "7105_c3_f0000001.jpg")
    return tmp_path


def test_images_are_sorted_and_relabelled(images):
    dataset = OccludedDukeMTMCreID(images, verbose=False)
    assert [(Path(path).name, *labels) for path, *labels in dataset.train] == [
        ("0003_c8_f0046999.jpg", 0, 7, 0),
        ("0020_c1_f0046182.jpg", 1, 0, 0),
        ("0020_c2_f0046182.jpg", 1, 1, 0),
    ]
    assert [labels for _, *labels in dataset.query] == [[5, 0, 0]]
    assert [labels for _, *labels in dataset.gallery] == [[5, 3, 0], [7105, 2, 0]]


def test_images_of_other_names_are_an_error(images):
    touch(images / "Occluded_Duke/query", "me.jpg")
    with pytest.raises(ValueError, match=r"query/me\.jpg is not named as 0001_c2_f0046182\.jpg"):
        OccludedDukeMTMCreID(images, verbose=False)


@pytest.mark.filterwarnings("default:.*differs from the published data")
def test_image_counts_are_compared(images):
    with pytest.warns(
        UserWarning, match=r"train has 2 identities, 3 frames \(published: 702 .*15618"
    ):
        OccludedDukeMTMCreID(images, verbose=False)
