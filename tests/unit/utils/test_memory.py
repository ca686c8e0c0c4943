import platform
from functools import partial

import pytest
from commands import start

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


def output_of(function, path):
    """Returns what a function prints in a process that has freed no large memory before."""
    process = start(function, path)
    process.join()
    assert process.exitcode == 0
    return [float(word) for word in path.read_text().split()]


@pytest.mark.parametrize(("work", "least", "most"), [("pass", 0, 8), (SUMS, 60, 80)])
def test_memory_that_work_touches_and_frees_counts_at_its_peak(tmp_path, work, least, most):
    (added,) = output_of(partial(print_added, work), tmp_path / "output")
    assert least <= added < most


def print_added(work):
    print(added_mebibytes(partial(exec, work, {})))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no mallopt")
def test_kept_memory_is_reused_without_page_faults(tmp_path):
    before, after = output_of(print_faults, tmp_path / "output")
    assert after < 100 < 10_000 < before  # of 16,384 pages


def print_faults():
    print(faults_of_reuse())
    keep_freed_memory()
    print(faults_of_reuse())


def faults_of_reuse():
    """Counts the page faults of reused memory in this process."""
    names = {}
    exec(FAULTS, names)
    return names["faults"]
