"""The form that takes submissions in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from leaderboard import throttling
from leaderboard.accounts.models import User
from leaderboard.boards.models import Board, ReferenceModel
from leaderboard.boards.participation import team_on
from leaderboard.boards.quota import quota_of
from leaderboard.boards.rules import why_not
from leaderboard.permissions import get_board, teams_to_send_for
from leaderboard.refusals import InvalidRequest, Refusal
from leaderboard.submissions import intake
from leaderboard.submissions.kinds import accepted_kinds
from leaderboard.submissions.models import Submission
from leaderboard.web.forms import EntryForm
from leaderboard.web.requests import PersonRequest

KINDS = {
    Submission.Kind.CONFIG: "Config",
    Submission.Kind.WEIGHTS: "Weights",
    Submission.Kind.ONNX: "ONNX model",
    Submission.Kind.PREDICTIONS: "Predictions",
    Submission.Kind.PROGRAM: "Program",
}
NEEDS_MODEL = frozenset({Submission.Kind.CONFIG, Submission.Kind.WEIGHTS})


@dataclass(frozen=True)
class Choice:
    """What was chosen before the form can be made: the kind, the model where the kind needs one, fields or JSON."""

    kind: str
    kinds: tuple[str, ...]
    model: ReferenceModel | None
    models: tuple[ReferenceModel, ...]
    as_json: bool


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submit(request: PersonRequest, slug: str) -> HttpResponse:
    """GET shows the form, and reloads its part for another kind or model, as does POST with `show` where there is no
    script; any other POST goes to intake."""
    board = get_board(slug, request.user)
    sent = request.method == "POST"
    choice = _choice(board, request.POST if sent else request.GET, complete=sent)
    if not sent or "show" in request.POST:
        typed = request.POST or request.GET
        about = {name: typed[name] for name in ("name", "description", "visibility", "team") if name in typed}
        side = team_on(board, request.user)
        initial = {"team": side.slug if side else "", **about, "carried_config": _carried(board, choice, typed)}
        form = _form(board, choice, initial=initial, teams=_teams(request.user))
        return _page(request, board, choice, form)
    form = _form(board, choice, initial={}, teams=_teams(request.user), data=request.POST, files=request.FILES)
    if form.is_valid():
        try:
            throttling.count_submission(request)
            receipt = intake.submit(user=request.user, board=board, **form.arguments())
        except Refusal as refusal:
            form.refuse(refusal)
            return _page(request, board, choice, form, status=refusal.status)
        if not receipt.created:
            messages.info(request, "This form was received before; here is the submission that it made.")
        return redirect("submission", receipt.submission.pk)
    return _page(request, board, choice, form, status=422)


def _page(request: PersonRequest, board: Board, choice: Choice, form: EntryForm, *, status: int = 200) -> HttpResponse:
    now = timezone.now()
    refusal = why_not(board, request.user, now)
    side = team_on(board, request.user)
    context = {
        "here": "boards",
        "board": board,
        "spec": board.track.spec,
        "choice": choice,
        "kinds": [(kind, KINDS[Submission.Kind(kind)]) for kind in choice.kinds],
        "form": form,
        "why_not": refusal.detail if refusal else "",
        "side": side,
        "quota": quota_of(board, request.user, now=now, team=side),
        "file_again": bool(form.errors) and "file" in form.fields,
    }
    part = request.htmx and not request.htmx.history_restore_request
    return render(request, "web/_entry.html" if part else "web/submit.html", context, status=status)


def _choice(board: Board, asked: QueryDict, *, complete: bool) -> Choice:
    """What was asked for; in a link, which is not `complete`, the rest has defaults. Raises InvalidRequest for what does not
    exist: something else than was asked for would be worse than nothing."""
    kinds = accepted_kinds(board.track.spec)
    kind = asked.get("kind") or ("" if complete else kinds[0])
    if kind not in kinds:
        raise InvalidRequest(f'"{board.title}" takes no submissions of the kind "{kind[:40]}"; it takes {", ".join(kinds)}')
    models = _models(board) if kind in NEEDS_MODEL else ()
    name = asked.get("model") or (models[0].name if models and not complete else "")
    model = next((model for model in models if model.name == name), None)
    if model is None and models:
        raise InvalidRequest(f'no reference model "{name[:80]}" plays the role of this board, {board.track.role}')
    return Choice(kind=kind, kinds=kinds, model=model, models=models, as_json=asked.get("as") == "json")


def _models(board: Board) -> tuple[ReferenceModel, ...]:
    """Those of the board's role: first those that are at home here, baselines before papers."""
    found = ReferenceModel.objects.filter(role=board.track.role, available=True)
    return tuple(sorted(found, key=lambda model: (model.home != board.track_id, model.kind != "baseline", model.title.lower())))


def _form(board: Board, choice: Choice, *, initial: dict[str, Any], **given: Any) -> EntryForm:
    return EntryForm(track=board.track, kind=choice.kind, model=choice.model, as_json=choice.as_json, initial=initial, **given)


def _teams(user: User) -> list[tuple[str, str]]:
    return list(teams_to_send_for(user).values_list("slug", "name"))


def _carried(board: Board, choice: Choice, typed: QueryDict) -> dict[str, Any]:
    """What was typed the other way (fields or JSON) before the switch, for the same model."""
    other = Choice(**{**vars(choice), "as_json": not choice.as_json})
    form = _form(board, other, initial={}, data=typed)
    if not any(name in typed for name in form.fields if name.startswith("config")):
        return {}
    return form.typed_config()
