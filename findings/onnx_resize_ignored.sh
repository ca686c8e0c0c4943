#!/usr/bin/env bash
# ONNX files that scale crops or maps themselves (Resize), run by OpenVINO and OpenCV.
#
# Guess: an attribute of a known operator is followed or refused. PyTorch's exporter writes antialias for
#   interpolate(antialias=True) and the factor for interpolate(scale_factor=1.7).
# Seen: OpenVINO ignores antialias and keep_aspect_ratio_policy: a crop of 160x70 that is to fit into 128x64 is
#   stretched to 128x64. OpenCV ignores antialias, and takes the ratio of the rounded sizes for the factor.
#   Neither warns. ONNX Runtime follows all three.
# Fails if one of them follows what it ignored, or refuses the file.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check openvino==2026.4.1 \
    opencv-python-headless==5.0.0.93 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

sys.modules["openvino_telemetry"] = None  # as if missing: no report of use is sent

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper

print(*(f"{name} {version(name)}" for name in ("onnxruntime", "openvino", "opencv-python-headless")))
crop = np.random.default_rng(0).random((1, 3, 160, 70), dtype=np.float32)


def resize(name, values, **attributes):
    """ONNX of one Resize to `name`, sizes or scales, with half-pixel centres."""
    kind = TensorProto.INT64 if name == "sizes" else TensorProto.FLOAT
    inputs = ["x", "", "", "sizes"] if name == "sizes" else ["x", "", "scales"]
    arrays = [
        helper.make_tensor_value_info(key, TensorProto.FLOAT, shape)
        for key, shape in (("x", crop.shape), ("y", ("n", "channels", "height", "width")))
    ]
    graph = helper.make_graph(
        [helper.make_node("Resize", inputs, ["y"], mode="linear", **attributes)],
        "resize",
        arrays[:1],
        arrays[1:],
        [helper.make_tensor(name, kind, (len(values),), values)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def by_onnxruntime(model):
    return onnxruntime.InferenceSession(model).run(None, {"x": crop})[0]


def by_openvino(model):
    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(model), "CPU", hint)(crop)[0]


def by_opencv(model):
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    network.setInput(crop)
    return network.forward()


def equal(one, other):
    return one.shape == other.shape and np.abs(one - other).max() < 1e-4


whole = [1, 3, 128, 64]
rows = (  # the attribute, a file with it, the file that is computed instead, by which
    (
        "antialias",
        resize("sizes", whole, antialias=1),
        resize("sizes", whole),
        (by_openvino, by_opencv),
    ),
    (
        "keep_aspect_ratio_policy",
        resize("sizes", whole[2:], axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
        resize("sizes", whole[2:], axes=[2, 3]),
        (by_openvino,),
    ),
    (
        "scales 0.77",
        resize("scales", [1, 1, 0.77, 0.77]),
        resize("sizes", [1, 3, 123, 53]),
        (by_opencv,),
    ),
)
changed = False
for name, model, instead, ignored_by in rows:
    right, other = by_onnxruntime(model), by_onnxruntime(instead)
    for run in ignored_by:
        found = run(model)
        gap = f"off by {np.abs(found - right).max():.3f}" if found.shape == right.shape else "stretched"
        print(f"{name} {run.__name__.replace('_', ' ')}: {found.shape} for {right.shape}, {gap}")
        changed |= equal(found, right) or not equal(found, other)
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
