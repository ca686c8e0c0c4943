"""Small ONNX files, as other programs write them."""

import onnx
from onnx import TensorProto, helper


def write_onnx(path, nodes, inputs, outputs, constants=(), metadata=None):
    """Writes a graph: nodes as `helper.make_node` makes them, inputs and outputs as name: shape."""

    def values(shapes):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(nodes, "graph", values(inputs), values(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path


def write_mean_colour(path, batch="N", height=8, width=4):
    """An embedder of frames: a feature is the mean of each channel."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["frames"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    return write_onnx(path, nodes, {"frames": [batch, 3, height, width]}, {"features": [batch, 3]})
