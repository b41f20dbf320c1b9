"""What those who answer for a submission do with it: cancel, evaluate again, withdraw. What a host or an administrator does to
somebody else's submission is written into the audit log, in the same transaction. Called by the API and the pages."""

from __future__ import annotations

from django.db import transaction

from leaderboard.audit.recording import Actor, Values, record
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.models import Evaluation
from leaderboard.permissions import check_answers_for, owns
from leaderboard.refusals import Gone, NotAllowed
from leaderboard.submissions import intake, withdrawing
from leaderboard.submissions.models import Submission


def cancel(submission: Submission, *, actor: Actor) -> Evaluation:
    """Cancel the newest evaluation. Raises NotAllowed, and Conflict where it is over."""
    check_answers_for(actor.user, submission)
    with transaction.atomic():
        newest = submission.evaluations.order_by("-number").first()
        if newest is None:
            raise Gone("this submission was withdrawn")
        after = lifecycle.cancel(newest, by=actor.title)
        _note(actor, "submission.cancel", submission, before=_state(newest), after=_state(after))
    return after


def evaluate_again(submission: Submission, *, actor: Actor) -> Evaluation:
    """Queue one more evaluation, as `intake.evaluate_again` does."""
    if actor.user is None:
        raise NotAllowed("only a person may ask for an evaluation")
    with transaction.atomic():
        evaluation = intake.evaluate_again(submission, actor.user)
        _note(actor, "submission.evaluate_again", submission, after=_state(evaluation))
    return evaluation


def withdraw(submission: Submission, *, actor: Actor, reason: str = "") -> bool:
    """Withdraw it, as `withdrawing.withdraw` does; whether it was there until now."""
    with transaction.atomic():
        done = withdrawing.withdraw(submission, actor.user, reason=reason)
        if done:
            _note(actor, "submission.withdraw", submission, after={"reason": reason})
    return done


def _note(actor: Actor, action: str, submission: Submission, *, before: Values | None = None, after: Values) -> None:
    """Without the submission's name: that goes when it is withdrawn, and the log stays."""
    if not owns(actor.user, submission):
        record(
            actor, action, submission, board=submission.board, before=before, after=after, name=f"submission {submission.pk}"
        )


def _state(evaluation: Evaluation) -> Values:
    return {"evaluation": evaluation.number, "state": evaluation.state, "cancel_requested": evaluation.cancel_requested}
