"""Guesses how a file writes numbers, lengths of time and ratings."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from exporter.records.notation import ADVISED, Notation
from exporter.records.unreadable import Unreadable

LENGTH = re.compile(r"-?\d+:[0-5]\d(:[0-5]\d)?")
SCALES = ((0.0, 1.0), (1.0, 5.0), (0.0, 10.0), (0.0, 100.0))
"""Ratings, from the worst to the best, the narrowest first."""


class Signs(NamedTuple):
    """The sign before decimals, and the one between thousands."""

    decimal: str = "."
    thousands: str = ""


NOTATIONS = [Signs(), *(Signs(*each) for each in ADVISED)]


def number(value: Any, signs: Signs) -> float | None:
    try:
        return Notation(decimal=signs.decimal, thousands=signs.thousands).number(value)
    except Unreadable:
        return None


def is_number(value: Any) -> bool:
    """Whether a value is a number in any notation."""
    return not isinstance(value, bool) and any(number(value, signs) is not None for signs in NOTATIONS)


def is_length(value: Any) -> bool:
    """Whether a value is a length of time, as in 26:30 or 26:30:00."""
    return isinstance(value, str) and LENGTH.fullmatch(value.strip()) is not None


def signs_of(values: Iterable[Any], local: bool) -> tuple[Signs, bool]:
    """The notation of numbers, and whether it is sure. `local`: where a file has semicolons between columns, its comma
    is mostly the sign before decimals."""
    texts = [
        value for value in values if isinstance(value, str) and re.search(r"\d[.,'\s]\d", value) and is_number(value)
    ]
    fitting = Counter({signs: sum(number(text, signs) is not None for text in texts) for signs in NOTATIONS})
    if not texts:
        return Signs(), True
    most = max(fitting.values())
    best = [signs for signs in NOTATIONS if fitting[signs] == most]
    meanings = {tuple(number(text, signs) for text in texts) for signs in best}
    if len(meanings) == 1:
        return best[0], True
    comma = [signs for signs in best if signs.decimal == ("," if local else ".")]
    return (comma or best)[0], False


def scale_of(numbers: Sequence[float]) -> tuple[float, float] | None:
    """The narrowest usual scale of ratings that holds them all; None where none does."""
    return next((each for each in SCALES if all(each[0] <= number <= each[1] for number in numbers)), None)
