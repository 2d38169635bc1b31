"""Events that hold a record as it is: type `outcome.run`, data with an id and columns of a run."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exporter.collect.delivery import Event
from exporter.records import RECORDS, Part, Read, Record
from exporter.records.columns import COLUMNS, WHOLE
from exporter.records.unreadable import Unreadable, quoted, value

PREFIX = "outcome."
CUSTOM = "custom"
ENDS = frozenset({"abandoned_at", "closed_at", "finished_at", "resolved_at"})
"""What says when something ended comes after what says that it began."""


def own_record(event: Event) -> Sequence[Read] | None:
    """The record in an event of ours; None where it is none of ours."""
    kind = RECORDS.get(event.type.removeprefix(PREFIX)) if event.type.startswith(PREFIX) else None
    return None if kind is None else [_record(kind, event)]


def _record(kind: type[Record], event: Event) -> Read:
    data = event.item
    if not isinstance(data, dict):
        raise Unreadable("wrong_shape", "the event's data is not an object with columns")
    found, cleared = dict[str, Any](), set[str]()
    columns = {name: column for name, column in COLUMNS[kind].items() if name != "source"}
    for name, given in data.items():
        if name in columns and given is None:
            cleared.add(name)
        elif name in columns:
            found[name] = value(name, columns[name].read, given, name)
        elif name != CUSTOM:
            value("item", _no_column, name)
    if found.get("id") is None:
        raise Unreadable("missing", "there is no id", "id")
    at = min(found.get("updated_at") or event.at, event.at)
    record = replace(kind(id=found["id"]), **{name: each for name, each in found.items() if each is not None})
    step = 0 if ENDS.isdisjoint(found) else 1
    return Read(record, data, part=Part(at, cleared=frozenset(cleared - WHOLE - {"updated_at"}), step=step))


def _no_column(name: str) -> None:
    raise Unreadable("unknown_word", f"{quoted(name, word=True)} is no column of this record")
