"""Extracts units to a folder of Parquet files; a killed call is continued by the same call."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.embedders import Provenance
from torchreid_occ.extraction.cluster import extract_on_cluster
from torchreid_occ.extraction.units import Unit, VideoUnit
from torchreid_occ.extraction.work import (
    PLAN,
    SUFFIX,
    Outcome,
    Settings,
    UnitExtractor,
    part_of,
)
from torchreid_occ.extraction.work import threads as computing_threads
from torchreid_occ.utils.files import claim_folder, file_hash, remove_partial_files
from torchreid_occ.utils.locks import try_lock
from torchreid_occ.utils.progress import progress

_OF_A_VIDEO = ("camera", "frame_rate")  # options that each video has its own of


class Extracted(NamedTuple):
    """What an extraction did.

    Attributes:
        tracklets: Number of tracklets extracted.
        before: Number of units that earlier calls had done.
        empty: Units whose videos show nobody for long enough.
        failed: Units without a part, and why; the same call tries them again.
        provenance: What the checkpoint was trained on and how well it did.
    """

    tracklets: int
    before: int
    empty: list[str]
    failed: list[Outcome]
    provenance: Provenance


def extract_to_parquet(
    folder: StrPath,
    checkpoint: StrPath,
    units: Sequence[Unit],
    *,
    ray: str | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    backend: str | None = None,
    precision: str | None = None,
) -> Extracted:
    """Writes a Parquet file for each unit that has none yet, by this process or a Ray cluster.

    A file appears once it is complete and is the record of what is done. One process and any
    cluster write the same bytes if processors, versions and `threads` are the same. Which columns
    there are says `write_feature_table`.

    Args:
        folder: Folder of the files; created if missing.
        checkpoint: A checkpoint, see `TrackletExtractor`.
        units: The units, from `folder_units` and `video_units`.
        ray: Address of a Ray cluster, see `extract_on_cluster`; None for this process.
        threads: Threads that compute on a CPU; PyTorch's number if None.
        batch_size: See `TrackletExtractor`.
        workers: See `TrackletExtractor`.
        backend: See `TrackletExtractor`.
        precision: See `TrackletExtractor`.

    Raises:
        ConnectionError: If there is no cluster at the address.
        FileNotFoundError: If there is no such checkpoint.
        ImportError: If pyarrow or Ray is not installed.
        ValueError: If there are no units, or the folder holds other files, parts of other units or
            those of other settings.
    """
    if not units:
        raise ValueError("There is nothing to extract: name folders of tracklets, or videos.")
    folder = Path(folder).expanduser().absolute()
    settings = Settings(
        folder=str(folder),
        checkpoint=str(checkpoint),
        checkpoint_hash="",
        threads=threads or torch.get_num_threads(),
        batch_size=batch_size,
        workers=workers,
        backend=backend,
        precision=precision,
        use_gpu=False if ray else None,  # the cluster's devices compute
    )
    with computing_threads(settings.threads):
        own = UnitExtractor(settings)
        extractor = own.extractor
        settings = settings._replace(
            checkpoint=str(extractor.checkpoint.absolute()),
            checkpoint_hash=extractor.checkpoint_hash,
            use_gpu=None,
        )
        with _claimed(folder, _plan(settings, extractor.config.test, units), units):
            missing = [unit for unit in units if not part_of(settings.folder, unit).exists()]
            outcomes: Iterable[Outcome] = map(own, missing)
            if ray and missing:
                outcomes = extract_on_cluster(missing, settings, ray)
            found = [*progress(outcomes, "extracting", len(missing), "unit")]
            remove_partial_files(folder)  # of nodes that failed
    return Extracted(
        tracklets=sum(outcome.tracklets for outcome in found),
        before=len(units) - len(missing),
        empty=[each.label for each in found if not each.error and not each.tracklets],
        failed=[outcome for outcome in found if outcome.error],
        provenance=extractor.provenance,
    )


def _plan(settings: Settings, test: CfgNode, units: Sequence[Unit]) -> dict[str, Any]:
    """Describes what all parts have in common."""
    plan: dict[str, Any] = {
        "checkpoint": settings.checkpoint_hash,
        "number of threads": settings.threads,
        "batch size": test.batch_size,
        "backend": test.backend,
        "precision": test.precision,
    }
    videos = [unit for unit in units if isinstance(unit, VideoUnit)]
    if videos:
        options = videos[0].options._asdict()
        plan["footage"] = videos[0].footage
        plan["choice of tracklets"] = {
            key: options[key] for key in options if key not in _OF_A_VIDEO
        }
    detectors = {unit.source for unit in videos if unit.source.detector}
    for source in detectors:
        plan["detector"], plan["weights"] = (
            file_hash(one) if one and Path(one).is_file() else one
            for one in (source.detector, source.weights)
        )
    return plan


@contextmanager
def _claimed(folder: Path, plan: Mapping[str, Any], units: Sequence[Unit]) -> Iterator[None]:
    """Locks the folder of the parts, and checks that they are those of this extraction."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise ValueError(f"Another process is extracting to {folder}: wait for it.")
        claim_folder(folder, plan, "table of features", PLAN)
        expected = {part_of(str(folder), unit) for unit in units}
        others = sorted({*folder.glob(f"*{SUFFIX}")} - expected)
        if others:
            raise ValueError(
                f"{folder} holds {len(others)} parts of other videos or tracklets, such as "
                f"{others[0].name}: name those, too, remove the parts, or choose another folder."
            )
        yield
    finally:
        os.close(handle)
