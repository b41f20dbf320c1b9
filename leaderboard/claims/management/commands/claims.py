"""manage.py claims: the ledger, and with --run everything that it takes to fill it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from leaderboard.boards.models import Track
from leaderboard.claims import following, judging, ledger
from leaderboard.claims.catalogue import sync_claims
from leaderboard.claims.evidence import Bench
from leaderboard.claims.process import JudgingError
from leaderboard.claims.submitting import submit_missing
from leaderboard.evaluations.models import Evaluation, State

POOL = "cpu"
PRINTED_WIDTH = 160
WRITERS = {".md": ledger.as_markdown, ".json": ledger.as_json}
COLORS = {"holds": "green", "does not hold": "red", "undecided": "yellow"}


class Command(BaseCommand):
    """Can be stopped at any time: what was done stays, and the next call goes on from there."""

    help = "Print what papers claim and what the evaluations say of it; --run evaluates what is missing first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", action="store_true", help="submit what has no result, wait for it, and judge")
        parser.add_argument("--family", help="only the claims of this family, such as graph_nodes")
        parser.add_argument("--jobs", type=int, default=0, help="with --run: start a worker with so many processes")
        parser.add_argument("--out", action="append", default=[], type=Path, help="write the ledger too: FILE.md or FILE.json")

    def handle(self, *args: Any, run: bool, family: str | None, jobs: int, out: list[Path], **options: Any) -> None:
        del args, options
        # A file or a pipe has no width of its own, and 80 columns would cut the words of the table.
        self.console = Console(file=self.stdout, width=None if self.stdout.isatty() else PRINTED_WIDTH)  # type: ignore[arg-type]
        _check(family=family, out=out, jobs=jobs)
        call_command("sync_catalogue", stdout=self.stdout)
        for line in sync_claims():
            self.stdout.write(line)
        if run:
            self._run(family=family, jobs=jobs)
        try:
            judging.judge_all(family=family)
        except JudgingError as error:
            raise CommandError(str(error)) from error
        found = ledger.read_ledger(family=family)
        self._print(found)
        for path in out:
            path.write_text(WRITERS[path.suffix](found), encoding="utf-8")
            self.stdout.write(f"written to {path}")

    def _run(self, *, family: str | None, jobs: int) -> None:
        """Submit what is missing, and wait until it was evaluated."""
        submitted = submit_missing(family=family)
        for name, why in submitted.refused.items():
            self.stderr.write(f"not queued {name}: {why}")
        waiting = following.waiting(Bench(board) for board in judging.boards_with_claims(family=family))
        if not waiting:
            self.stdout.write("every entrant has a result")
            return
        with _workers(jobs):
            following.follow(waiting, console=self.console)
        for failed in Evaluation.objects.filter(pk__in=waiting, state=State.FAILED).select_related("submission"):
            self.stderr.write(f"{failed.submission.name} failed: {failed.failure_message}")

    def _print(self, found: ledger.Ledger) -> None:
        table = Table("paper", "system", "verdict", "effect", "95 % interval", "p", "corrected", "more seeds")
        for line in found.lines:
            color = COLORS.get(line.verdict, "dim")
            table.add_row(
                line.paper,
                line.system,
                f"[{color}]{line.verdict}[/]",
                ledger.number(line.effect, sign=True),
                ledger.interval(line.ci_low, line.ci_high),
                ledger.probability(line.p),
                ledger.probability(line.p_adjusted),
                str(line.more_seeds or ""),
            )
        self.console.print(table)
        self.stdout.write(f"{len(found.lines)} claims: {ledger.words_of(found.lines)}")


def _workers(jobs: int) -> AbstractContextManager[None]:
    """Raises CommandError where nobody would ever evaluate."""
    if jobs:
        return following.own_workers(pool=POOL, jobs=jobs)
    if not following.is_served(POOL):
        raise CommandError(
            f'what is missing was queued, but no worker serves the pool "{POOL}": give --jobs N to start one here, or start '
            f"`manage.py worker --pool {POOL}` and `manage.py scheduler`"
        )
    return nullcontext()


def _check(*, family: str | None, out: list[Path], jobs: int) -> None:
    """Raises CommandError for what could only fail after hours of work."""
    families = sorted(set(Track.objects.values_list("family", flat=True)))
    if family and families and family not in families:
        raise CommandError(f'there is no family "{family}": {", ".join(families)}')
    if jobs < 0:
        raise CommandError("--jobs is a count of processes: 1 or more")
    for path in out:
        if path.suffix not in WRITERS:
            raise CommandError(f"{path}: the ledger is written as {' or '.join(WRITERS)}")
        if not path.absolute().parent.is_dir():
            raise CommandError(f"{path}: there is no folder {path.absolute().parent}")
