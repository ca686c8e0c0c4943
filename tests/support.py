"""Helpers shared by tests."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

REPOSITORY = Path(__file__).parents[1]

# Small enough that an epoch takes about a second on a CPU.
TINY = {
    "model.pretrained": "False",
    "model.options.backbone": "resnet18_x0_5",
    "data.height": "64",
    "data.width": "32",
    "data.workers": "0",
    "video.seq_len": "2",
    "video.stride": "2",
    "train.batch_size": "8",
    "sampler.num_instances": "2",
    "train.max_epoch": "2",
    "test.select": "last",
}


def pairs(settings):
    return [word for item in settings.items() for word in item]


def training_batch(clips, frames, size, identities):
    """Random clips with the supervision that any of the systems reads."""
    generator = torch.Generator().manual_seed(0)
    return {
        "img": torch.rand(clips, frames, 3, *size, generator=generator),
        "pid": torch.arange(clips) % identities,
        "keypoints": torch.tensor([0.2, 0.5, 0.75, 0.5]).expand(clips, frames, 4),
        "foreground": torch.rand(clips, frames, 1, *size, generator=generator),
    }


def write_two_cameras(root, persons=8, frames=5):
    """A data set in SDU-VID's layout: each person has a colour, each camera a brightness."""
    rng = np.random.default_rng(0)
    for person in range(1, persons + 1):
        colour = rng.integers(40, 200, size=3)
        for camera in (1, 2):
            folder = root / "SDU-VID" / "sequences" / f"cam{camera}" / f"person{person:03d}"
            folder.mkdir(parents=True)
            for frame in range(1, frames + 1):
                noise = rng.integers(-30, 30, size=(32, 16, 3))
                pixels = np.clip(colour + 20 * camera + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{frame:04d}.png")
    return root


def write_masks(root, folder):
    """Writes, as `torchreid-occ annotate` does, upright masks of `write_two_cameras`' frames."""
    lines = {}
    for path in sorted(root.rglob("*.png")):
        name = "/".join(path.parts[-3:])
        lines[name] = [0.2, 0.5, 0.75, 0.5]
        mask = np.zeros((32, 16), np.uint8)
        mask[3:30, 4:12] = 255
        (folder / "foreground" / name).with_suffix("").mkdir(parents=True)
        target = (folder / "foreground" / name).with_suffix("") / "foreground.png"
        Image.fromarray(mask).save(target)
    (folder / "keypoints.json").write_text(json.dumps(lines))
    return folder


def write_upstreams_torchreid(folder):
    """The installed torchreid, PyPI's 0.2.5, in the layout of upstream's 1.4.0; returns its folder.

    Upstream has no `reid` and imports relatively in the files that list models and datasets.
    """
    installed = Path(importlib.util.find_spec("torchreid").origin).parent
    package = folder / "torchreid"
    shutil.copytree(installed / "reid", package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8").replace("torchreid.reid", "torchreid")
        if path.name == "__init__.py":
            own = ".".join(path.parent.relative_to(folder).parts)
            text = text.replace(f"from {own}.", "from .")
        path.write_text(text, encoding="utf-8")
    return package


def same(one, other):
    """Whether nested values are equal, tensors bit by bit."""
    if torch.is_tensor(one):
        return torch.is_tensor(other) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def ranking_problem(seed, num_q=40, num_g=300, ids=25, cams=4, decimals=None, dtype=np.float32):
    """Distances, pids and camids as `evaluate_rank` takes them, drawn at random."""
    rng = np.random.default_rng(seed)
    distmat = rng.random((num_q, num_g)).astype(dtype)
    if decimals is not None:
        distmat = distmat.round(decimals)
    labels = [rng.integers(n, size=size) for n, size in
              ((ids, num_q), (ids, num_g), (cams, num_q), (cams, num_g))]  # fmt: skip
    return (distmat, *labels)
