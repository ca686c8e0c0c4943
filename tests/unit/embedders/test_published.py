"""torchreid's published weights by name."""

import numpy as np
import pytest
import torch

from torchreid_occ import TrackletExtractor
from torchreid_occ._torchreid import torchreid
from torchreid_occ.embedders import PUBLISHED, check_embedder, published
from torchreid_occ.utils.weights import WeightsUnavailable

NAME = "osnet_x0_25_msmt17"


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """Where the weights of NAME are kept, in an empty cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints" / f"{NAME}.pth"


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torchreid.models.build_model("osnet_x0_25", 1041, pretrained=False).eval()


def test_features_are_those_of_torchreids_model(cached, network):
    weights = {f"module.{name}": weight for name, weight in network.state_dict().items()}
    torch.save(weights, cached)  # as its DataParallel saves them
    extractor = TrackletExtractor(NAME, workers=0)
    frames = np.random.default_rng(0).integers(256, size=(2, 256, 128, 3), dtype=np.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = (torch.from_numpy(frames) / 255 - mean) / std
    with torch.no_grad():
        features = torch.nn.functional.normalize(network(images.permute(0, 3, 1, 2)))
    torch.testing.assert_close(extractor([frames]), features.mean(0, keepdim=True))
    assert str(extractor.provenance) == (
        "osnet_x0_25_msmt17 was trained on MSMT17 (1,041 people); it had 29.5 mAP, 61.4 rank-1 on "
        "MSMT17 (torchreid's model zoo)."
    )


def test_a_download_goes_to_the_cache(cached, network, monkeypatch):
    asked = []

    def fetch(url, path):
        asked.append(url)
        torch.save({"state_dict": network.state_dict()}, path)
        return path

    monkeypatch.setattr(published, "fetch", fetch)
    assert published.published_file(NAME) == published.published_file(NAME) == cached
    assert asked == [f"https://drive.google.com/uc?id={PUBLISHED[NAME].file}"]


def test_without_network_it_says_what_goes_where(cached, monkeypatch):
    def fetch(url, path):
        raise ConnectionError(
            f"{url} could not be downloaded: no route.\nThe same call resumes it."
        )

    monkeypatch.setattr(published, "fetch", fetch)
    with pytest.raises(WeightsUnavailable, match=rf"resumes it\. Or put the file .* at {cached}"):
        TrackletExtractor(NAME)


def test_other_weights_are_refused(cached, network):
    weights = network.state_dict()
    del weights["fc.0.weight"]
    torch.save(weights, cached)
    with pytest.raises(ValueError, match=r"not hold weights of torchreid's osnet_x0_25: .*fc\.0"):
        TrackletExtractor(NAME)


def test_every_name_is_a_model_of_torchreids():
    for name, one in PUBLISHED.items():
        assert one.model in torchreid.models.__dict__["__model_factory"]
        assert name.startswith(one.model) and "duke" not in name
        assert 0 < one.mean_ap < one.rank1 < 100
    assert len({one.file for one in PUBLISHED.values()}) == len(PUBLISHED) == 17


def test_unknown_names():
    check_embedder("osnet_ain_x1_0_msmt17_combineall")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint osnet_x1_0_msmt, .*x1_0_msmt17"):
        check_embedder("osnet_x1_0_msmt")
