import numpy as np

from torchreid_occ.utils.memory import added_mebibytes


def test_memory_that_work_touches_and_frees_counts_at_its_peak():
    def work():
        for _ in range(3):
            np.ones(8 * 2**20).sum()

    assert 60 < added_mebibytes(work) < 80
    assert added_mebibytes(lambda: None) < 8
