"""MATLAB files of whole numbers, in which some datasets list their tracklets and splits."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath

# Runs in a subprocess because scipy.io.loadmat and HDF5 can segfault on damaged files. Writes the
# matrices in the order asked for, so that one that fails is the first that is missing.
_PARSER = """
import sys
import numpy, scipy.io

def read_hdf5(path, key):
    import h5py
    with h5py.File(path) as file:
        matrix = file[key]
        kind = matrix.attrs.get("MATLAB_class", b"double").decode()
        if "MATLAB_empty" in matrix.attrs or kind.rstrip("0123456789") not in NUMERIC:
            raise TypeError(f"{key} is of class {kind}")
        return matrix[()].T  # MATLAB's columns are HDF5's rows

NUMERIC = "double", "single", "int", "uint"
for path, key in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        matrix = scipy.io.loadmat(path, appendmat=False, variable_names=[key])[key]
    except NotImplementedError:  # version 7.3
        matrix = read_hdf5(path, key)
    numpy.save(sys.stdout.buffer, numpy.asarray(matrix, numpy.float64))
    sys.stdout.buffer.flush()
"""


class MatrixName(NamedTuple):
    """A matrix in a MATLAB file.

    Attributes:
        path: The .mat file, of any version up to 7.3.
        key: Name of the matrix in it.
    """

    path: StrPath
    key: str


def read_matrix(path: StrPath, key: str) -> npt.NDArray[np.int64]:
    """Reads a matrix of whole numbers.

    Args:
        path: The .mat file, of any version up to 7.3.
        key: Name of the matrix in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file can't be read or holds no such matrix.
    """
    return read_matrices([MatrixName(path, key)])[0]


def read_matrices(names: Sequence[MatrixName]) -> list[npt.NDArray[np.int64]]:
    """Reads matrices of whole numbers in one subprocess, which is faster than one after another.

    Args:
        names: Which matrices.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file can't be read or lacks its matrix.
    """
    for path, _ in names:
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file {path}.")
    done = subprocess.run(
        [sys.executable, "-c", _PARSER, *(os.fspath(part) for name in names for part in name)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    stream = io.BytesIO(done.stdout)
    matrices: list[npt.NDArray[np.int64]] = []
    for path, key in names:
        if stream.tell() == len(done.stdout):
            message = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            fault = message or f"the parser ended with status {done.returncode}"
        else:
            numbers = np.load(stream)
            if np.isfinite(numbers).all():
                matrices.append(numbers.astype(np.int64))
                continue
            fault = "some of its numbers are not finite"
        raise ValueError(f"{path} is no MATLAB file with the matrix {key}: {fault}.")
    return matrices
