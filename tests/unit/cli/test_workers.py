import multiprocessing

import pytest

from torchreid_occ.cli.workers import fork_workers

ALL = {"linux": ["fork", "spawn", "forkserver"], "macos": ["spawn", "fork", "forkserver"]}
ALL["linux 3.14"] = ["forkserver", "spawn", "fork"]


@pytest.mark.parametrize(
    ("system", "chosen", "expected"),
    [
        ("linux", None, []),
        ("macos", None, []),
        ("linux 3.14", None, ["fork"]),
        ("linux 3.14", "spawn", []),
        ("linux 3.14", "forkserver", []),
    ],
)
def test_workers_are_forked_in_place_of_python_3_14s_default(monkeypatch, system, chosen, expected):
    told = []
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ALL[system])
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: chosen)
    monkeypatch.setattr(multiprocessing, "set_start_method", told.append)
    fork_workers()
    assert told == expected
