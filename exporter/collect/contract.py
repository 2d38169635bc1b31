"""The contract of a connector: a module that knows how to ask a platform, and what answers mean. Read it to write one.

    RECORDS = (Run, Workflow)                the record types that it yields
    Options: a frozen dataclass              its own config keys, validated by pydantic, each with a default. An
                                             optional method `faults()` reports mistakes in their combination; an
                                             optional property `notation` gives how its source writes times and numbers,
                                             `paths` where in items its own rules look, and `rules` these by column;
                                             `unfilled` columns that it can never fill with these options
    async def poll(client, options, cursor) -> AsyncIterator[Page]

The module may also have any of these, if the default does not suit its platform (see `Needs`):

    AUTH = Scheme(...)                       how credentials are sent and tokens are obtained; None: there is no network
    HEADERS = {"Accept": "..."}              sent with every request
    HOSTS = ("identity.example.com",)        other hosts to which links may lead; they get the credential, too
    def judge(answer) -> SourceError | None  the meaning of answers that the general rules do not cover
    BUDGETS = (Budget(...), ...)             rate limits that the platform counts separately
    INTERVAL = 30                            seconds between two polls, unless the config says otherwise
    REVISION = 2                             counts corrections of the mapping; after one, everything is read again
    READS_ALL = True                         the first poll reads everything, however old
    NOUN = "row"                             the name of one thing that it reads
    async def check(client, options) -> Sequence[Finding]
                                             for `check --live`: version, time zone, the first page of each resource,
                                             and what the credential may not read; see exporter.collect.finding

    def read_item(options, item) -> Read     what one item means, for the tests that users write of their mapping, where
                                             the config says what its parts are; raises what reading it raises

The type checker checks a connector against `Connector`, and the test suite checks everything else.

A connector keeps no state, reads no clock, logs nothing and retries nothing. `<platform>/mapping.py` says what items
mean, and sends no requests. Users read the docstring of the module (`outcome-exporter connectors NAME`). Its first line
says what becomes what. After that, each of these six words begins a paragraph:

    API      the API and its versions, and how credentials are sent
    Access   how to create the credential, and the least rights that it needs, in the platform's own words
    Polls    what is requested, and in which order
    Cursor   what the cursor holds, for those who read the code
    Blind    what the values do not show, because the platform does not tell
    Checked  what it has been checked against

`<platform>/sample.yaml` is a source as a user would write it, with every option and a comment behind or above it that
says what it means. `deploy/config.example.yaml` is generated from these.

**Ask** with `client.ask(path, params)`, which sends a GET, or a POST that only reads if there is `json=`. A list in
`params` repeats the parameter; `headers=` and `etag=` apply to one request, `client.headers` to all of the poll. The
`Answer` has a status, headers, a body, links, and `find("meta.after")`. `client.get` and `client.post` return the body
alone. A path is relative to the configured url; a full address may lead to the same host or to one of HOSTS.
`client.at` is the time when the poll began, `client.since` the oldest time that a first poll needs.

**Lists** come in pages: exporter.collect.paging has by_token, by_offset, by_number, by_link, by_key and windows. If a
list can be asked for what changed since the last poll, use exporter.collect.changes; for the newest items of a list in
order of ids, exporter.collect.recent.

**Refusals** are raised, and a connector does not catch them: AuthFailed, RateLimited, Unavailable, NotUnderstood, Gone
(one item is deleted), Forbidden. `judge` tells them apart if the status does not, with the methods of `Answer`:

    def judge(answer):
        if answer.status == 403 and answer.headers.get("X-RateLimit-Remaining") == "0":
            return answer.rate_limited()
        return answer.broken_off("it took too long") if answer.status == 200 and answer.find("error") else None

Request what the plan or the credential may not include inside `with client.optional("priorities"):`; if it is refused,
its values are unknown, and that is reported. Send requests about single items through exporter.collect.details: if one
fails, only the details of its item are missing, and it is sent again later. `client.some(items, f, most)` handles a few
items and returns those that are left for the next poll.

**Read** items with `await client.mapped(items, function)`. The function turns an item into a record, a `Read` (a record
and the item in which the config's mapping looks), several of either, or None if it is not work. It reads each value
with `value(column, read, given)` of exporter.records.unreadable, words with a table `Words(column, {theirs: ours})`,
and times with `instant`; give that a `zone` if the times have no offset and the platform says which zone they are in.
An option of type `Which` (exporter.collect.mapping) selects the items that are also something else, such as an
incident. Where a platform gives only the fields that are asked for, ask for those in `client.paths`, too: the config
looks there. A value that cannot be read costs the record if its column is vital (see exporter.records), and otherwise
only itself; both are counted and reported. Read what is requested besides items with `client.learnt`.

**Recent first**: a first sync that takes hours reads backwards and says in `Page.whole_since` how far it is, so that
windows that begin later have values long before the sync is done. From that time on, everything must be there that was
opened, changed or ended, with what belongs to it (such as earlier attempts), and everything that is still open. A poll
that ends before the past is read should first have read what is new, so that nothing becomes stale meanwhile.

**Deleted** items go into `Page.gone` if the platform reports them. If it does not, list their ids from time to time
with `swept` of exporter.collect.sweep: what several lists in a row have missed is deleted from the store.

**Remember** in the cursor where to continue, and nothing that grows without limit. Put what is large or slow to read
into `client.memory`: `await client.memory.remembered("schema", timedelta(hours=1), ask)`. Yield a page as soon as it
is read; its cursor must be correct once the page is stored. If what the cursor refers to no longer exists, as after a
restore, raise StartOver (exporter.collect.recent notices that). If the platform says that it has expired, `judge`
returns `answer.start_over("the cursor has expired")`.

**Pushed**: a platform that sends what happens, instead of being asked, has a connector without AUTH whose `poll` yields
nothing, and

    ROUTE = "/events/{source}"               the path to which its senders POST
    def receive(delivery, options) -> Received
                                             the events in a request whose sender has proved who it is, and the answer
                                             to it; raises Refused. The body is anything at all until it is read here.
                                             One event of several that cannot be read is `broken` (collect.delivery)
    def read_event(options, event) -> Iterable[Read] | None
                                             what an event says of records: a `Read` with a `Part`; None where its type
                                             is none that is read

    MOST_BYTES = 1024 * 1024                 of a request, unless the config says otherwise

An event may say what it is inside of (`Event.link`): a run inside another run is deleted once both are known.

Who may send, and that nothing is answered before it is stored, is exporter.collect.receive's. Events come late, twice
and in any order: a part holds only what its event says, and when that happened; the store puts parts together.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

from exporter.collect.auth import BEARER, Scheme
from exporter.collect.budget import Budget
from exporter.collect.delivery import Delivery, Event, Received
from exporter.collect.finding import Finding
from exporter.collect.http import Answer, Client, Dialect, SourceError
from exporter.records import Read, Record, columns
from exporter.store.sweep import Sweep

LATER = columns.LATER
"""Metadata of an option that came with a later release: at its default it does not make a stored source another one."""

Cursor = Mapping[str, Any]
"""Where to continue: JSON values only. Empty at the first poll."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records, and the cursor that is correct once they are stored. Both are stored in one transaction.

    `gone`: (record type, id) of items the platform no longer has.
    `anew`: scopes (see `Client.each`) that are read from their beginning with this page; what was left out of them
    before is forgotten.
    `sweep`: a part of the ids that the platform has now (see exporter.collect.sweep).
    `whole_since`: with this page, everything since this time is there; what is older follows in this poll or in later
    ones. The first sync ends with the poll that gives a time not later than `client.since`, or none at all.
    `total`: the number of items of the whole poll, if the platform gives it (only for progress).
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
    """What to check before a source is polled for the first time."""

    def __call__(self, client: Client, options: Any, /) -> Awaitable[Sequence[Finding]]: ...


class Receive(Protocol):
    """The events in a delivery. Raises Refused."""

    def __call__(self, delivery: Delivery, options: Any, /) -> Received: ...


class ReadEvent(Protocol):
    """What one event says of records; None where its type is none that is read."""

    def __call__(self, options: Any, event: Event, /) -> Iterable[Read] | None: ...


class ReadItem(Protocol):
    """What one item means, without asking for more. Raises what reading it raises."""

    def __call__(self, options: Any, item: Mapping[str, Any], /) -> Read: ...


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


FUNCTIONS = ("judge", "check", "receive", "read_event", "read_item")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a connector may declare besides: functions, or constants of these names in capitals; with the defaults."""

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
    route: str = ""
    most_bytes: int = 1024 * 1024
    receive: Receive | None = None
    read_event: ReadEvent | None = None
    read_item: ReadItem | None = None

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
