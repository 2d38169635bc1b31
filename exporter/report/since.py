"""Since when a value is another one: the day at which two levels explain all days best, if no other day does nearly so.

Each day is what it is divided by, times its weekday, times the level of its side: a model of counts (quasi-Poisson),
fitted by iterative proportional fitting. How much days vary beyond that is read from the days themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp, inf, log, sqrt

from exporter.insight.difference import WEEK, Day
from exporter.report.change import LEVEL, student

FEWEST = 2
"""Days on each side: of a single one it is said that it was unusual."""
NEAR = 1
"""By how many days another date may be as likely; then it is `about` that day."""
WITH_WEEKDAYS = 4 * WEEK
"""Days from which on weekdays are told apart. Of fewer an amount has no date, for its weekends are less."""
ROUNDS = 6
Table = list[list[float]]
"""Sums of days: of each side, by weekday."""


@dataclass(frozen=True, slots=True)
class Step:
    """The first day of the new level, counted from 0. `about`: the day beside it may be it, too."""

    first: int
    about: bool


def step(days: Sequence[Day], *, share: bool = False) -> Step | None:
    """The day since which a value is another one; None where days do not tell it, or do not show two steady levels.

    `share`: of values from 0 to 1. The bound is that of a likelihood ratio: a wrong day exceeds it in at most 5 % of
    cases on both sides together (Ville), widened for a scatter that is read from few days.
    """
    fits = _splits(tuple(days), share)
    if not fits:
        return None
    best = _best(fits)
    scatter, freedom = fits[best].scatter()
    if scatter is None or _another(days, best, fits[best], scatter, freedom):
        return None
    bound = _bound(log(2 / LEVEL), freedom)
    likely = [k for k in fits if fits[best].likelihood - fits[k].likelihood <= scatter * bound]
    if min(likely) < best - NEAR or max(likely) > best + NEAR:
        return None
    return Step(best, about=len(likely) > 1)


def p_value(days: Sequence[Day], *, share: bool = False, rise: bool) -> float:
    """The p value of days having one level and not two, the second one higher (`rise`) or lower, from whatever day on.

    1 where days do not tell. The likelihood ratio of the best day, times the number of days that it was chosen from.
    """
    fits = _splits(tuple(days), share)
    if not fits:
        return 1.0
    best = fits[_best(fits)]
    scatter, freedom = best.scatter()
    if not scatter or best.rises != rise:
        return 1.0
    gain = best.likelihood - _Fits(days, (0, len(days)), share=share).likelihood
    return min(1.0, len(fits) * student(sqrt(max(0.0, 2 * gain / scatter)), freedom))


@lru_cache(maxsize=512)
def _splits(days: tuple[Day, ...], share: bool) -> "Mapping[int, _Fits]":
    """The fit of two levels for each day that the second may begin on; none where days cannot tell."""
    amounts = any(day.denominator is None for day in days)
    if (amounts and len(days) < WITH_WEEKDAYS) or any(day.numerator < 0 for day in days):
        return {}
    return {k: _Fits(days, (0, k, len(days)), share=share) for k in range(FEWEST, len(days) - FEWEST + 1)}


def _best(fits: "Mapping[int, _Fits]") -> int:
    return max(fits, key=lambda k: fits[k].likelihood)


def _another(days: Sequence[Day], best: int, fits: "_Fits", scatter: float, freedom: float) -> bool:
    """Whether one side has a step of its own: then there is more to it than one change."""
    bound = log(2 * len(days) / LEVEL)
    cuts = [k for begin, end in pairwise((0, best, len(days))) for k in range(begin + FEWEST, end - FEWEST + 1)]
    more = (_Fits(days, sorted((0, best, k, len(days))), share=fits.share).likelihood for k in cuts)
    return max(more, default=-inf) - fits.likelihood > scatter * _bound(bound, freedom)


def _bound(normal: float, freedom: float) -> float:
    """The bound of a likelihood ratio whose scale is estimated with so many degrees of freedom."""
    return freedom / 2 * (exp(2 * normal / freedom) - 1)


class _Fits:
    """The fit of numerators; of a share also that of the rest, and both together are its binomial likelihood."""

    def __init__(self, days: Sequence[Day], ends: Sequence[int], *, share: bool) -> None:
        self.days, self.share = days, share
        rest = [Day(max(0.0, (day.denominator or 0.0) - day.numerator), day.denominator) for day in days]
        self.fits = [_Fit(days, ends), *([_Fit(rest, ends)] if share else [])]
        self.likelihood = sum(fit.likelihood for fit in self.fits)

    @property
    def rises(self) -> bool:
        """Whether the last level is higher than the first."""
        levels = self.fits[0].levels
        return levels[-1] > levels[0]

    def scatter(self) -> tuple[float | None, float]:
        """(how many times more days vary than their records do, degrees of freedom); None where too few say so."""
        first = self.fits[0]
        known = [day for day in self.days if day.denominator != 0]
        freedom = len(known) - first.weekdays - len(first.levels) + 1
        if freedom < FEWEST:
            return None, 1.0
        least = 1.0 if self.share or known[0].denominator is None else 0.0
        return max(least, sum(fit.squares() for fit in self.fits) / freedom), freedom


class _Fit:
    """Levels of some sides and factors of weekdays that explain days best. `ends`: where sides begin, and the end."""

    def __init__(self, days: Sequence[Day], ends: Sequence[int]) -> None:
        self.days, self.ends = days, ends
        self.weekdays = WEEK if len(days) >= WITH_WEEKDAYS else 1
        above, below = self._tables()
        self.levels = [1.0] * len(above)
        self.factors = [1.0] * self.weekdays
        for _ in range(ROUNDS):
            self.levels = [
                _quotient(sum(n), sum(d * f for d, f in zip(row, self.factors, strict=True)))
                for n, row in zip(above, below, strict=True)
            ]
            self.factors = [
                _quotient(sum(n[w] for n in above), sum(d[w] * of for d, of in zip(below, self.levels, strict=True)))
                for w in range(self.weekdays)
            ]
            if self.weekdays == 1:
                break
        self.likelihood = sum(
            n * log(of * factor)
            for row, of in zip(above, self.levels, strict=True)
            for n, factor in zip(row, self.factors, strict=True)
            if n
        )

    def _tables(self) -> tuple[Table, Table]:
        above: Table = []
        below: Table = []
        for begin, end in pairwise(self.ends):
            n, d = [0.0] * self.weekdays, [0.0] * self.weekdays
            for i in range(begin, end):
                day = self.days[i]
                n[i % self.weekdays] += day.numerator
                d[i % self.weekdays] += 1.0 if day.denominator is None else day.denominator
            above.append(n)
            below.append(d)
        return above, below

    def squares(self) -> float:
        """By how much days depart from what is expected of them, in variances of counts (Pearson)."""
        found = 0.0
        for side, (begin, end) in enumerate(pairwise(self.ends)):
            for i in range(begin, end):
                day = self.days[i]
                expected = self.levels[side] * self.factors[i % self.weekdays]
                expected *= 1.0 if day.denominator is None else day.denominator
                found += (day.numerator - expected) ** 2 / expected if expected else 0.0
        return found


def _quotient(above: float, below: float) -> float:
    return above / below if below else 0.0
