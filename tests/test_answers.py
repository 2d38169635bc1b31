"""What a platform's answers mean: each quirk is served over real HTTP on loopback, as its platform serves it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.answer import Answer
from exporter.collect.contract import needs
from exporter.collect.http import (
    Auth,
    AuthFailed,
    BrokenOff,
    Client,
    Dialect,
    Forbidden,
    HttpSettings,
    NotUnderstood,
    RateLimited,
    SourceError,
    Unavailable,
)

AT = datetime(2026, 3, 31, tzinfo=UTC)
SECRET = "s3cret-t0ken"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(
    handler: Handler, dialect: Dialect | None = None, path: str = "", **more: Any
) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/") + path
        settings = HttpSettings(**{"url": url, "retry_wait_seconds": 0.001, "auth": Auth.bearer(SECRET), **more})
        async with Client(settings, at=AT, since=AT - timedelta(days=90), dialect=dialect) as client:
            yield client


def says(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Handler:
    """A platform that has one answer."""

    async def answer(_request: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers=headers, content_type="application/json")

    return answer


async def mirror(request: web.Request) -> web.Response:
    headers = {key.lower(): value for key, value in request.headers.items()}
    return web.json_response({"path": request.path, "query": [*request.query.items()], "headers": headers})


async def test_headers_come_from_the_platform_and_from_the_question() -> None:
    version = Dialect(headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})
    async with served(mirror, version) as client:
        answer = await client.ask("/runs", headers={"x-github-api-version": "2026-03-10", "Prefer": "total"})

    sent = answer.body["headers"]
    assert (sent["accept"], sent["prefer"]) == ("application/vnd.github+json", "total")
    assert sent["x-github-api-version"] == "2026-03-10"
    assert sent["authorization"] == f"Bearer {SECRET}"


async def test_a_parameter_with_several_values_is_repeated() -> None:
    async with served(mirror) as client:
        answer = await client.ask("/incidents", {"statuses[]": ["triggered", "acknowledged"], "limit": 100})

    assert answer.body["query"] == [["statuses[]", "triggered"], ["statuses[]", "acknowledged"], ["limit", "100"]]


async def test_an_answer_is_there_whole() -> None:
    link = '</runs?page=2>; rel="next", <https://elsewhere.test/runs?page=9>; rel="last"'
    async with served(says({"meta": {"after": "c2"}}, headers={"Link": link, "X-Total-Count": "7"})) as client:
        answer = await client.ask("/runs", {"page": 1})

    assert (answer.status, answer.where, answer.at.date()) == (200, "GET /runs", AT.date())
    assert (answer.headers["x-total-count"], answer.find("meta.after"), answer.find("meta.after.deeper")) == (
        "7",
        "c2",
        None,
    )
    assert answer.links["next"].endswith("/runs?page=2")
    assert answer.links["last"] == "https://elsewhere.test/runs?page=9"
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("link", ["<", "<http://[>; rel=next", "nonsense", '<>; rel="next"'])
async def test_a_header_link_that_is_odd_costs_no_answer(link: str) -> None:
    async with served(says({"items": []}, headers={"Link": link})) as client:
        assert (await client.ask("/runs")).body == {"items": []}


async def test_an_answer_that_has_not_changed_is_not_sent_again() -> None:
    async def tagged(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == 'W/"1"':
            return web.Response(status=304, headers={"ETag": 'W/"1"'})
        return web.json_response({"runs": 3}, headers={"ETag": 'W/"1"'})

    async with served(tagged) as client:
        first = await client.ask("/runs")
        second = await client.ask("/runs", etag=first.etag)

    assert (first.unchanged, first.body, first.etag) == (False, {"runs": 3}, 'W/"1"')
    assert (second.unchanged, second.body) == (True, None)


async def test_not_modified_that_nobody_asked_for_is_no_answer() -> None:
    async with served(says("", 304)) as client:
        with pytest.raises(SourceError):
            await client.ask("/runs")


async def test_a_session_may_be_made_by_what_is_created() -> None:
    async with served(says({"access_token": "t"}, 201)) as client:
        assert (await client.ask("/auth/token", json={})).body == {"access_token": "t"}


# Where links lead


async def test_a_whole_address_at_the_own_host_is_asked_there() -> None:
    async with served(mirror, path="/awx") as client:
        first = await client.ask("/api/v2/jobs/")
        link = first.link("/awx/api/v2/jobs/?page=2&order=a%2Bb")
        assert link
        answer = await client.ask(link)

    assert (answer.body["path"], answer.body["query"]) == ("/awx/api/v2/jobs/", [["page", "2"], ["order", "a+b"]])
    assert answer.where == "GET /awx/api/v2/jobs/"


@pytest.mark.parametrize("link", ["http://127.0.0.1:8052/jobs?page=2", "https://127.0.0.1/jobs?page=2"])
async def test_a_link_that_names_what_is_behind_a_proxy_stays_at_the_configured_address(link: str) -> None:
    async with served(mirror) as client:
        answer = await client.ask(link)

    assert (answer.body["path"], answer.body["query"]) == ("/jobs", [["page", "2"]])


async def test_a_link_to_another_host_is_not_followed_and_the_credential_stays() -> None:
    asked = list[str]()

    async def thief(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/jobs", thief)
    async with TestServer(app, host="127.0.0.2") as other, served(mirror) as client:
        with pytest.raises(NotUnderstood, match="another host") as caught:
            await client.ask(str(other.make_url("/jobs")))

    assert asked == []
    assert "127.0.0" not in str(caught.value)


async def test_a_link_to_a_host_that_the_platform_also_has_is_followed() -> None:
    app = web.Application()
    app.router.add_get("/jobs", mirror)
    async with TestServer(app, host="127.0.0.2") as other:
        named = Dialect(hosts=(f"127.0.0.2:{other.port}",))
        async with served(says({}), named) as client:
            answer = await client.ask(str(other.make_url("/jobs")))

    assert answer.body["path"] == "/jobs"


# What a refusal means


def github(answer: Answer) -> SourceError | None:
    """GitHub refuses with 403 whoever asks too often."""
    slow = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return answer.rate_limited() if answer.status == 403 and slow else None


def servicenow(answer: Answer) -> SourceError | None:
    """ServiceNow tells of some failures in the body of a 200."""
    error = answer.find("error.message")
    return answer.broken_off("the transaction was cancelled") if answer.status == 200 and error else None


async def test_a_403_may_be_a_rate_limit_whose_end_is_told_in_seconds_since_1970() -> None:
    reset = int((AT + timedelta(minutes=20)).timestamp())
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(reset),
        "Date": "Tue, 31 Mar 2026 00:00:00 GMT",
    }
    async with served(says({"message": "API rate limit exceeded"}, 403, headers), Dialect(judge=github)) as client:
        with pytest.raises(RateLimited) as caught:
            await client.ask("/runs")

    assert timedelta(minutes=20) <= caught.value.until - AT < timedelta(minutes=21)


async def test_a_403_that_is_no_rate_limit_is_a_refusal() -> None:
    async with served(says({"message": "Resource not accessible"}, 403), Dialect(judge=github)) as client:
        with pytest.raises(Forbidden):
            await client.ask("/runs")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-reset": "41"}, 41),
        ({"X-RateLimit-Reset": "90"}, 90),
        ({"ratelimit-reset": "41", "Retry-After": "300"}, 300),
        ({"ratelimit-reset": "never"}, 60),
        ({}, 60),
    ],
)
async def test_a_429_says_how_long_to_wait_in_the_platforms_own_header(headers: Any, seconds: int) -> None:
    async with served(says({}, 429, headers), attempts=1) as client:
        with pytest.raises(RateLimited) as caught:
            await client.ask("/incidents")

    assert seconds <= (caught.value.until - AT).total_seconds() < seconds + 30


async def test_a_rate_limit_that_the_connector_names_is_counted_and_sat_out_where_it_is_short() -> None:
    asked = 0

    async def busy(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({}, status=403 if asked == 1 else 200, headers={"Retry-After": "0"})

    async with served(busy, Dialect(judge=github)) as client:
        assert (await client.ask("/runs")).status == 200


async def test_a_plan_that_lacks_a_feature_costs_the_resource_and_not_the_source() -> None:
    async def without_priorities(request: web.Request) -> web.Response:
        lacking = request.path == "/priorities"
        return web.json_response(
            {"error": {"code": 2010}} if lacking else {"incidents": [1]}, status=402 if lacking else 200
        )

    async with served(without_priorities) as client:
        with client.optional("priorities"):
            await client.ask("/priorities")
        answer = await client.ask("/incidents")

    assert answer.body == {"incidents": [1]}
    assert client.lacking == {"priorities": "GET /priorities: HTTP 402: the platform's plan does not include this"}


async def test_a_credential_that_is_refused_is_no_lack_of_a_resource() -> None:
    async with served(says({}, 401)) as client:
        with pytest.raises(AuthFailed), client.optional("priorities"):
            await client.ask("/priorities")

    assert client.lacking == {}


async def test_an_error_in_the_body_of_a_200_is_an_error() -> None:
    body = {"result": [], "error": {"message": "Transaction cancelled", "detail": "Jane Doe"}, "status": "failure"}
    async with served(says(body), Dialect(judge=servicenow)) as client:
        with pytest.raises(BrokenOff) as caught:
            await client.ask("/table/incident")

    assert str(caught.value) == "GET /table/incident: HTTP 200: the transaction was cancelled"


async def test_json_that_is_cut_is_told_from_what_is_no_json() -> None:
    async with served(says('{"result":[{"sys_id":"46ce"},],"error":{"message":"cancelled"')) as client:
        with pytest.raises(BrokenOff):
            await client.ask("/table/incident")
    async with served(says("<html>Your instance is hibernating</html>")) as client:
        with pytest.raises(NotUnderstood, match="the address of the API") as caught:
            await client.ask("/table/incident")

    assert not isinstance(caught.value, BrokenOff)


async def test_a_judge_sees_the_body_of_a_refusal_and_may_ask_for_patience() -> None:
    def hibernating(answer: Answer) -> SourceError | None:
        return answer.unavailable("the instance sleeps") if answer.find("error") == "hibernating" else None

    async with served(says({"error": "hibernating"}, 400), Dialect(judge=hibernating), attempts=2) as client:
        with pytest.raises(Unavailable, match="the instance sleeps"):
            await client.ask("/table/incident")


@pytest.mark.parametrize("body", ["", "<html>no</html>", "x" * 200_000, '{"error": ' + "[" * 5000])
async def test_a_refusal_whose_body_cannot_be_read_is_still_that_refusal(body: str) -> None:
    async with served(says(body, 401), Dialect(judge=servicenow)) as client:
        with pytest.raises(AuthFailed):
            await client.ask("/incidents")


def test_a_dialect_is_what_the_connector_says() -> None:
    connector = ModuleType("connector")
    assert needs(connector).dialect.headers == {}

    connector.HEADERS = {"Accept": "x"}  # type: ignore[attr-defined] # a module made on the spot
    connector.HOSTS = ("identity.example.test",)  # type: ignore[attr-defined] # a module made on the spot
    connector.judge = github  # type: ignore[attr-defined] # a module made on the spot

    assert Dialect(headers={"Accept": "x"}, hosts=("identity.example.test",), judge=github) == needs(connector).dialect


async def test_some_items_are_asked_about_now_and_the_others_are_left_over() -> None:
    async with served(mirror) as client:
        answers, left = await client.some([1, 2, 3, 4, 5], lambda number: client.get(f"/tickets/{number}"), 2)

    assert [each["path"] for each in answers] == ["/tickets/1", "/tickets/2"]
    assert left == [3, 4, 5]
