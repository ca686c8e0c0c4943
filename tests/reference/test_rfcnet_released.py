"""Our image RFCnet, with the released code's options and converted weights, computes what it does.

The released forward pass is restated here as plain functions on a state dict, from a description
of its behaviour and not from its text.
"""

import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.losses.rfcnet import cosine_similarity, position_similarity
from torchreid_occ.models import build_model
from torchreid_occ.models.released import rfcnet as released_rfcnet

DEPTHS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
WIDTHS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
NUM_CLASSES = 7


# Random weights by the released names.


def add_conv(weights, name, out_channels, in_channels, size=1, bias=True):
    fan_in = in_channels * size * size
    weights[f"{name}.weight"] = torch.randn(out_channels, in_channels, size, size) / fan_in**0.5
    if bias:
        weights[f"{name}.bias"] = torch.randn(out_channels)


def add_norm(weights, name, channels):
    weights[f"{name}.weight"] = 0.5 + torch.rand(channels)
    weights[f"{name}.bias"] = 0.3 * torch.randn(channels)
    weights[f"{name}.running_mean"] = 0.3 * torch.randn(channels)
    weights[f"{name}.running_var"] = 0.5 + torch.rand(channels)
    weights[f"{name}.num_batches_tracked"] = torch.tensor(3)


def add_block(weights, name, channels, height, width):
    half, squeezed = channels // 2, channels // 32
    add_conv(weights, f"{name}.APU.conv.conv", squeezed, channels)
    add_norm(weights, f"{name}.APU.conv.bn", squeezed)
    add_conv(weights, f"{name}.APU.cls_ver", 3 * height - 6, squeezed * height)
    add_conv(weights, f"{name}.APU.cls_hor", width - 1, squeezed * width)
    add_conv(weights, f"{name}.SA.conv.conv", 1, channels)
    add_norm(weights, f"{name}.SA.conv.bn", 1)
    add_conv(weights, f"{name}.conv_reduce", half, channels)
    add_conv(weights, f"{name}.SRFC.conv1", 3, half)
    add_conv(weights, f"{name}.SRFC.conv2.0", half, 4)
    add_norm(weights, f"{name}.SRFC.conv2.1", half)
    add_conv(weights, f"{name}.SRFC.conv2.3", 3, half)
    for transformer in ("conv", "conv3"):
        add_conv(weights, f"{name}.SRFC.{transformer}.0", half, half)
        add_norm(weights, f"{name}.SRFC.{transformer}.1", half)
    add_conv(weights, f"{name}.conv_extend.0", channels, half)
    add_norm(weights, f"{name}.conv_extend.1", channels)


def released_weights():
    torch.manual_seed(0)
    weights = {}
    add_conv(weights, "conv1", 64, 3, 7, bias=False)
    add_norm(weights, "bn1", 64)
    in_channels = 64
    for layer, depth in DEPTHS.items():
        width = WIDTHS[layer]
        for index in range(depth):
            name = f"{layer}.{index}"
            add_conv(weights, f"{name}.conv1", width, in_channels, 1, bias=False)
            add_conv(weights, f"{name}.conv2", width, width, 3, bias=False)
            add_conv(weights, f"{name}.conv3", 4 * width, width, 1, bias=False)
            for norm, channels in (("bn1", width), ("bn2", width), ("bn3", 4 * width)):
                add_norm(weights, f"{name}.{norm}", channels)
            if index == 0:
                add_conv(weights, f"{name}.downsample.0", 4 * width, in_channels, 1, bias=False)
                add_norm(weights, f"{name}.downsample.1", 4 * width)
            in_channels = 4 * width
    add_block(weights, "RFC1", 512, 32, 16)
    add_block(weights, "RFC2", 1024, 16, 8)
    add_norm(weights, "bn", 2048)
    weights["classifier.weight"] = torch.randn(NUM_CLASSES, 2048) / 2048**0.5
    weights["classifier.bias"] = torch.randn(NUM_CLASSES)
    return {name: w.double() if w.is_floating_point() else w for name, w in weights.items()}


# The released forward pass.


def conv(w, name, x, stride=1, padding=0):
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), stride, padding)


def norm(w, name, x):
    statistics = (w[f"{name}.running_mean"], w[f"{name}.running_var"])
    return F.batch_norm(x, *statistics, w[f"{name}.weight"], w[f"{name}.bias"])


def vectors(w, name, x):
    """A 1x1 convolution on vectors that lie along the last dimension."""
    return x @ w[f"{name}.weight"].flatten(1).T + w[f"{name}.bias"]


def vectors_norm_relu(w, name, x):
    normalised = norm(w, f"{name}.1", vectors(w, f"{name}.0", x).flatten(0, 1))
    return F.relu(normalised).view(*x.shape[:2], -1)


def residual_layer(w, layer, x, stride):
    for index in range(DEPTHS[layer]):
        name, step = f"{layer}.{index}", stride if index == 0 else 1
        y = F.relu(norm(w, f"{name}.bn1", conv(w, f"{name}.conv1", x)))
        y = F.relu(norm(w, f"{name}.bn2", conv(w, f"{name}.conv2", y, step, 1)))
        y = norm(w, f"{name}.bn3", conv(w, f"{name}.conv3", y))
        if index == 0:
            x = norm(w, f"{name}.downsample.1", conv(w, f"{name}.downsample.0", x, step))
        x = F.relu(x + y)
    return x


def locate(w, name, x):
    height, width = x.shape[2:]
    squeezed = F.relu(norm(w, f"{name}.conv.bn", conv(w, f"{name}.conv.conv", x)))
    by_row = squeezed.mean(3).permute(0, 2, 1).reshape(len(x), -1)
    by_column = squeezed.mean(2).permute(0, 2, 1).reshape(len(x), -1)
    rows = vectors(w, f"{name}.cls_ver", by_row)
    logits = [
        rows[:, : height - 3],
        rows[:, height - 3 : 2 * height - 5],
        rows[:, 2 * height - 5 :],
        vectors(w, f"{name}.cls_hor", by_column),
    ]
    assert logits[3].shape[1] == width - 1
    return logits


def regions(logits, height, width):
    """Masks and (top, left, height, width) of the six regions, frame by frame."""
    all_masks, all_boxes = [], []
    for frame in range(len(logits[0])):
        a1, a2, a3, a4 = (int(line[frame].argmax()) for line in logits)
        a2 = max(a2, a1 + 1)
        a3 = max(a3, a2 + 1)
        edges = [
            (0, a1 + 1, 0, width),
            (a1 + 1, a2 + 1, 0, width),
            (a2 + 1, a3 + 1, 0, a4 + 1),
            (a2 + 1, a3 + 1, a4 + 1, width),
            (a3 + 1, height, 0, a4 + 1),
            (a3 + 1, height, a4 + 1, width),
        ]
        masks = torch.zeros(6, height, width, dtype=torch.float64)
        for mask, (top, bottom, left, right) in zip(masks, edges, strict=True):
            mask[top:bottom, left:right] = 1
        all_masks.append(masks)
        all_boxes.append(
            [[t / height, x / width, (b - t) / height, (r - x) / width] for t, b, x, r in edges]
        )
    return torch.stack(all_masks), torch.tensor(all_boxes, dtype=torch.float64)


def cosines(x):
    x = x / x.norm(dim=2, keepdim=True)
    return x @ x.transpose(1, 2)


def block(w, name, x):
    logits = locate(w, f"{name}.APU", x)
    masks, boxes = regions(logits, *x.shape[2:])
    foreground = torch.sigmoid(norm(w, f"{name}.SA.conv.bn", conv(w, f"{name}.SA.conv.conv", x)))
    scaled = x * (1 + foreground / foreground.sum((2, 3), keepdim=True))
    reduced = conv(w, f"{name}.conv_reduce", scaled)
    f = torch.einsum("fnhw,fchw->fnc", masks, reduced) / masks.sum((2, 3))[..., None]

    appearance = vectors(w, f"{name}.SRFC.conv1", f).softmax(2)
    hidden = vectors_norm_relu(w, f"{name}.SRFC.conv2", boxes)
    position = vectors(w, f"{name}.SRFC.conv2.3", hidden).softmax(2)
    corners = boxes[:, :, None, :2] - boxes[:, None, :, :2]
    pairs = [
        (cosines(appearance), cosines(f)),
        (cosines(position), 1 - 2 * corners.square().sum(3).sqrt()),
    ]

    both = appearance + position
    clusters = (both / both.sum(1, keepdim=True)).transpose(1, 2) @ f
    clusters = vectors_norm_relu(w, f"{name}.SRFC.conv", clusters)
    decoded = (both / both.sum(2, keepdim=True)) @ clusters
    completed = vectors_norm_relu(w, f"{name}.SRFC.conv3", decoded) + f

    projected = torch.einsum("fnhw,fnc->fchw", masks, completed)
    extended = norm(w, f"{name}.conv_extend.1", conv(w, f"{name}.conv_extend.0", projected))
    return x + extended, foreground, logits, pairs


def released_forward(w, x):
    x = F.relu(norm(w, "bn1", conv(w, "conv1", x, 2, 3)))
    x = F.max_pool2d(x, 3, 2, 1)
    x = residual_layer(w, "layer1", x, 1)
    x, *first = block(w, "RFC1", residual_layer(w, "layer2", x, 2))
    x, *second = block(w, "RFC2", residual_layer(w, "layer3", x, 2))
    features = norm(w, "bn", residual_layer(w, "layer4", x, 1).mean((2, 3)))
    return features, features @ w["classifier.weight"].T + w["classifier.bias"], [first, second]


@pytest.fixture(scope="module")
def both():
    weights = released_weights()
    model = (
        build_model("rfcnet", NUM_CLASSES, **released_rfcnet.CONFIG["model"]["options"])
        .double()
        .eval()
    )
    model.load_state_dict(released_rfcnet.convert(weights))
    images = torch.randn(2, 3, 256, 128, dtype=torch.float64)
    with torch.no_grad():
        return model.forward_clip(images[:, None]), released_forward(weights, images)


def assert_equal(ours, theirs):
    # The two sum in another order, so the last digits differ; nothing is compared relatively.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_released_features_and_logits(both):
    ours, (features, logits, _) = both
    assert features.abs().max() > 1
    assert_equal(ours.features, features)
    assert_equal(ours.logits, logits)


@pytest.mark.parametrize("index", [0, 1])
def test_released_blocks(both, index):
    ours = both[0].blocks[index]
    foreground, keypoint_logits, (appearance, position) = both[1][2][index]
    assert_equal(torch.sigmoid(ours.foreground_logits), foreground)
    for our_line, their_line in zip(ours.regions.keypoint_logits, keypoint_logits, strict=True):
        assert_equal(our_line, their_line)
    assert_equal(cosine_similarity(ours.spatial.appearance), appearance[0])
    assert_equal(cosine_similarity(ours.spatial.initial), appearance[1])
    assert_equal(cosine_similarity(ours.spatial.position), position[0])
    assert_equal(position_similarity(ours.spatial.positions), position[1])
