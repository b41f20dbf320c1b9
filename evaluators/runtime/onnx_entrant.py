"""ONNX submissions: a single file, checked against the track's tensor contract, run by onnxruntime on one CPU thread.
Every way in which a file can be wrong has its own sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from evaluators import limits
from evaluators.columns import Array
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime.onnx_cost import count_cost
from evaluators.runtime.trained_elsewhere import TrainedElsewhere
from evaluators.track import OnnxContract, TensorSpec

ORT_TYPES = {"float16": "tensor(float16)", "float32": "tensor(float)", "float64": "tensor(double)", "int64": "tensor(int64)"}
DTYPES = {name: dtype for dtype, name in ORT_TYPES.items()}


@dataclass(frozen=True)
class OnnxSession:
    """An opened file. output: which of the contract's alternatives it answers with."""

    session: Any
    input: TensorSpec
    output: TensorSpec
    opset: int
    batch: int
    cost: dict[str, float]


def _invalid(message: str) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.INVALID_ARTIFACT, message)


def open_session(raw: memoryview, contract: OnnxContract, *, batch: int) -> OnnxSession:
    """Parse, check and load the file. Raises EvaluationFailure(INVALID_ARTIFACT)."""
    model = parse(raw)
    opset = check_model(model, contract)
    session = _load(raw)
    _check_input(session, contract.input)
    output = _choose_output(session, contract)
    return OnnxSession(session, contract.input, output, opset, batch, count_cost(model))


def parse(raw: memoryview) -> onnx.ModelProto:
    """The file as a message. Raises EvaluationFailure(INVALID_ARTIFACT)."""
    try:
        model = onnx.load_model_from_string(bytes(raw))
    except Exception:  # noqa: BLE001 - protobuf has several errors for bytes that are not its own
        raise _invalid("the file is not ONNX, or was cut off") from None
    if not model.graph.node:
        raise _invalid("the file is not an ONNX model: it has no graph")
    return model


def check_model(model: onnx.ModelProto, contract: OnnxContract) -> int:
    """The opset of a model that is within the limits, of standard operators, and whole. Raises
    EvaluationFailure(INVALID_ARTIFACT)."""
    _check_size(model)
    opset = _check_operators(model, contract)
    _check_self_contained(model)
    return opset


def _check_size(model: onnx.ModelProto) -> None:
    """Counts within the limits, and no functions: inlined into each other, a few of them are any number of nodes."""
    if model.functions:
        raise _invalid("the model defines functions of its own: inline them (onnx.inliner.inline_local_functions)")
    graphs = list(_graphs(model.graph))
    for what, count, most in (
        ("nodes", sum(len(graph.node) for graph in graphs), limits.MAX_ONNX_NODES),
        ("initializers", sum(len(graph.initializer) for graph in graphs), limits.MAX_ONNX_INITIALIZERS),
    ):
        if count > most:
            raise _invalid(f"the model has {count} {what}, at most {most} are taken")


def _graphs(graph: onnx.GraphProto, *, level: int = 1) -> Iterator[onnx.GraphProto]:
    """The graph and all graphs within it."""
    if level > limits.MAX_ONNX_NESTING:
        raise _invalid(f"the model nests graphs more than {limits.MAX_ONNX_NESTING} levels deep")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner, level=level + 1)


def _check_operators(model: onnx.ModelProto, contract: OnnxContract) -> int:
    """The opset of the standard operators, after a look at the domains."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    strange = {node.domain for graph in _graphs(model.graph) for node in graph.node} - limits.ONNX_DOMAINS
    if strange:
        raise _invalid(
            f"the model uses operators of {', '.join(sorted(strange))}: only those of ai.onnx and ai.onnx.ml can run"
        )
    opset = versions.get("", versions.get("ai.onnx", 0))
    if opset < contract.opset_min:
        raise _invalid(f"the model has opset {opset}: export with opset {contract.opset_min} or newer")
    if opset > limits.MAX_ONNX_OPSET:
        raise _invalid(f"the model has opset {opset}: export with opset {limits.MAX_ONNX_OPSET} or older")
    return int(opset)


def _check_self_contained(model: onnx.ModelProto) -> None:
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(model.graph)):
        raise _invalid("the model keeps weights in another file: save it as a single file, without external data")


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the graph and of the graphs within it, wherever it is kept."""
    for inner in _graphs(graph):
        attributes = [attribute for node in inner.node for attribute in node.attribute]
        sparse = [
            *inner.sparse_initializer,
            *(one for each in attributes for one in (each.sparse_tensor, *each.sparse_tensors)),
        ]
        yield from inner.initializer
        yield from (tensor for each in attributes for tensor in (each.t, *each.tensors))
        yield from (tensor for each in sparse for tensor in (each.values, each.indices))


def _load(raw: memoryview) -> Any:
    import onnxruntime  # noqa: PLC0415 - starts threads, so only a child may import it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(bytes(raw), options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:
        if "alloc" in str(error):
            raise MemoryError(str(error)) from error
        raise _invalid(f"onnxruntime does not accept the model: {_short(error)}") from error


def _check_input(session: Any, wanted: TensorSpec) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].name != wanted.name:
        raise _invalid(f"expected one input {describe(wanted)}, got {_listed(inputs)}")
    got = inputs[0]
    if got.type != ORT_TYPES[wanted.dtype] or not _fits(got.shape, wanted.shape):
        raise _invalid(f"expected input {describe(wanted)}, got {_listed(inputs)}")
    if isinstance(wanted.shape[0], str) and isinstance(got.shape[0], int):
        raise _invalid(
            f"expected input {describe(wanted)} with a free first dimension, got {_listed(inputs)}: export it with dynamic axes"
        )


def _choose_output(session: Any, contract: OnnxContract) -> TensorSpec:
    outputs = {output.name: output for output in session.get_outputs()}
    for wanted in contract.outputs:
        got = outputs.get(wanted.name)
        if got is None:
            continue
        if got.type.startswith("seq("):
            raise _invalid(f'output "{got.name}" is a list of dictionaries: export with zipmap off, as a tensor')
        if got.type != ORT_TYPES[wanted.dtype] or not _fits(got.shape, wanted.shape):
            raise _invalid(f"expected output {describe(wanted)}, got {_listed([got])}")
        return wanted
    choices = " or ".join(describe(wanted) for wanted in contract.outputs)
    raise _invalid(f"expected an output {choices}, got {_listed(list(outputs.values()))}")


def _fits(got: Sequence[int | str | None], wanted: Sequence[int | str]) -> bool:
    """Whether shapes agree where both are numbers. A file may leave its output's shape open: it is checked when it runs."""
    if not got:
        return True
    return len(got) == len(wanted) and all(
        a == b for a, b in zip(got, wanted, strict=True) if isinstance(a, int) and isinstance(b, int)
    )


def describe(tensor: TensorSpec) -> str:
    """`"x" float32 [n, 1, 8, 8]`."""
    return f'"{tensor.name}" {tensor.dtype} [{", ".join(str(size) for size in tensor.shape)}]'


def _listed(tensors: Sequence[Any]) -> str:
    return ", ".join(
        f'"{tensor.name}" {DTYPES.get(tensor.type, tensor.type)} [{", ".join(str(size) for size in tensor.shape)}]'
        for tensor in tensors
    )


class OnnxClassifier(TrainedElsewhere):
    """An opened ONNX file as a Classifier."""

    def __init__(self, opened: OnnxSession) -> None:
        super().__init__(input=opened.input, output=opened.output, batch=opened.batch, cost=opened.cost)
        self.opened = opened

    def run(self, inputs: Array) -> Array:
        """One batch through onnxruntime."""
        return np.asarray(self.opened.session.run([self.output.name], {self.input.name: inputs})[0])


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
