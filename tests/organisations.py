"""Synthetic organisations: what KPIs come to on each day, by chance and by what was planted, with a fixed seed.

Days differ: there are weekends, and a bad day is bad for many records at once. So does real work.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from exporter.evaluation.figure import Evaluation, Figure, Key
from exporter.evaluation.plan import Period
from exporter.insight.sides import Course

BEGIN = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
WEEKDAYS = (1.2, 1.1, 1.0, 1.0, 0.9, 0.2, 0.2)
Parts = tuple[float, float | None]
Make = Callable[[Random, int, float], Parts]
"""(chance, number of the day, what was planted: 1 is nothing) -> numerator and denominator."""


def busy(chance: Random, day: int, mean: float = 40) -> int:
    """How many records a day has."""
    return max(0, round(chance.gauss(mean, mean**0.5) * WEEKDAYS[day % 7] * chance.uniform(0.8, 1.2)))


def share(chance: Random, day: int, planted: float) -> Parts:
    """A share of about 12 %, on a bad day more."""
    n = busy(chance, day)
    p = min(1.0, 0.12 * planted * chance.uniform(0.7, 1.3))
    return float(sum(chance.random() < p for _ in range(n))), float(n)


def length(chance: Random, day: int, planted: float) -> Parts:
    """A mean of about an hour, of lengths that spread widely."""
    n = busy(chance, day)
    return sum(chance.lognormvariate(8, 0.6) * planted for _ in range(n)), float(n)


def number(chance: Random, day: int, planted: float) -> Parts:
    """A number of records."""
    return float(busy(chance, day, 40 * planted)), None


KINDS: Mapping[str, Make] = {"escalation_ratio": share, "csat_ratio": length, "requests": number}


def courses(chance: Random, kpi: str, days: int, planted: Mapping[str, float], after: int) -> tuple[Course, Course]:
    """Two periods of an organisation, the second one with what was planted in each team. `after`: its first day."""
    return (
        _course(chance, kpi, 0, days, dict.fromkeys(planted, 1.0)),
        _course(chance, kpi, after, days, planted),
    )


def _course(chance: Random, kpi: str, first: int, days: int, planted: Mapping[str, float]) -> Course:
    by_day = [{team: KINDS[kpi](chance, day, of) for team, of in planted.items()} for day in range(first, first + days)]
    whole = {team: _sum([day[team] for day in by_day]) for team in planted}
    period = Period(begins_at=BEGIN + first * DAY, ends_at=BEGIN + (first + days) * DAY)
    return Course(
        period,
        evaluation(period.ends_at, kpi, "period", whole),
        [evaluation(period.ends_at, kpi, "1d", day) for day in by_day],
    )


def _sum(parts: Sequence[Parts]) -> Parts:
    below = [d for _, d in parts if d is not None]
    return sum(n for n, _ in parts), sum(below) if below else None


def evaluation(at: datetime, kpi: str, window: str, by_team: Mapping[str, Parts]) -> Evaluation:
    """An evaluation of one KPI by team."""
    figures = [Figure(kpi, window, _team(team), n, d) for team, (n, d) in by_team.items() if d != 0]
    return Evaluation(at, tuple(figures), {})


def _team(team: str) -> Key:
    return (("team", team),)
