"""The claims that stand on a board, for its page, and the badge of a verdict."""

from __future__ import annotations

from typing import Any

from django import template

from leaderboard.boards.models import Board
from leaderboard.claims import reading
from leaderboard.claims.models import Claim
from leaderboard.permissions import Viewer
from leaderboard.web.evidence import CLASSES, views_of

register = template.Library()


@register.inclusion_tag("web/_board_claims.html")
def board_claims(board: Board, viewer: Viewer) -> dict[str, Any]:
    """What papers (and the board's host) claim here, each with its verdict and a picture."""
    return {"claims": views_of(list(reading.claims(viewer, board=board.slug)))}


@register.inclusion_tag("web/_verdict.html")
def verdict_badge(claim: Claim | None) -> dict[str, str]:
    """The newest verdict on a claim as a badge."""
    word = claim.word if claim else "not yet evaluated"
    return {"word": word, "style": CLASSES[word]}
