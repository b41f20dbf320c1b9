"""Every limit on what a stranger sends or his model does, in one place: the number, its unit, and what is answered beyond it.
Torch-free and Django-free, read by intake, by the API and by the sandbox; docs/security.md and /api/docs/problems print it.

An operator overrides those that are settable by an environment variable of the same name. Time and memory of a model are no
constants: each track states its own (`Budget`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum


class Where(StrEnum):
    """Who refuses: intake, before anything is stored; the sandbox, as a failed evaluation; or nobody, because it is cut."""

    INTAKE = "intake"
    SANDBOX = "sandbox"
    BOTH = "intake and sandbox"
    CUT = "cut, with a notice"


@dataclass(frozen=True)
class Limit:
    """One limit. answer: the problem's or failure's code. settable: an environment variable of this name overrides it."""

    name: str
    value: int
    unit: str
    about: str
    where: Where
    answer: str
    settable: bool


LIMITS: dict[str, Limit] = {}


def _limit(name: str, default: int, unit: str, about: str, *, where: Where, answer: str, settable: bool = False) -> int:
    value = int(os.environ.get(name) or default) if settable else default
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value}")
    LIMITS[name] = Limit(name, value, unit, about, where, answer, settable)
    return value


# --- what every submission has
MAX_NAME = _limit("MAX_NAME", 80, "characters", "a submission's name", where=Where.INTAKE, answer="too_long")
MAX_DESCRIPTION = _limit(
    "MAX_DESCRIPTION", 4_000, "characters", "a submission's description", where=Where.INTAKE, answer="too_long"
)
MAX_IDEMPOTENCY_KEY = _limit(
    "MAX_IDEMPOTENCY_KEY", 255, "characters", "an Idempotency-Key", where=Where.INTAKE, answer="invalid_request"
)
MAX_JSON_BYTES = _limit("MAX_JSON_BYTES", 1 << 20, "bytes", "a JSON body", where=Where.INTAKE, answer="too_large")
MAX_JSON_DEPTH = _limit("MAX_JSON_DEPTH", 20, "levels", "nesting of a JSON body", where=Where.INTAKE, answer="malformed")
MAX_JSON_DIGITS = _limit("MAX_JSON_DIGITS", 400, "digits", "an integer in JSON", where=Where.INTAKE, answer="malformed")
MAX_CONFIG_BYTES = _limit("MAX_CONFIG_BYTES", 32 << 10, "bytes", "a config as JSON", where=Where.INTAKE, answer="too_large")
MAX_CONFIG_DEPTH = _limit("MAX_CONFIG_DEPTH", 12, "levels", "nesting of a config", where=Where.INTAKE, answer="too_deep")
MAX_CONFIG_INTEGER = _limit(
    "MAX_CONFIG_INTEGER", 2**53, "", "an integer in a config, up or down", where=Where.INTAKE, answer="out_of_range"
)  # beyond it JSON readers disagree on what the number is
MAX_ARTIFACT_BYTES = _limit(
    "MAX_ARTIFACT_BYTES", 200 << 20, "bytes", "an uploaded file", where=Where.INTAKE, answer="too_large", settable=True
)

# --- weights
MAX_TENSORS = _limit(
    "MAX_TENSORS", 10_000, "tensors", "tensors in a safetensors file", where=Where.BOTH, answer="invalid_file", settable=True
)
MAX_TENSOR_HEADER_BYTES = _limit(
    "MAX_TENSOR_HEADER_BYTES", 2 << 20, "bytes", "the header of a safetensors file", where=Where.BOTH, answer="invalid_file"
)  # as JSON objects it takes 25 times as much memory

# --- ONNX
MAX_ONNX_NODES = _limit(
    "MAX_ONNX_NODES", 20_000, "nodes", "nodes of all graphs of a model", where=Where.BOTH, answer="invalid_file", settable=True
)
MAX_ONNX_INITIALIZERS = _limit(
    "MAX_ONNX_INITIALIZERS",
    20_000,
    "tensors",
    "initializers of all graphs of a model",
    where=Where.BOTH,
    answer="invalid_file",
    settable=True,
)
MAX_ONNX_NESTING = _limit(
    "MAX_ONNX_NESTING", 8, "levels", "graphs within graphs of a model", where=Where.BOTH, answer="invalid_file"
)
MAX_ONNX_FIELDS = _limit(
    "MAX_ONNX_FIELDS", 2_000_000, "fields", "protobuf fields of a model", where=Where.INTAKE, answer="invalid_file"
)  # intake looks at each, and a million of them take it a second
MAX_ONNX_OPSET = _limit("MAX_ONNX_OPSET", 26, "", "the newest opset of a model", where=Where.BOTH, answer="invalid_file")
MIN_ONNX_OPSET = _limit("MIN_ONNX_OPSET", 13, "", "the oldest opset of a model", where=Where.BOTH, answer="invalid_file")
ONNX_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Operators of other domains, and functions that a model defines itself, are refused."""

# --- predictions and other archives
MAX_ARRAYS = _limit("MAX_ARRAYS", 1_000, "arrays", "arrays in an .npz file", where=Where.BOTH, answer="invalid_file")
MAX_DIMENSIONS = _limit("MAX_DIMENSIONS", 32, "dimensions", "dimensions of an array", where=Where.INTAKE, answer="invalid_file")
MAX_ARRAY_HEADER_BYTES = _limit(
    "MAX_ARRAY_HEADER_BYTES", 1_024, "bytes", "the header of an .npy file", where=Where.BOTH, answer="invalid_file"
)
MAX_ZIP_DIRECTORY_BYTES = _limit(
    "MAX_ZIP_DIRECTORY_BYTES", 1 << 20, "bytes", "the directory of a zip archive", where=Where.INTAKE, answer="invalid_file"
)
MAX_UNPACKED_BYTES = _limit(
    "MAX_UNPACKED_BYTES",
    MAX_ARTIFACT_BYTES,
    "bytes",
    "an archive or a table, unpacked",
    where=Where.BOTH,
    answer="too_large_unpacked",
    settable=True,
)
MAX_CSV_COLUMNS = _limit("MAX_CSV_COLUMNS", 10_000, "columns", "columns of a table", where=Where.BOTH, answer="invalid_file")
MAX_CSV_LINE_BYTES = _limit(
    "MAX_CSV_LINE_BYTES",
    1 << 20,
    "bytes",
    "a line, or a row over several lines, of a .csv file",
    where=Where.INTAKE,
    answer="invalid_file",
)
MAX_CSV_CELLS = _limit(
    "MAX_CSV_CELLS", 5_000_000, "cells", "cells of a .csv file", where=Where.SANDBOX, answer="invalid_artifact", settable=True
)

# --- what a model does
MAX_ANSWER_BYTES = _limit(
    "MAX_ANSWER_BYTES",
    1 << 30,
    "bytes",
    "all that a model answers; and exactly the arrays that its track asks for",
    where=Where.SANDBOX,
    answer="wrong_output",
    settable=True,
)
MAX_ANSWER_HEADER_BYTES = _limit(
    "MAX_ANSWER_HEADER_BYTES", 1 << 18, "bytes", "the header before an answer", where=Where.SANDBOX, answer="model_error"
)
MAX_LOG_BYTES = _limit(
    "MAX_LOG_BYTES",
    64 << 10,
    "bytes",
    "the log of a model: the first 3/4 and the last 1/4 are kept",
    where=Where.CUT,
    answer="",
)
MAX_THREADS_BESIDE = _limit(
    "MAX_THREADS_BESIDE", 8, "threads", "threads of a model beside its track's", where=Where.SANDBOX, answer="model_error"
)
MAX_DESCRIPTORS = _limit(
    "MAX_DESCRIPTORS", 64, "files", "open descriptors of a model", where=Where.SANDBOX, answer="model_error"
)

SETTABLE = tuple(limit.name for limit in LIMITS.values() if limit.settable)
"""Environment variables that a zygote must hear of."""
