import importlib
import sys

import pytest
import torch
from clip_model_tester import ClipModelTester
from commands import start

from torchreid_occ.completion.guider import IdGuider
from torchreid_occ.models import build_model
from torchreid_occ.models.layers.non_local import NonLocal
from torchreid_occ.utils.memory import added_mebibytes

vrstc = importlib.import_module("torchreid_occ.models.vrstc")  # the package exports the builder


class TestVrstc(ClipModelTester):
    name = "vrstc"
    options = {"backbone": "resnet18_x0_5"}  # some blocks, as attention stands behind the first
    variants = (
        {},
        {"positions": "even", "scaled_attention": True, "neck": True, "max_key_frames": 2},
    )
    constant = ("key.bias",)  # a softmax ignores what is added to all similarities of a query


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_those_of_the_fidelity_sheet():
    with torch.device("meta"):
        model = build_model("vrstc", 5)
        even = build_model("vrstc", 5, positions="even")
    assert parameters(model) - parameters(model.classifier) == 30_866_496
    assert list(model.non_local) == ["2_1", "2_3", "3_1", "3_3", "3_5"]
    assert list(even.non_local) == ["2_0", "2_2", "3_0", "3_2", "3_4"]


def test_non_local_blocks_start_as_the_identity_and_then_look_at_other_frames():
    model = build_model("vrstc", 5, backbone="resnet18_x0_5").eval()
    plain = build_model("baseline", 5, backbone="resnet18_x0_5", neck=False).eval()
    weights = model.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    clip = torch.randn(2, 3, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(clip), plain(clip))
    for block in model.non_local.values():
        torch.nn.init.ones_(block.output[1].weight)
    alone = torch.stack([model(clip[:, t]) for t in range(3)]).mean(0)
    assert not torch.allclose(model(clip), alone, rtol=1e-3)


def test_non_local_is_attention_over_space_and_time():
    torch.manual_seed(0)
    block = NonLocal(6).eval()
    torch.nn.init.ones_(block.output[1].weight)
    maps = torch.randn(2 * 3, 6, 4, 2)
    pooled = torch.nn.functional.max_pool2d(maps, 2)

    def rows(embedded):  # (B, T * H * W, D)
        units = embedded.unflatten(0, (2, 3)).transpose(1, 2)
        return units.flatten(2).transpose(1, 2)

    query, key, value = rows(block.query(maps)), rows(block.key(pooled)), rows(block.value(pooled))
    found = (query @ key.transpose(1, 2)).softmax(2) @ value
    found = found.transpose(1, 2).unflatten(2, (3, 4, 2)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(block(maps, 3), maps + block.output(found))


def test_a_clip_read_in_parts_gives_the_same_feature(monkeypatch):
    torch.manual_seed(0)
    model = build_model("vrstc", 5, backbone="resnet18_x0_5").eval()
    for block in model.non_local.values():
        torch.nn.init.ones_(block.output[1].weight)
    clips = torch.randn(3, 10, 3, 32, 16)
    seen = []
    model.non_local["2_1"].query.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.inference_mode():
        expected = model(clips)
        for frames, lengths in ((4, 3 * [4, 4, 2]), (20, [20, 10])):
            monkeypatch.setattr(vrstc, "FRAME_PIXELS", frames * 32 * 16)
            seen.clear()
            torch.testing.assert_close(model(clips), expected)
            assert [len(maps) for maps in seen] == lengths


def test_keys_are_pooled_over_time_in_clips_longer_than_the_limit():
    torch.manual_seed(0)
    block, limited = NonLocal(6).eval(), NonLocal(6, max_key_frames=3).eval()
    torch.nn.init.ones_(block.output[1].weight)
    limited.load_state_dict(block.state_dict())
    maps = torch.randn(2 * 3, 6, 4, 2)
    assert torch.equal(limited(maps, 3), block(maps, 3))
    maps = torch.randn(2 * 5, 6, 4, 2)  # windows of two frames and one of a single frame
    found = limited.keys([maps], 5)
    clips = maps.unflatten(0, (2, 5))
    windows = [clips[:, :2].amax(1), clips[:, 2:4].amax(1), clips[:, 4]]
    expected = block.keys([torch.stack(windows, 1).flatten(0, 1)], 3)
    torch.testing.assert_close(found, expected)
    assert found.keys.shape == (2, 1, 3 * 2, 3)
    assert limited(maps, 5).shape == maps.shape


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_attention_of_a_long_clip_never_holds_all_pairs(tmp_path):
    process = start(measure, tmp_path / "output")
    process.join()
    assert process.exitcode == 0
    pairs = (40 * 32 * 16) ** 2 / 4 * 4 / 2**20
    assert float((tmp_path / "output").read_text()) < pairs / 2


def measure():
    """Prints the mebibytes that a non-local block takes for 40 frames, of res3's size."""
    block = NonLocal(64).eval()
    maps = torch.randn(40, 64, 32, 16)
    with torch.inference_mode():
        block(maps[:2], 2)
        print(added_mebibytes(lambda: block(maps, 40)))


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (5, 3)])
def test_non_local_takes_maps_of_any_size(size):
    block = NonLocal(4)
    assert block(torch.randn(2, 4, *size), 1).shape == (2, 4, *size)
    scaled = NonLocal(4, scaled_attention=True)
    assert scaled.scale == pytest.approx(2**-0.5)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="'odd', 'even'"):
        build_model("vrstc", 5, positions="all")


def test_other_networks_have_non_local_blocks_in_the_last_layers_of_two_stages():
    with torch.device("meta"):
        lite = build_model("vrstc", 5, backbone="efficientnet_lite0")
        googlenet = build_model("vrstc", 5, backbone="googlenet", last_stride=2)
    channels = {name: block.query.in_channels for name, block in lite.non_local.items()}
    assert channels == {"2_1": 40, "3_1": 112}
    assert set(googlenet.non_local) == {"2_0", "3_0"}


def test_a_guider_stays_frozen_and_passes_gradients():
    model = build_model("baseline", 5, backbone="resnet18_x0_5", neck=False)
    guider = IdGuider(model, 64, 32, [0.5, 0.4, 0.3], [0.2, 0.2, 0.2]).train()
    assert not any(module.training for module in guider.model.modules())
    before = {name: value.clone() for name, value in guider.state_dict().items()}
    frame = torch.rand(2, 3, 32, 16).requires_grad_()
    guider(frame).sum().backward()
    assert frame.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in guider.parameters())
    assert all(torch.equal(value, before[name]) for name, value in guider.state_dict().items())


def test_a_guider_sees_frames_as_the_model_was_trained_on_them():
    model = build_model("baseline", 5, backbone="resnet18_x0_5", neck=False)
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    guider = IdGuider(model, 64, 32, mean.tolist(), std.tolist())
    pixels = torch.rand(2, 3, 64, 32)  # in [0, 1]
    normalised = (pixels - mean[:, None, None]) / std[:, None, None]
    expected = model.forward_clip(normalised[:, None]).logits
    torch.testing.assert_close(guider(2 * pixels - 1), expected, rtol=1e-4, atol=1e-4)
