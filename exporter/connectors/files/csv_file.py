"""Reads the rows of CSV. A quote that is never closed costs its own line, not the lines after it."""

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from exporter.connectors.files.discovery import Broken, File, State
from exporter.connectors.files.rows import LONGEST_LINE, TOO_LONG, Check, Line, Lines, Reached, Row
from exporter.connectors.files.unpack import Encoding, encoding_of, opened

MOST_LINES = 1_000  # of one row; what goes on for longer is a quote that nobody closed
LINES_BEFORE_HEADER = 20
DELIMITERS = ";\t|,"
SEPARATOR = re.compile(rb'"?sep=([^\r\n])"?[\r\n]*', re.IGNORECASE)  # how spreadsheets are told their delimiter
LIKE_ROWS = 3  # so many lines within a cell, each with as many delimiters as a row, are rows

csv.field_size_limit(LONGEST_LINE)  # a long description is no reason to lose a row


class Header(NamedTuple):
    """The names of the columns of a file, and which of them several columns have."""

    names: Sequence[str]
    repeated: Collection[str]
    width: int  # with the columns without a name behind them

    def holds(self, cells: Sequence[str]) -> bool:
        """Whether there is a cell for each column, and beyond the last none with something in it."""
        return len(cells) == self.width or (len(cells) >= len(self.names) and not any(cells[self.width :]))

    def values(self, cells: Sequence[str]) -> dict[str, Any]:
        """A row by name; of a name that several columns have a list."""
        if not self.repeated:
            return dict(zip(self.names, cells, strict=False))
        cells_of: dict[str, Any] = {}
        for name, cell in zip(self.names, cells, strict=False):
            if name in self.repeated:
                cells_of.setdefault(name, []).append(cell)
            else:
                cells_of[name] = cell
        return cells_of


class Layout(NamedTuple):
    """How a file is laid out, and which names its columns may have."""

    delimiter: str
    header_line: int | None  # none: the first line that is not empty, and not `sep=;`
    encoding: Encoding
    known: Collection[str]
    single: Collection[str]  # names that may stand over one column only


def csv_rows(file: File, reached: Reached, layout: Layout, check: Check) -> Iterator[Row]:
    """The rows."""
    start = State(file.size, file.modified)
    with opened(file, layout.encoding) as binary:
        records = Records(Lines(binary, file, start), file, layout.delimiter)
        records.pass_to(layout.header_line)
        top = next((record for record in records if record.cells != []), None)
        if top is None:
            if layout.header_line and file.still and file.size:
                raise Broken(
                    f"{file.path}: ends before line {layout.header_line}, which header_line says is the header"
                )
            reached.whole = not records.half
            return
        if top.cells is None:
            raise Broken(f"{file.path}:{top.last.number}: the header cannot be read: {top.fault}")
        where = f"{file.path}:{top.last.number}"
        if not set(map(str.strip, top.cells)) & set(layout.known):
            raise_advice(where, top.cells, records, layout)
        header = header_of(top.cells, where, check, layout)
    if not reached.begun.offset:
        reached.line = top.last
    with opened(file, layout.encoding) as binary:
        records = Records(Lines(binary, file, reached.state), file, records.delimiter, header)
        for record in records:
            reached.line = record.last
            if record.cells is None:
                yield Row(record.last.number, None, record.size, record.fault)
            elif record.cells:
                yield Row(record.last.number, header.values(record.cells), record.size)
        reached.whole = not records.half


def raise_advice(where: str, cells: Sequence[str], records: "Records", layout: Layout) -> None:
    """Raises where what should be the header has no name that is known, but looks like something else."""
    if layout.header_line is None:
        for record, _ in zip(records, range(LINES_BEFORE_HEADER), strict=False):
            if len({cell.strip() for cell in record.cells or ()} & set(layout.known)) > 1:
                line = record.last.number
                raise Broken(f"{where}: this is not the header, which seems to be line {line}; set header_line: {line}")
    text, delimiter = records.delimiter.join(cells), records.delimiter
    most = max((sign for sign in DELIMITERS if sign != delimiter), key=text.count)
    if text.count(most) > text.count(delimiter):
        count = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        shown = "\\t" if most == "\t" else most
        raise Broken(f'{where}: the header is {count} by delimiter "{delimiter}"; set delimiter: "{shown}"')


def header_of(cells: Sequence[str], where: str, check: Check, layout: Layout) -> Header:
    """The header; raises where a name is unknown or stands twice and is used."""
    names = [name.strip() for name in cells]
    while names and not names[-1] and "" not in layout.known:  # what a spreadsheet leaves behind
        names.pop()
    check(names, where)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names, 1):
        places.setdefault(name, []).append(place)
    repeated = {name for name, at in places.items() if len(at) > 1}
    for name in names:
        if name in repeated and name in layout.single:
            *others, last = places[name]
            at = f"{', '.join(map(str, others))} and {last}"
            raise Broken(
                f"{where}: columns {at} are all called {name!r}; write under columns which counts: "
                f"{name}: {{ to: ..., repeated: first }} (or last), or ignore them"
            )
    return Header(names, repeated, len(cells))


class CsvRecord(NamedTuple):
    """The cells of a record, none for an empty line; or None, and what is wrong with them."""

    last: Line
    size: int  # bytes
    cells: list[str] | None
    fault: str = ""


class Records:
    """The records of a file. One that is not as it should be counts as its first line only: the others may be rows."""

    def __init__(self, lines: Lines, file: File, delimiter: str, header: Header | None = None) -> None:
        self.lines, self.file, self.delimiter, self.header = lines, file, delimiter, header
        self.half = False  # the last record has no end yet
        self._unread = iter(lines)
        self._again: deque[Line] = deque()  # lines to be read once more
        self._held: list[Line] = []  # those of the record under way
        self._ended = False

    def __iter__(self) -> Iterator[CsvRecord]:
        reader = self._reader()
        while True:
            cells, fault = None, ""
            try:
                cells = next(reader)
            except StopIteration:
                self.half = self.lines.half
                return
            except (csv.Error, _Swallowed) as error:
                if self._ended and not self.file.still:
                    self.half = True  # half written, within quotes
                    return
                fault = str(error)
            held, self._held = self._held, []
            if cells:
                fault = self._fault(cells, held)
            if not fault:
                yield CsvRecord(held[-1], sum(len(line.raw or b"") for line in held), cells)
                continue
            self._again.extendleft(reversed(held[1:]))
            self._ended = False
            reader = self._reader()
            yield CsvRecord(held[0], len(held[0].raw or b""), None, fault)

    def pass_to(self, header_line: int | None) -> None:
        """Passes over what stands before the header; a line `sep=;` tells the delimiter."""
        first = next(self._unread, None)
        if first is None:
            return
        if separator := SEPARATOR.fullmatch(first.raw or b""):
            self.delimiter = separator[1].decode("latin-1")
        elif header_line in (None, 1):
            self._again.append(first)
            return
        for _ in range((header_line or 2) - 2):
            next(self._unread, None)

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._texts(), delimiter=self.delimiter, strict=True)

    def _texts(self) -> Iterator[str]:
        size = 0
        while (line := self._again.popleft() if self._again else next(self._unread, None)) is not None:
            size = size if self._held else 0
            self._held.append(line)
            if line.raw is None:
                raise _Swallowed(TOO_LONG)
            size += len(line.raw)
            if len(self._held) > MOST_LINES or size > LONGEST_LINE:
                raise _Swallowed(f"a quote is not closed within {MOST_LINES} lines")
            try:
                yield line.raw.decode()
            except UnicodeDecodeError:
                likely = encoding_of(line.raw)
                raise Broken(f"{self.file.path}:{line.number}: not UTF-8; set encoding: {likely}") from None
        self._ended = True

    def _fault(self, cells: list[str], held: list[Line]) -> str:
        """What is wrong with a record that is well formed."""
        if self.header is None:
            return ""
        if not self.header.holds(cells):
            return f"{len(cells)} cells where the header has {len(self.header.names)}"
        inner, signs = held[1:-1], len(self.header.names) - 1
        delimiter = self.delimiter.encode()
        if len(inner) >= LIKE_ROWS and signs > 1 and all((line.raw or b"").count(delimiter) == signs for line in inner):
            return "a quote that is not closed swallows the rows after it"
        return ""


class _Swallowed(Exception):  # noqa: N818 - a row that cannot be read is no error of the program
    """A record that takes in what is not its own."""
