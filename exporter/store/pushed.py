"""Records that come in parts, as events bring them: when what is known of each column happened, and past deliveries.

Of each column the value of the newest event counts, so the order in which events arrive does not matter.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exporter.records import Part, Record
from exporter.store import nesting
from exporter.store.table import Database, Stored, StoredRow, Table, naive

REMEMBERED = timedelta(days=7)
"""For how long an event is known when it is sent again."""
MOST_REMEMBERED = 200_000
ALWAYS = frozenset({"id", "source", "updated_at"})
"""Columns that no event fills by itself."""

STEP = 1e-6  # seconds

Times = dict[str, float]
"""Column -> when the event happened that its value is from, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one event says of a record. `weak`: columns that it fills only where nothing is known."""

    record: Record
    part: Part
    weak: frozenset[str] = frozenset()


def make(db: Database) -> None:
    """Makes the table where there is none."""
    db.execute(
        "create table if not exists delivery (source VARCHAR not null, number UBIGINT not null,"
        " came_at TIMESTAMP not null)"
    )


def add(db: Database, source: str, tables: Mapping[type[Record], Table], told: Iterable[Told]) -> int:
    """Adds what events say to what is stored; returns how many rows are new or different."""
    by_type: dict[type[Record], list[Told]] = {}
    for each in told:
        by_type.setdefault(type(each.record), []).append(each)
    return sum(_add(db, source, tables[kind], some) for kind, some in by_type.items())


def _add(db: Database, source: str, table: Table, told: Sequence[Told]) -> int:
    rows = list(zip(*table.sides(source, table.rows(each.record for each in told)), strict=True))
    merging: dict[str, Merging] = {}
    stored = table.stored(db, source, list({row[0] for row in rows}))
    for row, each in zip(rows, told, strict=True):
        if row[0] not in merging:
            merging[row[0]] = Merging(table, stored.get(row[0]))
        merging[row[0]].add(row, each)
    changed = [each for each in merging.values() if each.changed]
    table.delete_rows(db, [each.before.rowid for each in changed if each.before])
    if changed:
        sides = list(zip(*(each.row for each in changed), strict=True))
        table.insert(db, source, sides, told=[each.told for each in changed])
    return len(changed)


class Merging:
    """A row of a table to which events are added one by one. `before`: as it is stored, if it is."""

    def __init__(self, table: Table, before: Stored | None = None) -> None:
        self._names, self._blank, self.before = list(table.columns), table.blank, before
        self._row = list(before.row) if before else None
        self._times: Times = json.loads(before.told) if before and before.told else {}

    @property
    def changed(self) -> bool:
        """Whether it is another than the stored one."""
        return self.before is None or (self.row, self.told) != (self.before.row, self.before.told)

    @property
    def told(self) -> str:
        """When what it holds happened, as it is stored."""
        return json.dumps(self._times, sort_keys=True)

    @property
    def row(self) -> StoredRow:
        return tuple(self._row or ())

    def add(self, row: StoredRow, told: Told) -> None:
        if self._row is None:
            self._row = list(self._blank)
            for name in ("id", "source"):
                self._row[self._names.index(name)] = row[self._names.index(name)]
        part = told.part
        at = part.at.timestamp() + part.step * STEP
        for place, (name, value) in enumerate(zip(self._names, row, strict=True)):
            if name in ALWAYS or (value == self._blank[place] and name not in part.cleared):
                continue
            if name in told.weak:
                if self._row[place] == self._blank[place] and name not in self._times:
                    self._row[place] = value
            elif self._counts(name, place, at, part):
                self._row[place], self._times[name] = value, at
        updated = self._names.index("updated_at")
        self._row[updated] = max(filter(None, (self._row[updated], naive(part.at))))

    def _counts(self, name: str, place: int, at: float, part: Part) -> bool:
        """Whether an event says more of a column than what is known of it.

        Of the same moment it does not where nothing is known any more: a person who was erased stays so, whoever sends
        old events once more.
        """
        if (before := self._times.get(name)) is None:
            return True
        if name in part.first:
            return at < before
        return at > before or (at == before and self._row is not None and self._row[place] != self._blank[place])


def forget(db: Database, source: str) -> None:
    """Forgets a source."""
    nesting.forget(db, source)
    db.execute("delete from delivery where source = ?", [source])


def remember(db: Database, source: str, numbers: Sequence[int], at: datetime) -> None:
    """Remembers that events have come."""
    if numbers:
        db.execute("insert into delivery select ?, unnest(?::UBIGINT[]), ?", [source, list(numbers), naive(at)])


def remembered(db: Database, source: str, at: datetime) -> list[tuple[int, datetime]]:
    """The events that are known to have come, oldest first; older ones, and those beyond the limit, are forgotten."""
    nesting.trim(db, source, at)
    last = db.execute(
        "select max(came_at) from (select came_at from delivery where source = ? order by came_at desc offset ?)",
        [source, MOST_REMEMBERED],
    ).fetchall()[0][0]
    oldest = max(filter(None, (last, naive(at - REMEMBERED))))
    db.execute("delete from delivery where source = ? and came_at <= ?", [source, oldest])
    query = "select number, came_at from delivery where source = ? order by came_at"
    rows: list[tuple[int, Any]] = db.execute(query, [source]).fetchall()
    return rows
