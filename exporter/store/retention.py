"""Deletes old records: never because of one reading of a clock, never many at once, and always logged."""

import logging
import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from exporter.store import Store, StoreError

log = logging.getLogger(__name__)

FIRST_AFTER = timedelta(hours=2)
"""How long the clock must have gone evenly before anything is deleted: since the start, or since it last jumped."""
EVERY = timedelta(hours=6)
CLEAN_EVERY = timedelta(days=1)
SHARE = 0.1
"""Of the records of a type, the most that one round deletes."""
UNEVEN = timedelta(minutes=10)
"""How far two readings may differ from the time that passed between them: clocks are set, by a little."""


class Retention:
    """Deletes old records of a store, in rounds. `seconds`: a clock that nobody sets."""

    def __init__(self, store: Store, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store, self._seconds = store, seconds
        self._first: tuple[datetime, float] | None = None
        self._last_round: float | None = None
        self._cleaned: float | None = None

    def round(self, at: datetime, longest: timedelta) -> int:
        """Deletes what is older than `kept`, if it is time for it; returns how many records that were."""
        passed = self._seconds()
        if not self._steady(at, passed):
            return 0
        if self._last_round is not None and passed - self._last_round < EVERY.total_seconds():
            return 0
        self._last_round = passed
        reached = self._store.reached(at)
        if reached is None:
            return 0
        before = reached - longest
        deleted = self._store.retain(before, SHARE)
        if deleted:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(deleted.items()))
            log.info("deleted records older than %s: %s", f"{before:%Y-%m-%d %H:%M} UTC", counts)
        return sum(deleted.values())

    def clean(self) -> None:
        """Writes the file anew once a day, where something was deleted: a deleted row is not to be read in it."""
        passed = self._seconds()
        if self._cleaned is not None and passed - self._cleaned < CLEAN_EVERY.total_seconds():
            return
        try:
            if self._store.rewrite():
                self._cleaned = passed
                log.info("rewrote the store's file without the deleted records")
        except StoreError as error:
            self._cleaned = passed  # a full disk is not tried every minute
            log.warning("deleted records can still be read in the store's file: %s", error)

    def _steady(self, at: datetime, passed: float) -> bool:
        """Whether the clock has gone evenly for long enough."""
        if self._first is None:
            self._first = at, passed
        # Once steady, only the last hours are looked at: a clock that is a little fast drifts away in months.
        began_at, began = self._first
        went = (at - began_at).total_seconds()
        if not math.isclose(went, passed - began, abs_tol=UNEVEN.total_seconds()):
            jumped = timedelta(seconds=round(went - (passed - began)))
            log.warning("the clock jumped by %s; no records are deleted for %s", jumped, FIRST_AFTER)
            self._first = at, passed
            return False
        if passed - began > EVERY.total_seconds():
            self._first = at - FIRST_AFTER, passed - FIRST_AFTER.total_seconds()
        return passed - began >= FIRST_AFTER.total_seconds()
