"""Occludes a dataset by name: loads it, finds occluders and makes the copy."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.copies import Source, load_source
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.ground_truth import ground_truth_of
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.tracklets import tracklets_of
from torchreid_occ.occlusion.bodies import BodyMasks, read_scores
from torchreid_occ.occlusion.cutouts import CutOuts, check_donors, find_donors
from torchreid_occ.occlusion.dataset import Occluded, source_masks
from torchreid_occ.occlusion.folder import Folder, list_cutouts
from torchreid_occ.occlusion.make import CopyPlan, make_copy
from torchreid_occ.occlusion.people import People
from torchreid_occ.occlusion.protocol import Protocol
from torchreid_occ.occlusion.report import write_report
from torchreid_occ.occlusion.sources import OccluderSource
from torchreid_occ.occlusion.things import Things
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.logs import logger

KINDS = ("people", "things")


def occlude_dataset(
    name: str,
    root: StrPath,
    folder: StrPath,
    *,
    split_id: int = 0,
    dataset_options: Mapping[str, Any] | None = None,
    masks: StrPath = "",
    occluders: str = "people",
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
        occluders: 'people' of the same data, OccWalk's 'things', or a folder of cut-outs.
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
    known = source_masks(dataset, masks_folder)
    _report_masks(known, tracklets, parts)
    bodies = BodyMasks(
        known,
        (paths for items in tracklets.values() for paths, *_ in items),
        originals={},
        visible={},
    )
    plan = CopyPlan(
        folder, source, tracklets, bodies, masks_folder,
        [part for part in SUBSETS if part in parts],
        protocol or Protocol(), describe_occluders(occluders), seed,
    )  # fmt: skip
    make_copy(plan, partial(_find_occluders, plan, occluders), workers)
    copy = Occluded(root, split_id, folder, masks_folder, verbose=False)
    return write_report(copy, plan.parts)


def _report_masks(
    masks: Supervision, tracklets: Mapping[str, Sequence[Item]], parts: Sequence[str]
) -> None:
    """Logs how many frames have a mask; raises if none has, as names must be wrong."""
    paths = [path for part in parts for frames, *_ in tracklets[part] for path in frames]
    known = sum(masks.has("foreground", path) for path in paths)
    if not known:
        raise ValueError(
            f"The masks are of none of {len(paths):,} frames, the first of which is looked up by "
            f"the name {masks.name_of(paths[0])!r}: they were made of other data."
        )
    logger.info("%d of %d frames have a mask.", known, len(paths))


def describe_occluders(occluders: str) -> dict[str, Any]:
    """Returns plain values that identify occluders.

    Args:
        occluders: As of `occlude_dataset`.

    Raises:
        FileNotFoundError: If it is a folder that is not there.
    """
    if occluders in KINDS:
        return {"kind": occluders}
    files = {
        name: file_hash(path)
        for pool in list_cutouts(occluders).values()
        for name, path in pool.items()
    }
    return {"kind": "folder", "files": files}


def _find_occluders(plan: CopyPlan, occluders: str) -> OccluderSource:
    """Finds occluders of one of `KINDS`, or in a folder, for the parts that are occluded."""
    pools = {"train" if part == "train" else "test" for part in plan.parts}
    if occluders == "things":
        return Things(plan.seed)
    return _find_people(plan, pools) if occluders == "people" else Folder(occluders, [*pools])


def _find_people(plan: CopyPlan, pools: Collection[str]) -> OccluderSource:
    """Finds people who can be cut out: training people for training, others for the test."""
    masks = plan.masks.source
    scores = read_scores(plan.masks_folder)
    donors = {}
    for pool, subsets in (("train", ("train",)), ("test", ("query", "gallery"))):
        if pool not in pools:
            continue
        of_pool = {subset: plan.tracklets[subset] for subset in subsets}
        found = find_donors(of_pool, masks, scores, plan.seed)
        logger.info(
            "%s: %d tracklets can be cut out; frames: %s.",
            pool, len(found.donors), {fault or "good": n for fault, n in found.frames.items()},
        )  # fmt: skip
        check_donors(found, pool)
        donors[pool] = found.donors
    return People(donors, CutOuts(masks))
