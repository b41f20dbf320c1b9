"""A small but real track for the tests of the runtime: two Gaussian blobs, two slices, one axis, a hidden test split."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from evaluators.columns import Columns
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.track import (
    Axis,
    Baseline,
    Budget,
    Data,
    DataSource,
    Metric,
    OnnxContract,
    Output,
    Slice,
    Spec,
    TensorSpec,
    Track,
    generator,
)
from reference_models.inputs import Labelled
from tests.runtime.toy_models import run_carried

N, D, CLASSES = 60, 4, 3
SLICES = "near", "far"


class Blobs(Track):
    spec: ClassVar[Spec] = Spec(
        slug="toy-blobs",
        family="tests",
        title="Blobs",
        question="Which blob?",
        about="Gaussian blobs at two distances.",
        role="Classifier",
        accepts=("config", "weights", "onnx", "predictions"),
        data=(DataSource(name="blobs", about="generated"),),
        slices=(
            Slice(slug="near", title="Near", about="", fill="ridge"),
            Slice(slug="far", title="Far", about="", fill="ridge"),
        ),
        axes=(Axis(name="scale", title="Scale", values=(1.0, 2.0)),),
        seeds=(0, 1),
        budget=Budget(wall_s=20, threads=1, memory_mb=256),
        metrics=(
            Metric(
                name="accuracy",
                title="Accuracy",
                direction="max",
                unit="",
                lower=0,
                upper=1,
                estimator="proportion",
                column="correct",
                primary=True,
            ),
            Metric(name="params", title="Parameters", direction="min", unit="", lower=0, upper=float("inf"), estimator="fact"),
        ),
        baselines=(Baseline(slug="ridge", title="Ridge", model="toy-ridge"),),
        onnx=OnnxContract(
            input=TensorSpec(name="x", dtype="float32", shape=("n", D)),
            outputs=(
                TensorSpec(name="logits", dtype="float32", shape=("n", CLASSES)),
                TensorSpec(name="probabilities", dtype="float32", shape=("n", CLASSES)),
            ),
        ),
        predictions='"labels" int64 [240]: the class of every test example, slice by slice, scale by scale',
    )

    def load(self) -> Data:
        public, hidden = {}, {}
        for part, distance in zip(SLICES, (0.7, 3.0), strict=True):
            rng = generator(self.secret, self.spec.slug, part)
            centers = distance * rng.normal(size=(CLASSES, D))
            for split in ("train", "test"):
                y = rng.integers(0, CLASSES, N * (1 if split == "train" else 2))
                x = (centers[y] + rng.normal(size=(len(y), D))).astype(np.float32)
                public[f"{part}.{split}.x"] = x
                (public if split == "train" else hidden)[f"{part}.{split}.y"] = y
        return Data(public=public, hidden=hidden)

    def outputs(self, public, run):
        shape = len(run.seeds), 2 * N, CLASSES
        return {f"{part}.logits": Output("float32", shape) for part in run.slices} | {
            "cost": Output("float64", (2,), finite=False)
        }

    def predict(self, make, public, run):
        answers = {}
        for step, part in enumerate(run.slices):
            model = make()
            self._run_code_in_onnx(model)
            train = Labelled(
                torch.from_numpy(public[f"{part}.train.x"]).to(run.device),
                torch.from_numpy(public[f"{part}.train.y"]).to(run.device),
                CLASSES,
            )
            model.fit(train, seeds=run.seeds, report=lambda share, step=step: run.report((step + share) / len(run.slices)))
            logits = model.predict(torch.from_numpy(public[f"{part}.test.x"]).to(run.device))
            answers[f"{part}.logits"] = logits.cpu().numpy()
        cost = model.cost()
        return answers | {"cost": np.asarray([cost["params"], cost["macs"]])}

    @staticmethod
    def _run_code_in_onnx(model):
        if hasattr(model, "opened"):
            carried = model.opened.session.get_modelmeta().custom_metadata_map
            run_carried(carried.get("code", "").encode())

    def from_predictions(self, arrays, public, run):
        code = arrays.get("code", arrays.get("predictions"))
        if code is not None:
            run_carried(bytes(code.astype(np.uint8)))
        labels = arrays.get("labels", np.empty(0))
        if labels.shape != (4 * N,):
            raise EvaluationFailure(FailureCode.WRONG_OUTPUT, f'expected "labels" int64 [{4 * N}], got {list(labels.shape)}')
        hot = np.eye(CLASSES, dtype=np.float32)[labels]
        parts = {f"{part}.logits": hot[None, 2 * N * i : 2 * N * (i + 1)] for i, part in enumerate(SLICES)}
        return {name: parts[name] for part in run.slices if (name := f"{part}.logits")} | {"cost": np.full(2, np.nan)}

    def score(self, outputs, data, run):
        tables = []
        for part in run.slices:
            y = data.hidden[f"{part}.test.y"]
            correct = (outputs[f"{part}.logits"].argmax(-1) == y).astype(np.float64)
            seeds, n = correct.shape
            unit = np.arange(n) + 2 * N * SLICES.index(part)
            tables.append(
                Columns(
                    unit=np.tile(unit, seeds),
                    index={
                        "slice": np.full(seeds * n, part),
                        "seed": np.repeat(np.asarray(run.seeds, dtype=np.int64), n),
                        "scale": np.tile(np.where(np.arange(n) < N, 1.0, 2.0), seeds),
                    },
                    values={"correct": correct.ravel()},
                    facts={"params": float(outputs["cost"][0]), "macs": float(outputs["cost"][1])},
                )
            )
        return Columns.concatenate(tables)

    def reduce(self, columns, weights=None):
        params = np.full(() if weights is None else len(weights), columns.facts.get("params", np.nan))
        return {"accuracy": columns.mean("correct", weights), "params": params}
