"""Readers of JSON and YAML files that refuse repeated keys and name the file in every error."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml

from torchreid_occ._types import StrPath

_MOST_VALUES = 100_000  # of a YAML file: nested aliases can stand for billions of values


def read_json(path: StrPath) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON in UTF-8, is nested too deeply, or repeats a key.
    """
    return parse_json(Path(path).read_bytes(), str(path))


def parse_json(content: bytes, place: str) -> Any:
    """Reads JSON.

    Args:
        content: The JSON.
        place: Where it was found, for errors.

    Raises:
        ValueError: As of `read_json`.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:  # invalid UTF-8 is a ValueError, too
        raise ValueError(f'Cannot read "{place}" as JSON: {_fault_of_json(error)}.') from error


def read_json_lines(path: StrPath) -> list[Any]:
    """Reads a file with a JSON value in each line.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not JSON in UTF-8; names the line.
    """
    values = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f'Cannot read "{path}", line {number}, as JSON: {_fault_of_json(error)}.'
            ) from error
    return values


def read_yaml(path: StrPath) -> Any:
    """Reads a YAML file that holds plain values.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML in UTF-8, is nested too deeply, repeats a key, or its aliases
            stand for too many values.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
        _check_size(content)
    except FileNotFoundError:
        raise
    except Exception as error:  # PyYAML passes on errors of converting numbers and dates
        raise ValueError(f"{path} is not readable YAML: {error}") from error
    return content


class _Loader(yaml.SafeLoader):
    """Refuses a repeated key, of which PyYAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            _refuse_doubles(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        return super().construct_mapping(node, deep)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_doubles(key for key, _ in pairs)
    return dict(pairs)


def _refuse_doubles(keys: Iterable[Hashable]) -> None:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r} is there twice")


def _check_size(content: object) -> None:
    """Counts values, repeated ones each time, up to the limit, which values in themselves reach."""
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


def _fault_of_json(error: Exception) -> str:
    """Says what is wrong; Python's own words for deep nesting differ from version to version."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
