"""Files: a row of a JSON Lines, CSV or Parquet file is a record.

API      None: the files that match a glob, text also in gzip. Columns are named as the record's own, or renamed by
         `columns`. A JSON file may also be one list of objects, or one object around such a list.
Polls    The files that changed, oldest first: JSON Lines and CSV from where they ended, whole where they did more than
         grow; Parquet and JSON lists always whole. A last line without an end is left until the file has been still for
         a minute. A file that cannot be read is named and asked again at the next poll; the others are read.
Cursor   files: by device and inode, how far a file was read and what it looked like.  rest: those that were not read to
         their end.  faults: why, where they cannot be.  like: how many rows, bytes and files were there when last some
         were.
Blind    Rows and files that were taken away: their records stay. A change in the middle of a file that also grew.
         Of the rows with one id the one read last counts.
Checked  Files written by Python's csv, json and gzip and by DuckDB.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from exporter import records
from exporter.collect.contract import Cursor, Page
from exporter.collect.finding import Finding
from exporter.collect.http import Client, NotUnderstood, Partial, SourceError, Unavailable
from exporter.connectors.files.csv_file import csv_rows
from exporter.connectors.files.discovery import Broken, File, State, looked_at, matching, resumed, root_of
from exporter.connectors.files.parquet_file import parquet_rows
from exporter.connectors.files.rows import Reached, Row, json_rows
from exporter.records import Read, Record, RecordName
from exporter.records.columns import COLUMNS, Column
from exporter.records.unreadable import FILE, ITEM, Fault, LeftOut, Unreadable, value

RECORDS = tuple(records.RECORDS.values())
AUTH = None
INTERVAL = 30
READS_ALL = True
NOUN = "row"
Format = Literal["json_lines", "csv", "parquet"]
FORMATS: dict[str, Format] = {
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
    ".csv": "csv",
    ".parquet": "parquet",
}
FAULTS_KEPT, FAULTS_TOLD = 20, 5
WHOLE_FILES = "files"  # the scope of files that cannot be read at all
PAGE_BYTES = 8 * 1024 * 1024  # a page ends there even if it has few rows,
PAGE_FILES = 1_000  # and after so many files, so that a poll that breaks off need not open them all again


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which files hold which record, and how they name its columns."""

    path: str  # a glob; ** is any number of folders
    record: RecordName
    format: Format | None = None  # none: by the ending of the name
    columns: Mapping[str, str] = field(default_factory=dict)  # their name -> ours, or -> "" to pass the column over
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","  # of CSV
    page_size: Annotated[int, Field(ge=1, le=50_000)] = 5_000  # rows

    def __post_init__(self) -> None:
        known = sorted(COLUMNS[records.RECORDS[self.record]].keys() - {"source"})
        for theirs, ours in self.columns.items():
            if ours and ours not in known:
                turned = f"; write the name in the file first: {ours}: {theirs}" if theirs in known else ""
                raise ValueError(f"columns: {theirs}: {self.record} has no {ours!r}{turned}; it has {', '.join(known)}")


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    pages = Gathering(client, options, cursor).pages()
    try:
        # In threads: disks and network shares can take their time, and so does a page.
        while page := await asyncio.to_thread(next, pages, None):
            yield page
    finally:
        with suppress(ValueError):  # cancelled while a thread is in it: it ends by itself
            pages.close()


async def check(client: Client, options: Options) -> list[Finding]:
    """The files there are. What is in them is read, and told of, as in any poll."""
    return await asyncio.to_thread(looked_at, options.path, client.at)


class Like(NamedTuple):
    """What files held that could be read."""

    rows: int = 0
    bytes: int = 0
    files: int = 0

    @classmethod
    def of(cls, states: Iterable[State]) -> "Like | None":
        """Of the files that are there; None where none was read."""
        read = [state for state in states if state.line]
        return cls(sum(s.line for s in read), sum(s.size for s in read), len(read)) if read else None

    def rows_of(self, size: int | None) -> int:
        """How many rows a file of a size holds, or any."""
        return round(self.rows / max(1, self.files) if size is None else self.rows * size / max(1, self.bytes))


class Part(NamedTuple):
    """Rows of one file on their way to a page."""

    file: File
    kind: Format
    reached: Reached
    rows: list[Row]


class Gathering:
    """One poll: rows of many files on one page, so that many small files cost no more than one large one."""

    def __init__(self, client: Client, options: Options, cursor: Cursor) -> None:
        self.client, self.options, self.reading = client, options, meaning(options)
        self.states = {key: State(*state) for key, state in cursor.get("files", {}).items()}
        # Before there was `rest`, a file not read to its end was one with something behind the offset.
        self.rest = set(cursor.get("rest", [key for key, state in self.states.items() if state.offset < state.size]))
        self.root = root_of(options.path)
        self.faults: dict[str, File | None] = {}  # why a file cannot be read, and which, as far as it was listed
        self.like = Like(*cursor.get("like", ()))
        self.anew: list[str] = []  # files that are read from their beginning
        self.waiting: list[Part] = []
        self.rows = self.bytes = 0

    def pages(self) -> Generator[Page, None, None]:
        """Every row that is new; then Partial where files cannot be read, or the error of one where none can."""
        matches, faults = matching(self.options.path, self.client.at)
        self.faults = dict.fromkeys(faults)
        if not matches and not self.faults:
            raise Unavailable(f"no file matches {self.options.path}")
        keys = {file.key for file in matches}
        self.states = {key: state for key, state in self.states.items() if key in keys}
        self.rest &= keys
        broken: SourceError = Unavailable("; ".join(self.faults))
        well = 0
        for file in matches:
            try:
                yield from self._file(file)
            except FileNotFoundError:
                continue  # moved since it was listed
            except SourceError as error:
                broken = error
            except OSError as error:
                broken = Unavailable(f"{file.path}: {error.strerror or type(error).__name__}")
            except Exception as error:  # noqa: BLE001 - whatever is in a file, it must not keep others from being read
                broken = Broken(f"{file.path}: cannot be read ({type(error).__name__})")
            else:
                well += 1
                continue
            self.faults[str(broken)] = file
        self.anew.append(WHOLE_FILES)
        last = self._page()  # now it is known how much the files hold that can be read
        for fault, each in self.faults.items():
            self.client.leave_out(self._left_out(fault, each))
        yield last
        if self.faults:
            raise Partial(self._partly()) if well else broken

    def _partly(self) -> str:
        """Which files are left out."""
        told, more = [*self.faults][:FAULTS_TOLD], len(self.faults) - FAULTS_TOLD
        rest = f"; and {more:,} more" if more > 0 else ""
        some = f"{len(self.faults):,} files" if len(self.faults) > 1 else "1 file"
        return f"{some} cannot be read, the others are: {'; '.join(told)}{rest}"

    def _left_out(self, fault: str, file: File | None) -> LeftOut:
        """A file that cannot be read: when it was written, and how many rows it holds if it is like the others."""
        path, rows = fault.partition(": ")[0], self.like.rows_of(file.size if file else None)
        read = self.states[file.key].line if file and file.key in self.states else 0
        times = (written,) if file and (written := file.written) else ()
        faults = (Fault(ITEM, FILE, fault),)
        return LeftOut(path, path, faults, scope=WHOLE_FILES, times=times, weight=max(1, rows - read))

    def _file(self, file: File) -> Iterator[Page]:
        """The pages that become full with a file; what comes after them waits for the next."""
        state = self.states.get(file.key)
        same = state is not None and (state.size, state.modified) == (file.size, file.modified)
        if same and file.key not in self.rest:
            return
        self.rest.add(file.key)
        kind = self.options.format or format_of(file.path)
        reached, rows = Reached(state or State(file.size, file.modified)), list[Row]()
        self.waiting.append(Part(file, kind, reached, rows))
        found = self._rows(file, kind, reached)
        if not reached.begun.offset:
            self.anew.append(file.key)
        for row in found:
            rows.append(row)
            self.rows, self.bytes = self.rows + 1, self.bytes + row.size
            if self.rows >= self.options.page_size or self.bytes > PAGE_BYTES:
                yield self._page()
                rows = []
                self.waiting.append(Part(file, kind, reached, rows))
        if len(self.waiting) >= PAGE_FILES:
            yield self._page()

    def _rows(self, file: File, kind: Format, reached: Reached) -> Iterator[Row]:
        reading = self.reading
        if kind == "parquet":
            reached.begun = State(file.size, file.modified)
            return parquet_rows(file, reached, reading.check, reading.times)
        reached.begun = resumed(file, reached.begun)
        if kind == "json_lines":
            return json_rows(file, reached, reading.check, reading.called("id"))
        return csv_rows(file, reached, self.options.delimiter, reading.check, reading.called(""))

    def _page(self) -> Page:
        """What waits, as records."""
        reads: list[Read] = []
        for file, kind, reached, rows in self.waiting:
            reader, where = partial(read, self.reading, kind == "csv"), partial(place, self.told(file))
            reads += self.client.each(rows, reader, where, file.key)
            self.states[file.key] = reached.state
            if reached.whole:
                self.rest.discard(file.key)
        self.like = Like.of(self.states.values()) or self.like
        anew, self.anew = self.anew, []
        self.waiting, self.rows, self.bytes = [], 0, 0
        return Page(reads, self._cursor(), anew=anew)

    def told(self, file: File) -> str:
        """A file's name within the folder that all are in."""
        return str(file.path).removeprefix(f"{self.root}/")

    def _cursor(self) -> Cursor:
        return {
            "files": {key: list(state) for key, state in self.states.items()},
            "rest": sorted(self.rest),
            "faults": [*self.faults][:FAULTS_KEPT],
            "like": list(self.like),
        }


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
        for setter, each in zip(self.setters, {**self.blank, **found}.values(), strict=True):
            setter(record, each)
        return record

    def check(self, given: Collection[str], where: str) -> None:
        """A name nobody knows is a mistake of the whole file: a figure would silently be missing."""
        if unknown := [name for name in given if name not in self.columns]:
            raise Broken(
                f"{where}: unknown column {unknown[0]!r}; say under columns which field it fills, or ignore it with "
                f'"" (fields and segments can still read it); known: {", ".join(self.columns)}'
            )

    def called(self, ours: str) -> Collection[str]:
        """What they call a column of ours; "" is for those passed over."""
        return {theirs for theirs, (name, _) in self.columns.items() if name == ours}


def format_of(path: Path) -> Format:
    """By the ending, also of `events.jsonl.1`."""
    for suffix in reversed(path.suffixes):
        if suffix.lower() in FORMATS:
            return FORMATS[suffix.lower()]
    raise NotUnderstood(
        f"{path}: the format is not known from the file name; known endings: {', '.join(FORMATS)}; or set `format`"
    )


def meaning(options: Options) -> Reading:
    record = records.RECORDS[options.record]
    columns = {name: column for name, column in COLUMNS[record].items() if name != "source"}
    ours = {name: name for name in columns} | dict(options.columns)
    readers = {name: reader(column) for name, column in columns.items()} | {"": str}
    times = [theirs for theirs, name in ours.items() if name and columns[name].kind == "instant"]
    blank = {each.name: None if each.default is MISSING else each.default for each in fields(record)}
    setters = [getattr(record, name).__set__ for name in blank]
    return Reading(record, {theirs: (name, readers[name]) for theirs, name in ours.items()}, times, blank, setters)


def reader(column: Column) -> Callable[[Any], Any]:
    """What reads a value of a column; several texts in a cell are parted by semicolons."""
    if column.kind != "texts":
        return column.read
    return lambda given: column.read(given.split(";") if isinstance(given, str) else given)


def place(name: str, row: Row) -> str:
    return f"{name}:{row.line}"


def read(reading: Reading, empty_is_none: bool, row: Row) -> Read:
    """A row as a record, beside the row as it was given."""
    if row.fault:
        raise Unreadable("broken_row", row.fault)
    found: dict[str, Any] = {}
    for theirs, given in row.values.items():
        ours, of_column = reading.columns[theirs]
        if ours and given is not None and not (empty_is_none and given == ""):
            found[ours] = value(ours, of_column, given, theirs)
    if "id" not in found:
        told = " or ".join(sorted(reading.called("id") & row.values.keys())) or "id"
        raise Unreadable("missing", f"there is no id in {told}" if told != "id" else "there is no id", "id")
    return Read(reading.made(found), row.values)
