import pytest
import torch

from torchreid_occ.models.backbones.weights import (
    Origin,
    Published,
    find_weights,
    package_source,
)
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.weights import WeightsUnavailable


def there(name):
    found = Published({"a": torch.zeros(1)}, Origin(name, "file", "1", "0" * 64))
    return lambda: found


def missing(name):
    def read():
        raise WeightsUnavailable(f"{name} has none.")

    return read


def test_the_first_source_that_is_there_is_taken():
    sources = {"torchvision": missing("torchvision"), "package": there("package")}
    assert find_weights("net", sources, True).origin.source == "package"
    assert find_weights("net", sources, "package").origin.source == "package"
    assert find_weights("net", sources, False) is None
    with pytest.raises(WeightsUnavailable, match=r"^torchvision has none\.$"):
        find_weights("net", sources, "torchvision")


def test_without_any_source_all_reasons_are_given():
    sources = {"torchvision": missing("one"), "package": missing("other")}
    with pytest.raises(WeightsUnavailable, match=r"one has none\. other has none\."):
        find_weights("net", sources, True)
    with pytest.raises(WeightsUnavailable, match="no ImageNet weights of net"):
        find_weights("net", {}, True)


def test_a_source_that_the_network_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"'package' for net, but .* are in \['torchvision'\]"):
        find_weights("net", {"torchvision": there("torchvision")}, "package")


def test_a_file_is_named_with_its_hash(tmp_path):
    path = str(tmp_path / "weights.pth")
    torch.save({"a": torch.ones(2)}, path)
    found = find_weights("net", {}, path)
    assert found.origin == Origin("file", path, None, file_hash(path))
    assert torch.equal(found.weights["a"], torch.ones(2))
    assert str(found.origin) == f"file {path}, SHA-256 {file_hash(path)[:12]}"
    with pytest.raises(FileNotFoundError):
        find_weights("net", {}, str(tmp_path / "nowhere.pth"))


def test_a_package_that_is_not_installed_says_what_to_install():
    with pytest.raises(WeightsUnavailable, match=r"no-such-weights.*torchreid-occ\[weights\]"):
        package_source("no-such-weights", "weights.pth")()


def test_a_file_of_a_hub_is_named_with_its_commit(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    path = tmp_path / "snapshots" / "0123abcd" / "weights" / "net.pth"
    path.parent.mkdir(parents=True)
    torch.save({"a": torch.ones(2)}, path)
    asked = []
    monkeypatch.setattr(hub, "hf_hub_download", lambda *names: asked.append(names) or str(path))
    address = "hf://someone/models/weights/net.pth"
    found = find_weights("net", {}, address)
    assert asked == [("someone/models", "weights/net.pth")]
    assert found.origin == Origin("hub", address, "0123abcd", file_hash(path))
    with pytest.raises(ValueError, match="expected hf://OWNER/REPOSITORY/FILE"):
        find_weights("net", {}, "hf://someone/net.pth")


def test_a_hub_that_cannot_be_reached_makes_weights_unavailable(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*names):
        raise OSError("no network")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(WeightsUnavailable, match=r"net\.pth could not be downloaded.*no network"):
        find_weights("net", {}, "hf://someone/models/net.pth")
