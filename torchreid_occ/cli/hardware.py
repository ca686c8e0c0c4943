"""Checks of the hardware and of what is compiled for it.

Nothing of torch is imported at the top: machines where that fails are examined as well.
"""

import os
import shutil
import tempfile
import warnings
from pathlib import Path

from torchreid_occ.cli.cores import waiting
from torchreid_occ.cli.finding import Finding, State
from torchreid_occ.utils.threads import usable_cores

MIN_GIGABYTES = 5  # of free disk: checkpoints and rendered data of a few runs


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


def processor() -> Finding:
    """Compares the load of the machine with its cores."""
    cores = usable_cores()
    if not hasattr(os, "getloadavg"):
        return Finding(State.OK, "cores", f"{cores}; {waiting()}")
    load = os.getloadavg()[0]
    text = f"{cores}, with {load:.1f} processes running over the last minute; {waiting()}"
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
