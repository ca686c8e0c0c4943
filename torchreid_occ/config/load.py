"""Configuration: YAML files that build on one another, checked against the defaults.

A value is looked up in this order: ``KEY VALUE`` on the command line, the file, its ``_BASE_``
files, :mod:`torchreid_occ.config.schema`.
"""

import ast
import difflib
import inspect
import math
from contextlib import suppress

from yacs.config import CfgNode

from torchreid_occ.config.files import config_contents
from torchreid_occ.config.schema import (
    CHOICES,
    DEFAULTS,
    ELEMENTS,
    FREE_FORM,
    LEAST,
    ONLY_FOR,
    TEXTS,
)


def load_config(path=None, overrides=()):
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
    tree = _copy(DEFAULTS)
    if path is not None:
        for origin, content in config_contents(path):
            _merge(tree, content, prefix="", origin=origin)
    if len(overrides) % 2:
        raise ValueError(
            f"Options come in pairs KEY VALUE, but got {len(overrides)} words: {list(overrides)}."
        )
    for key, text in zip(overrides[::2], overrides[1::2], strict=True):
        content = text if key in TEXTS else _literal(text)
        for part in reversed(key.split(".")):
            content = {part: content}
        _merge(tree, content, prefix="", origin="command line")
    return _frozen(tree, origin="command line" if path is None else str(path))


def config_of(tree, origin="saved configuration"):
    """The configuration of nested dicts, such as a checkpoint carries.

    Args:
        tree: As :func:`plain` gives it; keys it lacks take their defaults.
        origin: Where it comes from, for errors.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: For a value of the wrong type.
    """
    return merged({}, (tree,), origin)


def merged(tree, parts, origin):
    """The configuration of nested dicts, one on top of the other.

    Args:
        tree: The lowest.
        parts: Those on top of it, in order.
        origin: Where these come from, for errors.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: For a value of the wrong type.
    """
    complete = _copy(DEFAULTS)
    _merge(complete, tree, prefix="", origin="saved configuration")
    for part in parts:
        _merge(complete, part, prefix="", origin=origin)
    return _frozen(complete, origin)


def plain(config):
    """The configuration as nested dicts of plain Python values."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items()}
    return list(config) if isinstance(config, (list, tuple)) else config


def check_options(key, options, function, reserved=()):
    """Checks a free-form part of a configuration against what it is handed to.

    Args:
        key: The part's name, for the error, such as ``model.options``.
        options: The keyword arguments it holds.
        function: The builder or class that takes them.
        reserved: Arguments of the function that are set elsewhere.

    Raises:
        KeyError: If the function has no such argument; lists the allowed ones.
    """
    allowed = [name for name in inspect.signature(function).parameters if name not in reserved]
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise KeyError(f"{key} has no {unknown}: {function.__name__} takes {sorted(allowed)}.")


def _merge(tree, content, prefix, origin):
    if not isinstance(content, dict):
        raise ValueError(f"{origin}: expected `key: value` lines, but got {content!r:.80}.")
    for name, value in content.items():
        key = f"{prefix}{name}"
        if name not in tree:
            near = difflib.get_close_matches(str(name), tree, n=3, cutoff=0.4) or sorted(tree)
            where = prefix[:-1] or "the configuration"
            raise KeyError(f"{origin}: {key} does not exist; {where} has {near}.")
        if key in FREE_FORM:
            if not isinstance(value, dict):
                raise ValueError(
                    f"{origin}: {key} must hold `name: value` lines, got {value!r:.80}."
                )
            tree[name] = _joined(tree[name], value)
        elif isinstance(tree[name], dict):
            if not isinstance(value, dict):
                raise ValueError(
                    f"{origin}: {key} holds keys {sorted(tree[name])}, got {value!r:.80}."
                )
            _merge(tree[name], value, f"{key}.", origin)
        else:
            tree[name] = _coerce(key, value, tree[name], origin)


def _coerce(key, value, default, origin):
    """Brings a value to the type of its default where that loses nothing."""
    if key in CHOICES:
        if not any(value is choice or value == choice for choice in CHOICES[key]):
            raise ValueError(
                f"{origin}: {key} is {value!r:.80}, but must be one of {list(CHOICES[key])}."
            )
        return value
    if key == "model.pretrained" and isinstance(value, (bool, str)):
        return value
    if key == "phases":
        return _phases(value, default, origin)
    if isinstance(default, list):
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        kind = ELEMENTS.get(key, str)
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


def _phases(value, before, origin):
    """A list of phases, a name alone standing for one there is; or, by their names, changes."""
    known = {phase.get("name"): phase for phase in before}
    named = value if isinstance(value, dict) else _names_alone(value, origin)
    unknown = sorted(set(named) - set(known), key=str)
    if unknown:
        raise KeyError(f"{origin}: there are no phases {unknown}, but {list(known)}.")
    if isinstance(value, dict):
        return [_joined(phase, value.get(name, {})) for name, phase in known.items()]
    return [known[part] if isinstance(part, str) else part for part in value]


def _names_alone(value, origin):
    if not isinstance(value, list) or not all(isinstance(part, (dict, str)) for part in value):
        raise ValueError(f"{origin}: phases is {value!r:.80}, but must be a list of named parts.")
    return [part for part in value if isinstance(part, str)]


def _frozen(tree, origin):
    try:
        _check(tree)
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None
    config = CfgNode(tree)
    config.freeze()
    return config


def _check(tree):
    """Refuses keys that the chosen engine or task would silently ignore."""
    engine = tree["engine"]
    for other, keys in ONLY_FOR.items():
        if other == engine:
            continue
        for key in keys:
            section, name = key.split(".")
            if tree[section][name] != DEFAULTS[section][name]:
                raise ValueError(
                    f"{key} is read by engine {other!r} only, but engine is {engine!r}: "
                    f"leave it at its default {DEFAULTS[section][name]!r}."
                )
    if tree["task"] == "train" and not tree["phases"]:
        for name, default in DEFAULTS["completion"].items():
            if tree["completion"][name] != default:
                raise ValueError(
                    f"completion.{name} is read by tasks 'score', 'train_completion' and 'copy', "
                    f"but task is 'train': leave it at its default {default!r}."
                )
    for key, least in LEAST.items():
        section, name = key.split(".")
        values = tree[section][name]
        if any(value < least for value in (values if isinstance(values, list) else [values])):
            raise ValueError(f"{key} is {values!r}, but must be at least {least}.")
    metric = tree["test"]["dist_metric"]
    if engine == "torchreid" and metric not in ("cosine", "euclidean"):
        raise ValueError(
            f"test.dist_metric is {metric!r}, but engine 'torchreid' has 'cosine' and 'euclidean'."
        )
    if tree["test"]["eval_freq"] == 0:
        raise ValueError("test.eval_freq is 0, but must be a number of epochs, or -1 for the end.")
    for name in ("norm_mean", "norm_std"):
        if len(tree["data"][name]) != 3:
            raise ValueError(f"data.{name} is {tree['data'][name]!r}, but has three channels.")
    unknown = set(tree["data"]["supervision"]) - {"keypoints", "foreground"}
    if unknown:
        raise ValueError(
            f"data.supervision holds {sorted(unknown)}, but may hold 'keypoints' and 'foreground'."
        )


def _joined(options, more):
    """Free-form options with others on top, key by key at every level."""
    joined = dict(options)
    for name, value in more.items():
        nested = isinstance(value, dict) and isinstance(joined.get(name), dict)
        joined[name] = _joined(joined[name], value) if nested else value
    return joined


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _copy(tree):
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return list(tree) if isinstance(tree, list) else tree
