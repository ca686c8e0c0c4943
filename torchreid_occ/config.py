"""Configuration: torchreid's key names, ours beside them, YAML files that build on one another.

torchreid ships its defaults only inside a script, so they are restated here under the same names.
A value is looked up in this order: ``KEY VALUE`` on the command line, the file, its ``_BASE_``
files, the defaults below.
"""

import ast
import difflib
import inspect
from pathlib import Path

import yaml
from yacs.config import CfgNode

_DEFAULTS = {
    # 'clip' is our engine; 'torchreid' runs torchreid's data manager, model and engine as they are.
    "engine": "clip",
    "use_gpu": True,
    "model": {
        "name": "rfcnet",
        "pretrained": "auto",  # True, False, or 'auto': ImageNet weights if they can be had
        "load_weights": "",
        "options": {},  # keyword arguments of the model's builder
    },
    "data": {
        "root": "reid-data",
        "sources": ["occwalk_tiny"],
        "targets": [],  # the sources when empty
        "options": {},  # {dataset name: keyword arguments of its class}
        "workers": 2,
        "split_id": 0,
        "height": 256,
        "width": 128,
        "combineall": False,
        "transforms": ["random_flip"],
        "norm_mean": [0.485, 0.456, 0.406],
        "norm_std": [0.229, 0.224, 0.225],
        "save_dir": "log",
        "supervision": [],  # what training reads beside the frames: 'keypoints', 'foreground'
        "keypoints": "",  # JSON in the released format, for datasets that bring none
        "foreground": "",  # folder in the released format, likewise
        "verify": False,  # decode every image once before training
    },
    "sampler": {
        "train_sampler": "RandomIdentitySampler",
        "num_instances": 4,
        "num_cams": 1,
        "num_datasets": 1,
    },
    "video": {
        "seq_len": 4,
        "train_sampling": "strided",  # 'consecutive', 'strided', 'random' or 'evenly'
        "stride": 8,
        "test_clip_len": 64,  # frames a test clip; 0 takes the whole tracklet as one clip
        "sample_method": "evenly",  # engine 'torchreid' only
        "pooling_method": "avg",  # engine 'torchreid' only
    },
    "train": {
        "optim": "adam",
        "lr": 0.0003,
        "weight_decay": 0.0005,
        "max_epoch": 150,
        "batch_size": 32,
        "fixbase_epoch": 0,
        "open_layers": ["classifier"],
        "staged_lr": False,
        "new_layers": ["classifier"],
        "base_lr_mult": 0.1,
        "lr_scheduler": "single_step",
        "stepsize": [40],
        "gamma": 0.1,
        "print_freq": 20,
        "checkpoint_freq": 10,
        "seed": 1,
    },
    "sgd": {"momentum": 0.9, "dampening": 0.0, "nesterov": False},
    "rmsprop": {"alpha": 0.99},
    "adam": {"beta1": 0.9, "beta2": 0.999},
    "loss": {"name": "identity", "options": {}},  # options: keyword arguments of the criterion
    "test": {
        "batch_size": 4,  # clips of full length whose frames make one batch
        "dist_metric": "cosine",
        "normalize_feature": False,
        "ranks": [1, 5, 10, 20],
        "rerank": False,
        "flip": False,  # average the features of the frames and of their mirror images
        "evaluate": False,  # test only
        "eval_freq": 10,  # epochs between validations
        "start_eval": 0,
        "select": "val",  # 'val': best mAP on held-out training identities; 'last': no hold-out
        "val_identities": 0,  # 0: a hundred of five hundred or more, else a tenth
    },
}

_FREE_FORM = ("model.options", "loss.options", "data.options")
_CHOICES = {
    "engine": ("clip", "torchreid"),
    "model.pretrained": ("auto", True, False),
    "test.select": ("val", "last"),
    "test.dist_metric": ("cosine", "euclidean"),
    "video.train_sampling": ("consecutive", "strided", "random", "evenly"),
}
_ONLY_FOR = {
    "torchreid": ("video.sample_method", "video.pooling_method"),
    "clip": (
        "data.supervision",
        "data.keypoints",
        "data.foreground",
        "data.options",
        "model.options",
        "video.train_sampling",
        "video.stride",
        "video.test_clip_len",
        "train.checkpoint_freq",
        "test.flip",
        "test.select",
        "test.val_identities",
    ),
}


def load_config(path=None, overrides=()):
    """Resolves a configuration.

    Args:
        path: YAML file, which may name files it builds on in ``_BASE_``; None for the defaults.
        overrides: ``[key, value, key, value, ...]`` as on a command line; values are literals.

    Returns:
        A frozen yacs ``CfgNode``.

    Raises:
        KeyError: For a key that does not exist; names the nearest ones that do.
        ValueError: For a value of the wrong type or outside its choices; names the key and file.
        FileNotFoundError: For a missing file.
    """
    tree = _copy(_DEFAULTS)
    if path is not None:
        for file, content in _read_chain(Path(path), ()):
            _merge(tree, content, prefix="", origin=str(file))
    if len(overrides) % 2:
        raise ValueError(
            f"Options come in pairs KEY VALUE, but got {len(overrides)} words: {list(overrides)}."
        )
    for key, text in zip(overrides[::2], overrides[1::2], strict=True):
        content = _literal(text)
        for part in reversed(key.split(".")):
            content = {part: content}
        _merge(tree, content, prefix="", origin="command line")
    return _frozen(tree)


def config_of(tree):
    """The configuration of nested dicts, such as a checkpoint carries.

    Args:
        tree: As :func:`plain` gives it; keys it lacks take their defaults.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: For a value of the wrong type.
    """
    complete = _copy(_DEFAULTS)
    _merge(complete, tree, prefix="", origin="saved configuration")
    return _frozen(complete)


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


def _read_chain(path, above):
    """Yields (file, content), the files a file builds on before the file itself."""
    path = path.resolve()
    if path in above:
        chain = " -> ".join(str(file) for file in (*above, path))
        raise ValueError(f"_BASE_ files form a circle: {chain}.")
    if not path.is_file():
        asked = f", which {above[-1]} names in _BASE_" if above else ""
        raise FileNotFoundError(f"There is no configuration file {path}{asked}.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold `key: value` lines, but holds {content!r}.")
    bases = content.pop("_BASE_", [])
    for base in [bases] if isinstance(bases, str) else bases:
        yield from _read_chain(path.parent / base, (*above, path))
    yield path, content


def _merge(tree, content, prefix, origin):
    for name, value in content.items():
        key = f"{prefix}{name}"
        if name not in tree:
            near = difflib.get_close_matches(str(name), tree, n=3, cutoff=0.4) or sorted(tree)
            where = prefix[:-1] or "the configuration"
            raise KeyError(f"{origin}: {key} does not exist; {where} has {near}.")
        if key in _FREE_FORM:
            if not isinstance(value, dict):
                raise ValueError(f"{origin}: {key} must hold `name: value` lines, got {value!r}.")
            tree[name] = {**tree[name], **value}
        elif isinstance(tree[name], dict):
            if not isinstance(value, dict):
                raise ValueError(f"{origin}: {key} holds keys {sorted(tree[name])}, got {value!r}.")
            _merge(tree[name], value, f"{key}.", origin)
        else:
            tree[name] = _coerce(key, value, tree[name], origin)


def _coerce(key, value, default, origin):
    """Brings a value to the type of its default where that loses nothing."""
    if key in _CHOICES:
        if not any(value is choice or value == choice for choice in _CHOICES[key]):
            raise ValueError(
                f"{origin}: {key} is {value!r}, but must be one of {list(_CHOICES[key])}."
            )
        return value
    if isinstance(default, list):
        return list(value) if isinstance(value, (list, tuple)) else [value]
    if isinstance(default, float) and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 3e-4 as text, and 1 as an integer
        except (TypeError, ValueError):
            pass
    elif type(value) is type(default):
        return value
    raise ValueError(
        f"{origin}: {key} is {value!r}, but must be of type {type(default).__name__} "
        f"like its default {default!r}."
    )


def _frozen(tree):
    _check(tree)
    config = CfgNode(tree)
    config.freeze()
    return config


def _check(tree):
    """Refuses keys that the chosen engine would silently ignore."""
    engine = tree["engine"]
    for other, keys in _ONLY_FOR.items():
        if other == engine:
            continue
        for key in keys:
            section, name = key.split(".")
            if tree[section][name] != _DEFAULTS[section][name]:
                raise ValueError(
                    f"{key} is read by engine {other!r} only, but engine is {engine!r}: "
                    f"leave it at its default {_DEFAULTS[section][name]!r}."
                )
    unknown = set(tree["data"]["supervision"]) - {"keypoints", "foreground"}
    if unknown:
        raise ValueError(
            f"data.supervision holds {sorted(unknown)}, but may hold 'keypoints' and 'foreground'."
        )


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _copy(tree):
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return list(tree) if isinstance(tree, list) else tree
