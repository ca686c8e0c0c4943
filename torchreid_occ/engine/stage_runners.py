"""Stages of a model's image network run by OpenVINO on the CPU, in float32, bfloat16 or int8."""

import contextlib
import functools
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from torchreid_occ.models.backbones import Stage
from torchreid_occ.utils.dependencies import import_optional

# With this package of its installation, OpenVINO reports every import and conversion to its maker
# over the internet, and NNCF every calibration: each report in a process that is forked for it.
# Both work the same where the package is missing, as it now seems to be.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# Precision of what is computed in floating point: OpenVINO's own choice would be bfloat16 wherever
# the processor has it.
HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
# What OpenVINO calls the instructions that a precision needs.
CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "int8": "INT8"}


class StageFiles(NamedTuple):
    """A stage in OpenVINO's form.

    Attributes:
        graph: Content of its `.xml` file.
        weights: Content of its `.bin` file.
    """

    graph: bytes
    weights: bytes


@functools.cache
def _core() -> Any:
    """Returns OpenVINO's entry point, one for the life of the process.

    It gives the calling thread a stack for signals. Released in another thread, it would take the
    memory away and leave the stack in use: the next signal, such as Ctrl-C, would end the process.
    """
    (openvino,) = import_optional("openvino", extra="openvino")
    return openvino.Core()


def stages_of(model: nn.Module) -> dict[str, Stage]:
    """Returns the stages of a model's image networks, by name, in the order of registration.

    Args:
        model: The model.

    Raises:
        ValueError: If it has none.
    """
    found = {name: part for name, part in model.named_modules() if isinstance(part, Stage)}
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no image network of this package, which is what OpenVINO "
            "runs: set test.backend to 'torch'."
        )
    return found


@torch.inference_mode()
def inputs_of_stages(
    model: nn.Module, stages: Mapping[str, Stage], batches: Sequence[Tensor]
) -> dict[str, list[Tensor]]:
    """Records what each stage reads in a pass of the model; stages that are not run are left out.

    Args:
        model: The model, in eval mode on the CPU.
        stages: From `stages_of`.
        batches: Batches of clips, each `(B, T, 3, H, W)`.

    Shape:
        Result: by stage, for each batch `(B * T, C, h, w)`.
    """
    inputs: dict[str, list[Tensor]] = {}

    def recorder(name: str) -> Any:
        return lambda _, values: inputs.setdefault(name, []).append(values[0].contiguous())

    handles = [stage.register_forward_pre_hook(recorder(name)) for name, stage in stages.items()]
    try:
        for batch in batches:
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return inputs


def convert(stage: Stage, example: Tensor) -> Any:
    """Converts a stage to an OpenVINO model in float32, for any number of frames.

    Args:
        stage: The stage, in eval mode on the CPU.
        example: Maps of the size that it will read, `(N, C, h, w)`.

    Raises:
        ImportError: If OpenVINO is not installed.
    """
    (openvino,) = import_optional("openvino", extra="openvino")
    few = example[:2].clone()
    with _root_logger_kept(), warnings.catch_warnings(), torch.no_grad():
        # OpenVINO traces by torch.jit, which torch calls deprecated and keeps.
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="torch.jit")
        return openvino.convert_model(
            _Layers(stage), example_input=few, input=[-1, *example.shape[1:]]
        )


def quantise(model: Any, inputs: Sequence[Tensor]) -> Any:
    """Quantises an OpenVINO model to int8: weights by channel, activations by their range.

    Args:
        model: From `convert`.
        inputs: What the stage reads for clips of training tracklets.

    Raises:
        ImportError: If NNCF is not installed.
    """
    nncf, ranges = import_optional("nncf", "nncf.quantization.range_estimator", extra="openvino")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    arrays = [maps.numpy() for maps in inputs]
    advanced = nncf.AdvancedQuantizationParameters(
        # The whole range: NNCF's default clips what few frames reach, and its bias correction
        # makes features of stages that are quantised one by one worse.
        activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX,
        disable_bias_correction=True,
    )
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(arrays),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(arrays),
            advanced_parameters=advanced,
        )


def join(models: Sequence[Any]) -> Any:
    """Joins OpenVINO models of which each reads what the one before returns; changes them.

    Args:
        models: From `convert`, `quantise` or `from_files`.

    Raises:
        ImportError: If OpenVINO is not installed.
    """
    (openvino,) = import_optional("openvino", extra="openvino")
    joined, *others = models
    for model in others:
        made = joined.output(0).get_node().input_value(0)
        for reader in model.input(0).get_node().output(0).get_target_inputs():
            reader.replace_source_output(made)
        joined = openvino.Model(model.get_results(), joined.get_parameters(), "stages")
    return joined


def to_files(model: Any) -> StageFiles:
    """Returns the files of an OpenVINO model, in full precision.

    Args:
        model: From `convert` or `quantise`.
    """
    (openvino,) = import_optional("openvino", extra="openvino")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stage.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return StageFiles(path.read_bytes(), path.with_suffix(".bin").read_bytes())


def from_files(files: StageFiles) -> Any:
    """Reads an OpenVINO model.

    Args:
        files: From `to_files`.
    """
    (openvino,) = import_optional("openvino", extra="openvino")
    weights = openvino.Tensor(np.frombuffer(files.weights, np.uint8).copy())
    return _core().read_model(files.graph, weights)


def is_supported(precision: str) -> bool:
    """Returns whether this processor has the instructions for a precision.

    Args:
        precision: One of `HINTS`.
    """
    known = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return CAPABILITIES[precision] in known


class JoinedStage:
    """Stands in for a stage that the runner of the stages before it computes, too.

    Args:
        precision: What it is computed in, one of `HINTS`.

    Attributes:
        precision: Likewise.
    """

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def __call__(self, maps: Tensor, few: int) -> Tensor:
        """Returns the stage's maps, which it gets.

        Args:
            maps: The maps.
            few: Not used.
        """
        return maps


class StageRunner:
    """Runs a stage, or several as one, with OpenVINO, on as many threads as PyTorch has.

    Args:
        model: From `convert`, `quantise` or `join`.
        precision: One of `HINTS`.

    Attributes:
        precision: Likewise.
    """

    def __init__(self, model: Any, precision: str) -> None:
        (openvino,) = import_optional("openvino", extra="openvino")
        self.precision = precision
        self._tensor = openvino.Tensor
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "ENABLE_CPU_PINNING": False,  # the processes that read frames use the same cores
        }
        compiled = _core().compile_model(model, "CPU", settings)
        self._shape = [size.get_length() for size in [*compiled.output(0).partial_shape][1:]]
        self._request = compiled.create_infer_request()

    def __call__(self, maps: Tensor, few: int) -> Tensor:
        """Returns the stage's maps.

        Args:
            maps: What the stage reads.
            few: Number of frames to process at a time.

        Shape:
            maps: `(N, C, h, w)`; result: `(N, C', h', w')`, float32.
        """
        found = torch.empty(len(maps), *self._shape)
        read, written = maps.float().contiguous().numpy(), found.numpy()
        for start in range(0, len(maps), few):
            part = slice(start, start + few)
            self._request.set_input_tensor(self._tensor(read[part], shared_memory=True))
            self._request.set_output_tensor(self._tensor(written[part], shared_memory=True))
            self._request.infer()
        return found


@contextlib.contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Restores the root logger, which OpenVINO's conversion sets to errors only."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        yield
    finally:
        root.filters, root.handlers = filters, handlers
        root.setLevel(level)


class _Layers(nn.Module):
    """The layers of a stage, without its division of frames."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.layers = nn.Sequential(*stage)

    def forward(self, maps: Tensor) -> Tensor:
        return self.layers(maps)


@contextlib.contextmanager
def stages_run_by(
    stages: Mapping[str, Stage], runners: Mapping[str, StageRunner | JoinedStage]
) -> Iterator[None]:
    """Lets runners take the place of stages, within the block.

    Args:
        stages: From `stages_of`.
        runners: By the name of the stage.
    """
    for name, runner in runners.items():
        stages[name].runner = runner
    try:
        yield
    finally:
        for name in runners:
            stages[name].runner = None
