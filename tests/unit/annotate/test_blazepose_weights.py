"""BlazePose's file: out of a wheel, out of the cache, or a message that says which goes where."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

from torchreid_occ.annotate import blazepose_weights as module
from torchreid_occ.annotate.blazepose_weights import MEMBER, blazepose_file
from torchreid_occ.utils.weights import WeightsUnavailable

CONTENT = b"a network" * 1000


def write_wheel(path, member=MEMBER, content=CONTENT):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """The path of the file in an empty cache; CONTENT is what is expected there."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "hub" / "checkpoints" / "pose_landmark_full.tflite"


def test_out_of_a_wheel(cached, tmp_path):
    wheel = write_wheel(tmp_path / "mediapipe-0.10.14-cp39.whl")
    assert blazepose_file(wheel) == cached
    assert cached.read_bytes() == CONTENT
    assert list(cached.parent.iterdir()) == [cached] and wheel.exists()


def test_a_tflite_file_is_taken_as_it_is(cached, tmp_path):
    own = tmp_path / "own.tflite"
    own.write_bytes(b"other")
    assert blazepose_file(own) == own
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent\.tflite"):
        blazepose_file(tmp_path / "absent.tflite")


def test_another_wheel_is_refused(cached, tmp_path):
    with pytest.raises(ValueError, match=r"a\.whl is no wheel that holds mediapipe/modules/"):
        blazepose_file(write_wheel(tmp_path / "a.whl", member="mediapipe/other.tflite"))
    with pytest.raises(ValueError, match=r"in .*b\.whl has the SHA-256 .*mediapipe==0\.10\.14"):
        blazepose_file(write_wheel(tmp_path / "b.whl", content=b"another network"))
    assert not cached.exists()


def pip_reports(url):
    """Stands for `subprocess.run`: pip's report names a link."""

    def run(command, **options):
        assert command[1:4] == ["-m", "pip", "install"] and "--dry-run" in command
        report = {"install": [{"download_info": {"url": url}}]}
        Path(command[command.index("--report") + 1]).write_text(json.dumps(report))
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_downloaded_once_by_the_link_that_pip_knows(cached, tmp_path, monkeypatch):
    wheel = write_wheel(tmp_path / "served.whl")
    asked = []

    def fetch(url, destination, sha256):
        asked.append((url, destination.name, sha256))
        destination.parent.mkdir(parents=True)
        return wheel.rename(destination)

    monkeypatch.setattr(subprocess, "run", pip_reports("https://index/a.whl"))
    monkeypatch.setattr(module, "fetch", fetch)
    assert blazepose_file() == blazepose_file() == cached
    assert asked == [("https://index/a.whl", module.WHEEL, module.WHEEL_SHA256)]
    assert list(cached.parent.iterdir()) == [cached]  # the wheel is not kept
    cached.write_bytes(CONTENT[:100])  # damaged: fetched again, as far as there is a link
    with pytest.raises(WeightsUnavailable):
        blazepose_file()


def test_without_network_it_says_what_goes_where(cached, monkeypatch):
    def run(command, **options):
        lines = "WARNING: retrying\nERROR: No matching distribution found\n"
        return subprocess.CompletedProcess(command, 1, "", lines)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(WeightsUnavailable) as caught:
        blazepose_file()
    message = str(caught.value)
    assert "pip finds no mediapipe==0.10.14 (ERROR: No matching distribution found)" in message
    assert "pip download --no-deps --only-binary :all: mediapipe==0.10.14" in message
    assert f"{MEMBER} out of it at {cached}" in message
    monkeypatch.setattr(subprocess, "run", pip_reports("file:///mirror/a.whl"))
    with pytest.raises(WeightsUnavailable, match="expected one of http or https"):
        blazepose_file()
