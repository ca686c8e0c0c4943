"""The resolved recipes of the papers' main tables, beside what the papers say of them."""

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from yacs.config import CfgNode

from torchreid_occ.config import configurations, load_config
from torchreid_occ.runs.phases import phase_configs
from torchreid_occ.utils.tables import markdown_table

# Published training identities; of half splits, half of the people.
IDENTITIES = {
    "mars": 625,
    "dukemtmcvidreid": 702,
    "occluded_dukemtmcvidreid": 702,
    "ilidsvid": 150,
    "sduvid": 150,
    "occluded_dukemtmcreid": 702,
    "market1501": 751,
    "dukemtmcreid": 702,
    "cuhk03": 767,
    "msmt17": 1041,
}


class Recipe(NamedTuple):
    """What a training of a row does; the fields are the columns of the table.

    Attributes:
        row: File below ``configs/headline``, row and phase.
        data: What it trains on.
        identities: How many identities it trains on.
        length: Epochs or steps, and the schedule of the learning rate.
        lr: Learning rate and optimiser.
        batch: Clips of a batch, as identities times clips of each where they are drawn so.
        clip: Frames of a training clip.
        size: Height and width of the frames.
        test: Length of test clips, and the distance.
        select: Which checkpoint is tested.
        interpolation: How frames are resized.
    """

    row: str
    data: str
    identities: str
    length: str
    lr: str
    batch: str
    clip: str
    size: str
    test: str
    select: str
    interpolation: str


class Group(NamedTuple):
    """Rows that one passage of a paper describes.

    Attributes:
        title: What they are.
        source: The paper's section.
        sentences: What it says.
        files: Tables below ``configs/headline``.
    """

    title: str
    source: str
    sentences: tuple[str, ...]
    files: tuple[str, ...]


GROUPS = (
    Group(
        "RFCnet, images",
        "RFCnet, section 6.1",
        (
            "the input images are resized to 256 x 128. We use random flipping and random erasing "
            "[59] with a probability of 0.5 for data augmentation.",
            "The initial learning rate is set to 0.00035 with a decay factor 0.1 at every 20 "
            "epochs. Adam [70] optimizer is used with a minibatch size of 64 for 60 epochs "
            "training.",
        ),
        ("rfcnet/table4.yaml", "rfcnet/table6.yaml"),
    ),
    Group(
        "RFCnet, video",
        "RFCnet, section 6.1",
        (
            "we randomly sample 4 frames with a stride of 8 frames from the original full-length "
            "video to form an input video clip. RFCnet is trained for 150 epochs in total, with an "
            "initial learning rate of 0.0003 and reduced it with decay rate 0.1 every 40 epochs. "
            "The batch size is set to 32.",
            "we first split it into several 64-frame video clips.",
            "the cosine distance between the query and gallery features are computed for "
            "retrieval.",
        ),
        ("rfcnet/table5.yaml", "rfcnet/table7.yaml"),
    ),
    Group(
        "VRSTC",
        "VRSTC, section 5.2",
        (
            "four-frame input tracks are cropped out from an input sequence.",
            "Input images are resized to 256 x 128. The batch size is set to 32.",
            "The network is trained for 150 epochs in total, with an initial learning rate of "
            "0.0003 and reduced it with decay rate 0.1 every 50 epochs.",
            "The input and target frames are resized to 128 x 64",
            "and the learning rate is set to 0.0001.",
            "During testing, given an input of entire video, the video feature is extracted using "
            "the trained re-ID network for retrieval under cosine distance.",
        ),
        ("vrstc/table3.yaml", "vrstc/table4.yaml", "vrstc/table5.yaml", "vrstc/rfcnet_table5.yaml"),
    ),
    Group(
        "RRU-STIM",
        'RRU-STIM, "Implementation Details"',
        (
            "Each input video frame is resized to 299x299 pixels. It is notable that we don't "
            "apply any data augmentation strategy. During training process, we set N = 10, K = 2, "
            "T = 8 and m = 0.4.",
            "Network is updated by stochastic gradient descent algorithm with a learning rate of "
            "0.01",
            "For the pretrained layers, the learning rate is set to 0.1 x of the base "
            "learning rate.",
            "using all frames of one video sequence",
        ),
        ("rru_stim/table3.yaml",),
    ),
    Group(
        "TRL-ST2N",
        "TRL-ST2N, section IV.B",
        (
            "we uniformly resize the input image to 224 x 224 x 3.",
            "For each sequence, we randomly choose 10 consecutive frames for training and the "
            "mini-batch size is 12.",
            "In this stage, we use the learning rate = 2 x 10^-4 and max iteration = 10,000;",
            "we use the decreased learning rate = 2 x 10^-5, and max iteration = 10,000, 8,000, "
            "8,000, 5,000 on the MARS, PRID 2011, ILIDS-VID, SDU-VID datasets, respectively.",
        ),
        ("trl_st2n/table2.yaml", "trl_st2n/table3.yaml"),
    ),
)


def recipe_tables() -> str:
    """Returns the recipes of all rows as Markdown, a heading, sentences and a table a group."""
    parts = []
    for group in GROUPS:
        quotes = "\n".join(map(_quoted, group.sentences))
        rows = [recipe for file in group.files for recipe in recipes_of(f"headline/{file}")]
        table = markdown_table(Recipe._fields, rows)
        parts.append(f"#### Recipes of {group.title}\n\n> {group.source}:\n>\n{quotes}\n\n{table}")
    return "\n".join(parts)


def recipes_of(file: str) -> Iterator[Recipe]:
    """Yields the recipe of each training of a table, phase by phase.

    Args:
        file: The table, such as ``headline/rfcnet/table5.yaml``.
    """
    for name in configurations(file):
        config = load_config(name)
        short = f"`{name.removeprefix('headline/')}`"
        phases = {f"{short}, {phase}": one for phase, one in phase_configs(config).items()}
        for row, one in (phases or {short: config}).items():
            if one.task == "train" or one.task == "train_completion":
                yield _recipe(row, one, config)


def _quoted(sentence: str) -> str:
    return textwrap.fill(sentence, 100, initial_indent="> - ", subsequent_indent=">   ")


def _recipe(row: str, config: CfgNode, whole: CfgNode) -> Recipe:
    (data,) = config.data.sources
    original = whole.data.sources[0] if data == "completed" else data
    known = IDENTITIES.get(original, "half of the people")
    completion = config.task == "train_completion"
    size = config.completion if completion else config.data
    return Recipe(
        row,
        f"{original}, completed" if data == "completed" else data,
        f"all, {known}" if config.test.select == "last" or completion else f"part of {known}",
        _length(config),
        _rate(config),
        str(config.train.batch_size) if completion else _batch(config),
        "1 frame, 2 neighbours" if completion else _clip(config),
        f"{size.height}x{size.width}",
        "" if completion else _test(config),
        config.test.select,
        config.data.interpolation,
    )


def _length(config: CfgNode) -> str:
    train = config.train
    total, unit = (train.max_iter, "steps") if train.max_iter else (train.max_epoch, "epochs")
    step = train.stepsize[0]
    schedule = "constant" if step >= total else f"x{train.gamma} every {step}"
    return f"{total:,} {unit}, {schedule}"


def _rate(config: CfgNode) -> str:
    train = config.train
    staged = f", pretrained layers x{train.base_lr_mult}" if train.staged_lr else ""
    return f"{train.lr:g} ({train.optim}){staged}"


def _batch(config: CfgNode) -> str:
    size, sampler = config.train.batch_size, config.sampler
    if sampler.train_sampler != "RandomIdentitySampler":
        return str(size)
    cameras = " of different cameras" if sampler.across_cameras else ""
    return f"{size // sampler.num_instances} x {sampler.num_instances}{cameras}"


def _clip(config: CfgNode) -> str:
    video = config.video
    if video.seq_len == 1:
        return "1 frame"
    how = f"stride {video.stride}" if video.train_sampling == "strided" else video.train_sampling
    cut = f", tracklets cut every {video.train_cut}" if video.train_cut else ""
    return f"{video.seq_len} frames, {how}{cut}"


def _test(config: CfgNode) -> str:
    length, distance = config.video.test_clip_len, config.test.dist_metric
    if config.video.seq_len == 1:
        return distance
    if config.model.name == "rru_stim":  # its state goes from part to part
        return f"whole tracklets in parts of {length}, {distance}"
    return f"{f'clips of {length}' if length else 'whole tracklets'}, {distance}"
