"""The folder of a run: its configuration, results, chosen checkpoint and curves.

All reading and writing of ``config.yaml`` and ``results.json`` is here.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import config_of, load_config, plain
from torchreid_occ.data.copies import MANIFEST
from torchreid_occ.utils.checkpoint import checkpoint_epochs, checkpoint_path, latest_checkpoint
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import file_hash, remove_partial_files, write_json, write_text

RESULTS, CONFIG = "results.json", "config.yaml"
# Scalars of torchreid's that are not curves of a training: seconds a batch.
_NO_CURVES = ("Train/time", "Train/data")
# Keys whose change leaves the training so far as it is.
_MAY_CHANGE = {
    "data.root",
    "data.save_dir",
    "data.verify",
    "data.workers",
    "test.batch_size",
    "test.ranks",
    "test.rerank",
    "train.checkpoint_freq",
    "train.max_epoch",
    "train.print_freq",
    "use_gpu",
}


class Run(NamedTuple):
    """A finished run, or a finished phase of one.

    Attributes:
        name: Name of its folder.
        folder: Its folder.
        results: The content of its ``results.json``.
        config: Its configuration.
    """

    name: str
    folder: Path
    results: dict[str, Any]
    config: CfgNode

    @property
    def is_training(self) -> bool:
        """Whether it is a training, which tests on targets."""
        return "targets" in self.results

    @property
    def checkpoint(self) -> Path:
        """The checkpoint a user takes, see `chosen_checkpoint`."""
        return chosen_checkpoint(self.config, self.folder, self.results)


def read_runs(folder: StrPath) -> list[Run]:
    """Reads the run in a folder, or its finished phases in order.

    Args:
        folder: ``data.save_dir`` of the run.

    Raises:
        FileNotFoundError: If it holds no finished run.
        ValueError: If it holds a run over splits, each of which has a folder of its own.
    """
    folder = Path(folder)
    if (folder / RESULTS).is_file():
        splits = sorted(path.name for path in folder.glob("split_*"))
        if splits:
            raise ValueError(f"{folder} holds a run over splits: name one of {splits} in it.")
        results = read_results(folder)
        return [Run(folder.resolve().name, folder, results, config_of(results["config"]))]
    path = folder / CONFIG
    names = [phase["name"] for phase in load_config(path).phases] if path.is_file() else []
    runs = [
        run
        for name in names
        if (folder / name / RESULTS).is_file()
        for run in read_runs(folder / name)
    ]
    if not runs:
        raise FileNotFoundError(
            f"There is no finished run in {folder}: neither it nor a phase in it has a "
            f"{RESULTS}. Name the data.save_dir of a run that has ended."
        )
    return runs


def read_results(save_dir: StrPath) -> dict[str, Any]:
    """Reads the results of a finished run; ranks of the CMC are integers again.

    Args:
        save_dir: Folder of the run.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If the file does not hold the results of a run.
    """
    path = Path(save_dir) / RESULTS
    results: dict[str, Any] = read_json(path)
    try:
        results["config"]["train"]["max_epoch"]
        for checkpoints in results.get("targets", {}).values():
            for result in checkpoints.values():
                result["cmc"] = {int(rank): value for rank, value in result["cmc"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the results of a run ({error}): restore it, or remove it to "
            "have the run finished again."
        ) from error
    return results


def write_results(save_dir: StrPath, results: Mapping[str, Any]) -> Path:
    """Writes the results of a run and returns the file.

    Args:
        save_dir: Folder of the run.
        results: Plain values.
    """
    path = Path(save_dir) / RESULTS
    write_json(path, results)
    return path


def write_config(config: CfgNode) -> None:
    """Writes a resolved configuration into ``data.save_dir``.

    Args:
        config: The configuration.
    """
    write_text(Path(config.data.save_dir) / CONFIG, config.dump())


def finished_run(config: CfgNode) -> dict[str, Any] | None:
    """Reads the results of a finished run of this configuration; None if there is none.

    Args:
        config: The configuration; its ``data.save_dir`` is the run's folder.
    """
    save_dir = Path(config.data.save_dir)
    if not (save_dir / RESULTS).exists():
        return None
    done = read_results(save_dir)
    if done.get("failed"):  # a target is to be tested again
        return None
    same_length = done["config"]["train"]["max_epoch"] == config.train.max_epoch
    same = not _changes(config_of(done["config"], str(save_dir / RESULTS)), config)
    return done if same and same_length else None


def chosen_checkpoint(config: CfgNode, folder: StrPath, results: Mapping[str, Any]) -> Path:
    """Returns the checkpoint of a training that a user takes.

    It is the selected one, or the last one if none was selected. A run that only tests has none of
    its own, and the one it tests is returned.

    Args:
        config: Configuration of the run.
        folder: Folder of the run.
        results: Its results; before the run has finished nothing, which gives the last epoch's.
    """
    epoch = results.get("selected_epoch") or results.get("epochs") or config.train.max_epoch
    path = checkpoint_path(folder, epoch)
    only_tested = config.test.evaluate and config.model.load_weights and not path.exists()
    return Path(config.model.load_weights) if only_tested else path


def product_of(config: CfgNode) -> Path:
    """Returns the path of what a task makes: scores, a copy of a dataset, or a checkpoint.

    Args:
        config: Configuration of the task, which need not have finished.
    """
    save_dir = Path(config.data.save_dir)
    if config.task == "score":
        return save_dir / "scores.csv"
    if config.task == "copy":
        return save_dir / "copy"
    return chosen_checkpoint(config, save_dir, finished_run(config) or {})


def check_save_dir(config: CfgNode, resume: bool, over_splits: bool = False) -> None:
    """Checks that a run overwrites no other and continues only itself; removes partial files.

    Args:
        config: The configuration; its ``data.save_dir`` is the run's folder.
        resume: Whether the run in the folder is to be continued.
        over_splits: Whether it is a run over splits.

    Raises:
        FileExistsError: If the folder holds a run that is not to be continued.
        ValueError: If the run in the folder was started with another configuration, is one over
            splits, or has been trained for longer, or the folder's name is not UTF-8.
    """
    save_dir = Path(config.data.save_dir)
    if any("\ud800" <= letter <= "\udfff" for letter in str(save_dir)):  # bytes that are not UTF-8
        raise ValueError(
            f"data.save_dir is {str(save_dir)!r}, but TensorBoard writes to names in UTF-8 only."
        )
    path = save_dir / CONFIG
    has_splits = any(save_dir.glob("split_*"))
    if not resume:
        folders = [save_dir, *(save_dir / phase.get("name", "") for phase in config.phases)]
        made = any(latest_checkpoint(f) or (f / RESULTS).exists() for f in folders)
        if made or has_splits:
            raise FileExistsError(
                f"{save_dir} holds a run already: continue it with resume=True, or choose another "
                "data.save_dir."
            )
        return
    remove_partial_files(save_dir)
    if not path.exists():
        return
    if has_splits and not over_splits:
        raise ValueError(f"{save_dir} holds a run over splits: continue it by run_splits.")
    changed = _changes(load_config(path), config)
    if changed:
        raise ValueError(
            f"{save_dir} holds a run of another configuration: {'; '.join(changed)}. Continue it "
            "as it was, or choose another data.save_dir."
        )
    trained = max(checkpoint_epochs(save_dir), default=0)
    if not config.train.max_iter and trained > config.train.max_epoch:
        raise ValueError(
            f"{save_dir} has been trained for {trained} epochs already, but train.max_epoch is "
            f"{config.train.max_epoch}: continue it with as many at least, or choose another "
            "data.save_dir."
        )


def changed_sources(save_dir: StrPath, sources: Mapping[str, StrPath]) -> list[str]:
    """Notes the results that a phase is made from, and compares them with an earlier note.

    Args:
        save_dir: Folder of the phase, where the note is.
        sources: Folder of each phase it takes from; nothing is noted before all have finished.

    Returns:
        Names of the sources whose results have changed since they were noted.
    """
    results = {name: Path(folder, RESULTS) for name, folder in sorted(sources.items())}
    if not results or not all(path.exists() for path in results.values()):
        return []
    now = {name: file_hash(path) for name, path in results.items()}
    note = Path(save_dir, "made_from.json")
    if not note.exists():
        write_json(note, now)
        return []
    before = read_json(note)
    return [name for name in now if before.get(name) != now[name]]


def outcome(run: Run) -> str:
    """Describes in one line the results of a task other than training.

    Args:
        run: The finished task.
    """
    results = run.results
    if run.config.task == "score":
        line = f"regions below {results['threshold']:.3f} are occluded"
        truth = results.get("localisation", {}).get("query", {})
        return line + "".join(
            f", {name} {100 * share:.1f} %" for name, share in truth.items() if share is not None
        )
    if run.config.task == "train_completion":
        errors = (
            f"{name} {error['grey_levels']:.1f}" for name, error in results["completion"].items()
        )
        return f"{', '.join(errors)} grey levels off in held-out frames"
    manifest = json.loads((run.folder / "copy" / MANIFEST).read_text(encoding="utf-8"))
    done = "completed" if run.config.completion.checkpoint else "left out"
    return f"{sum(manifest['changed'].values()):,} frames {done}"


class Curve(NamedTuple):
    """A number over the course of a training.

    Attributes:
        steps: Where it was logged: steps, or epochs of a validation.
        values: Its values there.
    """

    steps: list[int]
    values: list[float]


def read_curves(folder: StrPath) -> dict[str, Curve]:
    """Reads the losses and validations that a training logged, by name.

    Args:
        folder: Folder of the run.
    """
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    curves = {}
    for tag in events.Tags()["scalars"]:
        part, _, name = tag.partition("/")
        if part in ("Train", "Val") and tag not in _NO_CURVES:
            scalars = events.Scalars(tag)
            title = name if part == "Train" else f"validation {name}"
            curves[title] = Curve([s.step for s in scalars], [s.value for s in scalars])
    return curves


def _changes(before: CfgNode, now: CfgNode) -> list[str]:
    """Describes the keys in which two configurations differ that shape a run."""
    may_change = set(_MAY_CHANGE)
    if now.train.lr_scheduler == "cosine":
        may_change.discard("train.max_epoch")  # it shapes every learning rate
    old, new = _flat(plain(before)), _flat(plain(now))
    # Products of other phases lie beside the folder, which may have moved as a whole.
    places = [Path(config.data.save_dir).parent for config in (before, now)]
    return [
        f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
        and key not in may_change
        and not _moved_along(old.get(key), new.get(key), places)
    ]


def _moved_along(before: Any, now: Any, places: Sequence[Path]) -> bool:
    """Returns whether two paths are of the same place in a folder before and after a move."""
    if not (isinstance(before, str) and isinstance(now, str)):
        return False
    was, is_now = places
    return Path(before).is_relative_to(was) and is_now / Path(before).relative_to(was) == Path(now)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        own = {prefix + key: value}
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else own)
    return flat
