"""A figure: one KPI in one window and segment, as its parts."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exporter.evaluation.stats import Distribution, Runs, median

Key = tuple[tuple[str, str], ...]
"""A segment: (label, value) pairs, in the order of the labels."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One KPI in one window and segment. A count, sum or state has no denominator; only a duration has a distribution.

    `whole`: beside figures that cannot be added up over a label, the same without that label, each record counted once.
    `values`: those of a duration, where medians are asked for: the median of several segments is that of all values,
    not of medians. `by`: the numerator by further labels, where the KPI splits it. `partial`: of a quotient
    or a difference, nothing is known above. `deducted`: of a difference, what is subtracted in its numerator.
    """

    kpi: str
    window: str | None
    segment: Key
    numerator: float
    denominator: float | None = None
    distribution: Distribution | None = None
    by: tuple[tuple[Key, float], ...] = ()
    partial: bool = False
    values: Runs = field(default=(), compare=False, repr=False)
    whole: bool = False
    deducted: float | None = None

    @property
    def median(self) -> float | None:
        """The median of its values; None where it has none."""
        return median(self.values) if self.values else None


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution that has fewer labels than the figures it belongs to."""

    kpi: str
    window: str | None
    segment: Key
    distribution: Distribution
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Where too many records could not be read: in which windows of all, and of which teams (None: of no team).

    `of_every`: windows in which that is so by what has no team that is known, so that it may be any team's.
    """

    of_all: frozenset[str] = frozenset()
    of_every: frozenset[str] = frozenset()
    of_teams: frozenset[tuple[str | None, str]] = frozenset()
    """(team, window)"""


@dataclass(frozen=True, slots=True)
class Past:
    """What figures are compared with.

    `days`: baseline -> the figures of each of its days: eight for the median of a weekday, one for the others.
    `absent`: (kpi, baseline) -> why there is none, or none in one of the windows.
    """

    days: Mapping[str, tuple[tuple[Figure, ...], ...]] = field(default_factory=dict)
    absent: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """A whole day (UTC) beside the same weekday of the weeks before it, of each team as a whole.

    `last`: its figures; `earlier`: those of a week before it, of two weeks, and so on. `known`: the KPIs of which a
    count without a figure on that day is 0, and not unknown.
    """

    ends_at: datetime
    last: tuple[Figure, ...]
    earlier: tuple[tuple[Figure, ...], ...]
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures at one instant, and for each KPI without any the reason why, and what they are compared with.

    `coverage`, `unattributed`: how far figures can be believed, by the labels of those series. `lost`: of each KPI that
    has lost any, the figures that are withdrawn because too many records could not be read; `sources`: the same of each
    source. `waiting`: of the others the windows that the first sync of a source has not brought yet. `feeds`: the
    sources of each KPI.
    """

    at: datetime
    figures: tuple[Figure, ...]
    absent: Mapping[str, str]
    baselines: Past = Past()
    weekdays: Weekdays | None = None
    coverage: tuple[Figure, ...] = ()
    unattributed: tuple[Figure, ...] = ()
    lost: Mapping[str, Lost] = field(default_factory=dict)
    sources: Mapping[str, Lost] = field(default_factory=dict)
    waiting: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    feeds: Mapping[str, frozenset[str]] = field(default_factory=dict)


def summable(figures: Iterable[Figure]) -> list[Figure]:
    """Figures that can be added up over all their labels: if a KPI has wholes, those alone."""
    every = list(figures)
    wholes = {f.kpi for f in every if f.whole}
    return [f for f in every if f.whole or f.kpi not in wholes]


def additive_within(figures: Iterable[Figure], labels: Collection[str]) -> list[Figure]:
    """Figures of one KPI that can be added up where these labels are told apart."""
    mine = [*figures]
    known = {label for f in mine for label, _ in f.segment}
    lacking = {label for f in mine if f.whole for label in known - {label for label, _ in f.segment}}
    # Of one service, what counts under it; of all, every record once.
    return [f for f in mine if not f.whole] if lacking & {*labels} else summable(mine)
