"""Receives what senders push. What is being received at the same time is stored in one transaction, and then answered.

Nothing of what was sent is logged, only types of events and what cannot be read, as for any source.
"""

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from exporter.base.clock import BEGINNING
from exporter.base.errors import SourceError
from exporter.collect import mapping
from exporter.collect.contract import Needs, needs
from exporter.collect.delivery import Delivery, Event, Received, Refused
from exporter.collect.reading import ItemReader
from exporter.collect.selfmetrics import Health
from exporter.collect.signature import Door
from exporter.collect.source import Source
from exporter.records import Read, Record, Run, record_name
from exporter.records.unreadable import Unreadable, key_of
from exporter.store import Store, StoreError
from exporter.store.left_out import Noted
from exporter.store.nesting import Nested
from exporter.store.pushed import MOST_REMEMBERED, REMEMBERED, Told

logger = logging.getLogger("exporter.receive")

MOST_WAITING = 10_000  # events that are not stored yet: more are refused, and sent again later
MOST_AT_ONCE = 2_000  # events of one transaction
PIECE = 1_000  # events of one delivery that are stored together
LONGEST_PAUSE = 0.1  # seconds
TIDY = timedelta(hours=1)  # how often what came long ago is forgotten
AGAIN_SECONDS = 5  # after which a sender that was refused may try again


class Receiver:
    """One source that is pushed. Its state belongs to the event loop, but for `write`."""

    def __init__(self, source: Source, store: Store, health: Health) -> None:
        self.source, self._store, self._metrics = source, store, health.received
        self._sources = health.sources
        self._needs: Needs = needs(source.connector)
        self._known: OrderedDict[int, datetime] | None = None  # events that have come lately
        self._tidy_at, self._since_tidy = BEGINNING, 0
        self._named = set[str]()
        self._metrics.watch(source.name)

    @property
    def door(self) -> Door:
        """What it demands of senders."""
        assert self.source.door  # noqa: S101 - only a source with a door has a receiver
        return self.source.door

    def read(self, delivery: Delivery) -> Received:
        """The events of a delivery. Raises Refused."""
        assert self._needs.receive  # noqa: S101 - the config gives a door only to those who receive
        return self._needs.receive(delivery, self.source.options)

    def failed(self, error: Exception) -> Refused:
        """The answer where something is wrong with us. The text of an error may quote what was sent: it is not told."""
        logger.error("source %s: a delivery cannot be read: %s", self.source.name, type(error).__name__)
        return Refused(500, "bug", "something went wrong; see the exporter's log")

    def refused(self, why: Refused) -> None:
        """Counts a delivery that is not taken."""
        self._metrics.refused(self.source.name, why.reason)

    def write(self, events: Sequence[Event], at: datetime) -> None:
        """Stores events; in the writer's thread. Raises StoreError."""
        new, numbers = self._new(events, at)
        told, unused = self._told(new, at)
        self._store.add(self.source.name, told, numbers, at, nested(new, told))
        self._remember(numbers, at)
        self._report(len(events), len(events) - len(new), unused)
        if told:
            self._metrics.lag(self.source.name, (at - max(each.part.at for each in told)).total_seconds())
            self._mark([each.record for each in told], at)

    def _mark(self, records: Sequence[Record], at: datetime) -> None:
        """Counts records, and moves the newest times of the source."""
        name = self.source.name
        marks = self._sources.watermarks(name)
        if not marks:  # after a start
            marks |= self._store.newest(name, at)
        for kind, moment in self._store.newest_of(records, at).items():
            marks[kind] = max(moment, marks.get(kind, moment))
        self._sources.read(name, Counter(record_name(type(each)) for each in records), marks)

    def _new(self, events: Sequence[Event], at: datetime) -> tuple[list[Event], list[int]]:
        """Those that have not come before, and the numbers of those with a key; of several of one key the first."""
        if self._known is None or at >= self._tidy_at or self._since_tidy > MOST_REMEMBERED:
            self._known = OrderedDict(self._store.delivered(self.source.name, at))
            self._tidy_at, self._since_tidy = at + TIDY, 0
        self._since_tidy += len(events)
        found, numbers = list[Event](), dict[int, None]()
        for event in events:
            number = event.number
            if number is None:
                found.append(event)
            elif number not in self._known and number not in numbers:
                found.append(event)
                numbers[number] = None
        return found, list(numbers)

    def _remember(self, numbers: Iterable[int], at: datetime) -> None:
        assert self._known is not None  # noqa: S101 - `_new` came before
        self._known.update(dict.fromkeys(numbers, at.replace(tzinfo=None)))
        oldest = at.replace(tzinfo=None) - REMEMBERED
        while self._known and (len(self._known) > MOST_REMEMBERED or next(iter(self._known.values())) < oldest):
            self._known.popitem(last=False)

    def _told(self, events: Iterable[Event], at: datetime) -> tuple[list[Told], Counter[str]]:
        """What events say of records, and how many of each type say nothing."""
        source, reader, unused = self.source, ItemReader(self.source.mapped), Counter[str]()

        def parts(event: Event) -> Iterable[Read]:
            if isinstance(event.item, Unreadable):
                raise event.item
            assert self._needs.read_event  # noqa: S101 - who receives has it
            said = self._needs.read_event(source.options, event)
            unused[event.type] += said is None
            return said or ()

        reads = reader.each(events, parts)
        records, well, more = mapping.records(reads, source.mapping, self._store.person)
        left_out = [*reader.left_out(), *more]
        noted = [Noted(each, mapping.team(each, source.mapping)) for each in left_out]
        readable = (key for read in well for key in (read.key, read.place or key_of(read.item)))
        new = self._store.note(source.name, noted, readable, at)
        self._sources.observer(source.name).left_out(each.what for each in new)
        pairs = zip(records, well, strict=True)
        told = [Told(record, read.part, mapping.defaulted(read, source.mapping)) for record, read in pairs if read.part]
        return told, +unused

    def _report(self, events: int, again: int, unused: Mapping[str, int]) -> None:
        name = self.source.name
        self._metrics.received(name, events, again)
        for word in self._metrics.unused(name, unused) - self._named:
            self._named.add(word)
            logger.info("source %s: events of type %s are taken and become no record", name, word)


def nested(events: Iterable[Event], told: Iterable[Told]) -> list[Nested]:
    """What events are inside of, with the runs that they are."""
    runs = {each.part.span: each.record.id for each in told if isinstance(each.record, Run)}
    return [
        Nested(
            int(link.trace[-16:], 16),
            int(link.id, 16),
            int(link.parent, 16) if link.parent else None,
            runs.get((link.trace, link.id)),
            link.inner,
        )
        for event in events
        if (link := event.link)
    ]


@dataclass(frozen=True, slots=True)
class _Waiting:
    receiver: Receiver
    events: Sequence[Event]
    stored: "asyncio.Future[None]"


class Inbox:
    """Stores what every receiver takes, several deliveries in one transaction."""

    def __init__(
        self, store: Store, health: Health, clock: Callable[[], datetime], most_waiting: int = MOST_WAITING
    ) -> None:
        self._store, self._health, self._clock, self._most_waiting = store, health, clock, most_waiting
        self._receivers: dict[str, Receiver] = {}
        self._waiting: deque[_Waiting] = deque()
        self._events = 0
        self._storing: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "event-writer")

    def apply(self, sources: Sequence[Source]) -> None:
        """Receives for these sources from now on; for those whose config did not change, as before."""
        before = {each.source.name: each for each in self._receivers.values()}
        receivers = {}
        for source in sources:
            if source.door:
                known = before.pop(source.name, None)
                same = known is not None and known.source == source
                receivers[source.route] = known if known and same else Receiver(source, self._store, self._health)
        for name in before:
            self._health.received.forget(name)
        self._receivers = receivers

    def at(self, path: str) -> Receiver | None:
        """Who receives at a path, if anybody does."""
        return self._receivers.get(path)

    @property
    def now(self) -> datetime:
        """The present."""
        return self._clock()

    async def take(self, receiver: Receiver, events: Iterable[Event]) -> None:
        """Returns once the events are stored. Raises Refused if they are not, or not all.

        A large delivery goes piece by piece, so that it takes neither memory nor the event loop from others. One that
        ends half-way is sent again, and what was stored of it is known then.
        """
        waiting = iter(events)
        while some := list(islice(waiting, PIECE)):
            await self._take(receiver, some)

    async def _take(self, receiver: Receiver, events: Sequence[Event]) -> None:
        if self._events and self._events + len(events) > self._most_waiting:
            raise Refused(503, "busy", "too many events are waiting to be stored", retry_after=AGAIN_SECONDS)
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(receiver, events, stored))
        self._events += len(events)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_waiting())
        await asyncio.shield(stored)

    async def stop(self) -> None:
        """Stores what waits, and ends."""
        if self._storing:
            await asyncio.wait([self._storing])
        self._writer.shutdown(wait=True)

    async def _store_waiting(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._waiting:
            began = clock()
            taken = [self._waiting.popleft()]
            count = len(taken[0].events)
            while self._waiting and count < MOST_AT_ONCE:
                taken.append(self._waiting.popleft())
                count += len(taken[-1].events)
            by_receiver: dict[int, list[_Waiting]] = {}
            for each in taken:
                by_receiver.setdefault(id(each.receiver), []).append(each)
            for some in by_receiver.values():
                await self._store_some(some)
            self._events -= count
            # At least half of the time is left for other work. What arrives meanwhile shares the next transaction.
            await asyncio.sleep(min(clock() - began, LONGEST_PAUSE))

    async def _store_some(self, taken: Sequence[_Waiting]) -> None:
        """Stores deliveries together, or where one of them is too odd for that, each by itself."""
        error = await self._stored(taken)
        if error and error.reason == "bug" and len(taken) > 1:
            for each in taken:
                await self._store_some([each])
            return
        for each in taken:
            with suppress(asyncio.InvalidStateError):  # whoever waited has hung up
                each.stored.set_exception(error) if error else each.stored.set_result(None)

    async def _stored(self, taken: Sequence[_Waiting]) -> Refused | None:
        """Stores deliveries in one transaction; why they are refused, if they are."""
        events = [event for each in taken for event in each.events]
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, taken[0].receiver.write, events, self._clock())
        except (StoreError, SourceError):
            return Refused(503, "store", "the events cannot be stored now", retry_after=AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - one odd event must not stop the others
            logger.error("source %s: events cannot be stored: %s", taken[0].receiver.source.name, type(error).__name__)
            return Refused(500, "bug", "something went wrong; see the exporter's log")
        return None
