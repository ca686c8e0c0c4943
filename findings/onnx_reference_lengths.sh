#!/usr/bin/env bash
# Recurrent networks over tracklets of different lengths (sequence_lens of LSTM, GRU and RNN), computed by onnx's own
# reference evaluator, beside which converters and runtimes are checked.
#
# Guess: it follows the standard: the state of a short tracklet is that after its last frame, and what pads it is not read.
# Seen: the evaluator takes the lengths and ignores them. Each state is that after the padding, without a warning, so a
#   runtime that is right (ONNX Runtime) seems wrong, and one that ignores the lengths, too, passes. The state of the
#   longest tracklet alone is right. Computed alone, without padding, all are.
# Fails if the evaluator heeds or refuses the lengths, or if ONNX Runtime ignores them.
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
from onnx.reference import ReferenceEvaluator

print(*(f"{name} {version(name)}" for name in ("onnx", "onnxruntime")))
FEATURE, HIDDEN, LENGTHS = 8, 4, [6, 3, 1]  # frames of three tracklets
rng = np.random.default_rng(0)
frames = rng.normal(size=(max(LENGTHS), len(LENGTHS), FEATURE)).astype(np.float32)
for tracklet, length in enumerate(LENGTHS):
    frames[length:, tracklet] = 0


def model(operator, gates):
    """ONNX from frames (T, B, 8) and lengths (B,) to the last states (1, B, 4)."""
    rows = gates * HIDDEN
    sizes = {"w": (1, rows, FEATURE), "r": (1, rows, HIDDEN), "b": (1, 2 * rows)}
    values = {key: rng.normal(size=size).astype(np.float32) for key, size in sizes.items()}
    weights = [numpy_helper.from_array(value, key) for key, value in values.items()]
    node = helper.make_node(operator, ["x", "w", "r", "b", "lengths"], ["", "state"], hidden_size=HIDDEN)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", "n", FEATURE]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]),
    ]
    output = helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, "n", HIDDEN])
    graph = helper.make_graph([node], "recurrent", inputs, [output], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


changed = False
for operator, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    made = model(operator, gates)
    runtime = onnxruntime.InferenceSession(made.SerializeToString())
    for name, session in (("ONNX Runtime", runtime), ("reference", ReferenceEvaluator(made))):

        def states(x, lengths, session=session):
            return session.run(None, {"x": x, "lengths": np.int32(lengths)})[0][0]

        alone = np.concatenate([states(frames[:n, [k]], [n]) for k, n in enumerate(LENGTHS)])
        off = np.abs(states(frames, LENGTHS) - alone).max(1)
        print(f"{operator} by {name}: states of {LENGTHS} frames are off by {off.round(3)}")
        changed |= off[0] > 1e-5 or (off[1:].min() < 1e-3) != (name == "ONNX Runtime")
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
