"""As much of JQL as is asked: what finds an issue, in which order, and what Jira says of a query it does not take."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|cf\[\d+\]|>=|<=|!=|[=<>(),]|-?\w+)')
FIELDS = {"project", "statusCategory", "updated", "created", "id"}
CATEGORIES = {"new": "to do", "indeterminate": "in progress", "done": "done", "undefined": "no category"}

Holds = Callable[[Any], bool]


class BadJqlError(Exception):
    """A query that is refused, in Jira's words."""


class Query:
    """A parsed query. `projects`: keys of those that are seen; `ids`: issues that are, where one must be there."""

    def __init__(self, text: str, now: datetime, projects: set[str], fields: set[str], ids: set[str] | None) -> None:
        self.now, self.projects, self.fields, self.ids = now, projects, FIELDS | fields, ids
        where, _, order = text.partition(" ORDER BY ")
        self.order = order.removesuffix(" ASC")
        if order and self.order not in ("updated", "created"):
            raise BadJqlError(f"Field '{self.order}' does not exist or you do not have permission to view it.")
        self.tokens = list(tokens(where))
        if not self.tokens:
            raise BadJqlError(
                "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
            )
        self.place = 0
        self.holds = self._either()
        if self.place < len(self.tokens):
            raise BadJqlError(
                f"Error in the JQL Query: Expecting either 'OR' or 'AND' but got '{self.tokens[self.place]}'."
            )

    def _next(self, *expected: str) -> str:
        if self.place >= len(self.tokens) or (expected and self.tokens[self.place] not in expected):
            raise BadJqlError("Error in the JQL Query.")
        self.place += 1
        return self.tokens[self.place - 1]

    def _at(self, token: str) -> bool:
        found = self.place < len(self.tokens) and self.tokens[self.place] == token
        self.place += found
        return found

    def _either(self) -> Holds:
        parts = [self._all()]
        while self._at("OR"):
            parts.append(self._all())
        return lambda row: any(part(row) for part in parts)

    def _all(self) -> Holds:
        parts = [self._one()]
        while self._at("AND"):
            parts.append(self._one())
        return lambda row: all(part(row) for part in parts)

    def _one(self) -> Holds:
        if self._at("("):
            inner = self._either()
            self._next(")")
            return inner
        field = self._next()
        if field not in self.fields:
            raise BadJqlError(f"Field '{field}' does not exist or you do not have permission to view it.")
        operator = self._next("in", "=", "!=", ">=", "<=", "<", ">")
        return self._among(field) if operator == "in" else self._compared(field, operator, self._next())

    def _among(self, field: str) -> Holds:
        self._next("(")
        values = [text(self._next())]
        while self._next(",", ")") == ",":
            values.append(text(self._next()))
        known = {"project": self.projects, "id": self.ids}[field]
        for each in values:
            if known is not None and each not in known:
                said = {"project": f"The value '{each}' does not exist for the field 'project'."}
                raise BadJqlError(said.get(field, f"An issue with key '{each}' does not exist for field 'id'."))
        return lambda row: row[field] in values

    def _compared(self, field: str, operator: str, given: str) -> Holds:
        if field == "statusCategory":
            wanted = text(given).lower()
            return lambda row: (wanted in (row[field], CATEGORIES.get(row[field]))) == (operator == "=")
        if operator != ">=":
            raise BadJqlError(f"The operator '{operator}' is not supported here.")
        if relative := re.fullmatch(r"-(\d+)([mhdw])", given):
            unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[relative[2]]
            begin = self.now - timedelta(**{unit: int(relative[1])})
        elif re.fullmatch(r"-?\d+", given):
            begin = datetime.fromtimestamp(int(given) / 1000, UTC)
        else:
            raise BadJqlError(f"Date value {given} for field '{field}' is invalid.")
        return lambda row: row[field] is not None and row[field] >= begin


def tokens(where: str) -> Iterator[str]:
    place = 0
    while where[place:].strip():
        found = TOKEN.match(where, place)
        if not found:
            raise BadJqlError(
                f"Error in the JQL Query: The character '{where[place:].strip()[0]}' is a reserved JQL character."
            )
        place = found.end()
        yield found[1]


def text(token: str) -> str:
    return str(json.loads(token)) if token.startswith('"') else token
