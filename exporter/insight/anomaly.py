"""Anomalies: days that are unlike the same weekday of the weeks before, by the median and by more than chance gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from exporter.baselines.compare import FEWEST_DAYS
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.add import value_of
from exporter.evaluation.figure import Figure, Key, Weekdays
from exporter.evaluation.plan import Setting
from exporter.evaluation.stats import middle, wilson
from exporter.insight.difference import of_count, of_ratio

FEWEST_RECORDS = 20
"""Of how many records a day must be for its share or mean to be judged."""
SPREADS, SPREADS_OF_RATIO = 5.0, 2.5
"""A day is usual within so many standard deviations of the median: they are told from eight days only, and some hundred
values are judged every day. Of a ratio fewer will do, because the day's own 95 % interval must lie beyond them.
"""
NORMAL = 1.4826
"""The standard deviation of normal values by their median absolute deviation."""
LEAST = 0.05
"""What has no interval of its own varies by at least this share of its median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A KPI of one team on a whole day (UTC) that ends at `ends_at`, beside what is usual, in the unit of the KPI.

    `segment`: the team (none: the KPI is not by team) and labels that make no sum. `n`: the denominator of that day.
    `usual`, `lower`, `upper`: the median of the same weekday of the last eight weeks, and the range around it within
    which a day is usual. `days`: how many of those have a value. `score`: how far the day is from `usual`, where 1 is
    the end of the range, negative below it; of a ratio the nearer end of its 95 % interval counts.
    """

    kpi: str
    segment: Key
    ends_at: datetime
    value: float
    n: float | None
    usual: float
    lower: float
    upper: float
    days: int
    score: float

    @property
    def unusual(self) -> bool:
        """Whether it is outside the range."""
        return abs(self.score) > 1

    def worse(self, kpi: Kpi) -> bool | None:
        """Whether it is on the bad side of usual; None of a KPI that has no better."""
        return None if kpi.better == "none" else (self.score > 0) == (kpi.better == "lower")


def judged(weekdays: Weekdays, settings: Mapping[str, Setting]) -> list[Anomaly]:
    """Every KPI and team of which there is enough to say what is usual, unusual or not; sorted."""
    days = [{(f.kpi, f.segment): f for f in day} for day in weekdays.earlier]
    last = {(f.kpi, f.segment): f for f in weekdays.last}
    for place in {place for day in days for place in day} - last.keys():
        # A count of nothing has no figure: nothing at all may be the most unusual.
        if settings[place[0]].kpi.kind == "count" and place[0] in weekdays.known:
            last[place] = Figure(place[0], "1d", place[1], 0.0)
    found = (
        _judged(figure, [day[place] for day in days if place in day], settings[place[0]].kpi, weekdays.ends_at)
        for place, figure in sorted(last.items())
    )
    return [each for each in found if each]


def _judged(figure: Figure, earlier: Sequence[Figure], kpi: Kpi, ends_at: datetime) -> Anomaly | None:
    value, n = value_of(figure), figure.denominator
    known = [(each, f) for f in earlier if (each := value_of(f)) is not None]
    if value is None or len(known) < FEWEST_DAYS or (n is not None and kpi.kind != "derived" and n < FEWEST_RECORDS):
        return None
    values = [each for each, _ in known]
    usual = middle(values)
    spread = NORMAL * middle(abs(each - usual) for each in values)
    spread = max(spread, least_spread(kpi, figure, [f for _, f in known], usual))
    if spread <= 0:
        return None
    of_records = kpi.kind == "ratio" and not kpi.weight
    reach = spread * (SPREADS_OF_RATIO if of_records else SPREADS)
    near = value
    if of_records and n:
        low, high = wilson(figure.numerator, n)
        near = min(max(usual, low), high)
    # A difference of two amounts may fall below zero on any day; all else does only where it once did.
    floor = 0.0 if min(*values, value) >= 0 and not kpi.minus else usual - reach
    return Anomaly(
        kpi=figure.kpi,
        segment=figure.segment,
        ends_at=ends_at,
        value=value,
        n=n,
        usual=usual,
        lower=max(floor, usual - reach),
        upper=min(1.0, usual + reach) if kpi.kind == "ratio" else usual + reach,
        days=len(values),
        score=(near - usual) / reach,
    )


def least_spread(kpi: Kpi, figure: Figure, earlier: Sequence[Figure], middle: float) -> float:
    """By how much a day varies even where those before it were alike: by what its records are by chance."""
    if kpi.kind == "ratio" and not kpi.weight and figure.denominator:
        above, below = sum(f.numerator for f in earlier), sum(f.denominator or 0.0 for f in earlier)
        return sqrt(of_ratio(above, below))
    if kpi.kind == "count" and not kpi.per:
        return sqrt(of_count(middle))
    return LEAST * abs(middle)
