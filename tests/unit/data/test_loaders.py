"""Test loaders: workers share a batch, and it is the same without them."""

import numpy as np
import pytest
import torch

from torchreid_occ.data.clips import ConsecutiveClips, TestClips
from torchreid_occ.data.loaders import TestLoader, every_frame_loader
from torchreid_occ.data.transforms import ClipTransform

LENGTHS = 9, 70, 3, 64, 9, 1


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    tracklets = [rng.integers(0, 255, (count, 4, 2, 3), dtype=np.uint8) for count in LENGTHS]
    return ConsecutiveClips(tracklets, 64, ClipTransform(4, 2))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_their_clips_in_order(clips, workers):
    loader = every_frame_loader(clips, 2, workers, False)
    assert len(loader) == len(loader.batches) == 5
    for batch, numbers in zip(loader, loader.batches, strict=True):
        expected = [clips[number] for number in numbers]
        pixels = torch.stack([item["img"] for item in expected])
        assert torch.equal(batch["img"], clips.transform.normalise(pixels))
        for name in ("tracklet", "num_frames"):
            assert batch[name].tolist() == [item[name] for item in expected]


def test_a_worker_makes_64_frames_at_once(clips):
    handed_over = list(every_frame_loader(clips, 4, 0, False).batch_sampler)
    frames = [[clips.clips[i][2] - clips.clips[i][1] for i in part] for part in handed_over]
    assert frames == [[64], [64], [9, 9], [6], [3], [1]]
    whole = TestLoader(ConsecutiveClips(clips.sequences, 0, clips.transform), 0, False, [[1], [0]])
    assert list(whole.batch_sampler) == [[1], [0]]  # 70 frames, then 9


def test_no_more_workers_start_than_have_something_to_do(clips):
    few = ConsecutiveClips(clips.sequences[:1], 64, clips.transform)
    assert every_frame_loader(few, 4, 2, False).num_workers == 1
    assert every_frame_loader(clips, 4, 2, False).num_workers == 2


def test_labels_and_paths_of_the_parts_are_joined(make_tracklet):
    tracklets = [make_tracklet(pid, 1, num_frames=40) for pid in range(3)]
    clips = TestClips(tracklets, 64, ClipTransform(4, 2))
    (batch,) = every_frame_loader(clips, 3, 0, False)
    assert batch["pid"].tolist() == [0, 1, 2]
    assert batch["impath"] == [paths for paths, *_ in tracklets]
