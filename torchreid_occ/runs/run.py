"""Runs one configuration: trains, tests, and writes results with what they can be traced by."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from yacs.config import CfgNode

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import StrPath
from torchreid_occ.config import plain
from torchreid_occ.engine.backend import Backend, Outcome, use_gpu
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.folder import check_save_dir, write_config, write_results
from torchreid_occ.runs.readiness import check_files, check_test
from torchreid_occ.utils.checkpoint import latest_checkpoint, load_checkpoint
from torchreid_occ.utils.complexity import count_gmacs, count_parameters, seconds_per_clip
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.logs import logger, logging_to
from torchreid_occ.utils.processes import is_first_process, process_count, wait_for_all

LONG_TRAINING = 600  # seconds above which the small form of a configuration is named


class Cost(NamedTuple):
    """What a training costs.

    Attributes:
        parameters: Number of parameters, as the papers count them.
        gmacs_per_clip: Billions of multiply-adds of a clip.
        iterations: Training steps.
        estimated_training_seconds: On this machine.
    """

    parameters: int
    gmacs_per_clip: float
    iterations: int
    estimated_training_seconds: int

    def __str__(self) -> str:
        if not self.iterations:
            return f"{self.parameters:,} parameters, {self.gmacs_per_clip:.2f} GMACs a clip."
        duration = datetime.timedelta(seconds=self.estimated_training_seconds)
        return (
            f"{self.parameters:,} parameters, {self.gmacs_per_clip:.2f} GMACs a clip, "
            f"{self.iterations:,} iterations: training takes about {duration} on this machine."
        )


def run_experiment(
    config: CfgNode,
    resume: bool = False,
    demo: StrPath | None = None,
    backend: Backend | None = None,
) -> dict[str, Any]:
    """Trains and tests a configuration.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
        resume: Continue the run in ``data.save_dir``.
        demo: The configuration to name as the small form if the training will be long.
        backend: Builds and runs the parts; the configured one if None.

    Returns:
        The content of ``<save_dir>/results.json``.

    Raises:
        FileExistsError: If ``data.save_dir`` holds a run that is not to be continued.
        ValueError: If the run to be continued was started with another configuration, or the
            engine cannot continue a run or train in several processes, or a target can't be
            tested. If one fails in the test, ``results.json`` is written with the others first.
    """
    backend = backend_of(config) if backend is None else backend
    backend.check_parts()
    check_files(config)
    _check_engine(config, backend, resume)
    check_save_dir(config, resume)
    save_dir = Path(config.data.save_dir)
    wait_for_all()  # the check must not see files that another process writes for this run
    with logging_to(save_dir):
        if is_first_process():
            write_config(config)
        torchreid.utils.set_random_seed(config.train.seed)
        datamanager = backend.build_datamanager()
        check_test(config, datamanager)
        backend.verify(datamanager)
        resumed = latest_checkpoint(save_dir) if resume else None
        num_classes = _num_classes(config, datamanager)
        model, start = _build_model(backend, num_classes, resumed)
        cost = _cost(backend, datamanager, model.cuda() if use_gpu(config) else model)
        _announce(cost, demo)
        metadata = {"config": plain(config), "num_classes": num_classes, **start}
        done = backend.run(backend.build_engine(datamanager, model, metadata), save_dir)
        results = _results(config, done, start, cost)
        if is_first_process():
            logger.info("Results are in %s.", write_results(save_dir, results))
        wait_for_all()
        for error in done.failed.values():
            raise error
    return results


def _results(
    config: CfgNode, done: Outcome, start: Mapping[str, Any], cost: Cost
) -> dict[str, Any]:
    """Returns the content of results.json."""
    return {
        "targets": done.targets,
        **_failures(done.failed),
        "epochs": done.epochs,
        "selected_epoch": done.selected_epoch,
        **start,
        "cost": cost._asdict(),
        "seed": config.train.seed,
        "seconds": round(done.seconds, 1),
        "training_seconds": round(done.training_seconds, 1),
        "inference": {
            "frames": done.inference.frames,
            "seconds": round(done.inference.seconds, 3),
            "frames_per_second": round(done.inference.frames_per_second, 1),
            "backend": done.inference.backend,
            "precision": done.inference.precision,
            "stages": dict(done.inference.stages),
        },
        "versions": versions(),
        "hardware": {**hardware(use_gpu(config)), "processes": process_count()},
        "config": plain(config),
    }


def describe(config: CfgNode) -> str:
    """Returns the resolved configuration and its cost as text; trains and writes nothing.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
    """
    backend = backend_of(config)
    backend.check_parts()
    datamanager = backend.build_datamanager()
    # Weights change no cost, but would have to be downloaded.
    model, _ = backend.build_model(_num_classes(config, datamanager), False)
    return f"{config.dump()}\n{_cost(backend, datamanager, model)}"


def _num_classes(config: CfgNode, datamanager: Any) -> int:
    """Returns the number of training identities; a test alone takes that of its checkpoint."""
    if datamanager.num_train_pids or not config.model.load_weights:
        return max(1, int(datamanager.num_train_pids))
    content = load_checkpoint(config.model.load_weights)
    known = content.get("num_classes") if isinstance(content, dict) else None
    return known if isinstance(known, int) else 1


def _failures(failed: Mapping[str, Exception]) -> dict[str, dict[str, str]]:
    """Returns what results.json says of targets that could not be tested; nothing of others."""
    return {"failed": {name: _reason(error) for name, error in failed.items()}} if failed else {}


def _reason(error: Exception) -> str:
    """Returns the message of an error; of one in a worker process, the last line of its trace."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _build_model(
    backend: Backend, num_classes: int, resumed: Path | None
) -> tuple[nn.Module, dict[str, Any]]:
    """Builds the model and says what it starts from.

    The checkpoint of a resumed run, which says so too, will take the place of other weights.
    """
    if resumed is not None:
        state = load_checkpoint(resumed, needed=("pretrained",))
        # Checkpoints of 0.2.0 do not have the origin of the weights.
        start = {"pretrained": state["pretrained"], "initial_weights": state.get("initial_weights")}
        return backend.build_model(num_classes, False).model, start
    built = backend.build_model(num_classes)
    origin = backend.origin_of(built)
    return built.model, {
        "pretrained": built.pretrained,
        "initial_weights": None if origin is None else origin._asdict(),
    }


def _check_engine(config: CfgNode, backend: Backend, resume: bool) -> None:
    if backend.one_process and process_count() > 1:
        raise ValueError(
            f"engine {config.engine!r} is torchreid as it is, which trains in one process."
        )
    if resume and not backend.can_resume and Path(config.data.save_dir, "config.yaml").exists():
        raise ValueError(
            f"engine {config.engine!r} is torchreid as it is, which can't resume a run."
        )


def _cost(backend: Backend, datamanager: Any, model: nn.Module) -> Cost:
    data, train = backend.config.data, backend.config.train
    clips = torch.zeros(1, backend.config.video.seq_len, 3, data.height, data.width)
    clip = backend.model_input(clips).to(next(model.parameters()).device)
    iterations = 0
    if not backend.tests_only:
        iterations = train.max_iter or len(datamanager.train_loader) * train.max_epoch
    seconds = seconds_per_clip(model, clip) * train.batch_size * iterations
    return Cost(
        parameters=count_parameters(model),
        gmacs_per_clip=round(count_gmacs(model, clip), 3),
        iterations=iterations,
        estimated_training_seconds=round(seconds),
    )


def _announce(cost: Cost, demo: StrPath | None) -> None:
    logger.info("%s", cost)
    if demo is not None and cost.estimated_training_seconds > LONG_TRAINING:
        logger.warning(
            "This is the full recipe. Its small form, which takes minutes on a CPU, is %s.", demo
        )
