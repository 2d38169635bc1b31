"""Pure statistics, and the types of published samples."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from math import sqrt
from typing import Literal

Z95 = 1.959963984540054


def wilson(successes: float, total: float, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, (lower, upper), both within 0..1. `total` > 0, at least `successes`.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    p = successes / total
    squared = z * z / total
    centre = p + squared / 2
    margin = z * sqrt(p * (1 - p) / total + squared / (4 * total))
    # Rounding may leave a bound a hair on the wrong side of p at 0 and 1.
    return max(0.0, min(p, (centre - margin) / (1 + squared))), min(1.0, max(p, (centre + margin) / (1 + squared)))


def middle(values: Iterable[float]) -> float:
    """The median of a few values. There must be one. The module `statistics` takes long to load, for decimals."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


Runs = tuple["array[float]", ...]
"""Values in several pieces, each of them sorted; they are put together only when their median is asked for."""
FEW = 8
"""So few pieces are searched; more are merged."""


def median(runs: Runs) -> float:
    """The middle value, or the mean of the two in the middle. There must be one."""
    count = sum(map(len, runs))
    lower, upper = (count - 1) // 2, count // 2
    if len(runs) > FEW:
        values = sorted(chain.from_iterable(runs))  # as they are sorted, they are merged
        low, high = values[lower], values[upper]
    else:
        low, high = at_rank(runs, lower), at_rank(runs, upper)
    return high if lower == upper else low + (high - low) / 2


def at_rank(runs: Runs, rank: int) -> float:
    """The value that so many others come before, of all pieces together. No object is made for the others."""
    begins, ends = [0] * len(runs), [*map(len, runs)]
    while True:
        _, widest = max((end - begin, i) for i, (begin, end) in enumerate(zip(begins, ends, strict=True)))
        value = runs[widest][(begins[widest] + ends[widest]) // 2]
        places = [*zip(runs, begins, ends, strict=True)]
        below = [bisect_left(run, value, begin, end) for run, begin, end in places]
        up_to = [bisect_right(run, value, begin, end) for run, begin, end in places]
        if rank < sum(below):
            ends = below
        elif rank >= sum(up_to):
            begins = up_to
        else:
            return value


@dataclass(frozen=True, slots=True)
class Distribution:
    """How values spread: `buckets` are (upper bound, records at or below it), cumulative, the last bound infinite."""

    buckets: tuple[tuple[float, int], ...]
    count: int
    sum: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its samples share name, help and label names. A sample is (label values, value)."""

    name: str
    help: str
    kind: Literal["gauge", "gaugehistogram"]
    labels: tuple[str, ...]
    samples: tuple[tuple[tuple[str, ...], float | Distribution], ...]

    @property
    def size(self) -> int:
        """The number of series that it is in Prometheus."""
        if self.kind == "gauge":
            return len(self.samples)
        return sum(len(value.buckets) for _, value in self.samples if isinstance(value, Distribution))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every figure as it stood at one instant; never changed once made."""

    at: datetime
    families: tuple[Family, ...]
