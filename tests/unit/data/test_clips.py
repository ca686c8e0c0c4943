import json
import os
import traceback

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from torchreid_occ.data.clips import ItemKey, TestClips, TrainClips, collate
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.transforms import ClipTransform

PLAIN = {"norm_mean": (0.0, 0.0, 0.0), "norm_std": (1.0, 1.0, 1.0)}
TRAIN = ClipTransform(
    32, 16, ("random_flip", "random_crop", "color_jitter", "random_erase"), training=True
)


def train_clips(tracklets, transform=TRAIN, seed=1, **kwargs):
    return TrainClips(tracklets, 4, "consecutive", 1, transform, seed, **kwargs)


def test_an_item_holds_the_frames_it_names(make_tracklet):
    tracklets = [make_tracklet(3, 1, num_frames=9, dsetid=2)]
    clips = train_clips(tracklets, ClipTransform(32, 16, **PLAIN))
    assert len(clips) == 1
    item = clips[ItemKey(epoch=0, position=0, number=0)]
    assert (item["pid"], item["camid"], item["dsetid"]) == (3, 1, 2)
    assert item["img"].shape == (4, 3, 32, 16)
    start = tracklets[0][0].index(item["impath"][0])
    assert item["impath"] == tracklets[0][0][start : start + 4]
    greys = (item["img"][:, 0, 0, 0] * 255).round().int().tolist()
    assert greys == [130 + start + t for t in range(4)]
    assert not item.keys() & {"keypoints", "foreground"}


def test_draws_follow_seed_epoch_and_position(make_tracklet):
    tracklets = [make_tracklet(0, 0, num_frames=40)]
    clips = train_clips(tracklets)
    item = clips[ItemKey(5, 7, 0)]
    np.random.seed(0)
    torch.manual_seed(0)
    again = train_clips(tracklets)[ItemKey(5, 7, 0)]
    assert torch.equal(item["img"], again["img"])
    assert item["impath"] == again["impath"]
    others = [
        clips[ItemKey(6, 7, 0)],  # another epoch
        clips[ItemKey(5, 8, 0)],  # the same tracklet once more in the epoch
        train_clips(tracklets, seed=2)[ItemKey(5, 7, 0)],
    ]
    for other in others:
        assert not torch.equal(other["img"], item["img"])
    assert len({other["impath"][0] for other in others}) > 1


def test_supervision_goes_by_dataset_and_frame(make_tracklet, tmp_path):
    tracklets = [make_tracklet(0, 0, num_frames=4), make_tracklet(1, 0, num_frames=4, dsetid=1)]
    names = [path.rpartition("/")[2] for path in tracklets[0][0]]
    lines = {name: [0.1, 0.2, 0.3, 0.4 + t / 10] for t, name in enumerate(names)}
    (tmp_path / "k.json").write_text(json.dumps(lines))
    folder = tmp_path / "maps" / names[2].removesuffix(".png")
    folder.mkdir(parents=True)
    Image.new("L", (16, 32), 51).save(folder / "foreground.png")
    supervision = Supervision(str(tmp_path / "k.json"), str(tmp_path / "maps"))
    clips = train_clips(
        tracklets,
        ClipTransform(32, 16),
        supervision={0: supervision},
        fields=("keypoints", "foreground"),
    )
    item = clips[ItemKey(0, 0, 0)]
    torch.testing.assert_close(item["keypoints"][:, 3], torch.tensor([0.4, 0.5, 0.6, 0.7]))
    assert item["foreground"].shape == (4, 1, 32, 16)
    assert item["foreground"].isnan().flatten(1).all(1).tolist() == [True, True, False, True]
    torch.testing.assert_close(item["foreground"][2], torch.full((1, 32, 16), 0.2))
    without = clips[ItemKey(0, 1, 1)]
    assert without["keypoints"].isnan().all()
    assert without["foreground"].isnan().all()
    batch = collate([item, without])
    assert batch["keypoints"].shape == (2, 4, 4)
    assert batch["foreground"].dtype == batch["keypoints"].dtype == torch.float32
    only = train_clips(tracklets, supervision={0: supervision}, fields=("keypoints",))
    assert "foreground" not in only[ItemKey(0, 0, 0)]


def test_collate_gives_torchreids_batch(make_tracklet):
    tracklets = [make_tracklet(0, 1), make_tracklet(2, 0)]
    clips = train_clips(tracklets)
    items = [clips[ItemKey(0, i, i)] for i in range(2)]
    batch = collate(items)
    assert batch["img"].shape == (2, 4, 3, 32, 16)
    assert batch["img"].dtype == torch.float32
    assert batch["pid"].tolist() == [0, 2]
    assert batch["pid"].dtype == torch.int64
    assert batch["camid"].tolist() == [1, 0]
    assert batch["dsetid"].tolist() == [0, 0]
    assert batch["impath"] == [item["impath"] for item in items]


def test_test_clips_hold_every_frame_once(make_tracklet):
    tracklets = [make_tracklet(0, 0, num_frames=7), make_tracklet(1, 1, num_frames=3)]
    clips = TestClips(tracklets, 3, ClipTransform(32, 16, **PLAIN))
    assert clips.clips == [(0, 0, 3), (0, 3, 6), (0, 6, 7), (1, 0, 3)]
    items = [clips[i] for i in range(len(clips))]
    assert [item["num_frames"] for item in items] == [3, 3, 1, 3]
    assert [item["tracklet"] for item in items] == [0, 0, 0, 1]
    assert sum((item["impath"] for item in items), ()) == tracklets[0][0] + tracklets[1][0]
    assert items[2]["img"].shape == (1, 3, 32, 16)
    assert items[3]["img"][2].unique().tolist() == [52]
    assert (items[3]["pid"], items[3]["camid"]) == (1, 1)
    whole = TestClips(tracklets, 0, ClipTransform(32, 16))
    assert whole[0]["img"].shape == (7, 3, 32, 16)


@pytest.mark.parametrize("build", [train_clips, lambda tracklets: TestClips(tracklets, 4, None)])
def test_a_tracklet_without_frames_is_named(make_tracklet, build):
    with pytest.raises(ValueError, match=r"Tracklet 1 \(pid 8, camid 2, dsetid 0\) has no frames"):
        build([make_tracklet(0, 0), ((), 8, 2, 0)])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_frame_is_named_through_workers(make_tracklet, workers):
    tracklets = [make_tracklet(0, 0, num_frames=2)]
    broken = tracklets[0][0][1]
    os.truncate(broken, 60)
    clips = TestClips(tracklets, 4, ClipTransform(32, 16))
    with pytest.raises(ValueError, match=f'Cannot decode image "{broken}"') as error:
        next(iter(DataLoader(clips, num_workers=workers, collate_fn=collate)))
    traceback.clear_frames(error.tb)  # they keep the worker alive
