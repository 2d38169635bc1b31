"""What could not be read, kept across runs: one row for each fault of each item, until the item can be read.

Bounded by source: what is beyond that is not told apart any more, and the summary says "at least".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.store.table import Database, naive
from exporter.unreadable import LeftOut, Line, Summary

MOST = 200_000  # items of one source: beyond that a share of some millions would look smaller than it is
EXAMPLE_CHARACTERS = 300

Known = dict[int, int]
"""Key of an item -> what is wrong with it, as a number."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something left out, and the team whose it is, as far as that can be told."""

    what: LeftOut
    team: str | None = None


def make(db: Database) -> None:
    db.execute(
        "create table if not exists left_out (source VARCHAR not null, key UBIGINT not null,"
        " column_name VARCHAR not null, reason VARCHAR not null, whole BOOLEAN not null, called VARCHAR,"
        " text VARCHAR, place VARCHAR, scope VARCHAR, team VARCHAR, noted_at TIMESTAMP not null)"
    )


class Books:
    """What is known of each source, so that what stays as it was costs nothing. Its methods need a transaction."""

    def __init__(self, number: Callable[[str], int]) -> None:
        """`number`: makes a key what the table has. An id may be an address, so it must not be guessed from that."""
        self.number = number
        self._known: dict[str, Known] = {}

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
        self, db: Database, source: str, noted: Iterable[Noted], readable: Iterable[str], at: datetime
    ) -> list[Noted]:
        """Forgets what can be read now, notes what cannot; returns what was not noted before."""
        known = self.of(db, source)
        now = {self.number(each.what.key): each for each in noted}
        wrongs = {key: wrong(each) for key, each in now.items()}
        cleared = {key for key in map(self.number, readable) if key in known and key not in now} if known else set()
        room = MOST - len(known) + len(cleared)
        new = [key for key in now if key not in known][: max(0, room)]
        changed = [key for key in now if key in known and known[key] != wrongs[key]]
        write(db, source, [*cleared, *changed], {key: now[key] for key in (*new, *changed)}, at)
        for key in cleared:
            del known[key]
        known |= {key: wrongs[key] for key in (*new, *changed)}
        return [now[key] for key in new]

    def forget(self, db: Database, source: str, scopes: Sequence[str] | None = None) -> None:
        """Forgets what is known of a source, or of some scopes of it."""
        if scopes != () and self.of(db, source):
            forget(db, source, scopes)
            del self._known[source]

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


def write(db: Database, source: str, cleared: Sequence[int], noted: Mapping[int, Noted], at: datetime) -> None:
    """Forgets some items and notes others."""
    if cleared:
        db.execute("delete from left_out where source = ? and key in (select unnest(?::UBIGINT[]))", [source, cleared])
    rows = [
        (key, fault.column, fault.reason, each.what.whole, fault.called[:100], fault.text[:EXAMPLE_CHARACTERS],
         each.what.place[:100], each.what.scope, each.team)
        for key, each in noted.items() for fault in {(f.column, f.reason): f for f in each.what.faults}.values()
    ]  # fmt: skip
    if rows:
        kinds = ["UBIGINT", "VARCHAR", "VARCHAR", "BOOLEAN", *["VARCHAR"] * 5]
        unnested = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
        sides = [list(side) for side in zip(*rows, strict=True)]
        db.execute(f"insert into left_out select ?, {unnested}, ?", [source, *sides, naive(at)])


def forget(db: Database, source: str, scopes: Sequence[str] | None = None) -> None:
    """Forgets what is known of a source, or of some scopes of it."""
    if scopes is None:
        db.execute("delete from left_out where source = ?", [source])
    else:
        db.execute("delete from left_out where source = ? and scope in (select unnest(?::VARCHAR[]))", [source, scopes])


def summary(db: Database, source: str, read: Mapping[str | None, int], summed: Sequence[str]) -> Summary:
    """What is left out of a source now. `read`: its records by team. `summed`: columns that sums are made of."""
    lines = db.execute(
        "select column_name, reason, whole, count(*), arg_min(called, (noted_at, length(place), place)),"
        " arg_min(text, (noted_at, length(place), place)), arg_min(place, (noted_at, length(place), place))"
        " from left_out where source = ? group by all order by whole desc, count(*) desc, column_name, reason",
        [source],
    ).fetchall()
    counts = db.execute(
        "select team, count(distinct key) filter (whole),"
        " count(distinct key) filter (whole or list_contains(?::VARCHAR[], column_name)), count(distinct key)"
        " from left_out where source = ? group by team",
        [list(summed), source],
    ).fetchall()
    return Summary(
        read=sum(read.values()),
        lost=sum(whole for _, whole, _, _ in counts),
        lines=tuple(Line(*line) for line in lines),
        shares={
            team: (lost + missed, lost + here)
            for team, lost, missed, here in (
                (team, whole, missed - whole, read.get(team, 0)) for team, whole, missed, _ in counts
            )
        },
        teamless=set(read) == {None},
        full=sum(items for _, _, _, items in counts) >= MOST,
    )
