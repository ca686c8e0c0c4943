import random

import numpy as np
import torch

from torchreid_occ.utils.randomness import derive_seed, seed_everything


def draws():
    return random.random(), np.random.random(), torch.rand(1).item()


def test_equal_keys_give_equal_draws_of_all_libraries():
    seed_everything(3, 1)
    first = draws()
    seed_everything(3, 2)
    other = draws()
    seed_everything(3, 1)
    assert draws() == first
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_seeds_are_those_of_version_0_1():
    assert derive_seed(1, 0) == 3717377837946358015
    assert derive_seed(0, 1) != derive_seed(1, 0)
    assert all(0 <= derive_seed(seed, epoch) < 2**63 for seed in range(20) for epoch in range(20))
