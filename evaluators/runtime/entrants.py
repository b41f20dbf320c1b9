"""Entrants: from what was submitted (config, weights, ONNX, predictions) to a callable that runs the track's predict stage.
Runs in the locked-down child; raises EvaluationFailure with one sentence for the submitter."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from evaluators.columns import Array
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime.jobs import PROGRAM
from evaluators.runtime.orders import Order
from evaluators.track import Arrays, Run, Track

PARQUET = b"PAR1"
Predict = Callable[[], Mapping[str, Array]]


def prepare(order: Order, artifact: int | None) -> None:
    """Import, before the lock-down, what this kind needs and a zygote must not hold: these libraries start threads."""
    if order.kind == "onnx":
        importlib.import_module("onnxruntime")
    if order.kind == "predictions" and artifact is not None and os.pread(artifact, 4, 0) == PARQUET:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("pyarrow.parquet")
    if order.kind == PROGRAM:
        importlib.import_module("evaluators.runtime.programs").import_late_modules()
    if order.model:
        model_class(order)


def open_entrant(
    order: Order, *, artifact: int | None, track: Track, public: Arrays, run: Run, notes: dict[str, str]
) -> Predict:
    """Check what was submitted and return its predict stage. `notes` takes what provenance should know of it."""
    if order.kind == "config":
        return _config(order, track=track, public=public, run=run)
    if artifact is None:
        raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, f'a submission of kind "{order.kind}" needs a file')
    raw = _read(artifact)
    if order.kind == "weights":
        return _weights(order, raw, track=track, public=public, run=run)
    if order.kind == "onnx":
        return _onnx(raw, track=track, public=public, run=run, notes=notes)
    if order.kind == PROGRAM:
        return _program(raw, track=track, public=public, run=run)
    return _predictions(raw, track=track, public=public, run=run)


def model_class(order: Order) -> Any:
    """The reference model that the order names."""
    from evaluators.runtime import child  # noqa: PLC0415 - child imports this module

    return child.load_attribute(order.model)


def _config(order: Order, *, track: Track, public: Arrays, run: Run) -> Predict:
    model = model_class(order)
    make_config(model, order.config)  # complain before the data are touched

    def make(**override: Any) -> Any:
        return model(make_config(model, {**order.config, **override}))

    return lambda: track.predict(make, public, run)


def _weights(order: Order, raw: memoryview, *, track: Track, public: Arrays, run: Run) -> Predict:
    from evaluators.runtime.weights import WithWeights, read_safetensors  # noqa: PLC0415 - torch

    model = model_class(order)
    config = make_config(model, order.config)
    tensors = read_safetensors(raw)
    if not hasattr(model, "load_weights"):
        raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, f'"{model.card.title}" has no weights to load: submit a config')
    return lambda: track.predict(_once(lambda: WithWeights(model(config), tensors)), public, run)


def _onnx(raw: memoryview, *, track: Track, public: Arrays, run: Run, notes: dict[str, str]) -> Predict:
    from evaluators.runtime.onnx_entrant import OnnxClassifier, open_session  # noqa: PLC0415 - onnx

    contract = track.spec.onnx
    if contract is None:
        raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, f"{track.spec.slug} takes no ONNX files")
    session = open_session(raw, contract, batch=track.spec.batch)
    notes["onnx_opset"] = str(session.opset)
    return lambda: track.predict(_once(lambda: OnnxClassifier(session)), public, run)


def _program(raw: memoryview, *, track: Track, public: Arrays, run: Run) -> Predict:
    from evaluators.runtime.programs import open_program  # noqa: PLC0415 - torch

    contract = track.spec.onnx
    if contract is None:
        raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, f"{track.spec.slug} takes no programs")
    program = open_program(raw, contract, batch=track.spec.batch)
    return lambda: track.predict(_once(lambda: program), public, run)


def _predictions(raw: memoryview, *, track: Track, public: Arrays, run: Run) -> Predict:
    from evaluators.runtime.prediction_files import read_predictions  # noqa: PLC0415 - with the others

    submitted = read_predictions(raw)
    return lambda: track.from_predictions(submitted, public, run)


def _once(build: Callable[[], Any]) -> Callable[..., Any]:
    """A `make` for entrants without hyper-parameters: it takes no override."""

    def make(**override: Any) -> Any:
        if override:
            raise EvaluationFailure(
                FailureCode.INVALID_ARTIFACT, f"this track varies {', '.join(sorted(override))}: only a config can take part"
            )
        return build()

    return make


def _read(artifact: int) -> memoryview:
    size = os.fstat(artifact).st_size
    if size == 0:
        raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, "the file is empty")
    raw, done = bytearray(size), 0
    while done < size and (piece := os.preadv(artifact, [memoryview(raw)[done:]], done)):
        done += piece
    return memoryview(raw)[:done]


def make_config(model: Any, values: Mapping[str, Any]) -> Any:
    """An instance of the model's Config. Failures name field, bound and value, and suggest the nearest field."""
    try:
        return model.Config.model_validate_json(json.dumps(dict(values)))
    except ValidationError as error:
        problems = "; ".join(_problem(model, detail) for detail in error.errors(include_url=False)[:3])
        raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, problems) from None


def _problem(model: Any, detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "config"
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, list(model.Config.model_fields), n=1)
        hint = f', did you mean "{near[0]}"?' if near else f"; it has {', '.join(model.Config.model_fields) or 'none'}"
        return f'"{model.card.title}" has no hyper-parameter "{field}"{hint}'
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return f'hyper-parameter "{field}": {message}, got {str(detail["input"])[:80]}'
