"""Who sees which scores of a board, and of which part of its test. Every reader of scores, ranks, columns and curves asks here:
the pages, the API, exports and comparisons. A board that hides nothing costs no query, any other at most four.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaderboard.boards.closing import hides, part_in_force
from leaderboard.boards.models import Board
from leaderboard.permissions import Reader, Viewer, reader_of
from leaderboard.refusals import FieldError, InvalidRequest, NotAllowed
from leaderboard.standings.models import Part
from leaderboard.submissions.models import Submission

PARTS = (Part.PUBLIC, Part.PRIVATE, Part.WHOLE)


class Level(Enum):
    """How much somebody sees of one result."""

    EVERYTHING = "everything"
    ANNOUNCED = "announced"  # what the Ladder says of it, and nothing else
    NOTHING = "nothing"


@dataclass(frozen=True)
class Sight:
    """What one viewer sees of the results of one board. part: of which part of the test. whose: "all", "own" or "nothing".
    insider: the board hides something still, and the viewer, a host or an administrator, sees all of it."""

    part: str
    whose: str
    ladder: bool
    insider: bool
    reader: Reader | None

    def level(self, *, user_id: int, team_id: int | None, origin: str) -> Level:
        """How much of the result of a submission of this competitor. Baselines and papers are tries of nobody."""
        if self.whose == Board.Shows.NOTHING:
            return Level.NOTHING
        if self.whose == Board.Shows.OWN and origin != Submission.Origin.BASELINE and not self._owns(user_id, team_id):
            return Level.NOTHING
        return Level.ANNOUNCED if self.ladder and origin == Submission.Origin.PERSON else Level.EVERYTHING

    def of(self, submission: Submission) -> Level:
        """How much of the result of this submission."""
        return self.level(user_id=submission.user_id, team_id=submission.team_id, origin=submission.origin)

    def _owns(self, user_id: int, team_id: int | None) -> bool:
        return self.reader is not None and self.reader.owns(user_id, team_id)

    @property
    def sees_ranks(self) -> bool:
        """A rank among all says something of everybody's scores."""
        return self.whose == Board.Shows.ALL


def sight_of(board: Board, viewer: Viewer, *, part: str | None = None) -> Sight:
    """What the viewer sees of the board now.

    part: another part of the test than the one that is in force: for insiders, and for everybody once the board has been
    revealed. Raises InvalidRequest for a part that the board does not have, NotAllowed for one that is hidden.
    """
    reader = reader_of(viewer, board) if hides(board) else None
    insider = reader is not None and reader.sees_hidden
    hidden = reader is not None and not insider
    return Sight(
        part=_part(board, part, hidden=hidden),
        whose=board.shows if hidden else Board.Shows.ALL,
        ladder=board.ladder and hidden,
        insider=insider,
        reader=reader,
    )


def _part(board: Board, asked: str | None, *, hidden: bool) -> str:
    in_force = part_in_force(board)
    if asked is None or asked == in_force:
        return in_force
    if board.public_share is None:
        raise _wrong_part(f'"{board.title}" keeps no part of its test back, so it has no part "{asked[:20]}"')
    if asked not in PARTS:
        raise _wrong_part(f'part cannot be "{asked[:20]}"; it may be {", ".join(PARTS)}')
    if hidden:
        raise NotAllowed(f'until "{board.title}" closes, results on the public part of its test are all that is shown')
    return asked


def _wrong_part(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=(FieldError("part", "not_a_choice", detail),))


def hidden_because(board: Board, level: Level) -> str:
    """One sentence for a result that is not shown in full; empty for one that is."""
    if level is Level.EVERYTHING:
        return ""
    if level is Level.ANNOUNCED:
        return f"until {board.title} closes, only the {board.metric['title']} that the Ladder has announced is shown"
    whose = "only your own scores and those of baselines are" if board.shows == Board.Shows.OWN else "no scores are"
    return f"until {board.title} closes, {whose} shown"


def hidden_rows(board: Board, sight: Sight) -> str:
    """One sentence for a table in which something is hidden from the viewer; empty where nothing is."""
    if sight.whose == Board.Shows.ALL and not sight.ladder:
        return ""
    level = Level.ANNOUNCED if sight.whose == Board.Shows.ALL else Level.NOTHING
    return hidden_because(board, level)


def check_sees(board: Board, sight: Sight, submission: Submission) -> None:
    """Raises NotAllowed unless the viewer sees everything of the submission's result."""
    level = sight.of(submission)
    if level is not Level.EVERYTHING:
        raise NotAllowed(hidden_because(board, level))


BEFORE = (
    "Until the board closes, a public part of the test decides: about {share} of its units, drawn by a secret key. "
    "Everything that is shown comes from them."
)
THEN = (
    "The final ranks are by the other units, the private part. They are shown when the board has closed and everything that "
    "was sent in time has been evaluated."
)
AFTER = (
    "Ranks are by the private part of the test. Until {moment} UTC they were by the public part, about {share} of the test "
    "units; the public rank of that moment stands beside the final one."
)
LADDER = (
    "The public score of a submission is shown, and ranked, only if it beats the best of its competitor's others by more than "
    "chance (the Ladder of Blum & Hardt, 2015)."
)
SHOWS = {
    Board.Shows.OWN: "Until the board closes, each competitor sees own scores and those of baselines; its host sees all.",
    Board.Shows.NOTHING: "Until the board closes, nobody but its host sees scores.",
}


def words_of(board: Board) -> list[str]:
    """What is hidden until when, and what ranks before and after, as sentences for competitors."""
    sentences = []
    if board.public_share is not None:
        share = f"{100 * board.public_share:.3g} %"
        if board.revealed_at is None:
            sentences += [BEFORE.format(share=share), THEN]
        else:
            sentences.append(AFTER.format(share=share, moment=f"{board.revealed_at:%Y-%m-%d %H:%M}"))
    if hides(board):
        sentences += [SHOWS[Board.Shows(board.shows)]] if board.shows in SHOWS else []
        sentences += [LADDER] if board.ladder else []
    return sentences
