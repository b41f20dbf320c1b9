"""Entrants for the tests of the runtime: an honest one, one that misbehaves in the way its config says."""

from __future__ import annotations

import os
import time

import torch
from pydantic import Field
from torch import Tensor

from reference_models.card import Card, ModelConfig


class Ridge:
    """Least squares on one-hot labels, with some noise a seed."""

    card = Card(title="Toy ridge", role="Classifier", home="toy-blobs", kind="baseline")

    class Config(ModelConfig):
        penalty: float = Field(1e-3, ge=0, le=10, description="Ridge penalty.")

    def __init__(self, config: Config) -> None:
        self.config = config

    def fit(self, train, *, seeds, report) -> None:
        ones = torch.cat([train.x, torch.ones(len(train.x), 1, device=train.x.device)], 1)
        hot = torch.nn.functional.one_hot(train.y, train.classes).float()
        gram = ones.T @ ones + self.config.penalty * torch.eye(ones.shape[1], device=train.x.device)
        self.W = torch.linalg.solve(gram, ones.T @ hot)[None].expand(len(seeds), -1, -1)
        report(1.0)

    def predict(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.ones(len(x), 1, device=x.device)], 1) @ self.W

    def cost(self) -> dict[str, float]:
        return {"params": float(self.W[0].numel()), "macs": float(self.W[0].numel())}

    def load_weights(self, tensors, *, x: Tensor, classes: int) -> None:
        if set(tensors) != {"W"}:
            raise ValueError(f"expected the tensor W, got {sorted(tensors)}")
        if tensors["W"].shape != (x.shape[1] + 1, classes):
            raise ValueError(f"expected W {[x.shape[1] + 1, classes]}, got {list(tensors['W'].shape)}")
        self.W = tensors["W"][None]


class OnlyFar(Ridge):
    """Enters one slice by its card."""

    card = Card(title="Only far", role="Classifier", home="toy-blobs", kind="paper", slices=("far",))


class NoWeights(Ridge):
    """Has nothing to load."""

    card = Card(title="No weights", role="Classifier", home="toy-blobs", kind="baseline")
    load_weights = property()


class Sampler:
    """Of another role."""

    card = Card(title="A sampler", role="Sampler", home="few-step-sampling", kind="baseline")

    class Config(ModelConfig):
        pass


def run_carried(code: bytes) -> None:
    """Run code that came inside a file, as a hole in a parser would."""
    exec(code.decode(), {"os": os, "time": time, "torch": torch})


class Hostile(Ridge):
    """Runs the Python code of its config before it answers; `answer` is what that code leaves under that name."""

    card = Card(title="Hostile", role="Classifier", home="toy-blobs", kind="baseline")

    class Config(ModelConfig):
        code: str = Field("", description="Python.")

    def fit(self, train, *, seeds, report) -> None:
        self.names = {"os": os, "time": time, "torch": torch, "train": train, "report": report, "seeds": seeds}
        self.config_penalty = 0.0
        exec(self.config.code, self.names)
        self.W = torch.zeros(len(seeds), train.x.shape[1] + 1, train.classes)

    def load_weights(self, tensors, *, x: Tensor, classes: int) -> None:
        self.names = {}
        self.W = torch.zeros(1, x.shape[1] + 1, classes)
        run_carried(bytes(tensors["code"].tolist()))

    def predict(self, x: Tensor) -> Tensor:
        answer = self.names.get("answer")
        return super().predict(x) if answer is None else answer
