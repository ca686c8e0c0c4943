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

from torchreid_occ.cli.train import overrides_of, parse_arguments
from torchreid_occ.config import load_config

TARGETS = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M)


class Parsed(BaseException):
    """Stops a tool once it has read its arguments."""


def stopping(method):
    def parse_and_stop(parser, arguments=None, namespace=None):
        method(parser, arguments, namespace)
        raise Parsed

    return parse_and_stop


def parse(tool, words):
    """Has a tool or a module read its arguments, and goes no further; exits where it refuses."""
    path = REPOSITORY / tool if tool.endswith(".py") else Path(find_spec(tool).origin)
    path = path.with_name("__main__.py") if path.stem == "__init__" else path
    if "argparse" not in path.read_text() and "torchreid_occ.cli" not in path.read_text():
        assert not words, f"{tool} takes no arguments"
        return
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Parsed):
        for name in ("parse_args", "parse_intermixed_args"):
            method = getattr(argparse.ArgumentParser, name)
            patch.setattr(argparse.ArgumentParser, name, stopping(method))
        patch.setattr(sys, "argv", [tool, *words])
        runpy.run_path(str(path), run_name="__main__")


def check_configuration(words):
    """Resolves what tools/main.py is given, keys and values included."""
    arguments = parse_arguments(words)
    if "/" in arguments.config_file:  # a word in capitals stands for any
        load_config(REPOSITORY / arguments.config_file, overrides_of(arguments))


def check(words):
    program, *words = words
    if program == "make":
        assert words and set(words) <= set(TARGETS), f"make has {TARGETS}"
    elif program in ("python", "torchrun"):
        while program == "torchrun" and words[0].startswith("-"):
            words.pop(0)
        tool, *words = words[1:] if words[0] == "-m" else words
        if words == ["..."]:  # whatever the tool takes
            assert (REPOSITORY / tool).exists()
            return
        configs = [word for word in words if word.startswith("configs/")]
        assert all((REPOSITORY / name).exists() for name in configs)
        if tool == "tools/main.py":
            check_configuration(words)
        parse(tool, words)
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
        "python tools/demo.py --fast",
        "python tools/compare.py --sweet configs/rfcnet.yaml",
        "python tools/main.py --config-file configs/no_such.yaml",
        "python tools/main.py --config-file configs/rfcnet.yaml train.no_such 1",
        "python -m torchreid_occ.occwalk --preset occwalk_none",
    ],
)
def test_wrong_commands_do_not(command):
    with pytest.raises((AssertionError, KeyError, SystemExit)):
        check(command.split())
