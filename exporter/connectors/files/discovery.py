"""Finds the files of a glob, and remembers how far each was read."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from exporter.collect.finding import Finding
from exporter.collect.http import NotUnderstood
from exporter.records.unreadable import counted

MAGIC = re.compile(r"[*?[]")
NO_TEXT = re.compile(rb"\x1f\x8b|PK\x03\x04|PAR1")  # how gzip, zip and .xlsx, and Parquet begin, whatever their names
STILL = timedelta(seconds=60)  # a file not written to for so long is taken to be finished
MOST_NAMES = 1_000_000
MOST_TOLD = 5


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


class Unfinished(Exception):  # noqa: N818 - no error: the rest is still to be written
    """A file that cannot be read before it is written to its end."""


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
    held = f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
    findings.extend(
        Finding(
            "files", f"{file.path}: the last line has no end; it is read once the file has not changed for a minute"
        )
        for file in [each for each in files if unfinished(each)][:MOST_TOLD]
    )
    return [Finding("files", f"{counted(len(files), 'file')}, {held}{written}"), *findings]


def unfinished(file: File) -> bool:
    """Whether the last line of a text file lacks its end, and may still be written."""
    if file.still or not file.size:
        return False
    with suppress(OSError), file.path.open("rb") as content:
        if NO_TEXT.match(content.read(4)):
            return False
        content.seek(-min(2, file.size), os.SEEK_END)
        return not content.read().endswith((b"\n", b"\r", b"\n\0", b"\r\0"))  # the latter two in UTF-16
    return False


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
