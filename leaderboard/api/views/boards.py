"""boards/, their standings, and the way in: POST boards/{slug}/submissions/."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from leaderboard import permissions, throttling
from leaderboard.accounts.models import Scope
from leaderboard.api.pagination import PageQuery
from leaderboard.api.parsing import StrictJSONParser
from leaderboard.api.rendering import CsvRenderer, StrictJSONRenderer
from leaderboard.api.serializers.boards import BoardDetailSerializer, BoardSerializer, StandingsSerializer
from leaderboard.api.serializers.common import PartQuery, page_of
from leaderboard.api.serializers.hosting import NewBoardBody, RulesBody
from leaderboard.api.serializers.submissions import ReceiptSerializer, SubmissionBody, max_upload_bytes
from leaderboard.api.strict import Choice
from leaderboard.api.views.base import ApiView
from leaderboard.audit.recording import actor_of
from leaderboard.boards import hosting, quota, rules
from leaderboard.boards.models import Board
from leaderboard.boards.participation import team_on
from leaderboard.permissions import person
from leaderboard.standings.export import to_csv
from leaderboard.standings.reading import StandingRow, standings_of
from leaderboard.standings.sight import hidden_rows, sight_of
from leaderboard.submissions import intake
from leaderboard.submissions.models import Submission

KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="A text of your own, up to 255 characters. Sending the same request with the same key again answers with "
    "the submission that the first one made.",
)
FORMATS: dict[str, type[BaseRenderer]] = {"json": StrictJSONRenderer, "csv": CsvRenderer}
CONFIG_EXAMPLE = {"name": "My logistic regression", "kind": "config", "model": "logistic", "config": {"weight_decay": 0.01}}


class BoardsQuery(PageQuery):
    """Narrows the list of boards."""

    track = serializers.CharField(required=False)


class BoardsView(ApiView):
    """The boards that the caller may see."""

    queries = {"GET": BoardsQuery}
    problems = {"POST": (403,)}
    scopes = {"POST": Scope.HOST}

    @extend_schema(operation_id="listBoards", tags=["boards"], responses=page_of(BoardSerializer))
    def get(self, request: Request) -> Response:
        """The boards that you may see, by slug."""
        return self.page(permissions.visible_boards(request.user).filter(**self.filters()), BoardSerializer, ordering=("slug",))

    @extend_schema(operation_id="createBoard", tags=["boards"], request=NewBoardBody, responses={201: BoardDetailSerializer})
    def post(self, request: Request) -> Response:
        """Create a board, as its host. For administrators, unless the server lets everybody."""
        body = self.body(NewBoardBody)
        actor, track, slug = actor_of(request), body.pop("track"), body.pop("slug")
        board = hosting.create_board(actor=actor, track=track, slug=slug, rules=body)
        return Response(described(board, request), status=201)


class BoardView(ApiView):
    """One board."""

    problems = {"PATCH": (403,)}
    scopes = {"PATCH": Scope.HOST}

    @extend_schema(operation_id="getBoard", tags=["boards"], responses=BoardDetailSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """A board: its rules, whether you may submit, and what is left of your quota."""
        return Response(described(permissions.get_board(slug, request.user), request))

    @extend_schema(operation_id="changeBoard", tags=["boards"], request=RulesBody, responses=BoardDetailSerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """Change rules of a board. For its hosts; what is left out stays."""
        board = permissions.get_hosted_board(slug, request.user)
        return Response(described(hosting.change_board(board, actor=actor_of(request), rules=self.body(RulesBody)), request))


class StandingsQuery(PartQuery):
    """Which rows, in which order, in which format."""

    cursor = serializers.IntegerField(required=False, min_value=0, max_value=10**9, help_text="From `next` of another page.")
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=1000, help_text="Default 50; CSV: all rows.")
    order = serializers.CharField(required=False, help_text="A metric of the track; default: the board's.")
    as_of = serializers.DateTimeField(required=False, help_text="The standings as they were then (ISO 8601).")
    kind = Choice(choices=Submission.Kind.choices, required=False)
    best_per = Choice(choices=["competitor", "submission"], required=False, help_text="Default: as the board counts.")
    slice = serializers.CharField(required=False, help_text="The board of one slice of the track.")
    version = serializers.CharField(required=False, help_text="A track version; default: that of today.")
    format = Choice(choices=list(FORMATS), required=False, help_text="Without it, `Accept` decides.")


class StandingsView(ApiView):
    """The rows of a board."""

    queries = {"GET": StandingsQuery}
    problems = {"GET": (403,)}
    renderer_classes = list(FORMATS.values())

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:  # noqa: FBT001, FBT002
        """The parameter `format` wins over `Accept`: a link can carry it."""
        renderer = FORMATS.get(request.query_params.get("format", ""))
        if renderer is not None:
            return renderer(), str(renderer.media_type)
        return super().perform_content_negotiation(request, force)

    @extend_schema(
        operation_id="getStandings",
        tags=["boards"],
        responses={(200, "application/json"): StandingsSerializer, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str) -> Response:
        """The standings of a board, best first."""
        board = permissions.get_board(slug, request.user)
        if request.accepted_renderer.format == "csv":
            rows = self._rows(board, limit=self.query.get("page_size"))
            name = f'attachment; filename="{board.slug}.csv"'
            return Response(
                to_csv(rows, metrics=[metric["name"] for metric in board.metrics]), headers={"Content-Disposition": name}
            )
        size = self.query.get("page_size", 50)
        return Response(self._page(board, self._rows(board, limit=size + 1), size=size))

    def _rows(self, board: Board, *, limit: int | None) -> list[StandingRow]:
        return standings_of(
            board,
            order=self.query.get("order"),
            as_of=self.query.get("as_of"),
            kind=self.query.get("kind"),
            best_per=self.query.get("best_per"),
            slice=self.query.get("slice"),
            version=self.query.get("version"),
            part=self.query.get("part"),
            viewer=self.request.user,
            offset=self.query.get("cursor", 0),
            limit=limit,
        )

    def _page(self, board: Board, rows: list[StandingRow], *, size: int) -> dict[str, Any]:
        """One row more than the page was read, to know whether there is a next one."""
        following = replace_query_param(self.request.build_absolute_uri(), "cursor", str(self.query.get("cursor", 0) + size))
        sight = sight_of(board, self.request.user, part=self.query.get("part"))
        page = {
            "board": board.slug,
            "track": board.track_id,
            "track_version": self.query.get("version", board.track.version),
            "order": self.query.get("order") or board.metric["name"],
            "as_of": self.query.get("as_of"),
            "slice": self.query.get("slice"),
            "part": sight.part,
            "hidden": hidden_rows(board, sight),
            "next": following if len(rows) > size else None,
            "results": rows[:size],
        }
        return dict(StandingsSerializer(page).data)


class BoardSubmissionsView(ApiView):
    """The way in."""

    parser_classes = [StrictJSONParser, MultiPartParser]
    problems = {"POST": (403, 409, 422, 429)}

    @property
    def max_body_bytes(self) -> int:
        """A file of the largest size, and the form around it."""
        return max_upload_bytes()

    @extend_schema(
        operation_id="createSubmission",
        tags=["submissions"],
        parameters=[KEY],
        request={"application/json": SubmissionBody, "multipart/form-data": SubmissionBody},
        responses={
            201: ReceiptSerializer,
            200: OpenApiResponse(ReceiptSerializer, description="An earlier request with this Idempotency-Key made it."),
        },
        examples=[OpenApiExample("A config", value=CONFIG_EXAMPLE, request_only=True, media_type="application/json")],
    )
    def post(self, request: Request, slug: str) -> Response:
        """Submit a config, or a file, to a board. It is queued when the answer comes."""
        board = permissions.get_board(slug, request.user)
        throttling.count_submission(request)
        receipt = intake.submit(
            user=self.caller,
            board=board,
            idempotency_key=request.headers.get("Idempotency-Key", ""),
            **self.body(SubmissionBody),
        )
        answer = ReceiptSerializer(receipt, context={"request": request}).data
        return Response(answer, status=201 if receipt.created else 200, headers={"Location": answer["url"]})


def described(board: Board, request: Request) -> dict[str, Any]:
    """A board as the caller sees it."""
    now, user = timezone.now(), person(request.user)
    context = {
        "request": request,
        "why_not": rules.why_not(board, request.user, now),
        "quota": quota.quota_of(board, user, now=now, team=team_on(board, user)) if user else None,
        "team": team_on(board, user) if user else None,
        "may_host": permissions.may_host(user, board),
        "resets_at": quota.next_reset(now),
    }
    return dict(BoardDetailSerializer(board, context=context).data)
