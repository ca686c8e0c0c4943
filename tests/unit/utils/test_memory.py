import multiprocessing
from functools import partial

import pytest

from torchreid_occ.utils.memory import added_mebibytes

SUMS = "import numpy\nfor _ in range(3):\n    numpy.ones(8 * 2**20).sum()"  # each of 64 MiB


@pytest.fixture(scope="module")
def fresh_process():
    """A used one may hold freed memory, from which work takes without adding any."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(exec, ("import numpy",))
        yield pool


@pytest.mark.parametrize(("work", "least", "most"), [("pass", 0, 8), (SUMS, 60, 80)])
def test_memory_that_work_touches_and_frees_counts_at_its_peak(fresh_process, work, least, most):
    added = fresh_process.apply(added_mebibytes, (partial(exec, work, {}),))
    assert least <= added < most
