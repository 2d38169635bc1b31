"""Rewrites the file of a store, so that nothing that was deleted can be read in it any more.

A database leaves deleted rows where they are until their place is needed. What is left is copied into a new file, which
then takes the place of the old one in one step: being killed at any moment leaves a whole file, the old or the new.
"""

import os
import shutil
from pathlib import Path

from exporter.store.fault import StoreError
from exporter.store.table import Database

DUE = "rewrite_due"
"""The name of the row in `meta` that says so."""
AT_ONCE, LATER = "at once", "later"


def draft_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.rewrite")


def log_of(path: Path) -> Path:
    """The write-ahead log of a file."""
    return path.with_name(f"{path.name}.wal")


def mark(db: Database, when: str) -> None:
    """Notes that the file is to be written anew. Works inside the caller's transaction."""
    db.execute("insert into meta values (?, ?) on conflict (name) do update set value = excluded.value", [DUE, when])


def due(db: Database) -> str | None:
    """When the file is to be written anew; None: not at all."""
    rows = db.execute("select value from meta where name = ?", [DUE]).fetchall()
    return str(rows[0][0]) if rows else None


def clear(path: Path) -> None:
    """Removes what a rewriting that was killed has left."""
    for each in (draft_of(path), log_of(draft_of(path))):
        each.unlink(missing_ok=True)


def rewrite(db: Database, path: Path, identity: tuple[int, int]) -> None:
    """Puts a copy of all that is stored in the file's place; nobody else may use the connection, which is then closed.

    The old file stays locked until the new one is there, so no other process can write to what is thrown away. A copy
    that fails, as on a full disk, is removed.
    """
    clear(path)
    try:
        _copy(db, draft_of(path))
        db.execute("checkpoint")  # afterwards there is no log that could be taken for the new file's
        if log_of(draft_of(path)).exists() or log_of(path).exists() or identity_of(path) != identity:
            raise StoreError(path, "its file could not be rewritten: another program has changed it")
        _put_in_place(draft_of(path), path)
    except OSError as error:
        raise StoreError(path, f"its file could not be rewritten: {error.strerror}") from None
    finally:
        clear(path)


def _copy(db: Database, draft: Path) -> None:
    (name,) = db.execute("select current_database()").fetchall()[0]
    db.execute("attach '{}' as fresh".format(str(draft).replace("'", "''")))
    try:
        db.execute('copy from database "{}" to fresh'.format(str(name).replace('"', '""')))
        db.execute("delete from fresh.meta where name = ?", [DUE])
    finally:
        db.execute("detach fresh")


def _put_in_place(draft: Path, path: Path) -> None:
    shutil.copymode(path, draft)
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


def identity_of(path: Path) -> tuple[int, int] | None:
    """What tells one file from another in its place; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
