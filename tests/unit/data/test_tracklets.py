import numpy as np
import pytest

from torchreid_occ._torchreid import torchreid
from torchreid_occ.data.datasets import VIDEO_DATASETS
from torchreid_occ.data.datasets.video.occluded_dukemtmcvidreid import (
    OccludedDukeMTMCVidReID,
)
from torchreid_occ.data.samplers import build_epoch_sampler
from torchreid_occ.data.tracklets import (
    cut_tracklets,
    hold_out_identities,
    join_sources,
    leave_out_short,
    load_dataset,
    tracklets_of,
)


class ToyVideo(torchreid.data.VideoDataset):
    dataset_dir = "toy"

    def __init__(self, root="", split_id=0, protocol="old", scale=1, **kwargs):
        self.arguments = (root, split_id, protocol, scale)
        train = [((f"{root}/a.jpg",), 0, 0), ((f"{root}/b.jpg",), 1, 1)]
        super().__init__(train, train[:1], train, **kwargs)


def test_our_dataset_is_built_with_its_options(monkeypatch):
    monkeypatch.setitem(VIDEO_DATASETS, "toy", ToyVideo)
    dataset = load_dataset("toy", "/r", 3, True, {"protocol": "new"})
    assert dataset.arguments == ("/r", 3, "new", 1)
    assert dataset.num_train_pids == 4  # combineall: the test identities, too
    assert tracklets_of(dataset)["query"] == [(("/r/a.jpg",), 0, 0, 0)]


def test_unknown_options_list_the_allowed(monkeypatch):
    monkeypatch.setitem(VIDEO_DATASETS, "toy", ToyVideo)
    with pytest.raises(ValueError, match=r"\['x'\] of dataset 'toy': .*\['protocol', 'scale'\]"):
        load_dataset("toy", options={"x": 1, "scale": 2})


def test_unknown_datasets_are_listed():
    with pytest.raises(ValueError, match=r'"nope", but expected to be one of .*market1501'):
        load_dataset("nope")


def test_torchreids_image_datasets_are_not_downloaded(tmp_path, monkeypatch):
    def download(*args):
        raise AssertionError("tried to download")

    monkeypatch.setattr(torchreid.data.Dataset, "download_dataset", download)
    folder = tmp_path / "market1501"
    with pytest.raises(FileNotFoundError, match=f"{folder} does not exist") as error:
        load_dataset("market1501", str(tmp_path))
    assert "Zheng et al." in str(error.value)  # where the data comes from
    assert "name occwalk_tiny in its place" in str(error.value)
    assert not folder.exists()


def test_absent_data_names_the_embedded_dataset(tmp_path):
    with pytest.raises(FileNotFoundError, match="SDU-VID does not exist") as error:
        load_dataset("sduvid", str(tmp_path))
    assert str(error.value).endswith("in its place, which needs no download.")


def market1501(root, names):
    """A miniature of Market-1501's real layout; `names` are the files of each folder."""
    for subset, files in names.items():
        folder = root / "market1501" / "Market-1501-v15.09.15" / subset
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).touch()


def test_images_become_sorted_one_frame_tracklets(tmp_path):
    market1501(
        tmp_path,
        {
            "bounding_box_train": ["0940_c2s1_1.jpg", "0007_c1s1_2.jpg", "0007_c3s1_1.jpg"],
            "query": ["0003_c1s1_1.jpg"],
            "bounding_box_test": ["0003_c2s1_1.jpg", "0000_c4s1_1.jpg", "-1_c1s1_1.jpg"],
        },
    )
    tracklets = tracklets_of(load_dataset("market1501", str(tmp_path)))
    short = {
        subset: [(*(path.rpartition("/")[2] for path in paths), *rest) for paths, *rest in items]
        for subset, items in tracklets.items()
    }
    assert short == {
        "train": [
            ("0007_c1s1_2.jpg", 0, 0, 0),
            ("0007_c3s1_1.jpg", 0, 2, 0),
            ("0940_c2s1_1.jpg", 1, 1, 0),
        ],
        "query": [("0003_c1s1_1.jpg", 3, 0, 0)],
        "gallery": [("0000_c4s1_1.jpg", 0, 3, 0), ("0003_c2s1_1.jpg", 3, 1, 0)],
    }
    assert all(type(paths) is tuple for items in tracklets.values() for paths, *_ in items)


def test_joined_sources_share_no_label():
    first = [(("a",), 0, 0, 0), (("b",), 1, 3, 0)]
    second = [(("c",), 0, 1, 0), (("d",), 1, 0, 1)]
    joined, offsets = join_sources([first, second, first[:1]])
    assert joined == [
        *first,
        (("c",), 2, 5, 1),
        (("d",), 3, 4, 2),
        (("a",), 4, 6, 3),
    ]
    assert offsets == [0, 1, 3]
    assert all(type(label) is int for _, *labels in joined for label in labels)


TRACKLETS = [((f"{pid}_{camid}",), pid, camid, 0) for pid in range(10) for camid in range(2)]


def test_held_out_identities_leave_the_training_set():
    train, held_out = hold_out_identities(TRACKLETS, 3, seed=1)
    kept = [paths[0].partition("_")[0] for paths, *_ in train]
    gone = {paths[0].partition("_")[0] for paths, *_ in held_out}
    assert len(gone) == 3
    assert gone.isdisjoint(kept)
    assert len(train) == 14
    # Labels count on without gaps, in the old order.
    assert [pid for _, pid, *_ in train] == [i // 2 for i in range(14)]
    assert [int(name) for name in kept] == sorted(int(name) for name in kept)
    assert hold_out_identities(TRACKLETS, 3, seed=1)[1] == held_out
    draws = [hold_out_identities(TRACKLETS, 3, seed)[1] for seed in range(5)]
    assert any(draw != draws[0] for draw in draws)


def test_no_hold_out_changes_nothing():
    assert hold_out_identities(TRACKLETS, 0, seed=1) == (TRACKLETS, [])


@pytest.mark.parametrize(("identities", "expected"), [(702, 100), (500, 100), (300, 30), (16, 2)])
def test_the_hold_out_is_the_papers_hundred_or_a_tenth(identities, expected):
    tracklets = [((), pid, camid, 0) for pid in range(identities) for camid in range(2)]
    _, held_out = hold_out_identities(tracklets, None, seed=1)
    assert len({pid for _, pid, *_ in held_out}) == expected


def test_hold_outs_that_cannot_work_say_what_to_set():
    one_camera = [tracklet for tracklet in TRACKLETS if tracklet[2] == 0]
    with pytest.raises(ValueError, match=r"None of the 10 .* two cameras.* set test.select last"):
        hold_out_identities(one_camera, 4, seed=1)
    with pytest.raises(ValueError, match=r"hold out 10 of 10 .*fewer, or set test.select last"):
        hold_out_identities(TRACKLETS, 10, seed=1)


def of_lengths(*lengths):
    """A tracklet of each length, of pids 0, 1, 0, 1, ...; its frames are named by their numbers."""
    return [
        (tuple(f"{index}_{t}" for t in range(length)), index % 2, index % 3, 5)
        for index, length in enumerate(lengths)
    ]


@pytest.mark.parametrize(
    ("length", "pieces"),
    [(1, [1]), (31, [31]), (32, [32]), (33, [33]), (63, [63]), (64, [32, 32]), (95, [32, 63])],
)
def test_the_frames_left_at_the_end_stay_with_the_last_piece(length, pieces):
    assert [len(paths) for paths, *_ in cut_tracklets(of_lengths(length), 32)] == pieces


def test_cutting_loses_no_frame_and_keeps_labels():
    tracklets = of_lengths(7, 100, 32, 1, 50)
    cut = cut_tracklets(tracklets, 16)
    assert len(cut) == 1 + 6 + 2 + 1 + 3
    for paths, *labels in tracklets:
        pieces = [piece for piece, *own in cut if own == labels and piece[0] in paths]
        assert tuple(frame for piece in pieces for frame in piece) == paths
    assert sum(len(paths) for paths, *_ in cut) == sum(len(paths) for paths, *_ in tracklets)
    assert all(type(paths) is tuple for paths, *_ in cut)


def test_a_cut_epoch_is_as_long_as_printed_training_times_imply():
    # RFCnet, Tables 8 and 9: about 260 to 450 steps; FIDELITY's count of cut tracklets is 241.
    identities, tracklets, frames = OccludedDukeMTMCVidReID.paper_statistics.train
    assert (identities, tracklets, frames) == (702, 1702, 292343)
    lengths = np.random.default_rng(0).exponential(1, tracklets)
    lengths = np.floor(lengths * frames / lengths.sum()).astype(int).clip(1)
    lengths[: frames - lengths.sum()] += 1
    assert lengths.sum() == frames
    whole = [(range(n), i % identities, i // identities, 0) for i, n in enumerate(lengths)]
    cut = cut_tracklets(whole, 32)
    # A tracklet of n frames gives n // 32 items, so at most 31 of its frames give none.
    assert (frames - 31 * tracklets) / 32 <= len(cut) <= frames / 32
    steps = {
        name: len(build_epoch_sampler(items, "RandomIdentitySampler", 32, 4, 1, 1, 1)) // 32
        for name, items in (("whole", whole), ("cut", cut))
    }
    assert steps == {"whole": 87, "cut": 240}


def test_short_tracklets_are_left_out_with_their_identities():
    tracklets = [(("a",) * 7, 0, 0, 0), (("b",) * 8, 1, 0, 0), (("c",) * 9, 2, 1, 0)]
    kept = leave_out_short(tracklets, 8)
    assert kept == [(("b",) * 8, 0, 0, 0), (("c",) * 9, 1, 1, 0)]
    assert leave_out_short(tracklets, 7) == tracklets
    with pytest.raises(ValueError, match=r"None of 3 training tracklets has 10 .* sampler\.min_"):
        leave_out_short(tracklets, 10)
