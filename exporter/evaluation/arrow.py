"""Lists of numbers out of DuckDB as they lie there, by the Arrow C data interface: no Python object for each number.

A store of a million requests has millions of durations behind its medians; as objects they took a third of an
evaluation. The interface is a stable one of two structures and needs no library: https://arrow.apache.org/docs/format/.
"""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_void_p,
    py_object,
    pythonapi,
    string_at,
)
from typing import TYPE_CHECKING, Any

from exporter.base.deferred import Deferred
from exporter.evaluation.context import Connection

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = Deferred("duckdb")

DOUBLE = 8  # bytes
LIST_OF_DOUBLES = (b"+l", b"g")
"""The formats of a column and of what is in it: offsets of 32 bits, then the numbers."""


class Schema(Structure):
    """struct ArrowSchema."""


class Array(Structure):
    """struct ArrowArray."""


class Stream(Structure):
    """struct ArrowArrayStream."""


Schema._fields_ = [
    ("format", c_char_p), ("name", c_char_p), ("metadata", c_void_p), ("flags", c_int64), ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))), ("dictionary", c_void_p),
    ("release", CFUNCTYPE(None, POINTER(Schema))), ("private_data", c_void_p),
]  # fmt: skip
Array._fields_ = [
    ("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64), ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)), ("children", POINTER(POINTER(Array))), ("dictionary", c_void_p),
    ("release", CFUNCTYPE(None, POINTER(Array))), ("private_data", c_void_p),
]  # fmt: skip
Stream._fields_ = [
    ("get_schema", CFUNCTYPE(c_int, POINTER(Stream), POINTER(Schema))),
    ("get_next", CFUNCTYPE(c_int, POINTER(Stream), POINTER(Array))),
    ("get_last_error", CFUNCTYPE(c_char_p, POINTER(Stream))),
    ("release", CFUNCTYPE(None, POINTER(Stream))), ("private_data", c_void_p),
]  # fmt: skip


def lists(connection: Connection, query: str) -> "list[list[array[float]]]":
    """The columns of a query, all of which are lists of doubles without nulls, none of them null."""
    columns: list[list[array[float]]] = []
    with _stream(connection.sql(query).__arrow_c_stream__()) as stream:
        with _released(Schema()) as schema:
            _check(stream, stream.get_schema(byref(stream), byref(schema)))
            for i in range(schema.n_children):
                column = schema.children[i].contents
                found = column.format, column.children[0].contents.format if column.n_children else b""
                if found != LIST_OF_DOUBLES:
                    raise ValueError(f"a column of Arrow's format {found}, not a list of doubles: {query}")
                columns.append([])
        while True:
            with _released(Array()) as batch:
                _check(stream, stream.get_next(byref(stream), byref(batch)))
                if not batch.release:
                    return columns
                for i, rows in enumerate(columns):
                    rows.extend(_values(batch.children[i].contents, batch.length, batch.offset))


def _values(column: Array, length: int, first: int) -> "Iterator[array[float]]":
    """The numbers of each row of a column."""
    first += column.offset
    bounds = (c_int32 * (first + length + 1)).from_address(column.buffers[1]) if length else ()
    child = column.children[0].contents
    begin = (child.buffers[1] or 0) + child.offset * DOUBLE
    for i in range(first, first + length):
        numbers = array("d")
        if more := bounds[i + 1] - bounds[i]:
            numbers.frombytes(string_at(begin + bounds[i] * DOUBLE, more * DOUBLE))
        yield numbers


@contextmanager
def _stream(capsule: object) -> Iterator[Stream]:
    """The stream in a capsule, which may be read once; what is left of it is let go of."""
    pointer_of = pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = c_void_p, [py_object, c_char_p]
    stream = Stream.from_address(pointer_of(capsule, b"arrow_array_stream"))
    with _released(stream):
        yield stream


@contextmanager
def _released(structure: Any) -> Iterator[Any]:
    try:
        yield structure
    finally:
        if structure.release:
            structure.release(byref(structure))


def _check(stream: Stream, error: int) -> None:
    if error:
        raise duckdb.Error((stream.get_last_error(byref(stream)) or b"").decode())
