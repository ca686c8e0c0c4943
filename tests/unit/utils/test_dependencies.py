import builtins
import json

import pytest
from commands import run_after_torch

from torchreid_occ._torchreid import import_torchreid
from torchreid_occ.utils.dependencies import explain_import_failure, import_optional


def import_with(tmp_path, package, body):
    """Imports torchreid_occ where another package stands in for an installed one."""
    (tmp_path / f"{package}.py").write_text(body)
    code = f"import sys; sys.modules.pop({package!r}, None); import torchreid_occ"
    return run_after_torch(code, cwd=tmp_path)


def import_failing(monkeypatch, failure):
    """Imports torchreid where that fails, and returns the message of the error it ends in."""

    def refuse(name, *arguments, **options):
        if name == "torchreid":
            raise failure
        return importing(name, *arguments, **options)

    importing = builtins.__import__
    with monkeypatch.context() as patch, pytest.raises(ImportError) as error:
        patch.setattr(builtins, "__import__", refuse)
        import_torchreid()
    return str(error.value)


def test_a_mismatched_pair_of_torch_and_torchvision_is_named(monkeypatch):
    failure = RuntimeError("operator torchvision::nms does not exist")
    message = import_failing(monkeypatch, failure)
    assert message.startswith("torch ")
    assert "do not belong together" in message and "from one index" in message


def test_a_missing_libgl_names_the_headless_package(monkeypatch):
    failure = ImportError("libGL.so.1: cannot open shared object file")
    message = import_failing(monkeypatch, failure)
    assert "libGL.so.1" in message and "opencv-python-headless" in message


def test_a_dependency_that_torchreid_does_not_declare_is_named(tmp_path):
    done = import_with(tmp_path, "gdown", "raise ModuleNotFoundError('no gdown', name='gdown')")
    assert "torchreid needs the package 'gdown'" in done.stderr.strip().splitlines()[-1]


def test_unknown_failures_are_left_as_they_are():
    assert explain_import_failure(RuntimeError("something else")) is None
    assert explain_import_failure(ModuleNotFoundError("x", name="torchreid")) is None


def test_an_extra_that_is_missing_is_named():
    with pytest.raises(ImportError, match=r"'faiss_absent'.*pip install torchreid-occ\[search"):
        import_optional("json", "faiss_absent", extra="search")
    assert import_optional("json", extra="search") == [json]
