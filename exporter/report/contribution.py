"""How much each segment has moved a value: by its own change, and by the change of its share of all records.

The parts add up to the change exactly. Of a quotient N / D with shares w = D_i / D and values r = N_i / D_i
    change = sum of (w + w') / 2 * (r' - r)     its own change, at the mean of its shares
           + sum of (r + r' - R - R') / 2 * (w' - w)     the mix: growing where it is higher than the whole
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
Parts = tuple[float, float]
"""Numerator and denominator."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a segment adds to a change, in the unit of the value."""

    own: float
    mix: float

    @property
    def whole(self) -> float:
        """Both together."""
        return self.own + self.mix


def of_quotient(before: Mapping[T, Parts], now: Mapping[T, Parts]) -> dict[T, Contribution]:
    """The contributions to the change of a ratio or mean. Both sides must have records.

    A segment that is only on one side has no change of its own: it has come, or gone.
    """
    all_before, all_now = (sum(d for _, d in side.values()) for side in (before, now))
    middle = (sum(n for n, _ in before.values()) / all_before + sum(n for n, _ in now.values()) / all_now) / 2
    found = {}
    for key in dict.fromkeys((*before, *now)):
        (n0, d0), (n1, d1) = before.get(key, (0.0, 0.0)), now.get(key, (0.0, 0.0))
        if d0 or d1:
            r0, r1 = n0 / d0 if d0 else n1 / d1, n1 / d1 if d1 else n0 / d0
            w0, w1 = d0 / all_before, d1 / all_now
            found[key] = Contribution((w0 + w1) / 2 * (r1 - r0), ((r0 + r1) / 2 - middle) * (w1 - w0))
    return found


def of_sum(before: Mapping[T, float], now: Mapping[T, float]) -> dict[T, Contribution]:
    """The contributions to the change of a count or sum."""
    return {key: Contribution(now.get(key, 0.0) - before.get(key, 0.0), 0.0) for key in dict.fromkeys((*before, *now))}
