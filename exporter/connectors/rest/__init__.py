"""REST: any list of an API that speaks JSON; the config says how it is asked, and which field is which column.

API      Whatever answers GET, or a POST that only searches, with JSON. Credentials: a bearer token (token_file), a key
         in a header of its own (api_key_file and header), user and password, or tokens that are obtained (auth).
Access   A user or client that may read the list and nothing else. If the API wants another word than Bearer before its
         token, write word and token to the file of api_key_file, and set header: Authorization.
Polls    One list, page by page: by page number, offset, token, header Link or the next address. With `since` only what
         is new or changed, either by sending the time (or id) of the last poll, less an overlap, or by reading a list
         that is newest first down to there. Without `since` the whole list, at every poll.
Cursor   changed, recent: as of exporter.collect.changes, if `since` names a time. recent: the highest ids, if it names
         id.
Blind    Details that only an answer about a single item has. Changes of items that the list no longer brings, such as
         those older than the overlap if it is asked by the time of creation. Deleted items, unless the list holds all
         there are (`absent: deleted`). Items that move within the list while its pages are read by number or offset: if
         you can, sort by id or time of creation.
Checked  A fake that pages in each of these ways, and refuses what it does not know.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from exporter import records
from exporter.base.strict_yaml import did_you_mean
from exporter.collect.contract import Cursor, Page
from exporter.collect.finding import Finding
from exporter.collect.http import Client
from exporter.collect.mapping import faults, paths
from exporter.collect.path import path_fault
from exporter.connectors.rest.check import examined
from exporter.connectors.rest.mapping import BY_DEFAULT, reading
from exporter.connectors.rest.pages import MARK, Faults, Paging, Question, Scalar, filled, pages, sent
from exporter.connectors.rest.place import NAMED, ById, ByTime, Place, Since, Whole, through
from exporter.records import RecordName
from exporter.records.columns import COLUMNS, Rule
from exporter.records.notation import PLAIN, Decimal, Notation, Thousands, notation_faults, pattern_fault
from exporter.store.sweep import Sweep

RECORDS = tuple(records.RECORDS.values())
SECRET = re.compile(r"authorization|cookie|.*(api-?key|token|secret|password).*", re.IGNORECASE)
NAME_OF_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is asked, and what an answer means."""

    record: RecordName
    endpoint: str = ""  # follows the url
    parameters: Mapping[str, Scalar | tuple[Scalar, ...]] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None  # None: GET
    headers: Mapping[str, str] = field(default_factory=dict)
    items: str | None = None  # where an answer has its items; None: it is the list
    paging: Paging = field(default_factory=Paging)
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    since: Since | None = None
    absent: Literal["kept", "deleted"] = "kept"
    columns: Mapping[str, Rule] = field(default_factory=dict)
    web_url: str = ""
    time_zone: str | None = None
    time_format: str | tuple[str, ...] | None = None
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    nulls: tuple[str, ...] | None = None

    @property
    def notation(self) -> Notation:
        """How the API writes, where a column does not say."""
        return PLAIN.over(self)

    def notation_of(self, column: str) -> Notation:
        """How the API writes one column, and is asked for it."""
        return self.notation.over(self.columns[column]) if column in self.columns else self.notation

    @property
    def paths(self) -> frozenset[str]:
        """Where in an item the columns look."""
        return frozenset[str]().union(*(paths(rule) for rule in {**BY_DEFAULT, **self.columns}.values()))

    @property
    def rules(self) -> Mapping[str, Sequence[Rule]]:
        """Columns that the config fills here."""
        return {name: (rule,) for name, rule in self.columns.items()}

    @property
    def unfilled(self) -> frozenset[str]:
        """Columns that no item can fill."""
        return frozenset({each.name for each in fields(records.RECORDS[self.record])} - {*self.rules})

    def question(self, since: Scalar) -> Question:
        """The list that is asked for, from a time or id on."""
        return Question(
            endpoint=self.endpoint,
            params=sent(filled(self.parameters, since)),
            body=None if self.body is None else filled(self.body, since),
            headers=self.headers,
            items=self.items,
            size=self.page_size,
        )

    def faults(self) -> Faults:
        """Mistakes in the options together: (keys that lead to it, message)."""
        yield from notation_faults(self)
        if self.endpoint and not re.fullmatch(r"/[^\s?#]*", self.endpoint):
            yield ("endpoint",), "write what follows the url, like /v2/calls; what follows a ? belongs to parameters"
        for key in ("endpoint", "headers"):
            if MARK in str(getattr(self, key)):
                yield (key,), f"{MARK} is filled in only in parameters and body"
        for name, text in self.headers.items():
            if SECRET.fullmatch(name):
                yield ("headers", name), "this may be a secret; use api_key_file with header, token_file or auth"
            elif not NAME_OF_HEADER.fullmatch(name) or not text.isprintable() or not text.isascii():
                yield ("headers", name), 'this is no header; write it like X-Api-Version: "2026-01-01"'
        if self.items is not None and (fault := path_fault(self.items)):
            yield ("items",), fault
        for keys, message in self.paging.faults():
            yield ("paging", *keys), message
        if self.body is not None and self.paging.style in ("link", "url"):
            yield ("paging", "style"), "links lead to pages that are got without a body; use page, offset or token"
        yield from self._since_faults()
        if self.web_url and (not re.fullmatch(r"https?://\S+", self.web_url) or "{id}" not in self.web_url):
            yield ("web_url",), "write the address of an item, like https://calls.example.com/calls/{id}"
        for keys, message in self._column_faults():
            yield ("columns", *keys), message

    def _since_faults(self) -> Faults:
        marked = MARK in str({**self.parameters, **(self.body or {})})
        if self.since is None:
            if marked:
                yield (), f"{MARK} is used but since is missing; add since: {{ column: updated_at }}"
            return
        column, newest_first = self.since.column, self.since.order == "newest_first"
        columns = COLUMNS[records.RECORDS[self.record]]
        known = ["id", *(name for name, each in columns.items() if each.kind == "instant")]
        if column not in known:
            yield ("since", "column"), f"this is neither id nor a time of the record; known: {', '.join(known)}"
        elif column != "id" and column not in self.columns:
            yield ("since", "column"), f"columns does not read it; add columns: {{ {column}: {{ from: ... }} }}"
        if marked == newest_first:
            both = f"{MARK} is sent already; leave order out" if marked else ""
            none = f'nothing is asked with it; write "{MARK}" in parameters or body, or set order: newest_first'
            yield ("since",), both or none
        if self.since.format not in NAMED and (fault := pattern_fault(self.since.format)):
            yield ("since", "format"), f"{fault}; or {' or '.join(NAMED)}"
        if self.absent == "deleted":
            yield (
                ("absent",),
                "with since a poll sees only what is new, so it cannot tell what is deleted; leave it out",
            )

    def _column_faults(self) -> Faults:
        known = {name: column for name, column in COLUMNS[records.RECORDS[self.record]].items() if name != "source"}
        for name, rule in self.columns.items():
            if name not in known:
                yield (name,), f"{self.record} has no column {name!r}; {did_you_mean(name, list(known))}"
                continue
            for keys, message in faults(rule, known[name]):
                yield (name, *keys), message
            for key in ("value", "default", "otherwise") if name == "id" else ():
                if getattr(rule, key) is not None:
                    yield (name, key), "several items would have this id, and only one of them be kept; leave it out"


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    place = place_of(client, options, cursor)
    answers = pages(client, options.paging, options.question(place.since))
    async for page in through(client, answers, place, reading(options), cursor):
        yield page


def read_item(options: Options, item: Mapping[str, Any]) -> records.Read:
    """An item as the API would give it."""
    return records.Read(reading(options)(item), item)


def place_of(client: Client, options: Options, cursor: Cursor) -> Place:
    """Where a poll begins."""
    since, of = options.since, {records.RECORDS[options.record]: None}
    if since is None:
        return Whole(Sweep(of=of, begun=client.at) if options.absent == "deleted" else None)
    return ByTime(client, since, options.notation_of(since.column), cursor) if since.by_time else ById(since, cursor)


async def check(client: Client, options: Options) -> list[Finding]:
    return await examined(client, options, place_of(client, options, {}).since)
