#!/usr/bin/env bash
# ONNX files whose weights alone are int8 (DequantizeLinear in front of MatMul), as one chooses for embedders with large
# channels, such as vision transformers, run by ONNX Runtime.
#
# Guess: the product is that of float32 inputs and the weights that DequantizeLinear gives, to rounding, as the file says.
# Seen: with its default optimisations, it rounds the inputs to 8 bits, too, by groups of 32, and replaces both nodes by
#   MatMulNBits of accuracy level 4. Outputs are off by half a per cent. If one channel is large (1,000), the others of
#   its group become 0, and what distinguishes crops has a cosine of 0.96 to what it should be. With the option
#   session.qdq_matmulnbits_accuracy_level set as 0, outputs are right.
# Fails if the default is exact, or if that option is not.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

print(*(f"{name} {version(name)}" for name in ("onnx", "onnxruntime")))
INPUTS, OUTPUTS = 512, 256
rng = np.random.default_rng(0)
weights = 0.05 * rng.normal(size=(INPUTS, OUTPUTS)).astype(np.float32)
scales = np.abs(weights).max(0) / 127
integers = np.round(weights / scales).astype(np.int8)
nodes = [
    helper.make_node("DequantizeLinear", ["integers", "scales"], ["weights"], axis=1),
    helper.make_node("MatMul", ["x", "weights"], ["y"]),
]
arrays = [
    helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
    for name, size in (("x", INPUTS), ("y", OUTPUTS))
]
constants = [numpy_helper.from_array(integers, "integers"), numpy_helper.from_array(scales, "scales")]
graph = helper.make_graph(nodes, "layer", arrays[:1], arrays[1:], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)


def run(x, level=None):
    options = onnxruntime.SessionOptions()
    if level is not None:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": x})[0]


def cosines(found, right):
    """Of what is left without the mean of the crops."""
    one, other = found - found.mean(0), right - right.mean(0)
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


changed = False
for large in (None, 1000):
    x = rng.normal(size=(8, INPUTS)).astype(np.float32)  # of eight crops
    if large:
        x[:, 3] = large
    right = x.astype(np.float64) @ (integers * scales.astype(np.float64))
    for level in (None, "0"):
        found = run(x, level)
        off = np.abs(found - right).max() / np.abs(right).max()
        least = cosines(found, right).min()
        print(f"large channel {large}, accuracy level {level}: off by {off:.1e}, least cosine {least:.4f}")
        changed |= (off > 1e-3) != (level is None)
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
