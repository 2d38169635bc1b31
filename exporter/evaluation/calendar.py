"""Working hours: a calendar as opening times in UTC, with the open time before each day; lengths are differences.

Open is every instant at which a clock on the wall shows an hour that is open: an opening from 02:00 to 04:00 lasts one
hour in the night that skips 02:00 to 03:00, and three in the night that has it twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, islice
from zoneinfo import ZoneInfo

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""How long before this somebody worked is not known."""
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
A_DAY = 86400  # of UTC, in seconds

Span = tuple[int, int]
"""From and to: of a calendar in minutes since midnight, of an opening in seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Hours in which somebody works. `week`: the spans of each day, Monday first; `open` overrules all else."""

    time_zone: str
    week: tuple[tuple[Span, ...], ...]
    country: str | None = None
    subdivision: str | None = None
    closed: tuple[date, ...] = ()
    open: tuple[tuple[date, tuple[Span, ...]], ...] = ()

    def spans(self, first: date, last: date) -> Iterator[tuple[date, tuple[Span, ...]]]:
        """Each day and its open spans, in their order."""
        years = range(first.year, last.year + 1)
        of_the_place = holidays_of(self.country, self.subdivision, years) if self.country else ()
        closed = {*self.closed, *of_the_place}
        extra = dict(self.open)
        for number in range(first.toordinal(), last.toordinal() + 1):
            day = date.fromordinal(number)
            yield day, extra.get(day, () if day in closed else self.week[day.weekday()])


@dataclass(frozen=True, slots=True)
class OpenDays:
    """Every day of UTC from FIRST to the end of a year, as whole seconds since 1970, in texts that a database splits.

    `before`: how much was open before the day. `spans`: (begin, end) of the first opening of each day, of the second
    and so on; 0 and 0 where a day has no more.
    """

    days: str
    before: str
    spans: tuple[tuple[str, str], ...]


def holidays_of(country: str, subdivision: str | None, years: Iterable[int]) -> frozenset[date]:
    """The public holidays of some years, substitute days included. NotImplementedError: no such place is known."""
    import holidays  # noqa: PLC0415 - loaded only where a calendar has holidays: few have

    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=years))


@lru_cache(maxsize=256)
def open_days(calendar: Calendar, last_year: int) -> OpenDays:
    """The days of a calendar until the end of a year: the same every minute, hence kept."""
    last = datetime(last_year + 1, 1, 1, tzinfo=UTC)
    numbers = range(epoch_day(FIRST), epoch_day(last))
    inside: dict[int, list[Span]] = {number: [] for number in numbers}
    for begin, end in instants(calendar, FIRST, last):
        # An opening may reach over midnight of UTC.
        for number in range(epoch_day(begin), epoch_day(end - SECOND) + 1):
            opens, closes = max(seconds(begin), number * A_DAY), min(seconds(end), (number + 1) * A_DAY)
            if inside[number] and inside[number][-1][1] == opens:
                opens = inside[number].pop()[0]
            inside[number].append((opens, closes))
    before = accumulate((sum(closes - opens for opens, closes in inside[number]) for number in numbers), initial=0)
    most = max(map(len, inside.values()))
    padded = [inside[number] + [(0, 0)] * (most - len(inside[number])) for number in numbers]
    spans = [(text(day[i][0] for day in padded), text(day[i][1] for day in padded)) for i in range(most)]
    return OpenDays(text(numbers), text(islice(before, len(numbers))), tuple(spans))


def text(numbers: Iterable[int]) -> str:
    """Numbers with commas: what a database reads much faster than a list."""
    return ",".join(map(str, numbers))


def seconds(at: datetime) -> int:
    """Since 1970."""
    return int(at.timestamp())


def epoch_day(at: datetime) -> int:
    """The number of a day of UTC, the first of 1970 being 0."""
    return seconds(at) // A_DAY


def instants(calendar: Calendar, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The openings between two instants of UTC."""
    for begin, end, offset in stretches(ZoneInfo(calendar.time_zone), first, last):
        shift = timedelta(0) if offset is None else offset
        for day, spans in calendar.spans((begin + shift).date(), (end + shift).date()):
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - shift
            for opens, closes in spans:
                opened = max(midnight + timedelta(minutes=opens), begin)
                closed = min(midnight + timedelta(minutes=closes), end)
                if opened < closed:
                    yield opened, closed


def stretches(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime, timedelta | None]]:
    """The time between two instants cut where the clocks of a zone are changed: (begin, end, offset from UTC)."""
    begin = at = first
    while at < last:
        after = min(at + DAY, last)
        if offset(zone, after) != offset(zone, at):
            turn = turning(zone, at, after)
            yield begin, turn, offset(zone, at)
            begin = turn
        at = after
    yield begin, last, offset(zone, begin)


def turning(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second at which the clocks are changed between two instants."""
    low, high = seconds(before), seconds(after)
    old = offset(zone, before)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(zone, datetime.fromtimestamp(middle, UTC)) == old else (low, middle)
    return datetime.fromtimestamp(high, UTC)


def offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    """How far the clocks of a zone are ahead of UTC."""
    return at.astimezone(zone).utcoffset()
