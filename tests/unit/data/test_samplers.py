import random

import numpy as np
import pytest
import torch

from torchreid_occ._torchreid import torchreid
from torchreid_occ.data import samplers
from torchreid_occ.data.clips import ItemKey
from torchreid_occ.data.samplers import EpochSampler, build_epoch_sampler


def tracklets(counts, cams=2):
    """As many tracklets of each pid as `counts` says."""
    return [
        (("f.jpg",), pid, i % cams, pid % 2)
        for pid, count in enumerate(counts)
        for i in range(count)
    ]


def build(
    data, name="RandomIdentitySampler", batch_size=8, num_instances=4, cams=1, dsets=1, seed=1
):
    return build_epoch_sampler(data, name, batch_size, num_instances, cams, dsets, seed)


SAMPLERS = ["RandomIdentitySampler", "RandomDomainSampler", "RandomDatasetSampler", "RandomSampler"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_epochs_are_keyed_by_seed_and_number(name):
    data = tracklets([5, 9, 4, 6])
    sampler = build(data, name)
    first = list(sampler)
    random.seed(9)
    np.random.seed(9)
    torch.manual_seed(9)
    assert list(build(data, name)) == first
    sampler.set_epoch(1)
    second = list(sampler)
    assert [key.number for key in second] != [key.number for key in first]
    assert list(sampler) == second
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert [key.number for key in build(data, name, seed=2)] != [key.number for key in first]


def test_keys_name_epoch_and_position():
    sampler = EpochSampler([4, 4, 1], seed=1)
    sampler.set_epoch(3)
    assert list(sampler) == [ItemKey(3, 0, 4), ItemKey(3, 1, 4), ItemKey(3, 2, 1)]
    assert type(next(iter(sampler)).number) is int


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_global_state_is_put_back(name):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    build(tracklets([5, 9, 4, 6]), name).set_epoch(4)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == before


def test_the_length_is_exact():
    data = tracklets([4, 40, 1, 4])
    stated = len(torchreid.data.sampler.RandomIdentitySampler(data, 8, 4))
    sampler = build(data)
    lengths = set()
    for epoch in range(10):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert len(sampler) == len(keys)
        lengths.add(len(keys))
        pids = [data[key.number][1] for key in keys]
        for batch in range(0, len(pids), 8):
            assert len(set(pids[batch : batch + 8])) == 2
    assert max(lengths) < stated


def test_too_few_identities_say_what_to_set():
    with pytest.raises(
        ValueError, match=r"needs 4 identities .* 16 .* there are 3: .* most 12, or"
    ):
        build(tracklets([4, 4, 4]), batch_size=16)
    with pytest.raises(ValueError, match=r"draws 3 clips .* batch of 8 .* not a multiple"):
        build(tracklets([4, 4, 4]), num_instances=3)


def test_too_few_cameras_or_datasets_say_what_to_set():
    data = tracklets([4, 4])
    with pytest.raises(ValueError, match=r"from 3 cameras \(sampler.num_cams\).* are 2 cameras"):
        build(data, "RandomDomainSampler", batch_size=6, cams=3)
    with pytest.raises(ValueError, match=r"takes 4\.5 tracklets of each"):
        build(data, "RandomDomainSampler", batch_size=9, cams=2)
    with pytest.raises(ValueError, match="smallest with 4 tracklets: set sampler"):
        build(data, "RandomDatasetSampler", batch_size=6, dsets=1)
    assert len(build(data, "RandomDatasetSampler", batch_size=8, dsets=0)) == 8


def test_less_than_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"epoch of 5 clips .* one batch of 8: lower train.batch_"):
        build(tracklets([5]), "RandomSampler")


def test_unknown_samplers_are_listed():
    match = r"\"Nope\", but expected to be one of .*'RandomIdentitySampler'"
    with pytest.raises(ValueError, match=match):
        build(tracklets([4, 4]), "Nope")


def test_clips_of_an_identity_come_from_different_cameras():
    cameras = [0, 0, 1, 1, 2, 2], [0, 1], [0, 0, 0, 0], [3]
    data = [(("f.jpg",), pid, camid, 0) for pid, camids in enumerate(cameras) for camid in camids]
    sampler = build_epoch_sampler(data, "RandomIdentitySampler", 4, 2, 1, 1, 1, True)
    assert not isinstance(sampler.sampler, torchreid.data.sampler.RandomIdentitySampler)
    seen = set()
    for epoch in range(20):
        sampler.set_epoch(epoch)
        numbers = [key.number for key in sampler]
        pairs = [tuple(numbers[i : i + 2]) for i in range(0, len(numbers), 2)]
        for batch in range(0, len(pairs), 2):
            first, second = ({data[number][1] for number in pair} for pair in pairs[batch:][:2])
            assert len(first) == len(second) == 1
            assert first != second
        for pair in pairs:
            pid, camids = data[pair[0]][1], {data[number][2] for number in pair}
            # Only identities with one camera give pairs from one.
            assert len(camids) == min(2, len(set(cameras[pid])))
            assert len(set(pair)) == (1 if pid == 3 else 2)
        seen.update(numbers)
    assert seen == set(range(len(data)))
    assert list(sampler) == list(sampler)
    with pytest.raises(ValueError, match="across_cameras is for RandomIdentitySampler, but samp"):
        build_epoch_sampler(data, "RandomSampler", 4, 2, 1, 1, 1, True)


def test_processes_share_whole_batches_of_a_single_process(monkeypatch):
    items = [("item", n) for n in range(11)]
    read = {}
    for rank in (0, 1):
        monkeypatch.setattr(samplers, "process_count", lambda: 2)
        monkeypatch.setattr(samplers, "process_rank", lambda rank=rank: rank)
        share = samplers.ProcessShare(items, 4)
        read[rank] = [number for _, number in share]
        assert len(share) == len(read[rank])
    assert read == {0: [0, 1, 4, 5], 1: [2, 3, 6, 7]}  # three items fill no batch
    with pytest.raises(ValueError, match="3 clips can't be shared by 2 processes"):
        samplers.ProcessShare(items, 3)
