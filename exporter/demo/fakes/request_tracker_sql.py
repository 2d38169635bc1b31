"""The part of Request Tracker's search language that a fake needs: a text becomes a condition on rows."""

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

Condition = Callable[[Any], bool]
ColumnType = type[int] | type[str] | type[datetime]

TOKEN = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|<=|>=|!=|[=<>()]|[^\s()'"<>=!]+)""")
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Column(NamedTuple):
    """What can be asked about a row."""

    kind: ColumnType
    value: Callable[[Any], Any]


class BadQueryError(ValueError):
    """The text is the server's answer."""


class Term(NamedTuple):
    """One comparison, so that a long `id = 1 OR id = 2 OR ...` can become a look-up."""

    column: str
    sign: str
    wanted: Any
    holds: Condition


def condition(
    text: str, columns: Mapping[str, Column], words: Mapping[str, tuple[str, ...]], zone: tzinfo
) -> Condition:
    """What the text asks. `words` stand for several values, such as `__Active__`; dates are local to the zone."""
    return Parser(text, {name.lower(): column for name, column in columns.items()}, words, zone).whole()


class Parser:
    """Reads a query from left to right."""

    def __init__(
        self, text: str, columns: Mapping[str, Column], words: Mapping[str, tuple[str, ...]], zone: tzinfo
    ) -> None:
        self.tokens = TOKEN.findall(text)
        self.columns, self.words, self.zone = columns, words, zone

    def whole(self) -> Condition:
        found = self.either()
        if self.tokens:
            raise BadQueryError(f"Wrong query, expecting an AND or OR in '>{self.tokens[0]}<--here'")
        return holding(found)

    def either(self) -> Condition | Term:
        parts = [self.both()]
        while self.follows("OR"):
            parts.append(self.both())
        if len(parts) == 1:
            return parts[0]
        terms = [part for part in parts if isinstance(part, Term) and part.sign == "="]
        if len(terms) == len(parts) and len({term.column for term in terms}) == 1:
            value, wanted = self.columns[terms[0].column].value, {term.wanted for term in terms}
            return lambda row: lowered(value(row)) in wanted
        conditions = [holding(part) for part in parts]
        return lambda row: any(holds(row) for holds in conditions)

    def both(self) -> Condition | Term:
        parts = [self.one()]
        while self.follows("AND"):
            parts.append(self.one())
        if len(parts) == 1:
            return parts[0]
        conditions = [holding(part) for part in parts]
        return lambda row: all(holds(row) for holds in conditions)

    def one(self) -> Condition | Term:
        if self.follows("("):
            found = self.either()
            if not self.follows(")"):
                raise BadQueryError("Incomplete query, missing closing paren")
            return found
        name = self.taken().lower()
        if name not in self.columns:
            raise BadQueryError(f"Unknown field: {name}")
        sign = self.taken().upper()
        if sign == "IS":
            wanted = not self.follows("NOT")
            self.taken()
            value = self.columns[name].value
            return lambda row: (value(row) is None) == wanted
        return self.term(name, sign, self.taken())

    def term(self, name: str, sign: str, text: str) -> Term:
        column = self.columns[name]
        if sign not in COMPARE:
            raise BadQueryError(f"Unknown operator: {sign}")
        compare, value = COMPARE[sign], column.value
        text = re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "'\"" else text
        if text in self.words:
            several = self.words[text]
            return Term(name, "in", text, lambda row: (value(row) in several) == (sign == "="))
        if column.kind is datetime:
            moment = datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(UTC)
            if sign == "=":  # that whole day
                return Term(name, "on", moment, lambda row: moment <= value(row) < moment + timedelta(days=1))
            return Term(name, sign + " ", moment, lambda row: value(row) is not None and compare(value(row), moment))
        wanted = int(text) if column.kind is int else text.lower()
        return Term(name, sign, wanted, lambda row: compare(lowered(value(row)), wanted))

    def follows(self, word: str) -> bool:
        if self.tokens and self.tokens[0].upper() == word:
            self.tokens.pop(0)
            return True
        return False

    def taken(self) -> str:
        if not self.tokens:
            raise BadQueryError("Incomplete Query")
        token: str = self.tokens.pop(0)
        return token


def holding(part: Condition | Term) -> Condition:
    return part.holds if isinstance(part, Term) else part


def lowered(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
