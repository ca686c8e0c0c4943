"""What the training command reads."""

import pytest

from torchreid_occ.cli.command import parse_command
from torchreid_occ.cli.train import overrides_of


def parse_arguments(words):
    return parse_command(["train", *words]).arguments


def test_lists_end_where_a_key_begins():
    words = "--config-file c.yaml -s mars occwalk.clean data.height 128 -t sduvid use_gpu False"
    arguments = parse_arguments(words.split())
    assert arguments.sources == ["mars", "occwalk.clean"]
    assert arguments.targets == ["sduvid"]
    assert arguments.opts == ["data.height", "128", "use_gpu", "False"]
    assert overrides_of(arguments) == [
        *("data.sources", "['mars', 'occwalk.clean']", "data.targets", "['sduvid']"),
        *("data.height", "128", "use_gpu", "False"),
    ]


def test_flags_come_before_pairs():
    words = "--resume log/run data.root elsewhere --root here --splits 1 2 train.lr 0.1"
    arguments = parse_arguments(words.split())
    assert arguments.splits == ["1", "2"]
    assert overrides_of(arguments) == [
        *("data.root", "here", "data.save_dir", "log/run"),
        *("data.root", "elsewhere", "train.lr", "0.1"),
    ]


def test_a_configuration_or_a_run_is_needed(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["train.lr", "0.1"])
    assert "torchreid-occ train: error: name a configuration" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_arguments(["--resume", "log/run", "--row", "srfc"])
    assert "error: --row chooses a row of a file" in capsys.readouterr().err


def test_a_row_is_part_of_the_path():
    assert (
        parse_arguments(["--config-file", "t.yaml", "--row", "srfc"]).config_file == "t.yaml#srfc"
    )
