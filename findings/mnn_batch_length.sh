#!/usr/bin/env bash
# Features divided by their own length in the ONNX file, as F.normalize is exported, run by MNN.
#
# Guess: each feature of a batch has length 1, as in ONNX Runtime. MNN would refuse what it cannot convert.
# Seen: right up to opset 17, where the axis of ReduceL2 is an attribute. From opset 18 on (PyTorch's exporter writes
#   20) it is an input, which MNN drops for ReduceL2: it divides by the length of the whole batch. One crop is right,
#   so a check with one passes; four have lengths of 0.2 to 0.8, in the ratio in which the network gave them, and a
#   feature depends on the crops beside it. ReduceMean, ReduceSum and ReduceMax are right in both.
# Fails if batches have other lengths than these.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    mnn==3.6.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$work"
venv/bin/python - > /dev/null <<'PYTHON'  # without what MNN prints
import sys
from importlib.metadata import version

import _tools  # MNN's converter
import MNN
import MNN.expr
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

names = ("mnn", "onnx", "onnxruntime")
print(*(f"{name} {version(name)}" for name in names), file=sys.stderr)
rng = np.random.default_rng(0)
outputs = (rng.normal(size=(4, 64)) * [[1], [2], [3], [4]]).astype(np.float32)  # of a network


def convert(opset, name):
    """Writes feature / max(length, 1e-12) for (N, 64), as ONNX and for MNN."""
    attribute = {"axes": [1]} if opset < 18 else {}
    nodes = [
        helper.make_node(
            "ReduceL2", ["x"] if attribute else ["x", "axes"], ["length"], keepdims=1, **attribute
        ),
        helper.make_node("Max", ["length", "least"], ["divisor"]),
        helper.make_node("Div", ["x", "divisor"], ["y"]),
    ]
    arrays = [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", 64]) for key in "xy"]
    constants = [helper.make_tensor("least", TensorProto.FLOAT, (), [1e-12])]
    if not attribute:
        constants.append(helper.make_tensor("axes", TensorProto.INT64, (1,), [1]))
    graph = helper.make_graph(nodes, "head", arrays[:1], arrays[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{name}.onnx")
    _tools.mnnconvert(
        ["", "-f", "ONNX", "--modelFile", f"{name}.onnx", "--MNNModel", f"{name}.mnn", "--bizCode", "_"]
    )


def by_mnn(name, values):
    network = MNN.nn.load_module_from_file(f"{name}.mnn", ["x"], ["y"])
    given = MNN.expr.const(values, values.shape, MNN.expr.NCHW, MNN.expr.float)
    (found,) = network.forward([given])
    return np.array(MNN.expr.convert(found, MNN.expr.NCHW).read())


changed = False
for opset in (17, 18):
    name = f"opset{opset}"
    convert(opset, name)
    for count in (1, 4):
        values = outputs[:count]
        right = onnxruntime.InferenceSession(f"{name}.onnx").run(None, {"x": values})[0]
        found = by_mnn(name, values)
        lengths = np.linalg.norm(found, axis=1)
        print(f"opset {opset}, {count} in a batch: lengths by MNN {lengths.round(2)}", file=sys.stderr)
        whole = right if opset == 17 or count == 1 else values / np.linalg.norm(values)
        changed |= not np.allclose(np.linalg.norm(right, axis=1), 1) or not np.allclose(found, whole, atol=1e-5)
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
