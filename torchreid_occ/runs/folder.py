"""What runs leave in their folders: results, configuration, checkpoint, curves."""

import json
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from yacs.config import CfgNode

from torchreid_occ.completion.dataset import MANIFEST
from torchreid_occ.config import config_of, load_config
from torchreid_occ.runs.run import read_results
from torchreid_occ.utils.checkpoint import checkpoint_path

# Scalars that are no part of what is learned: torchreid's seconds of a batch.
_NO_CURVES = ("Train/time", "Train/data")


class Run(NamedTuple):
    """A finished run, or a finished phase of one."""

    name: str
    folder: Path
    results: dict
    config: CfgNode

    @property
    def is_training(self):
        """Whether it was tested on targets, as every training is."""
        return "targets" in self.results

    @property
    def checkpoint(self):
        """The checkpoint a user takes: the selected one, the last one, or the one only tested."""
        epoch = self.results["selected_epoch"] or self.results["epochs"]
        path = checkpoint_path(self.folder, epoch)
        only_tested = self.config.test.evaluate and not path.exists()
        return Path(self.config.model.load_weights) if only_tested else path


def read_runs(folder):
    """The run in a folder, or its phases that have finished, in order.

    Args:
        folder: ``data.save_dir`` of the run.

    Raises:
        FileNotFoundError: If it holds no finished run.
        ValueError: If it holds a run over splits, each of which has a folder of its own.
    """
    folder = Path(folder)
    if (folder / "results.json").is_file():
        splits = sorted(path.name for path in folder.glob("split_*"))
        if splits:
            raise ValueError(f"{folder} holds a run over splits: name one of {splits} in it.")
        results = read_results(folder)
        return [Run(folder.resolve().name, folder, results, config_of(results["config"]))]
    path = folder / "config.yaml"
    names = [phase["name"] for phase in load_config(path).phases] if path.is_file() else []
    runs = [
        run
        for name in names
        if (folder / name / "results.json").is_file()
        for run in read_runs(folder / name)
    ]
    if not runs:
        raise FileNotFoundError(
            f"There is no finished run in {folder}: neither it nor a phase in it has a "
            "results.json. Name the data.save_dir of a run that has ended."
        )
    return runs


def outcome(run):
    """What a task other than training came to, in a line.

    Args:
        run: A :class:`Run`.
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


def read_curves(folder):
    """What a training logged as it went on.

    Args:
        folder: Folder of the run.

    Returns:
        ``{name: (steps, values)}``; validation counts epochs.
    """
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    curves = {}
    for tag in events.Tags()["scalars"]:
        part, _, name = tag.partition("/")
        if part in ("Train", "Val") and tag not in _NO_CURVES:
            scalars = events.Scalars(tag)
            title = name if part == "Train" else f"validation {name}"
            curves[title] = [s.step for s in scalars], [s.value for s in scalars]
    return curves
