"""What a report says, as data: `compute` and `lines` fill it, `rendering` writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from exporter.catalogue.group import Tier
from exporter.insight.anomaly import Anomaly
from exporter.report.contribution import Contribution
from exporter.report.period import Span
from exporter.report.reader import Reader

Verdict = Literal["rose", "fell", "same", "few", "untested"]
"""Beyond chance, or not; `few`: of too few records; `untested`: a sum or quotient, for which there is no test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How numbers of a KPI are shown. `day_seconds`: of working time, how long a person's day is. `whole`: money
    without cents.
    """

    name: str
    currency: str | None = None
    day_seconds: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A value and what is behind it. `n`: records, or None where its denominator does not count them.

    `weight`: what divides it; None where nothing does. Of a ratio, `lower` and `upper` are the ends of its 95 %
    interval.
    """

    value: float
    n: float | None = None
    weight: float | None = None
    lower: float | None = None
    upper: float | None = None
    median: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The day since which a value is another one, or `about` that day. `now`: what it is since, `before`: what it was;
    of an amount None. `boundary`: it is the first day of the period, so that both are those of the periods.
    """

    day: date
    about: bool
    boundary: bool
    before: Side | None = None
    now: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value beside an earlier one. `p`: of the test, or None where there is none. `since`: where days tell it."""

    before: Side
    now: Side
    verdict: Verdict
    p: float | None = None
    since: Since | None = None

    @property
    def difference(self) -> float:
        """In the unit of the value."""
        return self.now.value - self.before.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One value of a label, such as one team: what it is and was, and what it adds to the change of the whole."""

    name: str
    change: Change | None
    contribution: Contribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A change by the values of one label, what moved it most first."""

    label: str
    segments: tuple[Segment, ...]

    @property
    def changed(self) -> tuple[Segment, ...]:
        """The segments that changed beyond chance."""
        return tuple(each for each in self.segments if each.change and each.change.verdict in ("rose", "fell"))

    @property
    def mix(self) -> float:
        """What the whole changed by because the shares of its segments did."""
        return sum(each.contribution.mix for each in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A baseline: the value of the same segments now and then."""

    kind: str
    change: Change


@dataclass(frozen=True, kw_only=True)
class Line:
    """A KPI in a report. `of`: what it is of, where it cannot be added up, and `others` how many other such values
    there are. `limits`: severity -> threshold. `absent`: why there is nothing to compare it with.
    `upper`: the KPI that is its upper end.
    """

    kpi: str
    title: str
    help: str
    tier: Tier | None
    better: Literal["higher", "lower", "none"]
    unit: Unit
    windowed: bool
    now: Side
    of: Mapping[str, str] = field(default_factory=dict)
    others: int = 0
    change: Change | None = None
    absent: str = ""
    split: Split | None = None
    baselines: tuple[Compared, ...] = ()
    target: float | None = None
    reached: bool | None = None  # the target; None: not certain
    limits: Mapping[str, float] = field(default_factory=dict)
    guards: tuple[str, ...] = ()
    upper: str | None = None

    @property
    def moved(self) -> bool:
        """Whether it, or a segment of it, changed beyond chance."""
        return bool((self.change and self.change.verdict in ("rose", "fell")) or (self.split and self.split.changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What is beyond a threshold, and what the runbook says to do about it. `look`: the command that explains it."""

    what: str
    severity: str
    do: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A review after a go-live: its heading, how it ended, and what it found, the worst first."""

    heading: str
    lead: str
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What went live, and its reviews of days 30, 60 and 90."""

    title: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """Days of a KPI and team that were unlike their weekday, on the same side of usual. `worst`: the furthest from it.

    `text`: what there is to say; `days`: all of them.
    """

    worst: Anomaly
    days: tuple[date, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The names of KPIs that changed, the most important first: those told in full, and those named only."""

    full: tuple[str, ...] = ()
    short: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.full or self.short)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report. `lines`: every KPI that was looked at, by name. `changes`: those that moved, the most important first.

    `missing`: (reason, titles) of what has no value. `stale`, `assumptions`: sentences. `notes`: what a reader must
    know first. `interventions`, `associations`: what was changed on purpose, and how usage goes with outcomes.
    `unusual`: days that were, of the `compared_days` values that could be compared with their weekday.
    `earlier`: what values are compared with, in a sentence. `reviews`: of go-lives, where they are asked for.
    """

    span: Span
    zone: str
    reader: Reader
    at: datetime
    lines: Mapping[str, Line]
    headline: str | None
    drivers: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    better: Told = Told()
    worse: Told = Told()
    neither: Told = Told()
    actions: tuple[Action, ...] = ()
    more_actions: int = 0
    interventions: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    reviews: tuple[Reviewed, ...] = ()
    unusual: tuple[Unusual, ...] = ()
    compared_days: int = 0
    missing: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sources: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tests: int = 0
    earlier: str = ""

    @property
    def shown(self) -> tuple[Line, ...]:
        """The headline, the drivers and the controls."""
        names = (*([self.headline] if self.headline else []), *self.drivers, *self.controls)
        return tuple(self.lines[name] for name in names)
