"""MATLAB files of version 7.3, which scipy cannot write."""

import io

import h5py
import numpy as np


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
