"""The calibration beside a run's checkpoint, for its page."""

from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.calibration import calibration_path, load_calibration
from torchreid_occ.report.plots import reliability_plot
from torchreid_occ.utils.files import file_hash


def calibration_of(checkpoint: StrPath) -> dict[str, Any] | None:
    """Returns what the calibration beside a checkpoint is about, with a plot of what was measured.

    Args:
        checkpoint: The checkpoint.

    Raises:
        ValueError: If the calibration is damaged or of another checkpoint.
    """
    path = calibration_path(checkpoint)
    if not path.is_file():
        return None
    calibration = load_calibration(path)
    calibration.check_model(file_hash(checkpoint))
    measured = calibration.about["measured"]
    diagrams = {} if measured is None else {
        "best match of a search": measured["best"],
        "all matches of an answer": measured["answers"],
    }  # fmt: skip
    return {
        **calibration.about,
        "plot": reliability_plot(diagrams) if diagrams else None,
        "errors": {
            name: diagram["expected_calibration_error"] for name, diagram in diagrams.items()
        },
    }
