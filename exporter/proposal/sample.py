"""Reads the beginning of a file as the connector `files` would, finding out how it is laid out."""

import glob
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from exporter.connectors.files import FORMATS, Format, format_of
from exporter.connectors.files.csv_file import DELIMITERS, Layout, Records, csv_rows
from exporter.connectors.files.discovery import Broken, File, State, matching
from exporter.connectors.files.parquet_file import parquet_rows
from exporter.connectors.files.rows import Lines, Reached, Row, json_rows
from exporter.connectors.files.unpack import Encoding, encoding_of, opened, plain, raw, zipfile_of
from exporter.connectors.files.xlsx_file import chosen, filled, numbered, visible_sheets, weigh, workbook, xlsx_rows
from exporter.proposal.tables import names as usual_names

ROWS = 20_000  # how many rows are looked at
HEAD = 100  # how many of them tell how the file is laid out
HEADER_WITHIN = 20
ENCODED = 4 * 1024 * 1024  # bytes that tell the encoding
DEEPEST = 3
NOTHING: Mapping[str, Any] = {}
VALUE = re.compile(r"[-+]?[\d.,:/ %-]+([T ][\d:.]+.*)?|")  # a number, a date or nothing: no name of a column


class Unclear(Exception):  # noqa: N818 - a question rather than an error
    """Something that only the user can say, with what may be said."""

    def __init__(self, key: str, text: str, choices: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.key, self.choices = key, choices


@dataclass(frozen=True)
class Sample:
    """Rows of a file, and how it is laid out. Values by the names of columns; of nested ones as a.b."""

    path: Path
    kind: Format
    rows: Sequence[Mapping[str, Any]]
    names: Sequence[str]
    whole: bool  # nothing is left
    broken: int  # rows that cannot be read
    written: datetime | None = None
    layout: Mapping[str, Any] = field(default_factory=dict)  # keys of a source that are not at their default
    repeated: Collection[str] = ()  # names that several columns have
    times_of_day: Mapping[str, str] = field(default_factory=dict)  # column with a date -> the one with its time of day

    def values(self, name: str) -> Iterator[Any]:
        """What is in a column, empty values left out."""
        for row in self.rows:
            value = row.get(name)
            for each in value if isinstance(value, list) else (value,):
                if each is not None and (not isinstance(each, str) or each.strip()):
                    yield each.strip() if isinstance(each, str) else each

    def first(self, row: Mapping[str, Any], name: str) -> Any:
        value = row.get(name)
        return next((each for each in value if each), None) if isinstance(value, list) else value


def sampled(path: Path, at: datetime, sheet: str | None = None) -> Sample:
    """Raises SourceError where a file cannot be read, and Unclear where the user must say how."""
    files, faults = matching(pattern_of(path), at)
    if not files:
        raise Broken("; ".join(faults) or f"no file matches {path}")
    file = max(files)._replace(still=True)  # also what was written just now is looked at to its end
    kind = format_of(file)
    if kind == "xlsx":
        return _xlsx(file, path, sheet)
    if kind == "parquet":
        names: dict[str, None] = {}
        rows = parquet_rows(
            file, Reached(State(file.size, file.modified)), lambda found, _: names.update(dict.fromkeys(found)), ()
        )
        return _sample(file, path, kind, rows, names)
    encoding = _encoding(file)
    layout = {} if encoding == "utf-8" else {"encoding": encoding}
    if kind == "json_lines":
        ids = {name for name, of in usual_names("request").items() if any(each.column == "id" for each in of)}
        rows = json_rows(file, Reached(State(file.size, file.modified)), encoding, lambda *_: None, ids)
        return _sample(file, path, kind, rows, (), layout)
    return _csv(file, path, encoding, layout)


def pattern_of(path: Path) -> str:
    """The pattern of a file, whose name may have signs in it that mean something in patterns: tickets [1].csv."""
    return glob.escape(str(path)) if path.exists() else str(path)


def _encoding(file: File) -> Encoding:
    """By its first bytes, unpacked; where all of them are ASCII it is UTF-8."""
    with raw(file) as binary:
        return encoding_of(binary.read(ENCODED))


def _csv(file: File, path: Path, encoding: Encoding, layout: dict[str, Any]) -> Sample:
    heads = {sign: _head(file, encoding, sign) for sign in DELIMITERS}
    told = {sign: records.delimiter for sign, (records, _) in heads.items()}
    if len({*told.values()}) == 1:  # a line sep=; says it
        delimiter = told[DELIMITERS[0]]
    else:
        delimiter = max(DELIMITERS, key=lambda sign: _evenness(heads[sign][1]))
        if delimiter != ",":
            layout["delimiter"] = delimiter
    head = _head(file, encoding, delimiter)[1]
    number = _header([cells for _, cells in head], path)
    line, cells = head[number]
    if number:
        layout["header_line"] = line
    names = [name.strip() for name in cells if name.strip()]
    shape = Layout(delimiter, line if number else None, encoding, frozenset(names), ())
    rows = csv_rows(file, Reached(State(file.size, file.modified)), shape, lambda *_: None)
    return _sample(file, path, "csv", rows, names, layout)


def _head(file: File, encoding: Encoding, delimiter: str) -> tuple[Records, list[tuple[int, list[str]]]]:
    """The first records by a delimiter, each with the number of its first line; empty ones are left out."""
    with opened(file, encoding) as binary:
        records = Records(Lines(binary, file, State(file.size, file.modified)), file, delimiter)
        records.pass_to(None)
        found = [
            (each.last.number - sum(cell.count("\n") for cell in each.cells), each.cells)
            for each in islice(records, HEAD)
            if each.cells
        ]
        return records, found


def _evenness(head: Sequence[tuple[int, Sequence[str]]]) -> tuple[float, int]:
    """How sure it is that a delimiter is the right one: the share of rows as wide as most, and how wide they are."""
    widths = Counter(len(cells) for _, cells in head)
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return (round(count / len(head), 1), width) if width > 1 else (0.0, 1)


def _header(rows: Sequence[Sequence[Any]], path: Path) -> int:
    """Which of the first rows holds the names: of those with the most different texts the first."""
    texts = [
        len({cell.strip() for cell in row if isinstance(cell, str) and not VALUE.fullmatch(cell.strip())})
        for row in rows[:HEADER_WITHIN]
    ]
    if not texts or not max(texts):
        raise Broken(f"{path}: has no line with names of columns; write one above the rows")
    return next(i for i, count in enumerate(texts) if count >= 0.8 * max(texts))


def _xlsx(file: File, path: Path, sheet: str | None) -> Sample:
    with plain(file) as binary:
        with zipfile_of(binary, file) as archive:
            weigh(archive, file)
        binary.seek(0)
        with closing(workbook(binary, file)) as book:
            visible = visible_sheets(book)
            if sheet is None and len(visible) > 1:
                raise Unclear("sheet", f"{path} holds {len(visible)} sheets", [*visible])
            found = chosen(book, sheet, file)
            found.reset_dimensions()
            head = [(line, row) for line, row in islice(numbered(found), HEAD) if any(map(filled, row))]
    number = _header([row for _, row in head], path)
    line, cells = head[number]
    layout: dict[str, Any] = {"sheet": sheet} if sheet else {}
    if number:
        layout["header_line"] = line
    names = [str(cell).strip() for cell in cells if filled(cell)]
    shape = Layout(",", line if number else None, "utf-8", frozenset(names), ())
    rows = xlsx_rows(file, Reached(State(file.size, file.modified)), shape, sheet, lambda *_: None)
    return _sample(file, path, "xlsx", rows, names, layout)


def _sample(
    file: File,
    path: Path,
    kind: Format,
    given: Iterable[Row],
    names: Iterable[str],
    layout: Mapping[str, Any] = NOTHING,
) -> Sample:
    rows: list[Mapping[str, Any]] = []
    broken = 0
    unread = iter(given)
    for row in islice(unread, ROWS):
        if row.fault:
            broken += 1
        else:
            rows.append(dict(_flat(row.values)) if kind == "json_lines" else row.values)
    header = list(names) or [*dict.fromkeys(name for row in rows for name in row)]
    if not rows:
        raise Broken(f"{path}: holds no row that can be read; give a file with some")
    repeated = {name for name, count in Counter(header).items() if count > 1}
    return Sample(
        path=path,
        kind=kind,
        rows=rows,
        names=[*dict.fromkeys(header)],
        whole=next(unread, None) is None,
        broken=broken,
        written=file.written,
        layout=layout if kind == FORMATS.get(_ending(path)) else {"format": kind, **layout},
        repeated=repeated,
    )


def _ending(path: Path) -> str:
    return next((each.lower() for each in reversed(path.suffixes) if each.lower() in FORMATS), "")


def _flat(item: Mapping[str, Any], before: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, Any]]:
    """The values of an item of JSON by their paths; lists of objects are left out."""
    for name, value in item.items():
        if isinstance(value, dict) and depth:
            yield from _flat(value, f"{before}{name}.", depth - 1)
        elif not isinstance(value, dict) and not (
            isinstance(value, list) and any(isinstance(each, dict) for each in value)
        ):
            yield before + name, value
