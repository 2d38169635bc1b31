"""Reads the rows of text files from where the last poll stopped to the last finished line."""

import codecs
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import msgspec

from exporter.collect.decode import decoded
from exporter.connectors.files.discovery import Broken, File, State, Unfinished
from exporter.connectors.files.unpack import Encoding, encoding_of, opened, pass_over

LONGEST_LINE = 8 * 1024 * 1024
NO_TEXT = 256 * 1024 * 1024  # what goes on for so long without a line break
DOCUMENT_BYTES = 64 * 1024 * 1024
TAIL_BYTES = 256


class Row(NamedTuple):
    """Where a row ends and what it holds: the bytes of JSON, or a dict; where it is no row, `fault` says why."""

    line: int
    values: Any
    size: int  # bytes
    fault: str = ""


class Line(NamedTuple):
    """A line, where it ends, and its number; without its bytes where they are too many."""

    raw: bytes | None
    end: int
    number: int


@dataclass
class Reached:
    """How far a file has been read."""

    begun: State
    line: Line | None = None  # up to here nothing need be given again
    whole: bool = False  # nothing is left

    @property
    def state(self) -> State:
        """What belongs into the cursor, together with every row given so far."""
        if self.line is None:
            return self.begun
        tail = (self.line.raw or b"")[-TAIL_BYTES:]
        return self.begun._replace(offset=self.line.end, line=self.line.number, tail=len(tail), check=zlib.crc32(tail))


class Lines:
    """The lines of a file from where it was left."""

    def __init__(self, binary: BinaryIO, file: File, state: State) -> None:
        self.binary, self.file, self.state = binary, file, state
        self.half = False  # the last line has no end yet

    def __iter__(self) -> Iterator[Line]:
        pass_over(self.binary, self.state.offset)
        end, number = self.state.offset, self.state.line
        while found := self.binary.readline(LONGEST_LINE):
            raw: bytes | None = found
            number, length, closed = number + 1, len(found), found.endswith(b"\n")
            if not closed and length == LONGEST_LINE:
                raw = None
                length, closed = self._rest(length, number)
            if not closed and not self.file.still:
                self.half = True
                return
            if raw and end == 0:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            end += length
            yield Line(raw, end, number)
        self.half = getattr(getattr(self.binary, "raw", None), "cut", False)

    def _rest(self, length: int, number: int) -> tuple[int, bool]:
        """The length of a line that is too long, and whether it has an end."""
        while part := self.binary.readline(LONGEST_LINE):
            length += len(part)
            if part.endswith(b"\n"):
                return length, True
            if length > NO_TEXT:
                raise Broken(f"{self.file.path}:{number}: no line ends within {NO_TEXT} bytes; is this a text file?")
        return length, False


TOO_LONG = f"a line of {LONGEST_LINE} bytes or more"


Check = Callable[[Collection[str], str], None]
"""Given the names of columns and where they stand: an error if one is unknown."""


def json_rows(file: File, reached: Reached, encoding: Encoding, check: Check, ids: Collection[str]) -> Iterator[Row]:
    """The rows of JSON Lines, or the items of a file that is one list, or one object without `ids` around a list."""
    if not reached.begun.offset:
        try:
            items = document(file, encoding, ids)
        except Unfinished:
            return
        if items is not None:
            for number, item in enumerate(items, 1):
                yield json_row(file, number, bytes(item), check)
            reached.begun, reached.whole = State(file.size, file.modified, file.size, len(items)), True
            return
    with opened(file, encoding) as binary:
        lines = Lines(binary, file, reached.begun)
        for line in lines:
            row = None
            if line.raw is None:
                row = Row(line.number, None, 0, TOO_LONG)
            elif line.raw and not line.raw.isspace():
                row = json_row(file, line.number, line.raw, check)
            reached.line = line
            if row:
                yield row
        reached.whole = not lines.half


def json_row(file: File, number: int, raw: bytes, check: Check) -> Row:
    if not raw.isascii() and (likely := encoding_of(raw)) != "utf-8":
        return Row(number, None, len(raw), f"not UTF-8; set encoding: {likely}")
    try:
        values = decoded(raw)
    except (ValueError, RecursionError):
        return Row(number, None, len(raw), "is not JSON")
    if not isinstance(values, dict):
        return Row(number, None, len(raw), "is not a JSON object")
    check(values.keys(), f"{file.path}:{number}")
    return Row(number, values, len(raw))


def document(file: File, encoding: Encoding, ids: Collection[str]) -> list[msgspec.Raw] | None:
    """The items of a file that is one JSON value; None where each line is one."""
    with opened(file, encoding) as binary:
        first = beginning(binary)
        if first[:1] not in (b"[", b"{"):
            return None
        one_line = is_object(first)
        if one_line and binary.read(1024).strip():
            return None
        body = first if one_line else first + binary.read(DOCUMENT_BYTES + 1 - len(first))
    try:
        try:
            return listed(body, ids)
        except (ValueError, RecursionError):
            return listed(msgspec.json.encode(decoded(body)), ids)  # NaN and the like
    except (ValueError, RecursionError):
        if first[:1] == b"{" and first.strip() != b"{":
            return None  # a bad first line
    if len(body) > DOCUMENT_BYTES:
        raise Broken(f"{file.path}: one JSON value of more than {DOCUMENT_BYTES} bytes; write one object per line")
    if not file.still:
        raise Unfinished
    if first[:1] == b"{":
        return None  # bad lines
    raise Broken(f"{file.path}: neither JSON Lines (one object per line) nor a single JSON list of objects")


def beginning(binary: BinaryIO) -> bytes:
    """The first line with something in it, or the first part of one that is too long."""
    while line := binary.readline(LONGEST_LINE):
        if text := line.removeprefix(codecs.BOM_UTF8).lstrip():
            return text
    return b""


def is_object(text: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (ValueError, RecursionError):
        return False


def listed(body: bytes, ids: Collection[str]) -> list[msgspec.Raw] | None:
    """The items of a list or of the one list in an object; None for an object that is an item itself."""
    if body[:1] == b"[":
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if not fields.keys().isdisjoint(ids):
        return None
    found = [items for value in fields.values() if (items := objects(bytes(value))) is not None]
    return found[0] if len(found) == 1 else None


def objects(value: bytes) -> list[msgspec.Raw] | None:
    """The items of a list of objects."""
    items = msgspec.json.decode(value, type=list[msgspec.Raw]) if value[:1] == b"[" else None
    return items if items is not None and all(bytes(item)[:1] == b"{" for item in items) else None
