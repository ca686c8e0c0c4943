import numpy as np
import pytest
from matlab_files import matlab_73, parsed_here
from scipy.io import savemat

from torchreid_occ.data.datasets import matlab
from torchreid_occ.data.datasets.matlab import MatrixName, read_matrices, read_matrix


@pytest.fixture(autouse=True, scope="module")
def _matlab_files_are_parsed_here():
    """Here they are parsed as users' files are, in a subprocess, but for the refused ones."""


def test_whole_numbers_are_read(tmp_path):
    savemat(tmp_path / "a.mat", {"rows": np.array([[1.0, 2.0], [3.0, 4.0]])})
    rows = read_matrix(tmp_path / "a.mat", "rows")
    assert (rows.tolist(), rows.dtype) == ([[1, 2], [3, 4]], int)


@pytest.mark.parametrize("value", [np.array([np.nan]), np.array(["x", 1], object), "text"])
def test_other_matrices_are_refused(tmp_path, value):
    savemat(tmp_path / "a.mat", {"rows": value})
    refused = pytest.raises(ValueError, match=r"a\.mat is no MATLAB file with the matrix rows")
    with parsed_here(), refused:
        read_matrix(tmp_path / "a.mat", "rows")


def test_damaged_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0" + bytes(200))
    with pytest.raises(ValueError, match=r"a\.mat is no MATLAB file with the matrix rows"):
        read_matrix(tmp_path / "a.mat", "rows")
    with pytest.raises(FileNotFoundError, match="absent"):
        read_matrix(tmp_path / "absent.mat", "rows")


def test_files_of_version_7_3_are_read_with_rows_as_rows(tmp_path):
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    (tmp_path / "a.mat").write_bytes(matlab_73({"rows": rows}))
    assert read_matrix(tmp_path / "a.mat", "rows").tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match=r"a\.mat is no MATLAB file with the matrix query"):
        read_matrix(tmp_path / "a.mat", "query")


@pytest.mark.parametrize(
    ("kind", "attributes"), [("char", {}), ("cell", {}), ("double", {"MATLAB_empty": 1})]
)
def test_what_is_no_matrix_in_version_7_3_is_refused(tmp_path, kind, attributes):
    text = {"rows": np.array([[65, 66]], np.uint16)}
    (tmp_path / "a.mat").write_bytes(matlab_73(text, kind, **attributes))
    refused = pytest.raises(ValueError, match=f"TypeError: rows is of class {kind}")
    with parsed_here(), refused:
        read_matrix(tmp_path / "a.mat", "rows")


def test_several_matrices_are_read_at_once_and_the_one_at_fault_is_named(tmp_path):
    savemat(tmp_path / "a.mat", {"rows": np.array([[1, 2]], np.uint16), "text": "x"})
    (tmp_path / "b.mat").write_bytes(matlab_73({"rows": np.array([[3], [4]], np.int32)}, "int32"))
    names = [MatrixName(tmp_path / file, "rows") for file in ("a.mat", "b.mat")]
    assert [rows.tolist() for rows in read_matrices(names)] == [[[1, 2]], [[3], [4]]]
    names.insert(1, MatrixName(tmp_path / "a.mat", "text"))
    with pytest.raises(ValueError, match=r"a\.mat is no MATLAB file with the matrix text: Val"):
        read_matrices(names)


def test_a_parser_that_dies_takes_nobody_with_it(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"rows": np.ones(2)})
    monkeypatch.setattr(matlab, "_PARSER", "import os\nos.abort()")
    with pytest.raises(ValueError, match=r"a\.mat is no .* the parser ended with status -6"):
        read_matrix(tmp_path / "a.mat", "rows")
