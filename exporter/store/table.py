"""The table of a record type: its columns, and how a page of records is written to it."""

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from math import ceil, isfinite
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, Protocol, get_args, get_origin, get_type_hints

import msgspec

from exporter.records import Record, marked, person_columns, record_name
from exporter.store import kept
from exporter.store.person import is_address, without_address

StoredRow = tuple[Any, ...]

FEWEST = 3  # records that must tell of an instant before it is believed

TOLD = "told"
"""The column beside those of the record type: see `Stored`."""
DIGEST = "row_digest"
"""The column of what tells a row as it was written from any other; NULL where that is not known."""

SQL_TYPES = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", datetime: "TIMESTAMP", tuple: "VARCHAR[]"}


class Database(Protocol):
    """The part of a DuckDB connection that is needed here."""

    def execute(self, query: str, parameters: object = None) -> Any: ...


def naive(moment: datetime) -> datetime:
    """An instant as the database holds it: UTC, without saying so."""
    if moment.tzinfo is UTC:  # as nearly always
        return moment.replace(tzinfo=None)
    if moment.tzinfo is None:
        raise ValueError("an instant without a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None)


def goes_back(new: datetime | None, old: datetime | None, latest: datetime | None) -> bool:
    """Whether a state updated at `new` is older than one updated at `old`. Nothing is updated after `latest`."""
    return new is not None and old is not None and new < old and (latest is None or old <= latest)


CONVERT: dict[str, Callable[[Any], Any]] = {
    "VARCHAR": str,
    "BOOLEAN": bool,
    "BIGINT": int,
    "DOUBLE": lambda value: float(value) if isfinite(value) else None,  # what is not a number is not known
    "TIMESTAMP": naive,
    "VARCHAR[]": list,
}
AS_IT_IS: dict[str, set[type]] = {"VARCHAR": {str, NoneType}, "BOOLEAN": {bool, NoneType}, "BIGINT": {int, NoneType}}


@cache
def sql_types(record_type: type[Record]) -> Mapping[str, str]:
    """Column -> its type in the database. Type hints are slow to read, and stores are opened often."""
    hints = get_type_hints(record_type)
    return {f.name: SQL_TYPES[_plain(hints[f.name])] for f in fields(record_type)}


class Table:
    """The table of one record type. Every method works inside the caller's transaction."""

    def __init__(self, record_type: type[Record]) -> None:
        self.record_type, self.name = record_type, record_name(record_type)
        self.columns = sql_types(record_type)  # type: ignore[arg-type]  # a class can be hashed, whatever its instances
        self.times = [name for name, sql_type in self.columns.items() if sql_type == "TIMESTAMP"]
        self.persons = person_columns(record_type)
        self.ids = marked(record_type, "id")
        self._updated = list(self.columns).index("updated_at")
        self._values = attrgetter(*self.columns)
        self._beside = {TOLD: "VARCHAR", **kept.columns(self.name), DIGEST: "UBIGINT"}
        self._names = ", ".join(f'"{name}"' for name in self.columns)

    def make(self, db: Database, present: Collection[str] = ()) -> None:
        """Makes the table, or adds to it the columns that the record type has gained. `present`: those it has."""
        if not present:
            # `key` is a short stand-in for (source, id): looking there, not at long ids, finds a page's rows eight
            # times as fast. An index would too, but was measured to make the file four times as large, and its filling
            # slower.
            every = {**self.columns, **self._beside}
            columns = "".join(f', "{name}" {sql_type}' for name, sql_type in every.items())
            db.execute(f'create table "{self.name}" (key UINTEGER not null{columns})')
            return
        for name, sql_type in {**self.columns, **self._beside}.items():
            if name not in present:
                db.execute(f'alter table "{self.name}" add column "{name}" {sql_type}')

    def upsert(self, db: Database, source: str, records: Sequence[Record], latest: datetime | None = None) -> int:
        """Stores records of distinct ids; returns how many rows were new or different.

        Equal rows are not touched, nor those that were updated later, if not after `latest`.
        """
        rows = self.rows(records)
        digests = [digest_of(source, row) for row in rows]
        present = self._digests(db, [key_of(source, row[0]) for row in rows])
        if not present:
            return self.insert(db, source, self.sides(source, rows), digests=digests)
        other = [i for i, digest in enumerate(digests) if digest not in present]
        if not other:
            return 0
        stored = self.stored(db, source, [str(rows[i][0]) for i in other])
        last, changed, equal = latest and naive(latest), list[int](), list[int]()
        sides = self.sides(source, [rows[i] for i in other])
        for position, row in enumerate(zip(*sides, strict=True)):
            before = stored.get(row[0])
            if before and row == before.row:
                equal.append(position)
            elif self._changes(row, before, last):
                changed.append(position)
        self._know(db, {stored[sides[0][i]].rowid: digests[other[i]] for i in equal})
        if not changed:
            return 0
        sides = [[side[i] for i in changed] for side in sides]
        self.delete_rows(db, [stored[id_].rowid for id_ in sides[0] if id_ in stored])
        return self.insert(db, source, sides, digests=[digests[other[i]] for i in changed])

    def delete(self, db: Database, source: str, ids: Iterable[str]) -> None:
        """Deletes the rows of these ids."""
        self.delete_rows(db, [each.rowid for each in self.stored(db, source, list(ids)).values()])

    @property
    def blank(self) -> StoredRow:
        """A row of which nothing is known."""
        return tuple([] if sql_type == "VARCHAR[]" else None for sql_type in self.columns.values())

    @property
    def ages(self) -> bool:
        """Whether its rows are history. An inventory is not: what nobody touched for long is still there."""
        return not self.record_type.INVENTORY

    @property
    def earliest(self) -> str:
        """SQL that gives the earliest time of each row, as `moment`."""
        return f'select least({", ".join(self.times)}) as moment from "{self.name}"'

    def delete_before(self, db: Database, before: datetime, share: float) -> tuple[int, datetime | None]:
        """Deletes rows all of whose times are earlier, the oldest first, at most a share of all.

        Returns how many, and the last of their times. The rows of an inventory are kept.
        """
        if not self.ages:
            return 0, None
        last = f"greatest({', '.join(self.times)})"
        most = ceil(self.count(db) * share)
        query = f'select rowid, {last} from "{self.name}" where {last} < ? order by 2 limit {most}'
        expired = db.execute(query, [naive(before)]).fetchall()
        self.delete_rows(db, [rowid for rowid, _ in expired])
        return len(expired), expired[-1][1] if expired else None

    def erase_person(self, db: Database, hashed: str) -> int:
        """Deletes the rows that are about a person, empties what names the person in others; returns how many."""
        touched = " or ".join([f"{name} = $hashed" for name in self.persons] or ["false"])
        about = f"id = $hashed or ({touched})" if self.record_type.ABOUT_PERSON else "id = $hashed"
        kept.touch(db, self.name, about, {"hashed": hashed})
        count = db.execute(f'delete from "{self.name}" where {about}', {"hashed": hashed}).fetchall()[0][0]
        for name in self.persons:
            kept.touch(db, self.name, f"{name} = ?", [hashed])
            query = f'update "{self.name}" set {name} = null, {DIGEST} = null{kept.cleared(self.name)} where {name} = ?'
            count += db.execute(query, [hashed]).fetchall()[0][0]
        return int(count)

    def erase_source(self, db: Database, source: str) -> int:
        """Deletes the rows of a source; returns how many."""
        kept.touch(db, self.name, "source = ?", [source])
        return int(db.execute(f'delete from "{self.name}" where source = ?', [source]).fetchall()[0][0])

    def hash_addresses(self, db: Database, hashed: Callable[[str], str]) -> None:
        """Hashes ids that are mail addresses, and what refers to such ids; a link that holds one is removed."""
        for name in self.ids:
            query = f'select rowid, source, {name}, url from "{self.name}" where contains({name}, ?)'
            rows = [row for row in db.execute(query, ["@"]).fetchall() if is_address(row[2])]
            if not rows:
                continue
            ids = [hashed(row[2]) for row in rows]
            links = [without_address(row[3], row[2]) for row in rows]
            if name == "id":
                # Two ways to write one address are one record from now on.
                kept = {(row[1], id_): i for i, (row, id_) in enumerate(zip(rows, ids, strict=True))}
                self.delete_rows(db, [row[0] for i, row in enumerate(rows) if kept[row[1], ids[i]] != i])
            keys = [key_of(row[1], id_) for row, id_ in zip(rows, ids, strict=True)]
            also = f", {DIGEST} = null" + (", key = new.key" if name == "id" else "")
            db.execute(
                f'update "{self.name}" set {name} = new.id, url = new.url{also}'
                " from (select unnest(?::BIGINT[]) as row, unnest(?::VARCHAR[]) as id, unnest(?::UINTEGER[]) as key,"
                " unnest(?::VARCHAR[]) as url) new"
                f' where "{self.name}".rowid = new.row',
                [[row[0] for row in rows], ids, keys, links],
            )

    def newest(self, db: Database, source: str, until: datetime) -> datetime | None:
        """The newest time in a source's rows that is not after `until`."""
        past = ", ".join(f"max({name}) filter ({name} <= $until)" for name in self.times)
        query = f'select greatest({past}) from "{self.name}" where source = $source'
        moment: datetime | None = db.execute(query, {"until": naive(until), "source": source}).fetchall()[0][0]
        return moment.replace(tzinfo=UTC) if moment else None

    def newest_of(self, records: Iterable[Record], until: datetime) -> datetime | None:
        """The newest time in these records that is not after `until`."""
        times = (getattr(record, name) for record in records for name in self.times)
        return max((moment for moment in times if moment is not None and moment <= until), default=None)

    def count(self, db: Database, source: str | None = None) -> int:
        """How many rows there are, of a source or of all."""
        query = f'select count(*) from "{self.name}" where source = coalesce(?, source)'
        return int(db.execute(query, [source]).fetchall()[0][0])

    def sides(self, source: str, rows: Sequence[StoredRow]) -> list[Sequence[Any]]:
        """The values of records turned on their side, as the database will give them back."""
        sides: list[Sequence[Any]] = []
        for (name, sql_type), side in zip(self.columns.items(), zip(*rows, strict=True), strict=True):
            if name == "source":
                sides.append([source] * len(rows))
            elif set(map(type, side)) <= AS_IT_IS.get(sql_type, {NoneType}):
                sides.append(side)
            else:
                convert = CONVERT[sql_type]
                sides.append([None if value is None else convert(value) for value in side])
        return sides

    def rows(self, records: Iterable[Record]) -> list[StoredRow]:
        """The values of records."""
        return list(map(self._values, records))

    def _digests(self, db: Database, keys: Sequence[int]) -> set[int | None]:
        """The digests of the rows that the table has under these keys; empty where it has no such row."""
        found = db.execute(
            f'select {DIGEST} from "{self.name}" where rowid in (select unnest(?::BIGINT[]))', [self._at(db, keys)]
        )
        return {digest for (digest,) in found.fetchall()}

    def _know(self, db: Database, digests: Mapping[int, int]) -> None:
        """Keeps the digests of rows that are stored already, by rowid."""
        if digests:
            db.execute(
                f'update "{self.name}" set {DIGEST} = new.digest from (select {listed("BIGINT")} as row,'
                f' {listed("UBIGINT")} as digest) new where "{self.name}".rowid = new.row',
                [as_text(list(digests)), as_text(list(digests.values()))],
            )

    def stored(self, db: Database, source: str, ids: Sequence[str]) -> "dict[str, Stored]":
        """The rows of those ids that the table has, by id."""
        rowids = self._at(db, [key_of(source, id_) for id_ in ids])
        if not rowids:
            return {}
        # Two statements, because DuckDB goes straight to rowids only when they are given, not when it has to join.
        columns = f"rowid, source, {TOLD}, {self._names}"
        query = f'select {columns} from "{self.name}" where rowid in (select unnest(?::BIGINT[]))'
        wanted = set(ids)  # two ids may have the same key
        rows = db.execute(query, [rowids]).fetchall()
        return {row[3]: Stored(row[0], row[3:], row[2]) for row in rows if row[1] == source and row[3] in wanted}

    def _changes(self, row: StoredRow, stored: "Stored | None", latest: datetime | None) -> bool:
        if stored is None:
            return True
        before = stored.row
        return row != before and not goes_back(row[self._updated], before[self._updated], latest)

    def delete_rows(self, db: Database, rowids: Sequence[int]) -> None:
        """Deletes the rows in these places."""
        if rowids:
            kept.touch(db, self.name, "rowid in (select unnest(?::BIGINT[]))", [list(rowids)])
            db.execute(f'delete from "{self.name}" where rowid in (select unnest(?::BIGINT[]))', [list(rowids)])

    def insert(
        self,
        db: Database,
        source: str,
        sides: Sequence[Sequence[Any]],
        *,
        told: Sequence[str] = (),
        digests: Sequence[int] = (),
    ) -> int:
        """One list for each column; returns how many rows these are. A column of one value (often NULL) is sent once.

        A list is sent as one text, which DuckDB reads several times as fast as a list of Python's values.
        """
        count = len(sides[0])
        nothing: Sequence[Any] = [None] * count
        every = ["UINTEGER", *self.columns.values(), "VARCHAR", "UBIGINT"]
        all_sides: list[Sequence[Any]] = [
            [key_of(source, id_) for id_ in sides[0]],
            *sides,
            told or nothing,
            digests or nothing,
        ]
        values, parameters = list[str](), list[Any]()
        for sql_type, side in zip(every, all_sides, strict=True):
            same = side.count(side[0]) == count
            values.append(f"?::{sql_type}" if same else listed(sql_type))
            parameters.append(side[0] if same else as_text(side))
        columns = f"key, {self._names}, {TOLD}, {DIGEST}"
        db.execute(f'insert into "{self.name}" ({columns}) select {", ".join(values)}', parameters)
        return count

    def _at(self, db: Database, keys: Sequence[int]) -> list[int]:
        """The places of the rows that have these keys."""
        query = f'select rowid from "{self.name}" where key in (select {listed("UINTEGER")})'
        return [rowid for (rowid,) in db.execute(query, [as_text(keys)]).fetchall()]


def listed(sql_type: str) -> str:
    """SQL that makes rows of a parameter that `as_text` has made."""
    shape = f'["{sql_type.removesuffix("[]")}"]'
    return f"unnest(from_json(?, '{f'[{shape}]' if sql_type.endswith('[]') else shape}'))"


def as_text(side: Sequence[Any]) -> str:
    """Values of one column as a text for the database."""
    return msgspec.json.encode(side).decode()


def digest_of(source: str, row: StoredRow) -> int:
    """What tells a row of a source from any other, as far as 64 bits can."""
    text = source.encode() + msgspec.json.encode(row)
    return int.from_bytes(blake2b(text, digest_size=8).digest())


class Stored(NamedTuple):
    """A row of a table. `told`: of one that events have made, what store.pushed keeps of them."""

    rowid: int
    row: StoredRow
    told: str | None


def moment_reached(db: Database, tables: Iterable[Table]) -> datetime | None:
    """How far the records of tables have come.

    A record tells the earliest of its times, and FEWEST or 1 % of all must tell it: neither an appointment to come
    nor a few absurd dates count. None where there are not so many records.
    """
    moments = " union all ".join(table.earliest for table in tables if table.ages)
    query = f"select count(*), quantile_disc(moment, ?) from ({moments}) where moment is not null"
    count = db.execute(query, [1.0]).fetchall()[0][0]
    if count < FEWEST:
        return None
    share = (count - max(FEWEST, count // 100) + 0.5) / count
    newest: datetime = db.execute(query, [share]).fetchall()[0][1]
    return newest.replace(tzinfo=UTC)


def key_of(source: str, id_: str) -> int:
    """The short stand-in for (source, id)."""
    return zlib.crc32(f"{source}\0{id_}".encode())


def _plain(hint: Any) -> type:
    """The Python type behind `X | None`, a Literal of texts or a tuple."""
    if NoneType in get_args(hint):
        return _plain(next(arm for arm in get_args(hint) if arm is not NoneType))
    origin = get_origin(hint)
    if origin is None:
        plain: type = hint
        return plain
    return tuple if origin is tuple else str
