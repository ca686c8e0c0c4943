"""MATLAB files of version 7.3, which scipy cannot write; and parsing without a subprocess."""

import io
import subprocess
import sys
import traceback
import warnings
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import h5py
import numpy as np

from torchreid_occ.data.datasets import matlab


@contextmanager
def parsed_here():
    """Parses MATLAB files in this process: those that tests write do not crash it."""
    with patch.object(matlab, "subprocess", SimpleNamespace(run=_run_here)):
        yield


def _run_here(command, **_):
    code, *words = command[2:]
    output, errors = io.BytesIO(), ""
    output_stream = patch.object(sys, "stdout", SimpleNamespace(buffer=output))
    with output_stream, patch.object(sys, "argv", ["-c", *words]), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # scipy leaves files of version 7.3 open
        try:
            exec(code, {})
        except Exception:
            errors = traceback.format_exc()
    return subprocess.CompletedProcess(command, bool(errors), output.getvalue(), errors.encode())


def matlab_73(matrices, kind="double", **attributes):
    """The content of a file: HDF5 behind a header, rows of a matrix as HDF5's columns."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        for name, values in matrices.items():
            file.create_dataset(name, data=np.atleast_2d(values).T)
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
            file[name].attrs.update(attributes)
    header = b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM"
    return header + buffer.getvalue()[len(header) :]
