"""Files: a row of a JSON Lines, CSV, Parquet or .xlsx file is a record.

API      None. It reads the files that match a glob; text may be compressed with gzip, or be the only file of a zip.
         Columns have the names of the record's columns, or `columns` says which ones they fill. A JSON file may also be
         a list of objects, or an object around such a list. Of .xlsx one sheet is read, with formulas as last computed.
Access   The user that runs the exporter needs to read the files and list their folders; nothing is written there.
Polls    The files that changed, oldest first. JSON Lines and CSV are read from where they ended, or as a whole if they
         did more than grow; Parquet, .xlsx and JSON lists are always read as a whole. An unfinished last line waits
         until the file has not changed for a minute. A file that cannot be read is named and tried again at the next
         poll; the others are read.
Cursor   files: how far each file was read, and what it looked like, by device and inode.  rest: files that were not
         read to their end.  faults: why files cannot be read.  like: how many rows, bytes and files were read last.
Blind    Rows and files that were removed: their records stay. A change in the middle of a file that also grew. If
         several rows have the same id, the one read last counts. A local time in the hour that occurs twice in an
         autumn night counts as the first of the two.
Checked  Files written by Python's csv, json, gzip and zipfile, by DuckDB and by openpyxl.
"""

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Discriminator, Field, Tag

from exporter import records
from exporter.base.deferred import asyncio
from exporter.collect.contract import LATER, Cursor, Page
from exporter.collect.finding import Finding
from exporter.collect.http import Client, NotUnderstood, Partial, SourceError, Unavailable
from exporter.connectors.files.csv_file import Layout, csv_rows
from exporter.connectors.files.discovery import Broken, File, State, Unfinished, looked_at, matching, root_of
from exporter.connectors.files.mapping import Target, faults, meaning, place, read, target_of, turned
from exporter.connectors.files.parquet_file import parquet_rows
from exporter.connectors.files.rows import Reached, Row, json_rows
from exporter.connectors.files.unpack import Encoding, member_of, plain, resumed, zipfile_of
from exporter.connectors.files.xlsx_file import xlsx_rows
from exporter.records import Read, RecordName
from exporter.records.notation import PLAIN, Decimal, Notation, Thousands, notation_faults
from exporter.records.unreadable import FILE, ITEM, Fault, LeftOut

RECORDS = tuple(records.RECORDS.values())
AUTH = None
INTERVAL = 30
READS_ALL = True
NOUN = "row"
Format = Literal["json_lines", "csv", "parquet", "xlsx"]
FORMATS: dict[str, Format] = {
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
FAULTS_KEPT, FAULTS_TOLD = 20, 5
WHOLE_FILES = "files"  # the scope of files that cannot be read at all
PAGE_BYTES = 8 * 1024 * 1024  # a page ends there even if it has few rows,
PAGE_FILES = 1_000  # and after so many files, so that a poll that breaks off need not open them all again


Named = Annotated[
    Annotated[str, Tag("its name")] | Annotated[Target, Tag("its rule")],
    Discriminator(lambda given: "its rule" if isinstance(given, dict | Target) else "its name"),
]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which files hold which record, and how they name its columns."""

    path: str  # a glob; ** is any number of folders
    record: RecordName
    format: Format | None = None  # none: by the ending of the name
    columns: Mapping[str, Named] = field(default_factory=dict)  # their name -> ours, or -> "" to pass the column over
    id_columns: tuple[str, ...] = field(
        default=(), metadata=LATER
    )  # which together identify a row, where none holds an id
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","  # of CSV
    page_size: Annotated[int, Field(ge=1, le=50_000)] = 5_000  # rows
    encoding: Encoding = field(default="utf-8", metadata=LATER)  # of JSON Lines and CSV
    header_line: Annotated[int, Field(ge=1)] | None = field(default=None, metadata=LATER)  # of CSV and .xlsx
    sheet: str | None = field(default=None, metadata=LATER)  # of .xlsx; none: the only one
    time_zone: str | None = field(default=None, metadata=LATER)  # of times without an offset
    time_format: str | tuple[str, ...] | None = field(default=None, metadata=LATER)  # none: ISO 8601
    decimal: Decimal | None = field(default=None, metadata=LATER)
    thousands: Thousands | None = field(default=None, metadata=LATER)
    nulls: tuple[str, ...] | None = field(default=None, metadata=LATER)  # words for nothing

    @property
    def notation(self) -> Notation:
        """How the files write, where a column does not say."""
        return PLAIN.over(self)

    @property
    def rules(self) -> Mapping[str, Sequence[Target]]:
        """Columns that the config fills here."""
        targets = [target_of(turned(*each)[1]) for each in self.columns.items()]
        return {target.to: (target,) for target in targets if target.to}

    @property
    def paths(self) -> frozenset[str]:
        """The names that are looked for in files."""
        names = {turned(*each)[0] for each in self.columns.items()}
        return frozenset({*names, *self.id_columns} - {"*"})

    @property
    def unfilled(self) -> frozenset[str]:
        """Columns that no file can fill. Unless all others are passed over, a file may have any under its own name."""
        if self.columns.get("*") != "":
            return frozenset()
        return frozenset({each.name for each in fields(records.RECORDS[self.record])} - {*self.rules})

    def faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with the options together: the keys that lead to it, and words."""
        yield from notation_faults(self)
        if self.id_columns and "id" in self.rules:
            yield ("id_columns",), "columns says what the id is as well; keep one of the two"
        for keys, message in faults(self.columns, records.RECORDS[self.record]):
            yield ("columns", *keys), message


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


def read_item(options: Options, item: Mapping[str, Any]) -> Read:
    """A row as the file would have it; in CSV everything is a text."""
    kind = options.format or next((FORMATS[each] for each in Path(options.path).suffixes if each in FORMATS), "csv")
    texts = {True: "true", False: "false"}
    if kind == "csv":
        item = {name: texts[v] if isinstance(v, bool) else v if v is None else str(v) for name, v in item.items()}
    reading = meaning(options.columns, records.RECORDS[options.record], options.notation)
    reading.check(item.keys(), "the item")
    return read(reading, kind in ("csv", "xlsx"), Row(1, item, 0))


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
        self.client, self.options = client, options
        self.reading = meaning(options.columns, records.RECORDS[options.record], options.notation, options.id_columns)
        self.layout = Layout(
            options.delimiter, options.header_line, options.encoding, self.reading.columns.keys(), self.reading.single
        )
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
            except Unfinished:
                well += 1
                continue  # what is packed is read when it is whole
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
        kind = self.options.format or format_of(file)
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
        reading, encoding = self.reading, self.options.encoding
        if kind in ("parquet", "xlsx"):
            reached.begun = State(file.size, file.modified)
            if kind == "xlsx":
                return xlsx_rows(file, reached, self.layout, self.options.sheet, reading.check)
            return parquet_rows(file, reached, reading.check, reading.zoneless)
        reached.begun = resumed(file, reached.begun, encoding)
        if kind == "json_lines":
            return json_rows(file, reached, encoding, reading.check, reading.called("id"))
        return csv_rows(file, reached, self.layout, reading.check)

    def _page(self) -> Page:
        """What waits, as records."""
        reads: list[Read] = []
        for file, kind, reached, rows in self.waiting:
            reader, where = partial(read, self.reading, kind in ("csv", "xlsx")), partial(place, self.told(file))
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


def format_of(file: File) -> Format:
    """By the ending, also of `events.jsonl.1`; of a zip file by what it holds."""
    names = [file.path]
    if file.path.suffix.lower() == ".zip":
        with plain(file) as binary, zipfile_of(binary, file) as archive:
            names.append(Path(member_of(archive, file).filename))
    for suffix in (suffix.lower() for name in names for suffix in reversed(name.suffixes)):
        if suffix in FORMATS:
            return FORMATS[suffix]
    raise NotUnderstood(
        f"{file.path}: the format is not known from the file name; known endings: {', '.join(FORMATS)}; or set `format`"
    )
