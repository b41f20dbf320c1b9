"""What the server knows of a reference model beside its row: the text of its file, where it stands, and which claims name it.
Called by the pages and the API."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Q

from evaluators.claim_catalogue import source_file, source_text
from evaluators.claim_language import ClaimSyntaxError, entrants_of
from evaluators.claim_parser import parse
from evaluators.versions import model_hash
from leaderboard.boards.models import Board, ReferenceModel
from leaderboard.claims.models import Claim
from leaderboard.claims.reading import visible_claims
from leaderboard.permissions import Viewer, visible_boards
from leaderboard.refusals import Conflict, NotFound
from leaderboard.standings.models import Standing


@dataclass(frozen=True)
class Source:
    """A model's file: where it is below the repository's root, and its text."""

    path: str
    text: str

    @property
    def name(self) -> str:
        """Of the file alone."""
        return self.path.rpartition("/")[2]


def get_model(name: str) -> ReferenceModel:
    """Raises NotFound."""
    found = ReferenceModel.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f'there is no reference model "{name[:80]}"')
    return found


def source_of(model: ReferenceModel) -> Source:
    """The installed file, if it is the one that the catalogue was made from: what is shown is what was evaluated.

    Only files that the registry of reference models names are read. Raises NotFound where the model is not installed any more,
    Conflict where its code has changed since.
    """
    path = source_file(model.name)
    if not path:
        raise NotFound(f'the reference model "{model.name}" is not installed on this server any more')
    if model_hash(model.name) != model.source_hash:
        raise Conflict(f"{path} has changed since the server's catalogue was made: an administrator can run sync_catalogue")
    return Source(path, source_text(model.name))


def standings_of_model(model: ReferenceModel, viewer: Viewer) -> list[Standing]:
    """Where the server's own submissions of the model stand now, on boards that the viewer may see and that hide nothing."""
    hidden = Q(submission__board__revealed_at=None) & ~Q(
        submission__board__public_share=None, submission__board__shows=Board.Shows.ALL
    )
    found = Standing.objects.filter(
        submission__model=model.name,
        submission__user__is_system=True,
        board__in=visible_boards(viewer).order_by().values("pk"),
        track_version=F("board__track__version"),
    )
    return list(found.exclude(hidden).select_related("board__track", "submission").order_by("board__title", "tier", "-merit"))


def claims_about(model: ReferenceModel, viewer: Viewer) -> list[Claim]:
    """The visible claims that compare the model, in its default config or another: those of its own papers first."""
    near = Q(check_text__contains=model.name) | Q(paper__in=model.papers) | ~Q(entrants={})
    found = [claim for claim in visible_claims(viewer).filter(near) if _compares(claim, model)]
    return sorted(found, key=lambda claim: claim.paper_id not in model.papers)


def _compares(claim: Claim, model: ReferenceModel) -> bool:
    if claim.paper_id in model.papers:
        return True
    try:
        names = entrants_of(parse(claim.check_text))
    except ClaimSyntaxError:
        return False
    return any(name == model.name or claim.entrants.get(name, {}).get("model") == model.name for name in names)
