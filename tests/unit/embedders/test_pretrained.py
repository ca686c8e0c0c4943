import json
import shutil

import numpy as np
import pytest
import torch
from small_checkpoint import write_small_checkpoint

from torchreid_occ import TrackletExtractor
from torchreid_occ.cli import main
from torchreid_occ.embedders import save_pretrained
from torchreid_occ.embedders.pretrained import CONFIG, WEIGHTS
from torchreid_occ.utils.files import file_hash

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 40, 20, 3), np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A checkpoint and the folder it was exported to, by the command."""
    folder = tmp_path_factory.mktemp("pretrained")
    checkpoint = write_small_checkpoint(folder)
    main(["export", str(checkpoint), "--format", "safetensors", "--out", str(folder / "model")])
    return checkpoint, folder / "model"


def test_features_are_those_of_the_checkpoint(exported):
    checkpoint, folder = exported
    ours = TrackletExtractor(checkpoint, workers=0)
    theirs = TrackletExtractor.from_pretrained(folder, workers=0)
    assert torch.equal(ours([FRAMES, FRAMES[:2]]), theirs([FRAMES, FRAMES[:2]]))
    assert theirs.checkpoint_hash == ours.checkpoint_hash == file_hash(checkpoint)
    assert theirs.provenance == ours.provenance
    assert torch.equal(TrackletExtractor(folder, workers=0)([FRAMES]), ours([FRAMES]))


def test_the_files_are_what_others_read(exported):
    from safetensors import safe_open

    checkpoint, folder = exported
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]
    about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    assert about["config"]["model"]["name"] == "baseline" and about["num_classes"] == 4
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    with safe_open(folder / WEIGHTS, "pt") as file:
        assert sorted(file.keys()) == sorted(state)
        assert all(torch.equal(file.get_tensor(name), state[name]) for name in state)


def test_nothing_is_overwritten(exported):
    with pytest.raises(FileExistsError, match=r"model.safetensors exists: choose another folder"):
        save_pretrained(*exported)


def test_damaged_and_missing_files_are_named(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no model.safetensors with config.json"):
        TrackletExtractor.from_pretrained(tmp_path)
    folder = shutil.copytree(exported[1], tmp_path / "copy")
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged or belongs to another config.json"):
        TrackletExtractor.from_pretrained(folder)
    (folder / CONFIG).write_text("[]")
    with pytest.raises(ValueError, match=r"is no configuration of format 1"):
        TrackletExtractor.from_pretrained(folder)
