"""What the config says of an API: what is asked, how its lists come in pages, and what is new since the last poll."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from exporter.base import duration
from exporter.collect.mapping import paths
from exporter.collect.path import path_fault
from exporter.connectors.rest.mapping import BY_DEFAULT, column_faults, times
from exporter.connectors.rest.pages import Faults, Paging, Question
from exporter.records import RECORDS, Json, RecordName
from exporter.records.columns import Rule
from exporter.records.notation import PLAIN, Decimal, Notation, Thousands, notation_faults, pattern_fault

MARK = "{since}"
ISO = "iso"
NAMED = (ISO, "epoch_s", "epoch_ms")
"""Formats of `{since}` that are no patterns."""
SECRET = re.compile(r"authorization|cookie|.*(api-?key|token|secret|password).*", re.IGNORECASE)
HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
HOUR = timedelta(hours=1)

Scalar = str | int | float | bool
Length = Annotated[
    int,
    BeforeValidator(
        lambda given: duration.seconds(given if isinstance(given, str) else ""),
        json_schema_input_type=Annotated[str, Field(pattern=duration.PATTERN)],
    ),
]


@dataclass(frozen=True, kw_only=True)
class Since:
    """How a list is asked for what is new: `{since}` in the question stands for the last poll."""

    column: str = "updated_at"  # a time of the record, or id
    format: str = ISO
    overlap: Length = 600  # seconds
    overlap_ids: Annotated[int, Field(ge=1, le=100_000)] = 200
    order: Literal["any", "newest_first"] = "any"

    @property
    def by_time(self) -> bool:
        """Whether it is a time; else it is the id."""
        return self.column != "id"

    def written(self, moment: datetime, notation: Notation) -> str | int:
        """A time as the API wants it, never a later one."""
        if self.format in NAMED[1:]:
            return int(moment.timestamp() * (1000 if self.format == "epoch_ms" else 1))
        if self.format == ISO:
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        zone = notation.time_zone or UTC
        local = moment.astimezone(zone)
        # Of an hour that a night in autumn has twice, the platform may mean the second.
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            local = (moment - HOUR).astimezone(zone)
        return local.strftime(self.format)


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

    @property
    def paths(self) -> frozenset[str]:
        """Where in an item the columns look."""
        return frozenset[str]().union(*(paths(rule) for rule in {**BY_DEFAULT, **self.columns}.values()))

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
        for name, text in self.headers.items():
            if SECRET.fullmatch(name):
                yield ("headers", name), "this may be a secret; use api_key_file with header, token_file or auth"
            elif not HEADER.fullmatch(name) or not text.isprintable() or not text.isascii():
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
        for keys, message in column_faults(self.columns, RECORDS[self.record]):
            yield ("columns", *keys), message

    def _since_faults(self) -> Faults:
        marked = MARK in str({**self.parameters, **(self.body or {})})
        if self.since is None:
            if marked:
                yield (), f"{MARK} is used but since is missing; add since: {{ column: updated_at }}"
            return
        column, newest_first = self.since.column, self.since.order == "newest_first"
        known = ["id", *times(RECORDS[self.record])]
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


def filled(given: Json, since: Scalar) -> Any:
    """Parameters or a body with `{since}` filled in; where it is all of a text, it keeps its type."""
    if isinstance(given, str):
        return since if given == MARK else given.replace(MARK, str(since))
    if isinstance(given, Mapping):
        return {name: filled(each, since) for name, each in given.items()}
    return [filled(each, since) for each in given] if isinstance(given, list | tuple) else given


def sent(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as they stand in an address: true and false are words there."""
    word: Callable[[Any], Any] = lambda each: str(each).lower() if isinstance(each, bool) else each  # noqa: E731
    return {name: [word(one) for one in each] if isinstance(each, list) else word(each) for name, each in given.items()}
