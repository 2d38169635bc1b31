"""Finds the files of a glob, remembers how far each was read, and opens them: plain or packed, never a pipe."""

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from exporter.collect.finding import Finding
from exporter.collect.http import NotUnderstood

MAGIC = re.compile(r"[*?[]")
STILL = timedelta(seconds=60)  # a file not written to for so long is taken to be finished
MOST_NAMES = 1_000_000
MOST_TOLD = 5
UNPACKED_BYTES = 256 * 1024 * 1024  # what gzip or Parquet may always hold,
UNPACKED_TIMES = 200  # and beyond that to so many times its size: real exports reach 80, bombs 1,000
OTHER_THINGS = {
    b"PK\x03\x04": "a zip archive or a spreadsheet (.xlsx); unpack it, or save it as CSV",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or use gzip",
    b"BZh91AY": "compressed with bzip2; unpack it, or use gzip",
    b"\xfd7zXZ": "compressed with xz; unpack it, or use gzip",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"PAR1": "Parquet; set `format: parquet`, or name it .parquet",
}
"""What a file that should hold text begins with, and what it is then."""


class State(NamedTuple):
    """How far a file was read, and what tells that it is still the same one. Of gzip the offset is in what it holds."""

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

    @property
    def written(self) -> datetime | None:
        """When it last was, as far as its clock made sense."""
        try:
            return datetime.fromtimestamp(self.modified / 1e9, UTC)
        except (OverflowError, ValueError, OSError):
            return None


class Broken(NotUnderstood):
    """A file that cannot be read, or not to its end; the others can."""


def matching(pattern: str, at: datetime) -> tuple[list[File], list[str]]:
    """The files of a glob, the one written last last, a file with two names once; and what could not be looked at."""
    found: dict[str, File] = {}
    faults: list[str] = []
    for count, name in enumerate(paths(pattern, faults)):
        if count == MOST_NAMES:
            raise NotUnderstood(f"{pattern}: more than {MOST_NAMES:,} files; use a narrower pattern")
        try:
            status = name.stat()
        except FileNotFoundError:
            continue  # gone since, or a link to nowhere
        except OSError as error:
            faults.append(f"{name}: {error.strerror}")
            continue
        if stat.S_ISREG(status.st_mode):
            still = at - datetime.fromtimestamp(status.st_mtime, UTC) >= STILL
            found[key_of(status)] = File(status.st_mtime_ns, name, status.st_size, key_of(status), still)
    return sorted(found.values()), faults


def looked_at(pattern: str, at: datetime) -> list[Finding]:
    """How many files there are, and which of them may not be read."""
    files, faults = matching(pattern, at)
    closed = [str(file.path) for file in files if not os.access(file.path, os.R_OK, effective_ids=True)]
    findings = [Finding("files", fault, wrong=True) for fault in faults[:MOST_TOLD]]
    if closed:
        more = f" and {len(closed) - MOST_TOLD:,} more" if len(closed) > MOST_TOLD else ""
        text = f"{', '.join(closed[:MOST_TOLD])}{more}: no permission; let the user that the exporter runs as read it"
        findings.append(Finding("files", text, wrong=True))
    if not files:
        findings.append(Finding("files", f"no file matches {pattern}", wrong=True))
        return findings
    size, newest = sum(file.size for file in files), max(files).written
    written = f", the newest written {newest:%Y-%m-%d %H:%M} UTC" if newest else ""
    return [Finding("files", f"{len(files):,} match, {size / 1e6:,.1f} MB{written}"), *findings]


def key_of(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def paths(pattern: str, faults: list[str]) -> Iterator[Path]:
    """The paths of a glob. Unlike the glob of the standard library this one ends where links lead in a circle."""
    root, *parts = Path(pattern).parts if Path(pattern).is_absolute() else (".", *Path(pattern).parts)
    return expanded(Path(root), parts, faults)


def root_of(pattern: str) -> str:
    """The folder that all files of a glob are in."""
    parts = Path(pattern).parts[:-1]
    return str(Path(*takewhile(lambda part: not MAGIC.search(part), parts)))


def expanded(folder: Path, parts: Sequence[str], faults: list[str]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for below in folders(folder, faults):
            yield from expanded(below, rest or ["*"], faults)
    elif not MAGIC.search(part):
        if rest or os.path.lexists(folder / part):
            yield from expanded(folder / part, rest, faults)
    else:
        wanted = re.compile(translate(part))
        for entry in entries(folder, faults):
            if wanted.match(entry.name) and (part.startswith(".") or not entry.name.startswith(".")):
                yield from expanded(folder / entry.name, rest, faults)


def folders(root: Path, faults: list[str]) -> Iterator[Path]:
    """A folder and all below it, each once however many links lead there; hidden ones are passed over."""
    waiting, seen = [root], set[tuple[int, int]]()
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield folder
            waiting += [folder / entry.name for entry in entries(folder, faults) if is_open_folder(entry)]


def is_open_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def entries(folder: Path, faults: list[str]) -> list["os.DirEntry[str]"]:
    """What is in a folder, by name; nothing where it is none."""
    try:
        with os.scandir(folder) as listed:
            return sorted(listed, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        faults.append(f"{folder}: {error.strerror}")
        return []


@contextmanager
def opened(file: File, holds: str = "text") -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where it is text in gzip. Raises FileNotFoundError if it is another file by now."""
    # Without waiting: what was a file when it was listed may be a pipe that nobody writes to.
    with os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as binary:
        status = os.fstat(binary.fileno())
        if not stat.S_ISREG(status.st_mode) or key_of(status) != file.key:
            raise FileNotFoundError(file.path)
        head = binary.peek(8) if holds == "text" else b""
        for magic, what in OTHER_THINGS.items():
            if head.startswith(magic):
                raise Broken(f"{file.path}: is {what}")
        if not head.startswith(b"\x1f\x8b"):
            yield binary
            return
        with io.BufferedReader(Gzip(binary, file), 256 * 1024) as unpacked:
            yield unpacked


class Gzip(io.RawIOBase):
    """What a gzip file holds, as far as it is written, and never without measure."""

    def __init__(self, binary: BinaryIO, file: File) -> None:
        self._gzip, self._file = gzip.GzipFile(fileobj=binary), file
        self._left = most_unpacked(file)
        self.cut = False  # the rest is still being written

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast(bytearray, buffer))
        try:
            part = self._gzip.read1(len(target))
        except EOFError:
            if not self._file.still:
                self.cut = True
                return 0
            raise Broken(f"{self._file.path}: this gzip file ends in the middle") from None
        except (gzip.BadGzipFile, zlib.error):
            raise Broken(f"{self._file.path}: this gzip file is damaged") from None
        self._left -= len(part)
        if self._left < 0:
            raise too_packed(self._file)
        target[: len(part)] = part
        return len(part)


def most_unpacked(file: File) -> int:
    """How many bytes a packed file may hold."""
    return max(UNPACKED_BYTES, UNPACKED_TIMES * file.size)


def too_packed(file: File) -> Broken:
    return Broken(
        f"{file.path}: unpacks to more than {UNPACKED_TIMES} times its size, more than any export does; check the file"
    )


def resumed(file: File, state: State | None) -> State:
    """Where to go on, the file being there: where it was left, or at its beginning if it did more than grow."""
    if state is not None and state.tail:  # without one, as of a JSON list, nothing tells that it is the same
        grown = file.size > state.size or (file.size, file.modified) == (state.size, state.modified)
        with opened(file) as binary:
            if grown:
                pass_over(binary, state.offset - state.tail)
            if grown and zlib.crc32(binary.read(state.tail)) == state.check:
                return state._replace(size=file.size, modified=file.modified)
    return State(file.size, file.modified)


def pass_over(binary: BinaryIO, count: int) -> None:
    """Skips the first bytes; reads them where it must."""
    if binary.seekable():
        binary.seek(count)
        return
    while count > 0 and (part := binary.read(min(count, 1024 * 1024))):
        count -= len(part)
