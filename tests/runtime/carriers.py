"""Hostile code inside every format that strangers send. The toys run it where a hole in the format's parser would: in the
locked-down child, after the file was opened."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from evaluators.runtime import Job


def codes(code: str) -> np.ndarray:
    return np.frombuffer(code.encode(), dtype=np.uint8)


def weights(code: str) -> bytes:
    return save({"code": torch.from_numpy(codes(code).copy())})


def onnx_model(code: str) -> bytes:
    W = numpy_helper.from_array(np.zeros((4, 3), dtype=np.float32), "W")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [W],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {"code": code})
    return model.SerializeToString()


def npz(code: str) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, code=codes(code))
    return buffer.getvalue()


def npy(code: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, codes(code))
    return buffer.getvalue()


def csv(code: str) -> bytes:
    return b"code\n" + "\n".join(map(str, codes(code))).encode()


def parquet(code: str) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"code": codes(code)}), buffer)
    return buffer.getvalue()


FILES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "weights": ("weights", weights),
    "onnx": ("onnx", onnx_model),
    "npz": ("predictions", npz),
    "npy": ("predictions", npy),
    "csv": ("predictions", csv),
    "parquet": ("predictions", parquet),
}
FORMATS = ("config", *FILES)


def job(form: str, code: str, *, folder: Path) -> Job:
    """A submission in this format that runs `code` when it is evaluated."""
    if form == "config":
        return Job(track="toy-blobs", kind="config", model="toy-hostile", config={"code": code})
    kind, write = FILES[form]
    path = folder / f"hostile.{form}"
    path.write_bytes(write(code))
    return Job(track="toy-blobs", kind=kind, model="toy-hostile" if kind == "weights" else "", artifact=path)
