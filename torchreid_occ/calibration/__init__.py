"""Calibrated answers: which distance means the same person, and when nobody can tell."""

from torchreid_occ.calibration.calibration import Calibration
from torchreid_occ.calibration.fitting import LabelledFeatures, fit_calibration
from torchreid_occ.calibration.pipeline import calibrate
from torchreid_occ.calibration.storing import (
    calibration_bytes,
    calibration_path,
    load_calibration,
    read_calibration,
    save_calibration,
)

__all__ = [
    "Calibration",
    "LabelledFeatures",
    "calibrate",
    "calibration_bytes",
    "calibration_path",
    "fit_calibration",
    "load_calibration",
    "read_calibration",
    "save_calibration",
]
