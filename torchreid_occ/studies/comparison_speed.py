"""Frames a second at which the models of a comparison are tested."""

from collections.abc import Callable
from functools import partial

import torch
from yacs.config import CfgNode

from torchreid_occ.config import config_of, merged, plain
from torchreid_occ.engine.backend import use_gpu
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.studies.comparison_runs import Runs
from torchreid_occ.utils.timing import median_seconds

CLIPS = 16


def frames_per_second(runs: Runs, repeats: int = 5) -> dict[str, float]:
    """Measures the models of all rows, interleaved so that background load affects all equally.

    The time to read frames, and for completed copies to complete them, is not included. Models
    have random weights, which do not affect the speed.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison_runs.run_suite`.
        repeats: Number of timed rounds, of which the median is taken.

    Returns:
        ``{row: frames a second}``.
    """
    configs = {row: config_of(seeds[0]["config"]) for row, seeds in runs.items()}
    frames = {row: CLIPS * config.video.seq_len for row, config in configs.items()}
    steps = {row: _test_step(config) for row, config in configs.items()}
    seconds = median_seconds(steps, repeats, "frames a second")
    return {row: frames[row] / seconds[row] for row in runs}


def _test_step(config: CfgNode) -> Callable[[], object]:
    """Returns a forward pass in eval mode over clips of the training's length."""
    without_weights = {"model": {"start_from": "", "load_weights": ""}}
    backend = backend_of(merged(plain(config), [without_weights], ""))
    model, _ = backend.build_model(1, pretrained=False)
    backend.lay_out(model)
    clips = torch.rand(CLIPS, config.video.seq_len, 3, config.data.height, config.data.width)
    inputs = backend.model_input(clips)
    if use_gpu(config):
        model, inputs = model.cuda(), inputs.cuda()
    return partial(torch.inference_mode()(model.eval()), inputs)
