"""Guesses how a file writes times: their formats, and whether the day or the month comes first."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from exporter.proposal.sample import Sample
from exporter.proposal.tables import forms, is_nothing, names
from exporter.records.notation import MILLISECONDS, SHEET_DAYS, Notation, patterns_of
from exporter.records.unreadable import Unreadable

DISTINCT = 5_000  # values of a column, and rows, that are looked at: some of all parts of a file
ENOUGH = 0.9  # the share of its values that must be times
T = TypeVar("T")
Order = Literal["day", "month", "unclear", ""]
UTC_ZONE = ZoneInfo("UTC")
SECONDS = (5e8, 5e9)  # 1985 to 2128
ISO = ""  # the format of what is read without being told


class Looks(NamedTuple):
    """What a value may be."""

    formats: Sequence[str]  # each a time format, or ISO
    local: bool  # without an offset
    numeric: bool = False  # neither a date nor its month in words


@lru_cache(maxsize=50_000)
def looks(value: Any) -> Looks | None:
    """The formats that a value may be a time in; None where it is none."""
    if isinstance(value, datetime | date):
        return Looks((), getattr(value, "tzinfo", None) is None)
    return _of_text(value) if isinstance(value, str) else None if isinstance(value, bool) else _of_number(value)


def _of_number(value: float) -> Looks | None:
    if SHEET_DAYS[0] <= value < SHEET_DAYS[1]:
        return Looks(("excel",), True, numeric=True)
    if MILLISECONDS[0] <= value < MILLISECONDS[1]:
        return Looks(("epoch_ms",), False, numeric=True)
    return Looks((ISO, "epoch_s"), False, numeric=True) if SECONDS[0] <= value < SECONDS[1] else None


def _of_text(value: str) -> Looks | None:
    found = [pattern for pattern, _ in patterns_of(value)]
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        local = not any("%z" in each or each.startswith("epoch") or is_utc(each) for each in found)
        return Looks(found, local, numeric=found[0].startswith(("e",))) if found else None
    return Looks((ISO, *found), moment.tzinfo is None, numeric=value.isdigit())


def is_utc(pattern: str) -> bool:
    return pattern.endswith((" UTC", " GMT"))


def order_of(pattern: str) -> Order:
    """Whether a pattern has the day or the month first; empty where it cannot be mistaken."""
    if pattern.startswith("%Y") or "%d" not in pattern or "%m" not in pattern:
        return ""
    return "day" if pattern.index("%d") < pattern.index("%m") else "month"


@dataclass(frozen=True)
class Times:
    """The columns that hold times."""

    of: Mapping[str, Sequence[Looks]]  # name -> looks of its different values
    order: Order
    why: str  # how the order is known, for people
    example: str  # a date that may be read in two ways

    @classmethod
    def found(cls, sample: Sample, given: Order = "") -> "Times":
        of = {name: found for name in sample.names if (found := _column(sample, name))}
        order, why, example = _order(sample, of)
        return cls(of, given or order, why if not given else "", example)

    def holds(self, name: str) -> bool:
        """Whether a column holds times that are more than numbers."""
        return name in self.of and not all(each.numeric for each in self.of[name])

    def local(self, name: str) -> bool:
        """Whether a column has times without an offset."""
        return any(each.local for each in self.of.get(name, ()))

    def formats(self, name: str, order: Order | None = None) -> tuple[str, ...]:
        """The fewest formats that all values of a column fit; empty where it is read without being told."""
        order = order or self.order
        waiting = [
            formats
            for each in self.of.get(name, ())
            if (formats := {form for form in each.formats if order_of(form) in ("", order) or order == "unclear"})
        ]
        if all(ISO in formats for formats in waiting):
            return ()
        chosen: list[str] = []
        while waiting:
            counts = Counter(form for formats in waiting for form in formats if form != ISO)
            best = max(counts, key=lambda form: (counts[form], -len(form)), default=None)
            if best is None:
                break
            chosen.append(best)
            waiting = [formats for formats in waiting if best not in formats]
        return tuple(_both(chosen) if order == "unclear" else chosen)

    def explicit(self, name: str) -> list[str]:
        """Formats of a column that would be read without being told, where its source has others."""
        patterns = Counter(form for each in self.of[name] for form in each.formats if form != ISO)
        found: list[str] = []
        waiting = [set(each.formats) - {ISO} for each in self.of[name] if each.formats]
        while waiting and patterns:
            best = max(patterns, key=lambda form: sum(form in formats for formats in waiting))
            found.append(best)
            waiting = [formats for formats in waiting if formats and best not in formats]
            del patterns[best]
        return found


def _both(formats: Iterable[str]) -> list[str]:
    """Formats, each with the day and the month first."""
    found: dict[str, None] = {}
    for form in formats:
        if order_of(form):
            swapped = re.sub("%[dm]", lambda sign: "%m" if sign[0] == "%d" else "%d", form)
            day, month = (form, swapped) if order_of(form) == "day" else (swapped, form)
            found |= {day: None, month: None}
        else:
            found[form] = None
    return [*found]


def _column(sample: Sample, name: str) -> list[Looks]:
    """The looks of the different values of a column; empty where it holds no times."""
    different = dict.fromkeys(
        value for value in sample.values(name) if isinstance(value, str | int | float | datetime | date)
    )
    seen = spread([*different])
    known = [each for value in seen if not is_nothing(value) and (each := looks(value))]
    there = sum(not is_nothing(value) for value in seen)
    return known if there and len(known) >= ENOUGH * there else []


def spread(given: Sequence[T]) -> Sequence[T]:
    """At most DISTINCT of them, from the first to the last."""
    return given[:: len(given) // DISTINCT + 1]


def _order(sample: Sample, of: Mapping[str, Sequence[Looks]]) -> tuple[Order, str, str]:
    """Whether the day or the month comes first: by dates that fit one order only, or else by what would follow."""
    orders = Counter(
        "".join(sorted({order_of(form) for form in each.formats} - {""})) for found in of.values() for each in found
    )
    day, month, both = orders["day"], orders["month"], orders["daymonth"]
    if not both + day + month:
        return "", "", ""
    example = next((text for text, seen in _texts(sample, of) if len({order_of(f) for f in seen.formats}) > 1), "")
    if day and not month:
        return "day", "", example
    if month and not day:
        return "month", "", example
    if "." in re.sub(r"[^./-]", "", example)[:1]:
        return "day", "", example  # nobody writes 03.30.2026
    return _by_sense(sample, of), "otherwise times would lie in the future or out of order", example


def _texts(sample: Sample, of: Mapping[str, Sequence[Looks]]) -> Iterable[tuple[str, Looks]]:
    """The texts that may be times, each with its looks."""
    texts = (value for name in of for value in sample.values(name) if isinstance(value, str))
    return ((text, seen) for text in texts if (seen := looks(text)))


def _by_sense(sample: Sample, of: Mapping[str, Sequence[Looks]]) -> Order:
    """The order in which fewer rows have a later column before an earlier one, or lie in the future."""
    columns = [name for name in of if any(order_of(form) for each in of[name] for form in each.formats)]
    orders: tuple[Order, Order] = ("day", "month")
    faults = {order: _contradictions(sample, of, columns, order) for order in orders}
    if faults["day"] == faults["month"]:
        return "unclear"
    best: Order = "day" if faults["day"] < faults["month"] else "month"
    worst = max(faults.values())
    return best if min(faults.values()) == 0 or worst >= 10 * min(faults.values()) else "unclear"


def _contradictions(sample: Sample, of: Mapping[str, Sequence[Looks]], columns: Sequence[str], order: Order) -> int:
    """Rows whose times, from left to right, are in another order than in most rows, or later than the file."""
    times = Times(of, order, "", "")
    notations = {name: Notation(time_zone=UTC_ZONE, time_formats=times.formats(name)) for name in columns}
    signs: dict[tuple[str, str], Counter[bool]] = {}
    past = {name for name in columns if not ahead(name)}
    late = 0
    for row in spread(sample.rows):
        moments = [
            (name, moment) for name in columns if (moment := moment_of(notations[name], sample.first(row, name)))
        ]
        late += any(sample.written is not None and moment > sample.written for name, moment in moments if name in past)
        for (one, first), (two, second) in pairwise(moments):
            if first != second:
                signs.setdefault((one, two), Counter())[first < second] += 1
    return sum(min(counts[True], counts[False]) for counts in signs.values()) + late


def ahead(name: str) -> bool:
    """Whether a column may well hold times to come: of appointments."""
    known = names("booking")
    found = (each.column for form in forms(name) for each in known.get(form, ()))
    return next(found, "") in ("starts_at", "ends_at")


def moment_of(notation: Notation, value: Any) -> datetime | None:
    """A time in a notation; None where it is none."""
    try:
        return None if value is None or is_nothing(value) else notation.instant(value)
    except Unreadable:
        return None
