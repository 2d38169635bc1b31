"""What a connector is: a module that tells how to ask a platform, and what an answer means. Read this to write one.

    RECORDS = (Run, Workflow)                the record types it yields
    Options: a frozen dataclass              its own config keys, validated by pydantic; a default for each. Where it
                                             has `faults()`, that tells what is wrong with them together; where it
                                             has `notation`, that is how its source writes times and numbers
    async def poll(client, options, cursor) -> AsyncIterator[Page]

What its platform needs beside stands in its folder too, where it is not the default (see `Needs`):

    AUTH = Scheme(...)                       how credentials are sent, where tokens are had; None: there is no network
    HEADERS = {"Accept": "..."}              go with every question
    HOSTS = ("identity.example.com",)        other hosts that links may lead to, and with them the credential
    def judge(answer) -> SourceError | None  what an answer means that the general rules do not know
    BUDGETS = (Budget(...), ...)             what the platform counts by itself when it limits how often it is asked
    INTERVAL = 30                            seconds between two polls, unless the config says otherwise
    REVISION = 2                             counts the corrections of its mapping: all is read again after one
    READS_ALL = True                         the first poll reads everything there is, however old
    NOUN = "row"                             what one thing is called that it brings
    async def check(client, options) -> Sequence[Finding]
                                             for `check --live`: version, time zone, the first page of each resource,
                                             and what the credential may not read; see exporter.collect.finding

The type checker holds a connector to `Connector`, and the test suite holds it to all the rest.

A connector keeps no state, reads no clock, logs nothing and retries nothing. `<platform>/mapping.py` holds what items
mean, and asks nothing. Users read the module's docstring (`outcome-exporter connectors NAME`). Its first line says what
becomes what; then six words each begin a line:

    API      which one, of which versions, and how credentials are sent
    Access   how to make the credential, and the least it must be allowed, in the platform's own words
    Polls    what is asked, in which order
    Cursor   what it holds; for those who read the code
    Blind    what the figures do not show, because the platform does not tell
    Checked  against what

`<platform>/sample.yaml` is its source as a user would write it: every option, with what it means in a comment behind it
or above it. `deploy/config.example.yaml` is made of these.

**Ask** with `client.ask(path, params)`, a GET, or with `json=`, a POST that only reads. `params` may hold lists, which
are repeated; `headers=` and `etag=` are of one question. The `Answer` has status, headers, body, links, and
`find("meta.after")`. `client.get` and `client.post` give the body alone. A path follows the configured url; a whole
address is asked where it leads to the same host, or one of HOSTS. `client.at` is when the poll began, `client.since`
the oldest instant that a first poll wants.

**Lists** come in pages: exporter.collect.paging has by_token, by_offset, by_link, by_key and windows. What changed
since the last poll, where a list can be asked for that: exporter.collect.changes. The newest of a list in order of
ids: exporter.collect.recent.

**Refusals** are raised, and a connector lets them pass: AuthFailed, RateLimited, Unavailable, NotUnderstood, Gone (of
one item: it is deleted), Forbidden. `judge` tells them apart where a status does not, with the words of `Answer`:

    def judge(answer):
        if answer.status == 403 and answer.headers.get("X-RateLimit-Remaining") == "0":
            return answer.rate_limited()
        return answer.broken_off("it took too long") if answer.status == 200 and answer.find("error") else None

What the plan or the credential may not allow is asked `with client.optional("priorities"):`; it is unknown then, and
told of. Questions about single items go through exporter.collect.details: one that fails costs its item's details only,
and is put again later. `client.some(items, f, most)` asks about a few, and gives back what is left for another poll.

**Read** items with `await client.mapped(items, function)`: the function makes a record of one, a `Read` (a record and
the item in which the config's mapping looks), several of either, or None for what is no work. It reads each value with
`value(column, read, given)` of exporter.records.unreadable, words with a table `Words(column, {theirs: ours})`, times
with `instant`, which is given a `zone` where they have no offset and the platform tells whose they are. Which items are
something more, such as an incident, an option says (`Which` of exporter.collect.mapping). What cannot be read costs the
record where the column is vital (see exporter.records), else the value; both are counted and told of. What is asked
beside items is read by `client.learnt`.

**Recent first**: a first sync that takes hours reads backwards, and says in `Page.whole_since` how far it is: windows
that begin later have values then, long before the sync is done. Whole is what has happened since: all that was opened,
changed or ended, with what belongs to it (such as earlier attempts), and all that is still open. A poll that ends
before the past is read should have read first what is new, so that nothing is stale meanwhile.

**Deleted** items are named in `Page.gone` where the platform tells of them. Where it does not, list their ids now and
then with `swept` of exporter.collect.sweep: what several lists in a row have missed is deleted from the store.

**Remember** in the cursor where to go on, and nothing that grows without bound. What is large, or slow to read, goes
into `client.memory`: `await client.memory.remembered("schema", timedelta(hours=1), ask)`. Yield a page as soon as it
is read; its cursor must be right once the page is stored. Where what the cursor tells of is gone, as after a restore,
raise StartOver: exporter.collect.recent sees that. Where the platform calls it expired, `judge` says
`answer.start_over("the cursor has expired")`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

from exporter.collect.auth import BEARER, Scheme
from exporter.collect.budget import Budget
from exporter.collect.finding import Finding
from exporter.collect.http import Answer, Client, Dialect, SourceError
from exporter.records import Read, Record, columns
from exporter.store.sweep import Sweep

LATER = columns.LATER
"""Metadata of an option that came with a later release: at its default it does not make a stored source another one."""

Cursor = Mapping[str, Any]
"""Where to go on: JSON values only. Empty at the first poll."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records and the cursor that is right once they are stored; both are stored in one transaction.

    `gone`: (record type, id) of items the platform no longer has.
    `anew`: scopes (see `Client.each`) that are read from their beginning with this page; what was left out of them
    before is forgotten.
    `sweep`: a part of the ids that the platform has now (see exporter.collect.sweep).
    `whole_since`: with this page everything is there that has happened from this instant on, and the past before it is
    still to come, in this poll or in others. The first sync ends with the poll that has said an instant not later than
    `client.since`, or none at all.
    `total`: how many items the whole poll will bring, where the platform says so (for progress only).
    """

    reads: Sequence[Read]
    cursor: Cursor
    gone: Sequence[tuple[type[Record], str]] = field(default=())
    total: int | None = None
    anew: Sequence[str] = ()
    sweep: Sweep | None = None
    whole_since: datetime | None = None


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
    revision: int = 1
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


def option_key(field: str) -> str:
    """The key of an option in the config: a length of time is written `overlap: 1h`, not `overlap_seconds: 3600`."""
    return field.removesuffix("_seconds")
