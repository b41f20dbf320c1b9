"""What every call answers to whom: one row for each route and method. A row says about what it is (nothing, a board, a
submission), how the request looks, what each kind of person gets, and who leaves an entry in the audit log by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.permissions.world import BOARDS, RUN_BY_HOSTS, SUBMISSIONS, Scene, World, add_waiting

Outcome = int | str
"""A status, or LOGIN: sent to the log-in page."""
LOGIN = "login"
NOBODY: frozenset[str] = frozenset()
NOTHING = (Scene("public"),)
IN_TEAM = frozenset({"teammate", "fellow"})
KNOWS_TEAM = IN_TEAM | {"guest"}
CONFIG = {"name": "Mine", "kind": "config", "model": "logistic", "config": {"steps": 17}}
RULES = {
    "title": "Renamed", "visibility": "public", "entry": "registered", "daily_quota": "7", "max_concurrent": "2",
    "counts": "submission", "eligible": "all", "about": "*New*", "shows": "all",
}  # fmt: skip
TOKEN = {"name": "made", "scopes": ["read"]}
WEBHOOK = {"url": "https://127.0.0.1/"}  # which is refused, to everybody


@dataclass(frozen=True)
class Row:
    """expected(who, scene) is the outcome; audited(who, scene) whether a request that succeeds is logged. `parameters` replace
    those of the address, `before` is done first."""

    expected: Callable[[str, Scene], Outcome]
    scenes: tuple[Scene, ...] = NOTHING
    body: Any = None
    query: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[World, Scene], object] | None = None
    audited: Callable[[str, Scene], bool] = lambda who, scene: False


def row(ok: Outcome, **more: Any) -> Row:
    """The same for everybody."""
    return Row(lambda who, scene: ok, **more)


def people(ok: Outcome, *, visitor: Outcome, **more: Any) -> Row:
    """Whoever is logged in."""
    return Row(lambda who, scene: visitor if who == "visitor" else ok, **more)


def chosen(allowed: frozenset[str], ok: Outcome, *, visitor: Outcome, others: Outcome, **more: Any) -> Row:
    """Some of them."""
    return Row(lambda who, scene: visitor if who == "visitor" else ok if who in allowed else others, **more)


def board(ok: Outcome, *, visitor: Outcome | None = None, **more: Any) -> Row:
    """Whoever sees the board."""

    def expected(who: str, scene: Scene) -> Outcome:
        if who == "visitor" and visitor is not None:
            return visitor
        return ok if who in scene.sees_board else 404

    return Row(expected, BOARDS, **more)


def hosts(ok: Outcome, *, visitor: Outcome, logged: bool = True, **more: Any) -> Row:
    """Whoever hosts the board, and administrators; what they change is logged."""

    def expected(who: str, scene: Scene) -> Outcome:
        if who == "visitor":
            return visitor
        if who not in scene.sees_board:
            return 404
        return ok if who in RUN_BY_HOSTS else 403

    return Row(expected, BOARDS, audited=lambda who, scene: logged, **more)


def submission(ok: Outcome, **more: Any) -> Row:
    """Whoever sees the submission."""
    return Row(lambda who, scene: ok if who in scene.sees else 404, SUBMISSIONS, **more)


def answers(ok: Outcome, *, visitor: Outcome | None = None, barred: Outcome | None = None, **more: Any) -> Row:
    """Whoever answers for the submission; what others than its competitor do is logged. barred: owners who are no members of
    the board may see their submission, and not submit."""

    def expected(who: str, scene: Scene) -> Outcome:
        if who == "visitor" and visitor is not None:
            return visitor
        if who not in scene.sees:
            return 404
        if who not in scene.answers:
            return 403
        return barred if barred is not None and who in scene.owners - scene.sees_board else ok

    def audited(who: str, scene: Scene) -> bool:
        return who not in scene.owners

    return Row(expected, SUBMISSIONS, audited=audited, **more)


def team(allowed: frozenset[str], ok: Outcome, *, visitor: Outcome, others: Outcome = 403, **more: Any) -> Row:
    """Some of those who know the team; for others, there is none."""

    def expected(who: str, scene: Scene) -> Outcome:
        if who == "visitor":
            return visitor
        if who not in KNOWS_TEAM:
            return 404
        return ok if who in allowed else others

    return Row(expected, **more)


def enters(ok: Outcome) -> Callable[[str, Scene], Outcome]:
    """Whoever may submit to the board. Administrators see every board, and enter as everybody does."""

    def expected(who: str, scene: Scene) -> Outcome:
        if who == "visitor":
            return 401
        if who not in scene.sees_board:
            return 404
        if who == "administrator" and scene.board == "private":
            return 403
        return 409 if who == "fellow" else ok  # who competes there for the team

    return expected


def leaving(ok: Outcome, *, owner: Outcome, visitor: Outcome) -> Row:
    """A member may go; the last owner stays as long as there are others."""

    def expected(who: str, scene: Scene) -> Outcome:
        return {"visitor": visitor, "teammate": owner, "fellow": ok, "guest": 403}.get(who, 404)

    return Row(expected)


OWNER = frozenset({"teammate"})
COMPETITOR = frozenset({"competitor"})
ADMINISTRATOR = frozenset({"administrator"})


def waiting(world: World, scene: Scene) -> object:
    return add_waiting(world.submissions[scene])


API: dict[tuple[str, str], Row] = {
    ("tracks", "GET"): row(200),
    ("track", "GET"): row(200),
    ("reference-models", "GET"): row(200),
    ("reference-model", "GET"): row(200),
    ("boards", "GET"): row(200),
    ("boards", "POST"): chosen(
        ADMINISTRATOR, 201, visitor=401, others=403, body={"track": "digits-classification", "slug": "fresh", "title": "New"},
        audited=lambda who, scene: True,
    ),
    ("board", "GET"): board(200),
    ("board", "PATCH"): hosts(200, visitor=401, body={"daily_quota": 7}),
    ("standings", "GET"): board(200),
    ("tradeoff", "GET"): board(200),
    ("board-submissions", "POST"): Row(enters(201), BOARDS, body=CONFIG),
    ("board-members", "GET"): hosts(200, visitor=401, logged=False),
    ("board-members", "POST"): hosts(201, visitor=401, body={"username": "stranger"}),
    ("board-member", "DELETE"): hosts(204, visitor=401, parameters={"username": "member"}),
    ("board-cohosts", "GET"): hosts(200, visitor=401, logged=False),
    ("board-cohosts", "POST"): hosts(201, visitor=401, body={"username": "stranger"}),
    ("board-cohost", "DELETE"): hosts(204, visitor=401, parameters={"username": "cohost"}),
    ("board-audit", "GET"): hosts(200, visitor=401, logged=False),
    ("submissions", "GET"): row(200),
    ("submission", "GET"): submission(200),
    ("submission-claims", "GET"): submission(200),
    ("submission", "DELETE"): answers(204, visitor=401, query="?reason=spam"),
    ("overall", "GET"): row(200),
    ("cancel", "POST"): answers(200, visitor=401, before=waiting),
    ("evaluations", "GET"): submission(200),
    ("evaluations", "POST"): answers(201, visitor=401, barred=403),
    ("log", "GET"): submission(200),
    ("columns", "GET"): submission(200),
    ("artifact", "GET"): answers(200),
    ("compare", "GET"): submission(400, query="?a={submission}&b={submission}"),  # with itself: only those who see it are told
    ("papers", "GET"): row(200),
    ("paper", "GET"): row(200),
    ("claims", "GET"): row(200),
    ("claim", "GET"): board(200),
    ("me", "GET"): people(200, visitor=401),
    ("teams", "GET"): people(200, visitor=401),
    ("teams", "POST"): people(201, visitor=401, body={"name": "Another team"}),
    ("team", "GET"): team(KNOWS_TEAM, 200, visitor=401),
    ("team", "PATCH"): team(OWNER, 200, visitor=401, body={"name": "Another name"}),
    ("team", "DELETE"): team(OWNER, 204, visitor=401),
    ("team-invitations", "POST"): team(OWNER, 201, visitor=401, body={"username": "stranger"}),
    ("team-invitation", "DELETE"): team(OWNER | {"guest"}, 204, visitor=401, parameters={"username": "guest"}),
    ("team-member", "PATCH"): team(OWNER, 200, visitor=401, parameters={"username": "fellow"}, body={"role": "owner"}),
    ("team-member", "DELETE"): team(OWNER, 204, visitor=401, parameters={"username": "fellow"}),
    ("team-accept", "POST"): team(frozenset({"guest"}), 200, visitor=401),
    ("team-leave", "POST"): leaving(204, owner=409, visitor=401),
    ("tokens", "GET"): people(200, visitor=401),
    ("tokens", "POST"): people(201, visitor=401, body=TOKEN),
    ("token", "DELETE"): chosen(COMPETITOR, 204, visitor=401, others=404),
    ("webhooks", "GET"): people(200, visitor=401),
    ("webhooks", "POST"): people(400, visitor=401, body=WEBHOOK),
    ("webhook", "GET"): chosen(COMPETITOR, 200, visitor=401, others=404),
    ("webhook", "DELETE"): chosen(COMPETITOR, 204, visitor=401, others=404),
    ("webhook-ping", "POST"): chosen(COMPETITOR, 202, visitor=401, others=404),
    ("schema", "GET"): row(200),
    ("nothing", "GET"): row(404),
}  # fmt: skip


def page(ok: Outcome, **more: Any) -> Row:
    """A page for people with an account."""
    return people(ok, visitor=LOGIN, **more)


def act(ok: Outcome, **body: str) -> Row:
    """A form of the team's page."""
    return team(OWNER, ok, visitor=LOGIN, body=body)


PAGES: dict[tuple[str, str], Row] = {
    ("home", "GET"): row(200),
    ("board", "GET"): board(200),
    ("tradeoff", "GET"): board(200),
    ("board-new", "GET"): chosen(ADMINISTRATOR, 200, visitor=LOGIN, others=403),
    ("board-new", "POST"): chosen(
        ADMINISTRATOR, 302, visitor=LOGIN, others=403, body={**RULES, "track": "digits-classification", "slug": "fresh"},
        audited=lambda who, scene: True,
    ),
    ("board-rules", "GET"): hosts(200, visitor=LOGIN, logged=False),
    ("board-rules", "POST"): hosts(302, visitor=LOGIN, body=RULES),
    ("board-people", "GET"): hosts(200, visitor=LOGIN, logged=False),
    ("board-person-add", "POST"): hosts(302, visitor=LOGIN, body={"which": "members", "username": "stranger"}),
    ("board-person-remove", "POST"): hosts(302, visitor=LOGIN, body={"which": "cohosts", "username": "cohost"}),
    ("board-claims", "GET"): hosts(200, visitor=LOGIN, logged=False),
    ("board-claims", "POST"): hosts(
        302, visitor=LOGIN, body={"statement": "Good.", "check_text": "accuracy(logistic) >= 0.5"}
    ),
    ("board-claim-remove", "POST"): hosts(302, visitor=LOGIN),
    ("board-audit", "GET"): hosts(200, visitor=LOGIN, logged=False),
    ("hosting", "GET"): page(200),
    ("teams", "GET"): page(200),
    ("teams", "POST"): page(302, body={"name": "Another team"}),
    ("team", "GET"): team(KNOWS_TEAM, 200, visitor=LOGIN),
    ("team-invite", "POST"): act(302, username="stranger"),
    ("team-accept", "POST"): team(frozenset({"guest"}), 302, visitor=LOGIN),
    ("team-decline", "POST"): team(frozenset({"guest"}), 302, visitor=LOGIN),
    ("team-withdraw", "POST"): team(OWNER | {"guest"}, 302, visitor=LOGIN, body={"username": "guest"}),
    ("team-make-owner", "POST"): act(302, username="fellow"),
    ("team-make-member", "POST"): act(302, username="fellow"),
    ("team-remove", "POST"): act(302, username="fellow"),
    ("team-rename", "POST"): act(302, name="Another name"),
    ("team-leave", "POST"): leaving(302, owner=302, visitor=LOGIN),
    ("team-close", "POST"): act(302),
    ("submit", "GET"): board(200, visitor=LOGIN),
    ("submit", "POST"): Row(
        lambda who, scene: LOGIN if who == "visitor" else {201: 302}.get(enters(201)(who, scene), enters(201)(who, scene)),
        BOARDS,
        body={**CONFIG, "config": "{}", "as": "json", "visibility": "public", "idempotency_key": "one"},
    ),
    ("papers", "GET"): row(200),
    ("paper", "GET"): row(200),
    ("my-submissions", "GET"): page(200),
    ("submission", "GET"): submission(200),
    ("submission-claims", "GET"): submission(200),
    ("claim", "GET"): board(200),
    ("model", "GET"): row(200),
    ("model-source", "GET"): row(409),
    ("submission-live", "GET"): submission(200),
    ("submission-withdraw", "POST"): answers(302, visitor=LOGIN, body={"sure": "on", "reason": "spam"}),
    ("overall", "GET"): row(200),
    ("submission-cancel", "POST"): answers(302, visitor=LOGIN, before=waiting),
    ("submission-again", "POST"): answers(302, visitor=LOGIN),
    ("compare", "GET"): submission(200, query="?a={submission}"),
    ("account", "GET"): page(200),
    ("account", "POST"): page(200, body={**TOKEN, "days": "3"}),
    ("account-data", "GET"): page(200),
    ("account-delete", "GET"): page(200),
    ("account-delete", "POST"): page(422, body={"password": "wrong", "submissions": "keep", "sure": "on"}),
    ("token-revoke", "POST"): chosen(COMPETITOR, 302, visitor=LOGIN, others=404, body={"token": "{digest}"}),
    ("webhooks", "GET"): page(200),
    ("webhooks", "POST"): page(400, body=WEBHOOK),
    ("webhook-ping", "POST"): chosen(COMPETITOR, 302, visitor=LOGIN, others=404),
    ("webhook-remove", "POST"): chosen(COMPETITOR, 302, visitor=LOGIN, others=404),
    ("api:docs", "GET"): row(200),
    ("api:problems", "GET"): row(200),
    ("healthz", "GET"): row(200),
    ("readyz", "GET"): row(503),  # no worker runs here
}  # fmt: skip

ACCOUNTS: dict[tuple[str, str], Row] = {
    ("account_login", "GET"): people(302, visitor=200),
    ("account_login", "POST"): people(302, visitor=200, body={"login": "competitor", "password": "wrong"}),
    ("account_logout", "GET"): people(200, visitor=302),
    ("account_logout", "POST"): row(302),
    ("account_inactive", "GET"): row(200),
    ("account_signup", "GET"): people(302, visitor=200),
    ("account_signup", "POST"): people(302, visitor=200, body={"username": "x"}),
    ("account_reauthenticate", "GET"): page(200),
    ("account_reauthenticate", "POST"): page(200, body={"password": "wrong"}),
    ("account_email", "GET"): page(200),
    ("account_email", "POST"): page(LOGIN, body={"email": "new@example.org", "action_add": ""}),  # asks for the password first
    ("account_email_verification_sent", "GET"): row(200),
    ("account_change_password", "GET"): page(200),
    ("account_change_password", "POST"): page(200, body={"oldpassword": "wrong"}),
    ("account_set_password", "GET"): page(302),  # for those who have none
    ("account_set_password", "POST"): page(302),
    ("account_reset_password", "GET"): row(200),
    ("account_reset_password", "POST"): row(302, body={"email": "nobody@example.org"}),
    ("account_reset_password_done", "GET"): row(200),
    ("account_reset_password_from_key", "GET"): row(200, parameters={"uidb36": "1", "key": "wrong"}),
    ("account_reset_password_from_key_done", "GET"): row(200),
    ("account_confirm_email", "GET"): row(200, parameters={"key": "wrong"}),
    ("account_confirm_email", "POST"): row(404, parameters={"key": "wrong"}),
    ("account_confirm_login_code", "GET"): people(302, visitor=LOGIN),
    ("account_confirm_login_code", "POST"): people(302, visitor=LOGIN),
}  # fmt: skip
