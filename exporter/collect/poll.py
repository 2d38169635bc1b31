"""One poll of a source: its pages into the store, each while the next is fetched, and what it has to say."""

import asyncio
import logging
import traceback
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar, TypeVarTuple

from exporter.base.clock import BEGINNING
from exporter.base.errors import NotUnderstood, Partial, RateLimited, SourceError, StartOver, Unavailable
from exporter.collect import mapping
from exporter.collect.account import Accounts
from exporter.collect.contract import Cursor, Page, needs
from exporter.collect.http import Client
from exporter.collect.memory import Memory
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.collect.status import unmapped
from exporter.records import Json, record_name
from exporter.records.unreadable import LeftOut, key_of
from exporter.store import Store, StoreError
from exporter.store.left_out import Noted
from exporter.store.state import Ready

Given = TypeVarTuple("Given")
R = TypeVar("R")
logger = logging.getLogger("exporter.poll")

MOST_WAITING = 5_000  # records fetched and not yet stored


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a poll. `reason` is None if it read everything."""

    records: int = 0
    changed: int = 0
    reason: str | None = None
    text: str = ""
    until: datetime | None = None  # not to be asked again before
    complete: bool = False  # the first sync has ended, with this poll or an earlier one


@dataclass(frozen=True, slots=True)
class PollLimits:
    """Limits that no sensible poll exceeds, and how much of it waits to be stored together."""

    pages: int = 1_000_000
    items: int = 200_000_000
    seconds: float = 86400.0
    first_seconds: float = 7 * 86400.0  # a first sync may take long
    together: int = 2_000  # records that are worth a transaction, which costs the same whatever it holds
    together_seconds: float = 1.0  # for which a page waits for others


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a first full sync; `expected` is None if the platform does not say."""

    source: str
    records: int
    expected: int | None


Show = Callable[[Progress], None]
LIMITS = PollLimits()


async def poll_once(
    source: Source,
    store: Store,
    health: Health,
    at: datetime,
    *,
    show: Show | None = None,
    writer: Executor | None = None,
    limits: PollLimits = LIMITS,
    accounts: Accounts | None = None,
) -> Outcome:
    """Polls a source once, beginning at `at`. Errors are in the outcome; only cancellation is raised.

    `accounts`: what the sources of one account share, and their polls.
    """
    watch(health, source)
    clock = asyncio.get_running_loop().time
    began = clock()
    poll = _Poll(source, store, health, at, show=show, writer=writer, limits=limits, accounts=accounts)
    # What could not be read is told in any case.
    errors = [await _caught(work()) for work in (poll.run, *poll.reports)]
    error = next(filter(None, errors), None)
    took = clock() - began
    if error is None:
        health.sources.succeeded(source.name, at, took, complete=poll.complete, rereading=poll.rereading)
        return Outcome(poll.records, poll.changed, complete=poll.complete)
    reason, text = _fault(error)
    if isinstance(error, Partial):
        health.sources.partial(source.name, reason, at, took, complete=poll.complete, rereading=poll.rereading)
    else:
        health.sources.failed(source.name, reason, took)
    until = _until(error, at + timedelta(seconds=took))
    return Outcome(poll.records, poll.changed, reason, text, until, complete=poll.complete)


async def _caught(work: Awaitable[None]) -> Exception | None:
    """The error that a coroutine raises, or None."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - a fault in one source must not reach the others
        return error
    return None


def watch(health: Health, source: Source) -> None:
    """Creates the source's series in the metrics."""
    health.sources.watch(
        source.name,
        kind=source.type,
        interval_seconds=source.interval_seconds,
        max_data_age_seconds=source.max_data_age_seconds,
        records=[record_name(record_type) for record_type in source.records],
        columns=sorted(frozenset().union(*source.mapped.values())),
    )


def _fault(error: Exception) -> tuple[str, str]:
    """Reason and text. The text of an error that is not ours may quote what was read, so it is not repeated."""
    if isinstance(error, SourceError):
        return error.reason, str(error)
    if isinstance(error, StoreError):
        return "store", str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return "bug", f"unexpected {type(error).__name__} at {place.name}:{place.lineno}"


def _until(error: Exception, now: datetime) -> datetime | None:
    """The time before which the platform does not want another request."""
    if isinstance(error, RateLimited):
        return error.until
    return now + timedelta(seconds=error.delay) if isinstance(error, Unavailable) and error.delay else None


class _Waiting(NamedTuple):
    """A page that is fetched and not yet stored, with what was left out of it and what changed in the memory."""

    page: Page
    left_out: list[LeftOut]
    memory: Mapping[str, Json] | None


class _Poll:
    """One poll under way: a page is stored while the next is fetched."""

    def __init__(
        self,
        source: Source,
        store: Store,
        health: Health,
        at: datetime,
        *,
        show: Show | None,
        writer: Executor | None,
        limits: PollLimits,
        accounts: Accounts | None,
    ) -> None:
        self.source, self.store, self.metrics, self.at = source, store, health.sources, at
        self.show, self.writer, self.limits, self.accounts = show, writer, limits, accounts
        self.partial: Partial | None = None
        self.observer = health.sources.observer(source.name)
        self.records = self.changed = 0
        self.first, self.anew = True, False
        self.complete = self.rereading = False
        self.ready_since: datetime | None = None  # how far back a first sync has read
        self.swept = set[str]()  # records whose sweeps have ended
        self.expected: int | None = None
        self.waiting: deque[_Waiting] = deque()
        self.enough, self.all_read = asyncio.Event(), False  # what waits is to be stored at once; no page follows
        self.watermarks = health.sources.watermarks(source.name)

    async def run(self) -> None:
        source, at = self.source, self.at
        begin = partial(self.store.begin, revision=source.revision)
        state = await self._in_thread(begin, source.name, source.fingerprint, at)
        self.first, self.anew = not state.complete or state.rereading, state.anew
        self.complete, self.ready_since = state.complete, state.ready_since
        if state.rereading and self.metrics.first_rereading(source.name):
            text = (
                "source %s: a release corrected how its items are read; everything is read again, and"
                " the previous values stay published until then"
            )
            logger.warning(text, source.name)
        self.metrics.restored(
            source.name, complete=state.complete, rereading=state.rereading, last_success=state.last_success
        )
        if not self.watermarks:  # after a start; later they are kept in step page by page
            self.watermarks |= await self._in_thread(self.store.newest, source.name, at)
        self.metrics.read(source.name, {}, self.watermarks)
        since = at - timedelta(seconds=source.initial_history_seconds)
        client = source.client(at=at, since=since, observe=self.observer, accounts=self.accounts, memory=state.memory)
        seconds = self.limits.first_seconds if self.first else self.limits.seconds
        try:
            async with client, asyncio.timeout(seconds):
                await self._ask(client, state.cursor)
                self._report_lacking(client)
        except TimeoutError:
            raise NotUnderstood(f"the poll did not end within {seconds:g} s") from None
        # A first sync of several polls asked from different instants on: the last of them holds for all.
        # What is pushed is whole from when somebody began to listen.
        whole_since = BEGINNING if needs(source.connector).reads_all else at if source.door else since
        whole = self.ready_since is None or self.ready_since <= whole_since
        self.complete, self.rereading = state.complete or whole, state.rereading and not whole
        succeeded = partial(self.store.succeeded, whole=whole)
        await self._in_thread(succeeded, source.name, at, whole_since)
        if self.partial:
            raise self.partial

    @property
    def reports(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What is reported after the poll, however it ended."""
        return self.report_left_out, self.report_swept, self.report_unmapped

    async def report_left_out(self) -> None:
        """Reports what could not be read: in metrics, and once in the log."""
        summary = await self._in_thread(self.store.unread, self.source.name)
        if self.metrics.unread(self.source.name, summary):
            logger.warning("source %s: %s", self.source.name, summary.describe(self.source.noun))

    async def report_unmapped(self) -> None:
        """Reports how many records lack a label that the config fills."""
        found = await self._in_thread(unmapped, self.source, self.store)
        self.metrics.unmapped(self.source.name, found)

    async def report_swept(self) -> None:
        """Reports the result of sweeps: which records the platform no longer lists, and whether that is believed."""
        source = self.source
        sweeps = await self._in_thread(self.store.swept, source.name)
        self.metrics.swept(source.name, sweeps, ended=self.swept)
        for each in sweeps if self.swept else ():
            if each.record in self.swept and not each.believed:
                logger.warning(
                    "source %s: of %d stored records (%s) the platform no longer lists %d; none is deleted, because so"
                    " many at once suggest a fault or a withdrawn permission; if they were deleted there, run:"
                    " outcome-exporter erase --source %s",
                    source.name, each.expected, each.record, each.missed, source.name,
                )  # fmt: skip
            elif each.record in self.swept and each.deleted:
                text = "source %s: deleted %d records (%s), which the platform no longer lists"
                logger.info(text, source.name, each.deleted, each.record)

    async def _ask(self, client: Client, cursor: Cursor) -> None:
        """Reads and stores all pages from the cursor on, or from another cursor if the platform was reset."""
        source = self.source
        try:
            await self._store_all(source.connector.poll(client, source.options, cursor), client)
        except StartOver as why:
            self.anew = True
            await self._in_thread(self.store.start_over, source.name, why.cursor)
            client.memory = Memory(self.at, {})
            logger.warning("source %s: %s", source.name, why)
            self.metrics.started_over(source.name)
            await self._store_all(source.connector.poll(client, source.options, why.cursor), client)
        if client.given_up:
            text = "source %s: details of %d items stay unknown, because too many others wait for theirs"
            logger.warning(text, source.name, client.given_up)
        if client.failed_details and self.metrics.first_failed_details(source.name):
            text = "source %s: details of some items are unknown and will be requested again later: %s"
            logger.warning(text, source.name, client.failed_details[0])

    def _report_lacking(self, client: Client) -> None:
        """Logs once which resources the credential may not read."""
        for resource in self.metrics.lacking(self.source.name, client.lacking):
            why = client.lacking[resource]
            logger.warning("source %s: %s cannot be read, its values are unknown: %s", self.source.name, resource, why)

    async def _store_all(self, pages: AsyncIterator[Page], client: Client) -> None:
        storing: asyncio.Task[None] | None = None
        self.all_read = False
        self.enough.clear()
        async with aclosing(pages):  # type: ignore[type-var] # a connector's poll is an async generator
            try:
                async for page in self._bounded(pages):
                    self.waiting.append(_Waiting(page, client.left_out(), client.memory.changes()))
                    count = sum(len(each.page.reads) for each in self.waiting)
                    if count >= self.limits.together:
                        self.enough.set()
                    if storing is None or storing.done():
                        if storing:
                            storing.result()
                        storing = asyncio.create_task(self._store_waiting())
                    if count > MOST_WAITING:
                        await asyncio.shield(storing)
            except Partial as error:
                self.partial = error  # what could be read is stored like any other
            finally:
                # However this ends, what was fetched is stored, and no more is written when the next poll begins.
                self.all_read = True
                self.enough.set()
                if storing:
                    await asyncio.wait([storing])
        if storing:
            storing.result()

    async def _bounded(self, pages: AsyncIterator[Page]) -> AsyncIterator[Page]:
        """The pages; raises NotUnderstood if there are more than any sensible poll has."""
        count = items = 0
        async for page in pages:
            count, items = count + 1, items + len(page.reads)
            if count > self.limits.pages or items > self.limits.items:
                raise NotUnderstood(f"the poll did not end after {count:,} pages and {items:,} items")
            yield page

    async def _store_waiting(self) -> None:
        """Stores pages, all that wait in one transaction, so that storing never falls behind."""
        while self.waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.together_seconds):
                    await self.enough.wait()
            taken = [self.waiting.popleft()]
            while self.waiting and not taken[-1].page.gone:  # what follows may bring back what is gone
                taken.append(self.waiting.popleft())
            if not self.waiting and not self.all_read:
                self.enough.clear()
            pages = [each.page for each in taken]
            memory = next((each.memory for each in reversed(taken) if each.memory is not None), None)
            left_out = [what for each in taken for what in each.left_out]
            counts, changed = await self._in_thread(self._write, pages, left_out, memory)
            self.records += counts.total()
            self.changed += changed
            self.metrics.read(self.source.name, counts, self.watermarks)
            for page in pages:
                self.expected = page.total if page.total is not None else self.expected
            if self.first:
                self.metrics.progress(self.source.name, self.records, self.expected)
                if self.show:
                    self.show(Progress(self.source.name, self.records, self.expected))

    def _write(
        self, pages: Sequence[Page], left_out: list[LeftOut], memory: Mapping[str, Json] | None
    ) -> tuple[Counter[str], int]:
        """In the writer's thread."""
        source = self.source
        reads = (read for page in pages for read in page.reads)
        records, well, more = mapping.records(reads, source.mapping, self.store.person)
        noted = [Noted(each, mapping.team(each, source.mapping)) for each in (*left_out, *more)]
        readable = (key for read in well for key in (read.key, read.place or key_of(read.item)))
        gone_keys = ((f"{kind.__name__} {id_}", key_of({"id": id_})) for page in pages for kind, id_ in page.gone)
        anew = tuple(scope for page in pages for scope in page.anew)
        new = self.store.note(
            source.name, noted, chain(readable, *gone_keys), self.at, anew=anew, first=self.first or self.anew
        )
        self.observer.left_out(each.what for each in new)
        # Of a platform that is not what it was, what is read replaces what is stored, were that updated later.
        at = BEGINNING if self.anew else self.at
        gone = [(kind, mapping.id_of(id_, self.store.person)) for kind, id_ in pages[-1].gone]
        parts = [page.sweep for page in pages if page.sweep]
        sweeps = [
            part.part([mapping.id_of(id_, self.store.person) for id_ in part.ids], ended=part.ended) for part in parts
        ]
        told = next((page.whole_since for page in reversed(pages) if page.whole_since), None)
        ready = Ready(told, self.at) if told else None
        self.ready_since = told or self.ready_since
        changed = self.store.write(
            source.name, records, pages[-1].cursor, gone=gone, at=at, memory=memory, sweeps=sweeps, ready=ready
        )
        self.swept |= {record_name(kind) for part in sweeps if part.ended for kind in part.of}
        for name, moment in self.store.newest_of(records, self.at).items():
            self.watermarks[name] = max(moment, self.watermarks.get(name, moment))
        return Counter(record_name(type(record)) for record in records), changed

    async def _in_thread(self, function: Callable[[*Given], R], *arguments: *Given) -> R:
        return await asyncio.get_running_loop().run_in_executor(self.writer, function, *arguments)
