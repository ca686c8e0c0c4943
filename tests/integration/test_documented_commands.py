"""Commands of the documentation parse, and name configurations and keys that exist."""

import argparse
import re
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from documentation import PAGES, commands
from support import REPOSITORY

from torchreid_occ.cli.command import COMMANDS, parse_command
from torchreid_occ.cli.train import overrides_of
from torchreid_occ.config import load_config

TARGETS = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M)


class Parsed(BaseException):
    """Stops a script that has parsed its arguments."""


def stopping(method):
    def parse_and_stop(parser, arguments=None, namespace=None):
        method(parser, arguments, namespace)
        raise Parsed

    return parse_and_stop


def parse(script, words):
    """Runs a script or a module until it has parsed its arguments; wrong ones raise SystemExit."""
    path = REPOSITORY / script if script.endswith(".py") else Path(find_spec(script).origin)
    if "argparse" not in path.read_text():
        assert not words, f"{script} takes no arguments"
        return
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Parsed):
        method = argparse.ArgumentParser.parse_args
        patch.setattr(argparse.ArgumentParser, "parse_args", stopping(method))
        patch.setattr(sys, "argv", [script, *words])
        runpy.run_path(str(path), run_name="__main__")


def check_command(words):
    """Parses a command of `torchreid-occ`, and resolves the configuration it names."""
    if words[1:] in ([], ["..."]):  # named without arguments
        assert words[0] in COMMANDS
        return
    command = parse_command(words)
    configs = [word for word in words if word.startswith("configs/")]
    assert all((REPOSITORY / name.partition("#")[0]).exists() for name in configs)
    # A word in capitals is a placeholder for a file.
    if command.name == "train" and "/" in command.arguments.config_file:
        load_config(REPOSITORY / command.arguments.config_file, overrides_of(command.arguments))


def check(words):
    program, *words = words
    if program == "make":
        assert words and set(words) <= set(TARGETS), f"make has {TARGETS}"
    elif program == "torchreid-occ":
        check_command(words)
    elif program in ("python", "torchrun"):
        while program == "torchrun" and words[0].startswith("-"):
            words.pop(0)
        script, *words = words[1:] if words[0] == "-m" else words
        if words in ([], ["..."]):  # named without arguments
            assert (REPOSITORY / script).exists()
        elif script == "tools/main.py":
            check_command(["train", *words])
        else:
            parse(script, words)
    else:
        raise AssertionError(f"{words} is no command that the pages use")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_parse(page):
    for words in commands(page):
        try:
            check(words)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{' '.join(words)}: {error}") from error


@pytest.mark.parametrize(
    "command",
    [
        "make tea",
        "curl somewhere",
        "torchreid-occ serach",
        "torchreid-occ demo --fast",
        "torchreid-occ compare --sweet configs/rfcnet.yaml",
        "torchreid-occ train --config-file configs/no_such.yaml",
        "python tools/main.py --config-file configs/rfcnet.yaml train.no_such 1",
        "torchreid-occ occwalk --preset occwalk_none",
    ],
)
def test_wrong_commands_do_not(command):
    with pytest.raises((AssertionError, KeyError, SystemExit)):
        check(command.split())
