"""How many frames a second the models of a comparison test."""

from functools import partial

import torch

from torchreid_occ.config import config_of, merged, plain
from torchreid_occ.runs.builders import build_configured_model, use_gpu
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.utils.timing import median_seconds

CLIPS = 16


def frames_per_second(runs, repeats=5):
    """Measures the models of all rows by turns, so that whatever else goes on meets all of them.

    Reading frames is left out, and for completed copies completing them; weights change no speed.

    Args:
        runs: From :func:`torchreid_occ.studies.comparison.run_suite`.
        repeats: Rounds that count, of which the median is taken.

    Returns:
        ``{row: frames a second}``.
    """
    configs = {row: config_of(seeds[0]["config"]) for row, seeds in runs.items()}
    frames = {row: CLIPS * config.video.seq_len for row, config in configs.items()}
    steps = {row: _pass(config) for row, config in configs.items()}
    seconds = median_seconds(steps, repeats, "frames a second")
    return {row: frames[row] / seconds[row] for row in runs}


def _pass(config):
    """One pass of a model over clips as long as those of its training, as in its test."""
    without_weights = {"model": {"start_from": "", "load_weights": ""}}
    model, _ = build_configured_model(
        merged(plain(config), [without_weights], ""), 1, pretrained=False
    )
    clips = torch.rand(CLIPS, config.video.seq_len, 3, config.data.height, config.data.width)
    if config.engine == "torchreid":
        clips = clips.flatten(0, 1)  # its models take frames
    else:
        lay_out_channels_last(model)
    if use_gpu(config):
        model, clips = model.cuda(), clips.cuda()
    return partial(torch.inference_mode()(model.eval()), clips)
