"""What the server shows, and how an answer is refused."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exporter.collect.receive import Inbox
from exporter.publish.exposition import Publisher
from exporter.records import Json
from exporter.server.reach import Reach

Answer = Callable[[Mapping[str, str]], Awaitable[Json]]
"""Answers a path with JSON; takes the query. Raises Refusal for a request that cannot be answered."""

Explain = Callable[[Mapping[str, str], int], Awaitable[dict[str, Any]]]
"""Explains a value; takes the query, and how many records there may be on a page. Raises Refusal."""


Report = Callable[[Mapping[str, str], str], Awaitable[Mapping[str, Any] | str]]
"""A report; takes the query and a format, or "" for what the page shows. Raises Refusal."""


PLAIN = "text/plain"
"""What a client accepts that shows errors on a terminal."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of ours
    """An answer other than 200, with the reason in plain words.

    `choices`: (text, path with query) of what could have been asked for; a page shows them as links.
    """

    def __init__(self, status: int, reason: str, choices: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.choices = tuple(choices)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """Gives the server what it shows, at the time of each request."""

    publisher: Publisher
    version: str
    now: Callable[[], datetime]
    ready: Callable[[], bool]
    state: Callable[[], str]  # a sentence for people: what it is doing, or why it is not ready
    overview: Callable[[], Mapping[str, Any]]  # what / shows; called in a thread: the store may be busy for long
    kpis: Callable[[], Json]  # called in a thread
    cards: Callable[[Mapping[str, str]], Mapping[str, Any]]  # what /kpis shows; takes the query, called in a thread
    reload: Callable[[], Awaitable[str | None]]  # None, or why the old configuration stays
    trouble: Callable[[], str | None] = lambda: None  # what is wrong with the store, in words
    report: Report | None = None  # what /report shows, or a report as text
    explain: Explain | None = None  # an explanation, ready for JSON
    lifecycle: bool = False
    reach: Reach = field(default_factory=Reach)
    send_seconds: float = 60.0  # a scraper that takes longer to read gave up long ago
    open_health: bool = False  # /-/healthy and /-/ready need no password
    routes: Mapping[str, Answer] = field(default_factory=dict)  # on every address
    local_routes: Mapping[str, Answer] = field(default_factory=dict)  # on the socket beside the store only
    inbox: Inbox | None = None  # takes what is pushed
