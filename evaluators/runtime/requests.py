"""From a job to what is run: names resolved, slices and seeds settled, kinds and roles checked. Raises EvaluationFailure with
one sentence; intake has checked most of it before, so that nothing here surprises a submitter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evaluators import registry
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime.jobs import PROGRAM, Job, accepted_kinds
from evaluators.runtime.orders import Order
from evaluators.track import Run, Spec, Track
from reference_models import registry as models


@dataclass(frozen=True)
class Request:
    """A job whose names are resolved. filled: slice -> slug of the baseline that stands in."""

    job: Job
    run: Run
    model: str
    filled: dict[str, str]

    def order(self, spec: Spec, *, wall_s: float, sandbox: bool) -> Order:
        """What the child is told."""
        return Order(
            track=registry.TRACKS[spec.slug],
            kind=self.job.kind,
            model=self.model,
            config=dict(self.job.config),
            slices=self.run.slices,
            seeds=self.run.seeds,
            device=self.run.device,
            threads=spec.budget.threads,
            dtype=spec.dtype,
            memory_mb=spec.budget.memory_mb,
            wall_s=wall_s,
            sandbox=sandbox or self.job.kind == PROGRAM,  # code never runs without
        )


def _invalid(message: str) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.INVALID_ARTIFACT, message)


def track_class(slug: str) -> type[Track]:
    """The class of a track."""
    try:
        return registry.get(slug)
    except LookupError as error:
        raise _invalid(str(error.args[0])) from None


def resolve(job: Job, spec: Spec, *, device: str, partial: bool = False, code: bool = False) -> Request:
    """Check a job against its track's spec, and settle what it leaves open. partial: nothing stands in for other slices.
    code: formats that are code are taken."""
    if job.kind == PROGRAM and not code:
        raise _invalid("this server takes no formats that are code (TorchScript, exported programs): export to ONNX")
    accepted = accepted_kinds(spec.accepts, code=code)
    if job.kind not in accepted:
        raise _invalid(f'{spec.slug} takes submissions of kind {", ".join(accepted)}, got "{job.kind}"')
    needs_file = job.kind != "config"
    if needs_file != (job.artifact is not None):
        raise _invalid(f'a submission of kind "{job.kind}" {"needs a file" if needs_file else "takes no file"}')
    model = _model(job, spec) if job.kind in ("config", "weights") else None
    slices = _slices(job, spec, card=getattr(model, "card", None))
    seeds = job.seeds or spec.seeds
    return Request(
        job=job,
        run=Run(slices=slices, seeds=seeds if job.kind == "config" else seeds[:1], device=device),
        model=models.MODELS[job.model] if model else "",
        filled={} if partial else _filled(slices, spec),
    )


def _model(job: Job, spec: Spec) -> Any:
    if not job.model:
        raise _invalid(f'a submission of kind "{job.kind}" names the reference model that it configures')
    try:
        model = models.get(job.model)
    except models.UnknownModelError as error:
        raise _invalid(str(error.args[0])) from None
    if model.card.role != spec.role:
        raise _invalid(f'"{job.model}" is a {model.card.role}, and {spec.slug} is for a {spec.role}')
    return model


def _slices(job: Job, spec: Spec, *, card: Any) -> tuple[str, ...]:
    """Those that the job names, or its entrant's card on its home track, or all; in the order of the spec."""
    every = tuple(part.slug for part in spec.slices)
    chosen = job.slices or (card.slices if card is not None and card.home == spec.slug else ()) or every
    unknown = [slug for slug in chosen if slug not in every]
    if unknown:
        raise _invalid(f'{spec.slug} has no slice "{unknown[0]}"; it has {", ".join(every)}')
    return tuple(slug for slug in every if slug in chosen)


def _filled(slices: tuple[str, ...], spec: Spec) -> dict[str, str]:
    filled = {}
    for part in spec.slices:
        if part.slug not in slices:
            if part.fill is None:
                raise _invalid(f'every submission to {spec.slug} must enter the slice "{part.slug}"')
            filled[part.slug] = part.fill
    return filled
