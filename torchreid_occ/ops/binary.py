"""The compiled kernels: their place, whether they fit the installed PyTorch, and loading them."""

import json
import os
import warnings
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

import torch

FOLDER = Path(__file__).parent / "build"
LIBRARY, NOTE = FOLDER / "torchreid_occ_ops.so", FOLDER / "built_for.json"
OFF = "TORCHREID_OCC_NO_EXT"


class BuiltFor(TypedDict):
    """What a binary depends on.

    torch: PyTorch's version; processor: instruction set of its CPU kernels; source: hash of our
    kernels.
    """

    torch: str
    processor: str
    source: str


def backends() -> dict[str, bool]:
    """Lists the backends of the operators: 'shift' always, 'cpu' and 'cuda' if compiled and loaded.

    Returns:
        For each backend, whether it is available.
    """
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    name = "torchreid_occ::patch_attention"
    return {"shift": True, "cpu": has_kernel(name, "CPU"), "cuda": has_kernel(name, "CUDA")}


def built_for() -> BuiltFor:
    """Returns what a binary must have been built for to be loaded."""
    processor = torch.backends.cpu.get_cpu_capability()
    return {"torch": str(torch.__version__), "processor": processor, "source": _source_hash()}


def _source_hash() -> str:
    """A hash of the kernels, so that an updated package does not run its old binary."""
    sources = sorted(Path(__file__).parent.glob("csrc/**/*.*"))
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def load() -> None:
    """Loads the binary, unless there is none or it is switched off.

    Warns if it was built for another PyTorch or fails to load; then it is not used.
    """
    if os.environ.get(OFF) == "1" or not LIBRARY.exists():
        return
    try:
        found = json.loads(NOTE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != built_for():
        _warn(f"was built for {found}, but {built_for()} is installed")
        return
    try:
        torch.ops.load_library(LIBRARY)
    except OSError as error:
        _warn(f"does not load: {error}")


def _warn(reason: str) -> None:
    warnings.warn(
        f"{LIBRARY} {reason}. Patch attention runs in plain PyTorch, which is slower; "
        "`torchreid-occ build-ops` builds it anew.",
        stacklevel=2,
    )
