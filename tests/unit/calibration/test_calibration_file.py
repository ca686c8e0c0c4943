import dataclasses
import json

import numpy as np
import pytest
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import (
    calibration_path,
    fit_calibration,
    load_calibration,
    save_calibration,
)


@pytest.fixture(scope="module")
def fitted():
    query, gallery = query_and_gallery(made_up_people(2, 40))
    return fit_calibration(query, gallery, made_up_people(1, 30), "abc", {"queries": 40})


def test_what_is_loaded_is_what_was_saved(fitted, tmp_path):
    path = calibration_path(tmp_path / "model.pth.tar-3")
    assert path.name == "model.pth.tar-3.calibration.npz"
    save_calibration(fitted, path)
    found = load_calibration(path)
    assert found.checkpoint_hash == "abc"
    assert found.about == {"queries": 40}
    one, other = made_up_people(3, 5).features, made_up_people(4, 5).features
    np.testing.assert_allclose(found.scores(one, other), fitted.scores(one, other), atol=0.05)
    for field in dataclasses.fields(fitted)[3:]:
        np.testing.assert_array_equal(getattr(found, field.name), getattr(fitted, field.name))


def test_another_checkpoint_is_refused(fitted):
    fitted.check_model("abc")
    with pytest.raises(ValueError, match=r"of checkpoint abc, but the features are of xyz"):
        fitted.check_model("xyz")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no calibration"):
        load_calibration(tmp_path / "none.npz")


@pytest.mark.parametrize("length", [0, 10, 2000])
def test_damaged_files(fitted, tmp_path, length):
    path = tmp_path / "cut.npz"
    save_calibration(fitted, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"cut\.npz is damaged or no calibration"):
        load_calibration(path)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": np.zeros((2, 3))},
        {"maxima": np.zeros((3, 0))},
        {"weights": np.full(6, np.nan)},
        {"cohort": np.array([{}], dtype=object)},  # would need unpickling
    ],
)
def test_arrays_that_do_not_fit_are_refused(fitted, tmp_path, change):
    path = tmp_path / "other.npz"
    save_calibration(fitted, path)
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, **change})
    with pytest.raises(ValueError, match="damaged or no calibration"):
        load_calibration(path)


def test_a_later_format_is_refused(fitted, tmp_path):
    path = tmp_path / "later.npz"
    save_calibration(fitted, path)
    with np.load(path) as stored:
        arrays = dict(stored)
    facts = {**json.loads(str(arrays["facts"])), "format": 99}
    np.savez(path, **{**arrays, "facts": np.array(json.dumps(facts))})
    with pytest.raises(ValueError, match="format is 99"):
        load_calibration(path)
