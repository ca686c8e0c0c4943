"""Stages of an ONNX file in int8: near features, Q/DQ around the chosen stages alone."""

from collections import Counter, OrderedDict

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnx_files import write_onnx
from torch import nn

from torchreid_occ.engine import acceleration
from torchreid_occ.engine.acceleration import choose_stages, features_of_clips
from torchreid_occ.engine.onnx_stages import SCOPES, onnx_features, quantise_stages
from torchreid_occ.models import ClipModel
from torchreid_occ.models.backbones import Stage
from torchreid_occ.models.frame_embedder import EmbeddedClip

FRAMES, HEIGHT, WIDTH = 2, 16, 8


class TwoStages(ClipModel):
    """Two convolutions as stages, and the mean over a clip's frames and pixels."""

    feature_dim = 16

    def __init__(self):
        super().__init__()
        self.first = Stage(OrderedDict(conv=nn.Conv2d(3, 16, 3), relu=nn.ReLU()), 1)
        self.second = Stage(OrderedDict(conv=nn.Conv2d(16, 16, 3), relu=nn.ReLU()), 1)

    def forward_clip(self, clip):
        maps = self.second(self.first(clip.flatten(0, 1))).mean((2, 3))
        return EmbeddedClip(maps.unflatten(0, clip.shape[:2]).mean(1))


def node(kind, given, made, scope, **attributes):
    """A node as torch.onnx writes it, with the modules that are around it."""
    written = helper.make_node(kind, given, [made], name=f"node_{made}", **attributes)
    written.metadata_props.add(key=SCOPES, value=repr(["", scope, f"{scope}.layer"]))
    return written


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Returns a model, its ONNX file's content, and clips."""
    torch.manual_seed(0)
    model = TwoStages().eval()
    constants = [
        numpy_helper.from_array(tensor.numpy(), name) for name, tensor in model.state_dict().items()
    ]
    for name, shape in {
        "frames": [-1, 3, HEIGHT, WIDTH],
        "clips of maps": [-1, FRAMES, 16],
    }.items():
        constants.append(numpy_helper.from_array(np.array(shape), name))
    nodes = [node("Reshape", ["clips", "frames"], "images", "")]
    read = "images"
    for stage in ("first", "second"):
        weights = [f"{stage}.conv.weight", f"{stage}.conv.bias"]
        nodes.append(node("Conv", [read, *weights], f"{stage} conv", stage, kernel_shape=[3, 3]))
        nodes.append(node("Relu", [f"{stage} conv"], f"{stage} maps", stage))
        read = f"{stage} maps"
    nodes += [
        node("ReduceMean", [read], "pooled", "", axes=[2, 3], keepdims=0),
        node("Reshape", ["pooled", "clips of maps"], "frame features", ""),
        node("ReduceMean", ["frame features"], "features", "", axes=[1], keepdims=0),
    ]
    shapes = {"clips": ["B", FRAMES, 3, HEIGHT, WIDTH]}, {"features": ["B", 16]}
    path = write_onnx(tmp_path_factory.mktemp("onnx") / "m.onnx", nodes, *shapes, constants)
    return model, path.read_bytes(), torch.randn(24, FRAMES, 3, HEIGHT, WIDTH)


def features(content, folder, clips):
    path = folder / "found.onnx"
    path.write_bytes(content)
    return features_of_clips(onnx_features(path), clips)


def kinds(content):
    return Counter(one.op_type for one in onnx.load_from_string(content).graph.node)


def test_int8_is_near_to_float32_but_not_equal(exported, tmp_path):
    model, content, clips = exported
    with torch.inference_mode():
        expected = features_of_clips(model, clips[1::2])
    torch.testing.assert_close(features(content, tmp_path, clips[1::2]), expected)
    found = quantise_stages(content, model, clips)
    own = features(found.content, tmp_path, clips[1::2])
    cosines = nn.functional.cosine_similarity(own, expected)
    assert not torch.allclose(own, expected, rtol=1e-4, atol=1e-4)
    assert (found.cosine, found.least_cosine) == (cosines.mean().item(), cosines.min().item())
    assert found.cosine >= acceleration.LEAST_COSINE and found.left == []
    assert kinds(found.content)["QuantizeLinear"] == kinds(found.content)["Conv"] + 1 == 3
    assert len(found.content) < len(content)


def test_a_stage_that_changes_too_much_stays_in_float32(exported, monkeypatch):
    model, content, clips = exported
    together = quantise_stages(content, model, clips)
    monkeypatch.setattr(acceleration, "LEAST_COSINE", together.cosine + 1e-7)
    found = quantise_stages(content, model, clips)
    assert len(found.left) == 1 and found.cosine > together.cosine
    assert kinds(found.content)["QuantizeLinear"] < kinds(together.content)["QuantizeLinear"]


def test_nothing_is_left_to_quantise(exported, monkeypatch):
    model, content, clips = exported
    monkeypatch.setattr(acceleration, "LEAST_COSINE", 1.1)
    with pytest.raises(ValueError, match="TwoStages too much in every stage of its image network"):
        quantise_stages(content, model, clips)


def test_the_stages_that_change_most_are_given_up_first():
    loss = {"a": 0.0001, "b": 0.002, "c": 0.0005, "d": 0.0008}
    asked = []

    def cosine(names):
        asked.append([*names])
        return 1 - sum(loss[name] for name in names)

    assert choose_stages([*loss], cosine) == (["a", "c"], pytest.approx(0.9994))
    assert asked[-1] == ["a", "c"]
