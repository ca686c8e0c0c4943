"""RRU-STIM with converted weights computes what the released code does.

The released unit and integration are restated here as plain functions on a state dict, from a
description of their behaviour and not from their text.
"""

import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.models import build_model
from torchreid_occ.models.released import rru_stim

NUM_CLASSES = 5
RENAMED = {  # ours by theirs, for what is not the image network
    "fuse_net.reduce_dim_z.conv.weight": "rru.transition.weight",
    "fuse_net.s_atten_z.0.weight": "rru.spatial.0.weight",
    "fuse_net.s_atten_z.2.weight": "rru.spatial.2.weight",
    "fuse_net.c_atten_z.1.weight": "rru.channel.weight",
    "fuse_net.t_info.0.weight": "integration.reduce.0.weight",
    "fuse_net.t_info.3.weight": "integration.integrate.0.weight",
    "classifier.0.0.weight": "classifier.0.weight",
    "classifier.0.0.bias": "classifier.0.bias",
    "classifier.1.0.weight": "classifier.4.weight",
    "classifier.1.0.bias": "classifier.4.bias",
}
NORMS = {
    "fuse_net.reduce_dim_z.bn": "rru.bn",
    "fuse_net.t_info.1": "integration.reduce.1",
    "fuse_net.t_info.4": "integration.integrate.1",
    "classifier.0.1": "classifier.1",
}
SHAPES = {
    "fuse_net.s_atten_z.0.weight": (128, 1, 8, 8),
    "fuse_net.s_atten_z.2.weight": (64, 128, 1, 1),
    "fuse_net.c_atten_z.1.weight": (2048, 256, 1, 1),
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = build_model("rru_stim", NUM_CLASSES, height=299, width=299, activation="leaky")
    with torch.no_grad():
        for module in model.modules():
            if getattr(module, "running_var", None) is not None:
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model.double().eval()


@pytest.fixture(scope="module")
def released(model):
    """The model's weights by the released names; there the sign of the difference is turned."""
    weights = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("backbone.stages."):
            weights["feature.feature." + name.split(".", 3)[3]] = tensor
        elif name.startswith("auxiliary."):
            weights["feature.feature.AuxLogits." + name.removeprefix("auxiliary.")] = tensor
    ours = model.state_dict()
    for theirs, name in RENAMED.items():
        weights[theirs] = ours[name].reshape(SHAPES.get(theirs, ours[name].shape)).clone()
    for theirs, name in NORMS.items():
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            weights[f"{theirs}.{part}"] = ours[f"{name}.{part}"]
    weights["fuse_net.reduce_dim_z.conv.weight"][:, :2048] *= -1
    return weights


def norm(w, name, x, eps):
    shape = (1, -1) + (1,) * (x.dim() - 2)
    mean, var, scale, shift = (
        w[f"{name}.{part}"].view(shape)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + eps).sqrt() * scale + shift


def released_unit(w, maps):
    """The gate reads (refined - frame, frame - frame before); the refined map starts as frame 1."""
    state, results = maps[:, 0], []
    for t in range(maps.shape[1]):
        frame, before = maps[:, t], maps[:, max(t - 1, 0)]
        read = torch.cat((state - frame, frame - before), dim=1)
        hidden = F.conv2d(read, w["fuse_net.reduce_dim_z.conv.weight"])
        hidden = norm(w, "fuse_net.reduce_dim_z.bn", hidden, 1e-3).relu()
        places = F.conv2d(hidden.mean(1, keepdim=True), w["fuse_net.s_atten_z.0.weight"]).relu()
        places = F.conv2d(places, w["fuse_net.s_atten_z.2.weight"]).reshape(-1, 1, 8, 8)
        channels = F.conv2d(F.avg_pool2d(hidden, 8), w["fuse_net.c_atten_z.1.weight"])
        gate = (places * channels).sigmoid()
        state = (1 - gate) * state + gate * frame
        results.append(state)
    return torch.stack(results, dim=1)


def released_feature(w, refined):
    x = F.conv3d(refined.transpose(1, 2), w["fuse_net.t_info.0.weight"])
    x = norm(w, "fuse_net.t_info.1", x, 1e-5).relu()
    x = F.conv3d(x, w["fuse_net.t_info.3.weight"], padding=1)
    return norm(w, "fuse_net.t_info.4", x, 1e-5).relu().mean((2, 3, 4))


def released_logits(w, feature):
    x = F.linear(feature, w["classifier.0.0.weight"], w["classifier.0.0.bias"])
    x = F.leaky_relu(norm(w, "classifier.0.1", x, 1e-5), 0.1)
    return F.linear(x, w["classifier.1.0.weight"], w["classifier.1.0.bias"])


def test_conversion_is_the_inverse(model, released):
    converted, expected = rru_stim.convert(released), model.state_dict()
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[name], expected[name]) for name in expected)


@torch.no_grad()
def test_converted_weights_compute_what_the_released_code_does(model, released):
    maps = torch.randn(2, 4, 2048, 8, 8, dtype=torch.float64)
    refined, _ = model.rru(maps)
    expected = released_unit(released, maps)
    torch.testing.assert_close(refined, expected, rtol=0, atol=1e-11)
    assert (refined[:, 1:] - maps[:, 1:]).abs().max() > 0.1  # the gate does something
    feature = model.integration(refined)
    torch.testing.assert_close(feature, released_feature(released, expected), rtol=0, atol=1e-11)
    logits = model.classifier(feature)
    torch.testing.assert_close(logits, released_logits(released, feature), rtol=0, atol=1e-11)


def test_without_the_sign_it_would_not(model, released):
    maps = torch.randn(1, 3, 2048, 8, 8, dtype=torch.float64)
    unturned = model.rru.transition.weight
    with torch.no_grad():
        wrong = released_unit({**released, "fuse_net.reduce_dim_z.conv.weight": unturned}, maps)
        assert (model.rru(maps)[0] - wrong).abs().max() > 1e-3
