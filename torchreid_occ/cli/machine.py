"""What a machine has for this package: each check returns a finding.

Nothing of torch is imported at the top: a machine where that fails is examined as well.
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Callable
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from torchreid_occ.version import __version__


class State(Enum):
    """How a finding is: all right, a gap in something optional, or a lack that stops training."""

    OK = "ok"
    GAP = "gap"
    MISSING = "MISSING"


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        state: Whether it is all right.
        part: What was looked at.
        text: What there is.
        advice: What to do about a gap; empty if there is nothing to do.
    """

    state: State
    part: str
    text: str
    advice: str = ""


# Packages by extra, by the names that they are imported by.
EXTRAS = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "footage": ("trackers", "supervision"),
    "search": ("faiss",),
    "qdrant": ("qdrant_client",),
}
# Torchvision's weights: the enumeration, and what they are for.
WEIGHTS = {
    "ResNet50_Weights.IMAGENET1K_V1": "training starts from them",
    "KeypointRCNN_ResNet50_FPN_Weights.COCO_V1": "annotate",
    "MaskRCNN_ResNet50_FPN_Weights.COCO_V1": "annotate",
}
MIN_GIGABYTES = 5  # of free disk: checkpoints and rendered data of a few runs


def findings() -> list[Finding]:
    """Looks at everything; what fails to import is a finding."""
    found = [libraries()]
    found += [missing for missing in map(importable, ("torch", "torchvision")) if missing]
    if len(found) == 1:
        found += [*filter(None, (torchreid(),)), gpu(), kernels(), weights(), configurations()]
    return [*found, extras(), processor(), *disks()]


def libraries() -> Finding:
    """Lists the versions of Python and of the libraries."""
    names = ("torch", "torchvision", "torchreid", "numpy")
    shown = [f"torchreid_occ {__version__}", f"Python {platform.python_version()}"]
    shown += [f"{name} {version(name)}" for name in names]
    return Finding(State.OK, "versions", ", ".join(shown))


def version(package: str) -> str:
    """Returns the version of an installed package, or 'missing'."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def importable(package: str) -> Finding | None:
    """Returns a finding if a package cannot be imported.

    Args:
        package: Its name.
    """
    from torchreid_occ.utils.dependencies import explain_import_failure

    try:
        importlib.import_module(package)
    except (ImportError, OSError, RuntimeError) as error:
        advice = explain_import_failure(error) if isinstance(error, ImportError) else None
        advice = advice or f"Install it: pip install {package}."
        return Finding(State.MISSING, package, f"{type(error).__name__}: {error}", advice)
    return None


def torchreid() -> Finding | None:
    """Returns a finding if torchreid cannot be imported, in either of its layouts."""
    try:
        importlib.import_module("torchreid_occ._torchreid")
    except ImportError as error:
        advice = "" if "pip " in str(error) else "Install it: pip install torchreid."
        return Finding(State.MISSING, "torchreid", str(error).rstrip("."), advice)
    return None


def gpu() -> Finding:
    """Lists the GPUs."""
    import torch

    if torch.cuda.is_available():
        devices = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        shown = [f"{each.name}, {each.total_memory / 2**30:.0f} GiB" for each in devices]
        return Finding(State.OK, "GPU", "; ".join(shown))
    if shutil.which("nvidia-smi") is None:
        return Finding(
            State.GAP, "GPU", "none",
            "Everything runs on the processor: the small forms in configs/demo and "
            "configs/compare are made for that.",
        )  # fmt: skip
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return Finding(
        State.GAP, "GPU", f"none that PyTorch, built with {built}, can use",
        "Compare nvidia-smi: install a torch for the driver's CUDA version, or a newer driver.",
    )  # fmt: skip


def kernels() -> Finding:
    """Tells whether the kernels of patch attention are compiled and loaded."""
    import torch

    with warnings.catch_warnings():  # about a binary that does not fit; it is said below
        warnings.simplefilter("ignore")
        from torchreid_occ.ops import binary

    has = binary.backends()
    wanted = [name for name in ("cpu", "cuda") if name == "cpu" or torch.cuda.is_available()]
    lacking = [name for name in wanted if not has[name]]
    if not lacking:
        return Finding(State.OK, "kernels", f"compiled for {' and '.join(wanted)}")
    text = f"not compiled for {' and '.join(lacking)}: patch attention runs in plain PyTorch"
    if os.environ.get(binary.OFF) == "1":
        return Finding(State.GAP, "kernels", text, f"{binary.OFF}=1 switches them off.")
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        advice = "There is no C++ compiler: install one (CXX may name it), then run "
    elif binary.LIBRARY.exists() and not has["cpu"]:
        advice = "The binary was built for another PyTorch or processor: run "
    else:
        advice = "Run "
    return Finding(State.GAP, "kernels", text, f"{advice}torchreid-occ build-ops.")


def weights() -> Finding:
    """Tells which of torchvision's weights are downloaded already."""
    from torchvision.models import get_weight

    from torchreid_occ.utils.weights import cached_file

    files = {name: cached_file(get_weight(name)) for name in WEIGHTS}
    lacking = [name for name, file in files.items() if not file.is_file()]
    there = [file.name for file in files.values() if file.is_file()]
    folder = next(iter(files.values())).parent
    text = f"{', '.join(there) or 'none'} in {folder}"
    if not lacking:
        return Finding(State.OK, "weights", text)
    wanted = [f"{files[name].name} ({WEIGHTS[name]})" for name in lacking]
    return Finding(
        State.GAP, "weights", text,
        f"Not there: {', '.join(wanted)}. They are downloaded on first use; without network put "
        "the files there.",
    )  # fmt: skip


def extras() -> Finding:
    """Tells which extras are installed."""
    lacking = [
        extra
        for extra, packages in EXTRAS.items()
        if any(find_spec(package) is None for package in packages)
    ]
    installed = [extra for extra in EXTRAS if extra not in lacking]
    text = f"installed: {', '.join(installed) or 'none'}"
    if not lacking:
        return Finding(State.OK, "extras", text)
    advice = f"For {', '.join(lacking)}: pip install 'torchreid-occ[{','.join(lacking)}]'."
    return Finding(State.GAP, "extras", text, advice)


def configurations() -> Finding:
    """Tells where the package's configurations are."""
    from torchreid_occ.config.files import FOLDERS

    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if folder is None:
        advice = "Install the package anew; until then name files of a checkout."
        return Finding(State.GAP, "configs", "the package's configurations are gone", advice)
    count = sum(1 for _ in folder.rglob("*.yaml"))
    return Finding(State.OK, "configs", f"{count} files in {folder}")


def processor() -> Finding:
    """Compares the load of the machine with its cores."""
    count: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(count(0)) if count else os.cpu_count() or 1
    if not hasattr(os, "getloadavg"):
        return Finding(State.OK, "cores", str(cores))
    load = os.getloadavg()[0]
    text = f"{cores}, with {load:.1f} processes running over the last minute"
    if load < 0.5 * cores:
        return Finding(State.OK, "cores", text)
    return Finding(State.GAP, "cores", text, "Times measured now are those of a busy machine.")


def disks() -> list[Finding]:
    """Tells how much space is left where runs and temporary files go."""
    found = []
    for part, folder in (("disk", Path.cwd()), ("temporary", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free / 2**30
        state = State.OK if free >= MIN_GIGABYTES else State.GAP
        advice = "" if state is State.OK else "A few runs need more: data.save_dir moves them."
        found.append(Finding(state, part, f"{free:.0f} GiB free in {folder}", advice))
    return found
