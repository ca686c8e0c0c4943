"""Every key of a configuration with its default, and what its values may be.

torchreid ships its defaults only inside a script, so they are restated here under the same names,
with ours beside them.
"""

DEFAULTS = {
    # What a run does: 'train' a model and test it, 'score' the regions of a dataset for occlusion,
    # 'train_completion' trains a network that fills them in, 'copy' writes a completed dataset.
    "task": "train",
    # Named parts that run one after the other; see torchreid_occ.runs.phases.
    "phases": [],
    # 'clip' is our engine; 'torchreid' runs torchreid's data manager, model and engine as they are.
    "engine": "clip",
    "use_gpu": True,
    "model": {
        "name": "rfcnet",
        # True, False, 'auto' (ImageNet weights if they can be had), or the checkpoint of a model
        # whose backbone to start from.
        "pretrained": "auto",
        "load_weights": "",  # a checkpoint of this very model
        "start_from": "",  # a checkpoint whose weights are taken where name and shape match
        "options": {},  # keyword arguments of the model's builder
    },
    "data": {
        "root": "reid-data",
        "sources": ["occwalk_tiny"],
        "targets": [],  # the sources when empty
        "options": {},  # {dataset name: keyword arguments of its class}
        "workers": 2,
        "split_id": 0,
        "height": 256,
        "width": 128,
        "combineall": False,
        "transforms": ["random_flip"],
        "norm_mean": [0.485, 0.456, 0.406],
        "norm_std": [0.229, 0.224, 0.225],
        "save_dir": "log",
        "supervision": [],  # what training reads beside the frames: 'keypoints', 'foreground'
        "keypoints": "",  # JSON in the released format, for datasets that bring none
        "foreground": "",  # folder in the released format, likewise
        "verify": False,  # decode every image once before training
    },
    "sampler": {
        "train_sampler": "RandomIdentitySampler",
        "num_instances": 4,
        "num_cams": 1,
        "num_datasets": 1,
    },
    "video": {
        "seq_len": 4,
        "train_sampling": "strided",  # 'consecutive', 'strided', 'random' or 'evenly'
        "stride": 8,
        "test_clip_len": 64,  # frames a test clip; 0 takes the whole tracklet as one clip
        "sample_method": "evenly",  # engine 'torchreid' only
        "pooling_method": "avg",  # engine 'torchreid' only
    },
    "train": {
        "optim": "adam",
        "lr": 0.0003,
        "weight_decay": 0.0005,
        "max_epoch": 150,
        "max_iter": 0,  # where not 0: steps in place of epochs, also to the scheduler
        "batch_size": 32,
        "fixbase_epoch": 0,
        "open_layers": ["classifier"],
        "staged_lr": False,
        "new_layers": ["classifier"],
        "base_lr_mult": 0.1,
        "lr_scheduler": "single_step",
        "stepsize": [40],
        "gamma": 0.1,
        # 'bfloat16' and, on a GPU, 'float16' compute in half precision; losses and weights in full.
        "precision": "float32",
        "clip_grad": 0.0,  # where not 0: the largest gradient
        "clip_grad_by": "value",  # or 'norm'
        "print_freq": 20,
        "checkpoint_freq": 10,
        "seed": 1,
    },
    "sgd": {"momentum": 0.9, "dampening": 0.0, "nesterov": False},
    "rmsprop": {"alpha": 0.99},
    "adam": {"beta1": 0.9, "beta2": 0.999},
    "completion": {
        # Checkpoint of the model that scores regions; 'truth' takes OccWalk's masks instead.
        "extractor": "",
        "scores": "",  # file that task 'score' wrote
        "tau": 0.89,  # a region with a lower score is occluded
        "quantile": 0.0,  # in place of tau: this share of the training regions is occluded
        "height": 128,
        "width": 64,
        "max_masked": 1,  # of a training frame's three regions; the paper masks one
        "max_gap": 0,  # frames that are passed over for a training frame's neighbours, at most
        "generator": {},  # keyword arguments of STCnet
        "discriminators": ["local", "global"],
        "discriminator": {},  # keyword arguments of Discriminator
        "lr_discriminator": 0.0001,
        "guider": "",  # checkpoint of the model that guides; none when empty
        "loss": {},  # keyword arguments of CompletionLoss
        "checkpoint": "",  # of task 'train_completion'; when empty, occluded frames are left out
    },
    "loss": {"name": "identity", "options": {}},  # options: keyword arguments of the criterion
    "test": {
        "batch_size": 4,  # clips of full length whose frames make one batch
        "dist_metric": "cosine",
        "normalize_feature": False,
        "ranks": [1, 5, 10, 20],
        "rerank": False,
        "precision": "float32",  # as train.precision
        "compile": False,  # test a compiled model: the first batches take minutes
        "flip": False,  # average the features of the frames and of their mirror images
        "evaluate": False,  # test only
        "eval_freq": 10,  # epochs between validations; -1 validates at the end only
        "start_eval": 0,
        "select": "val",  # 'val': best mAP on held-out training identities; 'last': no hold-out
        "val_identities": 0,  # 0: a hundred of five hundred or more, else a tenth
    },
}

# Lists whose items are no texts.
ELEMENTS = {
    "data.norm_mean": (int, float),
    "data.norm_std": (int, float),
    "train.stepsize": int,
    "test.ranks": int,
}
# Taken from the command line as they are: a folder may be named 2024.
TEXTS = tuple(
    f"{section}.{name}"
    for section, keys in DEFAULTS.items()
    if isinstance(keys, dict)
    for name, default in keys.items()
    if isinstance(default, str) and name != "pretrained"
)
LEAST = {
    "data.height": 1,
    "data.width": 1,
    "completion.height": 4,
    "completion.width": 4,
    "completion.max_gap": 0,
    "data.workers": 0,
    "data.split_id": 0,
    "sampler.num_instances": 1,
    "video.seq_len": 1,
    "video.stride": 1,
    "video.test_clip_len": 0,
    "train.max_epoch": 0,
    "train.max_iter": 0,
    "train.clip_grad": 0,
    "train.batch_size": 1,
    "train.stepsize": 1,
    "train.print_freq": 1,
    "train.checkpoint_freq": 1,
    "train.seed": 0,
    "test.batch_size": 1,
    "test.ranks": 1,
    "test.val_identities": 0,
}
FREE_FORM = (
    "model.options",
    "loss.options",
    "data.options",
    "completion.generator",
    "completion.discriminator",
    "completion.loss",
)
CHOICES = {
    "task": ("train", "score", "train_completion", "copy"),
    "engine": ("clip", "torchreid"),
    "train.clip_grad_by": ("value", "norm"),
    "train.precision": ("float32", "bfloat16", "float16"),
    "test.precision": ("float32", "bfloat16", "float16"),
    "test.select": ("val", "last"),
    "test.dist_metric": ("cosine", "euclidean", "kissme", "xqda"),
    "video.train_sampling": ("consecutive", "strided", "random", "evenly"),
}
ONLY_FOR = {
    "torchreid": ("video.sample_method", "video.pooling_method"),
    "clip": (
        "model.start_from",
        "data.supervision",
        "data.keypoints",
        "data.foreground",
        "data.options",
        "video.train_sampling",
        "video.stride",
        "video.test_clip_len",
        "train.checkpoint_freq",
        "train.clip_grad",
        "train.clip_grad_by",
        "train.max_iter",
        "train.precision",
        "test.precision",
        "test.compile",
        "test.flip",
        "test.select",
        "test.val_identities",
    ),
}
