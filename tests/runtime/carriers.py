"""Hostile code inside every format that strangers send. The toys run it where a hole in the format's parser would: in the
locked-down child, after the file was opened."""

from __future__ import annotations

import functools
import io
import json
import zipfile
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


class Evil:
    """Its pickle runs the code when it is read."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return exec, ("import os, time, torch\n" + self.code, {})


@functools.cache
def exported() -> dict[str, bytes]:
    """The members of a real archive of torch.export.save, by name: x @ W."""
    module = torch.nn.Linear(4, 3)
    sizes = {"input": {0: torch.export.Dim("n", min=1)}}
    program = torch.export.export(module, (torch.zeros(2, 4),), dynamic_shapes=sizes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


def exported_program(code: str) -> bytes:
    """A real archive, one of whose weights says that it is a pickle. torch.export.load then runs it: no hole is needed."""
    members = dict(exported())
    (listed,) = [name for name in members if name.endswith("weights_config.json")]
    config = json.loads(members[listed])
    weight = next(iter(config["config"].values()))
    weight["use_pickle"] = True
    payload = next(name for name in members if name.endswith("/" + weight["path_name"]))
    pickled = io.BytesIO()
    torch.save(Evil(code), pickled)
    return zipped({**members, listed: json.dumps(config).encode(), payload: pickled.getvalue()})


FILES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "weights": ("weights", weights),
    "onnx": ("onnx", onnx_model),
    "npz": ("predictions", npz),
    "npy": ("predictions", npy),
    "csv": ("predictions", csv),
    "parquet": ("predictions", parquet),
    "exported program": ("program", exported_program),
}
FORMATS = ("config", *FILES)


def job(form: str, code: str, *, folder: Path) -> Job:
    """A submission in this format that runs `code` when it is evaluated."""
    if form == "config":
        return Job(track="toy-blobs", kind="config", model="toy-hostile", config={"code": code})
    kind, write = FILES[form]
    path = folder / f"hostile.{form.replace(' ', '-')}"
    path.write_bytes(write(code))
    return Job(track="toy-blobs", kind=kind, model="toy-hostile" if kind == "weights" else "", artifact=path)
