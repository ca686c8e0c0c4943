"""JSON and YAML files, read so that an error names the file and nothing in it is lost unsaid."""

import json
from collections import Counter
from pathlib import Path

import yaml

_MOST_VALUES = 100_000  # of a YAML file: its aliases can stand for more than any memory holds


def read_json(path):
    """Reads a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON in UTF-8, is nested too deeply, or has a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:  # broken UTF-8 is a ValueError, too
        raise ValueError(f'Cannot read "{path}" as JSON: {error}.') from error


def read_yaml(path):
    """Reads a YAML file that holds plain values.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML in UTF-8, is nested too deeply, has a key twice, or its
            aliases stand for too much.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
        _check_size(content)
    except FileNotFoundError:
        raise
    except Exception as error:  # PyYAML also raises what converting a broken number or date does
        raise ValueError(f"{path} is not readable YAML: {error}") from error
    return content


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which PyYAML would take the last."""

    def construct_mapping(self, node, deep=False):
        if isinstance(node, yaml.MappingNode):
            _refuse_doubles(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        return super().construct_mapping(node, deep)


def _without_doubles(pairs):
    _refuse_doubles(key for key, _ in pairs)
    return dict(pairs)


def _refuse_doubles(keys):
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r} is there twice")


def _check_size(content):
    """Counts values as often as aliases repeat them; a value inside itself is never done."""
    todo, count = [content], 0
    while todo:
        value = todo.pop()
        count += 1
        if count > _MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {_MOST_VALUES} values")
        if isinstance(value, int) and value.bit_length() > 64:
            raise ValueError(f"it has a whole number of {value.bit_length()} bits")
        if isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set)):
            todo += value
