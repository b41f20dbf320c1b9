"""Weights of a registered architecture from a safetensors file: a header of names, dtypes, shapes, and raw numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from evaluators import limits
from evaluators.failures import EvaluationFailure, FailureCode
from reference_models.inputs import Labelled, Report

PICKLE_BEGINNINGS = b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04"


def read_safetensors(raw: memoryview) -> dict[str, Tensor]:
    """All tensors of the file, by name."""
    if bytes(raw[:4]).startswith(PICKLE_BEGINNINGS):
        raise _invalid(
            "the file is a pickle or a zip archive, which can run code: save the state dict with safetensors.torch.save_file"
        )
    length = int.from_bytes(raw[:8], "little")
    if limits.MAX_TENSOR_HEADER_BYTES < length <= len(raw):
        raise _invalid(f"the file's header has {length} bytes, at most {limits.MAX_TENSOR_HEADER_BYTES} are taken")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(bytes(raw))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _invalid(f"the file is not safetensors: {str(error)[:200]}") from None
    if len(tensors) > limits.MAX_TENSORS:
        raise _invalid(f"the file holds {len(tensors)} tensors, at most {limits.MAX_TENSORS} are taken")
    return tensors


def _invalid(message: str) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.INVALID_ARTIFACT, message)


class WithWeights:
    """A reference model whose training is replaced by loading weights: the role's methods, with one replicate."""

    def __init__(self, model: Any, tensors: dict[str, Tensor]) -> None:
        self.model = model
        self.tensors = tensors

    def fit(self, train: Labelled, *, seeds: Sequence[int], report: Report) -> None:
        """Load instead of train."""
        del seeds
        try:
            self.model.load_weights(self.tensors, x=train.x, classes=train.classes)
        except (ValueError, KeyError) as error:
            raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, str(error)[:1000]) from None
        report(1.0)

    def predict(self, x: Tensor) -> Tensor:
        """x [n, ...] -> logits [1, n, classes]."""
        answer: Tensor = self.model.predict(x)
        return answer

    def cost(self) -> dict[str, float]:
        """As the reference model counts."""
        counted: dict[str, float] = self.model.cost()
        return counted
