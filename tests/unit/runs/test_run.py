"""What a run says of the weights it starts from, and the files it looks for beforehand."""

import pytest
import torch
from small_backbone import SMALL_BACKBONE

from torchreid_occ.config import load_config
from torchreid_occ.models import build_model
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.readiness import check_files
from torchreid_occ.runs.run import _build_model
from torchreid_occ.utils.files import file_hash

SMALL = ["model.options.backbone", SMALL_BACKBONE, "model.name", "baseline"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.pth.tar"
    model = build_model("baseline", 5, backbone=SMALL_BACKBONE)
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def test_a_resumed_run_keeps_what_it_started_from(weights, tmp_path):
    backend = backend_of(load_config(None, [*SMALL, "model.pretrained", str(weights)]))
    _, start = _build_model(backend, 3, None)
    assert start["pretrained"] == str(weights)
    assert start["initial_weights"]["sha256"] == file_hash(weights)
    torch.save({"state_dict": {}, **start}, tmp_path / "resumed.pth")
    assert _build_model(backend, 3, tmp_path / "resumed.pth")[1] == start


def test_a_checkpoint_of_0_2_0_does_not_say_which_weights(tmp_path):
    backend = backend_of(load_config(None, SMALL))
    torch.save({"pretrained": True}, tmp_path / "resumed.pth")
    _, start = _build_model(backend, 3, tmp_path / "resumed.pth")
    assert start == {"pretrained": True, "initial_weights": None}


@pytest.mark.parametrize("source", ["torchvision", "package", "timm", "hf://a/b/c.pth", "auto"])
def test_sources_of_weights_are_no_files(source):
    check_files(load_config(None, ["model.pretrained", source]))


def test_other_words_are_files_that_must_exist():
    with pytest.raises(FileNotFoundError, match=r"model\.pretrained is packages"):
        check_files(load_config(None, ["model.pretrained", "packages"]))
