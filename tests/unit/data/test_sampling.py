import numpy as np
import pytest

from torchreid_occ.data.sampling import (
    SAMPLING_METHODS,
    batches_of_equal_length,
    sample_clip,
    split_into_clips,
)


def draws(method, num_frames, seq_len, stride=1, times=200):
    rng = np.random.default_rng(0)
    return [sample_clip(method, num_frames, seq_len, stride, rng).tolist() for _ in range(times)]


def test_consecutive_reaches_every_start():
    clips = draws("consecutive", 6, 4, stride=8)
    assert {tuple(clip) for clip in clips} == {(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)}


def test_strided_keeps_a_stride_that_fits():
    clips = draws("strided", 26, 4, stride=8)
    assert {tuple(clip) for clip in clips} == {(0, 8, 16, 24), (1, 9, 17, 25)}


@pytest.mark.parametrize(
    ("num_frames", "stride"), [(25, 8), (24, 7), (22, 7), (7, 2), (6, 1), (4, 1)]
)
def test_strided_shrinks_to_the_largest_that_fits(num_frames, stride):
    clips = draws("strided", num_frames, 4, stride=8)
    assert {int(step) for clip in clips for step in np.diff(clip)} == {stride}
    assert max(map(max, clips)) == num_frames - 1
    assert min(map(min, clips)) == 0


@pytest.mark.parametrize("method", SAMPLING_METHODS)
def test_short_tracklets_repeat_in_order(method):
    assert draws(method, 3, 8, stride=8, times=1) == [[0, 1, 2, 0, 1, 2, 0, 1]]
    assert draws(method, 1, 3, times=1) == [[0, 0, 0]]


def test_one_frame_clips_reach_every_frame():
    for method in ("consecutive", "strided", "random"):
        assert {clip[0] for clip in draws(method, 5, 1, stride=8)} == set(range(5))


def test_random_is_sorted_without_repeats():
    clips = draws("random", 7, 4)
    assert all(sorted(set(clip)) == clip and len(clip) == 4 for clip in clips)
    assert {frame for clip in clips for frame in clip} == set(range(7))


def test_evenly_equals_torchreid(tmp_path):
    for num_frames in range(4, 40):
        whole = num_frames - num_frames % 4
        expected = np.arange(0, whole, whole / 4).astype(int).tolist()
        assert draws("evenly", num_frames, 4, times=1) == [expected]


def test_the_generator_decides():
    first = sample_clip("strided", 90, 4, 8, np.random.default_rng(5))
    second = sample_clip("strided", 90, 4, 8, np.random.default_rng(5))
    np.testing.assert_array_equal(first, second)
    assert len({tuple(clip) for clip in draws("strided", 90, 4, 8)}) > 30


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"\"dense\", but expected to be one of .*'evenly'"):
        sample_clip("dense", 4, 4, 1, rng)
    with pytest.raises(ValueError, match="num_frames=0"):
        sample_clip("evenly", 0, 4, 1, rng)
    with pytest.raises(ValueError, match="seq_len=0"):
        sample_clip("evenly", 4, 0, 1, rng)
    with pytest.raises(ValueError, match="stride=0"):
        sample_clip("strided", 4, 4, 0, rng)


def test_split_into_clips_holds_each_frame_once():
    assert split_into_clips(150, 64) == [(0, 64), (64, 128), (128, 150)]
    assert split_into_clips(128, 64) == [(0, 64), (64, 128)]
    assert split_into_clips(5, 64) == [(0, 5)]
    assert split_into_clips(150, 0) == [(0, 150)]


@pytest.mark.parametrize(("num_frames", "clip_len"), [(0, 64), (5, -1)])
def test_split_into_clips_names_wrong_arguments(num_frames, clip_len):
    with pytest.raises(ValueError, match=f"num_frames={num_frames} and clip_len={clip_len}"):
        split_into_clips(num_frames, clip_len)


CLIPS = [(0, 0, 4), (0, 4, 7), (1, 0, 4), (2, 0, 1), (3, 0, 4), (4, 0, 1), (5, 0, 3), (6, 0, 4)]


@pytest.mark.parametrize(("clip_len", "batch_size"), [(4, 1), (4, 3), (0, 2), (64, 1)])
def test_batches_of_equal_clips_cover_each_once(clip_len, batch_size):
    batches = batches_of_equal_length(CLIPS, batch_size, clip_len)
    assert sorted(index for batch in batches for index in batch) == list(range(len(CLIPS)))
    for batch in batches:
        lengths = {CLIPS[index][2] - CLIPS[index][1] for index in batch}
        assert len(lengths) == 1
        assert len(batch) * lengths.pop() <= batch_size * (clip_len or 4)


def test_long_clips_come_first_and_short_ones_share_a_batch():
    assert batches_of_equal_length(CLIPS, 1, 4) == [[0], [2], [4], [7], [1], [6], [3, 5]]
    assert batches_of_equal_length(CLIPS, 2, 4) == [[0, 2], [4, 7], [1, 6], [3, 5]]
    assert batches_of_equal_length([], 2, 4) == []
