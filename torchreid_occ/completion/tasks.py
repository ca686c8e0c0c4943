"""The tasks of VRSTC beside training a re-ID network: score regions, learn to complete, copy."""

import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from torchreid_occ._torchreid import torchreid
from torchreid_occ.completion.copy import complete_frames, discard_frames
from torchreid_occ.completion.data import CompletionDataManager
from torchreid_occ.completion.discriminator import Discriminator
from torchreid_occ.completion.engine import VIEWS, CompletionEngine
from torchreid_occ.completion.figures import draw_scores
from torchreid_occ.completion.guider import IdGuider
from torchreid_occ.completion.loss import CompletionLoss
from torchreid_occ.completion.network import STCnet
from torchreid_occ.completion.scores import (
    choose_threshold,
    occluded_regions,
    read_scores,
    score_tracklets,
    write_scores,
)
from torchreid_occ.completion.thirds import REGIONS
from torchreid_occ.completion.truth import precision_and_recall, visible_shares
from torchreid_occ.config import check_options, config_of, plain
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.images import read_image
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.occwalk import OccWalk
from torchreid_occ.runs.builders import (
    build_scheduler,
    build_test_transform,
    load_trained_model,
    use_gpu,
)
from torchreid_occ.runs.run import check_save_dir
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.complexity import count_parameters
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import file_hash, replacing, write_json, write_text
from torchreid_occ.utils.logs import logger, logging_to, printed_lines_logged

TRUTH = "truth"


def score_regions(config, resume=False):
    """Scores the regions of a dataset into ``<save_dir>/scores.csv``.

    Those of one tracklet are drawn beside it. On OccWalk the results say how well the flagged
    regions agree with the truth.

    Args:
        config: Its ``completion.extractor`` scores ``data.sources``.
        resume: Whether a run begun in ``data.save_dir`` may be continued.
    """
    with _run(config, resume, "extractor") as results:
        tracklets = _tracklets(config)
        if config.completion.extractor == TRUTH:
            scores = _true_shares(config, tracklets)
        else:
            scores = _scores(config, tracklets)
        path = Path(config.data.save_dir, "scores.csv")
        write_scores(path, tracklets, scores)
        scores = read_scores(path, tracklets)  # as the phases after this one will read them
        threshold, occluded = _occluded(config, scores)
        _draw_most_occluded(config, tracklets["query"], scores["query"], threshold)
        results["threshold"] = threshold
        results["flagged"] = {
            subset: dict(zip(REGIONS, np.concatenate(flags).mean(0).tolist(), strict=True))
            for subset, flags in occluded.items()
        }
        if issubclass(dataset_class(config.data.sources[0]), OccWalk):
            shares = _true_shares(config, tracklets)
            results["localisation"] = {}
            for subset, flags in occluded.items():
                precision, recall = precision_and_recall(flags, shares[subset])
                results["localisation"][subset] = {"precision": precision, "recall": recall}
                logger.info("%s: precision %s  recall %s", subset, precision, recall)
    return results


def train_completion(config, resume=False):
    """Trains an STCnet on the unoccluded training frames of a dataset.

    Args:
        config: ``completion``, ``train`` and ``data`` say how and on what.
        resume: Continue the run in ``data.save_dir``.

    Raises:
        KeyError: If a network or the criterion has no such option.
        ValueError: If there is no such discriminator.
    """
    own = config.completion
    check_options("completion.generator", own.generator, STCnet)
    size = ("height", "width")
    check_options("completion.discriminator", own.discriminator, Discriminator, size)
    check_options("completion.loss", own.loss, CompletionLoss)
    if not set(own.discriminators) <= VIEWS.keys():
        raise ValueError(
            f"completion.discriminators are {list(own.discriminators)}, but may be {[*VIEWS]}."
        )
    with _run(config, resume, "scores") as results:
        tracklets = _tracklets(config)
        _, occluded = _occluded(config, read_scores(own.scores, tracklets))
        torchreid.utils.set_random_seed(config.train.seed)
        datamanager = CompletionDataManager(
            tracklets["train"],
            tracklets["query"],
            (occluded["train"], occluded["query"]),
            own.height,
            own.width,
            config.train.batch_size,
            config.data.workers,
            config.train.seed,
            use_gpu(config),
            max_masked=own.max_masked,
            max_gap=own.max_gap,
        )
        engine = build_completion_engine(config, datamanager)
        train = config.train
        done = engine.run(
            config.data.save_dir,
            train.max_epoch,
            max_iter=train.max_iter,
            checkpoint_freq=train.checkpoint_freq,
            print_freq=train.print_freq,
            eval_freq=-1,
        )
        results["completion"] = done["last"]
        results["epochs"] = engine.epoch + 1
        results["unoccluded_training_frames"] = datamanager.num_frames
        results["parameters"] = count_parameters(engine.generator)
    return results


def copy_dataset(config, resume=False):
    """Writes a copy of a dataset into ``<save_dir>/copy``, completed or with frames left out.

    Args:
        config: ``completion.checkpoint`` completes what ``completion.scores`` flags.
        resume: Continue the copy in ``data.save_dir``.
    """
    own, data = config.completion, config.data
    with _run(config, resume, "scores") as results:
        tracklets = _tracklets(config)
        threshold, occluded = _occluded(config, read_scores(own.scores, tracklets))
        name = data.sources[0]
        options = plain(data.options).get(name, {})
        source = {"name": name, "split_id": data.split_id, "options": options}
        made_by = {"threshold": threshold, "scores": file_hash(own.scores)}
        folder = Path(data.save_dir, "copy")
        if own.checkpoint:
            made_by["checkpoint"] = file_hash(own.checkpoint)
            generator, size = load_generator(own.checkpoint)
            complete_frames(
                folder,
                source,
                data.root,
                occluded,
                generator.cuda() if use_gpu(config) else generator,
                size,
                made_by,
                data.workers,
                use_gpu(config),
            )
        else:
            discard_frames(folder, source, data.root, occluded, made_by)
        results["copy"] = {"folder": str(folder), **made_by}
    return results


def load_generator(path):
    """The STCnet of a checkpoint, in eval mode on the CPU, and the size of its frames.

    Raises:
        ValueError: If the checkpoint holds no STCnet.
    """
    state = load_checkpoint(path)
    try:
        weights = state["models"]["generator"]["state_dict"]
        own = config_of(state["config"], origin=str(path)).completion
        generator = STCnet(**plain(own.generator))
        generator.load_state_dict(weights)
    except Exception as error:  # whatever a network makes of options that are none of its own
        raise ValueError(
            f"{path} holds no completion network ({error}): name what task 'train_completion' made."
        ) from error
    return generator.eval(), (own.height, own.width)


def load_guider(path):
    """The re-ID network of a checkpoint as an `IdGuider` on the CPU."""
    model, trained = load_trained_model(path)
    data = trained.data
    return IdGuider(model, data.height, data.width, list(data.norm_mean), list(data.norm_std))


@contextmanager
def _run(config, resume, needed):
    """A run of its own folder: log, configuration, and results once it has succeeded."""
    if not config.completion[needed]:
        raise ValueError(f"task {config.task!r} reads completion.{needed}, which is not set.")
    save_dir = Path(config.data.save_dir)
    check_save_dir(config, save_dir, resume)
    if len(config.data.sources) != 1:
        raise ValueError(
            f"task {config.task!r} works on one dataset, but data.sources is "
            f"{list(config.data.sources)}."
        )
    results, start = {}, time.perf_counter()
    with logging_to(save_dir), printed_lines_logged():
        write_text(save_dir / "config.yaml", config.dump())
        yield results
        results |= {
            "seed": config.train.seed,
            "seconds": round(time.perf_counter() - start, 1),
            "versions": versions(),
            "hardware": hardware(use_gpu(config)),
            "config": plain(config),
        }
        write_json(save_dir / "results.json", results)


def build_completion_engine(config, datamanager):
    """The configured `CompletionEngine` with its networks.

    Args:
        config: The configuration.
        datamanager: A `CompletionDataManager`.

    Raises:
        ValueError: If the guider knows another number of identities than the data has.
    """
    own, train = config.completion, config.train
    gpu = use_gpu(config)
    criterion = CompletionLoss(**plain(own.loss))
    guider = load_guider(own.guider) if own.guider and criterion.lambda_guider else None
    known = guider and guider.model.classifier.out_features
    if known and known != datamanager.num_pids:
        raise ValueError(
            f"completion.guider {own.guider} knows {known} identities, but {datamanager.num_pids} "
            "are trained on: train it on the same data, with test.select last."
        )
    generator = STCnet(**plain(own.generator))
    options = {"height": own.height, "width": own.width, **plain(own.discriminator)}
    discriminators = {name: Discriminator(**options) for name in own.discriminators}
    betas = (config.adam.beta1, config.adam.beta2)

    def optimised(module, lr):
        module = module.cuda() if gpu else module
        optimizer = torch.optim.Adam(module.parameters(), lr, betas)
        return module, optimizer, build_scheduler(config, optimizer)

    return CompletionEngine(
        datamanager,
        *optimised(generator, train.lr),
        {name: optimised(m, own.lr_discriminator) for name, m in discriminators.items()},
        criterion,
        guider.cuda() if guider and gpu else guider,
        seed=train.seed,
        use_gpu=config.use_gpu,
        metadata={"config": plain(config)},
        precision=train.precision,
    )


def _tracklets(config):
    data = config.data
    name = data.sources[0]
    dataset = load_dataset(name, data.root, data.split_id, options=plain(data.options).get(name))
    return tracklets_of(dataset)


def _scores(config, tracklets):
    model, trained = load_trained_model(config.completion.extractor)
    transform = build_test_transform(trained)
    gpu = use_gpu(config)
    model = model.cuda() if gpu else model
    return {
        subset: score_tracklets(
            model,
            tracklets[subset],
            transform,
            config.video.test_clip_len,
            config.data.workers,
            gpu,
        )
        for subset in SUBSETS
    }


def _true_shares(config, tracklets):
    name, data = config.data.sources[0], config.data
    if not issubclass(dataset_class(name), OccWalk):
        raise ValueError(f"completion.extractor is 'truth', but only OccWalk has it, not {name}.")
    visible, whole = (
        load_dataset(n, data.root, data.split_id).supervision() for n in (name, f"{name}.clean")
    )
    return {
        subset: visible_shares(tracklets[subset], visible, whole, data.workers)
        for subset in SUBSETS
    }


def _occluded(config, scores):
    own = config.completion
    threshold = choose_threshold(scores["train"], own.tau, own.quantile)
    return threshold, occluded_regions(scores, threshold)


def _draw_most_occluded(config, tracklets, scores, threshold, num_frames=16):
    """Draws the scores of the tracklet that has most occluded regions among its first frames."""
    flagged = [(rows[:num_frames] < threshold).sum() for rows in scores]
    index = int(np.argmax(flagged))
    frames = [np.asarray(read_image(path)) for path in tracklets[index][0][:num_frames]]
    figure = draw_scores(frames, scores[index][:num_frames], threshold)
    with replacing(Path(config.data.save_dir, "scores.png")) as file:
        figure.savefig(file, format="png", dpi=110)
