"""Features: frames a second beside torchreid's engine, and the same on a CPU and on a GPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from gpu_parts.clock import free_memory, matrix_precision, median_seconds
from gpu_parts.day import REPOSITORY, Day, Save
from gpu_parts.loading import Loaders, tracklet_loaders
from torchreid_occ.config import load_config, plain
from torchreid_occ.data import ClipDataManager
from torchreid_occ.engine.extraction import TrackletFeatures
from torchreid_occ.engine.torchreid_backend import TorchreidTripletEngine
from torchreid_occ.models import build_model
from torchreid_occ.runs.builders import load_trained_model

IDENTITIES = 300
OURS = {"float32": "float32", "tf32": "float32", "bfloat16": "bfloat16"}  # by matrix precision


def extraction(day: Day, save: Save) -> None:
    """Measures both engines on the same tracklets from disk, and our model on frames in memory."""
    loaders = tracklet_loaders(day)
    found: dict[str, Any] = {
        "tracklets": loaders.tracklets, "frames": loaders.frames, "size": loaders.size,
        "workers": day.workers, "rows": [],
    }  # fmt: skip
    rates: dict[tuple[str, str], float] = {}
    features: dict[str, torch.Tensor] = {}
    steps = _engines(_model(loaders.size, day), loaders, day, features)
    for (engine, precision), (step, num_frames) in steps.items():
        seconds = _seconds(step, precision, 1 if day.tiny else 2)
        rates[engine, precision] = num_frames / seconds
        row = {"engine": engine, "precision": precision}
        found["rows"].append({**row, "frames_per_second": num_frames / seconds})
        save(found)
    found["cosine_to_torchreid"] = {
        name: F.cosine_similarity(features["torchreid"], features[name]).mean().item()
        for name in OURS
    }
    found["times_torchreids"] = {
        name: rates["torchreid_occ", name] / rates["torchreid", other]
        for name, other in (("float32", "float32"), ("tf32", "tf32"), ("bfloat16", "tf32"))
    }
    save(found)
    free_memory(day.device)


def _engines(
    model: Any, loaders: Loaders, day: Day, features: dict[str, torch.Tensor]
) -> dict[tuple[str, str], tuple[Callable[[], None], int]]:
    """What is timed, by engine and precision, and its number of frames.

    Features that engines extract from disk are left in `features`.
    """
    total = loaders.tracklets * loaders.frames
    theirs = _torchreid_engine(model, loaders.torchreid_data, day)
    clips = torch.rand(1 if day.tiny else 4, loaders.frames, 3, *loaders.size, device=day.device)

    def run_theirs() -> None:
        features["torchreid"] = theirs.extract(loaders.torchreid, "query").features

    def run_ours(name: str) -> None:
        extract = TrackletFeatures(model, day.use_gpu, precision=OURS[name])
        features[name] = extract(loaders.ours, "query")

    def compute(name: str) -> None:
        extract = TrackletFeatures(model, day.use_gpu, precision=OURS[name])
        with torch.inference_mode(), extract.precision.autocast():
            model(clips).cpu()

    steps: dict[tuple[str, str], tuple[Callable[[], None], int]] = {}
    for name in ("float32", "tf32"):
        steps["torchreid", name] = run_theirs, total
    for name in OURS:
        steps["torchreid_occ", name] = partial(run_ours, name), total
    for name in OURS:
        memory = clips.shape[0] * clips.shape[1]
        steps["torchreid_occ, frames in memory", name] = partial(compute, name), memory
    return steps


def agreement(day: Day, save: Save) -> None:
    """Compares features of one checkpoint on the CPU with those on the device.

    Weights are random, so that features of all tracklets are alike: the cosine of what is left
    once their mean is taken away says more.
    """
    size = (64, 32) if day.tiny else (256, 128)
    config = load_config(REPOSITORY / "configs/rfcnet.yaml")
    tree = plain(config)
    tree["data"].update(height=size[0], width=size[1])
    if day.tiny:
        tree["model"]["options"]["backbone"] = "resnet18_x0_5"
    options = tree["model"]["options"]
    torch.manual_seed(0)
    model = build_model("rfcnet", IDENTITIES, False, *size, **options)
    path = day.work / "agreement.pth"
    state = {"config": tree, "num_classes": IDENTITIES, "state_dict": model.state_dict()}
    torch.save(state, path)
    data = ClipDataManager(
        str(day.root), day.dataset, height=size[0], width=size[1], use_gpu=False, workers=0
    )
    loader = data.loader_of(data.test_dataset[day.dataset]["query"][: 4 if day.tiny else 16])
    on_cpu = TrackletFeatures(load_trained_model(path)[0], False)(loader, "on the CPU")
    found: dict[str, Any] = {"tracklets": len(on_cpu), "model": "rfcnet", "rows": []}
    for name, precision in OURS.items():
        model = load_trained_model(path)[0].to(day.device)
        with matrix_precision(name):
            extract = TrackletFeatures(model, day.use_gpu, precision=precision)
            features = extract(loader, "on the device")
        one, other = (part - on_cpu.mean(0) for part in (on_cpu, features))
        found["rows"].append(
            {
                "precision": name,
                "least_cosine": F.cosine_similarity(on_cpu, features).min().item(),
                "least_cosine_without_mean": F.cosine_similarity(one, other).min().item(),
                "relative_error": ((features - on_cpu).norm() / on_cpu.norm()).item(),
            }
        )
        save(found)


def _model(size: tuple[int, int], day: Day) -> Any:
    torch.manual_seed(0)
    backbone = "resnet18_x0_5" if day.tiny else "resnet50"
    model = build_model("baseline", IDENTITIES, False, *size, backbone=backbone)
    model.torchreid_loss = "triplet"  # answers as torchreid's engines expect it
    return model.to(day.device).eval()


def _torchreid_engine(model: Any, data: Any, day: Day) -> Any:
    optimizer = torch.optim.Adam(model.parameters(), 3e-4)
    engine = TorchreidTripletEngine(data, model, optimizer, use_gpu=day.use_gpu)
    engine.set_model_mode("eval")
    return engine


def _seconds(step: Callable[[], None], precision: str, rounds: int) -> float:
    """Median wall-clock seconds of work that ends on the CPU, once it is warm."""
    with torch.no_grad(), matrix_precision(precision):
        return median_seconds(step, "cpu", rounds)
