"""Builds the parts a configuration names: data manager, model, criterion, optimiser, engine."""

import torch
from torch import nn

from torchreid_occ._torchreid import torchreid
from torchreid_occ.config import check_options, config_of, plain
from torchreid_occ.data.manager import ClipDataManager
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine import ClipEngine
from torchreid_occ.engine.torchreid_backend import TORCHREID_ENGINES
from torchreid_occ.losses import CRITERIA, build_criterion
from torchreid_occ.models import MODELS, WeightsUnavailable, build_model, torchreid_models
from torchreid_occ.utils.checkpoint import load_checkpoint, load_matching_weights, load_weights
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.utils.logs import logger, printed_lines_logged
from torchreid_occ.utils.processes import process_count


def use_gpu(config):
    """Whether a run uses a GPU: it is asked for and there is one."""
    return config.use_gpu and torch.cuda.is_available()


def check_parts(config):
    """Finds mistakes in what a configuration names before any data is loaded.

    Raises:
        KeyError: For an unknown model, criterion or option of one.
        ValueError: If the criterion reads supervision that ``data.supervision`` does not load.
    """
    model, loss = config.model, config.loss
    known = [*MODELS, *(torchreid_models() if config.engine == "torchreid" else ())]
    _check_name("model.name", model.name, known)
    shared = ("num_classes", "pretrained", "height", "width")
    if model.name in MODELS:
        check_options("model.options", model.options, MODELS[model.name], shared)
    elif model.options:
        raise ValueError(f"model.options are {plain(model.options)}, but {model.name} takes none.")
    if config.engine == "torchreid":
        _check_name("loss.name", loss.name, TORCHREID_ENGINES)
        shared = ("datamanager", "model", "optimizer", "scheduler", "use_gpu", "pooling_method")
        check_options("loss.options", loss.options, TORCHREID_ENGINES[loss.name], shared)
        return
    _check_name("loss.name", loss.name, CRITERIA)
    check_options("loss.options", loss.options, CRITERIA[loss.name], ("num_classes",))
    read = build_criterion(loss.name, 1, **plain(loss.options)).supervision
    missing = set(read) - set(config.data.supervision)
    if missing:
        raise ValueError(
            f"loss {loss.name!r} reads {sorted(read)}, but data.supervision is "
            f"{list(config.data.supervision)}: add {sorted(missing)}, or set the weights of these "
            "terms to 0 in loss.options."
        )


def build_datamanager(config):
    """The data manager of the configured engine."""
    with printed_lines_logged():
        if config.engine == "torchreid":
            return torchreid.data.VideoDataManager(
                **_common_data_arguments(config), sample_method=config.video.sample_method
            )
        held_out = config.test.val_identities or None if config.test.select == "val" else 0
        return ClipDataManager(
            **_common_data_arguments(config),
            train_sampling=config.video.train_sampling,
            stride=config.video.stride,
            test_clip_len=config.video.test_clip_len,
            seed=config.train.seed,
            supervision=config.data.supervision,
            keypoints=config.data.keypoints,
            foreground=config.data.foreground,
            dataset_options=plain(config.data.options),
            val_identities=held_out,
        )


def build_configured_model(config, num_classes, pretrained=None):
    """The configured model, on the CPU, and whether it starts from ImageNet weights.

    Args:
        config: The configuration.
        num_classes: Number of training identities.
        pretrained: Takes the place of ``model.pretrained``.

    Raises:
        WeightsUnavailable: If ``model.pretrained`` is True and the weights can't be had.
    """
    model = config.model
    size = {"height": config.data.height, "width": config.data.width}

    def build(pretrained):
        if model.name not in MODELS:
            return _torchreid_model(config, num_classes, pretrained)
        options = plain(model.options)
        own = build_model(model.name, num_classes, pretrained=pretrained, **size, **options)
        if config.engine == "torchreid":
            own.torchreid_loss = config.loss.name
        return own

    built, pretrained = _with_weights(build, model.pretrained if pretrained is None else pretrained)
    if model.start_from:
        new = load_matching_weights(built, model.start_from)
        parts = sorted({name.split(".")[0] for name in new})
        logger.info("Weights from %s; new are %d tensors of %s.", model.start_from, len(new), parts)
    if model.load_weights:
        load_weights(built, model.load_weights)
    return built, pretrained


def load_trained_model(path):
    """The model of a checkpoint with its weights, in eval mode on the CPU, and its configuration.

    The model is laid out as the engine lays it out, so that it gives the engine's numbers.

    Raises:
        KeyError: If its configuration has a key that does not exist.
        ValueError: If the checkpoint does not say what model it holds, or holds another.
    """
    state = load_checkpoint(path, needed=("config", "num_classes", "state_dict"))
    config = config_of(state["config"], origin=str(path))
    size = {"height": config.data.height, "width": config.data.width}
    try:
        model = build_model(
            config.model.name, state["num_classes"], **size, **plain(config.model.options)
        )
        model.load_state_dict(state["state_dict"])
    except Exception as error:  # whatever a builder makes of options that are none of its own
        raise ValueError(f"{path} does not hold the model it says it does: {error}") from error
    lay_out_channels_last(model)
    return model.eval(), config


def build_test_transform(config):
    """What a model's frames go through at test."""
    data = config.data
    return ClipTransform(data.height, data.width, (), data.norm_mean, data.norm_std)


def build_engine(config, datamanager, model, metadata, clip_engine=ClipEngine):
    """The configured engine with optimiser, scheduler and criterion around a model.

    Args:
        config: The configuration.
        datamanager: Its data manager.
        model: Its model.
        metadata: Plain values every checkpoint carries.
        clip_engine: What engine 'clip' is.
    """
    if use_gpu(config):
        model = model.cuda()
        if process_count() > 1:  # statistics of the whole batch; parameters stay the same objects
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    optimizer = torchreid.optim.build_optimizer(model, **_optimizer_arguments(config))
    scheduler = build_scheduler(config, optimizer)
    options = plain(config.loss.options)
    if config.engine == "torchreid":
        engine = TORCHREID_ENGINES[config.loss.name]
        pooling = config.video.pooling_method
        options.update(scheduler=scheduler, use_gpu=config.use_gpu, pooling_method=pooling)
        return engine(datamanager, model, optimizer, **options)
    criterion = build_criterion(config.loss.name, datamanager.num_train_pids, **options)
    return clip_engine(
        datamanager,
        model,
        optimizer,
        criterion.cuda() if use_gpu(config) else criterion,
        scheduler,
        seed=config.train.seed,
        use_gpu=config.use_gpu,
        dist_metric=config.test.dist_metric,
        flip=config.test.flip,
        clip_grad=config.train.clip_grad,
        clip_grad_by=config.train.clip_grad_by,
        metadata=metadata,
        precision=config.train.precision,
        test_precision=config.test.precision,
        compile_test=config.test.compile,
    )


def build_scheduler(config, optimizer):
    """The configured scheduler, which counts epochs or, with ``train.max_iter``, steps."""
    train = config.train
    return torchreid.optim.build_lr_scheduler(
        optimizer,
        lr_scheduler=train.lr_scheduler,
        stepsize=train.stepsize,
        gamma=train.gamma,
        max_epoch=train.max_iter or train.max_epoch,
    )


def _torchreid_model(config, num_classes, pretrained):
    """A model of torchreid's, which ignores ``pretrained`` where it has no weights."""
    if isinstance(pretrained, str):
        raise ValueError(
            f"model.pretrained is {pretrained!r}, but torchreid's models take True, False or "
            "'auto': set model.load_weights."
        )
    arguments = {"loss": config.loss.name, "use_gpu": use_gpu(config)}
    random_state = torch.get_rng_state()
    model = torchreid.models.build_model(
        config.model.name, num_classes, pretrained=pretrained, **arguments
    )
    if pretrained:
        torch.set_rng_state(random_state)
        scratch = torchreid.models.build_model(
            config.model.name, num_classes, pretrained=False, **arguments
        )
        weights = zip(model.parameters(), scratch.parameters(), strict=True)
        if all(torch.equal(one, other) for one, other in weights):
            raise WeightsUnavailable(f"torchreid has no ImageNet weights of {config.model.name}.")
    return model


def _with_weights(build, pretrained):
    """Builds with the weights asked for; 'auto' goes on without ImageNet's, loudly."""
    if pretrained != "auto":
        return build(pretrained), pretrained
    random_state = torch.get_rng_state()
    try:
        return build(True), True
    except (WeightsUnavailable, OSError) as error:
        logger.warning(
            "NO IMAGENET WEIGHTS: %s\nTraining starts from scratch, and results.json says so. "
            "Numbers will be far below those of a pretrained run.",
            error,
        )
    torch.set_rng_state(random_state)
    return build(False), False


def _common_data_arguments(config):
    data, sampler = config.data, config.sampler
    return {
        "root": data.root,
        "sources": list(data.sources),
        "targets": list(data.targets or data.sources),
        "height": data.height,
        "width": data.width,
        "transforms": list(data.transforms),
        "norm_mean": list(data.norm_mean),
        "norm_std": list(data.norm_std),
        "use_gpu": config.use_gpu,
        "split_id": data.split_id,
        "combineall": data.combineall,
        "batch_size_train": config.train.batch_size,
        "batch_size_test": config.test.batch_size,
        "workers": data.workers,
        "train_sampler": sampler.train_sampler,
        "num_instances": sampler.num_instances,
        "num_cams": sampler.num_cams,
        "num_datasets": sampler.num_datasets,
        "seq_len": config.video.seq_len,
    }


def _optimizer_arguments(config):
    train = config.train
    return {
        "optim": train.optim,
        "lr": train.lr,
        "weight_decay": train.weight_decay,
        "momentum": config.sgd.momentum,
        "sgd_dampening": config.sgd.dampening,
        "sgd_nesterov": config.sgd.nesterov,
        "rmsprop_alpha": config.rmsprop.alpha,
        "adam_beta1": config.adam.beta1,
        "adam_beta2": config.adam.beta2,
        "staged_lr": train.staged_lr,
        "new_layers": list(train.new_layers),
        "base_lr_mult": train.base_lr_mult,
    }


def _check_name(key, name, known):
    if name not in known:
        raise KeyError(f"{key} is {name!r}, but must be one of {sorted(known)}.")
