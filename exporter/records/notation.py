"""How a source writes times, numbers and missing values, if the exporter cannot read them without help.

Local time and the clocks: a time that exists twice, in autumn, is the first of the two; one that does not exist, in
spring, is read with the offset before the change (02:30 is then 03:30 of summer time).
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo, available_timezones

from exporter.records import EARLIEST, bounded, instant
from exporter.records.unreadable import NOTHINGS, Unreadable, quoted

Decimal = Literal[".", ","]
Thousands = Literal["", ".", ",", " ", "'", "_"]
NAMED = ("excel", "epoch_s", "epoch_ms")
"""Time formats that are no patterns: days since 1899-12-30, and seconds and milliseconds since 1970."""
EXCEL_DAY_0 = datetime(1899, 12, 30)  # noqa: DTZ001 - of the calendar, in whatever zone
SHEET_DAYS = (20_000.0, 120_000.0)  # 1954 to 2228 as days of a spreadsheet; as seconds it is the first day of 1970
FIRST_YEAR = 31_536_000  # seconds: 20260331 is a date without its signs, 202603 a month, and neither is in 1970
MILLISECONDS = (1e11, 1e13)
PROBE = datetime(2026, 11, 27, 15, 4, 5)  # noqa: DTZ001 - for patterns only
CODES = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MXN NOK NZD PLN RON SEK SGD THB TRY USD ZAR"
CURRENCIES = (*CODES.split(), "kr.", "kr", "zł", "Kč", "Ft", "Fr.")
DATE = re.compile(r"(\d{1,4}|[A-Za-z]{3,9})([./ -]\s?)(\d{1,2}|[A-Za-z]{3,9})([./, -]{1,2})(\d{2,4})(\D.*)?")
CLOCK = re.compile(r"([,\sT]*)(\d{1,2}:\d{2})(:\d{2})?(\.\d{1,6})?(\s?)([AaPp][Mm])?\s*([+-]\d{2}:?\d{2}|Z)?")
WEEKDAY = re.compile(r"((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*)(,? )")
CTIME = re.compile(r"[A-Z][a-z]{2} {1,2}\d{1,2} \d{2}:\d{2}:\d{2} \d{4}")
UTC_WORDS = (" UTC", " GMT")
ADVISED = ((".", ","), (",", ""), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"), (".", ""))
"""Decimal signs and signs between thousands, as they go together."""
GROUP_SIGNS = {" ": " \u00a0\u202f\u2009", "'": "'\u2019"}  # signs that stand for one another


class Length(float):
    """A length of time in seconds, which its source knows as one: no unit of a config is for it, and it is no time."""


class Written(Protocol):
    """The notation keys of a source or a column in the config; None: not set."""

    @property
    def time_zone(self) -> str | None: ...
    @property
    def time_format(self) -> str | tuple[str, ...] | None: ...
    @property
    def decimal(self) -> Decimal | None: ...
    @property
    def thousands(self) -> Thousands | None: ...
    @property
    def nulls(self) -> tuple[str, ...] | None: ...


@dataclass(frozen=True, slots=True)
class Notation:
    """How times, numbers and missing values are written."""

    time_zone: ZoneInfo | None = None  # of times without an offset
    time_formats: tuple[str, ...] = ()  # none: ISO 8601, or a number of seconds since 1970
    decimal: str = "."
    thousands: str = ""
    nulls: frozenset[str] = frozenset()  # words for nothing, in small letters

    def over(self, written: Written) -> "Notation":
        """This notation, overridden by the keys of a source or a column."""
        formats = written.time_format
        return Notation(
            self.time_zone if written.time_zone is None else ZoneInfo(written.time_zone),
            self.time_formats if formats is None else (formats,) if isinstance(formats, str) else tuple(formats),
            self.decimal if written.decimal is None else written.decimal,
            self.thousands if written.thousands is None else written.thousands,
            self.nulls if written.nulls is None else frozenset(word.strip().lower() for word in written.nulls),
        )

    def is_null(self, given: Any) -> bool:
        """Whether a value means that there is none."""
        if isinstance(given, float) and math.isnan(given):
            return "nan" in self.nulls
        if type(given) is int or (isinstance(given, float) and given.is_integer()):
            return f"{given:.0f}" in self.nulls
        return isinstance(given, str) and given.strip().lower() in self.nulls

    def instant(self, given: Any) -> datetime | None:
        """A time as a UTC instant; None for "" and None. Unreadable says which keys would make it readable."""
        found = self._instant(given)
        if found == EARLIEST:
            told = f"{quoted(given)} is the first instant of 1970, which mostly means that there is none"
            raise Unreadable("out_of_bounds", f"{told}; then add it to nulls")
        return found

    def _instant(self, given: Any) -> datetime | None:
        if isinstance(given, Length):
            raise Unreadable("not_a_time", f"{timedelta(seconds=given)} is a time of day or a length, without a date")
        if isinstance(given, datetime):
            return self._placed(given, given.isoformat())
        if isinstance(given, date):
            return self._placed(datetime.combine(given, time()), given.isoformat())
        given = given.strip() if isinstance(given, str) else given
        if given is None or given == "":
            return None
        return self._formatted(given) if self.time_formats else self._plain(given)

    def number(self, given: Any) -> float:
        """A finite number, also one that is written as a text, with its currency."""
        found = math.nan
        try:
            if isinstance(given, str):
                found = self._read_number(given)
            elif not isinstance(given, bool):
                found = float(given)
        except (TypeError, ValueError, OverflowError):
            pass
        if not math.isfinite(found):
            raise Unreadable("not_a_number", f"{quoted(given)} is not a number{self._number_advice(given)}")
        return found

    def _placed(self, moment: datetime, given: Any) -> datetime:
        if moment.tzinfo is None:
            if self.time_zone is None:
                text = f"{quoted(given)} has no time zone; set time_zone, such as Europe/Berlin"
                raise Unreadable("no_time_zone", text)
            moment = moment.replace(tzinfo=self.time_zone, fold=0)
        return bounded(moment, given)

    def _plain(self, given: Any) -> datetime | None:
        if isinstance(given, int | float) and not isinstance(given, bool):
            if SHEET_DAYS[0] <= given < SHEET_DAYS[1]:
                told = f"{quoted(given)} may be days of a spreadsheet; set time_format: excel, or epoch_s for seconds"
                raise Unreadable("not_a_time", told)
            if 0 < given < FIRST_YEAR:
                told = f'{quoted(given)} would be in 1970; set time_format, such as "%Y%m%d", or epoch_s for seconds'
                raise Unreadable("not_a_time", told)
            more = "; set time_format: epoch_ms" if MILLISECONDS[0] <= given < MILLISECONDS[1] else ""
            return _since_1970(given, given, more)
        try:
            moment = datetime.fromisoformat(given)
        except (TypeError, ValueError):
            advice = list(patterns_of(given)) if isinstance(given, str) else []
            if not advice:
                return instant(given)
            zone = "" if self.time_zone or advice[0][0].startswith("epoch") else ", and time_zone"
            more = " or ".join(pattern if pattern in NAMED else f'"{pattern}"{told}' for pattern, told in advice)
            raise Unreadable("not_a_time", f"{quoted(given)} is not a time; set time_format: {more}{zone}") from None
        return self._placed(moment, given)

    def _formatted(self, given: Any) -> datetime:
        found = dict.fromkeys(moment for each in self.time_formats if (moment := self._by(each, given)) is not None)
        if len(found) == 1:
            return bounded(next(iter(found)), given)
        if found:
            told = f"{quoted(given)} is several times by {shown(self.time_formats)}; keep the one that is meant"
            raise Unreadable("not_a_time", told)
        advice = [pattern for pattern, _ in patterns_of(given)] if isinstance(given, str) else []
        more = f"; by its looks it is {shown(advice)}" if advice else ""
        raise Unreadable("not_a_time", f"{quoted(given)} does not fit time_format {shown(self.time_formats)}{more}")

    def _by(self, pattern: str, given: Any) -> datetime | None:
        """The time that a value means in one format; None if it does not fit."""
        if pattern in NAMED:
            try:
                found = self.number(given)
            except Unreadable:
                return None
            if pattern == "epoch_ms" and 0 != found < MILLISECONDS[0]:  # of 0 `instant` says more
                raise Unreadable("out_of_bounds", f"{quoted(given)} is too small for milliseconds since 1970")
            if pattern != "excel":
                return _since_1970(found / 1000 if pattern == "epoch_ms" else found, given)
            if not 0 <= found < SHEET_DAYS[1]:
                raise Unreadable("out_of_bounds", f"{quoted(given)} is not between 1970 and 2200")
            return self._placed(EXCEL_DAY_0 + timedelta(milliseconds=round(found * 86_400_000)), given)
        try:
            moment = datetime.strptime(str(given), pattern)  # noqa: DTZ007 - the zone comes next
        except ValueError:
            return None
        return self._placed(moment, given)

    def _read_number(self, text: str) -> float:
        if self.decimal == "." and not self.thousands:
            try:
                return float(text)
            except ValueError:
                return float(_without_currency(text))
        text, group = _without_currency(text), re.escape(GROUP_SIGNS.get(self.thousands, self.thousands))
        grouped = rf"|\d{{1,3}}([{group}]\d{{2,3}})*[{group}]\d{{3}}" if group else ""
        if not re.fullmatch(rf"-?(\d+{grouped})?({re.escape(self.decimal)}\d*)?([eE][+-]?\d+)?", text, re.ASCII):
            return math.nan
        return float(re.sub(f"[{group}]", "", text).replace(self.decimal, ".") if group else text.replace(",", "."))

    def _number_advice(self, given: Any) -> str:
        """The keys by which a text would be a number, with what it would be."""
        text = _without_currency(given) if isinstance(given, str) else ""
        if text.strip().lower() in NOTHINGS:
            return "; if it means nothing, add it to nulls"
        if not re.search(r"\d[.,\s'\u2019]\d", text):
            return ""
        found: dict[float, str] = {}
        for decimal, thousands in ADVISED:
            keys = [f'decimal: "{decimal}"'] if decimal != self.decimal else []
            keys += [f'thousands: "{thousands}"'] if thousands != self.thousands else []
            value = _quiet(Notation(decimal=decimal, thousands=thousands), text)
            if math.isfinite(value):
                found.setdefault(value, f"{' and '.join(keys)} ({value:.12g})")
        return f"; set {' or '.join(found.values())}" if found else ""


PLAIN = Notation()
"""How the exporter reads by itself."""


def notation_faults(written: Written) -> Iterator[tuple[tuple[str, ...], str]]:
    """Mistakes in the notation keys of a source: (key, message)."""
    zone = written.time_zone
    if zone is not None and zone not in available_timezones():
        yield ("time_zone",), f"there is no time zone {zone!r}; {near_zone(zone)}"
    formats = written.time_format
    for pattern in () if formats is None else (formats,) if isinstance(formats, str) else formats:
        if pattern not in NAMED and (fault := pattern_fault(pattern)):
            yield ("time_format",), fault
    if written.thousands and written.thousands == (written.decimal or "."):
        yield ("thousands",), f"decimal is {written.decimal or '.'!r} as well; set decimal to the other sign"


def patterns_of(text: str) -> Iterator[tuple[str, str]]:
    """(time format, the date as it would be read) for each format that a text looks like."""
    if re.fullmatch(r"\d{10}|\d{13}", text):
        yield ("epoch_s" if len(text) == 10 else "epoch_ms"), ""
    if re.fullmatch(r"[2-9]\d{4}([.,]\d+)?", text):
        yield "excel", ""
    weekday = WEEKDAY.match(text)
    before = f"{'%a' if len(weekday[1]) == 3 else '%A'}{weekday[2]}" if weekday else ""
    date, zone = text[weekday.end() :] if weekday else text, ""
    if date.endswith(UTC_WORDS):
        date, _, zone = date.rpartition(" ")
        zone = f" {zone}"
    for pattern in _patterns(date):
        try:
            moment = datetime.strptime(text, f"{before}{pattern}{zone}")  # noqa: DTZ007 - no instant is made of it
        except ValueError:
            continue
        numbers = date[:1].isdigit() and "%b" not in pattern.lower()
        yield f"{before}{pattern}{zone}", f" ({moment.day} {moment:%B})" if numbers else ""


def _patterns(date: str) -> Iterator[str]:
    """Patterns for a date, with the time of day or without."""
    if CTIME.fullmatch(date):
        yield "%b %d %H:%M:%S %Y"
    found = DATE.fullmatch(date)
    if not found:
        return
    first, one, second, two, third, clock = found.groups()
    orders = ["Ymd"] if len(first) > 2 and first.isdigit() else ["dmY", "mdY"]
    rest = _clock_pattern(clock or "")
    for order in orders if rest is not None else ():
        parts = [_date_pattern(sign, part) for sign, part in zip(order, (first, second, third), strict=True)]
        yield f"{parts[0]}{one}{parts[1]}{two}{parts[2]}{rest}"


def _date_pattern(sign: str, part: str) -> str:
    if sign == "Y":
        return "%Y" if len(part) == 4 else "%y"
    return f"%{sign}" if part.isdigit() else "%b" if len(part) == 3 else "%B"


def _clock_pattern(text: str) -> str | None:
    """The pattern of the time of day after a date; None if it is not one."""
    found = CLOCK.fullmatch(text)
    if not found:
        return None if text.strip() else ""
    before, _, seconds, fraction, space, half, offset = found.groups()
    hours = f"%I:%M{':%S' if seconds else ''}" if half else f"%H:%M{':%S' if seconds else ''}"
    return f"{before}{hours}{'.%f' if fraction else ''}{space}{'%p' if half else ''}{'%z' if offset else ''}"


def pattern_fault(pattern: str) -> str:
    """What is wrong with a time pattern; empty if nothing is."""
    known = f'write it like "%d.%m.%Y %H:%M", or one of {", ".join(NAMED)}'
    if "%Z" in pattern:
        return "a zone name (%Z) does not give its offset; leave it out and set time_zone, or write %z for +0100"
    if "%I" in pattern and "%p" not in pattern:
        return "%I is the hour of a 12-hour clock and needs %p (AM or PM); write %H for a 24-hour clock"
    try:
        again = datetime.strptime(PROBE.replace(tzinfo=UTC).strftime(pattern), pattern)  # noqa: DTZ007 - only looked at
    except ValueError:
        return f"this is not a time pattern; {known}"
    if (again.year, again.month, again.day) != (PROBE.year, PROBE.month, PROBE.day):
        return f"this pattern needs the year, the month and the day; {known}"
    return ""


def near_zone(zone: str) -> str:
    """What may be meant by the name of a time zone that there is not."""
    known = sorted(available_timezones())
    place = zone.rpartition("/")[2].replace(" ", "_").lower()
    near = [each for each in known if place and each.rpartition("/")[2].lower() == place]
    near = near or get_close_matches(zone, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]!r}?" if near else "write it like Europe/Berlin"


def _since_1970(seconds: float, given: Any, more: str = "") -> datetime:
    try:
        return bounded(datetime.fromtimestamp(seconds, UTC), given)
    except (ValueError, OverflowError, OSError):  # OSError: a time before any calendar
        raise Unreadable("out_of_bounds", f"{quoted(given)} is not between 1970 and 2200{more}") from None


def _without_currency(text: str) -> str:
    """A number without its currency and the space around it."""
    text = text.strip().replace("\u2212", "-")
    sign = "-" if text.startswith("-") else ""
    text = text.removeprefix("-").strip()
    for word in CURRENCIES:
        if len(text) > len(word) and text.startswith(word) and not text[len(word)].isalpha():
            text = text.removeprefix(word)
            break
        if len(text) > len(word) and text.endswith(word) and not text[-len(word) - 1].isalpha():
            text = text.removesuffix(word)
            break
    if text and unicodedata.category(text[0]) == "Sc":
        text = text[1:]
    elif text and unicodedata.category(text[-1]) == "Sc":
        text = text[:-1]
    text = text.strip()
    return text if not sign else f"-{text}" if not text.startswith("-") else "?"


def _quiet(notation: Notation, text: str) -> float:
    try:
        return notation._read_number(text)
    except ValueError:
        return math.nan


def shown(formats: Sequence[str]) -> str:
    """Time formats as they may be written in a config."""
    return " or ".join(each if each in NAMED else f'"{each}"' for each in formats)
