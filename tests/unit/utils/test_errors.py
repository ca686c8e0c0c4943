"""A user's error is one line, a bug keeps its traceback."""

import subprocess
import sys

import pytest
import torch
from commands import run_after_torch
from support import REPOSITORY

from torchreid_occ.cli import fetch, main
from torchreid_occ.utils.errors import BUG, is_users, short_errors
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.weights import WeightsUnavailable


def test_a_warning_is_one_line_without_pythons_file():
    code = (
        "import warnings; from torchreid_occ.cli import fetch, main; "
        "fetch.run = lambda _: warnings.warn('two\\nlines', stacklevel=1); "
        "main(['fetch', 'http://x', '--to', 'y']); warnings.warn('after', stacklevel=1)"
    )
    done = run_after_torch(code, cwd=REPOSITORY)
    first, *after = done.stderr.splitlines()
    assert first == "Warning: two lines"
    assert after[0].endswith("UserWarning: after")


def test_what_is_logged_is_shown_while_a_command_runs(monkeypatch, capsys):
    monkeypatch.setattr(fetch, "run", lambda _: logger.info("batch 3 of 10"))
    main(["fetch", "http://x", "--to", "y"])
    logger.info("after")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "batch 3 of 10\n")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("data.height is 0."), "error: data.height is 0."),
        (KeyError("model.optons does not exist."), "error: model.optons does not exist."),
        (FileNotFoundError("There is no x.yaml."), "error: There is no x.yaml."),
        (ImportError("pip install onnx"), "error: pip install onnx"),
        (
            ModuleNotFoundError("No module named 'scipy'"),
            "error: No module named 'scipy' (`torchreid-occ doctor` shows all that this machine "
            "lacks.)",
        ),
        (FloatingPointError("loss is nan"), "error: loss is nan"),
        (WeightsUnavailable("put them there"), "error: put them there"),
        (torch.OutOfMemoryError("CUDA out of memory"), "error: CUDA out of memory"),
        (MemoryError(), "error: MemoryError"),
        (
            ValueError(
                "Caught in worker 0.\nOriginal Traceback:\n  x\nValueError: a.jpg is broken"
            ),
            "error: ValueError: a.jpg is broken",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_users_error_is_one_line(error, expected, capsys):
    with pytest.raises(SystemExit) as end, short_errors():
        raise error
    assert end.value.code == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("shapes"),
        TypeError("not callable"),
        KeyError("mAP"),
        RuntimeError("size of tensor a (3) must match"),
        ImportError("cannot import name 'x'", name="torchreid_occ.models"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_bug_keeps_its_traceback(error, capsys):
    assert not is_users(error)
    with pytest.raises(SystemExit) as end, short_errors():
        raise error
    assert end.value.code == BUG
    assert "How to report" in BUG
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_command_may_add_errors_and_name_its_options():
    with pytest.raises(SystemExit) as end, short_errors(RuntimeError):
        raise RuntimeError("a run failed")
    assert end.value.code == "error: a run failed"
    flags = {"resume=True": "--resume DIR"}
    with pytest.raises(SystemExit) as end, short_errors(flags=flags):
        raise ValueError("log/x holds a run: continue it by resume=True.")
    assert end.value.code.endswith("by resume=True. On the command line: --resume DIR.")


def test_an_interrupt_says_how_to_go_on():
    with pytest.raises(SystemExit) as end, short_errors(interrupted="the same continues it"):
        raise KeyboardInterrupt
    assert end.value.code == "the same continues it"


def test_a_closed_pager_ends_it_in_silence():
    errors = REPOSITORY / "torchreid_occ" / "utils" / "errors.py"
    code = (
        "import runpy\n"
        f"with runpy.run_path('{errors}')['short_errors']():\n"
        "    for number in range(100000): print(number)\n"
    )
    head = f'"{sys.executable}" -c "{code}" | head -n 1'
    done = subprocess.run(["bash", "-c", head], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")
