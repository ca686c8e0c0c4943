"""Runs the trainings of the tour and of the page on a model of one's own, in a small form."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from documentation import code_blocks, commands
from support import REPOSITORY, TINY, pairs

from torchreid_occ.losses import CRITERIA
from torchreid_occ.models import MODELS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with the configurations; all tests share its renderings."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    return folder


def run_blocks(page):
    names = {"__name__": page.stem}
    with patch.dict(MODELS), patch.dict(CRITERIA):  # definitions of a page are removed after it
        for code in code_blocks(page, "python"):
            exec(compile(code, page.name, "exec"), names)
    return names


def test_the_tour_can_be_taken(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    page = REPOSITORY / "docs" / "tour.md"
    for program, *words in commands(page):
        if program == "torchreid-occ":
            smaller = pairs(TINY) if words[0] == "train" else []
            subprocess.run([sys.executable, "-m", "torchreid_occ", *words, *smaller], check=True)
    names = run_blocks(page)
    results = json.loads(Path("log/tour/results.json").read_text())["targets"]["occwalk_tiny"]
    assert names["mean_average_precision"] == pytest.approx(results["last"]["mAP"], abs=1e-6)
    pictures = list(Path("log/tour/pictures").glob("*.png"))
    assert pictures


def test_the_model_of_ones_own_trains(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    page = REPOSITORY / "docs" / "extending.md"
    (written,) = code_blocks(page, "yaml")
    Path("configs/strips.yaml").write_text(written)
    names = run_blocks(page)
    assert names["results"]["epochs"] == 2
    assert Path("log/strips/results.json").is_file()
