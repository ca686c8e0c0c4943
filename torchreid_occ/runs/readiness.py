"""What would fail after hours of training, found out before the first epoch."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from torchreid_occ._types import Item
from torchreid_occ.metrics import METRIC_LEARNERS
from torchreid_occ.models.backbones import HUB, SOURCES
from torchreid_occ.utils.file_kinds import other_kind

# Keys that name a file or folder which a run reads.
_FILES = (
    *("model.pretrained", "model.load_weights", "model.start_from"),
    *("data.keypoints", "data.foreground"),
    *("completion.extractor", "completion.guider", "completion.checkpoint", "completion.scores"),
)
_CHECKPOINTS = ("model.pretrained", "model.load_weights", "model.start_from")
_WORDS = ("", "auto", "imagenet", "truth", *SOURCES)  # values that name no file


def check_files(config: CfgNode, made_later: Collection[str] = ()) -> None:
    """Checks that the files a configuration names are there, before any data are loaded.

    Args:
        config: The configuration.
        made_later: Keys whose files an earlier phase will make.

    Raises:
        FileNotFoundError: If one is not; names its key.
        ValueError: If one that should be a checkpoint is something else.
    """
    for key in _FILES:
        section, name = key.split(".")
        value = config[section][name]
        if not isinstance(value, str) or value in _WORDS or key in made_later:
            continue
        if key == "model.pretrained" and value.startswith(HUB):
            continue
        if not Path(value).exists():
            raise FileNotFoundError(f"{key} is {value}, but there is no such file.")
        if key not in _CHECKPOINTS or value.endswith(".safetensors"):
            continue
        kind = "a folder" if Path(value).is_dir() else other_kind(value)
        if kind:
            raise ValueError(f"{key} is {value}, which is {kind}, not a checkpoint of PyTorch.")


def check_test(config: CfgNode, datamanager: Any) -> None:
    """Checks by the lists of tracklets that the test after a training will have a result.

    Args:
        config: The configuration.
        datamanager: The data manager of its backend.

    Raises:
        ValueError: If no query of a target can be matched, or a learned distance has no pairs of
            training tracklets to learn from.
    """
    for name, subsets in datamanager.test_dataset.items():
        query, gallery = subsets["query"], subsets["gallery"]
        seen = {(pid, camid) for _, pid, camid, *_ in gallery}
        pids = {pid for pid, _ in seen}
        cameras = {camid for _, camid in seen}
        if not any(_is_elsewhere(pid, camid, seen, cameras) for _, pid, camid, *_ in query):
            known = sum(pid in pids for _, pid, *_ in query)
            raise ValueError(
                f"Target {name} can't be tested: none of its {len(query)} queries has a gallery "
                f"item of its identity in another camera ({known} have one in their own camera, "
                "which the evaluation leaves out). Identities have the same name in query and "
                "gallery, and cameras differ."
            )
    if config.test.dist_metric in METRIC_LEARNERS:
        _check_pairs(config.test.dist_metric, datamanager.train_dataset)


def _is_elsewhere(
    pid: int, camid: int, seen: Collection[tuple[int, int]], cameras: Collection[int]
) -> bool:
    return any((pid, other) in seen for other in cameras if other != camid)


def _check_pairs(metric: str, tracklets: Sequence[Item]) -> None:
    """Checks that two cameras see one identity, and two identities are in different cameras."""
    seen = {(pid, camid) for _, pid, camid, *_ in tracklets}
    pids, camids = {pid for pid, _ in seen}, {camid for _, camid in seen}
    same = len(seen) > len(pids)
    different = len(camids) > 1 and any(
        pid != other and camid != there for pid, camid in seen for other, there in seen
    )
    if not same or not different:
        lacking = "one identity" if not same else "two identities"
        raise ValueError(
            f"test.dist_metric is {metric!r}, which learns from pairs of training tracklets in "
            f"different cameras, but among the {len(tracklets)} there is no such pair of "
            f"{lacking}: take 'cosine' or 'euclidean', or training data of people who pass two "
            "cameras."
        )
