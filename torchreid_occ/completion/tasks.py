"""The tasks of VRSTC besides training a re-ID network: score thirds, learn to complete, copy."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from yacs.config import CfgNode

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import Item
from torchreid_occ.completion.builders import (
    build_completion_engine,
    load_extractor,
    load_generator,
)
from torchreid_occ.completion.cells import average_person, cell_scores, middle_columns
from torchreid_occ.completion.copy import CopyPlan, complete_frames, discard_frames
from torchreid_occ.completion.data import CompletionDataManager, CompletionItems, ItemOptions
from torchreid_occ.completion.discriminator import Discriminator
from torchreid_occ.completion.engine import VIEWS
from torchreid_occ.completion.figures import draw_scores
from torchreid_occ.completion.loss import CompletionLoss
from torchreid_occ.completion.network import STCnet
from torchreid_occ.completion.scores import (
    TrackletMaps,
    choose_threshold,
    occluded_thirds,
    read_scores,
    score_by_thirds,
    write_scores,
)
from torchreid_occ.completion.thirds import THIRDS, AllValues, Flags, Values
from torchreid_occ.completion.truth import agreement, visible_shares
from torchreid_occ.config import check_options, plain
from torchreid_occ.data.copies import Source
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.ground_truth import ground_truth_of
from torchreid_occ.data.images import read_image
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.engine.backend import use_gpu
from torchreid_occ.engine.base import KEPT
from torchreid_occ.runs.folder import check_save_dir, write_config, write_results
from torchreid_occ.runs.readiness import check_files
from torchreid_occ.utils.complexity import count_parameters
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import file_hash, replacing
from torchreid_occ.utils.logs import logger, logging_to, printed_lines_logged

TRUTH = "truth"


def score_thirds(config: CfgNode, resume: bool = False) -> dict[str, Any]:
    """Scores the thirds of a dataset's frames into ``<save_dir>/scores.csv``.

    The scores of one tracklet are drawn beside it. For a dataset with ground truth the results say
    how well the flagged thirds agree with it.

    Args:
        config: Its ``completion.extractor`` scores ``data.sources``.
        resume: Whether a run that began in ``data.save_dir`` may be continued.

    Returns:
        The content of ``results.json``.

    Raises:
        ValueError: If the extractor is 'truth' and the dataset has no ground truth.
    """
    with _run(config, resume, "extractor") as results:
        dataset = _dataset(config)
        tracklets = tracklets_of(dataset)
        shares = _true_shares(config, dataset, tracklets)
        if config.completion.extractor != TRUTH:
            scores = _scores(config, tracklets)
        elif shares is not None:
            scores = shares
        else:
            raise ValueError(
                "completion.extractor is 'truth', but dataset "
                f"{config.data.sources[0]!r} has no ground truth."
            )
        path = Path(config.data.save_dir, "scores.csv")
        write_scores(path, tracklets, scores)
        rounded = read_scores(path, tracklets)  # to the digits that later phases read
        threshold, occluded = _occluded(config, rounded)
        _draw_most_occluded(config, tracklets["query"], rounded["query"], threshold)
        results["threshold"] = threshold
        results["flagged"] = {
            subset: dict(zip(THIRDS, np.concatenate(flags).mean(0).tolist(), strict=True))
            for subset, flags in occluded.items()
        }
        if shares is not None:
            results["localisation"] = {}
            for subset, flags in occluded.items():
                found = agreement(flags, rounded[subset], shares[subset])
                results["localisation"][subset] = found._asdict()
                if found.recall is None:  # such as the training set of occluded queries
                    logger.info("%s: nothing is hidden, by the ground truth", subset)
                else:
                    logger.info("%s: precision %s  recall %s  area under curve %s", subset, *found)
    return results


def train_completion(config: CfgNode, resume: bool = False) -> dict[str, Any]:
    """Trains an STCnet on the unoccluded training frames of a dataset.

    Args:
        config: ``completion``, ``train`` and ``data`` configure the training.
        resume: Continue the run in ``data.save_dir``.

    Returns:
        The content of ``results.json``.

    Raises:
        KeyError: If a network or the criterion has no such option.
        ValueError: If there is no such discriminator.
    """
    own, train = config.completion, config.train
    check_options("completion.generator", own.generator, STCnet)
    size = ("height", "width")
    check_options("completion.discriminator", own.discriminator, Discriminator, size)
    check_options("completion.loss", own.loss, CompletionLoss)
    if not set(own.discriminators) <= VIEWS.keys():
        raise ValueError(
            f"completion.discriminators are {list(own.discriminators)}, but may be {[*VIEWS]}."
        )
    with _run(config, resume, "scores") as results:
        tracklets = tracklets_of(_dataset(config))
        _, occluded = _occluded(config, read_scores(own.scores, tracklets))
        torchreid.utils.set_random_seed(train.seed)
        options = ItemOptions(
            own.height,
            own.width,
            train.seed,
            own.max_masked,
            own.max_gap,
            config.data.interpolation,
        )
        datamanager = CompletionDataManager(
            CompletionItems(tracklets["train"], occluded["train"], options),
            CompletionItems(tracklets["query"], occluded["query"], options),
            train.batch_size,
            config.data.workers,
            use_gpu(config),
        )
        engine = build_completion_engine(config, datamanager)
        done = engine.run(
            config.data.save_dir,
            train.max_epoch,
            max_iter=train.max_iter,
            checkpoint_freq=train.checkpoint_freq,
            keep_last=KEPT,
            print_freq=train.print_freq,
            eval_freq=-1,
        )
        results["completion"] = done["last"]
        results["epochs"] = engine.epoch + 1
        results["training_seconds"] = round(engine.training_seconds, 1)
        results["unoccluded_training_frames"] = datamanager.num_frames
        results["parameters"] = count_parameters(engine.generator)
    return results


def copy_dataset(config: CfgNode, resume: bool = False) -> dict[str, Any]:
    """Writes a copy of a dataset into ``<save_dir>/copy``, completed or with frames left out.

    Args:
        config: ``completion.scores`` flags thirds, which the network in ``completion.checkpoint``
            completes; without one, their frames are left out.
        resume: Continue the copy in ``data.save_dir``.

    Returns:
        The content of ``results.json``.
    """
    own, data = config.completion, config.data
    with _run(config, resume, "scores") as results:
        tracklets = tracklets_of(_dataset(config))
        threshold, occluded = _occluded(config, read_scores(own.scores, tracklets))
        name = data.sources[0]
        options = plain(data.options).get(name, {})
        source: Source = {"name": name, "split_id": data.split_id, "options": options}
        made_by = {"threshold": threshold, "scores": file_hash(own.scores)}
        if own.checkpoint:
            made_by["checkpoint"] = file_hash(own.checkpoint)
        folder = Path(data.save_dir, "copy")
        plan = CopyPlan(folder, source, data.root, occluded, made_by)
        if own.checkpoint:
            gpu = use_gpu(config)
            network, size, interpolation = load_generator(own.checkpoint)
            network = network.cuda() if gpu else network
            complete_frames(plan, network, size, data.workers, gpu, interpolation)
        else:
            discard_frames(plan)
        results["copy"] = {"folder": str(folder), **made_by}
    return results


@contextmanager
def _run(config: CfgNode, resume: bool, needed: str) -> Iterator[dict[str, Any]]:
    """Writes the log, the configuration and, if the block succeeds, the results it fills in.

    Args:
        config: The configuration.
        resume: Whether a run that began in ``data.save_dir`` may be continued.
        needed: Key of ``completion`` that must be set.
    """
    if not config.completion[needed]:
        raise ValueError(f"task {config.task!r} reads completion.{needed}, which is not set.")
    check_files(config)
    check_save_dir(config, resume)
    if len(config.data.sources) != 1:
        raise ValueError(
            f"task {config.task!r} works on one dataset, but data.sources is "
            f"{list(config.data.sources)}."
        )
    results: dict[str, Any] = {}
    start = time.perf_counter()
    with logging_to(config.data.save_dir), printed_lines_logged():
        write_config(config)
        yield results
        results |= {
            "seed": config.train.seed,
            "seconds": round(time.perf_counter() - start, 1),
            "versions": versions(),
            "hardware": hardware(use_gpu(config)),
            "config": plain(config),
        }
        write_results(config.data.save_dir, results)


def _dataset(config: CfgNode) -> Any:
    data = config.data
    name = data.sources[0]
    return load_dataset(name, data.root, data.split_id, options=plain(data.options).get(name))


def _scores(config: CfgNode, tracklets: Mapping[str, Sequence[Item]]) -> dict[str, list[Values]]:
    """Returns scores by subset, by the scorer and the network that the configuration names."""
    own = config.completion
    model, transform = load_extractor(config)
    gpu = use_gpu(config)
    model = model.cuda() if gpu else model
    options = transform, config.video.test_clip_len, config.data.workers, gpu
    if own.scorer == "thirds":
        return {subset: score_by_thirds(model, tracklets[subset], *options) for subset in SUBSETS}
    maps = TrackletMaps(model, own.stage - 1, middle_columns, *options)
    person = average_person(maps(tracklets["train"]))
    return {
        subset: [cell_scores(found, person).numpy() for found in maps(tracklets[subset])]
        for subset in SUBSETS
    }


def _true_shares(
    config: CfgNode, dataset: object, tracklets: Mapping[str, Sequence[Item]]
) -> dict[str, list[Values]] | None:
    """Returns the visible shares by subset, or None if the dataset has no masks of both kinds."""
    truth = ground_truth_of(dataset)
    visible, whole = (None, None) if truth is None else (truth.visible(), truth.whole())
    if whole is None or visible is None:
        return None
    return {
        subset: visible_shares(tracklets[subset], visible, whole, config.data.workers)
        for subset in SUBSETS
    }


def _occluded(config: CfgNode, scores: AllValues) -> tuple[float, dict[str, list[Flags]]]:
    own = config.completion
    threshold = choose_threshold(scores["train"], own.tau, own.quantile)
    return threshold, occluded_thirds(scores, threshold)


def _draw_most_occluded(
    config: CfgNode,
    tracklets: Sequence[Item],
    scores: Sequence[Values],
    threshold: float,
    num_frames: int = 16,
) -> None:
    """Draws the scores of the tracklet with the most occluded thirds in its first frames."""
    flagged = [(rows[:num_frames] < threshold).sum() for rows in scores]
    index = int(np.argmax(flagged))
    frames = [np.asarray(read_image(path)) for path in tracklets[index][0][:num_frames]]
    figure = draw_scores(frames, scores[index][:num_frames], threshold)
    with replacing(Path(config.data.save_dir, "scores.png")) as file:
        figure.savefig(file, format="png", dpi=110)
