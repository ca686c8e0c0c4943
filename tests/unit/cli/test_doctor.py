"""The doctor's findings, on this machine and on machines that lack something."""

import importlib
import os
import re
import shutil
from types import SimpleNamespace

import pytest
import torch
from support import REPOSITORY

from torchreid_occ.cli import hardware, libraries, main
from torchreid_occ.cli.finding import Finding, State
from torchreid_occ.ops import binary

GIGABYTE = 2**30


def test_one_screen_about_this_machine(capsys):
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 100
    text = " ".join(line.strip() for line in lines)
    assert f"torch {torch.__version__.partition('+')[0]}" in text
    parts = [line.split()[1] for line in lines if line[0] != " "]
    assert parts == ["versions", "GPU", "kernels", "weights", "configs", "extras", "cores",
                     "disk", "temporary"]  # fmt: skip


@pytest.fixture
def failing(monkeypatch):
    """Has the import of a module fail."""

    def fail(name, message):
        genuine = importlib.import_module

        def import_module(module):
            if module == name:
                raise ModuleNotFoundError(message, name=name)
            return genuine(module)

        monkeypatch.setattr(importlib, "import_module", import_module)

    return fail


def test_without_torch_it_says_what_to_install(failing, capsys):
    failing("torch", "No module named 'torch'")
    with pytest.raises(SystemExit, match="1"):
        main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(line.strip() for line in lines)
    assert (
        "MISSING torch       ModuleNotFoundError: No module named 'torch'. torchreid needs" in text
    )
    assert "install torchreid_occ with its dependencies (`pip install torchreid-occ`)" in text
    assert not [line for line in lines if "kernels" in line]  # what needs torch is not looked at


def test_without_torchreid_it_says_what_to_install(failing):
    failing("torchreid_occ._torchreid", "No module named 'torchreid'")
    advice = "Install it: pip install torchreid."
    expected = Finding(State.MISSING, "torchreid", "No module named 'torchreid'", advice)
    assert libraries.torchreid() == expected


def test_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert hardware.gpu().text == "none"
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert hardware.gpu().text == "none that PyTorch, built with CUDA 13.0, can use"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    card = SimpleNamespace(name="H100", total_memory=80 * GIGABYTE)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: card)
    assert hardware.gpu() == Finding(State.OK, "GPU", "H100, 80 GiB; H100, 80 GiB")


@pytest.mark.parametrize(
    ("lacks", "advice"),
    [
        ("nothing", ""),
        ("wish", "TORCHREID_OCC_NO_EXT=1 switches them off."),
        ("compiler", "There is no C++ compiler: install one (CXX may name it), then run "
         "torchreid-occ build-ops."),
        ("fit", "The binary was built for another PyTorch or processor: run torchreid-occ "
         "build-ops."),
        ("binary", "Run torchreid-occ build-ops."),
    ],
)  # fmt: skip
def test_kernels(lacks, advice, monkeypatch, tmp_path):
    has = {"shift": True, "cpu": lacks == "nothing", "cuda": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(binary, "backends", lambda: has)
    monkeypatch.setattr(shutil, "which", lambda name: None if lacks == "compiler" else "/bin/c++")
    monkeypatch.setattr(binary, "LIBRARY", tmp_path / "ops.so")
    monkeypatch.delenv(binary.OFF, raising=False)
    if lacks == "fit":
        (tmp_path / "ops.so").touch()
    if lacks == "wish":
        monkeypatch.setenv(binary.OFF, "1")
    found = hardware.kernels()
    assert found.advice == advice
    assert (found.state is State.OK) == (lacks == "nothing")


def test_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = libraries.weights()
    assert found.text == f"none in {tmp_path}/checkpoints"
    assert "resnet50-0676ba61.pth (training starts from them)" in found.advice
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet50-0676ba61.pth").touch()
    found = libraries.weights()
    assert found.text == f"resnet50-0676ba61.pth in {tmp_path}/checkpoints"
    assert "resnet50" not in found.advice.partition("keypointrcnn")[0]


def test_extras(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == "faiss" else name)
    found = libraries.extras()
    others = [extra for extra in libraries.EXTRAS if extra != "search"]
    assert found.text == f"installed: {', '.join(others)}"
    assert found.advice == "For search: pip install 'torchreid-occ[search]'."


def test_all_extras_of_a_user_are_looked_for():
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.partition("[project.optional-dependencies]")[2].partition("# The tests")[0]
    declared = re.findall(r"^(\w+) = \[(.+)\]$", extras, re.M)  # docs takes several lines
    counts = {extra: names.count(">=") for extra, names in declared}
    assert {extra: len(names) for extra, names in libraries.EXTRAS.items()} == counts


@pytest.mark.parametrize(("load", "state"), [(0.9, State.OK), (2.5, State.GAP)])
def test_load_is_compared_with_the_cores(load, state, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0))
    found = hardware.processor()
    assert found.state is state
    assert found.text.startswith(f"2, with {load} processes running over the last minute; ")


def test_a_full_disk_is_a_gap(monkeypatch):
    usage = SimpleNamespace(free=2 * GIGABYTE)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert [(each.state, each.text[:10]) for each in hardware.disks()] == [
        (State.GAP, "2 GiB free")
    ] * 2
