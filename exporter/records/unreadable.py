"""Values that cannot be read: the reason, in words that are safe to show, and one guard around all reading.

A mapping reads each value with `value`: what fails is noted, with its column, and the value is unknown. Whether that
costs the record, too, is for its type to say (`records.VITAL`). Where a whole item cannot be read, `attempt` says so.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar, get_args

from exporter.base.errors import SourceError

T = TypeVar("T")

Reason = Literal[
    "missing",
    "unknown_word",
    "not_a_time",
    "no_time_zone",
    "not_a_number",
    "out_of_bounds",
    "wrong_shape",
    "broken_row",
    "broken_file",
    "unexpected",
]
"""Why a value cannot be read, as a label value."""
REASONS: tuple[Reason, ...] = get_args(Reason)

FILE: Reason = "broken_file"
"""Of a whole file, and of all that is in it."""
UNKNOWN: Reason = "unknown_word"
"""Of a word that stands for nothing we know; each such word is told by itself."""
ITEM = "item"
"""Stands for a column where a whole item is the matter."""
ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a stranger's value may raise: it is of another type, not there, or infinite."""
LONGEST_QUOTE = 40
MOST_UNREAD = 0.05
"""The share of a source's records that may be lost before its figures are withdrawn."""
NOTHINGS = frozenset({"n/a", "na", "nan", "none", "null", "nil", "unknown", "undefined", "inf", "infinity"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One value that cannot be read: our column and the reason are labels, `text` and `called` are for people.

    `called`: what the source calls the column, where it is known.
    """

    column: str
    reason: Reason
    text: str
    called: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be read of one item: all of it (`whole`, so there is no record), or some of its values.

    `key` tells the item from others at the next reading. `place`: where it stands, safe to show, such as "line 2".
    """

    key: str
    place: str
    faults: tuple[Fault, ...]
    whole: bool = True
    scope: str = ""  # the part of the source that is read anew as a whole, such as a file
    item: Any = None  # of a whole one, for its team
    kind: type[Any] | None = None  # of the record that it would have been, where that is known
    team: str | None = None  # whose it is, as far as the source says so itself
    times: tuple[datetime, ...] = ()  # when it was, as far as that can be read
    weight: int = 1  # how many records it may have held


class Unreadable(ValueError):  # noqa: N818 - named by what is wrong
    """A value that cannot be read. Its text is safe to show: it quotes only what `quoted` does."""

    def __init__(self, reason: Reason, text: str, column: str = "") -> None:
        super().__init__(text)
        self.reason, self.column = reason, column


class Words(dict[str, T]):
    """A platform's words and what they mean for a column; a word that is not among them cannot be read."""

    def __init__(self, column: str, words: dict[str, T]) -> None:
        super().__init__(words)
        self.column = column

    def __missing__(self, word: object) -> T:
        raise unknown_word(word, self, self.column)


def unknown_word(word: object, known: Iterable[str], column: str = "") -> Unreadable:
    """The error for a word that is in no table."""
    return Unreadable("unknown_word", f"{quoted(word, word=True)} is none of {', '.join(known)}", column)


_notes: ContextVar[list[Fault] | None] = ContextVar("notes", default=None)


def value(column: str, read: Callable[[Any], T], given: Any, called: str = "", failed: T | None = None) -> T | None:
    """`read(given)`; if that fails, `failed`, and the fault is noted. Outside `attempt` it raises Unreadable."""
    try:
        return read(given)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stranger's value does, it must not reach the others
        found = fault(error, column, called)
        notes = _notes.get()
        if notes is None:
            raise Unreadable(found.reason, found.text, column) from None
        notes.append(found)
        return failed


def attempt(function: Callable[[Any], T], item: Any) -> tuple[T | None, tuple[Fault, ...], bool]:
    """(result of `function(item)`, faults of single values, whether it failed as a whole).

    Only SourceError passes: it is about more than one item.
    """
    notes: list[Fault] = []
    token = _notes.set(notes)
    try:
        return function(item), tuple(notes), False
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - one odd item must not stop the others
        return None, (*notes, fault(error)), True
    finally:
        _notes.reset(token)


def fault(error: Exception, column: str = "", called: str = "") -> Fault:
    """An error as a fault. The text of an error that is not ours may quote anything, so it is not repeated."""
    if isinstance(error, Unreadable):
        return Fault(column or error.column or ITEM, error.reason, str(error), called)
    if isinstance(error, KeyError | IndexError):
        name = error.args[0] if error.args else None
        named = isinstance(name, str) and name.isidentifier() and len(name) <= LONGEST_QUOTE
        return Fault(column or ITEM, "missing", f"{name!r} is missing" if named else "a part is missing", called)
    if isinstance(error, TypeError | AttributeError):
        return Fault(column or ITEM, "wrong_shape", "has another shape than expected", called)
    if isinstance(error, OverflowError):
        return Fault(column or ITEM, "out_of_bounds", "is too large", called)
    return Fault(column or ITEM, "unexpected", f"cannot be read ({type(error).__name__})", called)


def quoted(given: object, *, word: bool = False) -> str:
    """A value as it may be shown and logged; where it could be a person or a secret only what it looks like.

    A number, a time or a stand-in such as N/A is quoted; of other texts only words of a status, which `word` says.
    """
    if given is None or isinstance(given, bool):
        return str(given)
    if isinstance(given, int | float):
        return f"{given}" if isinstance(given, float) or abs(given) < 10**20 else "a huge number"
    if not isinstance(given, str):
        return {"list": "a list", "tuple": "a list", "dict": "an object"}.get(type(given).__name__, "a value")
    text = given.strip()
    harmless = text.isprintable() and len(text) <= LONGEST_QUOTE and "@" not in text
    # A secret is one long text of letters and digits; a date or an amount has signs in between.
    run = max(map(len, "".join(sign if sign.isalnum() else " " for sign in text).split()), default=0)
    telling = any(sign.isdigit() for sign in text) or not any(sign.isalpha() for sign in text)
    short = run <= (LONGEST_QUOTE if word and text.isalpha() else 20)
    if harmless and short and (word or telling or text.lower() in NOTHINGS):
        return f"'{text}'"
    return f"a text of {len(given):,} characters"


def key_of(item: Any) -> str:
    """What tells an item from others: its id, or else what it looks like."""
    if isinstance(item, tuple) and item:
        item = item[0]
    given = item.get("id") if isinstance(item, dict) else None
    if isinstance(given, str | int):
        return f"item {given if isinstance(given, str) else hex(given)}"
    try:
        return repr(item)[:500]
    except RecursionError:
        return "nested too deeply"


def place_of(item: Any, otherwise: object = None) -> str:
    """Where an item of an answer stands: its id, or another, as far as that may be shown (it may be an address)."""
    if isinstance(item, tuple) and item:
        item = item[0]
    given = item.get("id", otherwise) if isinstance(item, dict) else otherwise
    text = str(given) if isinstance(given, str) or (isinstance(given, int) and abs(given) < 10**20) else ""
    safe = text.isprintable() and 0 < len(text) <= LONGEST_QUOTE and "@" not in text
    return f"id {text}" if safe else ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with items of a source, the first of them as the example."""

    column: str
    reason: Reason
    whole: bool
    count: int
    called: str
    text: str
    place: str

    @property
    def word(self) -> str:
        """The unknown word that it is about, as it may be shown; empty where it is about something else."""
        return self.text.partition(" is n")[0].strip("'") if self.reason == UNKNOWN else ""

    def describe(self, noun: str, first: bool) -> str:
        """`column Created: '2026-10-28 13:35' has no time zone (1,500 rows, first: line 2)`."""
        if self.reason == FILE:
            others = ", first" if self.count > 1 else ""
            return f"partial: {counted(self.count, 'file')} cannot be read{others}: {self.text}"
        where = "" if self.column == ITEM else f"column {self.called or self.column}: "
        place = f", first: {self.place}" if first and self.place else ""
        return f"{where}{self.text} ({counted(self.count, noun)}{place})"


@dataclass(frozen=True, slots=True)
class Summary:
    """What is left out of a source: how many of its items there are and are not, and what is wrong with those."""

    read: int = 0
    lost: int = 0
    lines: tuple[Problem, ...] = ()
    full: bool = False  # there are more than are told apart

    def describe(self, noun: str) -> str:
        """All of it in one line; empty where nothing is left out."""
        if not self.lines:
            return ""
        files = [line.describe(noun, first=True) for line in self.lines if line.reason == FILE]
        if len(files) == len(self.lines):
            return "; ".join(files)
        least = "at least " if self.full else ""
        lines = [line for line in self.lines if line.reason != FILE]
        told = [line.describe(noun, first=True) for line in lines[:MOST_TOLD]]
        more = len(lines) - MOST_TOLD
        rest = [f"and {more} more kinds"] if more > 0 else []
        count = f"{self.read:,} of {least}{counted(self.read + self.lost, noun)} read"
        return "; ".join([*files, count, *told, *rest])

    @property
    def files(self) -> int:
        """How many files cannot be read at all."""
        return sum(line.count for line in self.lines if line.reason == FILE)

    @property
    def share(self) -> float:
        """The share of all its items that is lost."""
        return self.lost / max(1, self.read + self.lost)


MOST_TOLD = 6


def counted(number: int, noun: str) -> str:
    """`1 row`, `1,500 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def summarized(read: int, left_out: Iterable[LeftOut]) -> Summary:
    """What is left out of a source of which so many records could be read, of what was just asked."""
    found: dict[tuple[object, ...], Problem] = {}
    lost = 0
    for each in left_out:
        lost += each.whole and not any(fault.reason == FILE for fault in each.faults)
        for fault in {(fault.column, fault.reason): fault for fault in each.faults}.values():
            key = (fault.column, fault.reason, each.whole, fault.text if fault.reason == UNKNOWN else "")
            first = Problem(fault.column, fault.reason, each.whole, 0, fault.called, fault.text, each.place)
            before = found.get(key, first)
            found[key] = replace(before, count=before.count + 1)
    lines = sorted(found.values(), key=lambda line: (not line.whole, -line.count, line.column))
    return Summary(read=read, lost=lost, lines=tuple(lines))
