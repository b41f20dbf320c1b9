"""Models that come trained in a file of their own (ONNX, programs), in the role of a Classifier with one replicate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evaluators.columns import Array
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.track import TensorSpec
from reference_models.inputs import Labelled, Report

SUM_TOLERANCE = 1e-3


class TrainedElsewhere(ABC):
    """A subclass runs one batch. input, output: tensors of the track's contract."""

    def __init__(self, *, input: TensorSpec, output: TensorSpec, batch: int, cost: dict[str, float]) -> None:  # noqa: A002
        self.input, self.output, self.batch = input, output, batch
        self._cost = cost

    @abstractmethod
    def run(self, inputs: Array) -> Array:
        """The answer to one batch: inputs [n, ...] in the contract's dtype."""

    def fit(self, train: Labelled, *, seeds: Sequence[int], report: Report) -> None:
        """Nothing: it comes trained."""
        del train, seeds, report

    def predict(self, x: Tensor) -> Tensor:
        """x [n, ...] -> logits [1, n, classes]; probabilities become their logarithms."""
        inputs = np.ascontiguousarray(x.cpu().numpy(), dtype=self.input.dtype)
        starts = range(0, len(inputs), self.batch)
        answers = [self._answer(inputs[start : start + self.batch]) for start in starts]
        return torch.from_numpy(np.concatenate(answers))[None]

    def cost(self) -> dict[str, float]:
        """`params` and `macs` for one example."""
        return self._cost

    def _answer(self, inputs: Array) -> Array:
        wanted, answer = self.output, self.run(inputs)
        shape = len(inputs), *wanted.shape[1:]
        if answer.shape != shape or answer.dtype != np.dtype(wanted.dtype):
            raise EvaluationFailure(
                FailureCode.WRONG_OUTPUT,
                f'expected "{wanted.name}" {wanted.dtype} {list(shape)} for {len(inputs)} inputs, '
                f"got {answer.dtype} {list(answer.shape)}",
            )
        return _log(answer) if wanted.name == "probabilities" else answer


def _log(probabilities: Array) -> Array:
    """Logits whose softmax gives the probabilities back. Zero becomes the smallest normal number."""
    p = np.asarray(probabilities, dtype=np.float32)
    if (p < 0).any() or (np.abs(p.sum(axis=-1) - 1) > SUM_TOLERANCE).any():
        raise EvaluationFailure(
            FailureCode.WRONG_OUTPUT,
            'expected "probabilities" that are at least 0 and sum to 1 in each row; send "logits" instead',
        )
    return np.asarray(np.log(np.maximum(p, np.finfo(np.float32).tiny)))
