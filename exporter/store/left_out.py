"""Faults that could not be read, kept across runs: a row for each fault of each item, until the item can be read.

Bounded by source: what is beyond that is not told apart any more, and the summary says "at least".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from exporter.records.unreadable import FILE, UNKNOWN, LeftOut, Problem, Summary
from exporter.store.table import Database, naive

MOST = 200_000  # items of one source: beyond that a share of some millions would look smaller than it is
MOST_WORDS = 20  # of one column that are told apart
EXAMPLE_CHARACTERS = 300

Known = dict[int, int]
"""Key of an item -> what is wrong with it, as a number."""


class Since(NamedTuple):
    """From when on an item was there (None: nobody knows), and when it was first met."""

    first: datetime | None
    noted: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that was left out, and its team if that is known."""

    what: LeftOut
    team: str | None = None


def make(db: Database) -> None:
    db.execute(
        "create table if not exists left_out (source VARCHAR not null, key UBIGINT not null,"
        " column_name VARCHAR not null, reason VARCHAR not null, whole BOOLEAN not null, called VARCHAR,"
        " text VARCHAR, place VARCHAR, scope VARCHAR, team VARCHAR, noted_at TIMESTAMP not null)"
    )
    # From when to when an item was. Where none of its times can be read, `noted_at` is the latest that it can be, and
    # the earliest, too, unless all was read for the first time.
    for column in ("first_at TIMESTAMP", "last_at TIMESTAMP", "weight BIGINT"):
        db.execute(f"alter table left_out add column if not exists {column}")


class Books:
    """What is known of each source, so that what stays as it was costs nothing. Its methods need a transaction."""

    def __init__(self, number: Callable[[str], int]) -> None:
        """`number`: makes a key what the table has. An id may be an address, so it must not be guessed from that."""
        self.number = number
        self._known: dict[str, Known] = {}
        self._since: dict[str, dict[int, Since]] = {}  # of what was forgotten because it is being read anew

    def of(self, db: Database, source: str) -> Known:
        """What is known of a source."""
        if source not in self._known:
            found: dict[int, list[tuple[str, str, bool]]] = {}
            query = "select key, column_name, reason, whole from left_out where source = ?"
            for key, column, reason, whole in db.execute(query, [source]).fetchall():
                found.setdefault(key, []).append((column, reason, whole))
            self._known[source] = {key: hash(frozenset(faults)) for key, faults in found.items()}
        return self._known[source]

    def unsure(self) -> None:
        """After a transaction that failed the table is read again."""
        self._known.clear()

    def note(
        self, db: Database, source: str, noted: Iterable[Noted], readable: Iterable[str], at: datetime, *, first: bool
    ) -> list[Noted]:
        """Forgets what can be read now, notes what cannot; returns what was not noted before.

        `first`: all is being read for the first time, so what has no time may be of any.
        """
        known = self.of(db, source)
        now = {self.number(each.what.key): each for each in noted}
        wrongs = {key: wrong(each) for key, each in now.items()}
        cleared = {key for key in map(self.number, readable) if key in known and key not in now} if known else set()
        room = MOST - len(known) + len(cleared)
        new = [key for key in now if key not in known][: max(0, room)]
        changed = [key for key in now if key in known and known[key] != wrongs[key]]
        self._remember(db, source, "key in (select unnest(?::UBIGINT[]))", changed)
        since = self._since.get(source, {})
        met = Since(None if first else naive(at), naive(at))
        rows = [row for key in (*new, *changed) for row in rows_of(key, now[key], since.get(key, met))]
        write(db, source, [*cleared, *changed], rows)
        for key in cleared:
            del known[key]
        known |= {key: wrongs[key] for key in (*new, *changed)}
        return [now[key] for key in new]

    def forget(self, db: Database, source: str, scopes: Sequence[str] | None = None) -> None:
        """Forgets what is known of a source, or of some scopes of it."""
        if scopes != () and self.of(db, source):
            condition = "true" if scopes is None else "scope in (select unnest(?::VARCHAR[]))"
            self._remember(db, source, condition, scopes)
            db.execute(f"delete from left_out where source = ? and {condition}", parameters(source, scopes))
            del self._known[source]

    def _remember(self, db: Database, source: str, condition: str, of: Sequence[object] | None) -> None:
        """Keeps when some items were met, for they are noted anew."""
        if of != []:
            query = f"select key, first_at, noted_at from left_out where source = ? and {condition}"
            rows = db.execute(query, parameters(source, of)).fetchall()
            self._since.setdefault(source, {}).update({key: Since(*times) for key, *times in rows})

    def erase(self, db: Database, names: Iterable[str]) -> None:
        """Forgets whatever tells one of these names."""
        for name in names:
            db.execute("delete from left_out where contains(lower(concat_ws(' ', text, place)), lower(?))", [name])
        self._known.clear()

    def retain(self, db: Database, before: datetime) -> None:
        """Forgets what was noted before an instant."""
        db.execute("delete from left_out where noted_at < ?", [naive(before)])
        self._known.clear()


def wrong(noted: Noted) -> int:
    """What is wrong with an item, as a number."""
    what = noted.what
    return hash(frozenset((fault.column, fault.reason, what.whole) for fault in what.faults))


FaultRow = tuple[Any, ...]
FOREVER = datetime(9999, 1, 1)  # noqa: DTZ001 - the store's instants are without zone


def rows_of(key: int, noted: Noted, since: Since) -> list[FaultRow]:
    """The rows of an item, one for each of its faults."""
    what, times = noted.what, sorted(map(naive, noted.what.times))
    first, last = since
    if what.kind and what.kind.INVENTORY:
        first, last = None, FOREVER  # what there is, is of no time
    elif times:
        first, last = min(times[0], since.noted), times[-1]  # a time to come cannot hide it until then
    faults = {(fault.column, fault.reason): fault for fault in what.faults}.values()
    return [
        (key, fault.column, fault.reason, what.whole, fault.called[:100], fault.text[:EXAMPLE_CHARACTERS],
         what.place[:100], what.scope, noted.team, since.noted, first, last, what.weight)
        for fault in faults
    ]  # fmt: skip


def parameters(source: str, of: Sequence[object] | None) -> list[object]:
    return [source] if of is None else [source, list(of)]


def write(db: Database, source: str, cleared: Sequence[int], rows: Sequence[FaultRow]) -> None:
    """Forgets some items and notes others."""
    if cleared:
        db.execute("delete from left_out where source = ? and key in (select unnest(?::UBIGINT[]))", [source, cleared])
    if rows:
        kinds = ["UBIGINT", "VARCHAR", "VARCHAR", "BOOLEAN", *["VARCHAR"] * 5, *["TIMESTAMP"] * 3, "BIGINT"]
        unnested = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
        names = "source, key, column_name, reason, whole, called, text, place, scope, team"
        times = "noted_at, first_at, last_at"
        sides = [list(side) for side in zip(*rows, strict=True)]
        db.execute(f"insert into left_out ({names}, {times}, weight) select ?, {unnested}", [source, *sides])


def summary(db: Database, source: str, read: int) -> Summary:
    """What is left out of a source now. `read`: how many records it has."""
    lines = db.execute(
        """with told as (
            select *, if(reason = $unknown, text, '') as word from left_out where source = $source
        ), counted as (
            select *, count(*) over (partition by column_name, reason, whole, word) as times from told
        ), named as (
            select *, if(dense_rank() over (partition by column_name, reason, whole order by times desc, word) <= $most,
            word, '') as line from counted
        )
        select column_name, reason, whole, count(*), arg_min(called, (noted_at, length(place), place)),
        arg_min(text, (noted_at, length(place), place)), arg_min(place, (noted_at, length(place), place))
        from named group by column_name, reason, whole, line
        order by whole desc, count(*) desc, column_name, reason, line""",
        {"source": source, "unknown": UNKNOWN, "most": MOST_WORDS},
    ).fetchall()
    lost, items = db.execute(
        "select count(distinct key) filter (whole and reason <> ?), count(distinct key) from left_out where source = ?",
        [FILE, source],
    ).fetchall()[0]
    return Summary(read=read, lost=lost, lines=tuple(Problem(*line) for line in lines), full=items >= MOST)
