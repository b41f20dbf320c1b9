"""Papers and claims as the API and the pages show them. A claim is seen by those who see its board."""

from __future__ import annotations

from django.db.models import F, Prefetch, Q, QuerySet

from evaluators.claim_verdicts import Verdict as Words
from leaderboard.boards.closing import hides
from leaderboard.boards.models import Board
from leaderboard.claims.models import Claim, Outcome, Paper, Verdict
from leaderboard.evaluations.models import Evaluation
from leaderboard.permissions import Viewer, visible_boards, visible_submissions
from leaderboard.refusals import NotFound
from leaderboard.standings.sight import sight_of
from leaderboard.submissions.models import Submission

VERDICTS = [word.value for word in Words]


def visible_claims(viewer: Viewer) -> QuerySet[Claim]:
    """The claims on boards that the viewer may see, with board, paper and newest verdict: by board, those of hosts first."""
    claims = Claim.objects.filter(available=True, board__in=visible_boards(viewer).order_by().values("pk"))
    claims = claims.exclude(board__track__in=veiled_tracks(viewer))
    # Said, because databases differ in where they put those without a paper.
    claims = claims.order_by("board__slug", F("paper_id").asc(nulls_first=True), "id")
    return claims.select_related("board__track", "paper", "verdict")


def veiled_tracks(viewer: Viewer) -> list[str]:
    """Tracks whose default board, on which verdicts rest, hides results from the viewer until it closes: a verdict would tell
    of the whole test."""
    homes = Board.objects.filter(revealed_at=None, slug=F("track_id")).exclude(public_share=None, shows=Board.Shows.ALL)
    return [board.track_id for board in homes if not sight_of(board, viewer).insider]


def claims(viewer: Viewer, *, board: str = "", family: str = "", paper: str = "", verdict: str = "") -> QuerySet[Claim]:
    """The visible claims, narrowed by what is not empty."""
    found = visible_claims(viewer)
    wanted = {"board__slug": board, "board__track__family": family, "paper_id": paper}
    found = found.filter(**{name: value for name, value in wanted.items() if value})
    if verdict == Words.NOT_EVALUATED:
        return found.filter(Q(verdict=None) | Q(verdict__verdict=verdict))
    return found.filter(verdict__verdict=verdict) if verdict else found


def get_claim(claim_id: int, viewer: Viewer) -> Claim:
    """Raises NotFound, for a hidden claim in the same words as for none."""
    claim = visible_claims(viewer).filter(pk=claim_id).first()
    if claim is None:
        raise NotFound(f"there is no claim {claim_id}, or you may not see it")
    return claim


def papers(viewer: Viewer, *, search: str = "", family: str = "", status: str = "", verdict: str = "") -> QuerySet[Paper]:
    """The catalogue, each paper with its visible claim (see `claim_of`). Empty arguments do not narrow.

    search: every word must stand in the title, the system's name or the id.
    """
    shown = Prefetch("claim", queryset=visible_claims(viewer))
    found = Paper.objects.select_related("twin").prefetch_related(shown)
    for word in search.split():
        found = found.filter(Q(title__icontains=word) | Q(system__icontains=word) | Q(pk__icontains=word))
    if family:
        found = found.filter(family=family)
    if status:
        found = found.filter(status=status)
    return _with_verdict(found, verdict, viewer) if verdict else found


def _with_verdict(found: QuerySet[Paper], verdict: str, viewer: Viewer) -> QuerySet[Paper]:
    visible = visible_claims(viewer).order_by().select_related(None)
    if verdict != Words.NOT_EVALUATED:
        return found.filter(claim__in=visible.filter(verdict__verdict=verdict).values("pk"))
    judged = visible.exclude(verdict=None).exclude(verdict__verdict=Words.NOT_EVALUATED.value)
    open_papers = found.filter(status__in=[Paper.Status.READY, Paper.Status.PLANNED])
    return open_papers.exclude(claim__in=judged.values("pk"))


def get_paper(paper_id: str, viewer: Viewer) -> Paper:
    """Raises NotFound."""
    paper = papers(viewer).filter(pk=paper_id).first()
    if paper is None:
        raise NotFound(f"there is no paper {paper_id[:40]}; their ids look like 003-124")
    return paper


def claim_of(paper: Paper) -> Claim | None:
    """The claim that the viewer for whom the paper was read may see."""
    return getattr(paper, "claim", None)


def families() -> list[str]:
    """All families of papers, sorted."""
    return sorted(set(Paper.objects.exclude(family="").values_list("family", flat=True)))


def history(claim: Claim) -> QuerySet[Verdict]:
    """All verdicts, newest first."""
    return claim.verdicts.order_by("-id")


def rests_on(verdict: Verdict) -> dict[str, Evaluation]:
    """The evaluations that a verdict rests on, by entrant, with their submissions."""
    public = Evaluation.objects.filter(submission__visibility=Submission.Visibility.PUBLIC)
    found = public.select_related("submission").defer("log").in_bulk(list(verdict.evaluations.values()))
    return {name: found[number] for name, number in verdict.evaluations.items() if number in found}


def outcomes_of(submission: Submission, viewer: Viewer) -> list[Outcome]:
    """What becomes of the visible claims of its board with the submission in them: first those that it overturns."""
    if hides(submission.board):
        return []
    found = Outcome.objects.filter(trial__submission=submission, claim__in=visible_claims(viewer).order_by().values("pk"))
    found = found.select_related("trial", "claim__verdict", "claim__paper")
    found = found.order_by(F("claim__paper_id").asc(nulls_first=True), "claim_id")
    return sorted(found, key=lambda outcome: not outcome.overturns)


def overturning(claim: Claim, viewer: Viewer) -> list[Outcome]:
    """The outcomes of the submissions that overturn a claim, as far as the viewer may open their pages; newest first."""
    if claim.word == Words.DOES_NOT_HOLD or hides(claim.board):
        return []
    found = claim.outcomes.filter(verdict=Words.DOES_NOT_HOLD, trial__submission__in=visible_submissions(viewer).order_by())
    return list(found.select_related("trial__submission__user", "trial__submission__team").order_by("-trial__evaluation_id"))


def tried(claim: Claim) -> int:
    """How many submissions were put into a claim."""
    return claim.outcomes.exclude(verdict=Words.NOT_EVALUATED).count()


def counts(viewer: Viewer) -> dict[str, int]:
    """How many papers' claims have each verdict; `not yet evaluated` counts papers that are ready or planned."""
    judged = visible_claims(viewer).exclude(paper=None).order_by().values_list(F("verdict__verdict"), flat=True)
    found = dict.fromkeys(VERDICTS, 0)
    for word in judged:
        found[word or Words.NOT_EVALUATED.value] += 1
    measurable = Paper.objects.filter(status__in=[Paper.Status.READY, Paper.Status.PLANNED]).count()
    found[Words.NOT_EVALUATED.value] = measurable - sum(found[word] for word in VERDICTS if word != Words.NOT_EVALUATED)
    return found
