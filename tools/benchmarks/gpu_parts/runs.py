"""Whole runs: resumed across devices, systems compared on OccWalk, real tracklets."""

import itertools
import time
from typing import Any

import torch

from gpu_parts.clock import free_memory
from gpu_parts.day import REPOSITORY, Day, Save
from torchreid_occ.config import config_of, load_config, plain
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.utils.checkpoint import latest_checkpoint, load_checkpoint

SYSTEMS = {"baseline": "compare/baseline.yaml", "rfcnet": "compare/rfcnet.yaml"}
REAL = {
    "baseline": "real/baseline.yaml",
    "quality weighting": "real/qan.yaml",
    "rfcnet without clues": "real/rfcnet_without_clues.yaml",
}
SMALL = {
    "data": {"height": 64, "width": 32, "workers": 0},
    "model": {"options": {"backbone": "resnet18_x0_5"}},
    "video": {"seq_len": 2, "stride": 2},
    "train": {"batch_size": 8, "checkpoint_freq": 1},
    "sampler": {"num_instances": 2},
    "test": {"select": "last"},
}
MOST_EPOCHS = 60
SEEDS = 3


def resume(day: Day, save: Save) -> None:
    """Trains two epochs on the CPU, one on the device and one on the CPU again, beside a CPU run.

    The run goes on from each checkpoint; weights and losses after it stay near those of the run
    that never left the CPU.
    """
    folder = day.work / f"resume-{time.time_ns()}"
    changes: dict[str, Any] = {**SMALL, "train": {**SMALL["train"], "max_epoch": 4}}
    whole = _configuration("baseline_resnet50.yaml", day, folder / "whole", changes, "occwalk_tiny")
    run_experiment(_changed(whole, {"use_gpu": False}))
    expected = _weights(folder / "whole")
    found: dict[str, Any] = {"steps": []}
    for epochs, use_gpu in ((2, False), (3, day.use_gpu), (4, False)):
        parts = {"use_gpu": use_gpu, "train": {"max_epoch": epochs}}
        own = {"data": {"save_dir": str(folder / "moved")}}
        results = run_experiment(_changed(whole, {**parts, **own}), resume=epochs > 2)
        found["steps"].append(
            {"epochs": results["epochs"], "gpus": results["hardware"]["gpus"], "gpu": use_gpu}
        )
        save(found)
    moved = _weights(folder / "moved")
    distance = (moved - expected).norm() / expected.norm()
    found["relative_distance_of_weights"] = distance.item()
    found["is_equal"] = bool(torch.equal(moved, expected))
    save(found)


def comparison(day: Day, save: Save) -> None:
    """Trains the papers' baseline and RFCnet on OccWalk for as many epochs as fit."""
    _train_all(SYSTEMS, 1, _comparison_configuration, day, save)


def real(day: Day, save: Save) -> None:
    """Trains systems without clues on real tracklets for as many epochs and seeds as fit.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if day.real is None:
        save({"left_out": "no folder of real tracklets was given (--real)"})
        return
    if not (day.real / "mars").is_dir():
        raise FileNotFoundError(f"{day.real} holds no folder mars")
    _train_all(REAL, SEEDS, _real_configuration, day, save)


def _train_all(systems: dict[str, str], seeds: int, configure: Any, day: Day, save: Save) -> None:
    """Trains systems one after the other, one seed after the other, as long as time is left.

    The number of epochs follows from a few steps of each system, so that one seed of all takes
    about the time that there is, and no more than MOST_EPOCHS.
    """
    began = time.monotonic()
    seconds = min(day.run_seconds, day.seconds_left() - 10)
    found: dict[str, Any] = {"rows": [], "seconds": seconds}
    costs = {name: _costs(configure(file, 1, 1, day), day) for name, file in systems.items()}
    found["estimated"] = costs
    save(found)
    test = sum(cost["test_seconds"] for cost in costs.values())
    epoch = sum(cost["epoch_seconds"] for cost in costs.values())
    left = seconds - (time.monotonic() - began)
    epochs = 1 if day.tiny else max(0, min(MOST_EPOCHS, int((0.85 * left - test) / epoch)))
    found["epochs"] = epochs
    save(found)
    if not epochs:
        found["left_out"] = f"{left:.0f} s are too little for one epoch of each system"
        save(found)
        return
    for seed in range(1, 1 + (1 if day.tiny else seeds)):
        need = 0.0 if seed == 1 else 1.1 * (epochs * epoch + test)
        if seconds - (time.monotonic() - began) < need:
            break
        for name, file in systems.items():
            start = time.monotonic()
            results = run_experiment(configure(file, seed, epochs, day))
            row = {"system": name, "seed": seed, "seconds": time.monotonic() - start}
            found["rows"].append({**row, "targets": _scores(results)})
            save(found)
            free_memory(day.device)


def _comparison_configuration(file: str, seed: int, epochs: int, day: Day) -> Any:
    changes = _schedule(day, seed, epochs)
    changes["train"]["batch_size"] = 6 if day.tiny else 24
    return _configuration(file, day, _folder(day, "comparison"), changes, day.dataset)


def _real_configuration(file: str, seed: int, epochs: int, day: Day) -> Any:
    changes = _schedule(day, seed, epochs)
    changes["train"]["batch_size"] = 8 if day.tiny else 32
    changes["sampler"] = {"num_instances": 2 if day.tiny else 4}
    changes["data"]["root"] = str(day.real)
    if not day.tiny:  # as the rows have it: EfficientNet-Lite0 from ImageNet
        changes["model"] = {"pretrained": "auto", "options": {"backbone": "efficientnet_lite0"}}
    return _configuration(file, day, _folder(day, "real"), changes, "mars")


def _folder(day: Day, part: str) -> Any:
    return day.work / part / str(time.time_ns())


def _schedule(day: Day, seed: int, epochs: int) -> dict[str, Any]:
    """ResNet-50 at 256x128 from random weights, in bfloat16; the rate falls after two thirds."""
    size = {"height": 64, "width": 32} if day.tiny else {"height": 256, "width": 128}
    return {
        "data": {**size, "workers": day.workers, "targets": []},
        "model": {"options": {"backbone": "resnet18_x0_5" if day.tiny else "resnet50"}},
        "train": {
            "seed": seed, "max_epoch": epochs, "stepsize": [max(1, 2 * epochs // 3)],
            "precision": "bfloat16", "checkpoint_freq": 1000,
        },
        "video": {"seq_len": 2 if day.tiny else 4},
        "test": {"select": "last", "precision": "bfloat16", "batch_size": 16, "eval_freq": -1},
    }  # fmt: skip


def _configuration(
    file: str, day: Day, save_dir: Any, changes: dict[str, Any], dataset: str
) -> Any:
    tree = plain(load_config(REPOSITORY / "configs" / file))
    tree["model"]["pretrained"] = False
    tree["data"].update(root=str(day.root), sources=[dataset], targets=[dataset])
    tree["data"]["save_dir"] = str(save_dir)
    tree["use_gpu"] = day.use_gpu
    own = {**changes, "data": {**changes.get("data", {}), "targets": [dataset]}}
    return _changed(config_of(tree), own)


def _changed(config: Any, changes: dict[str, Any]) -> Any:
    """A configuration with other values; nested dicts are changed key by key."""
    tree = plain(config)

    def change(below: dict[str, Any], values: dict[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                change(below[key], value)
            else:
                below[key] = value

    change(tree, changes)
    return config_of(tree)


def _costs(config: Any, day: Day) -> dict[str, float]:
    """Seconds of an epoch and of a test, from a few batches of each."""
    backend = backend_of(config)
    manager = backend.build_datamanager()
    model, _ = backend.build_model(manager.num_train_pids)
    engine = backend.build_engine(manager, model, {})
    engine.epoch = engine.batch_idx = engine.num_batches = 0
    engine.max_epoch, engine.save_dir = 1, config.data.save_dir
    engine.set_model_mode("train")
    manager.set_epoch(0)
    many = len(manager.train_loader)
    used = min(many, 15)
    for number, batch in enumerate(itertools.islice(manager.train_loader, used)):
        if number == min(3, used - 1):  # workers and kernels are warm
            start = time.monotonic()
        engine.forward_backward(batch)
    epoch = (time.monotonic() - start) / (used - min(3, used - 1)) * many
    engine.set_model_mode("eval")
    (subsets,) = manager.test_dataset.values()
    items = [*subsets["query"], *subsets["gallery"]]
    few, more = (4, 8) if day.tiny else (32, 160)
    times = []
    for count in (few, few, more):  # the first call warms up, workers start in each
        engine.extract(manager.loader_of(items[:count]), "some tracklets")
        times.append(time.monotonic())
    fixed, whole = times[1] - times[0], times[2] - times[1]
    test = fixed + max(0.0, whole - fixed) / (more - few) * len(items)
    del engine, model
    free_memory(day.device)
    return {"epoch_seconds": epoch, "test_seconds": test}


def _scores(results: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"mAP": by["last"]["mAP"], "rank1": by["last"]["cmc"][1]}
        for name, by in results["targets"].items()
    }


def _weights(folder: Any) -> torch.Tensor:
    """All weights of a run's latest checkpoint, in one row."""
    state = load_checkpoint(latest_checkpoint(folder))["state_dict"]
    return torch.cat([value.double().flatten() for value in state.values()])
