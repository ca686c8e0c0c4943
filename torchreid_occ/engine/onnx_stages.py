"""Stages of an ONNX file in int8, by pairs of QuantizeLinear and DequantizeLinear (Q/DQ)."""

import ast
import logging
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ.engine.acceleration import BATCH, choose_stages, features_of_clips
from torchreid_occ.engine.stage_runners import stages_of
from torchreid_occ.models import ClipModel
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.onnx_session import open_session

SCOPES = "pkg.torch.onnx.name_scopes"  # of a node: the modules around it, noted by torch.onnx


class Quantised(NamedTuple):
    """An ONNX file with stages in int8.

    Attributes:
        content: The file.
        cosine: Mean cosine of its features to the model's.
        least_cosine: The least one.
        left: Stages that were left in float32.
    """

    content: bytes
    cosine: float
    least_cosine: float
    left: list[str]


@torch.inference_mode()
def quantise_stages(content: bytes, model: ClipModel, clips: Tensor) -> Quantised:
    """Quantises the stages of an exported model's image network, as `stage_runners` does.

    Weights are quantised by channel to int8, activations to uint8 by the range that they have on
    half of the clips. Stages that change the features of the other half too much are left.

    Args:
        content: The exported model, by torch.onnx.
        model: The model.
        clips: From `calibration_clips`.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
        ValueError: If every stage changes the features too much.
    """
    (onnx,) = import_optional("onnx", extra="export")
    graph = onnx.load_from_string(content).graph
    nodes = {name: _nodes_of(graph, name) for name in stages_of(model)}
    names = [name for name, own in nodes.items() if own]
    held_out = clips[1::2]
    expected = features_of_clips(model, held_out)
    least = 1.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"

        def cosine(chosen: Sequence[str]) -> float:
            nonlocal least
            own = [node for name in chosen for node in nodes[name]]
            _quantise(content, own, clips[::2], path)
            found = features_of_clips(onnx_features(path), held_out)
            cosines = F.cosine_similarity(found, expected)
            least = cosines.min().item()
            return cosines.mean().item()

        chosen, mean = choose_stages(names, cosine)  # whose last call is for the chosen
        if not chosen:
            raise ValueError(
                f"int8 changes the features of {type(model).__name__} too much in every stage of "
                "its image network: choose another precision."
            )
        left = [name for name in names if name not in chosen]
        return Quantised(path.read_bytes(), mean, least, left)


def onnx_features(path: Path) -> Callable[[Tensor], Tensor]:
    """Returns a function from clips to features that an exported file computes.

    Args:
        path: The file.
    """
    session = open_session(path)
    return lambda clips: torch.from_numpy(session.run(None, {"clips": clips.numpy()})[0])


def _nodes_of(graph: Any, stage: str) -> list[str]:
    """Lists the names of the nodes that compute a stage."""
    return [node.name for node in graph.node if any(_is_in(s, stage) for s in _scopes(node))]


def _is_in(scope: str, stage: str) -> bool:
    return scope == stage or scope.startswith(f"{stage}.")


def _scopes(node: Any) -> Iterable[str]:
    """Returns the names of the modules around a node, the outermost first."""
    noted = {one.key: one.value for one in node.metadata_props}
    names: list[str] = ast.literal_eval(noted.get(SCOPES, "[]"))
    return names


def _quantise(content: bytes, nodes: Sequence[str], clips: Tensor, path: Path) -> None:
    """Writes a file with some of its nodes in int8."""
    (onnx,) = import_optional("onnx", extra="export")
    (quantization,) = import_optional("onnxruntime.quantization", extra="export")
    logging.disable(logging.WARNING)  # it advises steps that torch.onnx has done
    try:
        quantization.quantize_static(
            onnx.load_from_string(content),
            path,
            _Batches(clips),
            per_channel=True,
            # onnxruntime is fast on a processor for unsigned activations by signed weights.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=[*nodes],
        )
    finally:
        logging.disable(logging.NOTSET)


class _Batches:
    """Clips as onnxruntime's calibration reads them."""

    def __init__(self, clips: Tensor) -> None:
        self._batches = iter(clips.split(BATCH))

    def get_next(self) -> dict[str, Any] | None:
        """Returns the next inputs, or None behind the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"clips": batch.numpy()}
