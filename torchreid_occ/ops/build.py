"""Compiles the kernels in place for the installed PyTorch.

    python -m torchreid_occ.ops.build

Without a compiler, or with TORCHREID_OCC_NO_EXT=1, it prints the reason, and patch attention runs
in plain PyTorch. If PyTorch sees a GPU, or with FORCE_CUDA=1, the CUDA kernels are compiled, too:
CUDA_HOME names the toolkit, TORCH_CUDA_ARCH_LIST the architectures ("8.0;9.0"; by default the
GPU's).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from torchreid_occ.ops import binary
from torchreid_occ.utils.files import replacing, write_json

TORCH = Path(torch.__file__).parent
SOURCES = Path(__file__).parent / "csrc"
# Flags by the instruction set of PyTorch's kernels, `torch.backends.cpu.get_cpu_capability`.
PROCESSORS = {"AVX2": ["-march=x86-64-v3"], "AVX512": ["-march=x86-64-v4"]}
TOOLKITS = Path("/usr/local")  # default folder of CUDA toolkits
OLDEST_CHIP = "8.0"  # compiled for without a GPU; newer ones translate it


def build() -> bool:
    """Builds the binary.

    Returns:
        Whether there is one now; False if builds are switched off or there is no compiler.

    Raises:
        RuntimeError: If a compiler fails; holds its output.
    """
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    is_off = os.environ.get(binary.OFF) == "1"
    if is_off or compiler is None:
        reason = f"{binary.OFF}=1" if is_off else "no C++ compiler is found (CXX names one)"
        print(f"Not compiled, as {reason}: patch attention runs in plain PyTorch.")
        return False
    built_for = binary.built_for()
    toolkit = cuda_toolkit()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, binary.LIBRARY.name)
        command = [compiler, "-shared", "-fPIC", "-std=c++20", "-O3", "-fopenmp", "-fno-math-errno"]
        command += PROCESSORS.get(built_for["processor"], [])
        command += [f"-isystem{TORCH / 'include'}", *files("cpu/*.cpp")]
        if toolkit is not None:
            kernels = Path(folder, "kernels.o")
            compile_kernels(toolkit, kernels)
            command += [f"-isystem{toolkit / 'include'}", *files("cuda/*.cpp"), str(kernels)]
        command += ["-o", str(output), f"-L{TORCH / 'lib'}", "-lc10", "-ltorch_cpu", "-ltorch"]
        if toolkit is not None:
            command += ["-lc10_cuda", "-ltorch_cuda", f"-L{toolkit / 'lib64'}", "-lcudart"]
        _run(command)
        binary.NOTE.unlink(missing_ok=True)  # a binary without its note is not loaded
        with replacing(binary.LIBRARY) as file:
            file.write(output.read_bytes())
    write_json(binary.NOTE, built_for)
    print(f"Compiled {binary.LIBRARY}, {'without' if toolkit is None else 'with'} CUDA.")
    return True


def cuda_toolkit() -> Path | None:
    """Finds the folder of the CUDA toolkit to compile with.

    Returns:
        None if no CUDA is wanted, or if there is none; prints the reason in that case.
    """
    if os.environ.get("FORCE_CUDA") != "1" and not torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        print("Without CUDA, as the installed PyTorch has none.")
        return None
    nvcc = shutil.which("nvcc")
    homes = [Path(os.environ["CUDA_HOME"])] if "CUDA_HOME" in os.environ else []
    homes += [Path(nvcc).resolve().parents[1]] if nvcc else []
    for home in (*homes, *sorted(TOOLKITS.glob("cuda*"), reverse=True)):
        # An nvcc may be a wrapper outside its toolkit.
        if (home / "bin/nvcc").is_file() and (home / "include/cuda_runtime.h").is_file():
            return home
    print("Without CUDA, as no toolkit is found (CUDA_HOME names its folder).")
    return None


def compile_kernels(toolkit: Path, output: Path) -> None:
    """Compiles the CUDA kernels to an object file.

    Args:
        toolkit: Folder of the CUDA toolkit.
        output: The object file.

    Raises:
        RuntimeError: If nvcc fails; holds its output.
    """
    has_gpu = torch.cuda.is_available()
    own = ".".join(map(str, torch.cuda.get_device_capability())) if has_gpu else OLDEST_CHIP
    chips = os.environ.get("TORCH_CUDA_ARCH_LIST", own).replace(";", " ").split()
    numbers = [chip.removesuffix("+PTX").replace(".", "") for chip in chips]
    flags = [f"-gencode=arch=compute_{n},code=[sm_{n},compute_{n}]" for n in numbers]
    command = [str(toolkit / "bin/nvcc"), "-c", "-std=c++20", "-O3", "-Xcompiler=-fPIC", *flags]
    command += ["-isystem", str(TORCH / "include")]
    _run([*command, *files("cuda/*.cu"), "-o", str(output)])


def files(pattern: str) -> list[str]:
    """Returns paths of sources below ``csrc``."""
    return sorted(map(str, SOURCES.glob(pattern)))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    try:
        build()
    except RuntimeError as error:
        sys.exit(f"{error}\nNot compiled: patch attention runs in plain PyTorch.")
