"""Runs a configuration: trains, tests, and writes everything a number can be traced by."""

import datetime
import time
from pathlib import Path

import torch

from torchreid_occ._torchreid import torchreid
from torchreid_occ.config import config_of, load_config, plain
from torchreid_occ.data.images import verify_images
from torchreid_occ.engine import ClipEngine
from torchreid_occ.runs.builders import (
    build_configured_model,
    build_datamanager,
    build_engine,
    check_parts,
    use_gpu,
)
from torchreid_occ.utils.checkpoint import latest_checkpoint, load_checkpoint
from torchreid_occ.utils.complexity import count_gmacs, count_parameters, seconds_per_clip
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import remove_partial_files, write_json, write_text
from torchreid_occ.utils.logs import logger, logging_to, printed_lines_logged
from torchreid_occ.utils.processes import is_first_process, process_count, wait_for_all

# Keys whose change leaves what a run has trained so far as it is.
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


def run_experiment(config, resume=False, demo=None, clip_engine=ClipEngine):
    """Trains and tests as a configuration says.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
        resume: Continue the run in ``data.save_dir``.
        demo: The configuration to name as the small form if the run will be long.
        clip_engine: What engine 'clip' is.

    Returns:
        What is written to ``<save_dir>/results.json``.

    Raises:
        FileExistsError: If ``data.save_dir`` holds a run that is not to be continued.
        ValueError: If the run to be continued was started with another configuration, or several
            processes are to train by torchreid's own engine.
    """
    check_parts(config)
    if config.engine == "torchreid" and process_count() > 1:
        raise ValueError("engine 'torchreid' is torchreid as it is, which trains in one process.")
    save_dir = Path(config.data.save_dir)
    check_save_dir(config, save_dir, resume)
    wait_for_all()  # none may take what another writes for an earlier run
    with logging_to(save_dir):
        if is_first_process():
            write_text(save_dir / "config.yaml", config.dump())
        start = time.perf_counter()
        torchreid.utils.set_random_seed(config.train.seed)
        datamanager = build_datamanager(config)
        if config.engine == "torchreid":
            # torchreid's own reader retries a damaged image for ever: it must not meet one.
            verify_images(_image_paths(datamanager), config.data.workers)
        elif config.data.verify:
            datamanager.verify(config.data.workers)
        resumed = latest_checkpoint(save_dir) if resume else None
        if resumed:  # its weights take the place of any others
            pretrained = load_checkpoint(resumed, needed=("pretrained",))["pretrained"]
            model, _ = build_configured_model(config, datamanager.num_train_pids, False)
        else:
            model, pretrained = build_configured_model(config, datamanager.num_train_pids)
        cost = _cost(config, datamanager, model.cuda() if use_gpu(config) else model)
        _announce(cost, demo)
        metadata = {
            "config": plain(config),
            "num_classes": datamanager.num_train_pids,
            "pretrained": pretrained,
        }
        engine = build_engine(config, datamanager, model, metadata, clip_engine)
        targets = _run(config, engine, save_dir)
        results = {
            "targets": targets,
            "epochs": engine.epoch + 1 if config.train.max_iter else config.train.max_epoch,
            "selected_epoch": getattr(engine, "best", {}).get("epoch") or None,
            "pretrained": pretrained,
            "cost": cost,
            "seed": config.train.seed,
            "seconds": round(getattr(engine, "seconds", time.perf_counter() - start), 1),
            "versions": versions(),
            "hardware": {**hardware(use_gpu(config)), "processes": process_count()},
            "config": plain(config),
        }
        if is_first_process():
            write_json(save_dir / "results.json", results)
        wait_for_all()
        logger.info("Results are in %s.", save_dir / "results.json")
    return results


def finished_run(config):
    """What a run of this configuration wrote into its folder, or None if there is none."""
    save_dir = Path(config.data.save_dir)
    if not (save_dir / "results.json").exists():
        return None
    done = read_results(save_dir)
    same_length = done["config"]["train"]["max_epoch"] == config.train.max_epoch
    origin = str(save_dir / "results.json")
    same = not _changes(config_of(done["config"], origin), config)
    return done if same and same_length else None


def read_results(save_dir):
    """What a finished run wrote, with the ranks of its CMC as numbers again.

    Raises:
        FileNotFoundError: If it wrote nothing.
        ValueError: If the file is not what a run writes.
    """
    path = Path(save_dir) / "results.json"
    results = read_json(path)
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


def describe(config):
    """The resolved configuration and its cost, as text; nothing is written or trained."""
    check_parts(config)
    datamanager = build_datamanager(config)
    # Weights change no cost, but would have to be downloaded.
    model, _ = build_configured_model(config, datamanager.num_train_pids, False)
    return f"{config.dump()}\n{_cost_line(_cost(config, datamanager, model))}"


def check_save_dir(config, save_dir, resume, over_splits=False):
    """Keeps one run from overwriting or continuing another; what a kill left half-written goes."""
    if any("\ud800" <= letter <= "\udfff" for letter in str(save_dir)):  # bytes that are no text
        raise ValueError(
            f"data.save_dir is {str(save_dir)!r}, but TensorBoard writes to names in UTF-8 only."
        )
    path = save_dir / "config.yaml"
    has_splits = any(save_dir.glob("split_*"))
    if not resume:
        folders = [save_dir, *(save_dir / phase.get("name", "") for phase in config.phases)]
        made = any(latest_checkpoint(f) or (f / "results.json").exists() for f in folders)
        if made or has_splits:
            raise FileExistsError(
                f"{save_dir} holds a run already: continue it by --resume {save_dir}, or choose "
                "another data.save_dir."
            )
        return
    remove_partial_files(save_dir)
    if not path.exists():
        return
    if has_splits and not over_splits:
        raise ValueError(f"{save_dir} holds a run over splits: add --splits to continue it.")
    if config.engine == "torchreid":
        raise ValueError("engine 'torchreid' is torchreid as it is, which can't resume a run.")
    changed = _changes(load_config(path), config)
    if changed:
        raise ValueError(f"{save_dir} holds a run of another configuration: {'; '.join(changed)}.")


def _changes(before, now):
    """In what keys that shape a run two configurations differ, in words."""
    may_change = set(_MAY_CHANGE)
    if now.train.lr_scheduler == "cosine":
        may_change.discard("train.max_epoch")  # it shapes every learning rate
    before, now = _flat(plain(before)), _flat(plain(now))
    return [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key not in may_change
    ]


def _flat(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        own = {prefix + key: value}
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else own)
    return flat


def _run(config, engine, save_dir):
    """Trains and tests; returns results by target, then by checkpoint."""
    train, test = config.train, config.test
    options = {
        "save_dir": str(save_dir),
        "max_epoch": train.max_epoch,
        "print_freq": train.print_freq,
        "fixbase_epoch": train.fixbase_epoch,
        "open_layers": list(train.open_layers),
        "start_eval": test.start_eval,
        "eval_freq": test.eval_freq,
        "test_only": test.evaluate,
        "dist_metric": test.dist_metric,
        "normalize_feature": test.normalize_feature,
        "ranks": list(test.ranks),
        "rerank": test.rerank,
    }
    with printed_lines_logged():
        if config.engine == "torchreid":
            engine.run(**options)
            by_checkpoint = {"last": engine.results}
        else:
            by_checkpoint = engine.run(
                **options, max_iter=train.max_iter, checkpoint_freq=train.checkpoint_freq
            )
    # Without a hold-out the last checkpoint is the one a user takes.
    by_checkpoint.setdefault("selected", by_checkpoint["last"])
    return {
        name: {checkpoint: results[name] for checkpoint, results in by_checkpoint.items()}
        for name in by_checkpoint["last"]
    }


def _image_paths(datamanager):
    """All frames a data manager of torchreid's will read."""
    tracklets = list(datamanager.train_loader.dataset.train)
    for subsets in datamanager.test_dataset.values():
        tracklets += [*subsets["query"], *subsets["gallery"]]
    return (path for paths, *_ in tracklets for path in paths)


def _cost(config, datamanager, model):
    clip = torch.zeros(1, config.video.seq_len, 3, config.data.height, config.data.width)
    if config.engine == "torchreid":
        clip = clip[0]  # torchreid's models take frames
    clip = clip.to(next(model.parameters()).device)
    train = config.train
    iterations = train.max_iter or len(datamanager.train_loader) * train.max_epoch
    seconds = seconds_per_clip(model, clip) * config.train.batch_size * iterations
    return {
        "parameters": count_parameters(model),
        "gmacs_per_clip": round(count_gmacs(model, clip), 3),
        "iterations": iterations,
        "estimated_training_seconds": round(seconds),
    }


def _cost_line(cost):
    duration = datetime.timedelta(seconds=cost["estimated_training_seconds"])
    return (
        f"{cost['parameters']:,} parameters, {cost['gmacs_per_clip']:.2f} GMACs a clip, "
        f"{cost['iterations']:,} iterations: training takes about {duration} on this machine."
    )


def _announce(cost, demo):
    logger.info(_cost_line(cost))
    if demo is not None and cost["estimated_training_seconds"] > 600:
        logger.warning(
            "This is the full recipe. Its small form, minutes on a CPU, is\n"
            "    python tools/main.py --config-file %s",
            demo,
        )
