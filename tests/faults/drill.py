"""A drill: the stream runs, faults happen one after another, and after each the deployment has to recover."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from tests.faults import checks
from tests.faults.faults import FAULTS
from tests.faults.stand import Stand
from tests.faults.stream import Stream
from tests.services import wait_until

PATIENCE_SECONDS = 60.0
"""The bound that docs/reliability.md states. What was measured stands there too."""


@dataclass
class Drill:
    """One run over one stand. `recoveries`: seconds from the end of a fault's cause until all that was posted is final."""

    stand: Stand
    seed: int
    stream: Stream = field(init=False)
    memory: checks.Memory = field(default_factory=checks.Memory)
    recoveries: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stream = Stream(self.stand, self.seed)

    def begin(self) -> None:
        self.stand.start()
        self.stream.start()
        wait_until(lambda: len(self.memory_of_first()) > 0, seconds=90, what="the first result is in")

    def memory_of_first(self) -> list[dict[str, object]]:
        return self.stand.rows("SELECT 1 FROM evaluations_evaluation WHERE state = 'succeeded' LIMIT 1")

    def do(self, kind: str, number: int = 0) -> float:
        """One fault, at moments that (seed, kind, number) decides; seconds of recovery."""
        try:
            FAULTS[kind](self.stand, random.Random(f"{self.seed} {kind} {number}"))
            over = time.monotonic()
            before = list(self.stream.posted)
            wait_until(
                lambda: checks.all_final(self.stand, before), seconds=PATIENCE_SECONDS,
                what="everything that was posted before the fault is over",
            )  # fmt: skip
            took = time.monotonic() - over
            checks.at_any_time(self.stand, self.memory)
            assert self.stream.unexpected == []
        except Exception as error:
            error.add_note(
                f"seed {self.seed}, fault {kind!r} number {number}\n{checks.not_over(self.stand)}\n{self.stand.server.logs()}"
            )
            raise
        self.recoveries.append((kind, took))
        return took

    def end(self) -> None:
        """Stop the stream, let everything come to rest, and look at all of it."""
        self.stream.stop()
        try:
            checks.at_rest(self.stand, self.stream, self.memory)
        except Exception as error:
            error.add_note(f"seed {self.seed}, after {[kind for kind, _ in self.recoveries]}\n{self.stand.server.logs()}")
            raise
