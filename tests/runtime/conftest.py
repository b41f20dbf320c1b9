"""A registered toy track with honest and hostile entrants, and one warm Runtime for all tests of a process."""

from __future__ import annotations

import pytest

from evaluators import registry
from evaluators.failures import EvaluationFailure
from evaluators.runtime import Job, Runtime
from reference_models import registry as models

TOY_MODELS = {
    "toy-ridge": "Ridge",
    "toy-far": "OnlyFar",
    "toy-no-weights": "NoWeights",
    "toy-sampler": "Sampler",
    "toy-hostile": "Hostile",
}


def register() -> None:
    """Put the toys beside the real tracks and models."""
    registry.TRACKS["toy-blobs"] = "tests.runtime.toy_track:Blobs"
    models.MODELS.update({name: f"tests.runtime.toy_models:{cls}" for name, cls in TOY_MODELS.items()})


@pytest.fixture(scope="package", autouse=True)
def _toys():
    register()
    yield
    del registry.TRACKS["toy-blobs"]
    for name in TOY_MODELS:
        del models.MODELS[name]


@pytest.fixture(scope="package")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="package")
def runtime(_toys, cache_dir):
    with Runtime(secret=b"a secret of the tests", cache_dir=cache_dir, device="cpu", code_formats=True) as warm:
        warm.warm()
        yield warm


@pytest.fixture
def attack(runtime):
    """Runs Python code in the sandbox, in place of training; returns the finished Result."""

    def run(code: str, **options):
        job = Job(track="toy-blobs", kind="config", model="toy-hostile", config={"code": code})
        return runtime.evaluate(job, **options)

    return run


@pytest.fixture
def failure_of(attack):
    """Runs Python code in the sandbox, and returns the failure that it must end in."""

    def run(code: str, **options) -> EvaluationFailure:
        with pytest.raises(EvaluationFailure) as caught:
            attack(code, **options)
        return caught.value

    return run
