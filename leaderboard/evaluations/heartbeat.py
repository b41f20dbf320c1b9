"""The thread that every pool process has beside its work: it renews the lease, hears orders (cancelled, lease lost, worker
stops) and turns them into one event, and says that the process is alive."""

from __future__ import annotations

import logging
import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from django.conf import settings
from django.db import Error, connections

from evaluators.runtime.jobs import Event
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.lifecycle import Lease, Orders

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.4
"""How often a running evaluation's row is read for orders, and so how long a cancel takes at most to be heard."""

LEAVE_SECONDS = 3.0
"""How long after the order to drop its evaluation a stopping process may take to do so. Models are killed at once; this is for
a process that loads or scores, or waits for something: it hands the evaluation back and ends without waiting for that."""


class Why(Enum):
    """Why an evaluation is to be dropped."""

    CANCELLED = "cancelled"
    LOST = "lease lost"
    STOPPING = "worker stops"


class Hold:
    """One leased evaluation in the hands of this process. `cancel` is set when it is to be dropped; `why` says why. `writing`:
    its outcome is known, and on its way to the database."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.cancel = threading.Event()
        self.why: Why | None = None
        self.stage, self.progress = "", 0.0
        self.stored_stage = ""
        self.writing = False
        self.renewed()

    def renewed(self) -> None:
        """The lease was written now."""
        self.renewed_at = time.monotonic()
        self.stored_stage = self.stage

    def report(self, event: Event) -> None:
        """Take the runtime's progress; the next heartbeat stores it."""
        self.stage, self.progress = event.stage, event.progress

    def drop(self, why: Why) -> None:
        """Make the runtime kill its processes. The first reason counts."""
        self.why = self.why or why
        self.cancel.set()


class Heartbeat(threading.Thread):
    """beat: called every HEARTBEAT_SECONDS, says that the process is alive. leave: ends the process. stop_descriptor: readable
    once the worker is asked to stop; from then on an evaluation has STOP_GRACE_SECONDS to finish before it is handed back."""

    def __init__(self, *, beat: Callable[[], None], leave: Callable[[], None], stop_descriptor: int) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._beat, self._leave = beat, leave
        self._stop_descriptor = stop_descriptor
        self._stop_at: float | None = None
        self._beat_at = 0.0
        self._hold: Hold | None = None
        self._ended = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[Hold]:
        """Keep a lease alive while the block runs."""
        hold = Hold(lease)
        self._hold = hold
        self._wake()
        try:
            yield hold
        finally:
            self._hold = None

    def end(self) -> None:
        """Stop the thread and wait for it."""
        self._ended = True
        self._wake()
        self.join(timeout=5)

    def run(self) -> None:
        """One turn each LOOK_SECONDS while something is held, each HEARTBEAT_SECONDS otherwise."""
        try:
            while not self._ended:
                try:
                    self._turn(self._hold)
                except Error as error:
                    logger.warning("heartbeat: the database is away: %s", error)
                    connections.close_all()
                except Exception:  # a thread that ended would cost the lease of everything that runs here
                    logger.exception("heartbeat: a turn failed")
                self._sleep(LOOK_SECONDS if self._hold else settings.HEARTBEAT_SECONDS)
        finally:
            connections.close_all()

    def _turn(self, hold: Hold | None) -> None:
        if hold is not None:
            self._watch_the_time(hold)
            self._hear(hold, self._orders(hold))
        if time.monotonic() - self._beat_at >= settings.HEARTBEAT_SECONDS:
            self._beat()
            self._beat_at = time.monotonic()

    def _watch_the_time(self, hold: Hold) -> None:
        """Before the database is asked, which may be away: a worker stops in time all the same."""
        late = time.monotonic() - (self._stop_at or math.inf)
        if late >= 0:
            hold.drop(Why.STOPPING)
        if late >= LEAVE_SECONDS and not hold.writing:
            self._hand_back_and_leave(hold)

    def _hand_back_and_leave(self, hold: Hold) -> None:
        logger.warning("evaluation %s does not end: it is handed back as it is", hold.lease.evaluation_id)
        try:
            lifecycle.give_back(hold.lease, reason="its worker stopped")
        finally:
            self._leave()

    @staticmethod
    def _hear(hold: Hold, orders: Orders) -> None:
        if not orders.keep:
            hold.drop(Why.LOST)
        elif orders.cancel:
            hold.drop(Why.CANCELLED)

    @staticmethod
    def _orders(hold: Hold) -> Orders:
        """A new stage is stored at once, progress with the heartbeat; in between the row is only read."""
        due = time.monotonic() - hold.renewed_at >= settings.HEARTBEAT_SECONDS
        if not due and hold.stage == hold.stored_stage:
            return lifecycle.look(hold.lease)
        orders = lifecycle.renew(hold.lease, stage=hold.stage, progress=hold.progress)
        if orders.keep:
            hold.renewed()
        return orders

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            return  # it is awake already

    def _sleep(self, seconds: float) -> None:
        listening = [self._wake_read] if self._stop_at else [self._wake_read, self._stop_descriptor]
        readable, _, _ = select.select(listening, [], [], seconds)
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
        if self._stop_descriptor in readable:
            self._stop_at = time.monotonic() + settings.STOP_GRACE_SECONDS
