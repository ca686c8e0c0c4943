import logging

from torchreid_occ.utils import progress as module
from torchreid_occ.utils.progress import progress


def test_long_work_logs_lines_where_there_is_no_terminal(monkeypatch, caplog):
    clock = iter(range(0, 100, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, logger="torchreid_occ"):
        assert list(progress([1, 2, 3, 4], "ranking", unit="query")) == [1, 2, 3, 4]
    assert caplog.messages == [
        "ranking: query 1 of 4, about 0:02:00 left", "ranking: query 3 of 4, about 0:00:27 left",
    ]  # fmt: skip


def test_work_of_unknown_length_is_counted(monkeypatch, caplog):
    clock = iter(range(0, 100, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, logger="torchreid_occ"):
        assert list(progress(iter([1, 2]), "reading", unit="frame")) == [1, 2]
    assert caplog.messages == ["reading: frame 1"]


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    bar = progress(iter([1, 2]), "ranking", total=2)
    assert (bar.desc, bar.total) == ("ranking", 2)
    assert list(bar) == [1, 2]
