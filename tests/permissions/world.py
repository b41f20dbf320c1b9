"""One of everything that access is about, and somebody of every kind, with hostile text wherever people can type.

Boards: "open" (public, everybody may enter) and "lab" (private, members only). On each, a public and a private submission of
`competitor`, and of a team: `teammate` owns it, `fellow` is in it, `guest` is invited. What was sent for the team was sent by
`competitor`, who has left it since. `member` is a member of both boards, `host` and `cohost` host them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client

from leaderboard.accounts.models import ApiToken, Invitation, Membership, Team, User
from leaderboard.accounts.people import system_user
from leaderboard.accounts.tokens import issue_token
from leaderboard.audit.models import Via
from leaderboard.audit.recording import Actor, record
from leaderboard.boards.models import Board, Participation, QuotaUse, TeamQuotaUse, Track
from leaderboard.claims.models import Claim, Paper, Verdict
from leaderboard.evaluations.models import Evaluation
from leaderboard.submissions.models import Artifact, Submission
from leaderboard.webhooks.models import Webhook
from tests.web import rows

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
MARKS = ("<script>alert", "<img src=x")
PEOPLE = ("stranger", "member", "competitor", "teammate", "fellow", "guest", "host", "cohost", "administrator")
EVERYBODY = ("visitor", *PEOPLE)
FILE = b"a file that somebody sent"
SHA256 = hashlib.sha256(FILE).hexdigest()
RUN_BY_HOSTS = frozenset({"host", "cohost", "administrator"})


@dataclass(frozen=True)
class Scene:
    """What a request is about: a board by its visibility, and a submission there by its visibility and whose it is."""

    board: str
    submission: str = "public"
    of: str = "person"

    @property
    def owners(self) -> frozenset[str]:
        return frozenset({"competitor"} if self.of == "person" else {"teammate", "fellow"})

    @property
    def answers(self) -> frozenset[str]:
        """Who may see it however private it is, cancel it, and read its file."""
        return self.owners | RUN_BY_HOSTS

    @property
    def sees_board(self) -> frozenset[str]:
        return frozenset(EVERYBODY) if self.board == "public" else RUN_BY_HOSTS | {"member", "competitor"}

    @property
    def sees(self) -> frozenset[str]:
        return self.answers if self.submission == "private" else self.answers | self.sees_board


BOARDS = tuple(Scene(board) for board in ("public", "private"))
SUBMISSIONS = tuple(
    Scene(board, submission, of)
    for board in ("public", "private")
    for submission in ("public", "private")
    for of in ("person", "team")
)


@dataclass
class World:
    people: dict[str, User] = field(default_factory=dict)
    boards: dict[str, Board] = field(default_factory=dict)
    submissions: dict[Scene, Submission] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    team: Team | None = None
    token: ApiToken | None = None
    webhook: Webhook | None = None

    def call(self, who: str, method: str, path: str, body: Any, *, api: bool) -> Any:
        """A request as this kind of person sends it: with a token to the API, with a session to a page."""
        client = Client(raise_request_exception=False)
        if api:
            headers = {"HTTP_AUTHORIZATION": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
            text = "" if body is None else json.dumps(body)
            return client.generic(method, path, text, content_type="application/json", **headers)
        if who in self.sessions:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[who]
        text = urlencode(body or {}, doseq=True)
        return client.generic(method, path, text, content_type="application/x-www-form-urlencoded")


def build(catalogue: dict[str, Any]) -> World:
    from leaderboard.boards.catalogue_rows import write_catalogue

    system_user()
    write_catalogue(catalogue, fingerprint="tests")
    world = World()
    for name in PEOPLE:
        staff = name == "administrator"
        world.people[name] = User.objects.create(
            username=name,
            email=f"{name}@example.org",
            first_name=HOSTILE,
            last_name=HOSTILE,
            is_staff=staff,
            is_superuser=staff,
        )
        world.tokens[name] = issue_token(user=world.people[name], name="matrix", scopes=["read", "submit", "host"])[1]
        client = Client()
        client.force_login(world.people[name], backend="django.contrib.auth.backends.ModelBackend")
        world.sessions[name] = client.cookies[settings.SESSION_COOKIE_NAME].value
    world.team = _team(world)
    for visibility, slug in (("public", "open"), ("private", "lab")):
        _board(world, visibility, slug)
    world.token = issue_token(user=world.people["competitor"], name=HOSTILE[:60])[0]
    world.webhook = Webhook.objects.create(user=world.people["competitor"], url=f"https://example.org/?{HOSTILE}", secret="x")
    Paper.objects.create(pk="000-001", title=HOSTILE, system=HOSTILE, status="planned", reason=HOSTILE)
    return world


def _team(world: World) -> Team:
    team = Team.objects.create(slug="team", name=f"Team {HOSTILE}", created_by=world.people["teammate"])
    Membership.objects.create(team=team, user=world.people["teammate"], role="owner")
    Membership.objects.create(team=team, user=world.people["fellow"])
    Invitation.objects.create(team=team, user=world.people["guest"], invited_by=world.people["teammate"])
    return team


def _board(world: World, visibility: str, slug: str) -> None:
    people = world.people
    board = Board.objects.create(
        slug=slug,
        track=Track.objects.get(slug="digits-classification"),
        title=f"{slug} {HOSTILE}",
        about=HOSTILE,
        host=people["host"],
        visibility=visibility,
        entry="members" if visibility == "private" else "registered",
    )
    board.cohosts.add(people["cohost"])
    board.members.add(people["member"], people["competitor"])
    world.boards[visibility] = board
    for scene in SUBMISSIONS:
        if scene.board == visibility:
            world.submissions[scene] = _submission(world, board, scene)
    QuotaUse.objects.create(board=board, user=people["competitor"], period="total", used=1)
    TeamQuotaUse.objects.create(board=board, team=world.team, period="total", used=1)
    Participation.objects.create(board=board, user=people["fellow"], team=world.team)
    claim = Claim.objects.create(board=board, statement=HOSTILE, check_text="accuracy(logistic) >= 0", note=HOSTILE)
    claim.verdict = Verdict.objects.create(
        claim=claim, verdict="not yet evaluated", reason=HOSTILE, check_text=HOSTILE, track_version="1", judged_by="1"
    )
    claim.save()
    world.claims[visibility] = claim
    host = Actor(people["host"], Via.SESSION, token=HOSTILE)
    record(host, "board.change", board, board=board, before={"title": HOSTILE}, after={"title": HOSTILE * 2})


def _submission(world: World, board: Board, scene: Scene) -> Submission:
    submission = rows.add_submission(
        board,
        owner=world.people["competitor"],
        name=f"{scene.of} {scene.submission} {HOSTILE}",
        kind="onnx",
        visibility=scene.submission,
        team=world.team if scene.of == "team" else None,
        description=HOSTILE,
        artifact=Artifact.objects.get_or_create(sha256=SHA256, defaults={"size": len(FILE)})[0],
        filename=HOSTILE,
    )
    evaluation = rows.add_evaluation(submission, columns_sha256=SHA256, log=HOSTILE)
    rows.add_score(evaluation, "accuracy", 0.9, 0.88, 0.92)
    rows.add_standing(evaluation, position=1, value=0.9, interval=(0.88, 0.92), ranks=(1, 1, 8))
    failed = rows.add_submission(
        board, owner=world.people["member"], name=f"failed {scene} {HOSTILE}"[:80], description=HOSTILE
    )
    rows.add_evaluation(
        failed, state="failed", failure_code="model_error", failure_message=HOSTILE, log=HOSTILE, finished_at=failed.created_at
    )
    return submission


def add_waiting(submission: Submission) -> Evaluation:
    """One more evaluation, that waits."""
    return rows.add_evaluation(submission, state="queued", number=2, started_at=None, attempt=0)
