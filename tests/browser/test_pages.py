"""Every page in a real browser: on a desktop and a phone, light and dark, under the strict content security policy."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from evaluators import registry
from evaluators.versions import track_version
from leaderboard.boards.models import Track
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import Standing
from leaderboard.submissions.models import Submission
from tests.standings.conftest import keep_columns, right

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VARIANTS = [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")]
SHOTS = os.environ.get("SCREENSHOTS", "")


def paths_of(scene) -> dict[str, str]:
    board = f"/boards/{scene.board.slug}/"
    return {
        "home": "/",
        "board": board,
        "board-ordered": f"{board}?order=nll&best_per=competitor",
        "board-empty": f"{board}?kind=weights&page=9",
        "graph-board": f"/boards/{scene.graph_board.slug}/",
        "slice-board": f"/boards/{scene.graph_board.slug}/?slice=homophilous",
        "board-day": f"{board}?as_of=2020-01-01",
        "tradeoff": f"{board}tradeoff/",
        "tradeoff-graph": f"/boards/{scene.graph_board.slug}/tradeoff/?slice=homophilous",
        "overall": "/overall/",
        "compare-choice": f"/compare/?a={scene.best.pk}",
        "submit-config": f"{board}submit/?kind=config&model=plain-cnn",
        "submit-json": f"{board}submit/?kind=config&model=plain-cnn&as=json",
        "submit-onnx": f"{board}submit/?kind=onnx",
        "submit-graph": f"/boards/{scene.graph_board.slug}/submit/",
        "succeeded": f"/submissions/{scene.best.pk}/",
        "curve": f"/submissions/{scene.graph.pk}/",
        "queued": f"/submissions/{scene.queued.pk}/",
        "running": f"/submissions/{scene.running.pk}/",
        "failed": f"/submissions/{scene.failed.pk}/",
        "mine": "/submissions/",
        "account": "/account/",
        "password": "/accounts/password/change/",
        "email": "/accounts/email/",
        "logout": "/accounts/logout/",
    }


@pytest.mark.parametrize(("width", "scheme"), VARIANTS)
def test_no_page_violates_the_policy_or_scrolls_sideways(scene, open_window, width, scheme):
    person = open_window(scene.user, width=width, scheme=scheme)
    for name, path in paths_of(scene).items():
        _shoot(person.open(path), f"{name}-{width}-{scheme}")
    visitor = open_window(width=width, scheme=scheme)
    for name, path in {"home-visitor": "/", "login": "/accounts/login/", "signup": "/accounts/signup/"}.items():
        _shoot(visitor.open(path), f"{name}-{width}-{scheme}")
    assert person.faults == []
    assert visitor.faults == []
    _shoot(visitor.open("/nowhere/", expect=404), f"404-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), VARIANTS)
def test_a_comparison_and_a_history_fit_every_window(scene, open_window, width, scheme):
    b = _measured(scene)
    person = open_window(scene.user, width=width, scheme=scheme)
    page = person.open(f"/compare/?a={scene.best.pk}&b={b.pk}")
    assert page.get_by_text(f"{scene.best.name} is better").count() >= 1
    _shoot(page, f"compare-{width}-{scheme}")
    page = person.open(f"/boards/{scene.board.slug}/")
    assert page.get_by_role("heading", name="The best so far").count() == 1
    _shoot(page, f"history-{width}-{scheme}")
    assert person.faults == []


def _measured(scene) -> Submission:
    """Gives the best and the worst of the digits board columns of the installed track, and the board a past; the worst."""
    version = track_version(registry.get(scene.board.track_id))
    Track.objects.filter(pk=scene.board.track_id).update(version=version)
    evaluations = Evaluation.objects.filter(submission__board=scene.board)
    evaluations.update(track_version=version)
    Standing.objects.filter(board=scene.board).update(track_version=version)
    ranked = list(Standing.objects.filter(board=scene.board, rank__isnull=False).select_related("submission", "evaluation"))
    for standing, wrong in ((ranked[0], range(9)), (ranked[-1], range(40))):
        keep_columns(standing.evaluation, right(900, wrong))
    for days, standing in enumerate(ranked):
        finished = timezone.now() - timedelta(days=3 * days + 1)
        evaluations.filter(pk=standing.evaluation_id).update(finished_at=finished)
    return ranked[-1].submission


def _shoot(page, name: str) -> None:
    """Pictures for people to look at, where SCREENSHOTS names a folder."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)
