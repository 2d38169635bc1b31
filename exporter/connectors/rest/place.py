"""Where a poll goes on: at a time, at an id, or nowhere, because the whole list is read."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator, Field

from exporter.base import duration
from exporter.collect.changes import Changes
from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Answer, Client, NotUnderstood
from exporter.collect.recent import Recent
from exporter.connectors.rest.mapping import Reading
from exporter.records import Json, Read, Record, record_name
from exporter.records.notation import Notation
from exporter.records.unreadable import attempt
from exporter.store.sweep import Sweep

CREATED = {
    "request": "opened_at",
    "incident": "opened_at",
    "change": "requested_at",
    "run": "queued_at",
    "workflow": "",
    "booking": "booked_at",
    "opportunity": "lead_at",
    "account": "granted_at",
    "activity": "day",
    "audit": "occurred_at",
    "cost": "period_start",
    "service_level": "measured_at",
}
"""The column of a record that never changes: it tells whether an id has been given anew."""
ISO = "iso"
NAMED = (ISO, "epoch_s", "epoch_ms")
"""Formats of `{since}` that are no patterns."""
HOUR = timedelta(hours=1)
Length = Annotated[
    int,
    BeforeValidator(
        lambda given: duration.seconds(given if isinstance(given, str) else ""),
        json_schema_input_type=Annotated[str, Field(pattern=duration.PATTERN)],
    ),
]


@dataclass(frozen=True, kw_only=True)
class Since:
    """How a list is asked for what is new: `{since}` in the question becomes that of the last poll."""

    column: str = "updated_at"  # a time of the record, or id
    format: str = ISO
    overlap: Length = 600  # seconds
    overlap_ids: Annotated[int, Field(ge=1, le=100_000)] = 200
    order: Literal["any", "newest_first"] = "any"

    @property
    def by_time(self) -> bool:
        """Whether it is a time; else it is the id."""
        return self.column != "id"

    def written(self, moment: datetime, notation: Notation) -> str | int:
        """A time as the API wants it, never a later one."""
        if self.format in NAMED[1:]:
            return int(moment.timestamp() * (1000 if self.format == "epoch_ms" else 1))
        if self.format == ISO:
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        zone = notation.time_zone or UTC
        local = moment.astimezone(zone)
        # Of an hour that a night in autumn has twice, the platform may mean the second.
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            local = (moment - HOUR).astimezone(zone)
        return local.strftime(self.format)


class Place(Protocol):
    """What a poll knows of its list: from where on it is asked for (`since`), and what has been seen of it."""

    since: str | int

    def saw(self, reads: Sequence[Read]) -> None: ...
    def passed(self, answer: Answer, reads: Sequence[Read]) -> bool: ...
    def listed(self, items: Sequence[Json], read: Reading) -> Sweep | None: ...
    def check(self) -> None: ...
    def to_cursor(self) -> Cursor: ...
    def ended(self) -> Sweep | None: ...


class Whole:
    """All of the list, at every poll."""

    def __init__(self, sweep: Sweep | None = None) -> None:
        self.since: str | int = ""
        self.sweep = sweep  # where what is absent counts as deleted

    def saw(self, reads: Sequence[Read]) -> None: ...

    def passed(self, _answer: Answer, _reads: Sequence[Read]) -> bool:
        return False

    def listed(self, items: Sequence[Json], read: Reading) -> Sweep | None:
        """The ids of a page, those of items that cannot be read, too."""
        if self.sweep is None:
            return None
        ids = [attempt(read.id_of, item)[0] for item in items]
        known = [each for each in ids if each is not None]
        if len(known) < len(ids):  # somebody's id cannot be read: nobody counts as missing
            self.sweep = None
            return None
        return self.sweep.part(known)

    def check(self) -> None: ...

    def to_cursor(self) -> Cursor:
        return {}

    def ended(self) -> Sweep | None:
        return self.sweep.part((), ended=True) if self.sweep else None


class InPart:
    """A list of which only what is new is read."""

    def listed(self, _items: Sequence[Json], _read: Reading) -> Sweep | None:
        return None

    def ended(self) -> Sweep | None:
        return None


class ByTime(InPart):
    """From a time on."""

    def __init__(self, client: Client, since: Since, notation: Notation, cursor: Cursor) -> None:
        self.column, self.newest_first = since.column, since.order == "newest_first"
        self.changes = Changes(client, cursor, timedelta(seconds=since.overlap))
        self.since = since.written(self.changes.since, notation)
        self.oldest: datetime | None = None

    def saw(self, reads: Sequence[Read]) -> None:
        found = [(each.record.id, self._time(each), stamp(each.record)) for each in reads]
        items = [{"id": key, "at": at and at.isoformat(), "stamp": mark} for key, at, mark in found]
        self.changes.saw(items, changed="at", stamp="stamp")

    def passed(self, answer: Answer, reads: Sequence[Read]) -> bool:
        """Whether a list that is newest first has come to what is known."""
        if not self.newest_first:
            return False
        times = [at for each in reads if (at := self._time(each))]
        if times != sorted(times, reverse=True) or (times and self.oldest and times[-1] > self.oldest):
            raise NotUnderstood(f"{answer.where}: the items are not in order, newest first; leave out since.order")
        self.oldest = times[-1] if times else self.oldest
        return self.oldest is not None and self.oldest < self.changes.since

    def check(self) -> None:
        self.changes.check("items")

    def to_cursor(self) -> Cursor:
        return self.changes.to_cursor()

    def _time(self, read: Read) -> datetime | None:
        found: datetime | None = getattr(read.record, self.column)
        return found


class ById(InPart):
    """From an id on, of a list whose ids are numbers."""

    def __init__(self, since: Since, cursor: Cursor) -> None:
        self.newest_first = since.order == "newest_first"
        self.recent = Recent(cursor.get("recent", {}), since.overlap_ids)
        self.since: str | int = self.recent.floor
        self.lowest: int | None = None

    def saw(self, reads: Sequence[Read]) -> None:
        for each in reads:
            self.recent.saw(number(each), stamp(each.record))

    def passed(self, answer: Answer, reads: Sequence[Read]) -> bool:
        """Whether a list that is newest first has come to what is known."""
        if not self.newest_first:
            return False
        ids = [number(each) for each in reads]
        if ids != sorted(ids, reverse=True) or (ids and self.lowest is not None and ids[-1] > self.lowest):
            raise NotUnderstood(f"{answer.where}: the ids do not go down; leave out since.order")
        self.lowest = ids[-1] if ids else self.lowest
        return self.lowest is not None and self.lowest < self.recent.floor

    def check(self) -> None:
        self.recent.check("items", {})

    def to_cursor(self) -> Cursor:
        return {"recent": self.recent.stamps()}


def number(read: Read) -> int:
    """The id of a record as a number."""
    if not read.record.id.isdecimal():
        raise NotUnderstood("since.column is id, but the ids are no numbers; name a time of the record instead")
    return int(read.record.id)


def stamp(record: Record) -> str:
    """What never changes of a record, as a text; empty where it is not known."""
    moment = getattr(record, CREATED[record_name(type(record))], None)
    return moment.isoformat() if isinstance(moment, datetime) else ""


def doubled(reads: Sequence[Read]) -> int:
    """How many items have the id of another, of which one would be kept. Not states of one with times of their own:
    the latest of those counts."""
    found = {(each.record.id, each.record.updated_at): each.item for each in reads}
    return sum(found[each.record.id, each.record.updated_at] != each.item for each in reads)


def told_apart(answer: Answer, reads: Sequence[Read]) -> None:
    """NotUnderstood where half of a page has ids of others: what is taken for the id is none."""
    again = doubled(reads)
    if again and 2 * again >= len(reads):
        told = f"{again:,} of {len(reads):,} items have an id that another one has, too"
        raise NotUnderstood(f"{answer.where}: {told}; name in columns.id what tells them from each other")


async def through(
    client: Client, answers: AsyncGenerator[Answer], place: Place, read: Reading, cursor: Cursor
) -> AsyncIterator[Page]:
    """The pages of one poll."""
    async with aclosing(answers):
        async for answer in answers:
            reads = await client.mapped(answer.items, read)
            told_apart(answer, reads)
            place.saw(reads)
            # The cursor stays put until every page is stored: dying half-way reads again, never skips.
            yield Page(reads, cursor, sweep=place.listed(answer.items, read))
            if place.passed(answer, reads):
                break
    place.check()
    yield Page([], place.to_cursor(), sweep=place.ended())
