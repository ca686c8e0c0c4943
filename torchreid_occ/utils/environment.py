"""What a run ran on: versions and hardware, for results that can be traced."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import torch

from torchreid_occ.version import __version__


def versions():
    """Versions of everything a number depends on."""
    packages = ("torch", "torchvision", "torchreid", "numpy", "opencv-python", "pillow")
    found = {"torchreid_occ": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    found["commit"] = _commit()
    return found


def hardware(use_gpu):
    """The processor, and the GPUs where they are used."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if use_gpu
        else [],
    }


def _commit():
    """The commit of a source checkout, marked where files were changed since, else None."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _cpu_name():
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
