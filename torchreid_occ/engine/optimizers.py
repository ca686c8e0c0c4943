"""Builds the optimiser and the scheduler of a configuration."""

from collections.abc import Iterable

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from torchreid_occ._torchreid import torchreid


def build_optimizer(config: CfgNode, model: nn.Module) -> Optimizer:
    """Builds the configured optimiser.

    Args:
        config: The configuration.
        model: The model, on its device.
    """
    train = config.train
    optimizer: Optimizer = torchreid.optim.build_optimizer(
        model,
        optim=train.optim,
        lr=train.lr,
        weight_decay=train.weight_decay,
        momentum=config.sgd.momentum,
        sgd_dampening=config.sgd.dampening,
        sgd_nesterov=config.sgd.nesterov,
        rmsprop_alpha=config.rmsprop.alpha,
        adam_beta1=config.adam.beta1,
        adam_beta2=config.adam.beta2,
        staged_lr=train.staged_lr,
        new_layers=list(train.new_layers),
        base_lr_mult=train.base_lr_mult,
    )
    if train.staged_lr:
        _move_new_layers(optimizer, model, train.new_layers)
    return optimizer


def _move_new_layers(optimizer: Optimizer, model: nn.Module, names: Iterable[str]) -> None:
    """Gives layers inside others, such as 'auxiliary.fc', the learning rate of new layers.

    torchreid finds the layers of the model itself alone.
    """
    modules = dict(model.named_modules())
    inner = [modules[name] for name in names if "." in name and name in modules]
    moved = {id(parameter) for module in inner for parameter in module.parameters()}
    base, new = optimizer.param_groups
    new["params"] += [each for each in base["params"] if id(each) in moved]
    base["params"] = [each for each in base["params"] if id(each) not in moved]


def build_scheduler(config: CfgNode, optimizer: Optimizer) -> LRScheduler:
    """Builds the configured scheduler; it counts epochs or, with ``train.max_iter``, steps.

    Args:
        config: The configuration.
        optimizer: The optimiser whose learning rate it sets.
    """
    train = config.train
    scheduler: LRScheduler = torchreid.optim.build_lr_scheduler(
        optimizer,
        lr_scheduler=train.lr_scheduler,
        stepsize=train.stepsize,
        gamma=train.gamma,
        max_epoch=train.max_iter or train.max_epoch,
    )
    return scheduler
