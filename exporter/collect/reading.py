"""Reads items: each becomes records, or is left out and reported. No item stops a poll."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from exporter.base.deferred import asyncio
from exporter.base.errors import Forbidden
from exporter.records import VITAL_COLUMNS, Json, Read, Record, times_of
from exporter.records.columns import COLUMNS
from exporter.records.unreadable import Fault, LeftOut, Unreadable, attempt, key_of, place_of

FAILURES_KEPT = 5

T = TypeVar("T")
R = TypeVar("R")

Result = Record | Read | Iterable[Record | Read] | None
"""What a mapping makes of one item."""


class Observer(Protocol):
    """Counts what the client meets."""

    def request(self, code: str) -> None: ...
    def rate_limited(self) -> None: ...
    def detail_failed(self) -> None: ...
    def details_given_up(self, items: int) -> None: ...


class ItemReader:
    """Reads the items of one poll and records what cannot be read.

    `mapped`: columns that the config fills, by type of record; what the platform says there may be unreadable.
    """

    def __init__(
        self, mapped: Mapping[type[Record], Collection[str]] | None = None, observe: Observer | None = None
    ) -> None:
        self.skipped: Counter[str] = Counter()  # items left out, by the reason of their first fault
        self._left_out: list[LeftOut] = []
        self._mapped, self._observe = mapped or {}, observe
        self.lacking: dict[str, str] = {}  # resources that may not be read, why
        self.given_up = 0  # items whose details stay unknown, because too many are owed theirs
        self.failed_details: list[str] = []  # questions about single items that had no answer, why; the first few

    def fills(self, kind: type[Record], column: str) -> bool:
        """Whether the config fills a column, rather than the connector."""
        return column in self._mapped.get(kind, ())

    async def mapped(self, items: Sequence[T], function: Callable[[T], Result]) -> list[Read]:
        """The same as `each`, in a thread: a large page must not hold up everything else."""
        return await asyncio.to_thread(self.each, items, function)

    def each(
        self,
        items: Iterable[T],
        function: Callable[[T], Result],
        place: Callable[[T], str] | None = None,
        scope: str = "",
    ) -> list[Read]:
        """The records of the items that can be read; the others are left out and told of, and never stop a poll.

        `function` reads each value with `unreadable.value`. `place` says where an item stands, such as "line 2";
        `scope` is the part of the source that may be read anew as a whole (see `Page.anew`).
        """
        reads: list[Read] = []
        for item in items:
            found, faults, broken = attempt(lambda item: listed_results(function(item), item), item)
            where = place(item) if place else ""
            if broken or (faults and self._costs_the_record(found or [], faults)):
                self.skipped[faults[-1 if broken else 0].reason] += 1
                kind = type(found[0].record) if found else None
                place_ = where or place_of(item)
                key = found[0].key if found and found[0].record.id else where or key_of(item)
                given = found[0].item if found else item
                left_out = LeftOut(key, place_, faults, scope=scope, item=given, kind=kind)
                if found:
                    team, times = found[0].record.team, times_of(found[0].record)
                    left_out = replace(left_out, team=team if isinstance(team, str) else None, times=times)
                self._left_out.append(left_out)
            elif where or faults:
                place_ = where or place_of(item)
                reads += [
                    replace(each, place=place_, faults=own, scope=scope)
                    for each, own in zip(found or (), shared_out(faults, found or ()), strict=True)
                ]
            else:
                reads += found or ()
        return reads

    def _costs_the_record(self, found: Iterable[Read], faults: Iterable[Fault]) -> bool:
        kinds = {type(each.record) for each in found}
        vital = {column for kind in kinds for column in VITAL_COLUMNS[kind].difference(self._mapped.get(kind, ()))}
        return any(fault.column in vital for fault in faults)

    def learnt(self, column: str, function: Callable[[T], R], item: T) -> R | None:
        """What `function` makes of something asked beside items, such as a name; None, and told of, where it cannot."""
        result, faults, broken = attempt(function, item)
        if faults:
            named = tuple(replace(each, column=column) for each in faults) if broken else faults
            self._left_out.append(LeftOut(f"{column} {key_of(item)}", place_of(item), named, whole=False))
        return result

    def leave_out(self, what: LeftOut) -> None:
        """Tells of something that is left out and is no item, such as a file."""
        self.skipped[what.faults[0].reason] += 1
        self._left_out.append(what)

    def left_out(self) -> list[LeftOut]:
        """What has been left out since the last call."""
        left_out, self._left_out = self._left_out, []
        return left_out

    @contextmanager
    def optional(self, resource: str) -> Iterator[None]:
        """What is asked inside may be more than the plan or the credential allows: it is unknown then, and told of.

        `resource`: its name, a word of the connector's, which becomes a label value.
        """
        try:
            yield
        except Forbidden as error:
            self.lacking[resource] = str(error)

    def detail_failed(self, text: str) -> None:
        """Counts a question about one item that had no answer; `text` says which and why."""
        if len(self.failed_details) < FAILURES_KEPT:
            self.failed_details.append(text)
        if self._observe:
            self._observe.detail_failed()

    def details_given_up(self, items: int) -> None:
        """Counts items whose details stay unknown, because too many wait for theirs."""
        self.given_up += items
        if self._observe and items:
            self._observe.details_given_up(items)


def shared_out(faults: Sequence[Fault], reads: Sequence[Read]) -> list[tuple[Fault, ...]]:
    """The faults of each record of an item, by column. A fault of no record's column goes to the first record."""
    columns = [COLUMNS[type(each.record)].keys() for each in reads]
    known = set[str]().union(*columns)
    return [
        tuple(each for each in faults if each.column in own or (each.column not in known and own is columns[0]))
        for own in columns
    ]


def listed_results(result: Result, item: Json) -> list[Read]:
    """The result of a mapping as a list."""
    reads = () if result is None else (result,) if isinstance(result, Record | Read) else result
    return [identified(each if isinstance(each, Read) else Read(each, item)) for each in reads]


def identified(read: Read) -> Read:
    """The same, its id as text. Connectors look things up by the ids of records, so one that is none ends here."""
    record = read.record
    if isinstance(record.id, str):
        return read
    column = COLUMNS[type(record)]["id"]
    try:
        return replace(read, record=replace(record, id=column.read(record.id)))
    except Unreadable as error:
        raise Unreadable(error.reason, str(error), "id") from None
