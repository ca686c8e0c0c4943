"""Occludes a dataset by name: loads it, finds occluders and makes the copy."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.copies import Source, load_source
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.ground_truth import ground_truth_of
from torchreid_occ.data.tracklets import tracklets_of
from torchreid_occ.occlusion.bodies import BodyMasks
from torchreid_occ.occlusion.cutouts import check_donors, find_donors
from torchreid_occ.occlusion.dataset import Occluded, source_masks
from torchreid_occ.occlusion.make import CopyPlan, make_copy
from torchreid_occ.occlusion.protocol import Protocol
from torchreid_occ.occlusion.report import write_report
from torchreid_occ.occlusion.sources import OccluderSource, People
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.documents import read_json_lines
from torchreid_occ.utils.logs import logger


def occlude_dataset(
    name: str,
    root: StrPath,
    folder: StrPath,
    *,
    split_id: int = 0,
    dataset_options: Mapping[str, Any] | None = None,
    masks: StrPath = "",
    parts: Sequence[str] = ("query", "gallery", "train"),
    protocol: Protocol | None = None,
    seed: int = 0,
    workers: int = 2,
) -> Path:
    """Makes an occluded copy of a dataset; a killed call is continued by the same call.

    Args:
        name: Name of the dataset.
        root: Folder that holds the datasets.
        folder: Folder of the copy: a new one, or that of a killed call.
        split_id: Split of the dataset.
        dataset_options: Further arguments of the dataset's constructor.
        masks: Folder that `torchreid-occ annotate` wrote; empty for the dataset's own masks.
        parts: Which of 'query', 'gallery' and 'train' are occluded.
        protocol: How much of them; the default shares if None.
        seed: Seed of the copy, not negative.
        workers: Processes that occlude tracklets.

    Returns:
        Path of the page with its statistics.

    Raises:
        FileNotFoundError: If the dataset or the masks are not there.
        ValueError: If the dataset has no masks or occluders already, too few people can be cut out,
            or the folder holds something else.
    """
    for part in parts:
        check_choice("part", part, SUBSETS)
    if seed < 0:
        raise ValueError(f"Received seed={seed}, but it must not be negative.")
    source = Source(name=name, split_id=split_id, options=dict(dataset_options or {}))
    dataset = load_source(source, root)
    truth = ground_truth_of(dataset)
    if truth is not None and truth.clean is not None:
        raise ValueError(
            f"{name} is occluded already: make the copy of its clean twin, {truth.clean.name}."
        )
    tracklets = tracklets_of(dataset)
    masks_folder = str(Path(masks).expanduser().absolute()) if masks else ""
    bodies = BodyMasks(
        source_masks(dataset, masks_folder),
        (paths for items in tracklets.values() for paths, *_ in items),
        originals={},
        visible={},
    )
    plan = CopyPlan(
        folder, source, tracklets, bodies, masks_folder,
        [part for part in SUBSETS if part in parts],
        protocol or Protocol(), {"kind": "people"}, seed,
    )  # fmt: skip
    make_copy(plan, partial(_find_people, plan, tracklets), workers)
    copy = Occluded(root, split_id, folder, masks_folder, verbose=False)
    return write_report(copy, plan.parts)


def _find_people(plan: CopyPlan, tracklets: Mapping[str, Sequence[Item]]) -> OccluderSource:
    """Finds people who can be cut out: training people for training, others for the test."""
    masks = plan.masks.source
    scores = read_scores(plan.masks_folder)
    pools = {"train": ("train",), "test": ("query", "gallery")}
    needed = {"train" if part == "train" else "test" for part in plan.parts}
    donors = {}
    for pool, subsets in pools.items():
        if pool not in needed:
            continue
        of_pool = {subset: tracklets[subset] for subset in subsets}
        found = find_donors(of_pool, masks, scores, plan.seed)
        logger.info(
            "%s: %d tracklets can be cut out; frames: %s.",
            pool, len(found.donors), {fault or "good": n for fault, n in found.frames.items()},
        )  # fmt: skip
        check_donors(found, pool)
        donors[pool] = found.donors
    return People(donors, masks)


def read_scores(masks_folder: StrPath) -> dict[str, float | None]:
    """Returns how sure `torchreid-occ annotate` is of the person in each frame, by frame's name.

    Args:
        masks_folder: The folder that it wrote; without its journal nothing is known.
    """
    path = Path(masks_folder) / "frames.jsonl"
    if not masks_folder or not path.is_file():
        return {}
    return {record["frame"]: record["score"] for record in read_json_lines(path)}
