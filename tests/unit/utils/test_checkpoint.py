import re

import pytest
import torch
from support import REPOSITORY
from torch import nn

from torchreid_occ.utils.checkpoint import (
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    load_matching_weights,
    load_parts,
    load_weights,
    save_checkpoint,
)


class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.body = nn.Linear(2, 4)
        self.classifier = nn.Linear(4, num_classes)


def test_latest_is_by_number_and_ignores_partial_files(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for epoch in (2, 10, 9):
        save_checkpoint({"epoch": epoch}, checkpoint_path(tmp_path, epoch))
    (tmp_path / "model" / ".model.pth.tar-11.x.partial").touch()
    latest = latest_checkpoint(tmp_path)
    assert latest == checkpoint_path(tmp_path, 10)
    assert load_checkpoint(latest) == {"epoch": 10}


@pytest.mark.parametrize("content", [b"PK\x03\x04half", b"\x80\x02b"])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth is damaged"):
        load_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"model": Net()}, path)
    with pytest.raises(ValueError, match=r"weights\.pth holds objects of \S*Net"):
        load_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        load_checkpoint(tmp_path / "absent.pth")


def test_weights_load_except_a_classifier_of_other_identities(tmp_path):
    path = tmp_path / "weights.pth"
    trained = Net(num_classes=7)
    torch.save({"module." + name: value for name, value in trained.state_dict().items()}, path)
    model = Net(num_classes=3)
    before = model.classifier.weight.clone()
    load_weights(model, path)
    assert torch.equal(model.body.weight, trained.body.weight)
    assert torch.equal(model.classifier.weight, before)


@pytest.mark.parametrize("content", [torch.zeros(2), {"epoch": 3}, {}])
def test_files_without_weights_are_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"weights\.pth holds no weights by name"):
        load_weights(Net(), path)


def test_a_full_disk_is_an_error_with_the_free_space(tmp_path, monkeypatch):
    def fail(state, file):
        raise RuntimeError("unexpected pos 971264 vs 971160")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match=r"x/weights\.pth could not be written, \d+ MiB are free"):
        save_checkpoint({}, tmp_path / "x" / "weights.pth")
    assert not list((tmp_path / "x").iterdir())


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    state = Net().state_dict()
    state["body.weight"] = torch.zeros(5, 2)
    state["extra"] = state.pop("body.bias")
    torch.save({"state_dict": state}, path)
    expected = r"3 places: body.bias is missing; body.weight is \(5, 2\) instead of \(4, 2\); extra"
    with pytest.raises(ValueError, match=expected):
        load_weights(Net(), path)


def test_matching_weights_are_taken_and_the_rest_named(tmp_path):
    source = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    torch.save({"state_dict": source.state_dict()}, tmp_path / "weights.pth")
    target = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5), nn.BatchNorm1d(5))
    kept = target[1].weight.detach().clone()
    _, left, new = load_matching_weights(target, tmp_path / "weights.pth")
    assert left == ["1.bias", "1.weight"]
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[1].weight, kept)
    assert {name.split(".")[0] for name in new} == {"1", "2"}
    with pytest.raises(ValueError, match="has no weights that fit"):
        load_matching_weights(nn.Conv2d(1, 1, 1), tmp_path / "weights.pth")


def test_named_parts_are_taken_whatever_else_fits(tmp_path):
    source, target = Net(), Net()
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {**source.state_dict(), "body2.weight": torch.ones(1)}}, path)
    kept = target.classifier.weight.detach().clone()
    taken = load_parts(target, path, ["body"])
    assert torch.equal(target.body.weight, source.body.weight)
    assert torch.equal(target.classifier.weight, kept)  # although its shape fits
    assert taken[0] == ["body.bias", "body.weight"]
    assert taken[1] == ["body2.weight", "classifier.bias", "classifier.weight"]
    assert taken.new == ["classifier.bias", "classifier.weight"]
    with pytest.raises(ValueError, match=r"has no \['head'\], only \['body', 'classifier'\]"):
        load_parts(target, path, ["body", "head"])
    other = Net(num_classes=5)
    with pytest.raises(ValueError, match=r"2 places: classifier.bias is \(3,\) instead of \(5,"):
        load_parts(other, path, ["classifier"])


def test_keys_that_are_needed_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    save_checkpoint({"epoch": 1}, path)
    assert load_checkpoint(path, needed=("epoch",)) == {"epoch": 1}
    with pytest.raises(ValueError, match=r"weights\.pth is no checkpoint .*: it lacks \['best'\]"):
        load_checkpoint(path, needed=("best", "epoch"))


def test_the_first_reason_of_a_failed_write_is_given(tmp_path, monkeypatch):
    def fail(state, file):
        try:
            raise OSError(28, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 971264 vs 971160")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match=r"could not be written, .*: \[Errno 28\] No space left"):
        save_checkpoint({}, tmp_path / "weights.pth")


def test_checkpoints_are_unpickled_in_one_place_with_weights_only():
    for folder in ("torchreid_occ", "tools"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert "torch.load(" not in text or file.name == "safe_loading.py"
            assert not re.search(
                r"pickle\.loads?\(|allow_pickle(?!=False)|weights_only=False", text
            ), file
            assert "get_state_dict(" not in text or "weights_only=True" in text, file
