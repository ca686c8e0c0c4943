"""How commands end: one line for a user's error, a traceback for a bug."""

import pytest

from torchreid_occ.cli.errors import BUG, short_errors


def ended_by(error, *also, flags=None):
    with pytest.raises(SystemExit) as caught, short_errors(*also, flags=flags):
        raise error
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("train.lr is 'x'"), "ValueError: train.lr is 'x'"),
        (KeyError("no such key"), "KeyError: no such key"),
        (KeyError(), "KeyError: "),
        (FileNotFoundError("There is no a.yaml."), "FileNotFoundError: There is no a.yaml."),
        (
            ValueError(
                "Caught ValueError.\nOriginal Traceback (most recent call last):\n x\nbad y"
            ),
            "ValueError: bad y",
        ),
    ],
)
def test_a_users_error_is_one_line(error, line, capsys):
    assert ended_by(error) == line
    assert capsys.readouterr().err == ""


def test_what_a_library_names_is_said_as_a_flag():
    flags = {"resume=True": "--resume DIR", "only=": "--phase NAME"}
    line = ended_by(FileExistsError("continue it with resume=True."), flags=flags)
    assert line.endswith("resume=True. On the command line: --resume DIR.")


@pytest.mark.parametrize("error", [AssertionError("odd"), TypeError("odd"), RuntimeError("odd")])
def test_a_bug_keeps_its_traceback_and_says_where_to_report_it(error, capsys):
    assert ended_by(error) == BUG
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last)")
    assert shown.endswith(f"{type(error).__name__}: odd\n")


def test_a_command_may_have_further_errors_of_the_user():
    assert (
        ended_by(RuntimeError("The run failed."), RuntimeError) == "RuntimeError: The run failed."
    )
