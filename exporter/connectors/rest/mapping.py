"""The meaning of an item of an API that the config describes: each column of the record by its rule."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Protocol
from urllib.parse import quote

from exporter.base.strict_yaml import did_you_mean
from exporter.collect.mapping import Find, faults, finder
from exporter.records import RECORDS, Json, Record, record_name
from exporter.records.columns import COLUMNS, Column, Rule
from exporter.records.notation import Notation
from exporter.records.unreadable import Unreadable, value

BY_DEFAULT: Mapping[str, Rule] = {"id": Rule(field="id")}
CREATED = {
    "request": "opened_at",
    "incident": "opened_at",
    "change": "requested_at",
    "run": "queued_at",
    "workflow": "",
    "booking": "booked_at",
    "opportunity": "lead_at",
    "account": "granted_at",
    "activity": "day",
    "audit": "occurred_at",
    "cost": "period_start",
    "service_level": "measured_at",
}
"""The column of a record that never changes: it tells whether an id has been given anew."""
DEEPEST = 3  # levels in which lists are looked for, to name them
MOST_NAMED = 8
NAME = re.compile(r"[A-Za-z_@$][\w.@$-]{0,39}")  # of a field, as it may be shown


class Described(Protocol):
    """What the config says of items."""

    @property
    def record(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, Rule]: ...
    @property
    def notation(self) -> Notation: ...
    @property
    def web_url(self) -> str: ...


@dataclass(frozen=True)
class Reading:
    """How the items of one source become records."""

    record: type[Record]
    finds: Mapping[str, tuple[Find, str]]  # column -> what finds its value, and what the source calls it
    web_url: str

    def __call__(self, item: Json) -> Record:
        found: dict[str, Any] = {"id": self.id_of(item)}
        for name, (find, theirs) in self.finds.items():
            if name != "id" and (given := value(name, find, item, theirs)) is not None:
                found[name] = given
        if self.web_url:
            found.setdefault("url", self.web_url.replace("{id}", quote(found["id"], safe="")))
        return self.record(**found)

    def id_of(self, item: Json) -> str:
        """The id of an item's record."""
        find, theirs = self.finds["id"]
        try:
            found: str | None = find(item)
        except Unreadable as error:
            raise Unreadable(error.reason, str(error), "id") from None
        if found is None:
            raise Unreadable("missing", f"there is no id at {theirs}", "id")
        return found


def reading(described: Described) -> Reading:
    """The compiled rules of the columns of a record."""
    record = RECORDS[described.record]
    rules = {**BY_DEFAULT, **described.columns}
    finds = {
        name: (finder(rule, COLUMNS[record][name], described.notation), called(rule)) for name, rule in rules.items()
    }
    return Reading(record, finds, described.web_url)


def called(rule: Rule) -> str:
    """What the source calls what a rule is about."""
    return rule.field or rule.query or ""


def column_faults(columns: Mapping[str, Rule], record: type[Record]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Mistakes in the rules of columns: (keys that lead to it, message)."""
    known = {name: column for name, column in COLUMNS[record].items() if name != "source"}
    for name, rule in columns.items():
        if name not in known:
            yield (name,), f"{record_name(record)} has no column {name!r}; {did_you_mean(name, list(known))}"
            continue
        for keys, message in faults(rule, known[name]):
            yield (name, *keys), message


def times(record: type[Record]) -> Mapping[str, Column]:
    """The columns of a record that hold a time."""
    return {name: column for name, column in COLUMNS[record].items() if column.kind == "instant"}


def stamp(record: Record) -> str:
    """What never changes of a record, as a text; empty where it is not known."""
    moment = getattr(record, CREATED[record_name(type(record))], None)
    return moment.isoformat() if isinstance(moment, datetime) else ""


def lists(body: Json, before: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, int]]:
    """(path, length) of each list in an answer, the outermost first."""
    if not isinstance(body, dict) or not depth:
        return
    for name, each in body.items():
        if isinstance(each, list) and NAME.fullmatch(name):
            yield before + spelled(name), len(each)
    for name, each in body.items():
        if NAME.fullmatch(name):
            yield from lists(each, f"{before}{spelled(name)}.", depth - 1)


def spelled(name: str) -> str:
    """A name of a field as JMESPath wants it."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f'"{name}"'


def advice(body: Json, wanted: str) -> str:
    """Which list of an answer may be meant, where there is none at the path that the config names."""
    if isinstance(body, list):
        return "the answer is itself the list; leave items out"
    there = dict(lists(body))
    if there:
        near = get_close_matches(wanted, there, n=1, cutoff=0.6)
        names = list(dict.fromkeys([*near, *there]))[:MOST_NAMED]
        return f"set items to one of its lists: {', '.join(f'{name} ({there[name]:,})' for name in names)}"
    fields = [name for name in body if NAME.fullmatch(name)][:MOST_NAMED] if isinstance(body, dict) else []
    return f"there is no list in the answer, only {', '.join(fields) or 'a value'}; check url and endpoint"
