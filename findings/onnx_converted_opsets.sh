#!/usr/bin/env bash
# ONNX files brought to another opset by onnx.version_converter, since the compiler of a device asks for an older
# one, or a tool for a newer one than a file has.
#
# Guess: the converted file computes the same, or the converter says that it cannot.
# Seen: Softmax of opset 13 over the frames of (clips, frames, parts) comes to opset 12 or 11 as a softmax over frames and
#   parts together, which is what the same node says there: weights no longer add up to 1 over the frames. Over the last
#   axis it is right, and so is 11 to 13. Linear Resize and Upsample of opsets 10 and 9, which ONNX Runtime computes from
#   the corners of the map, get the half-pixel grid that is the default from opset 11 on: maps move by parts of a pixel.
#   OpenVINO computes the softmax of opset 12 and 11 over the one axis, against the standard, so the wrong file passes a
#   check by OpenVINO, and a right one of opset 11 gives other values there than by ONNX Runtime.
# Fails if one of the conversions is right or refused, or if one of the right ones is wrong.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

sys.modules["openvino_telemetry"] = None  # as if missing: no report of use is sent

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, version_converter

print(*(f"{name} {version(name)}" for name in ("onnx", "onnxruntime", "openvino")))
rng = np.random.default_rng(0)
scores = rng.normal(size=(2, 5, 4)).astype(np.float32)  # clips, frames, parts
maps = rng.random((2, 3, 16, 8), dtype=np.float32)


def model(opset, operator, x, scales=None, **attributes):
    inputs = ["x"] if scales is None else ["x", "scales"]
    constants = [] if scales is None else [helper.make_tensor("scales", TensorProto.FLOAT, (4,), scales)]
    shape = x.shape if scales is None else [int(n * scale) for n, scale in zip(x.shape, scales)]
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph([node], "graph", [given], [found], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made, x):
    return onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": x})[0]


twice = [1, 1, 2, 2]
rows = (  # operator, from and to which opset, its input, whether the converted file computes the same
    ("Softmax", 13, 12, scores, {"axis": 1}, False),
    ("Softmax", 13, 11, scores, {"axis": 1}, False),
    ("Softmax", 13, 11, scores, {"axis": 2}, True),
    ("Softmax", 11, 13, scores, {"axis": 1}, True),
    ("Resize", 10, 13, maps, {"mode": "linear", "scales": twice}, False),
    ("Upsample", 9, 13, maps, {"mode": "linear", "scales": twice}, False),
    ("Resize", 10, 13, maps, {"mode": "nearest", "scales": twice}, True),
)
changed = False
for operator, old, new, x, options, right in rows:
    made = model(old, operator, x, **options)
    before, after = run(made, x), run(version_converter.convert_version(made, new), x)
    off = np.abs(after - before).max()
    print(f"{operator} {options} from opset {old} to {new}: off by {off:.2g}", end="")
    print(f", sums over frames {after.sum(1).round(2)[0]}" if operator == "Softmax" and not right else "")
    changed |= (off < 1e-5) != right

core = openvino.Core()
for opset in (11, 13):
    old = model(opset, "Softmax", scores, axis=1)
    by_openvino = core.compile_model(core.read_model(old.SerializeToString()), "CPU")(scores)[0]
    sums = {"ONNX Runtime": run(old, scores).sum(1)[0], "OpenVINO": by_openvino.sum(1)[0]}
    print(f"Softmax of opset {opset}, sums over frames:", *(f"{key} {sums[key].round(2)}" for key in sums))
    changed |= not np.allclose(sums["OpenVINO"], 1, atol=0.02)  # its default may be bfloat16
    changed |= np.allclose(sums["ONNX Runtime"], 1, atol=0.02) != (opset == 13)
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
