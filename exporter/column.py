"""What a record's column may hold, and how a platform's word becomes that: ValueError where it cannot."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from exporter.records import RECORDS, Record, instant

Kind = Literal["text", "boolean", "integer", "number", "instant", "texts"]
KINDS: Mapping[Any, Kind] = {str: "text", bool: "boolean", int: "integer", float: "number", datetime: "instant"}
KIND_NAMES: Mapping[Kind, str] = {
    "text": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "instant": "a time with its offset, such as 2026-03-31T10:00:00Z",
    "texts": "a list of texts",
}
LONGEST = 100
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
BOUNDS = {"csat": (0.0, 1.0), "effort": (0.0, 1.0), "sentiment": (-1.0, 1.0), "ratio": (0.0, 1.0)}
UNITS = {"milliseconds": 0.001, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
SIGNED = frozenset({"value", "amount"})  # money may be taken back; lengths and counts are never below zero


Scalar = str | int | float | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Where one column's value comes from: a `field` of the platform's item, or a constant `value`."""

    map: Mapping[str, Scalar | None] = field(default_factory=dict)  # their word -> ours; other words pass
    field: str | None = None  # a dotted path
    value: Scalar | None = None
    match: str | None = None  # the whole text must match; its first group is the value
    scale: tuple[float, float] | None = None  # their worst and best
    unit: Literal["milliseconds", "seconds", "minutes", "hours", "days"] | None = None
    default: Scalar | None = None  # where nothing is found


Rules = Mapping[str, Sequence[Rule]]
"""Column -> alternatives: the first that finds something wins."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, the words allowed (none: any), and the bounds of its numbers."""

    name: str
    kind: Kind
    words: frozenset[str]
    low: float
    high: float

    @property
    def read(self) -> Callable[[Any], Any]:
        """Turns a found value into this column's."""
        readers: Mapping[str, Callable[[Any], Any]] = {
            "text": self._word if self.words else _text,
            "boolean": _boolean,
            "integer": self._integer,
            "number": self._number,
            "instant": _instant,
            "texts": _texts,
        }
        return readers[self.kind]

    @property
    def holds(self) -> str:
        """What it may hold, in words."""
        if self.words:
            return f"one of {', '.join(sorted(self.words))}"
        if self.name in BOUNDS:
            return f"a number from {self.low:g} to {self.high:g}"
        return KIND_NAMES[self.kind]

    def _word(self, value: Any) -> str | None:
        text = _text(value)
        if text is None or text in self.words:
            return text
        text = text.lower().replace(" ", "_").replace("-", "_")
        if text not in self.words:
            raise ValueError("not one of this column's words")
        return text

    def _number(self, value: Any) -> float:
        number = float(value)
        if isinstance(value, bool) or not math.isfinite(number) or not self.low <= number <= self.high:
            raise ValueError("not a number within this column's bounds")
        return number

    def _integer(self, value: Any) -> int:
        number = self._number(value)
        if not number.is_integer():
            raise ValueError("not a whole number")
        return int(number)


def _column(name: str, hint: Any) -> Column:
    plain = get_args(hint)[0] if NoneType in get_args(hint) else hint
    low, high = BOUNDS.get(name, (-math.inf if name in SIGNED else 0.0, math.inf))
    if get_origin(plain) is Literal:
        return Column(name, "text", frozenset(get_args(plain)), low, high)
    kind = "texts" if get_origin(plain) is tuple else KINDS[plain]
    return Column(name, kind, frozenset(), low, high)


COLUMNS: Mapping[type[Record], Mapping[str, Column]] = {
    record: {name: _column(name, hint) for name, hint in get_type_hints(record).items()} for record in RECORDS.values()
}
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
    if isinstance(value, int | float):
        return str(value)
    raise ValueError("not a text")


def _boolean(value: Any) -> bool:
    found = BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("neither yes nor no")
    return found


def _instant(value: Any) -> datetime | None:
    """ISO 8601 with an offset, or seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    return instant(value.strip() if isinstance(value, str) else value)


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in map(_text, values) if text is not None)
