"""One row of every table of the release back, written by its own models: what its code inserts, and no column more."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.migrations.state import StateApps
from django.utils import timezone


def insert(apps: StateApps, *, using: str, number: int) -> dict[str, Any]:
    """A row in each table, told from others by `number`; by label ("submissions.Submission")."""
    made: dict[str, Any] = {}

    def make(label: str, **values: Any) -> Any:
        made[label] = apps.get_model(label).objects.using(using).create(**values)
        return made[label]

    text = f"{number:064d}"
    user = make("accounts.User", username=f"person-{number}", password="!", is_system=number == 1)
    make("accounts.ApiToken", digest=text, token_key=f"st_{number}", user=user, name="tests")
    if number == 1:
        make("boards.CatalogueState", fingerprint=text)
    track = make("boards.Track", slug=f"track-{number}", family="f", title="T", role="Classifier", version=text, spec={})
    names = {"title": "M", "role": "Classifier", "family": "f", "kind": "paper", "home": track.slug, "about": "", "schema": {}}
    make("boards.ReferenceModel", name=f"model-{number}", source_hash=text, **names)
    board = make("boards.Board", slug=f"board-{number}", track=track, title="B", host=user)
    board.members.add(user)
    make("boards.QuotaUse", board=board, user=user, period="total", used=1)
    artifact = make("submissions.Artifact", sha256=text, size=1)
    submission = make(
        "submissions.Submission", board=board, user=user, name="S", kind="onnx", artifact=artifact, content_hash=text
    )
    make("submissions.IdempotencyKey", user=user, key="key", request_hash=text, submission=submission)
    done = make(
        "evaluations.Evaluation",
        submission=submission, number=1, track_version=text, key=text, state="succeeded", columns_sha256=text,
    )  # fmt: skip
    running = apps.get_model("evaluations.Evaluation").objects.using(using)
    later = running.create(
        submission=submission, number=2, track_version=text, key=text, state="running",
        lease_token=uuid.uuid4(), lease_expires_at=timezone.now(),
    )  # fmt: skip
    make("evaluations.Worker", name=f"worker-{number}", pool="cpu", host="h", pid=1, device="cpu")
    make("evaluations.Scheduler", name=f"scheduler-{number}")
    make("standings.Score", evaluation=done, metric="accuracy", slice="", value=0.5, unit="share", direction="max")
    standing = {"board": board, "submission": submission, "evaluation": done, "track_version": text}
    make("standings.Standing", submitted_at=timezone.now(), **standing)
    make("standings.PairedTest", first=done, second=later, metric="accuracy", p=0.5)
    make("standings.Settlement", board=board, track_version=text, policy="accuracy")
    paper = make("claims.Paper", id=f"000-{number:03d}", title="P", system="S", status="ready")
    claim = make("claims.Claim", board=board, paper=paper, statement="A is good.", check_text="accuracy(a) >= 0")
    verdict = make("claims.Verdict", claim=claim, verdict="holds", check_text="", track_version=text, judged_by=text)
    claim.verdict = verdict
    claim.save(using=using)
    return made
