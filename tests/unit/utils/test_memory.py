import multiprocessing
import platform
from functools import partial

import pytest

from torchreid_occ.utils.memory import added_mebibytes, keep_freed_memory

SUMS = "import numpy\nfor _ in range(3):\n    numpy.ones(8 * 2**20).sum()"  # each of 64 MiB
# Faults of pages while 64 MiB are written where others were written and freed.
FAULTS = """
import resource
b"1" * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"1" * 2**26
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


@pytest.fixture(scope="module")
def fresh_process():
    """Starts a process that holds no freed memory, which work would reuse."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(exec, ("import numpy",))
        yield pool


@pytest.mark.parametrize(("work", "least", "most"), [("pass", 0, 8), (SUMS, 60, 80)])
def test_memory_that_work_touches_and_frees_counts_at_its_peak(fresh_process, work, least, most):
    added = fresh_process.apply(added_mebibytes, (partial(exec, work, {}),))
    assert least <= added < most


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no mallopt")
def test_kept_memory_is_reused_without_page_faults():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        before = pool.apply(faults_of_reuse)
        pool.apply(keep_freed_memory)
        assert pool.apply(faults_of_reuse) < 100 < 10_000 < before  # of 16,384 pages


def faults_of_reuse():
    """Counts the page faults of reused memory in this process."""
    names = {}
    exec(FAULTS, names)
    return names["faults"]
