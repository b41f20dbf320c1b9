"""Programs: TorchScript modules (torch.jit.save) and exported programs (torch.export.save). Both are code: a scripted module
reads and writes files, and torch.export.load runs what the archive says. So they are opened in a box (`box`) and nowhere else.

A program takes the tensor of the track's ONNX contract, and returns the first of its outputs as one tensor.
"""

from __future__ import annotations

import importlib
import io
import math
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from evaluators.columns import Array
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime.trained_elsewhere import TrainedElsewhere
from evaluators.track import OnnxContract

# What torch.export.load imports when it is called, when no file can be read any more. Some of it starts threads.
LATE_MODULES = (
    "torch.export.pt2_archive._package",
    "torch._export.serde.serialize",
    "torch._export.passes.collect_tracepoints_pass",
    "torch.export._trace",
    "torch.export._unlift",
    "torch.export._leakage_detection_utils",
    "torch.fx.experimental.validator",
    "torch.utils.serialization.config",
    "torch._inductor.sizevars",
    "sympy.tensor.tensor",
)

Module = Callable[[Tensor], object]


def import_late_modules() -> None:
    """Before the lock-down."""
    for name in LATE_MODULES:
        importlib.import_module(name)


class Program(TrainedElsewhere):
    """An opened program."""

    def __init__(self, module: Module, contract: OnnxContract, *, batch: int, params: int) -> None:
        cost = {"params": float(params), "macs": math.nan}  # nobody counts the operations of a program
        super().__init__(input=contract.input, output=contract.outputs[0], batch=batch, cost=cost)
        self.module = module

    def run(self, inputs: Array) -> Array:
        """One batch, without gradients."""
        with torch.no_grad():
            answer = self.module(torch.from_numpy(inputs))
        if not isinstance(answer, Tensor):
            raise EvaluationFailure(
                FailureCode.WRONG_OUTPUT, f'expected one tensor "{self.output.name}", got {type(answer).__name__}'
            )
        return np.asarray(answer.detach().cpu().numpy())


def open_program(raw: memoryview, contract: OnnxContract, *, batch: int) -> Program:
    """Load the program. Raises EvaluationFailure(INVALID_ARTIFACT); whatever else it does, it does here."""
    exported = _is_exported(raw)
    try:
        module, params = _load_exported(raw) if exported else _load_scripted(raw)
    except MemoryError:
        raise
    except Exception as error:
        what = "torch.export.load" if exported else "torch.jit.load"
        raise _invalid(f"{what} does not accept the file: {' '.join(str(error).split())[:300]}") from error
    return Program(module, contract, batch=batch, params=params)


def _is_exported(raw: memoryview) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = {PurePosixPath(name).name for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise _invalid(f"the file is neither TorchScript nor an exported program ({error})") from error
    return "archive_format" in names


def _load_scripted(raw: memoryview) -> tuple[Module, int]:
    module = torch.jit.load(io.BytesIO(raw), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return module, sum(parameter.numel() for parameter in module.parameters())


def _load_exported(raw: memoryview) -> tuple[Module, int]:
    program = torch.export.load(io.BytesIO(raw))
    return program.module(), sum(parameter.numel() for parameter in program.parameters())


def _invalid(message: str) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.INVALID_ARTIFACT, message)
