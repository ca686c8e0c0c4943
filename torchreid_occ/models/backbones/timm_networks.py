"""Networks of timm, for which timm gives the map behind each of four stages (`features_only`)."""

import inspect
from typing import Any

import torch
from torch import nn
from torchvision.ops import Permute

from torchreid_occ.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from torchreid_occ.models.backbones.network import Network
from torchreid_occ.models.backbones.weights import Origin, Published
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.weights import LOADING_ERRORS, WeightsUnavailable

TIMM = "timm/"
TIMM_STAGES = 4
_FILES = ("model.safetensors", "pytorch_model.bin")  # names of weights on the hub


def timm_network(name: str) -> Network:
    """Describes a network of timm; channels, strides and normalisation are read from it.

    Maps of networks with channels last, such as Swin, are turned behind each stage.

    Args:
        name: timm's name of the network, with or without the tag of its weights: `resnet50`,
            `resnet50.a1_in1k`.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm does not have the network, or it is no sequence of four stages.
    """
    (timm,) = import_optional("timm", extra="timm")
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.partition('.')[0]}*")[:5]
        raise ValueError(f"Received backbone {TIMM}{name}, but timm has no such network: {near}")
    with torch.device("meta"):
        features = _features_of(name, False)
    info, config = features.feature_info, timm.get_pretrained_cfg(name)
    return Network(
        build=lambda drawn: _stages_of(_features_of(name, False))[0],
        stages=_stages_of(features)[1],
        channels=tuple(info.channels()[-TIMM_STAGES:]),
        strides=tuple(info.reduction()[-TIMM_STAGES:]),
        sources={"timm": lambda: _published_by_timm(name)},
        mean=IMAGENET_MEAN if config is None else tuple(config.mean),
        std=IMAGENET_STD if config is None else tuple(config.std),
    )


def _features_of(name: str, pretrained: bool) -> Any:
    """Builds a network as timm's sequence of layers with the names of those behind stages."""
    from timm import create_model, model_entrypoint
    from timm.models._features import FeatureDictNet, FeatureListNet
    from timm.models.efficientnet import EfficientNetFeatures
    from timm.models.mobilenetv3 import MobileNetV3Features

    options: dict[str, Any] = {"features_only": True, "pretrained": pretrained}
    module = inspect.getmodule(model_entrypoint(name))
    if module is not None and module.__name__.startswith("timm.models.swin"):
        options["strict_img_size"] = False  # windows are laid out for the frames that arrive
    try:
        network = create_model(name, **options)
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise ValueError(f"Received backbone {TIMM}{name}, but timm says: {error}") from error
    if isinstance(network, (EfficientNetFeatures, MobileNetV3Features)):
        indices = range(len(network.feature_info.channels()))
        network = FeatureListNet(network, tuple(indices), flatten_sequential=True)
    if not isinstance(network, FeatureDictNet) or len(network.return_layers) < TIMM_STAGES:
        raise ValueError(
            f"Received backbone {TIMM}{name}, but expected a network that is a sequence of "
            f"{TIMM_STAGES} stages: a vision transformer, for example, has one map size"
        )
    return network


def _stages_of(features: Any) -> tuple[nn.ModuleDict, tuple[tuple[str, ...], ...]]:
    """Returns the layers, and their names by stage; maps behind stages have channels first."""
    ends = [*features.return_layers][-TIMM_STAGES:]
    turned = features.output_fmt.name == "NHWC"
    layers: dict[str, nn.Module] = {}
    stages: list[tuple[str, ...]] = []
    stage: list[str] = []

    def append(name: str, layer: nn.Module) -> None:
        layers[name] = layer
        stage.append(name)

    for name, layer in features.items():
        if turned and stages and not stage:
            append(f"channels_last_{len(stages)}", Permute([0, 2, 3, 1]))
        append(name, layer)
        if name in ends:
            if turned:
                append(f"channels_first_{len(stages)}", Permute([0, 3, 1, 2]))
            stages.append(tuple(stage))
            stage.clear()
    return nn.ModuleDict(layers), tuple(stages)


def _published_by_timm(name: str) -> Published:
    """Reads the weights of a network that timm downloads from its hub, or has downloaded."""
    from huggingface_hub import try_to_load_from_cache
    from timm import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    hub = None if config is None else config.hf_hub_id
    if not hub:
        raise WeightsUnavailable(f"timm has no weights of {name} on its hub.")
    try:
        weights = _stages_of(_features_of(name, True))[0].state_dict()
    except LOADING_ERRORS as error:
        raise WeightsUnavailable(
            f"Weights {hub} could not be loaded ({type(error).__name__}: {error}). Without "
            "internet, put a downloaded copy of them into the cache of huggingface_hub, or name "
            "another source by `model.pretrained`."
        ) from error
    files = (try_to_load_from_cache(hub, file) for file in _FILES)
    found = next((file for file in files if isinstance(file, str)), None)
    digest = None if found is None else file_hash(found)
    return Published(weights, Origin("timm", hub, None, digest))
