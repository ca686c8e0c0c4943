import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.completion.data import (
    CompletionDataManager,
    CompletionItems,
    ItemOptions,
    neighbours,
    pass_over,
    read_frame,
)
from torchreid_occ.completion.thirds import third_mask, third_rows
from torchreid_occ.data.clips import ItemKey


@pytest.fixture
def tracklets(tmp_path):
    """Two tracklets of four grey frames: the level is ten times the frame's number."""
    items = []
    for pid in range(2):
        paths = []
        for frame in range(4):
            path = tmp_path / f"{pid}_{frame}.png"
            Image.new("RGB", (10, 20 + frame), (100 * pid + 10 * frame,) * 3).save(path)
            paths.append(str(path))
        items.append((tuple(paths), pid, 0, 0))
    return items


def level(frame):
    return round((frame.mean().item() + 1) * 127.5)


def test_rows_and_masks_of_thirds():
    assert third_rows(128) == [slice(0, 43), slice(43, 85), slice(85, 128)]
    mask = third_mask(np.array([True, False, True]), (6, 2))
    assert mask[0, :, 0].tolist() == [1, 1, 0, 0, 1, 1]
    middle = third_mask(np.array([False, True, False]), (4, 2))
    assert middle[0, :, 0].tolist() == [0, 1, 1, 0]
    assert third_mask(np.array([False, True, False]), (8, 2)).sum() == 2 * 4  # rows 2 to 5


@pytest.mark.parametrize(
    ("occluded", "frame", "expected"),
    [
        ([0, 0, 0, 0], 2, (1, 3)),
        ([0, 1, 1, 0], 2, (0, 3)),
        ([1, 1, 0, 0], 2, (3, 3)),
        ([0, 1, 0, 1], 2, (0, 0)),
        ([1, 1, 1, 1], 2, (2, 2)),
        ([1, 1, 0, 1], 2, (2, 2)),
        ([0], 0, (0, 0)),
    ],
)
def test_neighbours_are_the_nearest_unoccluded(occluded, frame, expected):
    assert neighbours(np.array(occluded, bool), frame) == expected


def test_items_are_unoccluded_frames_with_one_third_to_complete(tracklets):
    occluded = [np.zeros((4, 3), bool) for _ in tracklets]
    occluded[0][1, 2] = True
    items = CompletionItems(tracklets, occluded, ItemOptions(12, 8, seed=3))
    assert len(items) == 7
    item = items[ItemKey(0, 0, 1)]  # tracklet 0, frame 2
    assert item["img"].shape == (3, 12, 8)
    assert [level(item[name]) for name in ("previous", "img", "following")] == [0, 20, 30]
    assert item["pid"] == 0
    masks = {tuple(items[ItemKey(epoch, 0, 1)]["mask"][0, ::4, 0].tolist()) for epoch in range(30)}
    assert masks == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    again = items[ItemKey(5, 0, 1)]["mask"]
    assert torch.equal(items[ItemKey(5, 0, 1)]["mask"], again)


def test_several_thirds_may_be_masked(tracklets):
    occluded = [np.zeros((4, 3), bool) for _ in tracklets]
    items = CompletionItems(tracklets, occluded, ItemOptions(12, 8, seed=3, max_masked=2))
    masks = {tuple(items[ItemKey(epoch, 0, 1)]["mask"][0, ::4, 0].tolist()) for epoch in range(60)}
    assert masks == {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)}
    with pytest.raises(ValueError, match=r"max_masked is 4, but must be from 1 to 3"):
        ItemOptions(12, 8, seed=3, max_masked=4)


@pytest.mark.parametrize(
    ("occluded", "count", "expected"),
    [
        ([0, 0, 0, 0, 0], 0, (1, 3)),
        ([0, 0, 0, 0, 0], 1, (0, 4)),
        ([0, 1, 0, 0, 0], 1, (0, 4)),
        ([1, 0, 0, 0, 0], 1, (4, 4)),
        ([0, 0, 0, 0, 0], 2, (1, 3)),  # no frame would be left
    ],
)
def test_passing_over_frames_on_either_side(occluded, count, expected):
    flags = np.array(occluded, bool)
    assert neighbours(pass_over(flags, 2, count), 2) == expected
    assert flags.tolist() == [bool(flag) for flag in occluded]


def test_neighbours_may_be_far(tracklets):
    occluded = [np.zeros((4, 3), bool) for _ in tracklets]
    items = CompletionItems(tracklets, occluded, ItemOptions(12, 8, seed=3, max_gap=1))
    found = [items[ItemKey(epoch, 0, 1)] for epoch in range(30)]  # frame 1 of the first tracklet
    pairs = {(level(item["previous"]), level(item["following"])) for item in found}
    assert pairs == {(0, 20), (30, 30)}


def test_tracklets_without_unoccluded_frames_are_refused(tracklets):
    with pytest.raises(ValueError, match="All 8 training frames"):
        CompletionItems(tracklets, [np.ones((4, 3), bool)] * 2, ItemOptions(12, 8, seed=0))


def test_epochs_repeat_and_held_out_frames_stay_the_same(tracklets):
    occluded = [np.zeros((4, 3), bool)] * 2
    items = CompletionItems(tracklets, occluded, ItemOptions(12, 8, seed=1))
    manager = CompletionDataManager(items, items, 3, 0, num_measured=4)
    assert (manager.num_frames, manager.num_pids) == (8, 2)

    def epoch(number):
        manager.set_epoch(number)
        return [batch["img"].mean((1, 2, 3)) for batch in manager.train_loader]

    first, second, again = epoch(0), epoch(1), epoch(0)
    assert [len(batch) for batch in first] == [3, 3]
    assert not torch.equal(torch.cat(first), torch.cat(second))
    assert torch.equal(torch.cat(first), torch.cat(again))
    masks = [torch.cat([batch["mask"] for batch in manager.test_loader]) for _ in range(2)]
    assert len(masks[0]) == 4
    assert torch.equal(*masks)
    with pytest.raises(ValueError, match="fewer than a batch of 9"):
        CompletionDataManager(items, items, 9, 0)


def test_frames_are_scaled_to_minus_one_to_one(tracklets):
    frame = read_frame(tracklets[1][0][3], (4, 4))
    assert frame.shape == (3, 4, 4)
    torch.testing.assert_close(frame, torch.full((3, 4, 4), 130 / 127.5 - 1))
