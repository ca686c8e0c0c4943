"""Training steps of the papers' configurations: seconds, memory, and the wait for data."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gpu_parts.clock import free_memory, matrix_precision, median_seconds, synchronize
from gpu_parts.day import REPOSITORY, Day, Save
from torchreid_occ.completion.builders import build_completion_engine
from torchreid_occ.completion.data import CompletionDataManager, CompletionItems, ItemOptions
from torchreid_occ.config import config_of, load_config, plain
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.phases import phase_configs

PRECISIONS = ("float32", "tf32", "bfloat16")
IMAGES = {"video": {"seq_len": 1}, "train": {"batch_size": 64}}
# RFCnet's Tables 8 and 9: percent over the baseline of a training step and of inference.
TABLES = {
    "Table 8, images": ("baseline, images", "rfcnet, images", (8.3, 8.2)),
    "Table 9, clips of 4 frames": ("baseline", "rfcnet", (16.0, 24.0)),
}
TINY = {
    "data": {"height": 64, "width": 32, "workers": 0},
    "train": {"batch_size": 4},
    "sampler": {"num_instances": 2},
    "video": {"seq_len": 2, "stride": 2},
}
TINY_COMPLETION = {
    "height": 32,
    "width": 16,
    "generator": {"width": 4},
    "discriminator": {"channels": [4, 8, 8, 8, 8, 8]},
}


@dataclass
class Case:
    """A configuration whose training steps are measured.

    Attributes:
        file: Its file below ``configs``.
        phase: The one of its phases, or None.
        changes: Keys that are changed at full size, too.
        loads: Whether its loader is measured.
        tiny: Options of the model in the small form.
    """

    file: str
    phase: str | None = None
    loads: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    tiny: dict[str, Any] = field(default_factory=lambda: {"backbone": "resnet18_x0_5"})


CASES = {
    "baseline": Case("baseline_resnet50.yaml", loads=True),
    "rfcnet": Case("rfcnet.yaml", loads=True),
    "vrstc, re-ID": Case("vrstc.yaml", "reid"),
    "vrstc, STCnet": Case("vrstc.yaml", "stcnet", loads=True),
    "rru_stim": Case(
        "rru_stim.yaml", loads=True, tiny={"backbone": "resnet18_x0_5", "auxiliary": "none"}
    ),
    "trl_st2n, align": Case("trl_st2n.yaml", "align", tiny={"backbone": "googlenet"}),
    "trl_st2n, joint": Case("trl_st2n.yaml", "joint", loads=True, tiny={"backbone": "googlenet"}),
    "vrstc, pretrain": Case("vrstc.yaml", "pretrain"),
    "baseline, images": Case("baseline_resnet50.yaml", changes=IMAGES),
    "rfcnet, images": Case("rfcnet_image.yaml"),
}


def training(day: Day, save: Save) -> None:
    """Measures steps of each configuration in each precision, and the cost of RFCnet's blocks."""
    found: dict[str, Any] = {"dataset": day.dataset, "workers": day.workers, "rows": []}
    for name, case in CASES.items():
        if day.seconds_left() < 15:
            found["rows"].append({"name": name, "left_out": "no time was left"})
            continue
        for row in _rows_of(case, day):
            found["rows"].append({"name": name, **row})
            save(found)
    found["overhead"] = _overhead(found["rows"])
    save(found)


def _rows_of(case: Case, day: Day) -> Iterator[dict[str, Any]]:
    """A row for each precision; what fails is a row with the reason."""
    config = configuration(case, day)
    manager = _data_of(config, day)
    if case.loads:
        batch, loader = _loader_numbers(manager, day)
    else:
        manager.set_epoch(0)
        batch, loader = next(iter(manager.train_loader)), {}
    for precision in PRECISIONS if day.use_gpu else ("float32", "bfloat16"):
        try:
            with (
                matrix_precision(precision),
                _engine_of(config, precision, day, manager) as engine,
            ):
                row = _measure(engine, batch, loader, day)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            row = {"failed": f"{type(error).__name__}: {error}"[-800:]}
        yield {"precision": precision, **row}


def _data_of(config: Any, day: Day) -> Any:
    """The data manager of a configuration; for completion, no frame counts as occluded."""
    if config.task != "train_completion":
        return backend_of(config).build_datamanager()
    own = config.completion
    tracklets = tracklets_of(load_dataset(day.dataset, config.data.root))
    options = ItemOptions(
        own.height, own.width, config.train.seed, own.max_masked, own.max_gap,
        config.data.interpolation,
    )  # fmt: skip
    parts = [
        CompletionItems(items, [np.zeros((len(item[0]), 3), bool) for item in items], options)
        for items in (tracklets["train"], tracklets["query"])
    ]
    return CompletionDataManager(*parts, config.train.batch_size, config.data.workers, day.use_gpu)


def configuration(case: Case, day: Day) -> Any:
    """The configuration of a case on OccWalk, from random weights."""
    config = load_config(REPOSITORY / "configs" / case.file)
    if case.phase:
        config = phase_configs(config)[case.phase]
    tree = plain(config)
    for changes in (case.changes, TINY if day.tiny else {"data": {"workers": day.workers}}):
        for section, values in changes.items():
            tree[section].update(values)
    tree["model"].update(pretrained=False, start_from="", load_weights="")
    if day.tiny:
        tree["model"]["options"].update(case.tiny)
        tree["completion"].update(TINY_COMPLETION if tree["task"] == "train_completion" else {})
    data = {"root": str(day.root), "sources": [day.dataset], "targets": [], "options": {}}
    tree["data"].update(data, save_dir=str(day.work / "training"))
    tree["test"]["select"] = "last"
    tree["use_gpu"] = day.use_gpu
    return config_of(tree)


@contextmanager
def _engine_of(config: Any, precision: str, day: Day, manager: Any) -> Iterator[Any]:
    """The engine of a configuration in a precision, ready to train; its memory is freed after."""
    tree = plain(config)
    tree["train"]["precision"] = "float32" if precision == "tf32" else precision
    config = config_of(tree)
    torch.manual_seed(0)
    if config.task == "train_completion":
        engine = _completion_engine(config, day, manager)
    else:
        backend = backend_of(config)
        model, _ = backend.build_model(manager.num_train_pids, False)
        engine = backend.build_engine(manager, model, {})
    engine.epoch = engine.batch_idx = engine.num_batches = 0
    engine.max_epoch, engine.save_dir = 1, config.data.save_dir
    engine.set_model_mode("train")
    try:
        yield engine
    finally:
        del engine
        free_memory(day.device)


def _completion_engine(config: Any, day: Day, manager: Any) -> Any:
    """STCnet with its discriminators and a guider of random weights."""
    guider_config = configuration(CASES["vrstc, pretrain"], day)
    guider, _ = backend_of(guider_config).build_model(manager.num_pids, False)
    path = day.work / "guider.pth"
    state = {"config": plain(guider_config), "num_classes": manager.num_pids}
    torch.save({**state, "state_dict": guider.state_dict()}, path)
    tree = plain(config)
    tree["completion"]["guider"] = str(path)
    return build_completion_engine(config_of(tree), manager)


def _loader_numbers(manager: Any, day: Day) -> tuple[Any, dict[str, Any]]:
    """A batch, and how fast the loader gives others when nothing else is done.

    Workers start in a first epoch; a second one is timed from its start to its last batch.
    """
    manager.set_epoch(0)
    batch, *_ = manager.train_loader
    manager.set_epoch(1)
    start = time.perf_counter()
    count = sum(1 for _ in manager.train_loader)
    seconds = (time.perf_counter() - start) / count
    rate = len(batch["img"]) / seconds
    return batch, {"loader_seconds_a_batch": seconds, "loader_clips_per_second": rate}


def _measure(engine: Any, batch: Any, loader: dict[str, Any], day: Day) -> dict[str, Any]:
    """Steps on one batch over and over; the rest of the loader's seconds would be waited for."""
    if day.use_gpu:
        torch.cuda.reset_peak_memory_stats()
    step = _step_seconds(lambda: engine.forward_backward(batch), day.device, 1 if day.tiny else 5)
    images = batch["img"]
    row: dict[str, Any] = {"step_seconds": step, "clips": len(images), "shape": [*images.shape]}
    if day.use_gpu:
        row["peak_mebibytes"] = torch.cuda.max_memory_allocated() / 2**20
    row |= loader
    if loader:
        row["waiting_share"] = max(0.0, 1 - step / loader["loader_seconds_a_batch"])
    if hasattr(engine, "network"):
        row["inference_seconds"] = _inference_seconds(engine, images, day)
    return row


def _step_seconds(step: Callable[[], object], device: str, rounds: int) -> float:
    """Median of steps that each end before the next begins, as losses are read after each."""
    times = []
    for count in range(rounds + (3 if device == "cuda" else 1)):
        synchronize(device)
        start = time.perf_counter()
        step()
        synchronize(device)
        if count >= (3 if device == "cuda" else 1):
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _inference_seconds(engine: Any, clips: torch.Tensor, day: Day) -> float:
    """Seconds of the model's features of a training batch."""
    clips = clips.to(day.device)
    engine.set_model_mode("eval")

    def infer() -> None:
        with torch.inference_mode(), engine.precision.autocast():
            engine.model(clips)

    return median_seconds(infer, day.device, 1 if day.tiny else 5)


def _overhead(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Percent that RFCnet's blocks add, beside the papers' tables."""
    seconds = {(row["name"], row.get("precision")): row for row in rows if "step_seconds" in row}
    found = []
    for table, (base, blocks, paper) in TABLES.items():
        for precision in PRECISIONS:
            one, other = seconds.get((base, precision)), seconds.get((blocks, precision))
            if one is None or other is None:
                continue
            keys = ("step_seconds", "inference_seconds")
            measured = [100 * (other[key] / one[key] - 1) for key in keys]
            own = {"table": table, "precision": precision, "paper_percent": list(paper)}
            found.append({**own, "training_percent": measured[0], "inference_percent": measured[1]})
    return found
