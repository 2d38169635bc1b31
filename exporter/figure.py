"""A figure: one KPI in one window and segment, as its parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exporter.stats import Distribution

Key = tuple[tuple[str, str], ...]
"""A segment: (label, value) pairs, in the order of the labels."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One KPI in one window and segment. A count, sum or state has no denominator; only a duration has a distribution.

    `by`: the numerator by further labels, where the KPI splits it.
    """

    kpi: str
    window: str | None
    segment: Key
    numerator: float
    denominator: float | None = None
    distribution: Distribution | None = None
    by: tuple[tuple[Key, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures at one instant, and for each KPI without any the reason why."""

    at: datetime
    figures: tuple[Figure, ...]
    absent: Mapping[str, str]
