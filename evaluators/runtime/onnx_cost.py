"""Cost of an ONNX graph: parameters, and multiply-accumulates for one example. Operators that we do not know make the count
NaN rather than too small."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx
from onnx import shape_inference

Shapes = dict[str, tuple[int, ...]]
FLOATING = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}

# Operators without multiply-accumulates worth counting: element by element, moving data, pooling, normalising.
FREE = frozenset(
    """
    Abs Add ArgMax AveragePool BatchNormalization Cast CastLike Ceil Clip Concat Constant ConstantOfShape Div Dropout Elu
    Equal Erf Exp Expand Flatten Floor Gather GatherElements Gelu GlobalAveragePool GlobalMaxPool Greater HardSigmoid
    HardSwish Identity InstanceNormalization LRN LayerNormalization LeakyRelu Less Log LogSoftmax LpNormalization Max
    MaxPool Mean Min Mish Mul Neg Normalizer Not Pad Pow PRelu Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum
    Relu Reshape Resize Scaler Selu Shape Sigmoid Sign Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh
    ThresholdedRelu Transpose Unsqueeze Where ZipMap ArrayFeatureExtractor Tile
    """.split()  # noqa: SIM905 - seventy quoted words would hide the list
)


def count_cost(model: onnx.ModelProto) -> dict[str, float]:
    """`params` and `macs` of the model."""
    try:
        return {"params": float(_params(model)), "macs": _macs(model)}
    except OverflowError:  # declared sizes beyond any machine's
        return {"params": math.nan, "macs": math.nan}


def _params(model: onnx.ModelProto) -> int:
    stored = sum(math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type in FLOATING and tensor.dims)
    inline = sum(
        len(attribute.floats) for node in model.graph.node if node.domain == "ai.onnx.ml" for attribute in node.attribute
    )
    return int(stored) + inline


def _macs(model: onnx.ModelProto) -> float:
    shapes = _shapes_of_one_example(model)
    total = 0.0
    for node in model.graph.node:
        if node.op_type in FREE:
            continue
        count = COUNTERS.get(node.op_type)
        if count is None:
            return math.nan
        try:
            total += count(node, shapes)
        except (KeyError, IndexError):
            return math.nan  # a shape that cannot be inferred
    return total


def _shapes_of_one_example(model: onnx.ModelProto) -> Shapes:
    one = onnx.ModelProto()
    one.CopyFrom(model)
    for value in one.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions:
            dimensions[0].dim_value = 1
    del one.graph.value_info[:]
    for value in one.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(one, data_prop=True).graph
    shapes: Shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dimension.HasField("dim_value") for dimension in dimensions):
            shapes[value.name] = tuple(dimension.dim_value for dimension in dimensions)
    return shapes


def _convolution(node: onnx.NodeProto, shapes: Shapes) -> float:
    """out [1, M, ...] times the weights of one output [C / group, k, ...]."""
    return float(math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:]))


def _transposed_convolution(node: onnx.NodeProto, shapes: Shapes) -> float:
    """in [1, C, ...] times the weights that each input meets [M / group, k, ...]."""
    return float(math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:]))


def _matrix_product(node: onnx.NodeProto, shapes: Shapes) -> float:
    """out [..., m, n] times the inner dimension."""
    return float(math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1])


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> float:
    rows = shapes[node.input[1]]
    return float(math.prod(shapes[node.input[0]][:1]) * math.prod(rows))


def _linear_model(node: onnx.NodeProto, shapes: Shapes) -> float:
    del shapes
    return float(next(len(attribute.floats) for attribute in node.attribute if attribute.name == "coefficients"))


COUNTERS: dict[str, Callable[[onnx.NodeProto, Shapes], float]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _matrix_product,
    "Gemm": _gemm,
    "LinearClassifier": _linear_model,
    "LinearRegressor": _linear_model,
}
"""Multiply-accumulates of one node on one example."""
