"""Reads the rows of Parquet through DuckDB, few at a time: two kilobytes of Parquet may hold gigabytes of text."""

from __future__ import annotations  # duckdb is not loaded for the names of its types alone

import glob
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from exporter.base.deferred import Deferred
from exporter.connectors.files.discovery import Broken, File, State
from exporter.connectors.files.rows import Check, Reached, Row
from exporter.connectors.files.unpack import most_unpacked, plain, too_packed

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = Deferred("duckdb")

MEMORY = "256MB"
BATCH_ROWS = 20_000
BATCH_BYTES = 8 * 1024 * 1024
LONGEST_ROW = 8 * 1024 * 1024
NESTED = ("[]", ")")  # how the types of lists, and of structs and maps, end


def parquet_rows(file: File, reached: Reached, check: Check, zoneless: Collection[str]) -> Iterator[Row]:
    """The rows. `zoneless`: the names of times that need an offset, as nothing is said of their zone."""
    try:
        with plain(file), duckdb.connect(config={"threads": 1, "memory_limit": MEMORY}) as db:
            path = glob.escape(str(file.path))
            described = "select column_name, column_type from (describe from read_parquet(?))"
            kinds: dict[str, str] = dict(db.execute(described, [path]).fetchall())
            check(kinds, str(file.path))
            if local := [name for name in zoneless if kinds.get(name, "").partition("_")[0] in ("TIMESTAMP", "DATE")]:
                told = f"column {local[0]!r} has" if len(local) == 1 else f"columns {', '.join(map(repr, local))} have"
                raise Broken(f"{file.path}: {told} no time zone; set time_zone, such as Europe/Berlin")
            names = ", ".join(as_read(name, kind) for name, kind in kinds.items())
            query = (
                f"select {names} from read_parquet(?, file_row_number = true)"
                " where file_row_number between ? and ? order by file_row_number"
            )
            rows = 0
            for first, last, size in batches(db, path, kinds, file):
                rows = last + 1
                if size > LONGEST_ROW and first == last:
                    yield Row(first + 1, None, 0, f"a row of {LONGEST_ROW} bytes or more")
                    continue
                found = db.execute(query, [path, first, last]).fetchall()
                for number, values in enumerate(found, first + 1):
                    yield Row(number, filled(kinds, values), size // len(found))
        reached.begun, reached.whole = State(file.size, file.modified, file.size, rows), True
    except duckdb.OutOfMemoryException:
        raise Broken(f"{file.path}: needs more than {MEMORY} to be read; write smaller row groups") from None
    except duckdb.Error as error:
        if file.still:  # otherwise it is still being written
            raise Broken(f"{file.path}: not readable as Parquet") from error


def batches(
    db: duckdb.DuckDBPyConnection, path: str, kinds: Mapping[str, str], file: File
) -> Iterator[tuple[int, int, int]]:
    """First row, last row and bytes of what can be held at once; a row that is too long by itself."""
    weights = db.execute(f"select {weight(kinds)} from read_parquet(?)", [path])
    first, size, row, total = 0, 0, 0, 0
    found: list[tuple[int, int, int]] = []
    while rows := weights.fetchmany(BATCH_ROWS):
        for (bytes_,) in rows:
            total += bytes_
            if row > first and (size + bytes_ > BATCH_BYTES or row - first == BATCH_ROWS):
                found.append((first, row - 1, size))
                first, size = row, 0
            size += bytes_
            row += 1
        if total > most_unpacked(file):
            raise too_packed(file)
    return iter([*found, *([(first, row - 1, size)] if row else [])])


def weight(kinds: Mapping[str, str]) -> str:
    """About how many bytes a row has, as SQL. What is of a fixed size does not matter."""
    parts = ["0"]
    for name, kind in kinds.items():
        if kind == "VARCHAR":
            parts.append(f"coalesce(strlen({quoted(name)}), 0)")
        elif kind == "BLOB":
            parts.append(f"coalesce(octet_length({quoted(name)}), 0)")
        elif kind.endswith(NESTED) and not kind.startswith("DECIMAL"):
            parts.append(f"coalesce(strlen({quoted(name)}::varchar), 0)")
    return " + ".join(parts)


def filled(names: Iterable[str], values: Sequence[Any]) -> dict[str, Any]:
    """A row without what is not there, which some writers of Parquet put as NaN."""
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if not (isinstance(value, float) and isnan(value))}


def as_read(name: str, kind: str) -> str:
    """A Parquet column as something the record's columns can read."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(make_timestamp(epoch_us({quoted(name)})), '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"{quoted(name)}::double" if kind.startswith("DECIMAL") else quoted(name)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
