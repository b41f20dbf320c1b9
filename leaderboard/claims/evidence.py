"""What a claim rests on: the entrants that its check names, as submissions of the system on the track's default board or, where
it names them, of people on its own board, and the newest evaluation of each under the present version of the track. Called by
judging, and by what submits the missing ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from evaluators.claim_language import SUBMISSION, Check, entrants_of
from evaluators.claim_parser import parse
from leaderboard.accounts.people import system_user
from leaderboard.boards.models import Board, ReferenceModel
from leaderboard.boards.seeding import Entrant
from leaderboard.claims.models import Claim
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.refusals import Refusal
from leaderboard.submissions import storage
from leaderboard.submissions.fields import Sent, check_entry
from leaderboard.submissions.models import Submission


@dataclass(frozen=True)
class Comparison:
    """A claim with its check, and the evaluation of each entrant that has one."""

    claim: Claim
    check: Check
    evaluations: dict[str, Evaluation]

    @property
    def numbers(self) -> dict[str, int]:
        """The evaluations' keys, by entrant."""
        return {name: evaluation.pk for name, evaluation in self.evaluations.items()}


class Identity(NamedTuple):
    """A model, and all that makes two submissions of it the same, as text."""

    model: str
    text: str


class Bench:
    """The system's submissions on the default board of one track. A host's board is judged from them too: they are scored on
    the same test units. Of the board itself come the submissions that its claims name."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.home = Board.objects.select_related("track", "host").get(slug=board.track_id)

    @cached_property
    def submissions(self) -> dict[str, Submission]:
        """By what they are."""
        own = Submission.objects.filter(board=self.home, user=system_user(), kind=Submission.Kind.CONFIG)
        return {_identity(each.model, each.config, each.slices): each for each in own}

    @cached_property
    def newest(self) -> dict[str, Evaluation]:
        """The newest success under the present version, by what was evaluated."""
        found = succeeded(self.home).select_related("submission").order_by("number").defer("log")
        by_submission = {evaluation.submission_id: evaluation for evaluation in found}
        return {key: by_submission[each.pk] for key, each in self.submissions.items() if each.pk in by_submission}

    def compare(self, claim: Claim) -> Comparison:
        """A claim with what it rests on. Raises ClaimSyntaxError for a check that cannot be read."""
        check = parse(claim.check_text)
        found = {name: self._newest_of(claim, name) for name in entrants_of(check)}
        return Comparison(claim, check, {name: evaluation for name, evaluation in found.items() if evaluation is not None})

    def entrant(self, claim: Claim, name: str) -> Entrant | None:
        """What a check means by a name: a config of the claim, a baseline of the track, or a reference model; None: nothing."""
        origin = Submission.Origin.BASELINE
        if name in claim.entrants:
            own = claim.entrants[name]
            return Entrant(self.home, name, own["model"], own["config"], (), origin)
        for baseline in self.home.track.spec["baselines"]:
            if baseline["slug"] == name:
                title, slices = baseline["title"], tuple(baseline["slices"])
                return Entrant(self.home, title, baseline["model"], baseline["config"], slices, origin)
        model = ReferenceModel.objects.filter(name=name).first()
        if model is None:
            return None
        at_home = model.kind == "paper" and model.home == self.home.track_id
        return Entrant(self.home, model.title, name, {}, (), Submission.Origin.PAPER if at_home else origin)

    def identity(self, claim: Claim, name: str) -> Identity | None:
        """What a name of a check stands for; None for a submission, and for what is not installed any more."""
        entrant = self.entrant(claim, name)
        if entrant is None:
            return None
        try:
            entry = check_entry(_sent(entrant), self.home)
        except Refusal:
            return None
        return Identity(entry.model, _identity(entry.model, entry.config, entry.slices))

    def order(self, check_text: str, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
        """A claim as the judging process takes it, but for its id."""
        slices = [part["slug"] for part in self.board.track.spec["slices"]]
        entries = {
            name: {"columns": str(storage.path(each.columns_sha256)), "slices": entered(each, slices)}
            for name, each in evaluations.items()
        }
        return {"check": check_text, "entries": entries}

    def _newest_of(self, claim: Claim, name: str) -> Evaluation | None:
        if name.startswith(SUBMISSION):
            return self._newest_of_submission(name.removeprefix(SUBMISSION))
        identity = self.identity(claim, name)
        return self.newest.get(identity.text) if identity else None

    def _newest_of_submission(self, key: str) -> Evaluation | None:
        """Of a public submission of the board itself."""
        try:
            submission = UUID(key)
        except ValueError:
            return None
        found = Evaluation.objects.filter(
            submission=submission,
            submission__board=self.board,
            submission__visibility=Submission.Visibility.PUBLIC,
            submission__board__in=_unveiled(),
            state=State.SUCCEEDED,
            track_version=self.board.track.version,
        )
        return found.select_related("submission").defer("log").order_by("-number").first()


def _unveiled() -> QuerySet[Board]:
    """Boards that hide no results, or no longer do."""
    shown = Q(revealed_at__isnull=False) | Q(public_share=None, shows=Board.Shows.ALL)
    return Board.objects.filter(shown).order_by().only("pk")


def succeeded(home: Board) -> QuerySet[Evaluation]:
    """The system's results on a default board under the present version of its track."""
    return Evaluation.objects.filter(
        submission__board=home,
        submission__user__is_system=True,
        state=State.SUCCEEDED,
        track_version=home.track.version,
    )


def entered(evaluation: Evaluation, spec_slices: Iterable[str]) -> list[str]:
    """The slices that were entered, and not filled with a baseline."""
    filled = evaluation.result.get("filled") or {}
    return [slug for slug in spec_slices if slug not in filled]


def _sent(entrant: Entrant) -> Sent:
    return Sent(entrant.name, Submission.Kind.CONFIG, entrant.model, entrant.config, list(entrant.slices), "", "public", False)


def identity_of(submission: Submission) -> Identity | None:
    """What a submission of a config is; None for one of any other kind."""
    if submission.kind != Submission.Kind.CONFIG:
        return None
    return Identity(submission.model, _identity(submission.model, submission.config, submission.slices))


def _identity(model: str, config: object, slices: Iterable[str]) -> str:
    return json.dumps([model, config, list(slices)], sort_keys=True)
