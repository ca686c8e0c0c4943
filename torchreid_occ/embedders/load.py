"""Loads an embedder: a checkpoint of a run, published weights by name, or an ONNX file."""

import difflib
from pathlib import Path
from typing import NamedTuple

from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import config_of
from torchreid_occ.embedders.onnx_file import load_onnx
from torchreid_occ.embedders.pretrained import is_pretrained, load_pretrained
from torchreid_occ.embedders.provenance import Provenance, describe_run
from torchreid_occ.embedders.published import (
    HEIGHT,
    PUBLISHED,
    WIDTH,
    is_published,
    load_published,
    published_file,
    published_path,
)
from torchreid_occ.models import ClipModel
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.utils.checkpoint import check_checkpoint
from torchreid_occ.utils.file_kinds import is_onnx
from torchreid_occ.utils.files import file_hash


class Embedder(NamedTuple):
    """A model that turns clips into features, with all that its use needs.

    Attributes:
        file: The file that was loaded.
        model: The model, in eval mode on the CPU.
        config: The configuration by which frames are read and features computed.
        sha256: Identifies the features: those of equal hashes can be compared.
        provenance: What it was trained on and how well it did.
        precision: What an ONNX file is computed in, see `OnnxEmbedder`; None where the user may
            choose.
    """

    file: Path
    model: ClipModel
    config: CfgNode
    sha256: str
    provenance: Provenance
    precision: str | None = None


def load_embedder(checkpoint: StrPath) -> Embedder:
    """Loads an embedder.

    Args:
        checkpoint: A checkpoint of a run, the name of one of torchreid's published weights, their
            file under that name (`osnet_x1_0_msmt17.pth`), a folder with safetensors, or an ONNX
            file.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ImportError: If a package that runs the file is not installed.
        ValueError: If the file is damaged or no embedder.
        WeightsUnavailable: If published weights cannot be downloaded.
    """
    check_embedder(checkpoint)
    path = Path(checkpoint)
    if not path.exists():
        path = published_file(str(checkpoint))
    if is_published(path):
        model, provenance = load_published(path)
        config = config_of({"data": {"height": HEIGHT, "width": WIDTH}})
        return Embedder(path, model, config, file_hash(path), provenance)
    if is_pretrained(path):
        (own, settings, _), sha256, described = load_pretrained(path)
        return Embedder(path, own, settings, sha256, described)
    if is_onnx(path):
        return Embedder(path, *load_onnx(path))
    trained, config, num_people = load_trained_model(path)
    provenance = describe_run(path, config, num_people)
    return Embedder(path, trained, config, file_hash(path), provenance)


def embedder_file(checkpoint: StrPath) -> Path:
    """Returns the file of an embedder; of published weights the one that they are kept in.

    Args:
        checkpoint: As for `load_embedder`.
    """
    path = Path(checkpoint)
    is_name = not path.exists() and str(checkpoint) in PUBLISHED
    return published_path(str(checkpoint)) if is_name else path


def check_embedder(checkpoint: StrPath) -> None:
    """Checks that an embedder may be there, without loading it.

    Args:
        checkpoint: As for `load_embedder`.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If the file is something else; says what.
    """
    path = Path(checkpoint)
    if not path.exists() and str(checkpoint) in PUBLISHED:
        return
    if not path.exists():
        near = difflib.get_close_matches(str(checkpoint), PUBLISHED, n=3) or list(PUBLISHED)[:3]
        raise FileNotFoundError(
            f"There is no checkpoint {checkpoint}, and no published weights of that name, as "
            f"{', '.join(near)} are."
        )
    if not is_pretrained(path) and not (path.is_file() and is_onnx(path)):
        check_checkpoint(path)
