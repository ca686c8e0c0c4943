import numpy as np
import pytest
from scipy.io import savemat

from torchreid_occ.data.datasets import matlab
from torchreid_occ.data.datasets.matlab import read_matrix


def test_whole_numbers_are_read(tmp_path):
    savemat(tmp_path / "a.mat", {"rows": np.array([[1.0, 2.0], [3.0, 4.0]])})
    rows = read_matrix(tmp_path / "a.mat", "rows")
    assert (rows.tolist(), rows.dtype) == ([[1, 2], [3, 4]], int)


@pytest.mark.parametrize("value", [np.array([np.nan]), np.array(["x", 1], object), "text"])
def test_other_matrices_are_refused(tmp_path, value):
    savemat(tmp_path / "a.mat", {"rows": value})
    with pytest.raises(ValueError, match=r"a\.mat is no MATLAB file with the matrix rows"):
        read_matrix(tmp_path / "a.mat", "rows")


def test_damaged_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0" + bytes(200))
    with pytest.raises(ValueError, match=r"a\.mat is no MATLAB file with the matrix rows"):
        read_matrix(tmp_path / "a.mat", "rows")
    with pytest.raises(FileNotFoundError, match="absent"):
        read_matrix(tmp_path / "absent.mat", "rows")


def test_a_parser_that_dies_takes_nobody_with_it(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"rows": np.ones(2)})
    monkeypatch.setattr(matlab, "_PARSER", "import os\nos.abort()")
    with pytest.raises(ValueError, match=r"a\.mat is no .* the parser ended with status -6"):
        read_matrix(tmp_path / "a.mat", "rows")
