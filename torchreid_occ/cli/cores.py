"""How OpenMP's threads wait for one another, set before torch is loaded.

At the end of each parallel loop threads wait for the slowest. By default they spin: on cores that
other processes use too, a spinning thread takes the time that the one it waits for needs, and a
training step takes many times as long (docs/performance.md). With fewer spins they sleep.
"""

import os
from collections.abc import MutableMapping

OFF = "TORCHREID_OCC_OMP_DEFAULT"
# The names by which users set it themselves; either is left as it is.
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
SPINS = "10000"  # about 0.1 ms, longer than threads with a core of their own wait


def share_cores(environ: MutableMapping[str, str] = os.environ) -> None:
    """Lets threads of this process, and of those it starts, sleep after a short wait.

    Without effect on this process once torch is loaded, and for users who have set one of `NAMES`
    or `OFF`.

    Args:
        environ: The environment that is changed.
    """
    if environ.get(OFF) != "1" and not any(name in environ for name in NAMES):
        environ["GOMP_SPINCOUNT"] = SPINS


def waiting(environ: MutableMapping[str, str] = os.environ) -> str:
    """Says how the threads of this process wait.

    Args:
        environ: The environment that is read.
    """
    given = [f"{name}={environ[name]}" for name in NAMES if name in environ]
    return f"OpenMP's threads wait by {', '.join(given)}" if given else "OpenMP's threads spin"
