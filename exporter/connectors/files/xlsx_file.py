"""Reads the rows of a spreadsheet (.xlsx) one by one: a few kilobytes of it may hold gigabytes."""

import importlib
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, time, timedelta
from typing import Any

from exporter.connectors.files.csv_file import Layout, header_of
from exporter.connectors.files.discovery import Broken, File, State
from exporter.connectors.files.rows import Check, Reached, Row
from exporter.connectors.files.unpack import most_unpacked, plain, too_packed, zipfile_of
from exporter.records.notation import Length

SHARED_BYTES = 64 * 1024 * 1024  # what must be held at once: the texts that cells share
WIDEST = 1_000
DAY_0, LAST_LENGTH = datetime(1899, 12, 31), datetime(1900, 3, 1)  # noqa: DTZ001 - cells have no time zone


def xlsx_rows(file: File, reached: Reached, layout: Layout, sheet: str | None, check: Check) -> Iterator[Row]:
    """The rows."""
    with plain(file) as binary:
        with zipfile_of(binary, file) as archive:
            weigh(archive, file)
        binary.seek(0)
        with closing(workbook(binary, file)) as book:
            found = chosen(book, sheet, file)
            found.reset_dimensions()  # some programs write them wrong
            rows = numbered(found)
            header, line = None, 0
            for line, values in rows:
                if header is None:
                    if (layout.header_line and line < layout.header_line) or not any(map(filled, values)):
                        continue
                    header = header_of([text(each) for each in values], f"{file.path}:{line}", check, layout)
                elif any(map(filled, values)):
                    yield Row(line, header.values([plain_value(each) for each in values]), 100 * len(values))
    reached.begun, reached.whole = State(file.size, file.modified, file.size, line), True


def weigh(archive: zipfile.ZipFile, file: File) -> None:
    """Raises where a workbook is more than can be held."""
    members = {each.filename: each.file_size for each in archive.infolist()}
    if "[Content_Types].xml" not in members:
        raise Broken(f"{file.path}: is no spreadsheet; name it by what it is, such as .csv, or set `format`")
    if sum(members.values()) > most_unpacked(file):
        raise too_packed(file)
    if sum(size for name, size in members.items() if "/worksheets/" not in name) > SHARED_BYTES:
        raise Broken(f"{file.path}: holds too much text for a spreadsheet ({SHARED_BYTES:,} bytes); save it as CSV")


def workbook(binary: Any, file: File) -> Any:
    try:
        openpyxl = importlib.import_module("openpyxl")
    except ImportError:
        told = 'spreadsheets are read with openpyxl; pip install "outcome-exporter[xlsx]", or save it as CSV'
        raise Broken(f"{file.path}: {told}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours and the like
        return openpyxl.load_workbook(binary, read_only=True, data_only=True, keep_links=False)


def visible_sheets(book: Any) -> dict[str, Any]:
    """The sheets that can be seen, by name."""
    return {each.title: each for each in book.worksheets if each.sheet_state == "visible"}


def chosen(book: Any, sheet: str | None, file: File) -> Any:
    """The sheet that is named, or the only one that can be seen."""
    visible = visible_sheets(book)
    named = {each.title: each for each in book.worksheets} if sheet is not None else visible
    if sheet is not None and sheet in named:
        return named[sheet]
    titles = ", ".join(map(repr, named))
    if sheet is not None:
        raise Broken(f"{file.path}: there is no sheet {sheet!r}; it has {titles}")
    if len(visible) != 1:
        raise Broken(f"{file.path}: holds {len(visible)} sheets; say in `sheet` which is meant: {titles}")
    return next(iter(visible.values()))


def numbered(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows with their numbers."""
    for line, values in enumerate(sheet.iter_rows(values_only=True), 1):
        yield line, values[:WIDEST]


def filled(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def text(value: Any) -> str:
    """A cell of the header."""
    return "" if value is None else str(value)


def plain_value(value: Any) -> Any:
    """A cell as something the record's columns can read. A length of time is one also where its cell shows a clock."""
    if isinstance(value, time):
        return Length(timedelta(hours=value.hour, minutes=value.minute, seconds=value.second).total_seconds())
    if isinstance(value, datetime) and value < LAST_LENGTH:
        return Length((value - DAY_0).total_seconds())
    return Length(value.total_seconds()) if isinstance(value, timedelta) else value
