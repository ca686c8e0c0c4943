"""Features of made-up people: a centre for each, and noise for each tracklet."""

import numpy as np

from torchreid_occ.calibration import LabelledFeatures


def made_up_people(seed, people, cameras=3, dim=16, noise=0.8, start=0):
    """One tracklet of each person in each camera."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, dim))
    pids = np.repeat(np.arange(people), cameras)
    features = centres[pids] + noise * rng.normal(size=(len(pids), dim))
    return LabelledFeatures(
        features.astype(np.float32), start + pids, np.tile(np.arange(cameras), people)
    )


def query_and_gallery(labelled):
    """Camera 0 as queries, the other cameras as the gallery."""
    chosen = labelled.camids == 0
    parts = [[part[mask] for part in labelled] for mask in (chosen, ~chosen)]
    return tuple(LabelledFeatures(*part) for part in parts)
