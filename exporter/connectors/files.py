"""Files: a row of a JSON Lines, CSV or Parquet file is a record.

API      None: the files that match a glob. Columns are named as the record's own, or renamed by `columns`.
Polls    The files that changed, oldest first: JSON Lines and CSV from where they ended, whole where they did more than
         grow; Parquet always whole. A last line without an end is left until the file has been still for a minute.
Cursor   files: by device and inode, how far a file was read and what it looked like.  unread: where the last rows stood
         that could not be read.
Blind    Rows and files that were taken away: their records stay. A change in the middle of a file that also grew.
         Of the rows with one id the one read last counts.
Checked  Files written by Python's csv and json and by DuckDB.
"""

import asyncio
import glob
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from math import isnan
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import duckdb
import msgspec
from pydantic import Field

from exporter import records
from exporter.client import Client, NotUnderstood, Unavailable
from exporter.column import COLUMNS, Column
from exporter.connectors.contract import Cursor, Page
from exporter.connectors.files_rows import Batches, File, Row, State, csv_rows, json_lines, matching
from exporter.records import Read, Record

RECORDS = tuple(records.RECORDS.values())
READS_ALL = True
NOUN = "row"
Format = Literal["json_lines", "csv", "parquet"]
FORMATS: dict[str, Format] = {".jsonl": "json_lines", ".ndjson": "json_lines", ".csv": "csv", ".parquet": "parquet"}
UNREAD_KEPT = 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which files hold which record, and how they name its columns."""

    path: str  # a glob; ** is any number of folders
    record: Literal[
        "request",
        "incident",
        "change",
        "run",
        "workflow",
        "booking",
        "opportunity",
        "account",
        "activity",
        "audit",
        "cost",
        "service_level",
    ]
    format: Format | None = None  # none: by the ending of the name
    columns: Mapping[str, str] = field(default_factory=dict)  # their name -> ours, or -> "" to pass the column over
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","  # of CSV
    page_size: Annotated[int, Field(ge=1, le=50_000)] = 5_000  # rows

    def __post_init__(self) -> None:
        known = sorted(COLUMNS[records.RECORDS[self.record]].keys() - {"source"})
        for theirs, ours in self.columns.items():
            if ours and ours not in known:
                raise ValueError(f"columns: {theirs}: {self.record} has no {ours!r}; it has {', '.join(known)}")


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    reading = meaning(options)
    matches = await asyncio.to_thread(matching, options.path, client.at)
    if not matches:
        raise Unavailable(f"no file matches {options.path}")
    before = {key: State(*state) for key, state in cursor.get("files", {}).items()}
    states = {file.key: before[file.key] for file in matches if file.key in before}
    unread = deque(cursor.get("unread", ()), UNREAD_KEPT)
    for file in matches:
        state = states.get(file.key)
        same = state is not None and (state.size, state.modified) == (file.size, file.modified)
        if state and same and (state.offset >= file.size or not file.still):
            continue
        kind = options.format or format_of(file.path)
        if kind == "json_lines":
            batches = json_lines(file, state, options.page_size)
        elif kind == "csv":
            batches = csv_rows(file, state, options.page_size, reading.check, options.delimiter)
        else:
            batches = parquet(file, options.page_size, reading)
        async for rows, reached in in_thread(batches, file.path):
            states[file.key] = reached
            function = partial(read, reading, kind == "csv", file.path, unread)
            reads = await asyncio.to_thread(client.each, rows, function)
            yield Page(reads, told(states, unread))
    yield Page([], told(states, unread))


def told(states: Mapping[str, State], unread: Iterable[str]) -> Cursor:
    return {"files": {key: list(state) for key, state in states.items()}, "unread": list(unread)}


class Reading(NamedTuple):
    """What a file's columns mean."""

    record: type[Record]
    columns: Mapping[str, tuple[str, Callable[[Any], Any]]]  # their name -> ours and what reads a value; "" is passed
    times: Collection[str]  # as they name them
    blank: Mapping[str, Any]  # every column of the record, as it is when nothing is said
    setters: Sequence[Callable[[Record, Any], None]]

    def made(self, found: Mapping[str, Any]) -> Record:
        """A record, slot by slot: calling the dataclass would be a third of the time spent on a row."""
        record = object.__new__(self.record)
        for setter, value in zip(self.setters, {**self.blank, **found}.values(), strict=True):
            setter(record, value)
        return record

    def check(self, given: Collection[str], where: str) -> None:
        """A name nobody knows is a mistake of the whole file: a figure would silently be missing."""
        unknown = sorted(name for name in given if name not in self.columns)
        if unknown:
            raise NotUnderstood(f"{where}: unknown column {unknown[0]!r}; known: {', '.join(self.columns)}")


async def in_thread(batches: Batches, path: Path) -> AsyncIterator[tuple[list[Row], State]]:
    """The batches, each read in a thread: disks and network shares can take their time."""
    try:
        while batch := await asyncio.to_thread(next, batches, None):
            yield batch
    except FileNotFoundError:
        return  # moved since it was listed
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    finally:
        with suppress(ValueError):  # cancelled while a thread is in it: it ends by itself
            batches.close()


def format_of(path: Path) -> Format:
    """By the ending, also of `events.jsonl.1`."""
    for suffix in reversed(path.suffixes):
        if suffix.lower() in FORMATS:
            return FORMATS[suffix.lower()]
    raise NotUnderstood(f"{path}: which format is it? Endings known: {', '.join(FORMATS)}; or set `format`")


def meaning(options: Options) -> Reading:
    record = records.RECORDS[options.record]
    columns = {name: column for name, column in COLUMNS[record].items() if name != "source"}
    ours = {name: name for name in columns} | dict(options.columns)
    readers = {name: reader(column) for name, column in columns.items()} | {"": plain}
    times = [theirs for theirs, name in ours.items() if name and columns[name].kind == "instant"]
    blank = {each.name: None if each.default is MISSING else each.default for each in fields(record)}
    setters = [getattr(record, name).__set__ for name in blank]
    return Reading(record, {theirs: (name, readers[name]) for theirs, name in ours.items()}, times, blank, setters)


def reader(column: Column) -> Callable[[Any], Any]:
    """What reads a value of a column. Ids and links are not labels: nothing is cut off them."""
    if column.name in ("id", "url"):
        return plain
    if column.kind == "texts":
        return lambda value: column.read(value.split(";") if isinstance(value, str) else value)
    return column.read if column.kind != "integer" else lambda value: countable(column.read(value))


def countable(number: int) -> int:
    if number >= 2**63:
        raise ValueError("more than the store can hold")
    return number


def plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).isprintable() or value == "":
        raise ValueError("not an id")
    return str(value)


def read(reading: Reading, empty_is_none: bool, path: Path, unread: deque[str], row: Row) -> Read:
    """A row as a record, beside the row as it was given."""
    try:
        values = msgspec.json.decode(row.values) if isinstance(row.values, bytes) else row.values
        found = {}
        for theirs, value in values.items():
            if theirs not in reading.columns:
                reading.check(values, f"{path}:{row.line}")
            ours, reader = reading.columns[theirs]
            if ours and value is not None and not (empty_is_none and value == ""):
                found[ours] = reader(value)
        if found.get("id") is None:
            raise KeyError("id")
        return Read(reading.made(found), values)
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError, OSError, msgspec.MsgspecError) as error:
        kind = type(error) if isinstance(error, KeyError | TypeError | AttributeError) else ValueError
        unread.append(f"{path.name}:{row.line}")
        raise kind("a row that cannot be read") from error


def parquet(file: File, size: int, reading: Reading) -> Batches:
    try:
        with duckdb.connect(config={"threads": 1, "memory_limit": "256MB"}) as db:
            path = glob.escape(str(file.path))
            kinds = dict(
                db.execute("select column_name, column_type from (describe from read_parquet(?))", [path]).fetchall()
            )
            reading.check(kinds, str(file.path))
            zoneless = [
                name for name in reading.times if kinds.get(name, "").partition("_")[0] in ("TIMESTAMP", "DATE")
            ]
            if zoneless:
                raise NotUnderstood(f"{file.path}: column {zoneless[0]!r} has no time zone")
            names = ", ".join(as_read(name, kind) for name, kind in kinds.items())
            answer = db.execute(f"select {names} from read_parquet(?)", [path])
            line = 0
            while found := answer.fetchmany(size):
                rows = [Row(line + i, filled(kinds, values)) for i, values in enumerate(found, 1)]
                line += len(rows)
                yield rows, State(0, 0)  # not yet the state of the file: dying half-way reads it again
            yield [], State(file.size, file.modified, file.size)
    except duckdb.Error as error:
        if file.still:  # otherwise it is still being written
            raise NotUnderstood(f"{file.path}: not readable as Parquet") from error


def filled(names: Iterable[str], values: Sequence[Any]) -> dict[str, Any]:
    """A row without what is not there, which some writers of Parquet put as NaN."""
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if not (isinstance(value, float) and isnan(value))}


def as_read(name: str, kind: str) -> str:
    """A Parquet column as something the record's columns can read."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(make_timestamp(epoch_us({quoted})), '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"{quoted}::double" if kind.startswith("DECIMAL") else quoted
