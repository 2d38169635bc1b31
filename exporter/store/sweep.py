"""What a platform has now, as far as it was looked through, and what is stored of it and was not found.

A platform that says of nothing that it was deleted is looked through now and then: the ids it lists are kept here,
page by page, until all are there. Deleting cannot be taken back, so it never hangs on one reading: a record goes when
every sweep in CONFIRMED has missed it, two at least, and a sweep that misses many at once is not believed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from exporter.records import Record, record_name
from exporter.store.table import Database, Table, naive

CONFIRMED = timedelta(hours=6)
"""Between the first of the sweeps that missed a record, one after the other, and the one that deletes it."""
SHARE = 0.05
"""Of the records that a sweep should find, the most that it may miss: more are a fault, or a permission withdrawn."""
FEW = 5
"""So many it may miss of however few, if they are no more than half."""

By = Mapping[type[Record], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A part of the ids that a platform lists now, and whether it is the last part.

    `of`: the types of record that have these ids, each with the column of the time by which the list was asked for
    from `since` on; None: the list is of all there are. `begun`: when the first part was asked for; it tells one sweep
    from the next.
    """

    of: By
    begun: datetime
    since: datetime | None = None
    ids: Sequence[str] = ()
    ended: bool = False

    @property
    def name(self) -> str:
        """What tells it from other sweeps of its source."""
        return " ".join(sorted(map(record_name, self.of)))

    def part(self, ids: Sequence[str], *, ended: bool = False) -> Self:
        """Another part of the same sweep."""
        return replace(self, ids=ids, ended=ended)


@dataclass(frozen=True, slots=True)
class Swept:
    """What the last whole sweep of one type of record has found: how many should have been there, and were not.

    `believed`: not where it missed too many. `deleted`: records that the sweeps before had missed, too.
    """

    record: str
    expected: int
    missed: int
    believed: bool
    deleted: int


def make(db: Database) -> None:
    """Makes the tables where there are none."""
    db.execute("create table if not exists swept_ids (source VARCHAR, name VARCHAR, begun_at TIMESTAMP, id VARCHAR)")
    db.execute("create table if not exists missed (source VARCHAR, record VARCHAR, id VARCHAR, since TIMESTAMP)")
    db.execute(
        "create table if not exists sweep (source VARCHAR, record VARCHAR, begun_at TIMESTAMP, expected BIGINT,"
        " missed BIGINT, believed BOOLEAN, deleted BIGINT, primary key (source, record))"
    )


def found(db: Database, source: str, record: str, ids: Iterable[str]) -> None:
    """Records that were read are there, whatever a sweep says that is under way, or was before."""
    where = "where source = ? and record = ?"
    if db.execute(f"select 1 from missed {where} limit 1", [source, record]).fetchall():
        query = f"delete from missed {where} and id in (select unnest(?::VARCHAR[]))"
        db.execute(query, [source, record, list(ids)])
    query = "select distinct name, begun_at from swept_ids where source = ?"
    for name, begun in db.execute(query, [source]).fetchall():
        if record in name.split():
            _note(db, source, name, begun, list(ids))


def go_on(db: Database, source: str, part: Sweep, tables: Mapping[type[Record], Table]) -> list[str]:
    """Notes a part of a sweep; with the last one, deletes what is gone and returns its keys (see `Read.key`).

    What was noted of a sweep that was given up is forgotten.
    """
    begun = naive(part.begun)
    given_up = "delete from swept_ids where source = ? and name = ? and begun_at <> ?"
    db.execute(given_up, [source, part.name, begun])
    _note(db, source, part.name, begun, part.ids)
    if not part.ended:
        return []
    keys = [key for record, by in part.of.items() for key in _compare(db, source, part, tables[record], by)]
    db.execute("delete from swept_ids where source = ? and name = ?", [source, part.name])
    return keys


def results(db: Database, source: str) -> list[Swept]:
    """What the last whole sweeps of a source have found."""
    query = "select record, expected, missed, believed, deleted from sweep where source = ? order by record"
    return [Swept(*row) for row in db.execute(query, [source]).fetchall()]


def forget(db: Database, source: str) -> None:
    """Forgets all sweeps of a source."""
    for table in ("swept_ids", "missed", "sweep"):
        db.execute(f"delete from {table} where source = ?", [source])


def erase(db: Database, id_: str) -> None:
    """Forgets an id."""
    for table in ("swept_ids", "missed"):
        db.execute(f"delete from {table} where id = ?", [id_])


def _note(db: Database, source: str, name: str, begun: datetime, ids: Sequence[str]) -> None:
    if ids:
        query = "insert into swept_ids select ?, ?, ?::TIMESTAMP, unnest(?::VARCHAR[])"
        db.execute(query, [source, name, begun, list(ids)])


def _compare(db: Database, source: str, part: Sweep, table: Table, by: str | None) -> list[str]:
    """Holds what is stored of one type of record against all that was listed."""
    of_record = {"source": source, "record": table.name}
    begun, last = naive(part.begun), naive(part.begun - CONFIRMED)
    made = f'"{by}"' if by else f"coalesce(least({', '.join(table.times)}), timestamp '-infinity')"
    # What is older than all that is listed the platform no longer keeps: that it was deleted does not follow.
    oldest = "(select min(moment) from there where listed)" if by else "null"
    db.execute(
        f"""create or replace temp table expected as
        with there as (
          select rowid as row, id, {made} as moment, id in (select id from swept_ids where source = $source
            and name = $name) as listed
          from "{table.name}"
          where source = $source and moment >= coalesce($since::TIMESTAMP, timestamp '-infinity') and moment < $begun
        ) select row, id, listed from there where moment >= coalesce({oldest}, timestamp '-infinity')""",
        {"source": source, "name": part.name, "begun": begun, "since": part.since and naive(part.since)},
    )
    ((expected, missed),) = db.execute("select count(*), count(*) filter (not listed) from expected").fetchall()
    believed = missed <= max(SHARE * expected, min(FEW, expected // 2))
    db.execute(
        """delete from missed where source = $source and record = $record
        and id not in (select id from expected where not listed)""",
        of_record,
    )
    deleted = list[tuple[int, str]]()
    if believed:
        db.execute(
            """insert into missed select $source, $record, id, $begun::TIMESTAMP from expected where not listed
            and id not in (select id from missed where source = $source and record = $record)""",
            of_record | {"begun": begun},
        )
        query = """select row, e.id from expected e join missed m on e.id = m.id and m.source = $source
            and m.record = $record where not listed and since <= $last"""
        deleted = db.execute(query, of_record | {"last": last}).fetchall()
        table.delete_rows(db, [row for row, _ in deleted])
        db.execute(
            "delete from missed where source = $source and record = $record and since <= $last",
            of_record | {"last": last},
        )
    db.execute("drop table expected")
    db.execute(
        "insert or replace into sweep values (?, ?, ?, ?, ?, ?, ?)",
        [source, table.name, begun, expected, missed, believed, len(deleted)],
    )
    return [f"{table.record_type.__name__} {id_}" for _, id_ in deleted]
