"""Probabilities and verdicts for what a search found, by a calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.calibration import (
    Calibration,
    calibration_bytes,
    calibration_path,
    load_calibration,
    read_calibration,
)
from torchreid_occ.calibration.space import CameraMeans, Floats
from torchreid_occ.search.documents import CALIBRATION
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import Judgement, Match

FALSE_MATCHES, MISSED_MATCHES = 0.01, 0.05
_FOR_MEANS = 2000  # tracklets of a gallery that the means of its cameras are taken from


class Judge:
    """Judges the matches of a gallery's searches.

    Args:
        gallery: The gallery.
        calibration: Calibration of the gallery's checkpoint.
        false_matches: The promise of 'same', see `Calibration.same_above`. If None, 0.01, or the
            lowest rate that the calibration can promise.
        missed_matches: The promise of 'different', see `Calibration.different_below`.

    Raises:
        ValueError: If the calibration is of another checkpoint, or a rate cannot be promised.
    """

    def __init__(
        self,
        gallery: Gallery,
        calibration: Calibration,
        false_matches: float | None = None,
        missed_matches: float = MISSED_MATCHES,
    ) -> None:
        calibration.check_model(gallery.checkpoint_hash)
        if false_matches is None:
            false_matches = max(FALSE_MATCHES, calibration.lowest_rate)
        calibration.same_above(false_matches, len(gallery))
        calibration.different_below(missed_matches)
        self._gallery, self._calibration = gallery, calibration
        self._means = _means_of(gallery, calibration)
        self.promises = false_matches, missed_matches

    def __call__(
        self,
        feature: npt.NDArray[np.floating[Any]],
        matches: Sequence[Match],
        camera: int | None = None,
    ) -> list[Match]:
        """Returns the matches with a judgement of each that is still in the gallery.

        Args:
            feature: Feature of the query. Shape: ``(D,)``.
            matches: The matches of a search by it.
            camera: Camera that saw the query, if known.
        """
        features = self._gallery.features_of([match.id for match in matches])
        kept = [match for match in matches if match.id in features]
        there = [match.id for match in kept]
        if not there:
            return list(matches)
        size = len(self._gallery)
        own = self._adapted([np.asarray(feature)], [camera])
        others = self._adapted(
            [features[number] for number in there], [match.tracklet.camera for match in kept]
        )
        scores = self._calibration.scores(own, others)[0]
        verdicts = self._calibration.verdicts(scores, size, *self.promises)
        probabilities = self._calibration.probabilities_of_search(scores, size).tolist()
        judged = {
            number: Judgement(probability, verdict, *self.promises)
            for number, probability, verdict in zip(there, probabilities, verdicts, strict=True)
        }
        return [match._replace(judged=judged.get(match.id)) for match in matches]

    def _adapted(self, features: Sequence[Floats], cameras: Sequence[int | None]) -> Floats:
        return self._calibration.adapted(np.stack(features), numbers_of(cameras), self._means)


def numbers_of(cameras: Sequence[int | None]) -> npt.NDArray[np.int64]:
    """Returns cameras as numbers, -1 where unknown.

    Args:
        cameras: The cameras.
    """
    return np.array([-1 if camera is None else camera for camera in cameras], np.int64)


def _means_of(gallery: Gallery, calibration: Calibration) -> CameraMeans:
    """Returns the means of a gallery and its cameras, of tracklets evenly spread over it."""
    ids = gallery.ids()
    chosen = ids[:: max(1, -(-len(ids) // _FOR_MEANS))].tolist()
    tracklets, features = gallery.get(chosen), gallery.features_of(chosen)
    both = [number for number in chosen if number in tracklets and number in features]
    if not both:
        return calibration.means_of(np.zeros((0, calibration.feature_dim)), numbers_of([]))
    cameras = numbers_of([tracklets[number].camera for number in both])
    return calibration.means_of(np.stack([features[number] for number in both]), cameras)


def carry_calibration(gallery: Gallery, checkpoint: StrPath) -> bool:
    """Copies the calibration beside a checkpoint into a gallery, if there is one.

    One that the gallery carries already stays as it is: erasures may have shortened its cohort.

    Args:
        gallery: The gallery.
        checkpoint: The gallery's checkpoint.

    Raises:
        ValueError: If the calibration is damaged or of another checkpoint.
    """
    path = calibration_path(checkpoint)
    if not path.is_file():
        return False
    calibration = load_calibration(path)
    calibration.check_model(gallery.checkpoint_hash)
    with gallery.documents.locked():
        carried = _carried(gallery)
        if carried is None or carried.differs_from(calibration):
            gallery.documents.write(CALIBRATION, calibration_bytes(calibration))
    return True


def find_calibration(gallery: Gallery, checkpoint: StrPath | None = None) -> Calibration | None:
    """Returns the calibration that a gallery carries, or that beside its checkpoint, or None.

    Args:
        gallery: The gallery.
        checkpoint: Its checkpoint.

    Raises:
        ValueError: If the calibration is damaged or of another checkpoint.
    """
    calibration = _carried(gallery)
    if calibration is None and checkpoint is not None and calibration_path(checkpoint).is_file():
        calibration = load_calibration(calibration_path(checkpoint))
    if calibration is not None:
        calibration.check_model(gallery.checkpoint_hash)
    return calibration


def _carried(gallery: Gallery) -> Calibration | None:
    stored = gallery.documents.read(CALIBRATION)
    place = gallery.documents.place_of(CALIBRATION)
    return None if stored is None else read_calibration(stored, place)


def judge_of(
    gallery: Gallery, checkpoint: StrPath | None = None, false_matches: float | None = None
) -> Judge | None:
    """Returns the judge of a gallery's searches; None if there is no calibration and no promise.

    Args:
        gallery: The gallery.
        checkpoint: Its checkpoint, whose calibration is used if the gallery carries none.
        false_matches: See `Judge`.

    Raises:
        ValueError: If a rate is named, but there is no calibration; or as of `Judge`.
    """
    calibration = find_calibration(gallery, checkpoint)
    if calibration is not None:
        return Judge(gallery, calibration, false_matches)
    if false_matches is not None:
        raise ValueError(
            f"A rate of false matches was named, but neither {gallery.place} nor its checkpoint "
            "has a calibration: `torchreid-occ calibrate` makes one."
        )
    return None
