"""Runs a configuration, or the named phases of one, each on the products of earlier ones.

A phase is a configuration on top of the rest of the file: its ``name``, any keys, and under
``take`` the keys whose value is the product of another phase::

    phases:
      - name: pretrain
        model: {name: baseline}
      - name: score
        task: score
        take: {completion.extractor: pretrain}

A file that builds on that one, or the command line, changes a phase by its name:
``phases.score.completion.tau 0.8``. The product of a phase lies in ``<save_dir>/<name>``: the
checkpoint of a training, the file of a scoring, the folder of a copy.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.completion.tasks import copy_dataset, score_thirds, train_completion
from torchreid_occ.config import config_of, merged, plain
from torchreid_occ.runs.folder import (
    RESULTS,
    changed_sources,
    check_save_dir,
    finished_run,
    product_of,
    write_config,
)
from torchreid_occ.runs.readiness import check_files
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.utils.files import remove_partial_files
from torchreid_occ.utils.logs import logger, logging_to
from torchreid_occ.utils.processes import process_count

Results = dict[str, Any]  # the content of a results.json

TASKS: dict[str, Callable[[CfgNode, bool], Results]] = {
    "score": score_thirds,
    "train_completion": train_completion,
    "copy": copy_dataset,
}


def run_config(
    config: CfgNode,
    resume: bool = False,
    only: str | None = None,
    demo: StrPath | None = None,
) -> dict[str, Any]:
    """Runs a configuration: a training and its test, another task, or all phases.

    Everything is written into ``data.save_dir``: results.json, the resolved configuration, a log,
    TensorBoard scalars and checkpoints; each phase has a folder of its own in it.

    Args:
        config: From :func:`torchreid_occ.load_config`.
        resume: Continue the run in ``data.save_dir``; finished phases are skipped.
        only: Name of the one phase to run; phases it takes from must have finished.
        demo: The configuration to name as the small form if a training will be long.

    Returns:
        The content of ``results.json``; with phases, that of each by its name.

    Raises:
        FileExistsError: If ``data.save_dir`` holds a run that is not to be continued.
        ValueError: If phases are not well-formed, or a phase takes from one that has not finished,
            or has run again since another took from it.

    Example:
        Training and test of the baseline on the rendered data, a minute on a CPU::

            import torchreid_occ

            config = torchreid_occ.load_config(
                "configs/demo/baseline_resnet50.yaml",
                ["train.max_epoch", "1", "data.save_dir", "log/first"],
            )
            results = torchreid_occ.run(config)
            for target, checkpoints in results["targets"].items():
                print(target, checkpoints["selected"]["mAP"], checkpoints["selected"]["cmc"][1])
    """
    names = [*phase_configs(config)]
    if only and only not in names:
        raise ValueError(f"There is no phase {only!r}: the configuration has {names}.")
    if not names:
        return _run_alone(config, resume, demo)
    if not resume and not only:
        check_save_dir(config, resume=False)
        _check_files_of_phases(config)
    remove_partial_files(config.data.save_dir)
    results: dict[str, Any] = {}
    for name in [only] if only else names:
        phase = phase_configs(config)[name]  # again: earlier phases have made their products
        _check_sources(config, name, phase.data.save_dir)
        finished = finished_run(phase) if resume or only else None
        if finished is not None:
            _log(config, f"Phase {name} has finished before.")
            results[name] = finished
            continue
        _log(config, f"Phase {name}")
        continued = resume or bool(only)
        check_save_dir(phase, continued)  # before the configuration that began it is replaced
        write_config(config)  # makes the run one that can be resumed
        results[name] = _run_task(phase, continued, demo)
    return results


def trainings_of(config: CfgNode, resume: bool = False) -> dict[str | None, Results]:
    """Runs a configuration unless it has finished, and returns the results of its trainings.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
        resume: Continue the run in ``data.save_dir``.

    Returns:
        As of :func:`finished_trainings`.
    """
    if not config.phases:
        return {None: finished_run(config) or run_experiment(config, resume)}
    run_config(config, resume)
    done = finished_trainings(config)
    assert done is not None  # run_config has run what had not finished
    return done


def finished_trainings(config: CfgNode) -> dict[str | None, Results] | None:
    """Reads the results of the trainings of a run; None if it has not finished.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.

    Returns:
        The content of each ``results.json``, by phase and in order; by None if there are no phases.
        The seconds of a phase, also those of training alone, include those of the phases it was
        made from.
    """
    if not config.phases:
        done = finished_run(config)
        return None if done is None else {None: done}
    taken = {phase["name"]: {*phase.get("take", {}).values()} for phase in config.phases}
    finished: dict[str, Results] = {}
    made_from: dict[str, set[str]] = {}
    for name, phase in phase_configs(config).items():
        done = finished_run(phase)
        if done is None:
            return None
        finished[name] = done
        made_from[name] = {name}.union(*(made_from[source] for source in taken[name]))
    seconds = {
        name: sum(finished[part]["seconds"] for part in made_from[name]) for name in finished
    }
    trained: dict[str, float] = {}
    for name in finished:
        sources = [finished[part] for part in made_from[name]]
        parts = [part for part in sources if part.keys() & {"targets", "completion"}]
        if all("training_seconds" in part for part in parts):  # not in results of 0.1.0
            trained[name] = round(sum(part["training_seconds"] for part in parts), 1)
    return {
        name: {
            **results,
            "seconds": round(seconds[name], 1),
            **({"training_seconds": trained[name]} if name in trained else {}),
        }
        for name, results in finished.items()
        if "targets" in results
    }


def phase_configs(config: CfgNode) -> dict[str, CfgNode]:
    """Returns the configuration of each phase, by name, in order.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: If a phase has no name, shares one, or takes from a phase not before it.
    """
    tree = plain(config)
    found: dict[str, CfgNode] = {}
    for number, phase in enumerate(tree.pop("phases"), start=1):
        name = phase.get("name")
        if not isinstance(name, str) or not name or name in found:
            raise ValueError(
                f"Phase {number} has the name {name!r}, but needs one of its own: others are "
                f"{[*found]}."
            )
        own = {key: value for key, value in phase.items() if key not in ("name", "take")}
        below = tree
        if own.get("task", tree["task"]) == "train":  # only the other tasks read completion
            below = {key: value for key, value in tree.items() if key != "completion"}
        taken = phase.get("take", {})
        missing = sorted(set(taken.values()) - found.keys())
        if missing:
            raise ValueError(
                f"Phase {name!r} takes from {missing}, but before it come only {[*found]}."
            )
        save_dir = str(Path(config.data.save_dir, name))
        parts = [own, {"data": {"save_dir": save_dir}}]
        parts += [_nested(key, str(product_of(found[source]))) for key, source in taken.items()]
        found[name] = merged(below, parts, f"phase {name}")
    return found


def _is_same(done: Results, config: CfgNode) -> bool:
    """Whether results are of this very configuration, how it tests included."""
    before, now = plain(config_of(done["config"])), plain(config)
    for tree in (before, now):
        for key in ("save_dir", "workers"):
            tree["data"].pop(key)
    return bool(before == now)


def _check_files_of_phases(config: CfgNode) -> None:
    """Checks the files that phases name, other than what earlier phases will make."""
    taken = {phase["name"]: [*phase.get("take", {})] for phase in config.phases}
    for name, phase in phase_configs(config).items():
        check_files(phase, taken[name])


def _check_sources(config: CfgNode, name: str, save_dir: str) -> None:
    """Refuses to continue a phase if one that it took from has run again."""
    (taken,) = (phase.get("take", {}) for phase in config.phases if phase["name"] == name)
    sources = {source: Path(config.data.save_dir, source) for source in taken.values()}
    changed = changed_sources(save_dir, sources)
    if changed:
        raise ValueError(
            f"Phase {name!r} took from {changed}, which has been made again since: remove "
            f"{save_dir} to make it again, too."
        )


def _log(config: CfgNode, message: str) -> None:
    """Logs a line into the folder that holds those of the phases."""
    with logging_to(config.data.save_dir):
        logger.info(message)


def _run_alone(config: CfgNode, resume: bool, demo: StrPath | None) -> Results:
    """Runs a configuration without phases, unless it is resumed and has finished."""
    if resume:
        check_save_dir(config, resume=True)
    done = finished_run(config) if resume and config.task == "train" else None
    if done is not None and _is_same(done, config):
        _log(config, f"This run has finished: its results are already there, in {RESULTS}.")
        return done
    return _run_task(config, resume, demo)


def _run_task(config: CfgNode, resume: bool, demo: StrPath | None) -> Results:
    if config.task == "train":
        return run_experiment(config, resume, demo)
    if process_count() > 1:
        raise ValueError(
            f"Task {config.task!r} runs in one process: start it without torchrun, and run only "
            "trainings in several, with only='name of the phase'."
        )
    return TASKS[config.task](config, resume)


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested
