"""The calendar periods of reports: a week, month or quarter in the time zone of the config, and the one before it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from exporter.evaluation.plan import Period

Kind = Literal["week", "month", "quarter", "30 days"]
KINDS: tuple[Kind, ...] = ("week", "month", "quarter")
REVIEW = "30-60-90"
"""Reviews of go-lives, with the values of the last 30 days."""
NAMED = re.compile(r"(\d{4})-(?:W(?P<week>\d\d)|(?P<month>\d\d)|Q(?P<quarter>[1-4]))")
HOW = (
    "write week, month or quarter for the last one that is over, one by name, like 2026-W38, 2026-09 or 2026-Q3, "
    "or 30-60-90 for the reviews of go-lives"
)


class NoSuchPeriod(ValueError):  # noqa: N818 - an answer, not a fault of ours
    """A period that there is no report of; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A calendar period, as far as it is over. `begins_at`, `ends_at`, `until`: UTC; the end is not part of it.

    `until`: the end, or the time of the report where the period is not over. `before`: the period before, or as much of
    it as of this one is over.
    """

    kind: Kind
    name: str  # 2026-W38
    title: str  # Week 38, 14 to 20 September 2026
    begins_at: datetime
    ends_at: datetime
    until: datetime
    before: Period

    @property
    def over(self) -> bool:
        """Whether the period has ended."""
        return self.until == self.ends_at

    @property
    def seconds(self) -> int:
        """How long it is, as far as it is over."""
        return int((self.until - self.begins_at).total_seconds())

    @property
    def earlier(self) -> str:
        """What the period before is called in a sentence."""
        return f"the {self.kind} before" if self.over else f"the same part of the {self.kind} before"


def span(text: str, at: datetime, zone: ZoneInfo) -> Span:
    """The period of a name, seen at a time. Raises NoSuchPeriod."""
    here = at.astimezone(zone)
    if text == REVIEW:
        return _last_days(here, zone)
    if text in KINDS:
        kind = next(each for each in KINDS if each == text)
        begin = _before(kind, _begin(kind, here))
    else:
        kind, begin = _named(text)
    begins_at, ends_at = _instant(begin, zone), _instant(_after(kind, begin), zone)
    until = min(ends_at, at.astimezone(UTC).replace(minute=0, second=0, microsecond=0))
    if until <= begins_at:
        raise NoSuchPeriod(f"period {text!r}: it begins on {begin:%Y-%m-%d}, so there is nothing to report yet")
    earlier = _instant(_before(kind, begin), zone)
    return Span(
        kind=kind,
        name=_name(kind, begin),
        title=_title(kind, begin),
        begins_at=begins_at,
        ends_at=ends_at,
        until=until,
        before=Period(
            begins_at=earlier,
            ends_at=begins_at if until == ends_at else min(begins_at, earlier + (until - begins_at)),
        ),
    )


def _last_days(here: datetime, zone: ZoneInfo) -> Span:
    """The last 30 days, and the 30 before them."""
    last = here.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    first, earlier = (_instant(last - timedelta(days=days), zone) for days in (30, 60))
    end = _instant(last, zone)
    return Span(
        kind="30 days", name=REVIEW, title=f"The 30 days up to {last - timedelta(days=1):%-d %B %Y}", begins_at=first,
        ends_at=end, until=end, before=Period(begins_at=earlier, ends_at=first),
    )  # fmt: skip


def _named(text: str) -> tuple[Kind, datetime]:
    """Kind and first day of a period by name."""
    found = NAMED.fullmatch(text)
    if not found:
        raise NoSuchPeriod(f"period {text!r}: {HOW}")
    year = int(found[1])
    try:
        if found["week"]:
            return "week", datetime.fromisocalendar(year, int(found["week"]), 1)
        if found["month"]:
            return "month", datetime(year, int(found["month"]), 1)  # noqa: DTZ001 - a day, in whatever zone
        return "quarter", datetime(year, 3 * int(found["quarter"]) - 2, 1)  # noqa: DTZ001 - a day
    except ValueError:
        raise NoSuchPeriod(f"period {text!r}: the calendar has no such {_word(found)}; {HOW}") from None


def _word(found: re.Match[str]) -> str:
    return "week" if found["week"] else "month"


def _begin(kind: Kind, day: datetime) -> datetime:
    """The first day of the period that holds a day."""
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if kind == "week":
        return midnight - timedelta(days=midnight.weekday())
    month = midnight.month if kind == "month" else (midnight.month - 1) // 3 * 3 + 1
    return midnight.replace(month=month, day=1)


def _after(kind: Kind, begin: datetime) -> datetime:
    return _begin(kind, begin + timedelta(days={"week": 7, "month": 31, "quarter": 92, "30 days": 30}[kind]))


def _before(kind: Kind, begin: datetime) -> datetime:
    return _begin(kind, begin - timedelta(days=1))


def _instant(day: datetime, zone: ZoneInfo) -> datetime:
    return day.replace(tzinfo=zone).astimezone(UTC)


def _name(kind: Kind, begin: datetime) -> str:
    if kind == "week":
        year, week, _ = begin.isocalendar()
        return f"{year}-W{week:02}"
    return f"{begin:%Y-%m}" if kind == "month" else f"{begin.year}-Q{(begin.month + 2) // 3}"


def _title(kind: Kind, begin: datetime) -> str:
    if kind == "month":
        return f"{begin:%B %Y}"
    if kind == "quarter":
        return f"Quarter {(begin.month + 2) // 3} of {begin.year}"
    last = _after(kind, begin) - timedelta(days=1)
    form = "%-d %B %Y" if begin.year != last.year else "%-d %B" if begin.month != last.month else "%-d"
    return f"Week {begin.isocalendar().week}, {begin:{form}} to {last:%-d %B %Y}"
