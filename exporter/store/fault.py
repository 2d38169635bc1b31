"""Faults of the store's file: an error class for each, whose text names path, fault and remedy."""

import os
import re
from pathlib import Path


class StoreError(Exception):
    """The store cannot be used now."""

    remedy = "look at the disk and the file system"
    kind = "failed"  # as it is counted

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"store {path}: {what}; {self.remedy}")
        self.path, self.what = path, what


class InUse(StoreError):  # noqa: N818 - named by what is wrong
    remedy = "stop the other process, or give this one a store file of its own"


class CannotWrite(StoreError):  # noqa: N818 - named by what is wrong
    remedy = "the folder must exist and the folder and file must be writable for the user that runs this program"


class DiskFull(StoreError):  # noqa: N818 - named by what is wrong
    remedy = "nothing that was stored is lost; free some space and the next poll continues"


class NewerFormat(StoreError):  # noqa: N818 - named by what is wrong
    remedy = "run the newer version again, or move the file away so that this version reads everything again"


class Damaged(StoreError):  # noqa: N818 - named by what is wrong
    kind = "damaged"
    remedy = "it was not changed: restore it from a backup, or move it away so that everything is read again"


class Deleted(StoreError):  # noqa: N818 - named by what is wrong
    kind = "deleted"
    remedy = "stop this program and put the file back, or restart it to read everything again"


class Replaced(StoreError):  # noqa: N818 - named by what is wrong
    kind = "replaced"
    remedy = "restart this program to use the new file; what is stored until then is not in it"


class CutOff(StoreError):  # noqa: N818 - named by what is wrong
    kind = "truncated"
    remedy = "stop this program and restore the file from a backup, or move it away so that everything is read again"


KINDS = tuple(sorted(each.kind for each in (StoreError, Damaged, Deleted, Replaced, CutOff)))
"""How faults of a store in use are counted."""


class NotAStore(StoreError):  # noqa: N818 - named by what is wrong
    remedy = "it was not changed: choose another path, or move the file away"


class NeedsMemory(StoreError):  # noqa: N818 - named by what is wrong
    remedy = "raise the store's memory limit"


FAULTS: tuple[tuple[str, type[StoreError], str], ...] = (
    (r"Conflicting lock is held in .*?(?P<more>\(PID \d+\))", InUse, "in use by another process"),
    (r"Could not set lock|different configuration than existing|already attached", InUse, "already in use"),
    (r"No space left|File too large|quota exceeded|exceeds? the (?:maximum|limit).*temp", DiskFull, "the disk is full"),
    (r"Permission denied|Read-only file system|Operation not permitted", CannotWrite, "permission denied"),
    (r"(?P<more>No such file or directory|Not a directory|Is a directory)", CannotWrite, "cannot be opened:"),
    (
        r"with version number|newer version|written by a newer",
        NewerFormat,
        "written by a newer version of the database",
    ),
    (r"not a valid DuckDB database", NotAStore, "not a database file"),
    (r"Could not read enough bytes|[Cc]orrupt|checksum|Serialization Error|INTERNAL Error", Damaged, "damaged"),
    (r"replaying WAL", Damaged, "damaged: the last data written cannot be read"),
    (r"Out of Memory", NeedsMemory, "needs more memory than it may use"),
    (r"^IO Error: (?P<more>[^\n]*)", StoreError, "cannot be used:"),
)
"""DuckDB tells its faults apart only by text. The first that fits counts."""


def fault(path: Path, text: str) -> StoreError | None:
    """What the database's error text says about the file; None where it says nothing about the file."""
    for pattern, kind, what in FAULTS:
        if match := re.search(pattern, text):
            more = match.groupdict().get("more")
            return kind(path, f"{what} {more}" if more else what)
    return None


def check_folder(path: Path) -> None:
    """The file will need a log and temporary files beside it."""
    folder = path.parent
    if not folder.is_dir():
        raise CannotWrite(path, f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CannotWrite(path, f"the folder {folder} is not writable")
    if path.exists():
        if not path.is_file():
            raise CannotWrite(path, "not a file")
        if not os.access(path, os.R_OK | os.W_OK):
            raise CannotWrite(path, "the file is not readable and writable")
