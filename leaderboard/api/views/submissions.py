"""submissions/: read, wait, cancel, evaluate again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard import permissions
from leaderboard.api import selection
from leaderboard.api.pagination import PageQuery
from leaderboard.api.serializers.common import PartQuery, page_of
from leaderboard.api.serializers.submissions import (
    EvaluationSerializer,
    SubmissionDetailSerializer,
    SubmissionSerializer,
)
from leaderboard.api.strict import Choice, Strict
from leaderboard.api.views.base import ApiView
from leaderboard.audit.recording import actor_of
from leaderboard.evaluations import waiting
from leaderboard.evaluations.models import State
from leaderboard.standings.results import with_results
from leaderboard.submissions import answering, intake, withdrawing
from leaderboard.submissions.models import Submission


class SubmissionsQuery(PageQuery):
    """Narrows the list of submissions."""

    board = serializers.CharField(required=False)
    user = serializers.CharField(required=False, help_text="Username of the person who sent it.")
    team = serializers.CharField(required=False, help_text="Slug of the team that it was sent for.")
    state = Choice(choices=State.choices, required=False, help_text="Of the newest evaluation.")
    kind = Choice(choices=Submission.Kind.choices, required=False)
    origin = Choice(choices=Submission.Origin.choices, required=False)
    model = serializers.CharField(required=False)


class WaitQuery(PartQuery):
    """How long an answer may take, and of which part of the test it is."""

    wait = serializers.FloatField(
        default=0,
        min_value=0,
        max_value=waiting.MAX_WAIT_SECONDS,
        help_text="Seconds. The answer comes when the state changes, at once if it is final, and in the end without a change.",
    )


class SubmissionsView(ApiView):
    """The submissions that the caller may see."""

    queries = {"GET": SubmissionsQuery}

    @extend_schema(operation_id="listSubmissions", tags=["submissions"], responses=page_of(SubmissionSerializer))
    def get(self, request: Request) -> Response:
        """The submissions that you may see, newest first."""
        wanted = self.query
        rows = selection.select(
            permissions.visible_submissions(request.user),
            state=wanted.get("state"),
            board__slug=wanted.get("board"),
            user__username=wanted.get("user"),
            team__slug=wanted.get("team"),
            kind=wanted.get("kind"),
            origin=wanted.get("origin"),
            model=wanted.get("model"),
        )
        return self.page(
            rows,
            SubmissionSerializer,
            ordering=("-created_at", "-id"),
            complete=lambda found: selection.complete(found, request.user),
        )


class WithdrawalQuery(Strict):
    """Why."""

    reason = serializers.CharField(
        required=False, max_length=withdrawing.LONGEST_REASON, help_text="Required of a board's host; its competitor reads it."
    )


class SubmissionView(ApiView):
    """One submission."""

    queries = {"GET": WaitQuery, "DELETE": WithdrawalQuery}
    problems = {"GET": (403, 410)}

    @extend_schema(operation_id="getSubmission", tags=["submissions"], responses=SubmissionDetailSerializer)
    def get(self, request: Request, submission_id: UUID) -> Response:
        """A submission: state and progress, then scores, rank and provenance, or the failure. Can wait for a change."""
        submission = permissions.get_submission(submission_id, request.user)
        if self.query["wait"]:
            waiting.wait_for_change(submission, seconds=self.query["wait"])
        return Response(described(submission, request, part=self.query.get("part")))

    @extend_schema(operation_id="withdrawSubmission", tags=["submissions"], responses={204: None})
    def delete(self, request: Request, submission_id: UUID) -> Response:
        """Withdraw a submission: what was sent and every result go for good, and it leaves its board. Twice is as once."""
        submission = permissions.get_known_submission(submission_id, request.user)
        answering.withdraw(submission, actor=actor_of(request), reason=self.query.get("reason", ""))
        return Response(status=204)


class CancelView(ApiView):
    """Stops an evaluation."""

    problems = {"POST": (403, 409, 410)}

    @extend_schema(operation_id="cancelSubmission", tags=["submissions"], request=None, responses=SubmissionDetailSerializer)
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Cancel the newest evaluation. One that waits is cancelled at once and refunded, one that runs is killed."""
        submission = permissions.get_submission(submission_id, request.user)
        answering.cancel(submission, actor=actor_of(request))
        return Response(described(submission, request))


class EvaluationsView(ApiView):
    """The evaluations of a submission."""

    queries = {"GET": PageQuery}
    problems = {"GET": (410,), "POST": (403, 409, 410, 429)}

    @extend_schema(operation_id="listEvaluations", tags=["submissions"], responses=page_of(EvaluationSerializer))
    def get(self, request: Request, submission_id: UUID) -> Response:
        """The evaluations of a submission, newest first."""
        submission = permissions.get_submission(submission_id, request.user)
        rows = with_results(submission.evaluations.defer("log").select_related("submission__board__track", "submission__user"))
        return self.page(rows, EvaluationSerializer, ordering=("-number",))

    @extend_schema(
        operation_id="evaluateAgain", tags=["submissions"], request=None, responses={201: SubmissionDetailSerializer}
    )
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Evaluate a submission again: with the track's version of today. Earlier results stay."""
        submission = permissions.get_submission(submission_id, request.user)
        answering.evaluate_again(submission, actor=actor_of(request))
        return Response(described(submission, request), status=201)


def described(submission: Submission, request: Request, *, part: str | None = None) -> dict[str, Any]:
    """A submission as its own page shows it to the caller."""
    shown = selection.complete_one(submission, request.user, part=part)
    context = {
        "request": request,
        "part": part,
        "queue_position": intake.queue_position(shown.evaluation),
        "may": {
            "read_details": permissions.may_read_details(request.user, submission),
            "read_artifact": bool(submission.artifact_id) and permissions.may_read_artifact(request.user, submission),
            "answer": permissions.answers_for(request.user, submission),
        },
    }
    return dict(SubmissionDetailSerializer(shown, context=context).data)
