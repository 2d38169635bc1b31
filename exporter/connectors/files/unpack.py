"""Opens files, plain or compressed, in any of the encodings; never a pipe, and never without a limit on the size."""

import codecs
import gzip
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, Protocol, cast

from exporter.connectors.files.discovery import Broken, File, State, Unfinished, key_of

Encoding = Literal["utf-8", "utf-16", "cp1252", "latin-1"]
BUFFER = 256 * 1024
HEAD = 512  # bytes by which UTF-16 is known
UNPACKED_BYTES = 256 * 1024 * 1024  # what gzip or Parquet may always hold,
UNPACKED_TIMES = 200  # and beyond that to so many times its size: real exports reach 80, bombs 1,000
OTHER_THINGS = {
    b"PK\x03\x04": "packed twice; unpack it once",
    b"\x1f\x8b": "packed twice; unpack it once",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls), or one with a password; save it as .xlsx or CSV",
    b"<html": "a web page, whatever its name says; save it as .xlsx or CSV",
    b"<!DOC": "a web page, whatever its name says; save it as .xlsx or CSV",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or use gzip",
    b"BZh91AY": "compressed with bzip2; unpack it, or use gzip",
    b"\xfd7zXZ": "compressed with xz; unpack it, or use gzip",
    b"PAR1": "Parquet; set `format: parquet`, or name it .parquet",
}
"""What a file that should hold text begins with, and what it is then."""


class Readable(Protocol):
    def read1(self, size: int, /) -> bytes: ...


@contextmanager
def opened(file: File, encoding: Encoding = "utf-8") -> Iterator[BinaryIO]:
    """The text of a file as UTF-8, unpacked where it is packed. FileNotFoundError: it is another file by now."""
    with raw(file) as binary:
        if encoding != "utf-8":
            with io.BufferedReader(Recoded(binary, file, encoding), BUFFER) as recoded:
                yield recoded
            return
        if is_utf_16(binary.peek(HEAD)[:HEAD]):
            raise Broken(f"{file.path}: is UTF-16; set encoding: utf-16")
        yield binary


@contextmanager
def raw(file: File) -> Iterator[io.BufferedReader]:
    """The text of a file in its own encoding, unpacked where it is packed."""
    with plain(file) as binary:
        head = binary.peek(8)
        if head.startswith(b"PK\x03\x04"):
            with zipfile_of(binary, file) as archive, archive.open(member_of(archive, file)) as member:
                yield _text(unpacked(cast(Readable, member), file, "zip"), file)
        elif head.startswith(b"\x1f\x8b"):
            yield _text(unpacked(gzip.GzipFile(fileobj=binary), file, "gzip"), file)
        else:
            yield _text(binary, file)


@contextmanager
def plain(file: File) -> Iterator[io.BufferedReader]:
    """The bytes of a file as they are."""
    # Without waiting: what was a file when it was listed may be a pipe that nobody writes to.
    with os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as binary:
        status = os.fstat(binary.fileno())
        if not stat.S_ISREG(status.st_mode) or key_of(status) != file.key:
            raise FileNotFoundError(file.path)
        yield binary


def _text(binary: io.BufferedReader, file: File) -> io.BufferedReader:
    """The same; raises where it is known to be no text."""
    head = binary.peek(8)
    for magic, what in OTHER_THINGS.items():
        if head.startswith(magic):
            raise Broken(f"{file.path}: is {what}")
    return binary


def unpacked(packed: Readable, file: File, kind: str) -> io.BufferedReader:
    return io.BufferedReader(Unpacked(packed, file, kind), BUFFER)


class Unpacked(io.RawIOBase):
    """What a packed file holds, as far as it is written, and never without measure."""

    def __init__(self, packed: Readable, file: File, kind: str) -> None:
        self._packed, self._file, self._kind = packed, file, kind
        self._left = most_unpacked(file)
        self.cut = False  # the rest is still being written

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast(bytearray, buffer))
        try:
            part = self._packed.read1(len(target))
        except EOFError:
            if not self._file.still:
                self.cut = True
                return 0
            raise Broken(f"{self._file.path}: this {self._kind} file ends in the middle") from None
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error):
            raise Broken(f"{self._file.path}: this {self._kind} file is damaged") from None
        self._left -= len(part)
        if self._left < 0:
            raise too_packed(self._file)
        target[: len(part)] = part
        return len(part)


def zipfile_of(binary: BinaryIO, file: File) -> zipfile.ZipFile:
    """A zip archive; its list of members is written last."""
    try:
        return zipfile.ZipFile(binary)
    except zipfile.BadZipFile:
        if not file.still:
            raise Unfinished from None
        raise Broken(f"{file.path}: this zip file is damaged, or not all of it is there") from None


def member_of(archive: zipfile.ZipFile, file: File) -> zipfile.ZipInfo:
    """The only member of an archive."""
    members = [
        each
        for each in archive.infolist()
        if not each.is_dir() and not each.filename.startswith("__MACOSX/") and not each.filename.startswith(".")
    ]
    if any(each.filename == "[Content_Types].xml" for each in members):
        raise Broken(f"{file.path}: is a spreadsheet; set `format: xlsx`, or name it .xlsx")
    if len(members) != 1:
        raise Broken(f"{file.path}: holds {len(members)} files; only zip files with one can be read, so unpack it")
    if members[0].flag_bits & 1:
        raise Broken(f"{file.path}: needs a password; unpack it")
    return members[0]


class Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8. It must fit: what is read in a wrong one looks right until somebody looks."""

    def __init__(self, binary: io.BufferedReader, file: File, encoding: Encoding) -> None:
        self._binary, self._file, self._encoding = binary, file, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready, self._line, self._proved, self._half = b"", 1, False, False

    @property
    def cut(self) -> bool:
        """Whether the rest is still being written."""
        return self._half or getattr(getattr(self._binary, "raw", None), "cut", False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast(bytearray, buffer))
        while not self._ready:
            part = self._binary.read1(BUFFER)
            self._prove(part)
            try:
                self._ready = self._decoder.decode(part, not part).encode()
            except UnicodeDecodeError as error:
                if not part and not self._file.still:
                    self._half = True
                    return 0
                line = self._line + part[: error.start].count(b"\n")
                raise Broken(
                    f"{self._file.path}:{line}: not {self._encoding}; set encoding: {encoding_of(part)}"
                ) from None
            if not part:
                break
        count = min(len(target), len(self._ready))
        target[:count], self._ready = self._ready[:count], self._ready[count:]
        self._line += bytes(target[:count]).count(b"\n")
        return count

    def _prove(self, part: bytes) -> None:
        """Whether the first part that tells is in another encoding."""
        if self._proved or (self._encoding != "utf-16" and part.isascii() and b"\0" not in part):
            return
        self._proved = True
        if self._encoding == "utf-16" and (order := utf_16_of(part[:HEAD])):
            self._decoder = codecs.getincrementaldecoder(order)()
        likely = encoding_of(part)
        one_byte = ("cp1252", "latin-1")
        if part and likely != self._encoding and not (likely in one_byte and self._encoding in one_byte):
            raise Broken(f"{self._file.path}: is not {self._encoding}; set encoding: {likely}")


def encoding_of(part: bytes) -> Encoding:
    """The encoding that a part of a text is in, by its looks."""
    if is_utf_16(part[:HEAD]):
        return "utf-16"
    candidates: tuple[Encoding, ...] = ("utf-8", "cp1252")
    for encoding in candidates:
        try:
            codecs.getincrementaldecoder(encoding)().decode(part)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def is_utf_16(head: bytes) -> bool:
    """Whether a text begins as UTF-16 does."""
    return utf_16_of(head) is not None


def utf_16_of(head: bytes) -> str | None:
    """The codec of a text in UTF-16, by its mark or, without one, by where it has zero bytes; None if it is another."""
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    high, low = head[0::2].count(0), head[1::2].count(0)  # those of signs such as a, 1 and ; in either order of bytes
    if max(high, low) < max(2, len(head) // 16) or min(high, low) * 8 > max(high, low):
        return None
    return "utf-16-be" if high > low else "utf-16-le"


def most_unpacked(file: File) -> int:
    """How many bytes a packed file may hold."""
    return max(UNPACKED_BYTES, UNPACKED_TIMES * file.size)


def too_packed(file: File) -> Broken:
    return Broken(
        f"{file.path}: unpacks to more than {UNPACKED_TIMES} times its size, more than any export does; check the file"
    )


def resumed(file: File, state: State | None, encoding: Encoding) -> State:
    """Where to go on, the file being there: where it was left, or at its beginning if it did more than grow."""
    if state is not None and state.tail:  # without one, as of a JSON list, nothing tells that it is the same
        grown = file.size > state.size or (file.size, file.modified) == (state.size, state.modified)
        with opened(file, encoding) as binary:
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
