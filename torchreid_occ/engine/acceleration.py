"""What computes a model's image network at test: PyTorch, or OpenVINO in a chosen precision.

OpenVINO runs the stages of the image network, which read each frame by itself. All else stays in
PyTorch and float32: blocks between stages, recurrence, attention, pooling and the mean over frames.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from yacs.config import CfgNode

from torchreid_occ.config import plain
from torchreid_occ.data.frames import Frames, read_frame
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.stage_archive import archive_path, read_archive, stage_key, write_archive
from torchreid_occ.engine.stage_chains import chains_of
from torchreid_occ.engine.stage_runners import (
    HINTS,
    JoinedStage,
    StageRunner,
    convert,
    from_files,
    inputs_of_stages,
    is_supported,
    join,
    quantise,
    stages_of,
    stages_run_by,
    to_files,
)
from torchreid_occ.models.backbones import Stage
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.logs import logger

TRACKLETS = 128  # of the training set: half calibrate int8, half measure what it changes
FRAMES = 2  # of each
FEWEST = 32  # tracklets from which a calibration is made
BATCH = 4  # clips that the calibration reads at a time
LEAST_COSINE = 0.999  # of features to float32's, on training tracklets, with stages in int8


class CalibrationTracklets(NamedTuple):
    """The training tracklets that int8 is calibrated on.

    Attributes:
        tracklets: Their frames.
        transform: The transform of frames at test.
    """

    tracklets: Sequence[Frames]
    transform: ClipTransform


def check_backend(backend: str, precision: str, on_gpu: bool, compiled: bool) -> None:
    """Checks that a backend can compute what is asked for.

    Args:
        backend: `test.backend`.
        precision: `test.precision`.
        on_gpu: Whether the model is on a GPU.
        compiled: `test.compile`.

    Raises:
        ImportError: If a package that the backend needs is not installed.
        ValueError: If the precision or the device is not the backend's.
    """
    if backend == "torch":
        if precision == "int8":
            raise ValueError(
                "test.precision is 'int8', which test.backend 'torch' does not have: set "
                "test.backend to 'openvino'."
            )
        return
    if precision not in HINTS:
        raise ValueError(
            f"test.precision is {precision!r}, but test.backend {backend!r} has {[*HINTS]}."
        )
    if on_gpu:
        raise ValueError(
            f"test.backend {backend!r} computes on the CPU, but a GPU is used: set use_gpu to "
            "False, or test.backend to 'torch'."
        )
    if compiled:
        raise ValueError(f"test.compile is for test.backend 'torch', but this is {backend!r}.")
    import_optional("openvino", *["nncf"] * (precision == "int8"), extra="openvino")


def training_tracklets(config: CfgNode) -> list[Frames]:
    """Lists the frames of the tracklets that a configuration trains on.

    Args:
        config: The configuration of a run.

    Raises:
        FileNotFoundError: If a dataset is not there.
    """
    data, options = config.data, plain(config.data.options)
    found: list[Frames] = []
    for name in data.sources:
        dataset = load_dataset(name, data.root, data.split_id, data.combineall, options.get(name))
        found += [paths for paths, *_ in tracklets_of(dataset)["train"]]
    return found


def supported_precision(precision: str) -> str:
    """Returns a precision, or float32 and a warning if this processor does not have it.

    Args:
        precision: One of `HINTS`.
    """
    if is_supported(precision):
        return precision
    logger.warning(
        "This processor has no instructions for %s: models are tested in float32.", precision
    )
    return "float32"


def stage_runners(
    model: nn.Module,
    precision: str,
    size: tuple[int, int],
    folder: Path | None = None,
    calibration: Callable[[], CalibrationTracklets] | None = None,
) -> dict[str, StageRunner | JoinedStage]:
    """Builds what runs the stages of a model with OpenVINO.

    Stages in int8 are read from the folder if it has them; otherwise they are calibrated, and
    kept there. Those that int8 changes too much are left in float32. Stages that follow one another
    directly run as one.

    Args:
        model: The model, in eval mode on the CPU.
        precision: One of `HINTS`, which the processor has.
        size: Height and width of the frames.
        folder: Folder of the model's checkpoint; None keeps nothing.
        calibration: Returns the training tracklets, for int8.

    Raises:
        FileNotFoundError: If the training tracklets are needed and not there.
        ImportError: If a package is not installed.
        ValueError: If the model has no stages, or there are too few training tracklets.
    """
    stages = stages_of(model)
    clips = torch.zeros(1, 2, 3, *size)
    probe = inputs_of_stages(model, stages, [clips])
    quantised: dict[str, Any] = {}
    if precision == "int8":
        assert calibration is not None
        shapes = {name: maps[0].shape[1:] for name, maps in probe.items()}
        key = stage_key(stages, shapes, precision)
        path = None if folder is None else archive_path(folder, key, precision)
        quantised = _quantised_stages(model, stages, key, path, calibration)
        left = [name for name in probe if name not in quantised]
        if left:
            logger.warning("int8 changes features too much in %s: left in float32.", left)
    elsewhere = "float32" if precision == "int8" else precision
    runners: dict[str, StageRunner | JoinedStage] = {}
    for first, *others in chains_of(model, stages, clips):
        parts = [
            quantised[name] if name in quantised else convert(stages[name], probe[name][0])
            for name in (first, *others)
        ]
        kinds = ["int8" if name in quantised else elsewhere for name in (first, *others)]
        runners[first] = StageRunner(join(parts), kinds[0])
        runners |= {name: JoinedStage(kind) for name, kind in zip(others, kinds[1:], strict=True)}
    return runners


def _quantised_stages(
    model: nn.Module,
    stages: Mapping[str, Stage],
    key: str,
    path: Path | None,
    calibration: Callable[[], CalibrationTracklets],
) -> dict[str, Any]:
    """Returns the stages in int8 by name, from the file that holds them or made anew."""
    if path is not None and path.is_file():
        try:
            return {name: from_files(files) for name, files in read_archive(path, key).items()}
        except (RuntimeError, ValueError) as error:  # OpenVINO raises RuntimeError
            logger.warning("%s It is made anew.", error)
    clips = calibration_clips(calibration())
    logger.info("Calibrates int8 on %d training tracklets.", len(clips))
    inputs = inputs_of_stages(model, stages, clips[::2].split(BATCH))
    made = {name: quantise(convert(stages[name], maps[0]), maps) for name, maps in inputs.items()}
    kept, cosine = _close_enough(model, stages, made, clips[1::2])
    if path is not None:
        about = {"tracklets": len(clips), "frames": clips.shape[1], "cosine": cosine}
        try:
            write_archive(path, key, {name: to_files(made[name]) for name in kept}, about)
        except OSError as error:  # a folder that others own, or a full disk
            logger.warning("The stages in int8 could not be kept: %s", error)
    return {name: made[name] for name in kept}


@torch.inference_mode()
def _close_enough(
    model: nn.Module, stages: Mapping[str, Stage], made: Mapping[str, Any], clips: Tensor
) -> tuple[list[str], float]:
    """Chooses the stages to run in int8, and returns the mean cosine of features with them."""
    runners = {name: StageRunner(made[name], "int8") for name in made}
    expected = features_of_clips(model, clips)

    def cosine(names: Sequence[str]) -> float:
        with stages_run_by(stages, {name: runners[name] for name in names}):
            found = features_of_clips(model, clips)
        return F.cosine_similarity(found, expected).mean().item()

    return choose_stages([*made], cosine)


def features_of_clips(model: Callable[[Tensor], Tensor], clips: Tensor) -> Tensor:
    """Computes features of clips, a few at a time.

    Args:
        model: Returns the features of clips.
        clips: The clips.

    Shape:
        clips: `(N, T, 3, H, W)`; result: `(N, D)`.
    """
    return torch.cat([model(batch) for batch in clips.split(BATCH)])


def choose_stages(
    names: Sequence[str], cosine: Callable[[Sequence[str]], float]
) -> tuple[list[str], float]:
    """Chooses the stages to run in int8: all, without the worst until features are close enough.

    Args:
        names: Names of all stages.
        cosine: Returns the mean cosine of features with some stages in int8 to those in float32;
            the last call is for the chosen ones, if there are any.

    Returns:
        The names of the chosen ones, and the mean cosine with them; 1 if there are none.
    """
    chosen = [*names]
    together = cosine(chosen)
    if together < LEAST_COSINE:
        chosen.sort(key=lambda name: cosine([name]), reverse=True)
        while chosen and together < LEAST_COSINE:
            chosen.pop()
            together = cosine(chosen) if chosen else 1.0
    return chosen, together


def calibration_clips(calibration: CalibrationTracklets) -> Tensor:
    """Reads some frames of tracklets spread over the training set.

    Args:
        calibration: The training tracklets.

    Shape:
        Result: `(N, FRAMES, 3, H, W)`, normalised.

    Raises:
        ValueError: If there are fewer than `FEWEST` tracklets.
    """
    tracklets, transform = calibration
    if len(tracklets) < FEWEST:
        raise ValueError(
            f"int8 is calibrated on training tracklets, of which there are {len(tracklets)}: at "
            f"least {FEWEST} are needed. Choose precision 'bfloat16' or 'float32', which need none."
        )
    count = min(TRACKLETS, len(tracklets))
    chosen = [tracklets[index * len(tracklets) // count] for index in range(count)]
    clips = []
    for frames in chosen:
        places = [(2 * place + 1) * len(frames) // (2 * FRAMES) for place in range(FRAMES)]
        clips.append(transform.pixels([read_frame(frames[place]) for place in places]))
    return transform.normalise(torch.stack(clips))
