"""Versions and hardware that a run's results record."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from torchreid_occ.version import __version__


def versions() -> dict[str, str | None]:
    """Returns versions by package, None if not installed, and the commit of a source checkout."""
    packages = ("torch", "torchvision", "torchreid", "numpy", "opencv-python", "pillow")
    found: dict[str, str | None] = {
        "torchreid_occ": __version__,
        "python": platform.python_version(),
    }
    for package in packages:
        found[package] = package_version(package)
    found["commit"] = _commit()
    return found


def package_version(package: str) -> str | None:
    """Returns the version of a package, None if it is not installed.

    Args:
        package: Its name in the package index.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def hardware(use_gpu: bool) -> dict[str, Any]:
    """Returns names of the processor and the GPUs, and the numbers of cores and of threads.

    Args:
        use_gpu: Whether GPUs are used; no GPU is named otherwise.
    """
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if use_gpu
        else [],
    }


def _commit() -> str | None:
    """Returns the commit of a source checkout, marked if files have changed since, else None."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
