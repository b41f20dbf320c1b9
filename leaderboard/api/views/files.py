"""Files of a submission: log, columns, artifact."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from leaderboard import permissions
from leaderboard.api.rendering import FileRenderer, StrictJSONRenderer, TextRenderer
from leaderboard.api.serializers.common import PartQuery
from leaderboard.api.strict import Strict
from leaderboard.api.views.base import ApiView
from leaderboard.evaluations.models import Evaluation
from leaderboard.refusals import NotFound
from leaderboard.standings.results import columns_of
from leaderboard.standings.sight import check_sees, sight_of
from leaderboard.submissions import storage
from leaderboard.submissions.models import Submission


class EvaluationQuery(Strict):
    """Which evaluation."""

    evaluation = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Its number; default: the newest."
    )


class ColumnsQuery(EvaluationQuery, PartQuery):
    """Which evaluation, and which part of its test."""


class LogView(ApiView):
    """The predict stage's output."""

    queries = {"GET": EvaluationQuery}
    problems = {"GET": (403, 410)}
    renderer_classes = [TextRenderer]

    @extend_schema(operation_id="getLog", tags=["files"], responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, submission_id: UUID) -> HttpResponse:
        """The log of an evaluation: what the model printed, and where it failed."""
        submission = readable(submission_id, request)
        evaluation = chosen(submission, self.query.get("evaluation"))
        return HttpResponse(evaluation.log, content_type="text/plain; charset=utf-8")


class ColumnsView(ApiView):
    """The per-example results."""

    queries = {"GET": ColumnsQuery}
    problems = {"GET": (403, 410)}
    renderer_classes = [FileRenderer, StrictJSONRenderer]

    @extend_schema(
        operation_id="getColumns", tags=["files"], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, submission_id: UUID) -> HttpResponseBase:
        """The per-example results of an evaluation, as .npz: every metric and interval is a function of them. Those of the part
        of the test that you see."""
        submission = readable(submission_id, request)
        evaluation = chosen(submission, self.query.get("evaluation"))
        sight = sight_of(submission.board, request.user, part=self.query.get("part"))
        check_sees(submission.board, sight, submission)
        name = columns_of(evaluation, sight.part)
        if not name:
            raise NotFound(f"evaluation {evaluation.number} has no columns: it is {evaluation.state}")
        return attachment(request, sha256=name, filename=f"{submission.pk}-{evaluation.number}.npz")


class ArtifactView(ApiView):
    """The file that was sent."""

    problems = {"GET": (403, 410)}
    renderer_classes = [FileRenderer, StrictJSONRenderer]

    @extend_schema(
        operation_id="getArtifact", tags=["files"], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, submission_id: UUID) -> HttpResponseBase:
        """The file that was sent, as it was sent: for its competitor, the hosts of the board, and administrators."""
        submission = permissions.get_submission(submission_id, request.user)
        permissions.check_may_read_artifact(request.user, submission)
        if submission.artifact_id is None:
            raise NotFound("this submission is a config: it has no file")
        return attachment(request, sha256=submission.artifact_id, filename=submission.filename or "artifact")


def readable(submission_id: UUID, request: Request) -> Submission:
    """The submission, whose details the caller may read. Raises NotFound or NotAllowed."""
    submission = permissions.get_submission(submission_id, request.user)
    permissions.check_may_read_details(request.user, submission)
    return submission


def chosen(submission: Submission, number: int | None) -> Evaluation:
    """The evaluation with this number, or the newest. Raises NotFound."""
    rows = submission.evaluations.order_by("-number")
    found = (rows if number is None else rows.filter(number=number)).first()
    if found is None:
        raise NotFound(f"this submission has no evaluation {number}")
    return found


def attachment(request: Request, *, sha256: str, filename: str) -> HttpResponseBase:
    """The file to save, never to show: its content is the submitter's. Its hash is its ETag."""
    tag = f'"{sha256}"'
    known = get_conditional_response(request._request, etag=tag)  # noqa: SLF001
    if isinstance(known, HttpResponse):
        known["ETag"] = tag
        return known
    response = FileResponse(
        storage.path(sha256).open("rb"), as_attachment=True, filename=filename, content_type="application/octet-stream"
    )
    response["ETag"] = tag
    return response
