"""The CUDA source where there is no GPU: it compiles, and emulated gives the right numbers."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from torchreid_occ.ops import binary, build, library, shift_form

EMULATION = Path(__file__).parent / "emulated_cuda"
NAME = "torchreid_occ_emulated"  # beside the operator that the package has
MOST_PAIRS = 2**13  # in place of 2**26, so that a small batch is divided
has_compiler = shutil.which(os.environ.get("CXX", "c++")) is not None


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """Forward and backward of the CUDA source on CPU tensors."""
    if not has_compiler:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("emulated")
    output, source = folder / "emulated.so", folder / "all.cpp"
    # In one file, as PyTorch's headers take longest.
    files = [*build.files("cuda/*.cu"), *build.files("cuda/*.cpp")]
    source.write_text("".join(f'#include "{file}"\n' for file in files))
    command = [
        os.environ.get("CXX", "c++"), "-shared", "-fPIC", "-std=c++20", "-O0",
        f"-Dtorchreid_occ={NAME}", f"-DTORCHREID_OCC_MOST_PAIRS={MOST_PAIRS}",
        f"-I{EMULATION}", f"-isystem{build.TORCH / 'include'}",
        str(source), "-o", str(output),
        f"-L{build.TORCH / 'lib'}", "-lc10", "-ltorch_cpu", "-ltorch",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, schema in library.SCHEMAS.items():
        torch.library.define(name.replace("torchreid_occ", NAME), schema)
    torch.ops.load_library(output)
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    operators = getattr(torch.ops, NAME)
    return [
        lambda *arguments, of=operator.default: of.redispatch(keys, *arguments)
        for operator in (operators.patch_attention, operators.patch_attention_backward)
    ]


def assert_same(emulated, query, key, upstream, allowed, options, tolerance):
    results = []
    for forward, backward in (emulated, (shift_form.forward, shift_form.backward)):
        output, log_sum = forward(query, key, allowed, *options)
        gradients = backward(upstream, query, key, allowed, log_sum, *options)
        results.append((output, *gradients))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [(2, 5, 5, 4), (1, 3, 1, 5), (2, 3, 5, 1), (0, 3, 4, 4)])
def test_emulated_kernels_equal_the_plain_form(emulated, size):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, *size, dtype=torch.float64, generator=generator)
    maps[1, :1, :, :3, :3] = 0  # a patch that is similar to none
    mask = torch.rand(size[0], 1, *size[2:], generator=generator) > 0.4
    for patch_size, overlap, allowed, scale in itertools.product(
        (1, 3, 5), (True, False), (None, mask, torch.zeros_like(mask)), (3.0, -2550.0)
    ):
        query, key, upstream = maps.unbind()
        options = (patch_size, scale, overlap)
        assert_same(emulated, query, key, upstream, allowed, options, 1e-9)


def test_emulated_kernels_go_through_the_batch_in_parts(emulated):
    """At 9x8 a part is a sample, and a row has more columns than a warp has lanes."""
    query, key, upstream = torch.randn(
        3, 3, 4, 9, 8, generator=torch.Generator().manual_seed(0)
    ).unbind()
    assert_same(emulated, query, key, upstream, None, (3, 10.0, True), 1e-4)


@pytest.fixture
def exact_products():
    """Products of half precision in float32, which PyTorch has on GPUs alone."""
    kernels = torch.library.Library("aten", "IMPL")
    kernels.impl("bmm.dtype", lambda one, other, dtype: one.to(dtype) @ other.to(dtype), "CPU")
    yield
    kernels._destroy()


@pytest.mark.usefixtures("exact_products")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_emulated_kernels_read_and_write_half_precision(emulated, dtype):
    generator = torch.Generator().manual_seed(0)
    query, key, upstream = torch.randn(3, 2, 16, 6, 5, generator=generator).to(dtype).unbind()
    for overlap in (True, False):
        output, log_sum = emulated[0](query, key, None, 3, 5.0, overlap)
        found = (output, *emulated[1](upstream, query, key, None, log_sum, 3, 5.0, overlap))
        exact = [part.double() for part in (query, key, upstream)]
        expected, sums = shift_form.forward(*exact[:2], None, 3, 5.0, overlap)
        torch.testing.assert_close(log_sum.double(), sums, rtol=1e-5, atol=1e-5)
        gradients = shift_form.backward(exact[2], *exact[:2], None, sums, 3, 5.0, overlap)
        for one, other in zip(found, (expected, *gradients), strict=True):
            assert one.dtype == dtype
            scale = other.abs().max().item()
            torch.testing.assert_close(one.double(), other, rtol=0, atol=2e-2 * scale)


def test_what_is_not_a_number_stays_so(emulated):
    query, key, _ = torch.randn(3, 1, 4, 6, 5, generator=torch.Generator().manual_seed(0)).unbind()
    query[0, 0, 5, 4] = float("nan")
    output, log_sum = emulated[0](query, key, None, 3, 5.0, True)
    assert log_sum.isnan().nonzero()[:, 1].tolist() == [23, 24, 28, 29]
    assert output[0, :, 5, 4].isnan().all()
    assert output[0, :, :3].isfinite().all()


@pytest.fixture
def toolkit(monkeypatch):
    monkeypatch.setenv("FORCE_CUDA", "1")
    found = build.cuda_toolkit()
    if found is None:
        pytest.skip("no CUDA toolkit")
    return found


@pytest.mark.slow
def test_nvcc_compiles_the_kernels(toolkit, tmp_path):
    build.compile_kernels(toolkit, tmp_path / "kernels.o")
    assert (tmp_path / "kernels.o").stat().st_size > 0


def test_nvcc_is_told_the_chips_and_the_sources(tmp_path, monkeypatch):
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\n')
    nvcc.chmod(0o755)
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.0;9.0+PTX")
    build.compile_kernels(tmp_path, tmp_path / "kernels.o")
    words = (tmp_path / "words").read_text().splitlines()
    assert [word for word in words if "arch" in word] == [
        f"-gencode=arch=compute_{number},code=[sm_{number},compute_{number}]" for number in (80, 90)
    ]
    assert [Path(word).name for word in words if word.endswith(".cu")] == [
        "patch_attention_kernels.cu"
    ]
    assert words[-2:] == ["-o", str(tmp_path / "kernels.o")]


@pytest.mark.slow
def test_the_whole_binary_is_built_and_loads(toolkit, tmp_path, monkeypatch):
    if not has_compiler:
        pytest.skip("no C++ compiler")
    monkeypatch.delenv(binary.OFF, raising=False)
    for constant in ("LIBRARY", "NOTE"):
        monkeypatch.setattr(binary, constant, tmp_path / getattr(binary, constant).name)
    assert build.build()
    words = (
        "from pathlib import Path; from torchreid_occ.ops import binary; "
        f"binary.LIBRARY, binary.NOTE = Path({str(binary.LIBRARY)!r}), Path({str(binary.NOTE)!r}); "
        "binary.load(); print(binary.backends())"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], env={**os.environ, binary.OFF: "0"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "{'shift': True, 'cpu': True, 'cuda': True}"


def test_a_toolkit_is_found_or_its_absence_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("FORCE_CUDA", "1")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert build.cuda_toolkit() is None
    assert "the installed PyTorch has none" in capsys.readouterr().out
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(build, "TOOLKITS", tmp_path)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.cuda_toolkit() is None
    assert "CUDA_HOME names its folder" in capsys.readouterr().out
    for file in ("cuda-13/bin/nvcc", "cuda-13/include/cuda_runtime.h", "cuda-9/bin/nvcc"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    assert build.cuda_toolkit() == tmp_path / "cuda-13"
