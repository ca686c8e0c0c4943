import importlib.metadata
import os
import platform

import torch

from torchreid_occ.utils import environment
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.version import __version__


def test_versions_of_installed_packages(monkeypatch):
    found = versions()
    assert found["torchreid_occ"] == __version__
    assert found["python"] == platform.python_version()
    assert found["torch"] == importlib.metadata.version("torch")

    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert versions()["numpy"] is None


def test_an_installed_package_has_no_commit(monkeypatch, tmp_path):
    module = tmp_path / "site-packages" / "torchreid_occ" / "utils" / "environment.py"
    monkeypatch.setattr(environment, "__file__", str(module))
    assert versions()["commit"] is None


def test_hardware_names_gpus_only_if_they_are_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    assert hardware(use_gpu=True)["gpus"] == ["GPU 0", "GPU 1"]
    found = hardware(use_gpu=False)
    assert found["gpus"] == []
    assert (found["cores"], found["threads"]) == (os.cpu_count(), torch.get_num_threads())
    assert found["cpu"]
