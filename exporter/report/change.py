"""Whether two values differ by more than chance: one test for each kind of KPI, and a correction for how many are made.

All tests are two-sided. They take records to be independent of each other; what days they
came on is looked at in `days`. Where none fits, nothing is said to have
risen or fallen.
"""

from collections.abc import Hashable, Mapping, Sequence
from math import atan, cos, erfc, exp, lgamma, log, pi, sin, sqrt
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
LEVEL = 0.05
"""Of so many reports without any change at most one says that something has changed."""
MANY = 1000.0
"""Degrees of freedom from which on Student's t is a normal one."""
FEW = 10.0
"""Where fewer than this are expected in a part of the table, it is counted out exactly."""


def proportions(hits: tuple[float, float], of: tuple[float, float]) -> float:
    """The p value of two proportions being the same. Both denominators above 0.

    A mean of values from 0 to 1 may be given as a proportion: it scatters no more than one.
    """
    total, both = sum(of), sum(hits)
    share = both / total
    if share in (0.0, 1.0):
        return 1.0
    if min(of) * min(share, 1 - share) < FEW:
        return fisher((round(hits[0]), round(hits[1])), (round(of[0]), round(of[1])))
    # The correction for continuity keeps the error of the approximation on the cautious side.
    gap = abs(hits[0] / of[0] - hits[1] / of[1]) - (1 / of[0] + 1 / of[1]) / 2
    return _two_sided(max(0.0, gap) / sqrt(share * (1 - share) * (1 / of[0] + 1 / of[1])))


def fisher(hits: tuple[int, int], of: tuple[int, int]) -> float:
    """Fisher's exact test of a table of two rows."""
    both, total = sum(hits), sum(of)
    lowest, highest = max(0, both - of[1]), min(both, of[0])
    logs = [_choose(of[0], k) + _choose(of[1], both - k) - _choose(total, both) for k in range(lowest, highest + 1)]
    mine = logs[min(max(hits[0], lowest), highest) - lowest]
    return min(1.0, sum(exp(each) for each in logs if each <= mine + 1e-7))


def counts(numbers: tuple[float, float], seconds: tuple[float, float]) -> float:
    """The p value of two numbers of events having come at the same pace."""
    total, share = round(sum(numbers)), seconds[0] / sum(seconds)
    if total == 0:
        return 1.0
    first = round(numbers[0])
    deviation = sqrt(total * share * (1 - share))
    if min(total * share, total * (1 - share)) >= FEW:
        return _two_sided(max(0.0, abs(first - total * share) - 0.5) / deviation)
    logs = [_choose(total, k) + k * log(share) + (total - k) * log(1 - share) for k in range(total + 1)]
    return min(1.0, sum(exp(each) for each in logs if each <= logs[first] + 1e-7))


def ranks(cumulative: tuple[Sequence[int], Sequence[int]]) -> tuple[float, int]:
    """(p value, direction) of two lots of lengths of time: whether one tends to be longer (Mann-Whitney).

    Given as numbers at or below each bound of the same buckets. Direction: 1 if the second is longer, -1 if shorter.
    """
    first, second = (_steps(each) for each in cumulative)
    n, m = sum(first), sum(second)
    if not n or not m:
        return 1.0, 0
    total = n + m
    below, more, ties = 0, 0.0, 0.0
    for a, b in zip(first, second, strict=True):
        more += b * (below + a / 2)
        below += a
        ties += (a + b) ** 3 - (a + b)
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    gap = more - n * m / 2
    if variance <= 0 or min(n, m) < FEW:
        return 1.0, 0
    return _two_sided(max(0.0, abs(gap) - 0.5) / sqrt(variance)), (gap > 0) - (gap < 0)


def certain(p_values: Mapping[T, float], level: float) -> frozenset[T]:
    """Those that hold together (Holm): the chance that any of them is none is at most `level`."""
    found: set[T] = set()
    for i, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p > level / (len(p_values) - i):
            break
        found.add(key)
    return frozenset(found)


def _steps(cumulative: Sequence[int]) -> list[int]:
    return [now - earlier for now, earlier in zip(cumulative, [0, *cumulative[:-1]], strict=True)]


def _choose(n: int, k: int) -> float:
    """The logarithm of the binomial coefficient."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def student(t: float, freedom: float) -> float:
    """The two-sided p value of Student's t; of a fraction of a degree of freedom the whole below it counts.

    Source: M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    if freedom > MANY:
        return _two_sided(abs(t))
    whole = max(1, int(freedom))
    angle = atan(abs(t) / sqrt(whole))
    odd = whole % 2
    term = cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, whole + 1, 2):
        total += term
        term *= cos(angle) ** 2 * (k - 1) / k
    inside = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return max(0.0, 1 - inside)


def _two_sided(z: float) -> float:
    return erfc(z / sqrt(2))
