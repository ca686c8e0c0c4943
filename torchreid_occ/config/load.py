"""Configuration: YAML files that build on one another, checked against the defaults.

A value is looked up in this order: overrides (``KEY VALUE`` on a command line), the file, its
``_BASE_`` files, :mod:`torchreid_occ.config.schema`.
"""

import ast
import difflib
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config.files import config_contents
from torchreid_occ.config.schema import KEYS, Key, defaults

Tree = dict[str, Any]  # nested keys and values


def load_config(path: StrPath | None = None, overrides: Sequence[str] = ()) -> CfgNode:
    """Resolves a configuration.

    Args:
        path: YAML file, or a row of one as ``file.yaml#row``, see
            :mod:`torchreid_occ.config.files`; None for the defaults.
        overrides: ``[key, value, key, value, ...]`` as on a command line; values are literals.

    Returns:
        A frozen yacs ``CfgNode``.

    Raises:
        KeyError: For a key that does not exist; names the nearest ones that do.
        ValueError: For a value of the wrong type or outside its choices; names the key and file.
        FileNotFoundError: For a missing file.
    """
    tree = defaults()
    if path is not None:
        for origin, content in config_contents(path):
            _merge(tree, content, prefix="", origin=origin)
    for part in override_trees(overrides):
        _merge(tree, part, prefix="", origin="overrides")
    return _frozen(tree, origin="overrides" if path is None else str(path))


def override_trees(overrides: Sequence[str]) -> list[Tree]:
    """Returns the pairs of a command line as nested dicts, one each.

    Args:
        overrides: ``[key, value, key, value, ...]``; values are literals.

    Raises:
        ValueError: If they are no pairs.
    """
    if len(overrides) % 2:
        raise ValueError(
            f"Options come in pairs KEY VALUE, but got {len(overrides)} words: {list(overrides)}."
        )
    trees = []
    for key, text in zip(overrides[::2], overrides[1::2], strict=True):
        value: Any = text if _is_text(key) else _literal(text)
        for part in reversed(key.split(".")):
            value = {part: value}
        trees.append(value)
    return trees


def config_of(tree: Mapping[str, Any], origin: str = "saved configuration") -> CfgNode:
    """Returns the configuration of nested dicts, such as a checkpoint carries.

    Args:
        tree: As :func:`plain` gives it; keys it lacks take their defaults.
        origin: Where it comes from, for errors.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: For a value of the wrong type.
    """
    return merged({}, (tree,), origin)


def merged(tree: Mapping[str, Any], parts: Iterable[Mapping[str, Any]], origin: str) -> CfgNode:
    """Returns the configuration of nested dicts, each on top of those before.

    Args:
        tree: The lowest.
        parts: The dicts on top of it, in order.
        origin: Where the parts come from, for errors.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: For a value of the wrong type.
    """
    complete = defaults()
    _merge(complete, tree, prefix="", origin="saved configuration")
    for part in parts:
        _merge(complete, part, prefix="", origin=origin)
    return _frozen(complete, origin)


def plain(config: Any) -> Any:
    """Returns a configuration, or a part of one, as nested dicts of plain Python values.

    Args:
        config: The configuration.
    """
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items()}
    return list(config) if isinstance(config, (list, tuple)) else config


def check_options(
    key: str,
    options: Iterable[str],
    function: Callable[..., Any],
    reserved: Collection[str] = (),
) -> None:
    """Checks a free-form part of a configuration against the function that takes it.

    Args:
        key: Name of the part, for the error, such as ``model.options``.
        options: Names of the keyword arguments it holds.
        function: The builder or class that takes them.
        reserved: Arguments of the function that are set elsewhere.

    Raises:
        KeyError: If the function has no such argument; lists the allowed ones.
    """
    allowed = [name for name in inspect.signature(function).parameters if name not in reserved]
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise KeyError(f"{key} has no {unknown}: {function.__name__} takes {sorted(allowed)}.")


def _merge(tree: Tree, content: Any, prefix: str, origin: str) -> None:
    """Puts content into a tree of the same keys, checked against the schema."""
    if not isinstance(content, dict):
        raise ValueError(f"{origin}: expected `key: value` lines, but got {content!r:.80}.")
    for name, value in content.items():
        key = f"{prefix}{name}"
        if name not in tree:
            near = difflib.get_close_matches(str(name), tree, n=3, cutoff=0.4) or sorted(tree)
            where = prefix[:-1] or "the configuration"
            raise KeyError(f"{origin}: {key} does not exist; {where} has {near}.")
        row = KEYS.get(key)
        if row is None:  # a section
            if not isinstance(value, dict):
                raise ValueError(
                    f"{origin}: {key} holds keys {sorted(tree[name])}, got {value!r:.80}."
                )
            _merge(tree[name], value, f"{key}.", origin)
        elif isinstance(row.default, dict):
            if not isinstance(value, dict):
                raise ValueError(
                    f"{origin}: {key} must hold `name: value` lines, got {value!r:.80}."
                )
            tree[name] = _joined(tree[name], value)
        elif key == "phases":
            tree[name] = _phases(value, tree[name], origin)
        else:
            tree[name] = _checked(key, row, value, origin)


def _checked(key: str, row: Key, value: Any, origin: str) -> Any:
    """Returns a value in the type of its default, where the conversion loses nothing."""
    default = row.default
    if row.choices:
        if value not in row.choices:
            raise ValueError(
                f"{origin}: {key} is {value!r:.80}, but must be one of {list(row.choices)}."
            )
        return value
    if key == "model.pretrained" and isinstance(value, (bool, str)):
        return value
    if isinstance(default, list):
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        kind = _kind_of_items(default)
        if not all(isinstance(item, kind) and not isinstance(item, bool) for item in values):
            raise ValueError(
                f"{origin}: {key} is {value!r:.80}, but must be a list like {default or ['...']}."
            )
        return values
    if isinstance(default, float) and not isinstance(value, bool):
        with suppress(TypeError, ValueError, OverflowError):
            number = float(value)  # YAML 1.1 reads 3e-4 as text, and 1 as an integer
            if math.isfinite(number):
                return number
    elif type(value) is type(default):
        return value
    raise ValueError(
        f"{origin}: {key} is {value!r:.80}, but must be of type {type(default).__name__} "
        f"like its default {default!r}."
    )


def _kind_of_items(default: list[Any]) -> type | tuple[type, ...]:
    """Returns the types of the items of a list, of which an empty default is one of texts."""
    kind = type(default[0]) if default else str
    return (int, float) if kind is float else kind


def _phases(value: Any, before: list[Tree], origin: str) -> list[Tree]:
    """Returns the phases that a value describes.

    Args:
        value: A list, in which a name alone stands for the phase of that name there is; or changes
            of phases by their names.
        before: The phases there are.
        origin: Where the value comes from, for errors.
    """
    known = {phase.get("name"): phase for phase in before}
    named = value if isinstance(value, dict) else _names_alone(value, origin)
    unknown = sorted(set(named) - set(known), key=str)
    if unknown:
        raise KeyError(f"{origin}: there are no phases {unknown}, but {list(known)}.")
    if isinstance(value, dict):
        return [_joined(phase, value.get(name, {})) for name, phase in known.items()]
    return [known[part] if isinstance(part, str) else part for part in value]


def _names_alone(value: Any, origin: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(part, (dict, str)) for part in value):
        raise ValueError(f"{origin}: phases is {value!r:.80}, but must be a list of named parts.")
    return [part for part in value if isinstance(part, str)]


def _frozen(tree: Tree, origin: str) -> CfgNode:
    try:
        _check(tree)
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None
    config = CfgNode(tree)
    config.freeze()
    return config


def _check(tree: Tree) -> None:
    """Checks the values of a whole configuration, and that the engine and the task read them."""
    engine = tree["engine"]
    values = {key: _value(tree, key) for key in KEYS}
    for key, row in KEYS.items():
        if row.only_for not in (None, engine) and values[key] != row.default:
            raise ValueError(
                f"{key} is read by engine {row.only_for!r} only, but engine is {engine!r}: "
                f"leave it at its default {row.default!r}."
            )
    if tree["task"] == "train" and not tree["phases"]:
        for key, row in KEYS.items():
            if key.startswith("completion.") and values[key] != row.default:
                raise ValueError(
                    f"{key} is read by tasks 'score', 'train_completion' and 'copy', "
                    f"but task is 'train': leave it at its default {row.default!r}."
                )
    for key, row in KEYS.items():
        _check_range(key, row, values[key])
        allowed = row.choices_by_engine.get(engine)
        if allowed and values[key] not in allowed:
            raise ValueError(
                f"{key} is {values[key]!r}, but engine {engine!r} has {list(allowed)}."
            )
    if tree["test"]["eval_freq"] == 0:
        raise ValueError("test.eval_freq is 0, but must be a number of epochs, or -1 for the end.")


def _check_range(key: str, row: Key, value: Any) -> None:
    """Checks a value against the minimum, the length and the items of its row."""
    listed = value if isinstance(value, list) else [value]
    if row.minimum is not None and any(item < row.minimum for item in listed):
        raise ValueError(f"{key} is {value!r}, but must be at least {row.minimum}.")
    if row.length is not None and len(listed) != row.length:
        raise ValueError(f"{key} is {value!r}, but must have {row.length} items.")
    unknown = sorted(set(listed) - set(row.items)) if row.items else []
    if unknown:
        raise ValueError(f"{key} holds {unknown}, but may hold {list(row.items)}.")


def _value(tree: Tree, key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree


def _joined(options: Mapping[str, Any], more: Mapping[str, Any]) -> Tree:
    """Returns free-form options with others on top, key by key at every level."""
    joined = dict(options)
    for name, value in more.items():
        nested = isinstance(value, dict) and isinstance(joined.get(name), dict)
        joined[name] = _joined(joined[name], value) if nested else value
    return joined


def _is_text(key: str) -> bool:
    """Whether a value of the command line is taken as it is: a folder may be named 2024."""
    row = KEYS.get(key)
    texts = row is not None and isinstance(row.default, str) and key != "model.pretrained"
    return texts and "." in key


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
