"""The pages of hosts: a new board, the rules of one, its people, its claims, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leaderboard.audit.models import AuditEntry
from leaderboard.audit.recording import actor_of
from leaderboard.boards import hosting
from leaderboard.boards.closing import shown_elsewhere
from leaderboard.boards.models import Board
from leaderboard.claims import hosting as claim_hosting
from leaderboard.permissions import check_may_create_board, get_hosted_board, hosted_boards, may_create_board
from leaderboard.refusals import Conflict, InvalidRequest, NotFound
from leaderboard.web.requests import PersonRequest
from leaderboard.web.rules_form import ClaimForm, NewBoardForm, RulesForm, UsernameForm

Change = Callable[..., object]

ENTRIES = 100
ADDING = {"members": hosting.add_member, "cohosts": hosting.add_cohost}
REMOVING = {"members": hosting.remove_member, "cohosts": hosting.remove_cohost}


@login_required
@require_safe
def hosted(request: PersonRequest) -> HttpResponse:
    """The boards that the person hosts."""
    boards = hosted_boards(request.user)
    context = {"here": "hosting", "boards": boards, "may_create": may_create_board(request.user)}
    return render(request, "web/hosted.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_board(request: PersonRequest) -> HttpResponse:
    """A form, and the board that it makes."""
    check_may_create_board(request.user)
    form = NewBoardForm(data=request.POST if request.method == "POST" else None)
    status = 422 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        track, slug = form.cleaned_data["track"], form.cleaned_data["slug"]
        try:
            board = hosting.create_board(actor=actor_of(request), track=track, slug=slug, rules=form.values())
        except InvalidRequest as refusal:
            form.refuse(refusal)
            status = refusal.status
        else:
            messages.success(request, "Your board is there. Its rules can be changed at any time.")
            _warn(request, board)
            return redirect("board", board.slug)
    return render(request, "web/new_board.html", {"here": "hosting", "form": form}, status=status)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: PersonRequest, slug: str) -> HttpResponse:
    """The rules of a board, to change."""
    board = get_hosted_board(slug, request.user)
    form = RulesForm(board=board, track=board.track, data=request.POST if request.method == "POST" else None)
    status = 422 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            board = hosting.change_board(board, actor=actor_of(request), rules=form.values())
        except InvalidRequest as refusal:
            form.refuse(refusal)
            status = refusal.status
        else:
            messages.success(request, "The rules are saved.")
            _warn(request, board)
            return redirect("board-rules", board.slug)
    return _page(request, board, "web/board_rules.html", tab="rules", form=form, status=status)


def _warn(request: PersonRequest, board: Board) -> None:
    """Of other boards that show what this one hides."""
    if told := shown_elsewhere(board):
        messages.warning(request, told)


@login_required
@never_cache
@require_safe
def people(request: PersonRequest, slug: str) -> HttpResponse:
    """Members and co-hosts of a board."""
    board = get_hosted_board(slug, request.user)
    lists = [
        ("members", "Members", board.members.order_by("username"), UsernameForm(auto_id="id_members_%s")),
        ("cohosts", "Co-hosts", board.cohosts.order_by("username"), UsernameForm(auto_id="id_cohosts_%s")),
    ]
    return _page(request, board, "web/board_people.html", tab="people", lists=lists)


@login_required
@require_POST
def add_person(request: PersonRequest, slug: str) -> HttpResponse:
    """Make somebody a member or a co-host."""
    return _change_people(request, slug, ADDING, said="{} is added.")


@login_required
@require_POST
def remove_person(request: PersonRequest, slug: str) -> HttpResponse:
    """Remove a member or a co-host."""
    return _change_people(request, slug, REMOVING, said="{} is removed.")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def claims(request: PersonRequest, slug: str) -> HttpResponse:
    """The claims of a board's hosts, and a form for another."""
    board = get_hosted_board(slug, request.user)
    form = ClaimForm(data=request.POST if request.method == "POST" else None)
    status = 422 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            claim_hosting.add_claim(board, actor=actor_of(request), **form.cleaned_data)
        except InvalidRequest as refusal:
            form.refuse(refusal)
            status = refusal.status
        else:
            messages.success(request, "The claim is on the board. Workers judge it when its evaluations are there.")
            return redirect("board-claims", board.slug)
    found = claim_hosting.claims_of(board)
    return _page(request, board, "web/board_claims.html", tab="claims", claims=found, form=form, status=status)


@login_required
@require_POST
def remove_claim(request: PersonRequest, slug: str, claim_id: int) -> HttpResponse:
    """Take a claim off the board."""
    board = get_hosted_board(slug, request.user)
    claim_hosting.remove_claim(board, actor=actor_of(request), claim_id=claim_id)
    messages.success(request, "The claim is removed.")
    return redirect("board-claims", board.slug)


@login_required
@never_cache
@require_safe
def audit(request: PersonRequest, slug: str) -> HttpResponse:
    """What hosts and administrators did to a board and its submissions."""
    board = get_hosted_board(slug, request.user)
    page = Paginator(AuditEntry.objects.filter(board=board), ENTRIES).get_page(request.GET.get("page"))
    return _page(request, board, "web/board_audit.html", tab="audit", page=page)


def _change_people(
    request: PersonRequest, slug: str, changes: Mapping[str, Callable[..., object]], *, said: str
) -> HttpResponse:
    board = get_hosted_board(slug, request.user)
    which, username = request.POST.get("which", ""), request.POST.get("username", "").strip()
    if which not in changes:
        raise InvalidRequest(f"which must be one of: {', '.join(changes)}")
    try:
        changes[which](board, actor=actor_of(request), username=username)
    except (Conflict, InvalidRequest, NotFound) as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, said.format(username))
    return redirect("board-people", board.slug)


def _page(request: HttpRequest, board: Board, template: str, *, tab: str, status: int = 200, **context: object) -> HttpResponse:
    return render(request, template, {"here": "hosting", "board": board, "tab": tab, **context}, status=status)
