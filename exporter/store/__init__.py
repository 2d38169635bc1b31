"""The database: tables made from the record types, upsert, cursors, retention.

One file, one writer. A page of records and the cursor that goes with it are one transaction.
Instants are stored as UTC without a zone.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Self

import duckdb

from exporter.records import RECORDS, Record
from exporter.store import frozen
from exporter.store.fault import CannotWrite, Damaged, NewerFormat, NotAStore, StoreError, check_folder, fault
from exporter.store.frozen import Frozen
from exporter.store.table import Table, goes_back, naive

__all__ = ["CannotWrite", "Damaged", "Frozen", "NewerFormat", "NotAStore", "SourceState", "Store", "StoreError"]

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when an older program could not work with the file. A column that is only added does not need that."""

AHEAD = timedelta(days=1)  # how far the clock of a platform may be ahead of ours

FEWEST = 3  # records that must tell of an instant before it is believed

CHUNK = 20_000  # rows compared at a time: bounds the memory of a huge write
HEADERS_BYTES = 12_288  # what a DuckDB file has before its first block


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of a source between polls, and over a restart."""

    cursor: Mapping[str, Any]
    complete: bool  # the first full sync is done
    last_success: datetime | None
    fingerprint: str | None
    whole_since: datetime | None = None  # from when on its records are all there; None where that is not known
    anew: bool = False  # the platform is not what it was, and is being read from the beginning

    def ahead(self, at: datetime) -> bool:
        """Whether the source was read long after this instant."""
        return self.last_success is not None and self.last_success > at + AHEAD


class Store:
    """The open store. Its methods may be called from any thread; they wait for each other."""

    def __init__(self, path: Path, settings: Mapping[str, str], records: Iterable[type[Record]]) -> None:
        self.path = path
        self._tables = {record_type: Table(record_type) for record_type in records}
        self._settings = dict(settings)
        self._lock = threading.RLock()
        self._db: duckdb.DuckDBPyConnection | None = None
        # DuckDB makes its write-ahead log anew after each checkpoint: only the umask keeps that private too.
        self._umask = os.umask(0o077)
        try:
            with self._connection() as db:
                self._person_key = bytes.fromhex(_meta(db)["person_key"])
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        threads: int = 1,
        memory_limit: str = "256MB",
        records: Mapping[str, type[Record]] = RECORDS,
    ) -> Self:
        """Opens the store, making it where there is none. Raises StoreError; never overwrites what it cannot read."""
        settings = {
            "threads": str(threads),
            "memory_limit": memory_limit,
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        return cls(Path(path), settings, records.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._disconnect()
            os.umask(self._umask)

    def write(
        self,
        source: str,
        records: Iterable[Record],
        cursor: Mapping[str, Any],
        *,
        gone: Sequence[tuple[type[Record], str]] = (),
        at: datetime | None = None,
    ) -> int:
        """Stores a page and its cursor in one transaction; returns how many rows were new or different.

        Of two records with one id the one with the later `updated_at` wins, where that is the same or unknown the
        one read later. `at`: now, where it is known; what was updated long after it is not believed. A row that would
        not change is not touched, so that asking the same question again does not grow the file.
        """
        latest = at and at + AHEAD
        pages: dict[type[Record], dict[str, Record]] = {}
        for record in records:
            page = pages.setdefault(type(record), {})
            before = page.get(str(record.id))
            if before is None or not goes_back(record.updated_at, before.updated_at, latest):
                page[str(record.id)] = record
        changed = 0
        with self._transaction() as db:
            for record_type, page in pages.items():
                waiting = iter(page.values())
                while chunk := list(islice(waiting, CHUNK)):
                    changed += self._tables[record_type].upsert(db, source, chunk, latest)
            for record_type in {record_type for record_type, _ in gone}:
                ids = [id_ for its_type, id_ in gone if its_type is record_type]
                self._tables[record_type].delete(db, source, ids)
            db.execute(
                """insert into source_state (source, cursor, complete) values (?, ?, false) on conflict (source)
                do update set cursor = excluded.cursor where cursor is distinct from excluded.cursor""",
                [source, json.dumps(cursor, sort_keys=True)],
            )
        return changed

    def begin(self, source: str, fingerprint: str, at: datetime | None = None) -> SourceState:
        """Where to go on. Under another fingerprint the source counts as never synced; its records stay.

        So it does where it was read long after `at`, which is now: the clock was wrong then, and its cursor is too.
        """
        if at and self.source(source).ahead(at):
            log.warning("source %s: was last read in the future, by a clock that was wrong; it is read anew", source)
            with self._transaction() as db:
                db.execute(
                    "update source_state set cursor = '{}', complete = false, last_success = null, whole_since = null"
                    " where source = ?",
                    [source],
                )
        with self._transaction() as db:
            db.execute(
                """insert into source_state (source, cursor, complete, fingerprint) values (?, '{}', false, ?)
                on conflict (source) do update set cursor = '{}', complete = false, fingerprint = excluded.fingerprint
                where fingerprint is distinct from excluded.fingerprint""",
                [source, fingerprint],
            )
        return self.source(source)

    def start_over(self, source: str, cursor: Mapping[str, Any]) -> None:
        """The platform is not what it was: where to go on is said anew. The records stay until others have their ids.

        Until all is read again, what is read replaces what is stored, were that updated later.
        """
        with self._transaction() as db:
            db.execute(
                "update source_state set cursor = ?, anew = true where source = ?",
                [json.dumps(cursor, sort_keys=True), source],
            )

    def succeeded(self, source: str, at: datetime, since: datetime | None = None) -> None:
        """A poll that began at `at` has brought everything; the first one everything from `since` on."""
        with self._transaction() as db:
            db.execute(
                "update source_state set complete = true, anew = false, last_success = ?,"
                " whole_since = coalesce(whole_since, ?) where source = ?",
                [naive(at), since and naive(since), source],
            )

    def reached(self, at: datetime) -> datetime | None:
        """How far both the clock and the records have come: the earlier of `at` and what the newest records tell.

        A record tells the earliest of its times, and FEWEST or 1 % of all must tell it: neither an appointment to come
        nor a few absurd dates count. None where there are not so many records.
        """
        with self._connection() as db:
            moments = " union all ".join(table.earliest for table in self._tables.values() if table.ages)
            query = f"select count(*), quantile_disc(moment, ?) from ({moments}) where moment is not null"
            count = db.execute(query, [1.0]).fetchall()[0][0]
            if count < FEWEST:
                return None
            share = (count - max(FEWEST, count // 100) + 0.5) / count
            newest: datetime = db.execute(query, [share]).fetchall()[0][1]
        return min(at, newest.replace(tzinfo=UTC))

    def retain(self, before: datetime, share: float = 1.0) -> dict[str, int]:
        """Deletes records all of whose times are earlier than `before`, the oldest first; returns how many of each.

        `share`: of the records of a type, the most that are deleted. An inventory is not history: it is kept.
        """
        with self._transaction() as db:
            found = {table.name: table.delete_before(db, before, share) for table in self._tables.values()}
            deleted = {name: (count, last) for name, (count, last) in found.items() if count}
            for _, last in deleted.values():
                # After the last time of what is gone, all is still there.
                db.execute("update source_state set whole_since = ? where whole_since < ?", [last, last])
        return {name: count for name, (count, _) in deleted.items()}

    def freeze(self, baselines: Iterable[Frozen]) -> None:
        """Keeps baselines for good, in one transaction."""
        with self._transaction() as db:
            frozen.put(db, baselines)

    def frozen_baselines(self) -> dict[str, Frozen]:
        """The baselines that are kept, by KPI."""
        with self._connection() as db:
            return frozen.kept(db)

    def source(self, source: str) -> SourceState:
        with self._connection() as db:
            rows = db.execute(
                "select cursor, complete, fingerprint, last_success, whole_since, coalesce(anew, false)"
                " from source_state where source = ?",
                [source],
            ).fetchall()
        if not rows:
            return SourceState({}, False, None, None)
        cursor, complete, fingerprint, *times, anew = rows[0]
        last_success, whole_since = (moment and moment.replace(tzinfo=UTC) for moment in times)
        return SourceState(json.loads(cursor), complete, last_success, fingerprint, whole_since, anew)

    def newest(self, source: str, until: datetime) -> dict[str, datetime]:
        """Record name -> the newest time in the source's records that is not after `until`."""
        with self._connection() as db:
            found = {table.name: table.newest(db, source, until) for table in self._tables.values()}
        return {name: moment for name, moment in found.items() if moment}

    def newest_of(self, records: Iterable[Record], until: datetime) -> dict[str, datetime]:
        """The same of these records, stored or not."""
        pages: dict[type[Record], list[Record]] = {}
        for record in records:
            pages.setdefault(type(record), []).append(record)
        found = {self._tables[kind].name: self._tables[kind].newest_of(page, until) for kind, page in pages.items()}
        return {name: moment for name, moment in found.items() if moment}

    def person(self, text: str) -> str:
        """A name for a person that cannot be turned back without this store's key."""
        return hmac.new(self._person_key, text.encode(), hashlib.sha256).hexdigest()[:16]

    def reader(self) -> duckdb.DuckDBPyConnection:
        """A connection for another thread, to be closed by it; each of its transactions sees one committed state."""
        with self._connection() as db:
            return db.cursor()

    def counts(self) -> dict[str, int]:
        """Record name -> rows."""
        with self._connection() as db:
            return {table.name: table.count(db) for table in self._tables.values()}

    def size(self) -> int:
        """Bytes on disk, the write-ahead log included."""
        total = 0
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connection() as db:
            db.begin()
            try:
                yield db
                db.commit()
            except BaseException:
                with suppress(duckdb.Error):  # a commit that failed has rolled back already
                    db.rollback()
                raise

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, for one thread at a time. What is wrong with the file becomes a StoreError.

        After a fault such as a full disk DuckDB may refuse everything until it is opened again, so the next call does.
        """
        with self._lock:
            try:
                if self._db is None:
                    self._db = _connect(self.path, self._settings, self._tables.values())
                yield self._db
            except duckdb.Error as error:
                if isinstance(error, duckdb.FatalException):
                    self._disconnect()
                if found := fault(self.path, str(error)):
                    raise found from error
                raise

    def _disconnect(self) -> None:
        if self._db is not None:
            with suppress(duckdb.Error):
                self._db.close()
            self._db = None


def _connect(path: Path, settings: dict[str, str], tables: Iterable[Table]) -> duckdb.DuckDBPyConnection:
    check_folder(path)
    if not path.exists():
        _create(path, settings)
    db = duckdb.connect(path, config=settings)  # type: ignore[arg-type] # its stub wants an invariant dict
    try:
        _check(db, path)
        for table in tables:
            table.make(db)
        frozen.make(db)
        db.execute("alter table source_state add column if not exists whole_since TIMESTAMP")
        db.execute("alter table source_state add column if not exists anew BOOLEAN")
    except BaseException:
        db.close()
        raise
    return db


def _create(path: Path, settings: dict[str, str]) -> None:
    """A new store comes into being whole: being killed half-way leaves no file that cannot be opened."""
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with duckdb.connect(draft, config=settings) as db:  # type: ignore[arg-type] # its stub wants an invariant dict
            db.execute("create table meta (name VARCHAR primary key, value VARCHAR not null)")
            db.execute("insert into meta values ('format', ?), ('person_key', ?)", [str(FORMAT), secrets.token_hex(32)])
            db.execute(
                "create table source_state (source VARCHAR primary key, cursor VARCHAR not null,"
                " complete BOOLEAN not null, last_success TIMESTAMP, fingerprint VARCHAR)"
            )
        _put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was quicker: opening its file will say so
    except OSError:  # a file system without hard links
        draft.rename(path)


def _check(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuses a file that another program, or a later version, has written, and one that was cut off."""
    # Only used blocks must be there: DuckDB counts free ones at the end, which it cuts off when it closes.
    block_bytes, blocks = db.execute("select block_size, used_blocks from pragma_database_size()").fetchall()[0]
    if path.stat().st_size < HEADERS_BYTES + block_bytes * blocks:
        raise Damaged(path, "damaged: its end is missing")
    if not db.execute("select 1 from duckdb_tables() where table_name = 'meta'").fetchall():
        raise NotAStore(path, "a database of another program")
    version = _meta(db).get("format", "")
    if not version.isdigit():
        raise NotAStore(path, "a database of another program")
    if int(version) > FORMAT:
        raise NewerFormat(path, f"has format {version}, this version knows formats up to {FORMAT}")


def _meta(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(db.execute("select name, value from meta").fetchall())
