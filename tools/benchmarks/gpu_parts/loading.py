"""Loaders of whole tracklets, torchreid's and ours, and how fast each is when nothing computes."""

import itertools
import resource
import time
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader

from gpu_parts.day import Day, Save
from torchreid_occ._torchreid import torchreid
from torchreid_occ.data import ClipDataManager

FRAMES = 60  # a tracklet, as a query of Occluded-DukeMTMC-VideoReID has on average


@dataclass
class Loaders:
    """The same tracklets in both libraries.

    Attributes:
        tracklets: How many there are.
        frames: Frames of each.
        size: Height and width of a frame as it is loaded.
        torchreid_data: The data manager of torchreid's loader.
        torchreid: Loads a tracklet a batch.
        ours: Loads four tracklets a batch.
    """

    tracklets: int
    frames: int
    size: tuple[int, int]
    torchreid_data: Any
    torchreid: DataLoader[Any]
    ours: DataLoader[Any]


def tracklet_loaders(day: Day) -> Loaders:
    """Builds both loaders, of so many tracklets that the start of workers is a small part."""
    size = (64, 32) if day.tiny else (256, 128)
    count, frames = (2, 4) if day.tiny else (256, FRAMES)
    data = ClipDataManager(
        str(day.root), day.dataset, height=size[0], width=size[1], use_gpu=day.use_gpu,
        workers=day.workers,
    )  # fmt: skip
    items = _repeated(data.test_dataset[day.dataset]["query"], count, frames)
    torchreid_data = torchreid.data.VideoDataManager(
        root=str(day.root), sources=day.dataset, batch_size_test=1, height=size[0], width=size[1],
        sample_method="all", workers=day.workers, use_gpu=day.use_gpu,
    )  # fmt: skip
    loader = torchreid_data.test_loader[day.dataset]["query"]
    loader.dataset.data = items
    return Loaders(len(items), frames, size, torchreid_data, loader, data.loader_of(items))


def loading(day: Day, save: Save) -> None:
    """Measures both loaders, in turns; batches are dropped.

    The processor's time tells decoding from waiting: as long as its milliseconds a frame over the
    number of cores are less than those of the clock, cores are not what is missing.
    """
    loaders = tracklet_loaders(day)
    found: dict[str, Any] = {
        "tracklets": loaders.tracklets, "frames": loaders.frames, "size": loaders.size,
        "workers": day.workers, "rows": [],
    }  # fmt: skip
    for _ in range(1 if day.tiny else 3):
        for name, loader in (("torchreid", loaders.torchreid), ("torchreid_occ", loaders.ours)):
            found["rows"].append({"loader": name, **_measured(loader)})
            save(found)


def _measured(loader: DataLoader[Any]) -> dict[str, float]:
    own, workers, start = (*_processor_seconds(), time.perf_counter())
    first, frames = None, 0
    for batch in loader:
        first = first or time.perf_counter() - start
        frames += batch["img"].shape[:2].numel()
    assert first is not None
    seconds = time.perf_counter() - start
    own_end, workers_end = _processor_seconds()
    return {
        "frames_per_second": frames / seconds,
        "seconds_to_first_batch": first,
        "worker_milliseconds_a_frame": 1e3 * (workers_end - workers) / frames,
        "own_milliseconds_a_frame": 1e3 * (own_end - own) / frames,
    }


def _processor_seconds() -> tuple[float, float]:
    """Seconds of the processor that this process and its ended children have used."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own, children = (usage.ru_utime + usage.ru_stime for usage in used)
    return own, children


def _repeated(tracklets: list[tuple], count: int, frames: int) -> list[tuple]:
    """Tracklets repeated up to a count, and their frames up to a number."""
    return [
        (tuple(itertools.islice(itertools.cycle(paths), frames)), *labels)
        for paths, *labels in itertools.islice(itertools.cycle(tracklets), count)
    ]
