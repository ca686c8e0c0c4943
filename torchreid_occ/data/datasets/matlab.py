"""MATLAB files of whole numbers, in which some datasets list their tracklets and splits."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath

# Runs in a subprocess because scipy.io.loadmat can segfault on damaged files.
_PARSER = """
import sys
import numpy, scipy.io
matrix = scipy.io.loadmat(sys.argv[1], appendmat=False)[sys.argv[2]]
numpy.save(sys.stdout.buffer, numpy.asarray(matrix, numpy.float64))
"""


def read_matrix(path: StrPath, key: str) -> npt.NDArray[np.int64]:
    """Reads a matrix of whole numbers.

    Args:
        path: The .mat file.
        key: Name of the matrix in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file can't be read or holds no such matrix.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no file {path}.")
    done = subprocess.run(
        [sys.executable, "-c", _PARSER, os.fspath(path), key],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        fault = message or f"the parser ended with status {done.returncode}"
    else:
        numbers = np.load(io.BytesIO(done.stdout))
        if np.isfinite(numbers).all():
            return numbers.astype(np.int64)
        fault = "some of its numbers are not finite"
    raise ValueError(f"{path} is no MATLAB file with the matrix {key}: {fault}.")
