"""The values that a column may hold, and the conversion of a platform's values into them. Raises Unreadable."""

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import Field

from exporter.records import RECORDS, Record
from exporter.records.notation import PLAIN, Decimal, Length, Notation, Thousands
from exporter.records.unreadable import Unreadable, quoted, unknown_word

ColumnKind = Literal["text", "boolean", "integer", "number", "instant", "texts"]
KINDS: Mapping[Any, ColumnKind] = {str: "text", bool: "boolean", int: "integer", float: "number", datetime: "instant"}
KIND_NAMES: Mapping[ColumnKind, str] = {
    "text": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "instant": "a time with its offset, such as 2026-03-31T10:00:00Z",
    "texts": "a list of texts",
}
LONGEST = 100
LARGEST = 2**63  # the store's whole numbers end below
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
UNITS = {"milliseconds": 0.001, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
CLOCKS = {"h:mm": 60.0, "m:ss": 1.0}
"""Units of lengths written with colons, such as 26:30 or 26:30:15 -> seconds in one of the second part of two."""
Unit = Literal["milliseconds", "seconds", "minutes", "hours", "days", "h:mm", "m:ss"]
CLOCK_LENGTH = re.compile(r"(\d+):([0-5]\d)(?::([0-5]\d))?")
WHOLE = frozenset({"id", "url"})  # nothing is cut off these: they are no labels


Scalar = str | int | float | bool

LATER = {"later": True}
"""Metadata of a key that came with a later release: at its default it does not make a stored source another one."""


FROM = Field(alias="from")
"""In Annotated, of a field `from_`: in the config it is written `from`, which is no name in Python."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MapFile:
    """A file with words and their meanings: CSV or TSV with a header, or YAML or JSON."""

    path: str
    key: str | None = None  # its column, or path in an entry, that has the platform's word
    value: str | None = None  # the one that has ours


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """How a value is interpreted: the mapping of words, the unit, and the notation of its source."""

    map: Mapping[str, Scalar | None] = field(default_factory=dict)  # their word -> ours; other words pass
    match: str | None = None  # the whole text must match; its first group is the value
    scale: tuple[float, float] | None = None  # their worst and best
    unit: Unit | None = None
    default: Scalar | None = None  # where nothing is found
    otherwise: Scalar | None = field(default=None, metadata=LATER)  # for words that `map` does not have
    map_file: MapFile | None = field(default=None, metadata=LATER)  # more words for `map`; gone once they are read
    time_zone: str | None = field(default=None, metadata=LATER)  # these five: None is as the source has it
    time_format: str | tuple[str, ...] | None = field(default=None, metadata=LATER)
    decimal: Decimal | None = field(default=None, metadata=LATER)
    thousands: Thousands | None = field(default=None, metadata=LATER)
    nulls: tuple[str, ...] | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule(Meaning):
    """Where one column's value comes from: a `field` of the platform's item, a `query` in it, or a constant `value`.

    `from` is another name of `field`, and what is written as `from` is found in `field`.
    """

    from_: Annotated[str | None, FROM] = field(default=None, metadata=LATER)
    query: str | None = field(default=None, metadata=LATER)  # a JMESPath expression
    field: str | None = None  # a dotted path
    value: Scalar | None = None

    def __post_init__(self) -> None:
        if self.field is None:
            object.__setattr__(self, "field", self.from_)
            object.__setattr__(self, "from_", None)


Rules = Mapping[str, Sequence[Rule]]
"""Column -> alternatives: the first that finds something wins."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, the words allowed (none: any), and the bounds of its numbers."""

    name: str
    kind: ColumnKind
    words: frozenset[str]
    low: float
    high: float

    @property
    def read(self) -> Callable[[Any], Any]:
        """Converts a value into one of this column. Raises Unreadable."""
        return self.reader(PLAIN)

    def reader(self, notation: Notation) -> Callable[[Any], Any]:
        """The function that converts a value written in a given notation into one of this column."""
        readers: Mapping[str, Callable[[Any], Any]] = {
            "text": self._word if self.words else _whole if self.name in WHOLE else _text,
            "boolean": _boolean,
            "integer": partial(self._integer, notation.number),
            "number": partial(self._number, notation.number),
            "instant": notation.instant,
            "texts": _texts,
        }
        return readers[self.kind]

    @property
    def holds_it(self) -> Callable[[Any], bool]:
        """Whether a value (not None) is valid for this column as it is."""
        kind, words = self.kind, self.words
        low, high = max(self.low, -sys.float_info.max), min(self.high, sys.float_info.max)
        checks: Mapping[ColumnKind, Callable[[Any], bool]] = {
            "text": lambda value: type(value) is str and (not words or value in words),
            "boolean": lambda value: type(value) is bool,
            "integer": lambda value: type(value) is int and low <= value < LARGEST,
            "number": lambda value: type(value) is float and low <= value <= high,
            "instant": lambda value: type(value) is datetime and value.tzinfo is UTC,
            "texts": lambda value: type(value) is tuple and all(type(each) is str for each in value),
        }
        return checks[kind]

    @property
    def any_text(self) -> bool:
        """Whether any text is valid for this column."""
        return self.kind == "text" and not self.words

    @property
    def holds(self) -> str:
        """What it may hold, in words."""
        if self.words:
            return f"one of {', '.join(sorted(self.words))}"
        if math.isfinite(self.high):
            return f"a number from {self.low:g} to {self.high:g}"
        return KIND_NAMES[self.kind]

    def _word(self, value: Any) -> str | None:
        text = _text(value)
        if text is None or text in self.words:
            return text
        word = text.lower().replace(" ", "_").replace("-", "_")
        if word not in self.words:
            raise unknown_word(value, sorted(self.words))
        return word

    def _number(self, number: Callable[[Any], float], value: Any) -> float:
        shared = math.isfinite(self.high) and is_percent(value)  # of what has no whole, 85 % is no number
        found = number(without_percent(value)) / 100 if shared else number(value)
        if not self.low <= found <= self.high:
            raise Unreadable("out_of_bounds", f"{quoted(value)} is not {self._between}")
        return found

    def _integer(self, number: Callable[[Any], float], value: Any) -> int:
        found = value if type(value) is int else number(value)
        if not self.low <= found < LARGEST:
            raise Unreadable("out_of_bounds", f"{quoted(value)} is not between {self.low:g} and {LARGEST:g}")
        if found != int(found):
            raise Unreadable("not_a_number", f"{quoted(value)} is not a whole number")
        return int(found)

    @property
    def _between(self) -> str:
        return f"between {self.low:g} and {self.high:g}" if math.isfinite(self.high) else f"{self.low:g} or more"


def is_percent(value: Any) -> bool:
    return isinstance(value, str) and value.rstrip().endswith("%")


def without_percent(value: Any) -> Any:
    """The number before a percent sign."""
    return value.rstrip().removesuffix("%") if is_percent(value) else value


def in_seconds(value: Any, unit: Unit, number: Callable[[Any], float]) -> float:
    """A length of time in a unit as seconds. `number`: how its source writes numbers. Raises Unreadable."""
    if isinstance(value, Length):
        return float(value)
    if unit not in CLOCKS:
        return number(value) * UNITS[unit]
    found = CLOCK_LENGTH.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise Unreadable("not_a_number", f"{quoted(value)} is not a length of time written as {unit}, such as 26:30")
    first, second, third = (int(part or 0) for part in found.groups())
    return 3600 * first + 60 * second + third if found[3] else CLOCKS[unit] * (60 * first + second)


def _column(name: str, hint: Any, marks: Mapping[str, Any]) -> Column:
    plain = get_args(hint)[0] if NoneType in get_args(hint) else hint
    low, high = marks.get("low", 0.0), marks.get("high", math.inf)
    if get_origin(plain) is Literal:
        return Column(name, "text", frozenset(get_args(plain)), low, high)
    kind = "texts" if get_origin(plain) is tuple else KINDS[plain]
    return Column(name, kind, frozenset(), low, high)


def _columns(record: type[Record]) -> dict[str, Column]:
    hints = get_type_hints(record)
    return {each.name: _column(each.name, hints[each.name], each.metadata) for each in fields(record)}


COLUMNS: Mapping[type[Record], Mapping[str, Column]] = {record: _columns(record) for record in RECORDS.values()}
"""Record type -> its columns by name."""


def cleaned(text: str) -> str | None:
    """A text fit to be a label value: no control characters, no space around it, at most 100 characters."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    return text.strip()[:LONGEST].rstrip() or None


def _text(value: Any) -> str | None:
    if type(value) is str:
        return cleaned(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return cleaned(str(value)) if abs(value) < LARGEST else f"{value:.6g}"
    raise Unreadable("wrong_shape", f"{quoted(value)} is not a text")


def _whole(value: Any) -> str:
    """An id or a link, unshortened."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable("wrong_shape", f"{quoted(value)} is not an id")
    text = str(value) if isinstance(value, str) or abs(value) < 10**400 else ""
    if not text.strip() or not text.isprintable():
        raise Unreadable("wrong_shape", "is empty or holds characters that cannot be printed")
    return text


def _boolean(value: Any) -> bool:
    found = BOOLEANS.get(str(value).strip().lower()) if isinstance(value, str | int | float) else None
    if found is None:
        raise Unreadable("unknown_word", f"{quoted(value)} is neither yes nor no")
    return found


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(text for text in map(_text, values) if text is not None)
