"""Import errors of other libraries, explained in one line that says what to install."""

import importlib.metadata
from importlib import import_module
from types import ModuleType


def explain_import_failure(error: Exception) -> str | None:
    """Explains what to install after an import that failed for a known reason.

    Args:
        error: The error of importing torch, torchvision, OpenCV or torchreid.

    Returns:
        The line to show, or None if the reason is unknown.
    """
    text = str(error)
    if "torchvision::nms does not exist" in text:
        return (
            f"torch {_version('torch')} and torchvision {_version('torchvision')} do not belong "
            "together (operator torchvision::nms does not exist): install both from one index, "
            "for example `pip install --force-reinstall torch torchvision`."
        )
    if "libGL" in text or "libgthread" in text:
        return (
            f"OpenCV cannot load a system library ({text}): on a machine without a display "
            "replace it by `pip uninstall opencv-python && pip install opencv-python-headless`."
        )
    if isinstance(error, ModuleNotFoundError) and error.name != "torchreid":
        return (
            f"torchreid needs the package {error.name!r}, which it does not declare: install "
            "torchreid_occ with its dependencies (`pip install torchreid-occ`)."
        )
    return None


def import_optional(*packages: str, extra: str) -> list[ModuleType]:
    """Imports packages that only a part of this package needs.

    Args:
        *packages: Names of their modules.
        extra: The extra of this package that installs them.

    Raises:
        ImportError: If one is not installed; says what to install.
    """
    try:
        return [import_module(package) for package in packages]
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        raise ImportError(
            f"This needs the package {error.name!r}, which is not installed: "
            f"`pip install torchreid-occ[{extra}]`."
        ) from error


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
