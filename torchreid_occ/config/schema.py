"""Every key of a configuration: one row with its default, what it is for and what it may be.

torchreid has its defaults only inside a script, so they are restated here under the same names,
with ours beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PRECISIONS = ("float32", "bfloat16", "float16")
TEST_PRECISIONS = (*PRECISIONS, "int8")
BACKENDS = ("torch", "openvino")


@dataclass(frozen=True)
class Key:
    """A key of a configuration.

    Attributes:
        default: Its value where nothing sets it; other values have the same type. A dict is
            free-form: it holds the keyword arguments of a function, which checks them.
        about: What it is for.
        choices: Allowed values; any if empty.
        minimum: Smallest value, of a list the smallest item; any if None.
        items: Allowed items of a list; any if empty.
        length: Number of items of a list; any if None.
        only_for: The one engine that reads it; both if None.
        choices_by_engine: Allowed values with an engine, where they are fewer.
    """

    default: Any
    about: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    items: tuple[str, ...] = ()
    length: int | None = None
    only_for: str | None = None
    choices_by_engine: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


KEYS = {
    "task": Key(
        "train",
        "'train' a model and test it; or one of VRSTC's: 'score' the regions of a dataset for "
        "occlusion, 'train_completion' of the network that fills them in, 'copy' a dataset with "
        "them completed or left out",
        choices=("train", "score", "train_completion", "copy"),
    ),
    "phases": Key([], "named parts that run one after the other: see torchreid_occ.runs.phases"),
    "engine": Key(
        "clip",
        "'clip' is ours; 'torchreid' runs torchreid's data manager, models and engines as they are",
        choices=("clip", "torchreid"),
    ),
    "use_gpu": Key(True, "use a GPU if there is one"),
    # The model and its weights.
    "model.name": Key("rfcnet", "name of the model"),
    "model.pretrained": Key(
        "auto",
        "ImageNet weights: True, 'torchvision', 'package' (of an installed package; extra "
        "[weights]), 'timm', False, 'auto' (from the first of these that has them, else none); or "
        "a file, or its hf:// address: published weights, or the checkpoint of a model whose "
        "backbone to start from",
    ),
    "model.load_weights": Key("", "checkpoint of this very model"),
    "model.start_from": Key(
        "", "checkpoint of another model, some of whose weights are taken", only_for="clip"
    ),
    # Paper silent [T8]: "the learned parameters" are those of Convs and ST2N, not of classifiers.
    "model.start_parts": Key(
        [],
        "beginnings of the names of the weights that model.start_from takes, all of which must "
        "fit; if empty, weights are taken where name and shape match",
        only_for="clip",
    ),
    "model.options": Key({}, "keyword arguments of the model's builder"),
    # Datasets and what is read of them.
    "data.root": Key("reid-data", "folder of the datasets"),
    "data.sources": Key(["occwalk_tiny"], "datasets to train on"),
    "data.targets": Key([], "datasets to test on; the sources if empty"),
    "data.options": Key({}, "{dataset name: keyword arguments of its class}", only_for="clip"),
    "data.workers": Key(2, "worker processes of each loader", minimum=0),
    "data.split_id": Key(0, "which split of the datasets", minimum=0),
    "data.height": Key(256, "height of the frames", minimum=1),
    "data.width": Key(128, "width of the frames", minimum=1),
    # Paper silent [R23]: released codes take bicubic, as configs/base does; the default is
    # torchreid's.
    "data.interpolation": Key(
        "bilinear",
        "how frames are resized, in training and at test",
        choices=("bilinear", "bicubic"),
        only_for="clip",
    ),
    "data.combineall": Key(False, "train on query and gallery, too"),
    "data.transforms": Key(["random_flip"], "augmentations of the training frames"),
    "data.occluders": Key(
        {},
        "of the transform random_occluders: {source: 'people' of the training set, rendered "
        "'things' or a folder of cut-outs; share: of the clips}",
        only_for="clip",
    ),
    "data.norm_mean": Key([0.485, 0.456, 0.406], "mean of each channel", length=3),
    "data.norm_std": Key([0.229, 0.224, 0.225], "deviation of each channel", length=3),
    "data.save_dir": Key("log", "folder of the run"),
    "data.supervision": Key(
        [],
        "what training reads beside the frames",
        items=("keypoints", "foreground"),
        only_for="clip",
    ),
    "data.keypoints": Key(
        "", "JSON file in the released format, for datasets without their own", only_for="clip"
    ),
    "data.foreground": Key(
        "", "folder in the released format, for datasets without their own", only_for="clip"
    ),
    "data.verify": Key(False, "decode every image once before training"),
    # Training batches.
    "sampler.train_sampler": Key("RandomIdentitySampler", "torchreid's name of the sampler"),
    "sampler.num_instances": Key(4, "clips of an identity in a batch", minimum=1),
    "sampler.num_cams": Key(1, "cameras in a batch of RandomDomainSampler"),
    "sampler.num_datasets": Key(1, "datasets in a batch of RandomDatasetSampler"),
    # Paper silent [S7]: both are RRU-STIM's released batches, on in its recipe.
    "sampler.across_cameras": Key(
        False,
        "RandomIdentitySampler takes the clips of an identity from different cameras where it can",
        only_for="clip",
    ),
    "sampler.min_frames": Key(
        0, "training tracklets with fewer frames are left out", minimum=0, only_for="clip"
    ),
    # Clips.
    "video.seq_len": Key(4, "frames of a training clip", minimum=1),
    "video.train_sampling": Key(
        "strided",
        "how the frames of a training clip are drawn",
        choices=("consecutive", "strided", "random", "evenly"),
        only_for="clip",
    ),
    # Paper silent [V17]: VRSTC prints no stride; 8 is that of the authors' later RFCnet.
    "video.stride": Key(8, "distance of frames in a strided clip", minimum=1, only_for="clip"),
    # Paper silent [R22]: printed training times fit epochs of cut tracklets, see docs/fidelity.md.
    "video.train_cut": Key(
        0,
        "where not 0: training tracklets are cut into items of this many frames",
        minimum=0,
        only_for="clip",
    ),
    "video.test_clip_len": Key(
        64, "frames of a test clip; 0 takes whole tracklets", minimum=0, only_for="clip"
    ),
    "video.sample_method": Key("evenly", "how frames are drawn", only_for="torchreid"),
    "video.pooling_method": Key("avg", "how frames are pooled at test", only_for="torchreid"),
    # Training.
    "train.optim": Key("adam", "torchreid's name of the optimiser"),
    "train.lr": Key(0.0003, "learning rate"),
    "train.weight_decay": Key(0.0005, "weight decay"),
    "train.max_epoch": Key(150, "epochs", minimum=0),
    "train.max_iter": Key(
        0,
        "where not 0: steps instead of epochs, which the scheduler then counts, too",
        minimum=0,
        only_for="clip",
    ),
    "train.batch_size": Key(32, "clips of a batch", minimum=1),
    "train.fixbase_epoch": Key(0, "first epochs in which only open_layers train"),
    "train.open_layers": Key(["classifier"], "layers that train in the first epochs"),
    "train.staged_lr": Key(False, "other layers than new_layers have a lower learning rate"),
    "train.new_layers": Key(
        ["classifier"], "layers with the full learning rate; inside others by dotted names"
    ),
    "train.base_lr_mult": Key(0.1, "factor of the lower learning rate"),
    "train.lr_scheduler": Key("single_step", "torchreid's name of the scheduler"),
    "train.stepsize": Key([40], "epochs (steps with max_iter) of the scheduler", minimum=1),
    "train.gamma": Key(0.1, "factor of the learning rate at each of these"),
    "train.precision": Key(
        "float32",
        "what networks compute in, float16 on a GPU only; losses and weights are float32",
        choices=PRECISIONS,
        only_for="clip",
    ),
    "train.clip_grad": Key(0.0, "where not 0: the largest gradient", minimum=0, only_for="clip"),
    # Paper silent [T6]: TRL-ST2N clips at 5; by value, as nothing else is said.
    "train.clip_grad_by": Key(
        "value",
        "whether each gradient is limited or the norm of all",
        choices=("value", "norm"),
        only_for="clip",
    ),
    "train.print_freq": Key(20, "batches between lines of the log", minimum=1),
    "train.checkpoint_freq": Key(
        0,
        "epochs between checkpoints that stay, beside those of the last two epochs and the best",
        minimum=0,
        only_for="clip",
    ),
    "train.seed": Key(1, "seed of the run", minimum=0),
    # Optimisers.
    "sgd.momentum": Key(0.9, "momentum"),
    "sgd.dampening": Key(0.0, "dampening of the momentum"),
    "sgd.nesterov": Key(False, "Nesterov momentum"),
    "rmsprop.alpha": Key(0.99, "smoothing constant"),
    "adam.beta1": Key(0.9, "decay of the first moment"),
    "adam.beta2": Key(0.999, "decay of the second moment"),
    # VRSTC's tasks.
    "completion.extractor": Key(
        "",
        "checkpoint of the model that scores regions; 'imagenet' takes EfficientNet-Lite0 with "
        "ImageNet weights, 'truth' a dataset's own masks",
    ),
    "completion.scorer": Key(
        "thirds",
        "what is compared: features of 'thirds' with the tracklet's mean, as in the paper, or "
        "'cells' with the average person and the tracklet",
        choices=("thirds", "cells"),
    ),
    "completion.stage": Key(
        2, "stage of the extractor's backbone whose maps the scorer 'cells' reads", minimum=1
    ),
    "completion.scores": Key("", "file of task 'score'"),
    "completion.tau": Key(0.89, "a region with a lower score is occluded"),
    "completion.quantile": Key(
        0.0, "where not 0: this share of the training regions is occluded, instead of tau"
    ),
    "completion.height": Key(128, "height of the completed frames", minimum=4),
    "completion.width": Key(64, "width of the completed frames", minimum=4),
    "completion.max_masked": Key(
        1, "masked regions of a training frame, of three, at most; the paper masks one"
    ),
    "completion.max_gap": Key(
        0, "frames passed over to a training frame's neighbours, at most", minimum=0
    ),
    "completion.generator": Key({}, "keyword arguments of STCnet"),
    "completion.discriminators": Key(["local", "global"], "discriminators, 'local' and 'global'"),
    "completion.discriminator": Key({}, "keyword arguments of Discriminator"),
    "completion.lr_discriminator": Key(0.0001, "learning rate of the discriminators"),
    "completion.guider": Key("", "checkpoint of the model that guides; none if empty"),
    "completion.loss": Key({}, "keyword arguments of CompletionLoss"),
    "completion.checkpoint": Key(
        "", "checkpoint of task 'train_completion'; occluded frames are left out if empty"
    ),
    # The criterion.
    "loss.name": Key("identity", "name of the criterion"),
    "loss.options": Key({}, "keyword arguments of the criterion"),
    # Validation and test.
    "test.batch_size": Key(4, "clips of full length whose frames make one batch", minimum=1),
    "test.dist_metric": Key(
        "cosine",
        "distance of features; kissme and xqda are learned",
        choices=("cosine", "euclidean", "kissme", "xqda"),
        choices_by_engine={"torchreid": ("cosine", "euclidean")},
    ),
    "test.metric_options": Key(
        {},
        "keyword arguments of a learned metric, such as num_components of kissme",
        only_for="clip",
    ),
    "test.normalize_feature": Key(False, "scale features to unit length"),
    "test.ranks": Key([1, 5, 10, 20], "ranks of the CMC that are shown and kept", minimum=1),
    "test.rerank": Key(False, "re-rank by k-reciprocal neighbours"),
    "test.backend": Key(
        "torch",
        "what computes the image network at test; 'openvino' is faster on a CPU (extra [openvino])",
        choices=BACKENDS,
        only_for="clip",
    ),
    "test.precision": Key(
        "float32",
        "what models are tested in; 'int8' is for openvino, and calibrated on training tracklets",
        choices=TEST_PRECISIONS,
        only_for="clip",
    ),
    "test.compile": Key(
        False, "test a compiled model, the first batches of which take minutes", only_for="clip"
    ),
    # Paper silent [R21]: RFCnet's released code averages; off by default.
    "test.flip": Key(
        False, "average the features of frames and of their mirror images", only_for="clip"
    ),
    "test.evaluate": Key(False, "test only"),
    "test.eval_freq": Key(10, "epochs between validations; -1 validates at the end only"),
    "test.start_eval": Key(0, "epochs before the first validation"),
    # Paper silent [D13]: RFCnet holds identities out to tune weights; rows train on all.
    "test.select": Key(
        "val",
        "'val' selects the best mAP on held-out training identities; 'last' holds none out",
        choices=("val", "last"),
        only_for="clip",
    ),
    "test.val_identities": Key(
        0,
        "held-out training identities; 0: a hundred of five hundred or more, else a tenth",
        minimum=0,
        only_for="clip",
    ),
}


def defaults() -> dict[str, Any]:
    """Returns the defaults of all keys as nested dicts."""
    tree: dict[str, Any] = {}
    for key, row in KEYS.items():
        section, _, name = key.rpartition(".")
        value = row.default.copy() if isinstance(row.default, (dict, list)) else row.default
        (tree.setdefault(section, {}) if section else tree)[name] = value
    return tree
