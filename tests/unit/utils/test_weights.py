import socket
from pathlib import Path

import pytest
import torch

from torchreid_occ.utils.weights import (
    DOWNLOAD_TIMEOUT,
    WeightsUnavailable,
    cached_file,
    torchvision_weights,
)


class Released:
    """A member of an enumeration of weights as torchvision has them."""

    url = "https://example.org/models/net-0a1b2c3d.pth"

    def __init__(self, result):
        self.result = result

    def get_state_dict(self, **options):
        assert options == {"progress": True, "check_hash": True, "weights_only": True}
        assert socket.getdefaulttimeout() == DOWNLOAD_TIMEOUT
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_weights_are_returned_and_the_timeout_is_restored():
    before = socket.getdefaulttimeout()
    weights = {"a": torch.zeros(1)}
    assert torchvision_weights(Released(weights), "Weights", "train without") is weights
    assert socket.getdefaulttimeout() == before


@pytest.mark.parametrize("error", [OSError("no route"), EOFError("short"), ValueError("hash")])
def test_an_error_says_where_to_put_the_file(error):
    with pytest.raises(WeightsUnavailable) as raised:
        torchvision_weights(Released(error), "The detector", "name another one")
    message = str(raised.value)
    assert message.startswith(f"The detector could not be loaded ({type(error).__name__}: {error})")
    assert Released.url in message
    assert str(cached_file(Released(None))) in message
    assert message.endswith("or name another one.")


def test_files_are_cached_where_torchvision_looks(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert cached_file(Released(None)) == Path(tmp_path, "checkpoints", "net-0a1b2c3d.pth")
