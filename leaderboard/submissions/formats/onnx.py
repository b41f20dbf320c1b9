"""ONNX without a library: walks the protobuf wire format of a ModelProto far enough to tell a whole single-file model within
the limits from a truncated one, from one whose weights lie elsewhere, and from something else. Field numbers are those of
onnx.proto3."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from evaluators import limits
from leaderboard.submissions.formats.faults import BadFile, truncated

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
EXTERNAL = 1

# message -> field number -> the message that it holds. Other fields are stepped over.
MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 25: "function"},
    "graph": {1: "node", 5: "initializer", 15: "sparse_tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse_tensor", 23: "sparse_tensor"},
    "sparse_tensor": {1: "initializer", 2: "tensor"},
    "opset": {},
    "initializer": {},
    "tensor": {},
}
IR_VERSION, GRAPH, OPSET, EXTERNAL_DATA, DATA_LOCATION = 1, 7, 8, 13, 14
NODE_DOMAIN, OPSET_DOMAIN, OPSET_VERSION = 7, 1, 2

Data = mmap.mmap | bytes
Field = tuple[int, int, int, int]
"""Number, wire type, start and end of the payload (for a varint: its value twice)."""


def check(file: Path) -> None:
    """Raises BadFile unless the file is one whole ModelProto with a graph, a known opset and all its weights inside, of
    standard operators only, and within the limits."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _Walk(data).model()


class _Walk:
    """One walk over one file; counts fields, so that a file of millions of empty ones does not keep the server busy."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.fields = 0
        self.found: set[int] = set()
        self.seen: Counter[str] = Counter()
        self.opsets: dict[str, int] = {}

    def model(self) -> None:
        self._descend("model", 0, len(self.data), graphs=0)
        if not {IR_VERSION, GRAPH, OPSET} <= self.found:
            raise BadFile("is not an ONNX model: it has no IR version, graph or opset")
        self._check_opset()

    def _descend(self, message: str, start: int, end: int, *, graphs: int) -> None:
        inside = MESSAGES[message]
        for number, wire, begin, finish in self._fields(start, end):
            if message in ("tensor", "initializer"):
                _refuse_external(number, wire, begin)
            elif message == "node" and number == NODE_DOMAIN:
                self._check_domain(begin, finish)
            elif message == "model":
                self.found.add(number)
            inner = inside.get(number)
            if inner is None:
                continue
            if wire != BYTES:
                raise BadFile("is not an ONNX model: a field has the wrong wire type")
            self._enter(inner, begin, finish, graphs=graphs)

    def _enter(self, message: str, start: int, end: int, *, graphs: int) -> None:
        self._count(message)
        if message == "opset":
            self._read_opset(start, end)
            return
        graphs += message == "graph"
        if graphs > limits.MAX_ONNX_NESTING:
            raise BadFile(f"nests graphs more than {limits.MAX_ONNX_NESTING} levels deep")
        self._descend(message, start, end, graphs=graphs)

    def _count(self, message: str) -> None:
        if message == "function":
            raise BadFile("defines functions of its own; inline them (onnx.inliner.inline_local_functions)")
        self.seen[message] += 1
        if message == "node" and self.seen[message] > limits.MAX_ONNX_NODES:
            raise BadFile(f"has more than {limits.MAX_ONNX_NODES} nodes")
        if message == "initializer" and self.seen[message] > limits.MAX_ONNX_INITIALIZERS:
            raise BadFile(f"has more than {limits.MAX_ONNX_INITIALIZERS} initializers")

    def _read_opset(self, start: int, end: int) -> None:
        domain, version = "", 0
        for number, wire, begin, finish in self._fields(start, end):
            if number == OPSET_DOMAIN and wire == BYTES:
                domain = self._text(begin, finish)
            elif number == OPSET_VERSION and wire == VARINT:
                version = begin
        self.opsets["" if domain == "ai.onnx" else domain] = version

    def _check_opset(self) -> None:
        version = self.opsets.get("", limits.MIN_ONNX_OPSET)  # a model of ai.onnx.ml alone needs none
        if not limits.MIN_ONNX_OPSET <= version <= limits.MAX_ONNX_OPSET:
            raise BadFile(f"has opset {version}; export with one of {limits.MIN_ONNX_OPSET} to {limits.MAX_ONNX_OPSET}")

    def _check_domain(self, start: int, end: int) -> None:
        domain = self._text(start, end)
        if domain not in limits.ONNX_DOMAINS:
            raise BadFile(f'uses operators of "{domain[:60]}", and only those of ai.onnx and ai.onnx.ml can run')

    def _text(self, start: int, end: int) -> str:
        return bytes(self.data[start : min(end, start + 200)]).decode("utf-8", "replace")

    def _fields(self, at: int, end: int) -> Iterator[Field]:
        while at < end:
            self.fields += 1
            if self.fields > limits.MAX_ONNX_FIELDS:
                raise BadFile(f"has more than {limits.MAX_ONNX_FIELDS} fields")
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if number == 0:
                raise BadFile("is not an ONNX model: a field has the number 0")
            if wire == VARINT:
                value, at = self._varint(at, end)
                yield number, wire, value, value
                continue
            length, at = self._length(wire, at, end)
            if length > end - at:
                raise truncated("is truncated, or not an ONNX model: a field is longer than what is left")
            yield number, wire, at, at + length
            at += length

    def _length(self, wire: int, at: int, end: int) -> tuple[int, int]:
        """How long the payload is, and where it starts."""
        if wire == BYTES:
            return self._varint(at, end)
        if wire not in (FIXED32, FIXED64):
            raise BadFile("is not an ONNX model: a field has an unknown wire type")
        return (4 if wire == FIXED32 else 8), at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise truncated("is truncated, or not an ONNX model: it ends within a number")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise BadFile("is not an ONNX model: a number has more than ten bytes")


def _refuse_external(number: int, wire: int, value: int) -> None:
    if number == EXTERNAL_DATA or (number == DATA_LOCATION and wire == VARINT and value == EXTERNAL):
        raise BadFile(
            "keeps weights in other files, and one file is taken (onnx.save(model, path, save_as_external_data=False))",
            code="external_data",
        )
