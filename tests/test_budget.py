"""How often one account may ask: what platforms say is left, and several sources that live off one budget."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.base.errors import RateLimited
from exporter.collect.account import Accounts
from exporter.collect.auth import Auth
from exporter.collect.budget import Budget, Left, Pace, left, of, reset_after
from exporter.collect.contract import Page
from exporter.collect.http import Client, Dialect, HttpSettings
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.store import Store
from tests import deadline, polled
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
NOON = "Tue, 31 Mar 2026 12:00:00 GMT"  # by the platform's clock, which is half a day ahead
OURS = Auth.bearer("ours")
SEARCH = Budget(name="search", paths=("/search", "/export"), requests=2, seconds=0.1)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # GitHub and Okta: a time, by their own clock
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1774958460", "Date": NOON}, Left(7, 60)),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "1774958400", "Date": NOON}, Left(0, 0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1774958460000", "Date": NOON}, Left(0, 60)),
        # PagerDuty and Calendly: seconds
        ({"ratelimit-limit": "960", "ratelimit-remaining": "0", "ratelimit-reset": "12"}, Left(0, 12)),
        ({"X-RateLimit-Remaining-Default": "3", "X-RateLimit-Reset-Default": "40"}, Left(3, 40)),
        # Jira: a text
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-03-31T00:01Z"}, Left(0, 60)),
        # Zendesk: the account, all tickets, this list
        (
            {
                "x-rate-limit-remaining": "699",
                "ratelimit-remaining": "9",
                "ratelimit-reset": "41",
                "zendesk-ratelimit-tickets-index": "total=100; remaining=0; resets=30",
            },
            Left(0, 30),
        ),
        # The draft of the IETF
        ({"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'}, Left(50, 30)),
        ({"X-RateLimit-Remaining": "0"}, None),
        ({"X-RateLimit-Remaining": "many", "X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "nan"}, Left(0, 0)),
        ({"Content-Type": "application/json"}, None),
    ],
)
def test_what_is_left_is_read_as_platforms_say_it(headers: Mapping[str, str], expected: Left | None) -> None:
    assert left(headers, AT) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-RateLimit-Limit": "100", "X-RateLimit-Reset": "25"}, 25),  # ServiceNow
        (
            {
                "ratelimit-remaining": "9",
                "ratelimit-reset": "5",
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "9",
            },
            9,
        ),
        ({}, None),
    ],
)
def test_a_refusal_says_when_to_come_back(headers: Mapping[str, str], expected: float | None) -> None:
    assert reset_after(headers, AT) == expected


def test_a_path_belongs_to_the_budget_that_names_most_of_it() -> None:
    everything, exports = Budget(name="all", paths=("/",)), Budget(name="exports", paths=("/api/incremental/",))

    assert [of(path, (everything, exports)) for path in ("/api/incremental/tickets", "/api/users", "other")] == [
        exports,
        everything,
        None,
    ]


@dataclass
class Account:
    """A platform that counts the requests of each credential, and refuses those beyond `most` until it is reset."""

    most: int = 3
    reset: str = "3600"  # as it says it
    seconds: float = 3600.0
    asked: dict[str, list[float]] = field(default_factory=dict)  # by credential: when, by the loop's clock
    refused: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        now, asked = asyncio.get_running_loop().time(), self.asked.setdefault(request.headers["Authorization"], [])
        window = [at for at in asked if at > now - self.seconds]
        if len(window) >= self.most:
            self.refused += 1
            return web.json_response({}, status=429, headers={"Retry-After": "3600"})
        asked.append(now)
        rest = self.most - len(window) - 1
        headers = {"ratelimit-remaining": str(rest), "ratelimit-reset": self.reset}
        return web.json_response({"items": []}, headers=headers)


@asynccontextmanager
async def served(account: Account) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", account.answer)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


def client(url: str, accounts: Accounts, auth: Auth = OURS, **settings: Any) -> Client:
    http = HttpSettings(url=url, auth=auth, attempts=1, **settings)
    dialect = Dialect(budgets=(SEARCH,))
    return Client(http, at=AT, since=AT, dialect=dialect, account=accounts.of(url, auth))


async def test_what_one_source_has_used_up_another_of_the_account_does_not_ask_for() -> None:
    account, accounts = Account(), Accounts()
    async with served(account) as url, client(url, accounts) as one, client(url, accounts) as two:
        for _ in range(3):
            await one.get("/runs")
        with pytest.raises(RateLimited, match="allows no more requests for 3600 s") as limited:
            await two.get("/users")

    assert (limited.value.until - AT).total_seconds() == pytest.approx(3600, abs=60)
    assert (len(account.asked["Bearer ours"]), account.refused) == (3, 0)


async def test_what_is_counted_apart_and_who_is_somebody_else_goes_on() -> None:
    account, accounts = Account(most=4), Accounts()
    other = Auth.bearer("theirs")
    async with served(account) as url, client(url, accounts) as one, client(url, accounts, other) as two:
        for _ in range(3):
            await one.get("/runs")
        await one.get("/search")  # the last: it is the search that is used up now
        await two.get("/runs")
        with pytest.raises(RateLimited, match="GET /export: not asked"):
            await one.get("/export")

    assert {who: len(when) for who, when in account.asked.items()} == {"Bearer ours": 4, "Bearer theirs": 1}


async def test_who_waits_for_a_slow_budget_does_not_hold_up_the_others() -> None:
    account, accounts = Account(most=9), Accounts()
    slow = Budget(name="slow", paths=("/search",), requests=1, seconds=3600)
    async with served(account) as url:
        http = HttpSettings(url=url, auth=OURS, attempts=1, concurrency=1)
        one = Client(http, at=AT, since=AT, dialect=Dialect(budgets=(slow,)), account=accounts.of(url, OURS))
        async with one, deadline.within(5):
            await one.get("/search")
            waiting = [asyncio.create_task(one.get("/search")) for _ in range(3)]
            for path in ("/runs", "/users"):
                await one.get(path)
            for each in waiting:
                each.cancel()
            ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert len(account.asked["Bearer ours"]) == 3
    assert [type(each) for each in ended] == [asyncio.CancelledError] * 3


async def test_a_short_wait_is_sat_out_by_all_sources_and_nobody_is_refused() -> None:
    account, accounts = Account(reset="0.2", seconds=0.2), Accounts()
    async with served(account) as url, client(url, accounts) as one, client(url, accounts) as two:
        for _ in range(4):
            await one.get("/runs")
            await two.get("/runs")

    assert (len(account.asked["Bearer ours"]), account.refused) == (8, 0)


@pytest.mark.parametrize(("settings", "path"), [({"rate": 20}, "/runs"), ({}, "/search"), ({}, "/export")])
async def test_sources_of_one_account_ask_by_turns(settings: dict[str, Any], path: str) -> None:
    account, accounts = Account(most=100), Accounts()
    async with served(account) as url:
        async with client(url, accounts, **settings) as one, client(url, accounts, **settings) as two:
            await asyncio.gather(*(each.get(path) for each in (one, two) for _ in range(3)))
        async with client(url, accounts, **settings) as later:  # another poll
            await later.get(path)

    when = account.asked["Bearer ours"]

    assert len(when) == 7
    assert (
        when[-1] - when[0] > 0.2
    )  # six gaps of 0.05, or three of 0.1: an answer may be under way for longer or shorter


async def test_so_many_questions_as_a_budget_has_go_at_once_and_never_more_in_its_time() -> None:
    pace, began = Pace(), asyncio.get_running_loop().time()
    when = []
    for _ in range(7):
        await pace.turn(3, 0.1)
        when.append(asyncio.get_running_loop().time() - began)

    assert when[2] < 0.1 <= when[3]
    assert all(later - earlier > 0.09 for earlier, later in zip(when, when[3:], strict=False))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as store:
        yield store


def source(name: str, url: str) -> Source:
    """A source that asks three questions a poll."""

    async def poll(client: Client, _options: Any, _cursor: Any) -> AsyncIterator[Page]:
        for _ in range(3):
            await client.get(f"/{name}")
        yield Page([], {})

    http = HttpSettings(url=url, auth=OURS, attempts=1)
    return polled.source(polled.connector(poll), name=name, http=http, fingerprint=name)


async def test_two_sources_on_one_account_come_back_when_it_is_reset(store: Store) -> None:
    account, accounts, health = Account(most=4), Accounts(), Health(version="0")
    async with served(account) as url:
        outcomes = [
            await poll_once(source(name, url), store, health, AT, accounts=accounts) for name in ("runs", "users")
        ]

    assert [outcome.reason for outcome in outcomes] == [None, "rate_limited"]
    assert outcomes[1].until
    assert (outcomes[1].until - AT).total_seconds() == pytest.approx(3600, abs=60)
    assert (len(account.asked["Bearer ours"]), account.refused) == (4, 0)
    assert health.registry.get_sample_value("outcome_source_rate_limited_total", {"source": "users"}) == 0


async def test_a_source_that_is_told_to_wait_tells_the_others_of_its_account(store: Store) -> None:
    account, accounts, health = Account(most=0), Accounts(), Health(version="0")
    async with served(account) as url:
        outcomes = [
            await poll_once(source(name, url), store, health, AT, accounts=accounts) for name in ("runs", "users")
        ]

    assert [outcome.reason for outcome in outcomes] == ["rate_limited"] * 2
    assert account.refused == 1
