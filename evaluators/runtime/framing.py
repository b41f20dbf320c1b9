"""How an answer leaves the sandbox: a length, a JSON header, then the raw bytes of the arrays in the header's order. No pickle.
The child writes with `write_answer`; the parent trusts nothing, and reads with `AnswerReader`."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluators import limits
from evaluators.columns import Array
from evaluators.data.arrays import raw_bytes
from evaluators.failures import FailureCode

MAGIC = b"STN1"
PREFIX = struct.Struct("<4sI")
CHUNK = 1 << 20

Dtype = Literal[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Dimension = Annotated[int, Field(ge=0, le=1 << 40)]


class BrokenAnswerError(Exception):
    """The child did not keep to the format."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArrayHeader(_Strict):
    """One array that follows."""

    name: Name
    dtype: Dtype
    shape: Annotated[tuple[Dimension, ...], Field(max_length=8)]

    @property
    def bytes(self) -> int:
        """Size in the stream."""
        size = np.dtype(self.dtype).itemsize
        for dimension in self.shape:
            size *= dimension
        return size


class Refusal(_Strict):
    """Why the child has no arrays."""

    code: FailureCode
    message: Annotated[str, Field(max_length=2000)]


class Header(_Strict):
    """All that a child says beside its arrays. `marks`: CLOCK_MONOTONIC seconds at which steps began."""

    arrays: Annotated[tuple[ArrayHeader, ...], Field(max_length=256)] = ()
    refusal: Refusal | None = None
    marks: Annotated[dict[Name, float], Field(max_length=16)] = Field(default_factory=dict)
    layers: Annotated[dict[Name, Annotated[str, Field(max_length=200)]], Field(max_length=32)] = Field(default_factory=dict)
    notes: Annotated[dict[Name, Annotated[str, Field(max_length=200)]], Field(max_length=16)] = Field(default_factory=dict)


def write_answer(fd: int, header: Header, arrays: Mapping[str, Array]) -> None:
    """Write header and arrays, which must be those that the header lists."""
    text = header.model_dump_json().encode()
    _write_all(fd, PREFIX.pack(MAGIC, len(text)) + text)
    for listed in header.arrays:
        _write_all(fd, raw_bytes(np.ascontiguousarray(arrays[listed.name])))


def describe(arrays: Mapping[str, Array]) -> tuple[ArrayHeader, ...]:
    """The headers of these arrays. ValueError for a dtype that does not travel."""
    try:
        return tuple(
            ArrayHeader.model_validate({"name": name, "dtype": array.dtype.name, "shape": array.shape})
            for name, array in arrays.items()
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"an output cannot be sent: {first['msg']}, got {first['input']!r}") from None


class AnswerReader:
    """Reads an answer from a non-blocking descriptor, piece by piece. `accept` sees the header before a byte of payload is
    read, and raises if it announces anything that was not asked for: so an answer is never larger than expected."""

    def __init__(self, fd: int, accept: Callable[[Header], None]) -> None:
        self.fd = fd
        self.header: Header | None = None
        self.arrays: dict[str, Array] = {}
        self._accept = accept
        self._text = bytearray()
        self._pending: list[memoryview] = []

    @property
    def complete(self) -> bool:
        """Header and all arrays are here."""
        return self.header is not None and not self._pending

    def read(self) -> bool:
        """Take what is there now. False at the end of the stream. BrokenAnswerError for anything malformed."""
        return self._read_header() if self.header is None else self._read_payload()

    def _read_header(self) -> bool:
        wanted = PREFIX.size if len(self._text) < PREFIX.size else PREFIX.size + self._announced()
        piece = os.read(self.fd, wanted - len(self._text))
        self._text += piece
        if len(self._text) >= PREFIX.size and len(self._text) == PREFIX.size + self._announced():
            self._parse()
        return bool(piece)

    def _announced(self) -> int:
        magic, length = PREFIX.unpack_from(self._text)
        if magic != MAGIC or not 0 < length <= limits.MAX_ANSWER_HEADER_BYTES:
            raise BrokenAnswerError("the answer does not begin with a header")
        return int(length)

    def _parse(self) -> None:
        try:
            header = Header.model_validate_json(bytes(self._text[PREFIX.size :]))
        except ValidationError as error:
            raise BrokenAnswerError(f"the answer's header is malformed: {error.errors()[0]['msg']}") from None
        self._accept(header)
        self.header = header
        self.arrays = {listed.name: np.empty(listed.shape, dtype=listed.dtype) for listed in header.arrays}
        self._pending = [raw_bytes(array) for array in self.arrays.values() if array.size]

    def _read_payload(self) -> bool:
        if not self._pending:
            if os.read(self.fd, 1):
                raise BrokenAnswerError("the answer goes on after its last array")
            return False
        count = os.readv(self.fd, [self._pending[0][:CHUNK]])
        self._pending[0] = self._pending[0][count:]
        if not self._pending[0]:
            del self._pending[0]
        return count > 0


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:CHUNK]) :]
