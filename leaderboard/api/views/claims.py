"""GET papers/ and claims/, and submissions/{id}/claims/: the ledger."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.api.pagination import PageQuery
from leaderboard.api.serializers.claims import (
    ClaimDetailSerializer,
    ClaimSerializer,
    PaperDetailSerializer,
    PaperSerializer,
    TrialSerializer,
)
from leaderboard.api.serializers.common import page_of
from leaderboard.api.strict import Choice
from leaderboard.api.views.base import ApiView
from leaderboard.claims import reading, trials
from leaderboard.claims.models import Paper
from leaderboard.permissions import get_submission


class PapersQuery(PageQuery):
    """Narrows the list of papers."""

    search = serializers.CharField(required=False, max_length=100, help_text="Words of the title, the system or the id.")
    family = serializers.CharField(required=False)
    status = Choice(required=False, choices=Paper.Status.values)
    verdict = Choice(required=False, choices=reading.VERDICTS)


class ClaimsQuery(PageQuery):
    """Narrows the list of claims."""

    board = serializers.CharField(required=False)
    family = serializers.CharField(required=False)
    paper = serializers.CharField(required=False)
    verdict = Choice(required=False, choices=reading.VERDICTS)


class PapersView(ApiView):
    """The catalogue of papers."""

    queries = {"GET": PapersQuery}

    @extend_schema(operation_id="listPapers", tags=["claims"], responses=page_of(PaperSerializer))
    def get(self, request: Request) -> Response:
        """The papers of the catalogue with the verdicts on their claims, by id."""
        return self.page(reading.papers(request.user, **self.filters()), PaperSerializer, ordering=("id",))


class PaperView(ApiView):
    """One paper."""

    @extend_schema(operation_id="getPaper", tags=["claims"], responses=PaperDetailSerializer)
    def get(self, request: Request, paper_id: str) -> Response:
        """A paper with its claim."""
        paper = reading.get_paper(paper_id, request.user)
        return Response(PaperDetailSerializer(paper, context={"request": request}).data)


class ClaimsView(ApiView):
    """The claims on boards that the caller may see."""

    queries = {"GET": ClaimsQuery}

    @extend_schema(operation_id="listClaims", tags=["claims"], responses=page_of(ClaimSerializer))
    def get(self, request: Request) -> Response:
        """The claims on boards that you may see, with their newest verdicts, by id."""
        found = reading.claims(request.user, **self.filters())
        return self.page(found, ClaimSerializer, ordering=("id",))


class ClaimView(ApiView):
    """One claim."""

    @extend_schema(operation_id="getClaim", tags=["claims"], responses=ClaimDetailSerializer)
    def get(self, request: Request, claim_id: str) -> Response:
        """A claim: its clauses, the evaluations that it rests on, and earlier verdicts."""
        claim = reading.get_claim(int(claim_id), request.user)
        return Response(ClaimDetailSerializer(claim, context={"request": request}).data)


class SubmissionClaimsView(ApiView):
    """A submission before the claims of its board."""

    @extend_schema(operation_id="getSubmissionClaims", tags=["claims"], responses=TrialSerializer)
    def get(self, request: Request, submission_id: UUID) -> Response:
        """What becomes of the claims of its board with a submission in them: which of them it overturns."""
        submission = get_submission(submission_id, request.user)
        trial = {"due": trials.is_due(submission), "outcomes": reading.outcomes_of(submission, request.user)}
        return Response(TrialSerializer(trial, context={"request": request}).data)
