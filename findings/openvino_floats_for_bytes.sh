#!/usr/bin/env bash
# Crops scaled to 0..1, given to an OpenVINO model that reads bytes, since its preprocessing (the scaling, the mean and the
# standard deviation) is part of it.
#
# Guess: an array of another type than the input's is refused, as ONNX Runtime does.
# Seen: OpenVINO converts it by cutting off: every crop becomes black, all people have the same feature, and nothing
#   warns, neither by calling a compiled model nor by an InferRequest. Integers above 255 and below 0 wrap around. In
#   the other direction, bytes for a model that reads floats are taken as 0..255.
# Fails if the floats are refused, or if two crops get different features.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

sys.modules["openvino_telemetry"] = None  # as if missing: no report of use is sent

import numpy as np
import openvino
from openvino import opset13 as operators
from openvino.preprocess import PrePostProcessor

print("openvino", openvino.__version__, "numpy", np.__version__)
SHAPE = 1, 3, 64, 32
rng = np.random.default_rng(0)
pixels = operators.parameter(SHAPE, np.float32)
weights = operators.constant(rng.normal(size=(16, 3, 3, 3)).astype(np.float32))
maps = operators.relu(operators.convolution(pixels, weights, [2, 2], [1, 1], [1, 1], [1, 1]))
network = openvino.Model([operators.reduce_mean(maps, np.array([2, 3]))], [pixels])
steps = PrePostProcessor(network)
steps.input().model().set_layout(openvino.Layout("NCHW"))
steps.input().tensor().set_element_type(openvino.Type.u8)
scaling = steps.input().preprocess().convert_element_type(openvino.Type.f32)
scaling.scale(255.0).mean([0.485, 0.456, 0.406]).scale([0.229, 0.224, 0.225])
compiled = openvino.Core().compile_model(steps.build(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

crops = rng.integers(0, 255, (2, *SHAPE)).astype(np.uint8)  # of two people; none is 255
black = np.zeros(SHAPE, np.uint8)
runs = {"compiled model": lambda crop: compiled(crop)[0]}
runs["InferRequest"] = lambda crop: compiled.create_infer_request().infer({0: crop})[0]
changed = False
for name, run in runs.items():
    by_bytes = [run(crop) for crop in crops]
    by_floats = [run(crop / np.float32(255)) for crop in crops]
    gap = np.abs(by_bytes[0] - by_bytes[1]).max()
    gap_of_floats = np.abs(by_floats[0] - by_floats[1]).max()
    print(f"{name}: features of two people differ by {gap:.3f} from bytes, {gap_of_floats:g} from floats")
    changed |= gap < 1e-3 or gap_of_floats > 0 or not np.array_equal(by_floats[0], run(black))
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
