"""Sessions of onnxruntime compute what the file says."""

import numpy as np
from onnx import helper, numpy_helper
from onnx_files import write_onnx

from torchreid_occ.utils.onnx_session import open_session


def test_weights_in_int8_do_not_round_the_inputs(tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (64, 16)).astype(np.int8)
    scales = rng.uniform(0.01, 0.02, 16).astype(np.float32)
    path = write_onnx(
        tmp_path / "int8.onnx",
        [
            helper.make_node("DequantizeLinear", ["weights", "scales"], ["floats"], axis=1),
            helper.make_node("MatMul", ["x", "floats"], ["y"]),
        ],
        {"x": ["N", 64]},
        {"y": ["N", 16]},
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(scales, "scales")],
    )
    x = rng.normal(size=(4, 64)).astype(np.float32)
    x[:, 3] = 1000  # a large channel, as transformers have
    (found,) = open_session(path).run(None, {"x": x})
    np.testing.assert_allclose(found, x @ (weights * scales), rtol=1e-4, atol=1e-2)
