"""The meaning of an item of an API that the config describes: each column of the record by its rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from exporter.collect.mapping import Find, called, finder
from exporter.records import RECORDS, Json, Record
from exporter.records.columns import COLUMNS, Rule
from exporter.records.notation import Notation
from exporter.records.unreadable import Unreadable, value

BY_DEFAULT: Mapping[str, Rule] = {"id": Rule(field="id")}


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
    key: Find  # finds the id
    called: str  # what the source calls the id
    finds: Mapping[str, tuple[Find, str]]  # other column -> what finds its value, and what the source calls it
    web_url: str

    def __call__(self, item: Json) -> Record:
        found: dict[str, Any] = {"id": self.id_of(item)}
        for name, (find, theirs) in self.finds.items():
            if (given := value(name, find, item, theirs)) is not None:
                found[name] = given
        if self.web_url:
            found.setdefault("url", self.web_url.replace("{id}", quote(found["id"], safe="")))
        return self.record(**found)

    def id_of(self, item: Json) -> str:
        """The id of an item's record."""
        try:
            found: str | None = self.key(item)
        except Unreadable as error:
            raise Unreadable(error.reason, str(error), "id") from None
        if found is None:
            raise Unreadable("missing", f"there is no id at {self.called}", "id")
        return found


def reading(described: Described) -> Reading:
    """The compiled rules of the columns of a record."""
    record = RECORDS[described.record]
    rules = {**BY_DEFAULT, **described.columns}
    finds = {
        name: (finder(rule, COLUMNS[record][name], described.notation), called((rule,))) for name, rule in rules.items()
    }
    return Reading(record, *finds.pop("id"), finds, described.web_url)
