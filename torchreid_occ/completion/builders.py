"""Builds VRSTC's networks and their engine from a configuration, or loads them from checkpoints."""

from typing import NamedTuple

import torch
from torch import nn
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.completion.data import CompletionDataManager
from torchreid_occ.completion.discriminator import Discriminator
from torchreid_occ.completion.engine import CompletionEngine, Trained
from torchreid_occ.completion.guider import IdGuider
from torchreid_occ.completion.loss import CompletionLoss
from torchreid_occ.completion.network import STCnet
from torchreid_occ.config import config_of, plain
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.backend import use_gpu
from torchreid_occ.engine.optimizers import build_scheduler
from torchreid_occ.models import ClipModel, build_model
from torchreid_occ.runs.builders import build_test_transform, load_trained_model
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.layout import lay_out_channels_last

# In place of a checkpoint: EfficientNet-Lite0 with ImageNet weights.
IMAGENET = "imagenet"


class LoadedGenerator(NamedTuple):
    """A completion network, and the frames it was trained on.

    Attributes:
        network: The network.
        size: Height and width of the frames.
        interpolation: How they were resized.
    """

    network: STCnet
    size: tuple[int, int]
    interpolation: str


class Extractor(NamedTuple):
    """The network whose maps score thirds, on the CPU in eval mode, and its frames' transform."""

    model: ClipModel
    transform: ClipTransform


def load_extractor(config: CfgNode) -> Extractor:
    """Loads the network that ``completion.extractor`` names.

    Args:
        config: For `IMAGENET`, ``data`` has the size of the frames.
    """
    named = config.completion.extractor
    if named != IMAGENET:
        model, trained, _ = load_trained_model(named)
        return Extractor(model, build_test_transform(trained))
    model = build_model("baseline", 1, pretrained=True, backbone="efficientnet_lite0").eval()
    lay_out_channels_last(model)
    return Extractor(model, build_test_transform(config))


def load_generator(path: StrPath) -> LoadedGenerator:
    """Loads the STCnet of a checkpoint, in eval mode on the CPU.

    Args:
        path: A checkpoint of task 'train_completion'.

    Raises:
        ValueError: If the checkpoint holds no STCnet.
    """
    state = load_checkpoint(path)
    try:
        weights = state["models"]["generator"]["state_dict"]
        config = config_of(state["config"], origin=str(path))
        own = config.completion
        generator = STCnet(**plain(own.generator))
        generator.load_state_dict(weights)
    except Exception as error:  # options of another network may raise any error
        raise ValueError(
            f"{path} holds no completion network ({error}): name what task 'train_completion' made."
        ) from error
    size = own.height, own.width
    return LoadedGenerator(generator.eval(), size, config.data.interpolation)


def load_guider(path: StrPath) -> IdGuider:
    """Loads the re-ID network of a checkpoint as an `IdGuider` on the CPU.

    Args:
        path: A checkpoint of a training.
    """
    model, trained, _ = load_trained_model(path)
    data = trained.data
    return IdGuider(model, data.height, data.width, list(data.norm_mean), list(data.norm_std))


def build_completion_engine(
    config: CfgNode, datamanager: CompletionDataManager
) -> CompletionEngine:
    """Builds the configured networks, their optimisers and the engine that trains them.

    Args:
        config: The configuration.
        datamanager: The data manager.

    Raises:
        ValueError: If the guider was trained on another number of identities than the data has.
    """
    own, train = config.completion, config.train
    gpu = use_gpu(config)
    criterion = CompletionLoss(**plain(own.loss))
    guider = load_guider(own.guider) if own.guider and criterion.lambda_guider else None
    if guider is not None:
        _check_identities(own.guider, guider, datamanager.num_pids)
        guider = guider.cuda() if gpu else guider
    generator = STCnet(**plain(own.generator))
    options = {"height": own.height, "width": own.width, **plain(own.discriminator)}
    discriminators = {name: Discriminator(**options) for name in own.discriminators}

    def optimised(module: nn.Module, lr: float) -> Trained:
        module = module.cuda() if gpu else module
        optimizer = torch.optim.Adam(
            module.parameters(), lr, (config.adam.beta1, config.adam.beta2)
        )
        return Trained(module, optimizer, build_scheduler(config, optimizer))

    return CompletionEngine(
        datamanager,
        optimised(generator, train.lr),
        {name: optimised(m, own.lr_discriminator) for name, m in discriminators.items()},
        criterion,
        guider,
        seed=train.seed,
        use_gpu=config.use_gpu,
        metadata={"config": plain(config)},
        precision=train.precision,
    )


def _check_identities(path: str, guider: IdGuider, num_pids: int) -> None:
    classifier = guider.model.classifier
    known = classifier.out_features if isinstance(classifier, nn.Linear) else num_pids
    if known != num_pids:
        raise ValueError(
            f"completion.guider {path} knows {known} identities, but {num_pids} are trained on: "
            "train it on the same data, with test.select last."
        )
