"""As much of OData as Orchestrator takes: what a filter finds, and what it says of one that it does not take."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

WORD = r"'(?:[^']|'')*'|\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-f]{8}-[0-9a-f-]{27}|-?\d+|[A-Za-z]\w*"
TOKEN = re.compile(rf"\s*(\(|\)|(?:{WORD})(?=[\s()]|$))")
MOST_EXPRESSIONS = 100
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda had, given: bool(had == given),
    "ne": lambda had, given: bool(had != given),
    "ge": lambda had, given: had is not None and bool(had >= given),
    "gt": lambda had, given: had is not None and bool(had > given),
    "le": lambda had, given: had is not None and bool(had <= given),
    "lt": lambda had, given: had is not None and bool(had < given),
}
Holds = Callable[[Mapping[str, Any]], bool]


class BadQueryError(Exception):
    """A query that is refused."""


class Filter:
    """A parsed filter over rows with these columns; of some columns only certain words may be asked for."""

    def __init__(self, text: str, kind: str, columns: Collection[str], words: Mapping[str, Collection[str]]) -> None:
        self.kind, self.columns, self.words = kind, columns, words
        self.tokens, self.place, self.expressions = list[str](), 0, 0
        at = 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            if not found:
                raise BadQueryError(f"Syntax error at position {at} in '{text}'.")
            self.tokens.append(found[1])
            at = found.end()
        self.holds = self._either()
        if self.place < len(self.tokens):
            raise BadQueryError(f"Syntax error at position {self.place} in '{text}'.")
        if self.expressions > MOST_EXPRESSIONS:
            raise BadQueryError("The node count limit of '100' has been exceeded.")

    def _next(self) -> str:
        if self.place >= len(self.tokens):
            raise BadQueryError("Expression expected.")
        self.place += 1
        return self.tokens[self.place - 1]

    def _at(self, token: str) -> bool:
        found = self.place < len(self.tokens) and self.tokens[self.place] == token
        self.place += found
        return found

    def _either(self) -> Holds:
        parts = [self._all()]
        while self._at("or"):
            parts.append(self._all())
        return lambda row: any(part(row) for part in parts)

    def _all(self) -> Holds:
        parts = [self._one()]
        while self._at("and"):
            parts.append(self._one())
        return lambda row: all(part(row) for part in parts)

    def _one(self) -> Holds:
        if self._at("("):
            inner = self._either()
            if not self._at(")"):
                raise BadQueryError("')' expected.")
            return inner
        column, operator, given = self._next(), self._next(), self._next()
        self.expressions += 1
        if column not in self.columns:
            raise BadQueryError(f"Could not find a property named '{column}' on type 'UiPath.{self.kind}'.")
        if operator not in COMPARED:
            raise BadQueryError(f"Syntax error: '{operator}' is not an operator.")
        if column in self.words and (given[0] != "'" or given.strip("'") not in self.words[column]):
            raise BadQueryError(f"The string {given} is not a valid enumeration type constant.")
        value, compare = literal(given), COMPARED[operator]
        return lambda row: compare(written(row.get(column)), value)


def literal(text: str) -> Any:
    """A value of a filter."""
    if text == "null":
        return None
    if text[0] == "'":
        return text[1:-1]
    return written(text) if "-" in text[1:] else int(text)


def written(value: Any) -> Any:
    """A value of a row as it is compared: a text that is a time is one."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return datetime.fromisoformat(value).astimezone(UTC)
    return value
