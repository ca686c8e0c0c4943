"""How a command starts worker processes."""

import multiprocessing


def fork_workers() -> None:
    """Lets workers be forked where Python would start them from a server process.

    That is Linux's default since Python 3.14. Such workers don't have what the command has
    imported: each loader then waits 3 s for its workers to import torch, and copies its dataset to
    each of them. A method that was chosen already stays, and so do other systems' defaults.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    if chosen is None and multiprocessing.get_all_start_methods()[0] == "forkserver":
        multiprocessing.set_start_method("fork")
