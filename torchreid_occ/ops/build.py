"""Compiles the kernels in place for the installed PyTorch.

    python -m torchreid_occ.ops.build

Without a compiler, or with TORCHREID_OCC_NO_EXT=1, it says so in a line, and patch attention goes
on in plain PyTorch.
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
SOURCES = sorted(Path(__file__).parent.glob("csrc/cpu/*.cpp"))
# What PyTorch's own kernels use, see `torch.backends.cpu.get_cpu_capability`.
PROCESSORS = {"AVX2": ["-march=x86-64-v3"], "AVX512": ["-march=x86-64-v4"]}


def build():
    """Builds the binary.

    Returns:
        Whether there is one now; False if builds are switched off or there is no compiler.

    Raises:
        RuntimeError: If the compiler fails; holds what it said.
    """
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    is_off = os.environ.get(binary.OFF) == "1"
    if is_off or compiler is None:
        reason = f"{binary.OFF}=1" if is_off else "no C++ compiler is found (CXX names one)"
        print(f"Not compiled, as {reason}: patch attention runs in plain PyTorch.")
        return False
    built_for = binary.built_for()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, binary.LIBRARY.name)
        command = [compiler, "-shared", "-fPIC", "-std=c++20", "-O3", "-fopenmp", "-fno-math-errno"]
        command += PROCESSORS.get(built_for["processor"], [])
        command += [f"-isystem{TORCH / 'include'}", *map(str, SOURCES), "-o", str(output)]
        command += [f"-L{TORCH / 'lib'}", "-lc10", "-ltorch_cpu", "-ltorch"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        binary.NOTE.unlink(missing_ok=True)  # a binary without its note is not loaded
        with replacing(binary.LIBRARY) as file:
            file.write(output.read_bytes())
    write_json(binary.NOTE, built_for)
    print(f"Compiled {binary.LIBRARY}.")
    return True


if __name__ == "__main__":
    try:
        build()
    except RuntimeError as error:
        sys.exit(f"{error}\nNot compiled: patch attention runs in plain PyTorch.")
