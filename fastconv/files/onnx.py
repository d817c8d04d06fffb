"""Networks and estimators as ONNX models, which compute in float32."""

from math import prod
from pathlib import Path

import numpy as np

from ..layers import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from .writing import write_whole

OPSET, IR_VERSION = 17, 8
"""Of 2022: every runtime in use reads them."""


def write_model(model, path):
    """Check `model`, then write it to `path`, whole or not at all."""
    onnx = _onnx()
    onnx.checker.check_model(model, full_check=True)
    write_whole(Path(path), model.SerializeToString())


def network_model(net):
    """The ONNX model of a `Sequential`: "X" (N, C, H, W) -> "Y"."""
    graph = _Graph()
    graph.append_network(net, "X", "Y")
    return graph.model([("X", ["N", *net.input_shape])], [("Y", "FLOAT", ["N", *net.output_shape])])


def estimator_model(net, inputs, target):
    """The ONNX model of a fitted estimator's parts: "X" (N, features) -> "label" and "probabilities", or "variable"."""
    graph = _Graph()
    scaled = _scaling(graph, inputs)
    images = graph.append("Reshape", [scaled, graph.constant("image_shape", np.array([-1, *net.input_shape]))])
    output = graph.append_network(net, images, "output")
    results = _classification(graph, target, output) if hasattr(target, "classes") else _regression(graph, target, output)
    return graph.model([("X", ["N", prod(net.input_shape)])], results)


def _scaling(graph, inputs):
    """A table's columns are scaled in double precision, as the estimator does."""
    is_table = np.ndim(inputs.mean) > 0
    dtype = np.float64 if is_table else np.float32
    X = graph.append("Cast", ["X"], to=graph.type("DOUBLE")) if is_table else "X"
    centred = graph.append("Sub", [X, graph.constant("mean", dtype(inputs.mean))])
    scaled = graph.append("Div", [centred, graph.constant("scale", dtype(inputs.scale))])
    return graph.append("Cast", [scaled], to=graph.type("FLOAT")) if is_table else scaled


def _classification(graph, target, logits):
    K, classes = target.n_outputs, target.classes
    if target.activation == "logistic":
        graph.append("Sigmoid", [logits], "probabilities")
        above = graph.append("Greater", [logits, graph.constant("zero", np.float32(0))])
        graph.append("Cast", [above], "label", to=graph.type("INT64"))
        return [("label", "INT64", ["N", K]), ("probabilities", "FLOAT", ["N", K])]
    graph.append("Softmax", [logits], "probabilities", axis=1)
    winner = graph.append("ArgMax", [logits], axis=1, keepdims=0)
    kinds = {"U": ("STRING", object), "O": ("STRING", object), "f": ("DOUBLE", np.float64), "b": ("BOOL", np.bool_)}
    if classes.dtype.kind not in "biufUO":
        raise TypeError(f"classes of {classes.dtype} cannot be exported, only numbers and text")
    if classes.dtype == np.uint64 and classes[-1] > np.iinfo(np.int64).max:
        raise ValueError(f"classes such as {classes[-1]} cannot be exported, ONNX models have labels of int64")
    kind, dtype = kinds.get(classes.dtype.kind, ("INT64", np.int64))
    graph.append("Gather", [graph.constant("classes", classes.astype(dtype)), winner], "label")
    return [("label", kind, ["N"]), ("probabilities", "FLOAT", ["N", K])]


def _regression(graph, target, output):
    wide = graph.append("Mul", [output, graph.constant("y_scale", target.scale.astype(np.float32))])
    shape = [-1] if target.is_flat else [-1, target.n_outputs]
    moved = graph.append("Add", [wide, graph.constant("y_mean", target.mean.astype(np.float32))])
    graph.append("Reshape", [moved, graph.constant("y_shape", np.array(shape))], "variable")
    return [("variable", "FLOAT", ["N", *shape[1:]])]


class _Graph:
    """Nodes and constants, in the order of computation."""

    def __init__(self):
        self.onnx = _onnx()
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        """A named constant; -> its name"""
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def append(self, operator, inputs, output=None, **attributes):
        """A node with one output; -> the output's name"""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def append_network(self, net, x, y):
        """Every layer of `net` from the tensor x to one called y; -> y"""
        for index, (layer, shape) in enumerate(zip(net.layers, net.shapes)):
            if isinstance(layer, Dropout):
                continue
            params = [self.constant(name, net.params[name].astype(np.float32)) for name in net._names[index]]
            if type(layer) not in _NODES:
                raise TypeError(f"ONNX models hold fastconv's own layers only, not layer {index}, {layer!r}")
            operator, attributes = _NODES[type(layer)](layer, shape)
            x = self.append(operator, [x, *params], **attributes)
        return self.append("Identity", [x], y)

    def type(self, name):
        """ONNX's number for an element type."""
        return getattr(self.onnx.TensorProto, name)

    def model(self, inputs, outputs):
        """The graph as a model; inputs are (name, shape) of float32, outputs (name, type, shape)."""
        helper = self.onnx.helper
        given = [helper.make_tensor_value_info(name, self.type("FLOAT"), shape) for name, shape in inputs]
        made = [helper.make_tensor_value_info(name, self.type(kind), shape) for name, kind, shape in outputs]
        graph = helper.make_graph(self.nodes, "fastconv", given, made, self.constants)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, producer_name="fastconv", opset_imports=[opset], ir_version=IR_VERSION)


def _sliding(w):
    """The attributes of a window."""
    return {"kernel_shape": [w.KH, w.KW], "strides": [w.SH, w.SW], "pads": [w.PT, w.PL, w.PB, w.PR]}


def _convolution(layer, shape):
    w = layer.window(shape)
    return "Conv", _sliding(w) | {"group": layer.groups, "dilations": [w.DH, w.DW]}


_NODES = {
    Conv2d: _convolution,
    MaxPool2d: lambda layer, shape: ("MaxPool", _sliding(layer.window(shape))),
    AvgPool2d: lambda layer, shape: ("AveragePool", _sliding(layer.window(shape)) | {"count_include_pad": 1}),
    ReLU: lambda layer, shape: ("Relu", {}),
    Flatten: lambda layer, shape: ("Flatten", {"axis": 1}),
    Linear: lambda layer, shape: ("Gemm", {"transB": 1}),
}
"""Layer -> (operator, attributes); parameters are its further inputs."""


def _onnx():
    try:
        import onnx
    except ImportError as error:
        raise ImportError("to_onnx needs the onnx package: pip install onnx", name="onnx") from error
    import onnx.checker
    import onnx.helper
    import onnx.numpy_helper

    return onnx
