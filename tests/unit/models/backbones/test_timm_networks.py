import sys

import pytest
import torch

from torchreid_occ.models import build_model
from torchreid_occ.models.backbones import WeightsUnavailable, build_backbone, timm_networks
from torchreid_occ.models.backbones.weights import Origin, Published

timm = pytest.importorskip("timm")

SWIN = "swin_tiny_patch4_window7_224"


@pytest.mark.parametrize("name", ["convnext_atto", "resnet18", "mobilenetv3_small_050"])
def test_maps_are_those_that_timm_gives(name):
    trunk = build_backbone(f"timm/{name}").eval()
    network = timm.create_model(name, features_only=True).eval()
    own = torch.nn.ModuleDict({k: v for stage in trunk.stages for k, v in stage.named_children()})
    weights = own.state_dict()
    for key, value in network.state_dict().items():
        value.copy_(weights[key if key in weights else key.replace(".", "_", 1)])
    frames = torch.rand(2, 3, 64, 32)
    scaling = getattr(trunk.stages[0], "input_scaling", torch.nn.Identity())
    with torch.no_grad():
        expected, maps, found = network(scaling(frames))[-4:], frames, []
        for stage in trunk.stages:
            maps = stage(maps)
            found.append(maps)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert trunk.channels == tuple(maps.shape[1] for maps in expected)
    assert trunk.strides == (4, 8, 16, 32)
    assert trunk.map_sizes(64, 32) == [maps.shape[2:] for maps in expected]


def test_maps_of_networks_with_channels_last_are_turned():
    trunk = build_backbone(f"timm/{SWIN}").eval()
    assert trunk.map_sizes(96, 48) == [(24, 12), (12, 6), (6, 3), (3, 2)]
    network = timm.create_model(SWIN, features_only=True, strict_img_size=False).eval()
    parts = {k: v for stage in trunk.stages for k, v in stage.named_children()}
    network.load_state_dict(torch.nn.ModuleDict(parts).state_dict())
    frames = torch.rand(1, 3, 96, 48)
    with torch.no_grad():
        maps, expected = trunk(frames), network(frames)[-1]
    torch.testing.assert_close(maps, expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize("name", ["qan", "rfcnet", "vrstc", "rru_stim", "trl_st2n"])
def test_clip_models_run_behind_a_network_of_timm(name):
    options = {"rru_stim": {"auxiliary": "none"}, "trl_st2n": {"hidden": 8}}
    own = options.get(name, {"last_stride": 2})
    model = build_model(name, 3, height=64, width=32, backbone="timm/convnext_atto", **own)
    outputs = model.train()(torch.rand(2, 2, 3, 64, 32))
    outputs.logits.sum().backward()
    with torch.no_grad():
        assert model.eval()(torch.rand(1, 2, 3, 64, 32)).shape == (1, model.feature_dim)


def test_weights_that_timm_downloads_are_taken(monkeypatch):
    state = timm_networks.timm_network("convnext_atto").build(True).state_dict()
    published = Published(state, Origin("timm", "timm/convnext_atto.d2_in1k", None, None))
    monkeypatch.setattr(timm_networks, "_published_by_timm", lambda name: published)
    trunk = build_backbone("timm/convnext_atto", pretrained="timm")
    assert trunk.origin is published.origin
    weight = trunk.stages[3].stages_3.blocks[0].mlp.fc1.weight
    assert torch.equal(weight, state["stages_3.blocks.0.mlp.fc1.weight"])


def test_weights_that_cannot_be_downloaded_are_unavailable(monkeypatch):
    def refuse(name, pretrained):
        raise OSError("no network")

    monkeypatch.setattr(timm_networks, "_features_of", refuse)
    with pytest.raises(
        WeightsUnavailable, match=r"timm/convnext_atto\.d2_in1k could not be loaded"
    ):
        timm_networks._published_by_timm("convnext_atto")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5", "timm has no such network"),
        ("vit_tiny_patch16_224", "expected a network that is a sequence of 4 stages"),
    ],
)
def test_networks_that_are_no_sequence_of_stages_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(f"timm/{name}")


def test_without_timm_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"torchreid-occ\[timm\]"):
        build_backbone("timm/resnet18")
