"""What several tests share."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

REPOSITORY = Path(__file__).parents[1]

# Small enough that an epoch takes about a second on a CPU.
TINY = {
    "model.pretrained": "False",
    "model.options.backbone": "resnet18",
    "data.height": "64",
    "data.width": "32",
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


def start_and_kill(words, awaited, pause=0.0, tool="tools/main.py"):
    """Starts a tool and kills it, and its workers, soon after a file is there."""
    process = subprocess.Popen(
        [sys.executable, tool, *words],
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not awaited.exists():
        assert process.poll() is None, f"the run ended before {awaited} was there"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(pause)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
