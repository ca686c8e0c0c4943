#!/usr/bin/env bash
# Convolutions with auto_pad, as in ONNX files that were converted from TensorFlow (detectors, EfficientNets),
# run by OpenCV 4 and 5.
#
# Guess: a network gives the same output in both versions and in ONNX Runtime, to rounding.
# Seen: where one more row is needed than can be split evenly (stride 2, kernel 3, even size), SAME_UPPER puts
#   it behind the map and SAME_LOWER before it. OpenCV 4 takes both as SAME_UPPER, OpenCV 5 both as SAME_LOWER.
#   So each stride of a TensorFlow network moves the map by a pixel once OpenCV is upgraded from 4 to 5, without
#   an error. Odd sizes, and files with explicit pads (PyTorch's), are right in both.
# Fails if a version is right for both words, or wrong in another way.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > convolve.py <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

rng = np.random.default_rng(0)
frame = rng.normal(size=(1, 3, 256, 128)).astype(np.float32)
weights = helper.make_tensor("w", TensorProto.FLOAT, (8, 3, 3, 3), rng.normal(size=216).astype(np.float32))


def convolution(word):
    """ONNX of a convolution of stride 2 with that auto_pad."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], auto_pad=word)
    arrays = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", frame.shape), ("y", (1, 8, 128, 64)))
    ]
    graph = helper.make_graph([node], "convolution", arrays[:1], arrays[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


models = {word: convolution(word) for word in ("SAME_UPPER", "SAME_LOWER")}
right = {
    word: onnxruntime.InferenceSession(model).run(None, {"x": frame})[0]
    for word, model in models.items()
}
taken = {}
for word, model in models.items():
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    network.setInput(frame)
    found = network.forward()
    gaps = {other: np.abs(found - output).max() for other, output in right.items()}
    taken[word] = [other for other, gap in gaps.items() if gap < 1e-3]
    print(f"OpenCV {cv2.__version__}: {word} is off by {gaps[word]:.4f}, and computes {taken[word]}")
expected = {"4": "SAME_UPPER", "5": "SAME_LOWER"}[cv2.__version__[0]]
sys.exit("The behaviour has changed." if set(map(tuple, taken.values())) != {(expected,)} else 0)
PYTHON
for version in 4.14.0.94 5.0.0.93; do
    python3 -m venv "opencv-$version"
    "opencv-$version/bin/python" -m pip install -qq --disable-pip-version-check \
        "opencv-python-headless==$version" onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    "opencv-$version/bin/python" convolve.py
done
