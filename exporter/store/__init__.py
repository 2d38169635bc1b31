"""The store: tables for the record types, upsert, cursors, retention.

One file, one writer. A page of records and the cursor that goes with it are one transaction.
Instants are stored as UTC without a zone.
"""

from __future__ import annotations  # duckdb is not loaded for the names of its types alone

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from exporter.base.deferred import Deferred
from exporter.records import RECORDS, Record, Run
from exporter.records.unreadable import Summary
from exporter.store import file, frozen, kept, left_out, nesting, person, published, pushed, rewrite, state, sweep
from exporter.store.fault import CannotWrite, Damaged, NewerFormat, NotAStore, StoreError, fault
from exporter.store.frozen import FrozenBaseline
from exporter.store.left_out import Books, Noted
from exporter.store.nesting import Nested
from exporter.store.pushed import Told
from exporter.store.state import AHEAD, Ready, SyncState
from exporter.store.sweep import Sweep, Swept
from exporter.store.table import Table, goes_back, moment_reached

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = Deferred("duckdb")

__all__ = ["CannotWrite", "Damaged", "FrozenBaseline", "NewerFormat", "NotAStore", "Store", "StoreError", "SyncState"]

log = logging.getLogger(__name__)

CHUNK = 20_000  # rows compared at a time: bounds the memory of a huge write


class Store:
    """The open store. Its methods may be called from any thread; they wait for each other."""

    def __init__(
        self, path: Path, settings: Mapping[str, str], records: Iterable[type[Record]], person_key: str | None
    ) -> None:
        self.path = path
        self._person_key = person_key
        self._tables = {record_type: Table(record_type) for record_type in records}
        self._settings = dict(settings)
        self._lock = threading.RLock()
        self._db: duckdb.DuckDBPyConnection | None = None
        self._identity: tuple[int, int] | None = None  # of the file that is open
        self._readers = 0
        self._idle: duckdb.DuckDBPyConnection | None = None  # a reader that has made all that reading begins with
        self._left_out = Books(lambda text: int(self.person(text), 16))
        # DuckDB makes its write-ahead log anew after each checkpoint: only the umask keeps that private too.
        self._umask = os.umask(0o077)
        try:
            with self._connection():
                pass
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
        person_key: str | None = None,
    ) -> Self:
        """Opens the store, making it where there is none. Raises StoreError; never overwrites what it cannot read.

        `person_key`: what its persons are hashed under; without one that in the file beside the store, made at need.
        """
        settings = {
            "threads": str(threads),
            "memory_limit": memory_limit,
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        return cls(Path(path), settings, records.values(), person_key)

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
        memory: Mapping[str, Any] | None = None,
        sweeps: Sequence[Sweep] = (),
        ready: Ready | None = None,
    ) -> int:
        """Stores a page and its cursor in one transaction; returns how many rows were new or different.

        Of two records with one id the one with the later `updated_at` wins, where that is the same or unknown the
        one read later. `at`: now, where it is known; what was updated long after it is not believed. A row that would
        not change is not touched, so that asking the same question again does not grow the file. `memory`: what the
        connector remembers now, where that has changed. `sweeps`: of what the platform has now; see store.sweep.
        `ready`: from when on all is there, while the first full sync goes on.
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
                sweep.found(db, source, self._tables[record_type].name, page)
            for record_type in {record_type for record_type, _ in gone}:
                ids = [id_ for its_type, id_ in gone if its_type is record_type]
                self._tables[record_type].delete(db, source, ids)
            for part in sweeps:
                if keys := sweep.go_on(db, source, part, self._tables):
                    self._left_out.note(db, source, [], keys, part.begun, first=False)
            state.go_on(db, source, cursor)
            if ready:
                state.ready(db, source, ready)
            if memory is not None:
                state.remember(db, source, memory)
        return changed

    def add(
        self, source: str, told: Sequence[Told], deliveries: Sequence[int], at: datetime, spans: Sequence[Nested] = ()
    ) -> int:
        """Stores what events say, and that they have come, in one transaction; returns how many rows are different.

        Raises StoreError also where the file was deleted or replaced: polls read everything anew, but nobody sends an
        event again that was taken.
        """
        with self._transaction() as db:
            if found := file.gone(self.path, self._identity):
                raise found
            pushed.remember(db, source, deliveries, at)
            changed = pushed.add(db, source, self._tables, told)
            self._tables[Run].delete(db, source, nesting.add(db, source, spans, at))
            return changed

    def delivered(self, source: str, at: datetime) -> list[tuple[int, datetime]]:
        """The events that have come lately, oldest first: number, and when. What came before is forgotten."""
        with self._transaction() as db:
            return pushed.remembered(db, source, at)

    def begin(self, source: str, fingerprint: str, at: datetime | None = None, *, revision: int = 1) -> SyncState:
        """Where to go on. Under another fingerprint the source counts as never synced; its records stay.

        So they do with another `revision` of its mapping: all is read again, and they are good until then. So it does
        where it was read long after `at`, which is now: the clock was wrong then, and its cursor is too.
        """
        with self._transaction() as db:
            before = state.of(db, source)
            if at and before.ahead(at):
                log.warning(
                    "source %s: was last read in the future, by a wrong clock; it is read again from the beginning",
                    source,
                )
                state.never_read(db, source)
                sweep.forget(db, source)
            if state.configured(db, source, fingerprint, revision):
                self._left_out.forget(db, source)  # all is read anew, and perhaps read otherwise
                sweep.forget(db, source)
            return state.of(db, source)

    def start_over(self, source: str, cursor: Mapping[str, Any]) -> None:
        """The platform is not what it was: where to go on is said anew. The records stay until others have their ids;
        until all is read again, what is read replaces what is stored, were that updated later."""
        with self._transaction() as db:
            state.start_over(db, source, cursor)
            sweep.forget(db, source)

    def succeeded(self, source: str, at: datetime, since: datetime | None = None, *, whole: bool = True) -> None:
        """A poll that began at `at` has brought all that is new; of the first sync, if `whole`, all from `since` on."""
        with self._transaction() as db:
            if whole:
                state.succeeded(db, source, at, since)
            else:
                state.went_on(db, source, at)

    def reached(self, at: datetime) -> datetime | None:
        """How far both the clock and the records have come, whichever less; None where there are too few records."""
        with self._connection() as db:
            newest = moment_reached(db, self._tables.values())
        return newest and min(at, newest)

    def retain(self, before: datetime, share: float = 1.0) -> dict[str, int]:
        """Deletes records all of whose times are earlier than `before`, the oldest first; returns how many of each.

        `share`: of the records of a type, the most that are deleted. An inventory is not history: it is kept.
        """
        with self._transaction() as db:
            found = {table.name: table.delete_before(db, before, share) for table in self._tables.values()}
            self._left_out.retain(db, before)
            deleted = {name: (count, last) for name, (count, last) in found.items() if count}
            for _, last in deleted.values():
                if last is not None:
                    state.deleted_until(db, last)
            if deleted:
                _not_to_be_read(db)
        return {name: count for name, (count, _) in deleted.items()}

    def note(
        self,
        source: str,
        noted: Sequence[Noted],
        readable: Iterable[str],
        at: datetime,
        *,
        anew: Sequence[str] = (),
        first: bool = False,
    ) -> list[Noted]:
        """Keeps what could not be read of a page, before the page is written, and forgets what can be read again.

        `readable`: keys of what was read well. `anew`: scopes that are read from their beginning. `first`: all is read
        for the first time. Returns what was not noted before: the same page read twice changes nothing.
        """
        with self._connection() as db:
            if not noted and not self._left_out.of(db, source):
                return []
        with self._transaction() as db:
            before = set(self._left_out.of(db, source)) if anew else set[int]()
            self._left_out.forget(db, source, anew)
            new = self._left_out.note(db, source, noted, readable, at, first=first)
        return [each for each in new if self._left_out.number(each.what.key) not in before]

    def unread(self, source: str) -> Summary:
        """What is left out of a source now."""
        with self._connection() as db:
            if not self._left_out.of(db, source):
                return Summary()
            return left_out.summary(db, source, sum(table.count(db, source) for table in self._tables.values()))

    def swept(self, source: str) -> list[Swept]:
        """What the last whole sweeps of a source have found, by type of record."""
        with self._connection() as db:
            return sweep.results(db, source)

    def freeze(self, baselines: Iterable[FrozenBaseline]) -> None:
        """Keeps baselines for good, in one transaction."""
        with self._transaction() as db:
            frozen.put(db, baselines)

    def frozen_baselines(self) -> dict[str, FrozenBaseline]:
        """The baselines that are kept, by KPI."""
        with self._connection() as db:
            return frozen.kept(db)

    def first_published(self, now: Iterable[str], at: datetime) -> dict[str, datetime]:
        """KPI -> when it was published for the first time; those that are published now, at `at`, are noted."""
        with self._connection() as db:
            known = published.of(db)
        if new := sorted({*now} - known.keys()):
            with self._transaction() as db:
                published.add(db, new, at)
        return known | dict.fromkeys(new, at)

    def sources(self) -> list[str]:
        """The names of all sources that are stored, in the config or not."""
        with self._connection() as db:
            return state.names(db)

    def source(self, source: str) -> SyncState:
        with self._connection() as db:
            return state.of(db, source)

    def newest(self, source: str, until: datetime) -> dict[str, datetime]:
        """Record name -> the newest time in the source's records that is not after `until`."""
        with self._connection() as db:
            moments = {table.name: table.newest(db, source, until) for table in self._tables.values()}
        return {name: moment for name, moment in moments.items() if moment}

    def newest_of(self, records: Iterable[Record], until: datetime) -> dict[str, datetime]:
        """The same of these records, stored or not."""
        pages: dict[type[Record], list[Record]] = {}
        for record in records:
            pages.setdefault(type(record), []).append(record)
        moments = {self._tables[kind].name: self._tables[kind].newest_of(page, until) for kind, page in pages.items()}
        return {name: moment for name, moment in moments.items() if moment}

    def person(self, text: str) -> str:
        """A name for a person that cannot be turned back without this store's key."""
        return person.hashed(self._person_key or "", text)

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for any thread; each of its transactions sees one committed state. Raises StoreError.

        It may have views, macros and settings of a reader before, but no other temporary tables.
        """
        with self._connection() as db:
            reader, self._idle = self._idle or db.cursor(), None
            self._readers += 1
        clean = False
        try:
            yield reader
            file.drop_temporary(reader)
            clean = True
        except duckdb.Error as error:
            if isinstance(error, duckdb.FatalException):
                with self._lock:
                    self._disconnect()
            if trouble := fault(self.path, str(error)):
                raise trouble from error
            raise
        finally:
            with self._lock:
                self._readers -= 1
                if clean and not self._idle and self._db is db:
                    self._idle = reader
                else:
                    reader.close()

    def keep(
        self, sources: Iterable[str], *, most: int = kept.ROWS, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """Works out what records need of each other, as far as it is not kept: of all but of those of other sources.

        What was written since the last time costs little. All of a store, as after an update of this program, is worked
        out part by part, of about so many rows at `most`, each in a transaction: being killed loses none that is done.
        `stopping`: asked before each part; then the others are left for the next time.
        """
        names = {*sources}
        for each in kept.every():
            part = None
            while not stopping() and (part := self._keep_on(each, names, part, most)):
                if part.of > 1:
                    now = f"{part.nth + 1} of {part.of} ({part.rows:,} {each.record}s)"
                    log.info("store %s: worked out part %s; values follow", self.path, now)

    def _keep_on(self, each: kept.Kept, sources: set[str], before: kept.Part | None, most: int) -> kept.Part | None:
        with self._connection() as db:
            worker = db.cursor()
            try:
                [(database,)] = worker.execute("select current_database()").fetchall()
                worker.begin()
                others = kept.left_out(worker, database, each, sources)
                part = kept.go_on(worker, database, each, others, before, most)
                worker.commit()
            finally:
                worker.close()
        return part

    def kept_wrong(self, sources: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Record -> how many have something kept beside them, and of how many that is not what it should be."""
        names = {*sources}
        # Not the connection of readers: the views that this makes would be theirs.
        with self.reading() as reader, reader.cursor() as worker:
            [(database,)] = worker.execute("select current_database()").fetchall()
            return {
                each.record: kept.wrong(worker, database, each, kept.left_out(worker, database, each, names))
                for each in kept.every()
            }

    def keep_anew(self) -> None:
        """Trusts nothing that is kept beside records: all is worked out again the next time."""
        with self._transaction() as db:
            for each in kept.every():
                kept.distrust(db, each)

    def erase_person(self, name: str) -> dict[str, int]:
        """Removes a person: what is about one is deleted; what happened stays, and nobody is named in it any more.
        Returns how many records of each type were touched."""
        hashed = self.person(person.normal(name))
        with self._transaction() as db:
            counts = {table.name: table.erase_person(db, hashed) for table in self._tables.values()}
            self._left_out.erase(db, (person.normal(name), hashed))
            sweep.erase(db, hashed)
            _not_to_be_read(db)
        self.rewrite()
        return {name: count for name, count in counts.items() if count}

    def erase_source(self, source: str) -> dict[str, int]:
        """Removes all that a source has brought; returns how many records of each type."""
        with self._transaction() as db:
            counts = {table.name: table.erase_source(db, source) for table in self._tables.values()}
            state.forget(db, source)
            pushed.forget(db, source)
            self._left_out.forget(db, source)
            sweep.forget(db, source)
            _not_to_be_read(db)
        self.rewrite()
        return {name: count for name, count in counts.items() if count}

    def rewrite(self) -> bool:
        """Writes the file anew where records were deleted since, so that nothing of them can be read in it.

        False where it is not needed, or somebody reads just now.
        """
        with self._connection() as db:
            if self._readers or self._identity is None or not rewrite.due(db):
                return False
            try:
                rewrite.rewrite(db, self.path, self._identity)
            finally:
                self._disconnect()
        with self._connection():
            return True

    def trouble(self) -> StoreError | None:
        """What became of the file since it was opened; None where it is as it should be. Looks at it only briefly."""
        try:
            with self._connection() as db:
                return file.trouble(db, self.path, self._identity)
        except StoreError as error:
            return error

    def counts(self, source: str | None = None) -> dict[str, int]:
        """Record name -> rows, of a source or of all."""
        with self._connection() as db:
            return {table.name: table.count(db, source) for table in self._tables.values()}

    def size(self) -> int:
        """Bytes on disk, the write-ahead log included."""
        total = 0
        for path in (self.path, rewrite.log_of(self.path)):
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
                self._left_out.unsure()
                raise

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, for one thread at a time. What is wrong with the file becomes a StoreError.

        After a fault such as a full disk DuckDB may refuse everything until it is opened again, so the next call does.
        """
        with self._lock:
            try:
                if self._db is None:
                    tables = list(self._tables.values())
                    self._db, self._person_key = file.connect(self.path, self._settings, tables, self._person_key)
                    self._identity = rewrite.identity_of(self.path)
                yield self._db
            except duckdb.Error as error:
                if isinstance(error, duckdb.FatalException):
                    self._disconnect()
                if found := fault(self.path, str(error)):
                    raise found from error
                raise

    def _disconnect(self) -> None:
        if self._idle is not None:
            self._idle.close()
            self._idle = None
        if self._db is not None:
            with suppress(duckdb.Error):
                self._db.close()
            self._db = None


def _not_to_be_read(db: duckdb.DuckDBPyConnection) -> None:
    """What was deleted in this transaction is not to be read in the file any more."""
    kept.forget(db)
    rewrite.mark(db, rewrite.LATER)
