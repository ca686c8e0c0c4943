"""Runs a configuration, or the named phases of one, each on what earlier ones made.

A phase is a configuration on top of the rest of the file: its ``name``, any keys, and under
``take`` the keys whose value is what another phase made::

    phases:
      - name: pretrain
        model: {name: baseline}
      - name: score
        task: score
        take: {completion.extractor: pretrain}

A file on top of that one, or the command line, changes a phase by its name:
``phases.score.completion.tau 0.8``. What a phase makes lies in ``<save_dir>/<name>``: the
checkpoint of a training, the file of a scoring, the folder of a copy.
"""

from pathlib import Path

from torchreid_occ.completion.tasks import copy_dataset, score_regions, train_completion
from torchreid_occ.config import merged, plain
from torchreid_occ.runs.run import check_save_dir, finished_run, run_experiment
from torchreid_occ.utils.checkpoint import checkpoint_path
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import file_hash, remove_partial_files, write_json, write_text
from torchreid_occ.utils.logs import logger, logging_to
from torchreid_occ.utils.processes import process_count

TASKS = {
    "score": score_regions,
    "train_completion": train_completion,
    "copy": copy_dataset,
}


def run_config(config, resume=False, only=None, demo=None):
    """Runs a configuration: its one task, or its phases.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
        resume: Continue the run in ``data.save_dir``; finished phases are skipped.
        only: Name of the one phase to run; those it takes from must have finished.
        demo: The configuration to name as the small form if a training will be long.

    Returns:
        Results of the task, or by phase.

    Raises:
        FileExistsError: If ``data.save_dir`` holds a run that is not to be continued.
        ValueError: If phases are not well-formed, one that is taken from has not finished, or has
            been made again since another took from it.
    """
    names = [*phase_configs(config)]
    if only and only not in names:
        raise ValueError(f"There is no phase {only!r}: the configuration has {names}.")
    if not names:
        return _run_task(config, resume, demo)
    if not resume and not only:
        check_save_dir(config, Path(config.data.save_dir), resume=False)
    remove_partial_files(config.data.save_dir)
    results = {}
    for name in [only] if only else names:
        phase = phase_configs(config)[name]  # now that those before it say what they made
        _check_sources(config, name, phase.data.save_dir)
        results[name] = finished_run(phase) if resume or only else None
        if results[name] is not None:
            _say(config, f"Phase {name} has finished before.")
            continue
        _say(config, f"Phase {name}")
        write_text(Path(config.data.save_dir, "config.yaml"), config.dump())  # for --resume
        results[name] = _run_task(phase, resume or bool(only), demo)
    return results


def trainings_of(config, resume=False):
    """Runs a configuration unless it has finished, and returns what its trainings came to.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
        resume: Continue the run in ``data.save_dir``.

    Returns:
        As of :func:`finished_trainings`.
    """
    if not config.phases:
        return {None: finished_run(config) or run_experiment(config, resume)}
    run_config(config, resume)
    return finished_trainings(config)


def finished_trainings(config):
    """What the trainings of a run came to, or None if it has not finished.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.

    Returns:
        What each ``results.json`` holds, by phase and in order; by None if there are no phases.
        The seconds of a phase are also those of the phases it was made from.
    """
    if not config.phases:
        done = finished_run(config)
        return None if done is None else {None: done}
    taken = {phase["name"]: {*phase.get("take", {}).values()} for phase in config.phases}
    done, made_from = {}, {}
    for name, phase in phase_configs(config).items():
        done[name] = finished_run(phase)
        if done[name] is None:
            return None
        made_from[name] = {name}.union(*(made_from[source] for source in taken[name]))
    seconds = {name: sum(done[one]["seconds"] for one in made_from[name]) for name in done}
    return {
        name: {**results, "seconds": round(seconds[name], 1)}
        for name, results in done.items()
        if "targets" in results
    }


def phase_configs(config):
    """The configuration of each phase, by name, in order.

    Raises:
        KeyError: For a key that does not exist.
        ValueError: If a phase has no name, shares one, or takes from none before it.
    """
    tree = plain(config)
    found = {}
    for number, phase in enumerate(tree.pop("phases"), start=1):
        name = phase.get("name")
        if not isinstance(name, str) or not name or name in found:
            raise ValueError(
                f"Phase {number} has the name {name!r}, but needs one of its own: others are "
                f"{[*found]}."
            )
        own = {key: value for key, value in phase.items() if key not in ("name", "take")}
        below = tree
        if own.get("task", tree["task"]) == "train":  # completion is the other phases' business
            below = {key: value for key, value in tree.items() if key != "completion"}
        taken = phase.get("take", {})
        missing = sorted(set(taken.values()) - found.keys())
        if missing:
            raise ValueError(
                f"Phase {name!r} takes from {missing}, but before it come only {[*found]}."
            )
        save_dir = str(Path(config.data.save_dir, name))
        parts = [own, {"data": {"save_dir": save_dir}}]
        parts += [_nested(key, made_by(found[source])) for key, source in taken.items()]
        found[name] = merged(below, parts, f"phase {name}")
    return found


def made_by(config):
    """Where what a phase makes will be."""
    save_dir = Path(config.data.save_dir)
    if config.task == "score":
        return str(save_dir / "scores.csv")
    if config.task == "copy":
        return str(save_dir / "copy")
    done = finished_run(config) or {}
    epoch = done.get("selected_epoch") or done.get("epochs") or config.train.max_epoch
    return str(checkpoint_path(save_dir, epoch))


def _check_sources(config, name, save_dir):
    """Notes what a phase takes from, and refuses to go on once that has been made again."""
    (taken,) = (phase.get("take", {}) for phase in config.phases if phase["name"] == name)
    results = {s: Path(config.data.save_dir, s, "results.json") for s in sorted({*taken.values()})}
    if not taken or not all(path.exists() for path in results.values()):
        return
    now = {source: file_hash(path) for source, path in results.items()}
    note = Path(save_dir, "made_from.json")
    if not note.exists():
        write_json(note, now)
        return
    before = read_json(note)
    changed = [source for source in now if before.get(source) != now[source]]
    if changed:
        raise ValueError(
            f"Phase {name!r} took from {changed}, which has been made again since: remove "
            f"{save_dir} to make it again, too."
        )


def _say(config, message):
    """Logs a line beside the phases' own logs."""
    with logging_to(config.data.save_dir):
        logger.info(message)


def _run_task(config, resume, demo):
    if config.task == "train":
        return run_experiment(config, resume, demo)
    if process_count() > 1:
        raise ValueError(
            f"Task {config.task!r} runs in one process: start it without torchrun, and only "
            "trainings with it, by --phase."
        )
    return TASKS[config.task](config, resume)


def _nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
