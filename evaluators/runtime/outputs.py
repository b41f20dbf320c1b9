"""Checking what a model answered against what the track asked for, each fault in one clear sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from evaluators import limits
from evaluators.columns import Array
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime.framing import ArrayHeader, Header
from evaluators.track import Output


def check_header(header: Header, wanted: Mapping[str, Output]) -> None:
    """Names, dtypes and shapes, before a byte of the arrays is read. Raises EvaluationFailure(WRONG_OUTPUT)."""
    announced = sum(array.bytes for array in header.arrays)
    if announced > limits.MAX_ANSWER_BYTES:
        raise _wrong(f"the answer has {announced} bytes, at most {limits.MAX_ANSWER_BYTES} are taken")
    got = {array.name: array for array in header.arrays}
    if len(got) != len(header.arrays):
        raise _wrong("an output has the same name twice")
    for name, output in wanted.items():
        if name not in got:
            if not output.optional:
                raise _wrong(f"expected {_wanted(name, output)}, got {_names(got)}")
        elif (got[name].dtype, got[name].shape) != (output.dtype, output.shape):
            raise _wrong(f"expected {_wanted(name, output)}, got {got[name].dtype} {list(got[name].shape)}")
    surplus = got.keys() - wanted.keys()
    if surplus:
        raise _wrong(f"got {_names({name: got[name] for name in sorted(surplus)})}, which the track does not ask for")


def check_finite(arrays: Mapping[str, Array], wanted: Mapping[str, Output]) -> None:
    """No NaN and no Inf where the track allows none. Raises EvaluationFailure(NON_FINITE_OUTPUT)."""
    for name, array in arrays.items():
        if wanted[name].finite and array.dtype.kind in "fc":
            bad = array.size - int(np.isfinite(array).sum())
            if bad:
                raise EvaluationFailure(
                    FailureCode.NON_FINITE_OUTPUT,
                    f'{bad} of the {math.prod(array.shape)} values of "{name}" are NaN or infinite',
                )


def _wrong(message: str) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.WRONG_OUTPUT, message)


def _wanted(name: str, output: Output) -> str:
    return f'"{name}" {output.dtype} {list(output.shape)}'


def _names(arrays: Mapping[str, ArrayHeader]) -> str:
    return ", ".join(f'"{name}" {array.dtype} {list(array.shape)}' for name, array in arrays.items()) or "nothing"
