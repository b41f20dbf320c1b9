"""What a board ranks by: the metric, who counts, who is eligible. The host chooses in the admin; the board states it in words.
Small objects over plain values, called by placing, settling, reading and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from evaluators.ordering import HEAD, Direction
from leaderboard.boards.closing import hides, part_in_force
from leaderboard.boards.models import Board
from leaderboard.submissions.models import Submission


@dataclass(frozen=True)
class Policy:
    """The rule of one board. `metric` is a metric of the track's spec, or a combination of them. `part`: of which part of the
    test the scores are that rank. `measure`: what results must have been measured under (`Board.measure`). `ladder`: only what
    the Ladder has announced is ranked."""

    metric: Mapping[str, Any]
    counts: Literal["submission", "competitor"] = "submission"
    eligible: Literal["all", "complete", "public"] = "all"
    part: Literal["", "public", "private"] = ""
    measure: str = ""
    ladder: bool = False

    @property
    def direction(self) -> Direction:
        """What is better."""
        return cast("Direction", self.metric["direction"])

    @property
    def sign(self) -> float:
        """Turns values into merits, of which more is better."""
        return 1.0 if self.direction == "max" else -1.0

    @property
    def text(self) -> str:
        """What standings that were made under this policy are marked with."""
        words = [self.metric["name"], self.direction, self.counts, self.eligible, self.part, self.measure]
        return " ".join(word for word in [*words, "ladder" if self.ladder else ""] if word)

    @property
    def tests_head(self) -> bool:
        """Facts (a number of parameters) are known exactly: there is nothing to test."""
        return bool(self.metric["estimator"] != "fact")

    def objection(self, *, origin: str, visibility: str, filled: Mapping[str, str] | None) -> str:
        """Why a submission is shown without a rank; empty if it is ranked. Baselines always are: they give the scale."""
        if origin == Submission.Origin.BASELINE:
            return ""
        if self.eligible == "complete" and filled:
            return f"this board ranks complete entries only, and baselines stand in for it on {', '.join(sorted(filled))}"
        if self.eligible == "public" and visibility != Submission.Visibility.PUBLIC:
            return "this board ranks public submissions only"
        return ""

    def words(self) -> list[str]:
        """The rule as sentences for competitors."""
        better = "more" if self.direction == "max" else "less"
        sentences = [
            f"{self.metric['title']} orders the board; {better} is better.",
            "Your rank is 1 + the number of submissions that are significantly better than yours.",
            "Those that cannot be told apart share a rank, and stand in the order of their values, then of their arrival.",
        ]
        if self.tests_head:
            sentences.append(
                f"The best {HEAD} are compared pair by pair on the same test examples, with Holm's correction at 5 %. "
                "Below them, one is better than another where their 95 % intervals, made wider by a quarter, do not touch."
            )
        else:
            sentences.append("This metric is known exactly, so every difference counts.")
        return [*sentences, *self._who_counts()]

    def _who_counts(self) -> list[str]:
        counts = {
            "submission": "Every submission counts.",
            "competitor": "The best submission of each competitor counts.",
        }[self.counts]
        eligible = {
            "all": "Baselines stand here for scale.",
            "complete": "Only submissions that enter every slice themselves are ranked; baselines always are.",
            "public": "Only public submissions are ranked; baselines always are.",
        }[self.eligible]
        return [counts, eligible]


def policy_of(board: Board) -> Policy:
    """What the board's host chose, or the defaults. Uses `board.track`."""
    return Policy(
        metric=board.metric,
        counts=cast("Literal['submission', 'competitor']", board.counts),
        eligible=cast("Literal['all', 'complete', 'public']", board.eligible),
        part=cast("Literal['', 'public', 'private']", part_in_force(board)),
        measure=board.measure,
        ladder=board.ladder and hides(board),
    )
