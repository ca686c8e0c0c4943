"""How much memory a piece of work takes, by Linux's account of this process."""

from pathlib import Path


def added_mebibytes(work):
    """By how much work raises the memory of this process at its peak.

    Memory that the process has freed but still holds counts as there, even where work takes from
    it: call it in a fresh process that has done the same on something small. GPUs' memory does not
    count.

    Args:
        work: Function without arguments.
    """
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    before = _kibibytes("VmRSS")
    work()
    return (_kibibytes("VmHWM") - before) / 1024


def _kibibytes(field):
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))
