"""What a connector is: a module that the type checker holds to `Connector`, and the test suite to all the rest.

    RECORDS: tuple[type[Record], ...]        the record types it yields
    Options: a frozen dataclass              its own config keys, validated by pydantic; a default for each
    async def poll(client, options, cursor) -> AsyncIterator[Page]

What its platform needs beside stands in its folder too, where it is not the default (see `Needs`):

    AUTH = Scheme(...)                       how credentials are sent, where tokens are had; None: there is no network
    HEADERS, HOSTS, def judge(answer)        how it speaks HTTP; see `Dialect` in exporter.collect.http
    BUDGETS = (Budget(...), ...)             what the platform counts by itself when it limits how often it is asked
    INTERVAL = 30                            seconds between two polls, unless the config says otherwise
    READS_ALL = True                         the first poll reads everything there is, however old
    NOUN = "row"                             what one thing is called that it brings
    async def check(client, options) -> Sequence[Finding]
                                             for `check --live`: version, time zone, the first page of each resource,
                                             and what the credential may not read; see exporter.collect.finding

A connector keeps no state, reads no clock, logs nothing and retries nothing. It tells only how to ask and what an
answer means. Its module docstring has five words, each beginning a line: API, Polls, Cursor, Blind, Checked.

What cannot be read has one way: a mapping, called by `client.each`, reads every value with `value(column, read, given)`
of exporter.records.unreadable, and words with a table `Words(column, {theirs: ours})`. `each` decides what that costs:
the record where the column is vital (see exporter.records), else the value. What is asked beside items is read by
`client.learnt`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from exporter.collect.auth import BEARER, Scheme
from exporter.collect.budget import Budget
from exporter.collect.finding import Finding
from exporter.collect.http import Answer, Client, Dialect, SourceError
from exporter.records import Read, Record

LATER = {"later": True}
"""Metadata of an option that came with a later release: at its default it does not make a stored source another one."""

Cursor = Mapping[str, Any]
"""Where to go on: JSON values only. Empty at the first poll."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records and the cursor that is right once they are stored; both are stored in one transaction.

    `gone`: (record type, id) of items the platform no longer has.
    `anew`: scopes (see `Client.each`) that are read from their beginning with this page; what was left out of them
    before is forgotten.
    `total`: how many items the whole poll will bring, where the platform says so (for progress only).
    """

    reads: Sequence[Read]
    cursor: Cursor
    gone: Sequence[tuple[type[Record], str]] = field(default=())
    total: int | None = None
    anew: Sequence[str] = ()


class Poll(Protocol):
    """One poll from the cursor to the present, as pages in the order they may be stored."""

    def __call__(self, client: Client, options: Any, cursor: Cursor, /) -> AsyncIterator[Page]: ...


class Check(Protocol):
    """What a source should tell before it is polled for the first time."""

    def __call__(self, client: Client, options: Any, /) -> Awaitable[Sequence[Finding]]: ...


class Connector(Protocol):
    """What every connector has."""

    __doc__: str | None
    __name__: str

    @property
    def RECORDS(self) -> tuple[type[Record], ...]: ...  # noqa: N802 - a constant of a module

    @property
    def Options(self) -> type[Any]: ...  # noqa: N802 - a class in a module

    @property
    def poll(self) -> Poll: ...


FUNCTIONS = ("judge", "check")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a connector may say beside, in functions and in constants of these names in capitals, and the defaults."""

    auth: Scheme | None = BEARER
    headers: Mapping[str, str] = field(default_factory=dict)
    hosts: Collection[str] = ()
    budgets: Sequence[Budget] = ()
    interval: int = 60
    reads_all: bool = False
    noun: str = "item"
    judge: Callable[[Answer], SourceError | None] = lambda _: None
    check: Check | None = None

    @property
    def dialect(self) -> Dialect:
        """How it speaks HTTP."""
        return Dialect(headers=self.headers, hosts=self.hosts, budgets=self.budgets, judge=self.judge)


def needs(connector: Connector) -> Needs:
    """What a connector says of its platform."""
    names = {each.name: each.name if each.name in FUNCTIONS else each.name.upper() for each in fields(Needs)}
    return Needs(**{ours: getattr(connector, name) for ours, name in names.items() if hasattr(connector, name)})
