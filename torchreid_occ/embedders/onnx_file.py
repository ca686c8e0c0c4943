"""Embedders in ONNX files: those that `torchreid-occ export` wrote, and any other of images."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import config_of
from torchreid_occ.embedders.provenance import Provenance, weakness
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.models.frame_embedder import ClipEmbedder, FrameEmbedder
from torchreid_occ.utils.documents import read_yaml
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.onnx_session import frame_shape, open_session

EXPORTED = "torchreid_occ"  # key of the metadata that only our exporter writes
FRAME_KEYS = ("height", "width", "interpolation", "norm_mean", "norm_std")
NEEDED = ("height", "width", "norm_mean", "norm_std")
OPTIONAL = ("interpolation", "channels", "trained_on", "num_people", "results")
# Largest deviation of a feature by the frames that are computed beside it, relative to the largest
# value. With int8 ranges that are set by each batch (quantize_dynamic) it is 0.03 of OSNet.
BESIDE = 0.1
CHANNELS = {"rgb": False, "bgr": True}  # whether the channels are reversed
EXAMPLE = """\
height: {height}
width: {width}
norm_mean: [0.485, 0.456, 0.406]  # of red, green and blue in 0..1
norm_std: [0.229, 0.224, 0.225]
channels: rgb
trained_on: MSMT17
num_people: 1041
results: 29.5 mAP, 61.4 rank-1 on MSMT17"""


class OnnxEmbedder(NamedTuple):
    """An embedder of an ONNX file.

    Attributes:
        model: The clip model that runs it, on the CPU.
        config: The configuration by which frames are read.
        sha256: Hash of the file and of what its YAML file says about the frames.
        provenance: What it was trained on.
        precision: What it is computed in; 'own' for a file of another program.
    """

    model: ClipModel
    config: CfgNode
    sha256: str
    provenance: Provenance
    precision: str = "own"


def load_onnx(path: StrPath) -> OnnxEmbedder:
    """Loads an embedder from an ONNX file.

    A file of `torchreid-occ export` says itself how its frames are read. Any other one maps frames
    `(N, 3, H, W)` to features `(N, D)` and has a YAML file of its name beside it (`model.yaml` for
    `model.onnx`), which says so.

    Args:
        path: The ONNX file.

    Raises:
        FileNotFoundError: If there is no such file, or no YAML file beside it.
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is damaged or no embedder, or the YAML file is wrong.
    """
    path = Path(path)
    session = open_session(path)
    exported = session.get_modelmeta().custom_metadata_map
    return _of_export(path, session, exported) if EXPORTED in exported else _of_yaml(path, session)


def _of_export(path: Path, session: Any, exported: Mapping[str, str]) -> OnnxEmbedder:
    """Builds the embedder of a file that `torchreid-occ export` wrote."""
    try:
        about = {key: json.loads(value) for key, value in exported.items()}
        frames = {key: about[key] for key in FRAME_KEYS}
        clip_len, dim = about["clip_len"], about["feature_dim"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} is no complete export of this package: {error}.") from error
    config = config_of({"data": frames, "video": {"test_clip_len": clip_len}}, str(path))
    known = about.get("provenance")
    provenance = Provenance(path.name, *known) if known else _unknown(path.name)
    model = ClipEmbedder(_Runner(session), dim).eval()
    precision = about.get("precision", "float32")  # which earlier versions did not note
    return OnnxEmbedder(model, config, file_hash(path), provenance, precision)


def _of_yaml(path: Path, session: Any) -> OnnxEmbedder:
    """Builds the embedder of a file of another program, with its YAML file."""
    shape = frame_shape(path, session, "embedder of frames")
    settings = _read_settings(path, shape)
    frames = {key: settings[key] for key in FRAME_KEYS if key in settings}
    network = _Runner(session, CHANNELS[settings["channels"]], shape[0])
    config = config_of({"data": frames}, str(path.with_suffix(".yaml")))
    dim = _checked_dim(path, network, (config.data.height, config.data.width))
    read_by = json.dumps([frames, settings["channels"]], sort_keys=True)
    digest = hashlib.sha256(f"{file_hash(path)} {read_by}".encode()).hexdigest()
    provenance = _described(path.name, settings)
    return OnnxEmbedder(FrameEmbedder(network, dim).eval(), config, digest, provenance)


def _checked_dim(path: Path, network: "_Runner", size: tuple[int, int]) -> int:
    """Returns the length of a feature, which must not depend on the frames beside its own."""
    noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    frames = noise + torch.tensor([-1.0, 1.0])[:, None, None, None]  # a dark and a bright one
    together = network(frames)
    if together.dim() != 2 or len(together) != 2:
        raise ValueError(
            f"{path} is no embedder: its output for two frames is {tuple(together.shape)}, but "
            "expected (2, D)."
        )
    alone = torch.cat([network(frame[None]) for frame in frames])
    deviation = (together - alone).abs().max()
    if not deviation <= BESIDE * together.abs().max():  # refuses NaN, too
        raise ValueError(
            f"{path} is no embedder of single frames: two features deviate by {deviation:.1e} when "
            "they are computed together. Export it in eval mode, and normalise over features, not "
            "over the batch."
        )
    return together.shape[1]


def _read_settings(path: Path, shape: list[int | None]) -> dict[str, Any]:
    """Reads and checks the YAML file beside an ONNX file."""
    file = path.with_suffix(".yaml")
    example = EXAMPLE.format(height=shape[2] or 256, width=shape[3] or 128)
    if not file.is_file():
        raise FileNotFoundError(
            f"{path} does not say how its frames are read, so {file} must, with what its makers "
            f"state, such as:\n{example}"
        )
    settings = read_yaml(file)
    if not isinstance(settings, dict):
        raise ValueError(f"{file} holds no keys, but expected some such as:\n{example}")
    missing = [key for key in NEEDED if key not in settings]
    unknown = [key for key in settings if key not in (*NEEDED, *OPTIONAL)]
    if missing or unknown:
        raise ValueError(
            f"{file} lacks {missing} and has the unknown {unknown}: expected {[*NEEDED]} and, if "
            f"you like, {[*OPTIONAL]}."
        )
    for key, fixed in zip(("height", "width"), shape[2:], strict=True):
        if fixed not in (None, settings[key]):
            raise ValueError(f"{file} says {key} {settings[key]}, but {path} reads {fixed}.")
    settings.setdefault("channels", "rgb")
    if settings["channels"] not in CHANNELS:
        raise ValueError(
            f"{file} says channels {settings['channels']!r}, but expected one of {[*CHANNELS]}."
        )
    return settings


def _described(name: str, settings: Mapping[str, Any]) -> Provenance:
    people = settings.get("num_people")
    unknown = _unknown(name)
    trained_on = str(settings.get("trained_on", unknown.trained_on))
    if isinstance(people, int):
        trained_on += f" ({people:,} people)"
    results = f"it had {settings['results']}" if settings.get("results") else unknown.results
    return Provenance(name, trained_on, results, weakness(people))


def _unknown(name: str) -> Provenance:
    return Provenance(name, "data that is not known", "how well it did is not known")


class _Runner:
    """Runs a session on a batch of tensors.

    Args:
        session: The session, with one input.
        reverse: Whether the channels are reversed.
        batch: The number of inputs that it runs at once; None if that is free.
    """

    def __init__(self, session: Any, reverse: bool = False, batch: int | None = None) -> None:
        self._session, self._reverse, self._batch = session, reverse, batch
        self._name = session.get_inputs()[0].name

    def __call__(self, images: Tensor) -> Tensor:
        if self._reverse:
            images = images.flip(-3)
        values = np.ascontiguousarray(images.float().cpu().numpy())
        if self._batch is None:
            return self._run(values)
        short = -len(values) % self._batch
        padded = np.concatenate([values, np.repeat(values[-1:], short, axis=0)])
        parts = [self._run(part) for part in np.split(padded, len(padded) // self._batch)]
        return torch.cat(parts)[: len(values)]

    def _run(self, values: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(self._session.run(None, {self._name: values})[0])
