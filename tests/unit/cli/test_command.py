"""The command finds its subcommand, parses, and only then imports what it needs."""

import os
import subprocess
import sys
from functools import partial

import pytest
from commands import run_module, run_script
from support import REPOSITORY

from torchreid_occ import __version__
from torchreid_occ.cli import main
from torchreid_occ.cli.command import COMMANDS, module_of, parse_command, parser_of
from torchreid_occ.cli.cores import NAMES, SPINS
from torchreid_occ.cli.parser import suggestions

# Runs the command in a fresh interpreter; tells which heavy modules it has imported by its end, and
# how often OpenMP's threads spin.
FRESH = """
import os, sys
from torchreid_occ_command import main
try:
    main(sys.argv[1:])
finally:
    print("imported", [name for name in ("torch", "numpy", "torchreid") if name in sys.modules])
    print("spins", os.environ["GOMP_SPINCOUNT"])
"""


def fresh(*words):
    return subprocess.run(
        [sys.executable, "-c", FRESH, *words],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name not in NAMES},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--help"], 0, "Trains and tests a configuration."),
        (["train", "--help"], 0, "--config-file FILE"),
        (["serach"], 2, "there is no command 'serach': did you mean 'search'?"),
        (["train", "--confg-file", "x.yaml"], 2, "did you mean --config-file?"),
        (["search", "qurey"], 2, "did you mean query?"),
        (["search", "query", "g", "--tracklts", "t"], 2, "did you mean --tracklet?"),
        (["search", "erase", "g", "--ids", "1"], 2, "unrecognized arguments: --ids"),
        (["search", "erase"], 2, "are required: gallery (--help"),
        (["test"], 2, "are required: CHECKPOINT (--help"),
    ],
)
def test_nothing_heavy_is_imported_to_parse(words, status, message):
    done = fresh(*words)
    assert done.returncode == status
    said = done.stdout + done.stderr
    assert message in said
    assert ("did you mean" in said) == ("did you mean" in message)
    assert "imported []" in done.stdout
    assert status == 0 or len(done.stderr.splitlines()) == 1


def test_the_package_is_whole_once_a_command_runs(tmp_path):
    done = fresh("search", "info", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: There is no gallery in {tmp_path}")
    assert "imported ['torch', 'numpy', 'torchreid']" in done.stdout
    assert f"spins {SPINS}" in done.stdout


@pytest.mark.parametrize(
    "done",
    [
        partial(run_module, "torchreid_occ", "train", "--dry-run"),
        partial(run_script, "tools/main.py", "--dry-run"),
    ],
    ids=["-m", "main.py"],
)
def test_other_ways_to_start_it(done):
    ended = done()
    assert ended.returncode == 2
    assert "torchreid-occ train: error: name a configuration by --config-file" in ended.stderr


def test_help_and_version(capsys):
    for words, status in (([], 2), (["-h"], 0), (["help"], 0), (["--version"], 0)):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == status
        shown = capsys.readouterr()
        if words == ["--version"]:
            assert shown.out == f"torchreid-occ {__version__}\n"
        else:
            text = shown.out or shown.err
            assert all(f"\n  {name} " in text for name in COMMANDS)


def test_an_unknown_command_lists_those_there_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["zzz"])
    assert "there is no command 'zzz': it has train, compare, " in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_says_what_it_does(name, capsys):
    first = module_of(name).__doc__.splitlines()[0]
    assert first.endswith(".") and len(first) <= 110
    with pytest.raises(SystemExit, match="0"):
        parse_command([name, "--help"])
    assert first in capsys.readouterr().out
    assert parser_of(name).prog == f"torchreid-occ {name}"


def test_every_module_of_a_subcommand_is_listed():
    files = {path.stem for path in (REPOSITORY / "torchreid_occ" / "cli").glob("*.py")}
    frame = {"__init__", "command", "cores", "errors", "parser", "finding", "hardware"}
    frame |= {"libraries", "workers"}
    parts = {"search_export", "search_index"}  # of a subcommand's file
    assert files - frame - parts == {name.replace("-", "_") for name in COMMANDS}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sweets", "x"], "; did you mean --sweet?"),
        (["--sweet=x"], ""),
        (["--swe"], ""),  # argparse takes the beginning of an option
        (["--bitter"], ""),
    ],
)
def test_suggestions_for_options(words, expected):
    assert suggestions("unrecognized arguments", words, ["--sweet", "--sour"]) == expected


def test_suggestions_for_choices_in_either_form_of_the_message():
    for listed in ("'onnx', 'torch_export'", "onnx, torch_export"):
        message = f"argument --format: invalid choice: 'onx' (choose from {listed})"
        assert suggestions(message, ["--format", "onx"], ["--format"]) == "; did you mean onnx?"
