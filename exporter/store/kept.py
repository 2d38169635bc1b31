"""What a record needs of others of its type, worked out after writes and kept beside it, as instants.

Files in exporter/kept/ say how. A row is marked with the version that its kept columns were worked out by; one that
was written since, by whatever program, has no mark. Of a row that was deleted or replaced it is noted whose others are
to be looked at again. So the marks and the notes say whether all is kept: if not, evaluation works it out itself.
"""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, Protocol

FOLDER = Path(__file__).parents[1] / "kept"
ROWS = 100_000
"""About so many rows are worked out in one transaction: bounds its memory, and how long a write waits for it."""
MARK = "kept"
"""The column of the mark."""


class Database(Protocol):
    """The part of a DuckDB connection that is needed here."""

    def execute(self, query: str, parameters: object = None) -> Any: ...


@dataclass(frozen=True)
class Kept:
    """A file of exporter/kept/. `by`: a change of a record touches all that have the same value of this column.
    `columns`: what is kept. Its macro <record>_kept() gives them, beside source and id, of all rows of the view
    <record>; rows without any may be missing.
    """

    record: str
    text: str
    by: str
    columns: tuple[str, ...]

    def version(self, left_out: Collection[str]) -> int:
        """What rows are marked with. `left_out`: the sources whose records do not count."""
        return zlib.crc32("\0".join((self.text, *sorted(left_out))).encode())


@cache
def of(record: str) -> Kept | None:
    """What is kept of a record type, if anything."""
    path = FOLDER / f"{record}.sql"
    if not path.exists():
        return None
    text = path.read_text()
    said = dict(
        line.removeprefix("-- ").split(": ", 1)
        for line in text.splitlines()
        if line.startswith(("-- by: ", "-- columns: "))
    )
    return Kept(record, text, said["by"], tuple(said["columns"].split(", ")))


@cache
def every() -> tuple[Kept, ...]:
    """All that is kept."""
    return tuple(kept for path in sorted(FOLDER.glob("*.sql")) if (kept := of(path.stem)))


def make(db: Database) -> None:
    """Makes the tables where there are none."""
    db.execute("create table if not exists kept_touched (record VARCHAR not null, value VARCHAR)")
    db.execute("create table if not exists kept_rows (record VARCHAR primary key, marked BIGINT not null)")


def columns(record: str) -> dict[str, str]:
    """Column -> its type, of those that the table of a record type has for this."""
    kept = of(record)
    return {**dict.fromkeys(map(stored_as, kept.columns), "TIMESTAMP"), MARK: "UINTEGER"} if kept else {}


def stored_as(name: str) -> str:
    """What a column is called in the table: by no name that facts of an older program may give to one of theirs."""
    return f"{MARK}_{name}"


def touch(db: Database, record: str, condition: str, parameters: object = None) -> None:
    """Notes that rows are about to be deleted, or to lose their mark."""
    if kept := of(record):
        query = f'insert into kept_touched select \'{record}\', "{kept.by}" from "{record}" where {MARK} is not null'
        db.execute(f"{query} and ({condition})", parameters)


def cleared(record: str) -> str:
    """SQL that empties the kept columns of rows of a record type, and takes their mark, behind other assignments."""
    return "".join(f', "{name}" = null' for name in columns(record))


def distrust(db: Database, kept: Kept) -> None:
    """Takes all marks of a record type, so that all its rows are worked out again."""
    db.execute(f'update "{kept.record}" set {MARK} = null where {MARK} is not null')


def forget(db: Database) -> None:
    """What was deleted is not to be read any more: neither who it was about in notes, nor its times beside others."""
    for each in every():
        notes, table, by = f"from kept_touched where record = '{each.record}'", f'"{each.record}"', f'"{each.by}"'
        emptied = ", ".join(f'"{stored_as(name)}" = null' for name in each.columns)
        db.execute(f"update {table} set {emptied} where {by} in (select value {notes})")
        db.execute(
            f"""update kept_touched set value = null where record = '{each.record}'
            and value not in (select {by} from {table} where {by} is not null)"""
        )


def left_out(db: Database, database: str, kept: Kept, sources: Collection[str]) -> list[str]:
    """The sources that have records and are not among these: their records do not count."""
    found = db.execute(f'select distinct source from "{database}".main."{kept.record}"').fetchall()
    return sorted({name for (name,) in found} - {*sources})


def whole(db: Database, database: str, kept: Kept, sources: Collection[str]) -> bool:
    """Whether all rows are kept, for these sources."""
    version = kept.version(left_out(db, database, kept, sources))
    marked, others, known, notes = counts(db, database, kept, version)
    return not others and not notes and marked == known


def counts(db: Database, database: str, kept: Kept, version: int) -> tuple[int, int, int, int]:
    """How many rows have a mark, and how many not this one; how many had one when last worked on, and notes since.

    A program that knows nothing of this may have deleted rows without a note: then these numbers do not agree.
    """
    main = f'"{database}".main'
    found: tuple[int, int, int, int] = db.execute(
        f"""select count({MARK}), count(*) filter ({MARK} is distinct from {version}),
        coalesce((select marked from {main}.kept_rows where record = '{kept.record}'), 0),
        (select count(*) from {main}.kept_touched where record = '{kept.record}') from {main}."{kept.record}" """
    ).fetchall()[0]
    return found


@dataclass(frozen=True)
class Part:
    """The `nth` of `of` parts; `rows`: how many rows were worked out in it.

    A value of `by` is in the same part whatever is written meanwhile. So after the last one all is kept that was not at
    first: what came since is for the next time, or a writer that never rests would be followed for ever.
    """

    nth: int
    of: int
    rows: int


def go_on(
    db: Database, database: str, kept: Kept, left_out: Sequence[str], before: Part | None, most: int
) -> Part | None:
    """Works out a part of what is not kept, in the caller's transaction; None where nothing is left.

    `db`: a connection that may have temporary views. `before`: the last part, if this is not the first. `most`: about
    so many rows are in a part, but all that have the same value of `by` are in one.
    """
    if before and before.nth + 1 == before.of:
        return None
    version, main = kept.version(left_out), f'"{database}".main'
    table, by, record = f'{main}."{kept.record}"', f'"{kept.by}"', kept.record
    marked, others, known, notes = counts(db, database, kept, version)
    if marked != known - notes:
        db.execute(f"update {table} set {MARK} = null where {MARK} is not null")
        db.execute(f"delete from {main}.kept_touched where record = '{record}'")
    elif not others and not notes:
        return None
    db.execute(
        f"""create or replace temp table touched as
        select distinct {by} as value from {table} where {MARK} is distinct from {version}
        union select value from {main}.kept_touched where record = '{record}'"""
    )
    concerned = f"({by} in (select value from touched) or {MARK} is distinct from {version})"
    [(rows,)] = db.execute(f"select count(*) from {table} where {concerned}").fetchall()
    nth, of = (before.nth + 1, before.of) if before else (0, max(1, ceil(rows / most)))
    concerned += f" and hash({by}) % {of} = {nth}"
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in left_out)
    but = f"and source not in ({names})" if left_out else ""
    db.execute(f'create or replace temp view "{record}" as from {table} where {concerned} {but}')
    db.execute(kept.text)
    db.execute(f"create or replace temp table worked_out as from {record}_kept()")
    differs = " or ".join(f'r."{stored_as(name)}" is distinct from n."{name}"' for name in kept.columns)
    given = ", ".join(f'"{stored_as(name)}" = n."{name}"' for name in kept.columns)
    done: int = db.execute(
        f"""update {table} r set {given}, {MARK} = {version}
        from (
          select t.row, w.* from (select rowid as row, source, id from {table} where {concerned}) t
          left join worked_out w using (source, id)
        ) n where r.rowid = n.row and (r.{MARK} is distinct from {version} or {differs})"""
    ).fetchall()[0][0]
    db.execute(f"delete from {main}.kept_touched where record = '{record}' and hash(value) % {of} = {nth}")
    db.execute(
        f"""insert into {main}.kept_rows select '{record}', count({MARK}) + (
          select count(*) from {main}.kept_touched where record = '{record}'
        ) from {table} on conflict (record) do update set marked = excluded.marked"""
    )
    for name in ("touched", "worked_out"):
        db.execute(f"drop table temp.{name}")
    return Part(nth, of, done)


def wrong(db: Database, database: str, kept: Kept, left_out: Sequence[str]) -> tuple[int, int]:
    """How many rows are marked, and how many of them have something else beside them than what would be worked out now.

    `db`: a connection that may have temporary views.
    """
    table, version = f'"{database}".main."{kept.record}"', kept.version(left_out)
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in left_out)
    but = f"where source not in ({names})" if left_out else ""
    db.execute(f'create or replace temp view "{kept.record}" as from {table} {but}')
    db.execute(kept.text)
    differs = " or ".join(f'r."{stored_as(name)}" is distinct from n."{name}"' for name in kept.columns)
    found: tuple[int, int] = db.execute(
        f"""select count(*), count(*) filter ({differs}) from {table} r left join {kept.record}_kept() n
        using (source, id) where r.{MARK} = {version}"""
    ).fetchall()[0]
    return found
