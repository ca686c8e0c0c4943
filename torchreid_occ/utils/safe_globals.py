"""What other people's checkpoints hold beside tensors, rebuilt without numpy's own unpickling.

torchreid saves its rank-1 as a numpy scalar, others save arrays, options or paths. numpy's own
functions take the flags of a data type from the pickle, which can make them read foreign memory;
those below accept plain data types only.
"""

import argparse
import datetime
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_PLAIN_DTYPE = re.compile(r"[?biufcSUO]\d*")


class _Dtype:
    """Stands for ``numpy.dtype`` in a pickle: a type of numbers, texts, bytes or objects."""

    def __init__(self, code: str | bytes, *_flags: object) -> None:
        name = code.decode("ascii") if isinstance(code, bytes) else str(code)
        if not _PLAIN_DTYPE.fullmatch(name):
            raise ValueError(f"it holds values of numpy's type {name!r}")
        self.dtype: np.dtype[Any] = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder("<" if order == "<" else ">")


class _Array:
    """Stands for ``numpy.ndarray`` in a pickle until `plain_arrays` replaces it by its value."""

    value: npt.NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, kind, fortran, data = state[-4:]
        size = [int(extent) for extent in shape]
        if kind.dtype.hasobject:
            self.value = np.empty(len(data), object)
            for place, item in enumerate(data):
                self.value[place] = item
        else:
            self.value = np.frombuffer(_as_bytes(data), kind.dtype).copy()
        self.value = self.value.reshape(size, order="F" if fortran else "C")


def _array(*_arguments: object) -> _Array:
    return _Array()


def _scalar(kind: _Dtype, data: str | bytes) -> Any:
    if kind.dtype.hasobject:
        raise ValueError("it holds a numpy scalar of objects")
    return np.frombuffer(_as_bytes(data), kind.dtype)[0]


def _dict(*_arguments: object) -> dict[Any, Any]:
    """Stands for dicts with a default, whose function a pickle may not name."""
    return {}


def _no_bytes() -> bytes:
    """Stands for ``bytes``, which protocol 2 calls for the empty ones only."""
    return b""


def _as_bytes(data: str | bytes) -> bytes:
    return data.encode("latin1") if isinstance(data, str) else data


def _named(value: Any, *names: str) -> list[tuple[Any, str]]:
    return [(value, name) for name in names]


_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")  # of numpy 1 and of numpy 2
# What safe loading may call, by the name that pickles have for it.
HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *_named(_scalar, *(f"{core}.scalar" for core in _CORES)),
    *_named(_array, *(f"{core}._reconstruct" for core in _CORES)),
    *_named(_Array, "numpy.ndarray"),
    *_named(_Dtype, "numpy.dtype"),
    *_named(_dict, "collections.defaultdict"),
    *_named(_no_bytes, "builtins.bytes", "__builtin__.bytes"),
    *(
        named
        for kind in (bool, dict, float, int, list, str, tuple)
        for named in _named(kind, f"builtins.{kind.__name__}", f"__builtin__.{kind.__name__}")
    ),
    argparse.Namespace,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    *(
        named
        for module in ("pathlib", "pathlib._local")  # the latter in Python 3.13 alone
        for named in (
            *_named(pathlib.PurePosixPath, f"{module}.PosixPath", f"{module}.PurePosixPath"),
            *_named(pathlib.PureWindowsPath, f"{module}.WindowsPath", f"{module}.PureWindowsPath"),
        )
    ),
]


def plain_arrays(content: Any) -> Any:
    """Replaces what stands for arrays by numpy arrays, in place where the container allows it.

    Args:
        content: What safe loading returned.
    """
    if isinstance(content, _Array):
        return content.value
    if isinstance(content, _Dtype):
        return content.dtype
    if isinstance(content, dict):
        for key, value in content.items():
            content[key] = plain_arrays(value)
    elif isinstance(content, list):
        content[:] = map(plain_arrays, content)
    elif type(content) is tuple:
        return tuple(map(plain_arrays, content))
    elif isinstance(content, argparse.Namespace):
        plain_arrays(vars(content))
    return content
