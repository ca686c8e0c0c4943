"""Tests a checkpoint, which holds the configuration of its model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import config_of, merged, plain
from torchreid_occ.config.load import override_trees
from torchreid_occ.runs.folder import RESULTS, finished_run
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.utils.checkpoint import load_checkpoint


class CheckpointTest(NamedTuple):
    """A test of a checkpoint.

    Attributes:
        results: The content of its ``results.json``.
        save_dir: Its folder.
        was_there: Whether the same test had been made before.
    """

    results: dict[str, Any]
    save_dir: Path
    was_there: bool


def evaluate_checkpoint(
    path: StrPath,
    targets: Sequence[str] = (),
    root: StrPath | None = None,
    overrides: Sequence[str] = (),
) -> CheckpointTest:
    """Tests a checkpoint as its configuration says, unless the same test is there already.

    Args:
        path: A checkpoint of a run.
        targets: Datasets to test on; those of the run if empty.
        root: Folder of the datasets; that of the run if None.
        overrides: ``[key, value, ...]`` on top of the run's configuration; ``data.save_dir`` is
            the folder of the results, by default one beside the checkpoints.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        FileExistsError: If the folder of the results holds another run.
        ValueError: If the file holds no configuration.
    """
    config = config_of_test(path, targets, root, overrides)
    save_dir = Path(config.data.save_dir)
    done = finished_run(config)
    if done is not None:
        before, now = done["config"], plain(config)
        if before["test"] != now["test"] or before["data"]["root"] != now["data"]["root"]:
            raise FileExistsError(
                f"{save_dir} holds a test with other settings: choose another data.save_dir."
            )
        if (save_dir / RESULTS).stat().st_mtime >= Path(path).stat().st_mtime:
            return CheckpointTest(done, save_dir, True)
    return CheckpointTest(run_experiment(config, resume=True), save_dir, False)


def config_of_test(
    path: StrPath,
    targets: Sequence[str] = (),
    root: StrPath | None = None,
    overrides: Sequence[str] = (),
) -> CfgNode:
    """Returns the configuration of a test, from the arguments of `evaluate_checkpoint`.

    Args:
        path: A checkpoint of a run.
        targets: Datasets to test on.
        root: Folder of the datasets.
        overrides: Keys and values.
    """
    saved = load_checkpoint(path, needed=("config", "num_classes", "state_dict"))["config"]
    trained = config_of(saved, origin=str(path))
    tested = list(targets) or list(trained.data.targets or trained.data.sources)
    used = {*tested, *trained.data.sources}
    tree = plain(trained)
    tree["data"]["options"] = {
        name: options for name, options in tree["data"]["options"].items() if name in used
    }
    own: dict[str, Any] = {
        "model": {"load_weights": str(path), "start_from": "", "pretrained": False},
        "data": {"targets": tested, "save_dir": str(_folder(Path(path), tested))},
        "test": {"evaluate": True},
    }
    if root is not None:
        own["data"]["root"] = str(root)
    tree["model"].pop("start_parts", None)  # belongs to start_from
    return merged(tree, [own, *override_trees(overrides)], "test")


def _folder(path: Path, targets: Sequence[str]) -> Path:
    """Returns ``test/<targets>/<checkpoint>`` in the run's folder, or beside another checkpoint."""
    run = path.parent.parent if path.parent.name == "model" else path.parent
    return run / "test" / "+".join(targets) / path.name
