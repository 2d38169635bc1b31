"""What an expression of a user is once it is read, and what is said of one that is refused."""

from dataclasses import dataclass
from typing import Literal

ColumnKind = Literal["boolean", "number", "text", "time"]
KIND_NAMES = {"boolean": "yes or no", "number": "a number", "text": "a text", "time": "a time", "null": "null"}
LONGEST = 2000
EXAMPLE = "write one condition over columns, such as category in ('password', 'access')"


class ExpressionError(ValueError):
    """An expression that is refused; the text says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that is safe to put into a query."""

    sql: str
    columns: frozenset[str]
    words: frozenset[tuple[str, str]] = frozenset()
    """(column, text that it is compared with)."""
