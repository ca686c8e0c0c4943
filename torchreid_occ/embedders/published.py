"""torchreid's published weights by name, downloaded from its own links on first use.

Reference: `<https://kaiyangzhou.github.io/deep-person-reid/MODEL_ZOO>`_. Models that were trained
on DukeMTMC, which was withdrawn for privacy, are left out. torchreid publishes no hashes.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from torchreid_occ._torchreid import torchreid
from torchreid_occ.data.download import fetch
from torchreid_occ.embedders.provenance import Provenance
from torchreid_occ.models.frame_embedder import FrameEmbedder
from torchreid_occ.utils.checkpoint import weights_by_name
from torchreid_occ.utils.weights import WeightsUnavailable

LINK = "https://drive.google.com/uc?id={}"
SUFFIX = ".pth"
HEIGHT, WIDTH = 256, 128  # of the frames that all of them read
CLASSIFIER = "classifier."  # beginning of the names of the weights that features do not need


class Published(NamedTuple):
    """Published weights.

    Attributes:
        model: torchreid's name of the model.
        data: What they were trained on.
        file: Id of the file on Google Drive.
        rank1: Rank-1 in percent.
        mean_ap: mAP in percent.
        tested_on: What it was tested on.
    """

    model: str
    data: str
    file: str
    rank1: float
    mean_ap: float
    tested_on: str


_MARKET = "Market1501 (751 people)", "Market1501"
_MSMT = "MSMT17 (1,041 people)", "MSMT17"
_ALL_MSMT = "all of MSMT17 (4,101 people)", "Market1501, whose people and cameras it had not seen"
# By data: the model, the file's id, rank-1 and mAP.
_ROWS = {
    ("market1501", _MARKET): (
        ("resnet50", "1dUUZ4rHDWohmsQXCRe2C_HbYkzz94iBV", 87.9, 70.4),
        ("osnet_x1_0", "1vduhq5DpN2q1g4fYEZfPI17MJeh9qyrA", 94.2, 82.6),
        ("osnet_x0_75", "1ozRaDSQw_EQ8_93OUmjDbvLXw9TnfPer", 93.7, 81.2),
        ("osnet_x0_5", "1PLB9rgqrUM7blWrg4QlprCuPT7ILYGKT", 92.5, 79.8),
        ("osnet_x0_25", "1z1UghYvOTtjx7kEoRfmqSMu-z62J6MAj", 91.2, 75.0),
    ),
    ("msmt17", _MSMT): (
        ("resnet50", "1ep7RypVDOthCRIAqDnn4_N-UhkkFHJsj", 63.2, 33.9),
        ("osnet_x1_0", "112EMUfBPYeYg70w-syK6V6Mx8-Qb9Q1M", 74.9, 43.8),
        ("osnet_x0_75", "1QEGO6WnJ-BmUzVPd3q9NoaO_GsPNlmWc", 72.8, 41.4),
        ("osnet_x0_5", "1UT3AxIaDvS2PdxzZmbkLmjtiqq7AIKCv", 69.7, 37.5),
        ("osnet_x0_25", "1sSwXSUlj4_tHZequ_iZ8w_Jh0VaRQMqF", 61.4, 29.5),
    ),
    ("msmt17_combineall", _ALL_MSMT): (
        ("resnet50", "1yiBteqgIZoOeywE8AhGmEQl7FTVwrQmf", 46.3, 22.8),
        ("osnet_x1_0", "1IosIFlLiulGIjwW3H8uMRmx3MzPwf86x", 66.6, 37.5),
        ("osnet_x0_75", "1fhjSS_7SUGCioIf2SWXaRGPqIY9j7-uw", 63.6, 35.5),
        ("osnet_x0_5", "1DHgmb6XV4fwG3n-CnCM0zdL9nMsZ9_RF", 64.3, 34.9),
        ("osnet_x0_25", "1Kkx2zW89jq_NETu4u42CFZTMVD5Hwm6e", 59.9, 31.0),
        ("osnet_ibn_x1_0", "1q3Sj2ii34NlfxA4LvmHdWO_75NDRmECJ", 66.5, 37.2),
        ("osnet_ain_x1_0", "1SigwBE6mPdqiJMqhuIY4aqC7--5CsMal", 70.1, 43.3),
    ),
}
PUBLISHED = {
    f"{model}_{suffix}": Published(model, data, file, rank1, mean_ap, tested_on)
    for (suffix, (data, tested_on)), rows in _ROWS.items()
    for model, file, rank1, mean_ap in rows
}


def published_path(name: str) -> Path:
    """Returns the path where published weights are kept, beside torchvision's.

    Args:
        name: One of `PUBLISHED`.
    """
    return Path(torch.hub.get_dir()) / "checkpoints" / f"{name}{SUFFIX}"


def published_file(name: str) -> Path:
    """Returns the path of published weights, which are downloaded if they are not there yet.

    Args:
        name: One of `PUBLISHED`.

    Raises:
        WeightsUnavailable: If they cannot be downloaded; says which file belongs where.
    """
    path = published_path(name)
    if path.is_file():
        return path
    link = LINK.format(PUBLISHED[name].file)
    try:
        return fetch(link, path)
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(
            f"The weights {name} could not be downloaded: {error} Or put the file from {link} at "
            f"{path} yourself."
        ) from error


def load_published(path: Path) -> tuple[FrameEmbedder, Provenance]:
    """Loads published weights into torchreid's model.

    Args:
        path: Their file, which has the name of the weights, as `published_file` gives it.

    Returns:
        The embedder in eval mode, and what it was trained on.

    Raises:
        ValueError: If the file holds something else.
    """
    one = PUBLISHED[path.stem]
    results = (
        f"it had {one.mean_ap} mAP, {one.rank1} rank-1 on {one.tested_on} (torchreid's model zoo)"
    )
    return _with_weights(one.model, path), Provenance(path.stem, one.data, results)


def is_published(path: Path) -> bool:
    """Returns whether a file has the name of published weights.

    Args:
        path: The file.
    """
    return path.suffix == SUFFIX and path.stem in PUBLISHED


def _with_weights(name: str, path: Path) -> FrameEmbedder:
    found = weights_by_name(path).items()
    weights = {key: weight for key, weight in found if not key.startswith(CLASSIFIER)}
    model: Any = torchreid.models.build_model(name, 1, pretrained=False, use_gpu=False)
    model.classifier = nn.Identity()  # in eval mode the features before it are returned
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path} does not hold weights of torchreid's {name}: {reason} Remove it to have it "
            "downloaded again."
        ) from error
    return FrameEmbedder(model, model.feature_dim).eval()
