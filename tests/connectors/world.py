"""What tests/test_connectors.py needs to know about a platform: `tests/connectors/<platform>/suite.py` tells it.

suite.py holds one function, `world(tmp_path) -> World`, that makes a fresh platform with a few pages of work on it,
among it something still open. What its items mean stands in truth.py beside it. The platform's module in
exporter/connectors gives the folder its name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from aiohttp import web

from exporter.collect.http import Auth

AT = datetime(2026, 3, 31, tzinfo=UTC)
"""When the suite's polls begin. Everything on the platform is older, by less than SINCE."""

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class World:
    """One platform and how to disturb it. The suite polls it at AT, back to SINCE, and adds its own HTTP trouble."""

    app: web.Application | None  # the fake; None for a connector that does not speak HTTP
    options: Any  # with a page size that makes several pages
    auth: Auth = field(default_factory=Auth)  # the right credential; with Auth() the fake must answer 401
    path: str = ""  # what follows http://host:port in the configured url
    unknown_word: Callable[[], str]  # gives one ended item a status nobody knows; tells the record's id
    missing_time: Callable[[], str]  # takes an instant from one item; tells the record's id
    delete: Callable[[], str]  # deletes an item; tells the record's id
    work: Callable[[datetime], str]  # gives it one more item that began and ended then; tells the record's id
    absurd: Callable[[], Callable[[], None]]  # gives it an item at a place far beyond all others; what takes it away
    start_over: Callable[[], set[str]]  # sets it up anew, with a few items of the same ids; tells all records' ids
    # A record, and which questions are about it alone; or why none are.
    about_one: tuple[str, Callable[[web.Request], bool]] | str
    place: Callable[[web.Request], bool] | str  # which questions hold a place in a list that it gave; or why none do
    zone: Callable[[tzinfo], None] | str  # moves it to another time zone; or why that is not seen
    quiet_requests: int = 6  # what a poll may ask when nothing has happened
