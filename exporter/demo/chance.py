"""How the demo draws lots: pure functions of a seeded random generator."""

import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

WEEK = (1.0, 1.08, 1.02, 0.97, 0.86, 0.12, 0.08)  # how busy the days are, Monday first


def identifier(rng: random.Random, prefix: str) -> str:
    return f"{prefix}-{rng.getrandbits(40):010x}"


def pick(rng: random.Random, choices: Sequence[T], weights: Sequence[float]) -> T:
    return rng.choices(choices, weights)[0]


def around(rng: random.Random, usual: float, spread: float) -> float:
    """A length or an amount: half of them are below the usual one, and a few are much larger."""
    return rng.lognormvariate(math.log(usual), spread)


def about(rng: random.Random, mean: float) -> int:
    """How often something happens on a day on which it is expected `mean` times."""
    return max(0, round(rng.gauss(mean, math.sqrt(mean))))


def share(rng: random.Random, usual: float, spread: float = 0.18, low: float = 0.0) -> float:
    """A share (or a score that begins below 0) around the usual one."""
    return round(min(1.0, max(low, rng.gauss(usual, spread))), 2)


def working_hours(rng: random.Random, day: datetime, mean: float, utc_offset: int = 1) -> list[datetime]:
    """Instants on a day, about `mean` on a Monday, most of them before noon."""
    count = about(rng, mean * WEEK[day.weekday()])
    return [day + timedelta(hours=rng.triangular(7, 19, 11) - utc_offset) for _ in range(count)]
