"""The file of a store: how it is created, what is checked when it is opened, and how older formats are migrated."""

from __future__ import annotations  # duckdb is not loaded for the names of its types alone

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.base.deferred import Deferred
from exporter.store import frozen, kept, left_out, nesting, person, published, pushed, rewrite, state, sweep
from exporter.store.fault import CutOff, Damaged, Deleted, NewerFormat, NotAStore, Replaced, StoreError, check_folder
from exporter.store.table import Table

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = Deferred("duckdb")

FORMAT = 2
"""Raised when an older program could not work with the file. A column that is only added does not need that.

1: the key of the person hashes stood in the file. 2: it lies outside, and ids that are addresses are hashed.
"""

HEADERS_BYTES = 12_288  # what a DuckDB file has before its first block
KEY, PRINT = "person_key", "person_key_fingerprint"


def connect(
    path: Path, settings: dict[str, str], tables: Iterable[Table], configured: str | None
) -> tuple[duckdb.DuckDBPyConnection, str]:
    """The store, made where there is none, and its person key. Raises StoreError or duckdb.Error."""
    check_folder(path)
    key = person.current_key(path, configured)
    if not path.exists():
        key = _create(path, settings, key)
    db = _open(path, settings)
    try:
        _check(db, path)
        rewrite.clear(path)
        person.clear(path)
        _make_tables(db, tables)
        key = _own_key(db, path, key, tables)
        if rewrite.due(db) == rewrite.AT_ONCE and (identity := rewrite.identity_of(path)):
            rewrite.rewrite(db, path, identity)
            db.close()
            db = _open(path, settings)
    except BaseException:
        db.close()
        raise
    return db, key


def used_bytes(db: duckdb.DuckDBPyConnection) -> int:
    """How long the file must be at least. Free blocks do not count: DuckDB cuts those at the end off when it closes."""
    block_bytes, blocks = db.execute("select block_size, used_blocks from pragma_database_size()").fetchall()[0]
    return HEADERS_BYTES + int(block_bytes) * int(blocks)


def trouble(db: duckdb.DuckDBPyConnection, path: Path, identity: tuple[int, int] | None) -> StoreError | None:
    """What became of the file while it is open; None where it is as it should be."""
    if found := gone(path, identity):
        return found
    if path.stat().st_size < used_bytes(db):
        return CutOff(path, "its file was cut off while in use")
    return None


def gone(path: Path, identity: tuple[int, int] | None) -> StoreError | None:
    """Whether the open file is no longer the one at its path; what is written then is lost."""
    now = rewrite.identity_of(path)
    if now is None:
        return Deleted(path, "its file was deleted or moved away while in use")
    return Replaced(path, "its file was replaced by another while in use") if now != identity else None


def _open(path: Path, settings: dict[str, str]) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path, config=settings)  # type: ignore[arg-type] # its stub wants an invariant dict


def _create(path: Path, settings: dict[str, str], key: str | None) -> str:
    """A new store comes into being whole: being killed half-way leaves no file that cannot be opened."""
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    draft.unlink(missing_ok=True)
    rewrite.log_of(path).unlink(missing_ok=True)  # of a file that is no more: no other can make anything of it
    fresh = key is None
    key = key or person.keep(path, person.new_key())
    try:
        with _open(draft, settings) as db:
            db.execute("create table meta (name VARCHAR primary key, value VARCHAR not null)")
            rows = [("format", str(FORMAT)), (PRINT, person.fingerprint(key))]
            db.executemany("insert into meta values (?, ?)", rows)
        _put_in_place(draft, path)
    except BaseException:
        if fresh and not path.exists():
            person.beside(path).unlink(missing_ok=True)
        raise
    finally:
        draft.unlink(missing_ok=True)
    return key


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was quicker: opening its file will say so
    except OSError:  # a file system without hard links
        draft.rename(path)


def _check(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuses a file that another program, or a later version, has written, and one that was cut off."""
    if path.stat().st_size < used_bytes(db):
        raise Damaged(path, "damaged: its end is missing")
    if not db.execute("select 1 from duckdb_tables() where table_name = 'meta'").fetchall():
        raise NotAStore(path, "it is the database of another program")
    version = _meta(db).get("format", "")
    if not version.isdigit():
        raise NotAStore(path, "it is the database of another program")
    if int(version) > FORMAT:
        raise NewerFormat(path, f"has format {version}, but this version knows formats up to {FORMAT} only")


def _make_tables(db: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Makes what a store consists of, as far as it is not there: all at once, so the disk is waited for only once."""
    db.begin()
    query = "select table_name, list(column_name) from duckdb_columns() where not internal group by table_name"
    present = dict(db.execute(query).fetchall())
    for table in tables:
        table.make(db, present.get(table.name, ()))
    for others in (frozen, kept, left_out, nesting, published, pushed, state, sweep):
        others.make(db)
    db.commit()


def _own_key(db: duckdb.DuckDBPyConnection, path: Path, key: str | None, tables: Iterable[Table]) -> str:
    """The key under which the store's persons are hashed; one that is in the file is moved out of it."""
    meta = _meta(db)
    if old := meta.get(KEY):
        if key is not None and key != old:
            raise person.OtherKey(
                path,
                f"holds a person key of its own, which is another than the configured one or that in"
                f" {person.beside(path)}; without store.person_key, and without that file, it is written there",
            )
        key = key or person.keep(path, old)
        _move_out(db, key, tables)
    elif key is None:
        raise person.KeyMissing(path, f"its person key is missing: there is no file {person.beside(path)}")
    elif meta.get(PRINT) != person.fingerprint(key):
        raise person.OtherKey(path, "its people were hashed with another person key")
    return key


def _move_out(db: duckdb.DuckDBPyConnection, key: str, tables: Iterable[Table]) -> None:
    """Format 1 becomes 2. The file is written anew afterwards: until then the key can still be found in it."""
    db.begin()
    try:
        for table in tables:
            table.hash_addresses(db, lambda text: person.hashed(key, person.normal(text)))
        db.execute("delete from meta where name = ?", [KEY])
        db.execute("insert into meta values (?, ?)", [PRINT, person.fingerprint(key)])
        db.execute("update meta set value = ? where name = 'format'", [str(FORMAT)])
        rewrite.mark(db, rewrite.AT_ONCE)
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _meta(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(db.execute("select name, value from meta").fetchall())


STAYS = "for the next reader"
"""The comment of temporary tables that a connection keeps."""


def drop_temporary(connection: duckdb.DuckDBPyConnection) -> None:
    """Drops the temporary tables of a connection but those whose comment is STAYS: they would take memory."""
    query = f"select table_name from duckdb_tables() where temporary and comment is distinct from '{STAYS}'"
    for (name,) in connection.execute(query).fetchall():
        connection.execute(f'drop table temp."{name}"')
