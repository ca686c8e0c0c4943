"""The binary is built where it can be, and never in the way where it cannot."""

import json
import os
import shutil

import pytest
import torch

from torchreid_occ.ops import backends, binary, build


@pytest.fixture
def switched_on(monkeypatch):
    """Whatever the tests themselves run with."""
    monkeypatch.delenv(binary.OFF, raising=False)


@pytest.mark.usefixtures("switched_on")
def test_a_binary_for_another_installation_is_left_alone(tmp_path, monkeypatch):
    library, note = tmp_path / "ops.so", tmp_path / "note.json"
    monkeypatch.setattr(binary, "LIBRARY", library)
    monkeypatch.setattr(binary, "NOTE", note)
    binary.load()  # there is none: nothing to say
    library.write_bytes(b"no library")
    note.write_text(json.dumps({"torch": "1.0"}))
    with pytest.warns(UserWarning, match=r"'torch': '1\.0'.*torchreid-occ build-ops"):
        binary.load()
    note.write_text(json.dumps(binary.built_for()))
    with pytest.warns(UserWarning, match="does not load"):
        binary.load()
    note.write_text("{")
    with pytest.warns(UserWarning, match="was built for None"):
        binary.load()


def test_it_can_be_switched_off(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    monkeypatch.setattr(binary, "LIBRARY", tmp_path / "ops.so")
    monkeypatch.setattr(binary, "NOTE", tmp_path / "note.json")
    binary.LIBRARY.touch()
    binary.NOTE.write_text(json.dumps(binary.built_for()))
    for switch, expected in (("1", []), ("0", [binary.LIBRARY])):
        monkeypatch.setenv("TORCHREID_OCC_NO_EXT", switch)
        binary.load()
        assert loaded == expected


@pytest.mark.usefixtures("switched_on")
def test_without_a_compiler_it_says_so(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.build() is False
    assert "no C++ compiler is found" in capsys.readouterr().out
    monkeypatch.setenv("TORCHREID_OCC_NO_EXT", "1")
    assert build.build() is False
    assert "TORCHREID_OCC_NO_EXT=1" in capsys.readouterr().out


@pytest.mark.usefixtures("switched_on")
def test_what_the_compiler_says_is_passed_on(tmp_path, monkeypatch):
    compiler, folder = tmp_path / "compiler", tmp_path / "build"
    compiler.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(binary, "LIBRARY", folder / "ops.so")
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(RuntimeError, match=r"-shared .*\nit is broken"):
        build.build()
    assert not folder.exists()


def test_where_there_is_a_compiler_there_is_the_kernel():
    """Without it the tests of the backends would pass over a kernel that does not compile."""
    has_compiler = shutil.which(os.environ.get("CXX", "c++")) is not None
    wanted = has_compiler and os.environ.get(binary.OFF) != "1"
    assert backends()["cpu"] == wanted, "python -m torchreid_occ.ops.build says why"
