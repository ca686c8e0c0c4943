import socket

import pytest
import torch
import torchvision

from torchreid_occ.models import build_model
from torchreid_occ.models.backbones import BACKBONES, WeightsUnavailable, build_backbone, stages
from torchreid_occ.utils.files import file_hash


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    "name", ["resnet18_x0_5", "resnet18", "resnet50", "googlenet", "efficientnet_lite0"]
)
def test_stages_have_the_stated_channels_strides_and_sizes(name):
    trunk = build_backbone(name).eval()
    maps, sizes = torch.rand(1, 3, 128, 64), trunk.map_sizes(128, 64)
    with torch.no_grad():
        for stage, channels, stride, size in zip(
            trunk.stages, trunk.channels, trunk.strides, sizes, strict=True
        ):
            maps = stage(maps)
            assert maps.shape == (1, channels, *size)
            assert size == (128 // stride, 64 // stride)


def test_few_frames_pass_at_a_time_where_each_is_by_itself(monkeypatch):
    trunk = build_backbone("resnet18_x0_5")
    frames, seen = torch.rand(5, 3, 64, 32), []
    trunk.stages[2].layer3.register_forward_pre_hook(lambda _, maps: seen.append(len(maps[0])))
    monkeypatch.setattr(stages, "PIXELS", 2 * 64 * 32)
    with torch.no_grad():
        trunk(frames)  # statistics are those of the batch
    trunk.eval()(frames)  # gradients need all maps anyway
    assert seen == [5, 5]
    with torch.no_grad():
        parts = trunk(frames)
        assert seen == [5, 5, 2, 2, 1]
        monkeypatch.setattr(stages, "PIXELS", 5 * 64 * 32)
        torch.testing.assert_close(trunk(frames), parts)
        monkeypatch.setattr(stages, "PIXELS", 1)
        torch.testing.assert_close(trunk(frames), parts)


def test_map_sizes_of_odd_frames_are_the_real_ones():
    trunk = build_backbone("resnet18", last_stride=1).eval()
    with torch.no_grad():
        maps = trunk(torch.rand(1, 3, 101, 47))
    assert trunk.map_sizes(101, 47)[-1] == maps.shape[-2:] == (7, 3)


def test_map_sizes_leave_the_statistics_alone():
    trunk = build_backbone("resnet18").train()
    before = {name: buffer.clone() for name, buffer in trunk.named_buffers()}
    trunk.map_sizes(64, 32)
    for name, buffer in trunk.named_buffers():
        assert torch.equal(buffer, before[name])


@pytest.mark.parametrize(
    ("name", "last_stride", "expected"),
    [
        ("resnet50", 1, (16, 8)),
        ("resnet50", 2, (8, 4)),
        ("resnet18", 1, (16, 8)),
        ("efficientnet_lite0", 1, (16, 8)),
        ("efficientnet_lite0", 2, (8, 4)),
        ("googlenet", 2, (8, 4)),
    ],
)
def test_last_stride(name, last_stride, expected):
    with torch.device("meta"):
        trunk = build_backbone(name, last_stride=last_stride)
    assert trunk.map_sizes(256, 128)[-1] == expected
    assert trunk.strides[-1] == 256 // expected[0]


def test_a_trunk_computes_what_torchvision_does():
    trunk = build_backbone("resnet18").eval()
    network = torchvision.models.resnet18().eval()
    weights = {
        name.split(".", 2)[2]: tensor for name, tensor in trunk.state_dict().items()
    }  # without "stages.<number>."
    network.load_state_dict(weights, strict=False)
    network.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(trunk(images).mean((2, 3)), network(images))


def test_inception_trunks_rescale_imagenet_normalisation():
    trunk = build_backbone("googlenet")
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colours = torch.tensor([0.0, 0.5, 1.0])
    normalised = ((colours - mean) / std).view(1, 3, 1, 1)
    scaled = trunk.stages[0].input_scaling(normalised).flatten()
    torch.testing.assert_close(scaled, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-6, rtol=0)
    plain = build_backbone("googlenet", rescale=False)
    assert torch.equal(plain.stages[0].input_scaling(normalised), normalised)
    assert plain.state_dict().keys() == trunk.state_dict().keys()


def test_known_parameter_counts():
    with torch.device("meta"):
        googlenet, inception = build_backbone("googlenet"), build_backbone("inception_v3")
    assert [parameters(stage) for stage in googlenet.stages] == [
        124_736,
        496_096,
        2_653_088,
        2_325_984,
    ]
    assert parameters(inception) == 21_785_568
    assert inception.map_sizes(299, 299) == [(71, 71), (35, 35), (17, 17), (8, 8)]


def test_invalid_requests():
    with pytest.raises(ValueError, match=r'"vgg".*resnet18.*inception_v3'):
        build_backbone("vgg")
    with pytest.raises(ValueError, match=r"last_stride 3 for resnet18.*\(1, 2\)"):
        build_backbone("resnet18", last_stride=3)
    with pytest.raises(ValueError, match=r"last_stride 1 for googlenet.*\(2,\)"):
        build_backbone("googlenet", last_stride=1)
    with pytest.raises(ValueError, match="8x8, which are too small"):
        build_backbone("inception_v3").map_sizes(8, 8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty download cache and no network."""

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path / "hub" / "checkpoints"


def test_missing_weights_name_the_file_and_the_way_out(cache):
    timeout = socket.getdefaulttimeout()
    with pytest.raises(WeightsUnavailable) as raised:
        build_backbone("resnet18", pretrained=True)
    message = str(raised.value)
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in message
    assert str(cache / "resnet18-f37072fd.pth") in message
    assert "model.pretrained False" in message
    assert "efficientnet_lite0" in message
    assert socket.getdefaulttimeout() == timeout


def test_broken_weights_are_unavailable_too(cache):
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(b"half a download")
    with pytest.raises(WeightsUnavailable, match=r"resnet18-f37072fd\.pth"):
        build_backbone("resnet18", pretrained=True)


@pytest.mark.parametrize(
    ("name", "file", "auxiliary"),
    [("resnet18", "resnet18-f37072fd.pth", False), ("googlenet", "googlenet-1378be20.pth", True)],
)
def test_cached_weights_are_loaded(cache, name, file, auxiliary):
    cache.mkdir(parents=True)
    arguments = {"aux_logits": True, "init_weights": False} if auxiliary else {}
    network = torchvision.models.get_model(name, weights=None, **arguments)
    torch.save(network.state_dict(), cache / file)
    trunk = build_backbone(name, pretrained=True)
    assert trunk.origin[:3] == ("torchvision", file, "IMAGENET1K_V1")
    for key, tensor in trunk.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[key.split(".", 2)[2]])


def test_every_backbone_has_four_stages():
    assert {len(spec.stages) for spec in BACKBONES.values()} == {4}
    assert {len(spec.channels) for spec in BACKBONES.values()} == {4}


def test_narrow_resnet18_is_resnet18_with_half_the_channels():
    narrow, full = build_backbone("resnet18_x0_5"), build_backbone("resnet18")
    for own, other in zip(narrow.parameters(), full.parameters(), strict=True):
        halved = [size // 2 for size in other.shape[:2]]
        if other.dim() == 4:
            halved[1] = other.shape[1] if other.shape[1] == 3 else other.shape[1] // 2
        assert own.shape == (*halved, *other.shape[2:])
    strides = [
        [module.stride for module in trunk.modules() if isinstance(module, torch.nn.Conv2d)]
        for trunk in (narrow, full)
    ]
    assert strides[0] == strides[1]
    assert sum(p.numel() for p in narrow.parameters()) == 2_798_880
    with pytest.raises(WeightsUnavailable, match="no ImageNet weights of resnet18_x0_5"):
        build_backbone("resnet18_x0_5", pretrained=True)


def test_a_checkpoints_backbone_takes_the_place_of_imagenet_weights(tmp_path):
    torch.manual_seed(0)
    trained = build_model("baseline", 5, backbone="resnet18_x0_5")
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "weights.pth.tar")
    path = str(tmp_path / "weights.pth.tar")
    started = build_model("rfcnet", 7, path, 64, 32, backbone="resnet18_x0_5")
    for name, value in trained.backbone.state_dict().items():
        assert torch.equal(started.backbone.state_dict()[name], value)
    with pytest.raises(ValueError, match="does not fit the model"):
        build_backbone("resnet18", pretrained=path)
    assert started.origin == ("file", path, None, file_hash(path))
    assert build_model("rfcnet", 7, False, 64, 32, backbone="resnet18_x0_5").origin is None
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        build_backbone("resnet18", pretrained=str(tmp_path / "nowhere.pth"))


def test_a_published_file_may_be_named(tmp_path):
    network = torchvision.models.resnet18(weights=None)
    weights = {  # old files lack the counts of batches
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path = str(tmp_path / "resnet18.pth")
    torch.save(weights, path)
    trunk = build_backbone("resnet18", pretrained=path, last_stride=1)
    assert torch.equal(trunk.stages[3].layer4[1].conv2.weight, network.layer4[1].conv2.weight)
    assert trunk.origin.source == "file"
    del weights["layer2.0.conv1.weight"]
    torch.save(weights, path)
    with pytest.raises(ValueError, match=r"resnet18.pth does not fit.*layer2\.0.*is missing"):
        build_backbone("resnet18", pretrained=path)


@pytest.mark.parametrize(
    ("name", "parts"),
    [("resnet18", [2, 2]), ("efficientnet_lite0", [2, 3]), ("googlenet", [1, 1])],
)
def test_stages_are_cut_behind_each_block_of_their_last_layer(name, parts):
    trunk = build_backbone(name).eval()
    maps = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        maps = trunk.stages[0](maps)
        for number, count in zip((1, 2), parts, strict=True):
            whole, steps = trunk.stages[number](maps), trunk.stages[number].steps()
            assert len(steps) == count
            for layers in steps:
                for layer in layers:
                    maps = layer(maps)
                assert maps.shape == whole.shape
            assert torch.equal(maps, whole)


@pytest.mark.parametrize("name", ["baseline", "qan", "rfcnet", "vrstc", "rru_stim", "trl_st2n"])
def test_every_clip_model_trains_on_a_depthwise_backbone(name):
    own = {"rru_stim": {"auxiliary": "none"}, "trl_st2n": {"hidden": 8}}.get(name, {})
    model = build_model(name, 3, height=64, width=32, backbone="efficientnet_lite0", **own)
    clips = torch.rand(2, 2, 3, 64, 32)
    outputs = model.train()(clips)
    outputs.logits.sum().backward()
    stem = model.stem if name == "trl_st2n" else model.backbone.stages[0]
    assert stem.stem.conv.weight.grad.abs().sum() > 0
    with torch.no_grad():
        assert model.eval()(clips).shape == (2, model.feature_dim)
