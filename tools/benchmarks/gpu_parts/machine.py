"""The machine, the build of the kernels, and the tests that need a GPU."""

import os
import shutil
import subprocess
import sys
import time
from xml.etree import ElementTree

import torch

from gpu_parts.day import REPOSITORY, Day, Save
from torchreid_occ.ops import backends, binary
from torchreid_occ.utils.environment import hardware, versions

SANITIZED = """
import torch
from torchreid_occ.ops import backends, patch_attention
assert backends()["cuda"]
maps = torch.randn(2, 2, 5, 7, 6, device="cuda", requires_grad=True)
for patch_size in (1, 3, 5):
    patch_attention(maps[0], maps[1], patch_size=patch_size).sum().backward()
torch.cuda.synchronize()
print("computed", maps.grad.isfinite().all().item())
"""


def environment(day: Day, save: Save) -> None:
    """Records versions and hardware."""
    found = {"hardware": hardware(day.use_gpu), "versions": versions(), "device": day.device}
    found["packages"] = {
        name: getattr(sys.modules.get(name), "__version__", None) for name in ("numpy", "cv2")
    }
    if day.use_gpu:
        properties = torch.cuda.get_device_properties(0)
        found["gpu"] = {
            "name": properties.name,
            "memory_gib": properties.total_memory / 2**30,
            "multiprocessors": properties.multi_processor_count,
            "capability": list(torch.cuda.get_device_capability()),
            "l2_mib": properties.L2_cache_size / 2**20,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "default_matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
            "default_cudnn_tf32": torch.backends.cudnn.allow_tf32,
        }
        query = (
            "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,power.limit,temperature.gpu"
        )
        found["nvidia_smi"] = _output(["nvidia-smi", query, "--format=csv,noheader"], 30)
    save(found)


def build(day: Day, save: Save) -> None:
    """Compiles the kernels for the card at hand and loads them.

    Raises:
        RuntimeError: If the compiler fails, or what it made does not load.
    """
    start = time.perf_counter()
    output = _output([sys.executable, "-m", "torchreid_occ.ops.build"], day.seconds_left())
    found = {"seconds_to_compile": time.perf_counter() - start, "output": output}
    save(found)
    if day.use_gpu and not backends()["cuda"]:
        binary.load()
    found["backends"] = backends()
    save(found)
    if day.use_gpu and not found["backends"]["cuda"]:
        raise RuntimeError(f"The CUDA kernels are not loaded: {output}")


def tests(day: Day, save: Save) -> None:
    """Runs the tests marked `cuda`, then one small case under compute-sanitizer.

    Raises:
        RuntimeError: If a test fails, or the sanitizer finds an error.
    """
    report = day.out / "tests_cuda.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "tests/unit/ops"]
    start = time.perf_counter()
    output = _output([*command, "-p", "no:cacheprovider", f"--junitxml={report}"], 150)
    suite = next(iter(ElementTree.parse(report).getroot().iter("testsuite")))
    counts = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
    report.unlink()
    found = {**counts, "seconds_of_tests": time.perf_counter() - start, "output": output[-6000:]}
    save(found)
    sanitizer = shutil.which("compute-sanitizer")
    if day.use_gpu and sanitizer:
        options = ["--tool", "memcheck", "--error-exitcode", "9"]
        start = time.perf_counter()
        found["sanitizer"] = _output([sanitizer, *options, sys.executable, "-c", SANITIZED], 60)
        found["sanitizer_seconds"] = time.perf_counter() - start
    else:
        found["sanitizer"] = "not run: no GPU, or compute-sanitizer is not installed"
    save(found)
    if counts["failures"] or counts["errors"]:
        raise RuntimeError(f"{counts['failures']} tests failed, {counts['errors']} had errors")
    if (
        "ERROR SUMMARY" in found["sanitizer"]
        and "ERROR SUMMARY: 0 errors" not in found["sanitizer"]
    ):
        raise RuntimeError("compute-sanitizer found errors")


def _output(command: list[str], timeout: float) -> str:
    """What a command prints on both streams, with a last line where it fails or is stopped."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environ, text=True, timeout=timeout, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        so_far = error.stdout or b""
        text = so_far.decode(errors="replace") if isinstance(so_far, bytes) else so_far
        return f"{text}\nstopped after {timeout:.0f} s"
    except OSError as error:
        return f"not run: {error}"
    ending = f"\nexit status {done.returncode}" if done.returncode else ""
    return done.stdout + ending
