"""Polls every source: interval, back-off, cursor, and logging once.

There is one task for each source; a failing one never affects the others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random

from exporter.base.errors import Partial
from exporter.collect.account import Accounts
from exporter.collect.poll import Outcome, Progress, Show, poll_once, watch
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.collect.status import status
from exporter.store import Store
from exporter.store.status import SourceStatus

logger = logging.getLogger("exporter.poll")

SHORTEST_WAIT_SECONDS = 1.0
FIRST_BACK_OFF_SECONDS = 15.0
LONGEST_BACK_OFF_SECONDS = 300.0  # or the interval, where that is longer
AFTER_REFUSAL_SECONDS = 900.0  # going on with a refused credential may lock the account
LONGEST_OBEYED_SECONDS = 86400.0  # a platform that says "not before next year" is mistaken
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LastPoll:
    """How the last poll of a source went, and when the next is due. `reason` is None if it read everything."""

    reason: str | None
    text: str
    next_at: datetime


class Poller:
    """Keeps every source polled. `clock` and `sleep` are passed in so that tests need not wait.

    `read_once` is called when the last source that was still to be read completely has been.
    """

    def __init__(
        self,
        store: Store,
        health: Health,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random,
        show: Show | None = None,
        read_once: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._health = store, health
        self._clock, self._sleep, self._jitter, self._show = clock, sleep, jitter, show
        self._read_once, self._incomplete = read_once, set[str]()
        self._tasks: dict[str, tuple[Source, asyncio.Task[None]]] = {}
        self._last: dict[str, LastPoll] = {}
        self._progress: dict[str, Progress] = {}
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._accounts = Accounts()

    async def apply(self, sources: Sequence[Source]) -> None:
        """Polls these sources from now on; one whose config did not change is not interrupted."""
        wanted = {source.name: source for source in sources}
        ending = [name for name, (source, _) in self._tasks.items() if wanted.get(name) != source]
        await self._end([self._tasks.pop(name)[1] for name in ending])
        self._accounts.keep([(source.http.url, source.http.auth) for source in sources])
        for name in set(ending) - set(wanted):
            self._health.sources.forget(name)
            self._last.pop(name, None)
            self._progress.pop(name, None)
        self._incomplete -= set(ending)
        for name, source in wanted.items():
            if name not in self._tasks:
                watch(self._health, source)
                self._incomplete.add(name)
                self._tasks[name] = source, asyncio.create_task(self._keep_polled(source), name=f"poll {name}")

    async def stop(self) -> None:
        """Stops polling. A page being stored is completed; the rest is fetched after the next start."""
        await self._end([task for _, task in self._tasks.values()])
        self._tasks.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._accounts.settle(), STOP_SECONDS)
        self._writer.shutdown(wait=False, cancel_futures=True)

    def statuses(self, at: datetime) -> list[SourceStatus]:
        """The status of every source at a time. May be called from any thread."""
        return [status(source, self._store, at) for source, _ in list(self._tasks.values())]

    def last_poll(self, source: str) -> LastPoll | None:
        """How the last poll of a source went; None before its first has ended. May be called from any thread."""
        return self._last.get(source)

    def progress(self, source: str) -> Progress | None:
        """How far the first sync of a source is; None where it has not begun. May be called from any thread."""
        return self._progress.get(source)

    def _show_progress(self, step: Progress) -> None:
        self._progress[step.source] = step
        if self._show:
            self._show(step)

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    async def _keep_polled(self, source: Source) -> None:
        failures, told = 0, ""
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            outcome = await poll_once(
                source,
                self._store,
                self._health,
                self._clock(),
                show=self._show_progress,
                writer=self._writer,
                accounts=self._accounts,
            )
            self._completed(source.name, outcome)
            failures = failures + 1 if outcome.reason else _well_again(source, failures)
            wait = self._wait(source, outcome, failures, clock() - began)
            if failures == 1 or (outcome.reason == Partial.reason and outcome.text != told):
                logger.warning(
                    "source %s: %s: %s; trying again in %.0f s", source.name, outcome.reason, outcome.text, wait
                )
            told = outcome.text
            self._last[source.name] = LastPoll(outcome.reason, told, self._clock() + timedelta(seconds=wait))
            await self._sleep(wait)

    def _completed(self, name: str, outcome: Outcome) -> None:
        if outcome.complete and name in self._incomplete:
            self._incomplete.remove(name)
            if not self._incomplete:
                self._read_once()

    def _wait(self, source: Source, outcome: Outcome, failures: int, took: float) -> float:
        """Seconds until the next poll, with up to a tenth more, so that sources do not poll in step."""
        interval = source.interval_seconds
        longest = max(LONGEST_BACK_OFF_SECONDS, interval)
        back_off = min(longest, FIRST_BACK_OFF_SECONDS * 2 ** min(failures - 1, 10))
        asked_for = (
            min(LONGEST_OBEYED_SECONDS, (outcome.until - self._clock()).total_seconds()) if outcome.until else 0.0
        )
        if outcome.reason in (None, Partial.reason):
            wait = interval - took
        elif outcome.reason == "auth":
            wait = max(AFTER_REFUSAL_SECONDS, interval)
        elif outcome.reason == "rate_limited" and outcome.records:
            wait = asked_for  # a long first sync comes in portions, as fast as the platform allows
        else:
            wait = max(back_off, asked_for)
        return max(SHORTEST_WAIT_SECONDS, wait) * (1 + self._jitter() / 10)


def _well_again(source: Source, failures: int) -> int:
    if failures:
        logger.info("source %s: healthy again after %d failed polls", source.name, failures)
    return 0
