import logging
import warnings

import pytest

from torchreid_occ.utils.logs import logger, logging_to, printed_lines_logged


def test_records_prints_and_warnings_go_to_console_and_file(tmp_path, capsys):
    with logging_to(tmp_path / "run"):
        logger.info("mAP %.1f", 71.25)
        with printed_lines_logged():
            print("first", end=" ")
            print("line\n\nsecond line")
        warnings.warn("few frames", stacklevel=1)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["mAP 71.2", "first line", "second line"]
    assert shown.err.splitlines() == ["Warning: few frames"]
    lines = (tmp_path / "run" / "run.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO mAP 71.2",
        "INFO first line",
        "INFO second line",
        "WARNING Warning: few frames",
    ]


def test_a_failure_is_in_the_file_with_its_traceback(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="disk"), logging_to(tmp_path):
        raise RuntimeError("disk")
    text = (tmp_path / "run.log").read_text()
    assert "ERROR The run stopped.\nTraceback (most recent call last):" in text
    assert text.endswith("RuntimeError: disk\n")
    assert capsys.readouterr().err == ""


def test_a_second_run_appends_and_leaves_no_handler(tmp_path):
    handlers = list(logger.handlers)
    for number in range(2):
        with logging_to(tmp_path):
            logger.info("run %d", number)
    assert logger.handlers == handlers
    assert logging.getLogger("py.warnings").propagate
    assert [line[-5:] for line in (tmp_path / "run.log").read_text().splitlines()] == [
        "run 0",
        "run 1",
    ]


def test_other_ranks_are_silent(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torchreid_occ.utils.logs.is_first_process", lambda: False)
    before = logger.level
    with logging_to(tmp_path / "run"):
        logger.error("from rank 1")
    logger.setLevel(before)
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr() == ("", "")
