"""Finds files and reads rows of text files: from where they were left, as far as they are written."""

import csv
import glob
import stat
import zlib
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from exporter.client import NotUnderstood

LONGEST_LINE = 8 * 1024 * 1024
PAGE_BYTES = 32 * 1024 * 1024  # a page ends there even if it has few rows
TAIL_BYTES = 256
STILL = timedelta(seconds=60)  # a file not written to for so long is taken to be finished


class State(NamedTuple):
    """How far a file was read, and what tells that it is still the same one."""

    size: int
    modified: int  # nanoseconds
    offset: int = 0
    line: int = 0
    tail: int = 0  # of how many bytes before the offset `check` is the checksum
    check: int = 0


class File(NamedTuple):
    """A file as it was listed."""

    modified: int
    path: Path
    size: int
    key: str
    still: bool


class Row(NamedTuple):
    """Where a row ends and what it holds: the bytes of JSON, or a dict; None where it cannot be made into one."""

    line: int
    values: Any


Check = Callable[[Collection[str], str], None]
"""Given the names of columns and where they stand: NotUnderstood if one is unknown."""

Batches = Generator[tuple[list[Row], State], None, None]
"""Some rows at a time, and how far the file has been read with them."""


def matching(pattern: str, at: datetime) -> list[File]:
    """The files of a glob, the one written last last; a file with two names once."""
    found: dict[str, File] = {}
    for name in glob.glob(pattern, recursive=True):  # noqa: PTH207 - pathlib knows no absolute pattern
        with suppress(FileNotFoundError):
            status = Path(name).stat()
            if stat.S_ISREG(status.st_mode):
                still = at - datetime.fromtimestamp(status.st_mtime, UTC) >= STILL
                key = f"{status.st_dev}:{status.st_ino}"
                found[key] = File(status.st_mtime_ns, Path(name), status.st_size, key, still)
    return sorted(found.values())


def resumed(binary: BinaryIO, file: File, state: State | None) -> State:
    """Where to go on: where the file ended, or at its beginning if it did more than grow."""
    if state is not None and state.offset <= file.size:
        binary.seek(state.offset - state.tail)
        grown = file.size > state.size or (file.size, file.modified) == (state.size, state.modified)
        if grown and zlib.crc32(binary.read(state.tail)) == state.check:
            return state._replace(size=file.size, modified=file.modified)
    return State(file.size, file.modified)


class Lines:
    """The lines of a file from where it was left. `taken`: what was given so far need not be given again."""

    def __init__(self, binary: BinaryIO, file: File, state: State) -> None:
        binary.seek(state.offset)
        self.binary, self.file, self.state = binary, file, state
        self.offset, self.line, self.tail, self.ended = state.offset, state.line, b"", False

    def __iter__(self) -> Iterator[bytes]:
        while raw := self.binary.readline(LONGEST_LINE):
            if not raw.endswith(b"\n") and len(raw) == LONGEST_LINE:
                raise NotUnderstood(f"{self.file.path}:{self.line + 1}: a line of {LONGEST_LINE} bytes or more")
            if not raw.endswith(b"\n") and not self.file.still:
                break  # half written
            self.offset, self.line, self.tail = self.offset + len(raw), self.line + 1, raw[-TAIL_BYTES:]
            yield raw
        self.ended = True

    def taken(self) -> None:
        at = self.state
        self.state = State(at.size, at.modified, self.offset, self.line, len(self.tail), zlib.crc32(self.tail))


def batched(rows: Iterator[Row], lines: Lines, size: int) -> Batches:
    """Pages of rows. The last may be empty: it still says how the file looked."""
    batch: list[Row] = []
    began = lines.offset
    for row in rows:
        batch.append(row)
        if len(batch) == size or lines.offset - began > PAGE_BYTES:
            yield batch, lines.state
            batch, began = [], lines.offset
    yield batch, lines.state


def json_lines(file: File, state: State | None, size: int) -> Batches:
    def rows() -> Iterator[Row]:
        for raw in lines:
            lines.taken()
            if not raw.isspace():
                yield Row(lines.line, raw)

    with file.path.open("rb") as binary:
        lines = Lines(binary, file, resumed(binary, file, state))
        yield from batched(rows(), lines, size)


def csv_rows(file: File, state: State | None, size: int, check: Check, delimiter: str) -> Batches:
    def rows(lines: Lines, header: list[str]) -> Iterator[Row]:
        reader = cells_of(lines, delimiter)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                if lines.ended and not file.still:
                    return  # half written, within quotes
                cells = ["", *header]
            lines.taken()
            if cells:
                yield Row(lines.line, dict(zip(header, cells, strict=True)) if len(cells) == len(header) else None)

    with file.path.open("rb") as binary:
        top = Lines(binary, file, State(file.size, file.modified))
        header = [name.removeprefix("\ufeff").strip() for name in next(cells_of(top, delimiter), [])]
        check(header, f"{file.path}:1")
        if len(set(header)) < len(header):
            raise NotUnderstood(f"{file.path}:1: two columns have one name")
        top.taken()
        at = resumed(binary, file, state)
        lines = Lines(binary, file, at if at.offset else top.state)
        yield from batched(rows(lines, header), lines, size)


def cells_of(lines: Lines, delimiter: str) -> Iterator[list[str]]:
    def decoded() -> Iterator[str]:
        for raw in lines:
            try:
                yield raw.decode()
            except UnicodeDecodeError:
                raise NotUnderstood(f"{lines.file.path}:{lines.line}: not UTF-8") from None

    return csv.reader(decoded(), delimiter=delimiter, strict=True)
