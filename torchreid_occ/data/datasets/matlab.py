"""MATLAB files of whole numbers, which some datasets list their tracklets and splits in."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat


def read_matrix(path: str | Path, key: str) -> np.ndarray:
    """Reads a matrix of whole numbers.

    Args:
        path: The .mat file.
        key: Name of the matrix in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file can't be read or holds no such matrix.
    """
    try:
        with Path(path).open("rb") as file:
            numbers = np.asarray(loadmat(file)[key], np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("some of its numbers are not finite")
        return numbers.astype(int)
    except FileNotFoundError:
        raise
    except Exception as error:  # scipy's parser raises KeyError, TypeError, zlib.error, ...
        raise ValueError(f"{path} is no MATLAB file with the matrix {key}: {error}.") from error
