"""HTTP out, against a server on loopback that does as it is told."""

import asyncio
import json
import math
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from exporter.base.errors import retry_after
from exporter.collect.decode import AT_ONCE, decoded_in_parts
from exporter.collect.http import (
    Auth,
    AuthFailed,
    Client,
    Gone,
    HttpSettings,
    NotUnderstood,
    RateLimited,
    SourceError,
    Unavailable,
)
from exporter.collect.paging import by_offset, by_token
from exporter.demo.fakes.fault import Faults, Trouble
from exporter.records import Incident, Record, Request, Run, RunStatus, instant
from exporter.records.unreadable import Words, value

AT = datetime(2026, 3, 31, tzinfo=UTC)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "s3cret-t0ken"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


NEST: Any = None
for _ in range(98):
    NEST = [NEST]


@dataclass
class Counts:
    """An observer that remembers."""

    codes: list[str] = field(default_factory=list)
    limited: int = 0

    def request(self, code: str) -> None:
        self.codes.append(code)

    def rate_limited(self) -> None:
        self.limited += 1

    def details_given_up(self, items: int) -> None:
        """Nothing is asserted of it here."""

    def detail_failed(self) -> None:
        """Nothing is asserted of it here."""


@asynccontextmanager
async def served(handler: Handler, *, faults: Faults | None = None, **settings: Any) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[faults.middleware()] if faults else [])
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        TestServer(app) as server,
        Client(
            HttpSettings(**{"url": str(server.make_url("/")), "retry_wait_seconds": 0.001, **settings}),
            at=AT,
            since=SINCE,
        ) as client,
    ):
        yield client


async def items(_request: web.Request) -> web.Response:
    return web.json_response({"data": [1, 2, 3]})


async def mirror(request: web.Request) -> web.Response:
    sent = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": dict(request.query),
            "headers": {key.lower(): value for key, value in request.headers.items()},
            "body": json.loads(sent) if sent else None,
        }
    )


async def test_a_get_sends_path_and_query() -> None:
    async with served(mirror) as client:
        answer = await client.get("/executions", {"limit": 5, "status": "a b"})

        assert answer["method"] == "GET"
        assert answer["path"] == "/executions"
        assert answer["query"] == {"limit": "5", "status": "a b"}
        assert answer["headers"]["accept"] == "application/json"


async def test_a_post_sends_json_with_its_length() -> None:
    async with served(mirror) as client:
        answer = await client.post("/filter", {"limit": 5})

        assert answer["body"] == {"limit": 5}
        assert "content-length" in answer["headers"]
        assert answer["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (Auth.bearer(SECRET), "authorization", f"Bearer {SECRET}"),
        (Auth("Authorization", f"token {SECRET}"), "authorization", f"token {SECRET}"),
        (Auth.basic("admin", "pw"), "authorization", "Basic YWRtaW46cHc="),
        (Auth("X-N8N-API-KEY", SECRET), "x-n8n-api-key", SECRET),
    ],
)
async def test_the_credential_is_one_header(auth: Auth, header: str, value: str) -> None:
    async with served(mirror, auth=auth) as client:
        answer = await client.get("/")

        assert value == answer["headers"][header]


async def test_nothing_is_sent_without_a_credential() -> None:
    async with served(mirror) as client:
        answer = await client.get("/")

        assert "authorization" not in answer["headers"]


@pytest.mark.parametrize(
    ("trouble", "error", "reason"),
    [
        (401, AuthFailed, "auth"),
        (403, AuthFailed, "auth"),
        (302, AuthFailed, "auth"),
        (404, Gone, "gone"),
        (410, Gone, "gone"),
        (429, RateLimited, "rate_limited"),
        (500, Unavailable, "unavailable"),
        (502, Unavailable, "unavailable"),
        (400, NotUnderstood, "not_understood"),
        (422, NotUnderstood, "not_understood"),
        (204, NotUnderstood, "not_understood"),
        ("garbage", NotUnderstood, "not_understood"),
        ("half", NotUnderstood, "not_understood"),
        ("cut", Unavailable, "unavailable"),
    ],
)
async def test_an_answer_that_is_none_is_named(trouble: Trouble, error: type[SourceError], reason: str) -> None:
    async with served(items, faults=Faults(after=trouble), auth=Auth.bearer(SECRET)) as client:
        with pytest.raises(error) as caught:
            await client.get("/executions", {"name": "private"})

        assert reason == caught.value.reason
        assert "GET /executions" in str(caught.value)
        for private in (SECRET, "private", "made-up trouble", "127.0.0.1"):
            assert private not in repr(caught.value) + str(caught.value.__cause__)


async def test_what_passes_is_tried_again() -> None:
    faults = Faults()
    faults.coming.extend([500, 429, "cut", None])
    async with served(items, faults=faults) as client:
        assert await client.get("/") == {"data": [1, 2, 3]}
        assert len(faults.requests) == 4


@pytest.mark.parametrize(
    ("trouble", "times"), [(503, 4), (429, 4), ("cut", 4), (401, 1), (400, 1), (404, 1), ("garbage", 1)]
)
async def test_only_what_may_pass_is_tried_again(trouble: Trouble, times: int) -> None:
    faults = Faults(after=trouble)
    async with served(items, faults=faults) as client:
        with pytest.raises(SourceError):
            await client.get("/")

        assert times == len(faults.requests)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_short_wait_is_sat_out(status: int) -> None:
    faults = Faults(retry_after="1")
    faults.coming.append(status)
    async with served(items, faults=faults) as client:
        began = asyncio.get_running_loop().time()
        await client.get("/")

        assert 1 <= asyncio.get_running_loop().time() - began < 5


async def test_a_long_wait_is_handed_to_the_poller() -> None:
    faults = Faults(after=429, retry_after="900")
    async with served(items, faults=faults) as client:
        with pytest.raises(RateLimited) as caught:
            await client.get("/")

        assert len(faults.requests) == 1
        assert timedelta(minutes=15) <= caught.value.until - AT < timedelta(minutes=16)


async def test_an_unstated_wait_is_a_minute() -> None:
    async with served(items, faults=Faults(after=429)) as client:
        with pytest.raises(RateLimited) as caught:
            await client.get("/")

        assert timedelta(minutes=1) <= caught.value.until - AT < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "99999999999999999999"}, None),
        ({"Retry-After": format_datetime(AT + timedelta(seconds=90), usegmt=True)}, 90),
        ({"Retry-After": format_datetime(AT - timedelta(seconds=90), usegmt=True)}, 0),
        ({"Retry-After": "Tue, 31 Mar 2026 00:01:30 -0000"}, 90),
        # The platform's clock is a day ahead of ours: what counts is how far apart its two dates are.
        (
            {
                "Retry-After": format_datetime(AT + timedelta(days=1, seconds=20), usegmt=True),
                "Date": format_datetime(AT + timedelta(days=1), usegmt=True),
            },
            20,
        ),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds == retry_after(headers, AT)


async def test_no_answer_in_time_is_unavailable() -> None:
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.json_response({})

    async with served(slow, timeout_seconds=0.05, attempts=2) as client:
        with pytest.raises(Unavailable, match=r"no answer within 0\.05 s"):
            await client.get("/")


async def test_a_connection_that_fails_is_told_in_words_and_without_the_address() -> None:
    async with TestServer(web.Application()) as plain:
        urls = [f"http://127.0.0.1:{unused_port()}", "http://nobody.invalid", f"https://127.0.0.1:{plain.port}"]
        told = []
        for url in urls:
            async with Client(HttpSettings(url=url, attempts=1), at=AT, since=SINCE) as client:
                with pytest.raises(Unavailable) as found:
                    await client.get("/items")
            told.append(str(found.value).removeprefix("GET /items: "))

    assert told == [
        "cannot connect: Connection refused",
        "cannot connect: the host name is unknown; check the url",
        "cannot connect by TLS; check the url, and whether the server speaks https",
    ]


async def test_nobody_there_is_unavailable() -> None:
    settings = HttpSettings(url=f"http://127.0.0.1:{unused_port()}", attempts=2, retry_wait_seconds=0.001)
    async with Client(settings, at=AT, since=SINCE) as client:
        with pytest.raises(Unavailable) as caught:
            await client.get("/health")

        assert "127.0.0.1" not in str(caught.value)


async def test_an_answer_is_given_up_when_it_is_too_large() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 1000:
            await response.write(b"x" * 100_000)
            sent += 1
        return response

    async with served(endless, max_response_bytes=1_000_000) as client:
        with pytest.raises(NotUnderstood, match="larger than 1000000 bytes"):
            await client.get("/")

        assert sent < 1000


async def test_the_size_counts_after_decompression() -> None:
    async def bomb(_request: web.Request) -> web.Response:
        response = web.Response(body=b"0" * 5_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with served(bomb, max_response_bytes=1_000_000) as client:
        with pytest.raises(NotUnderstood, match="larger"):
            await client.get("/")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'[{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b'}, {"a": "]"}]', [{"a": NEST}, {"a": "]"}]),
        (b'[{"a": "to do \\ud83d"}, {"a": "\\ud83d\\ude00"}]', [{"a": "to do \ufffd"}, {"a": "\U0001f600"}]),
        (b'[{"a": "cut \xf0\x9f"}, {"a": 1}]', [{"a": "cut \ufffd"}, {"a": 1}]),
        (b'[{"a": Infinity}, {"a": -Infinity}]', [{"a": math.inf}, {"a": -math.inf}]),
        (b'[{"a": ' + b"9" * 5_000 + b'}, {"a": 1}]', [{"a": math.inf}, {"a": 1}]),
    ],
)
async def test_what_only_lenient_readers_take_costs_no_other_item(sent: bytes, expected: Any) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=sent)

    async with served(answer) as client:
        assert expected == await client.get("/")


async def linked(request: web.Request) -> web.Response:
    """Three pages linked by a token, which may come in the query or in the body."""
    body = await request.json() if request.can_read_body else dict(request.query)
    page = int(body.get("token", 0))
    return web.json_response({"rows": [page], "next": str(page + 1) if page < 2 else None, "kept": body["kind"]})


@pytest.mark.parametrize("question", [{"params": {"kind": "a"}}, {"json": {"kind": "a"}}])
async def test_pages_follow_a_token(question: dict[str, Any]) -> None:
    async with served(linked) as client:
        pages = by_token(client, "/list", **question, items="rows", next_in="next", next_as="token")

        assert [page.items async for page in pages] == [[0], [1], [2]]


async def test_a_repeated_token_is_not_followed_for_ever() -> None:
    async def stuck(_request: web.Request) -> web.Response:
        return web.json_response({"data": [1], "next": "again"})

    async with served(stuck) as client:
        pages = by_token(client, "/list", items="data", next_in="next", next_as="cursor")
        with pytest.raises(NotUnderstood, match="repeats"):
            [page async for page in pages]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("as_body", [False, True])
async def test_offset_pages_bring_every_item_once(count: int, as_body: bool) -> None:
    async def numbers(request: web.Request) -> web.Response:
        question = await request.json() if as_body else request.query
        start = int(question["offset"])
        return web.json_response(list(range(count))[start : start + int(question["limit"])])

    async with served(numbers) as client:
        pages = by_offset(client, "/list", json={} if as_body else None, size=3)

        assert list(range(count)) == [item async for page in pages for item in page.items]


async def test_a_page_that_repeats_by_offset_is_not_read_for_ever() -> None:
    async def stuck(_request: web.Request) -> web.Response:
        return web.json_response([1, 2])

    async with served(stuck) as client:
        with pytest.raises(NotUnderstood, match="repeats"):
            [page async for page in by_offset(client, "/list", size=2)]


@pytest.mark.parametrize("answer", [{"data": {}}, {"rows": []}, [1], "text", None])
async def test_an_answer_without_a_list_is_not_understood(answer: Any) -> None:
    async def other(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    async with served(other) as client:
        with pytest.raises(NotUnderstood):
            [page async for page in by_token(client, "/list", items="data", next_in="next", next_as="cursor")]


def attempted(item: Any) -> Run | None:
    if item["mode"] == "test":
        return None
    return Run(
        id=item["id"].strip(),
        attempt=value("attempt", int, item["attempt"]),
        status=value("status", STATUS.__getitem__, item.get("status", "success")),
        started_at=value("started_at", instant, item.get("started"), "started"),
    )


STATUS: Words[RunStatus] = Words("status", {"success": "succeeded", "error": "failed"})


def client_at_rest(**settings: Any) -> Client:
    return Client(HttpSettings(url="http://unused"), at=AT, since=SINCE, **settings)


@pytest.mark.parametrize(
    ("more", "column", "reason", "text"),
    [
        ({"status": "paused"}, "status", "unknown_word", "'paused' is none of success, error"),
        ({"status": ["error"]}, "status", "wrong_shape", "has another shape than expected"),
        ({"started": "2026-10-28 13:35"}, "started_at", "no_time_zone", "'2026-10-28 13:35' has no time zone"),
        (
            {"started": "28/10/2026"},
            "started_at",
            "not_a_time",
            "'28/10/2026' is not a time, such as 2026-03-31T10:00:00Z",
        ),
        (
            {"started": "0001-01-01T00:00:00+14:00"},
            "started_at",
            "out_of_bounds",
            "'0001-01-01T00:00:00+14:00' is not between 1970 and 2200",
        ),
        ({"id": 4}, "item", "wrong_shape", "has another shape than expected"),
        ({"mode": Ellipsis}, "item", "missing", "'mode' is missing"),
    ],
)
async def test_an_item_that_cannot_be_placed_is_left_out_with_column_and_value(
    more: dict[str, Any], column: str, reason: str, text: str
) -> None:
    item = {"mode": "work", "id": "17", "attempt": "1"} | more
    item = {key: each for key, each in item.items() if each is not Ellipsis}
    client = client_at_rest()

    assert client.each([item], attempted) == []
    (found,) = client.left_out()
    assert (found.whole, found.place) == (True, f"id {item['id']}")
    assert [(each.column, each.reason, each.text) for each in found.faults] == [(column, reason, text)]
    assert client.left_out() == []


async def test_any_other_value_costs_only_itself() -> None:
    item = {"mode": "work", "id": "1", "attempt": "many"}
    client = client_at_rest()
    (read,) = client.each([item], attempted)

    assert Run(id="1", status="succeeded") == read.record
    assert [(each.column, each.reason) for each in read.faults] == [("attempt", "unexpected")]
    assert client.left_out() == []


async def test_all_that_is_wrong_with_an_item_is_told_at_once() -> None:
    item = {"mode": "work", "id": "1", "attempt": "1", "status": "Solved", "started": "2026-10-28 13:35"}
    client = client_at_rest()
    client.each([item], attempted)
    (found,) = client.left_out()

    assert [each.column for each in found.faults] == ["status", "started_at"]


async def test_what_the_config_fills_costs_no_record() -> None:
    item = {"mode": "work", "id": "1", "attempt": "1", "status": "Solved"}
    client = client_at_rest(mapped={Run: ["status"]})
    (read,) = client.each([item], attempted)

    assert Run(id="1", attempt=1) == read.record
    assert [each.column for each in read.faults] == ["status"]


def both(item: Any) -> list[Record]:
    opened = value("opened_at", instant, item["opened"])
    return [Request(id=item["id"], opened_at=opened), Incident(id=item["id"], opened_at=opened)]


async def test_one_item_becomes_several_records_and_they_are_left_out_together() -> None:
    client = client_at_rest()
    reads = client.each([{"id": "1", "opened": "2026-03-30T10:00:00Z"}, {"id": "2", "opened": "yesterday"}], both)

    assert [(type(each.record), each.record.id) for each in reads] == [(Request, "1"), (Incident, "1")]
    assert [each.place for each in client.left_out()] == ["id 2"]


async def test_what_the_config_fills_of_one_record_is_still_needed_of_the_other() -> None:
    client = client_at_rest(mapped={Incident: ["opened_at"]})

    assert client.each([{"id": "2", "opened": "yesterday"}], both) == []


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-03-31 10:00:00", UTC, "2026-03-31T10:00:00+00:00"),
        ("2026-03-31 10:00:00", ZoneInfo("Asia/Kolkata"), "2026-03-31T04:30:00+00:00"),
        ("2026-03-31T10:00:00Z", ZoneInfo("Asia/Kolkata"), "2026-03-31T10:00:00+00:00"),
        ("2026-03-28 12:00", ZoneInfo("Europe/Berlin"), "2026-03-28T11:00:00+00:00"),
        ("2026-03-29 12:00", ZoneInfo("Europe/Berlin"), "2026-03-29T10:00:00+00:00"),
        ("2026-10-25 02:30", ZoneInfo("Europe/Berlin"), "2026-10-25T00:30:00+00:00"),  # comes twice: the first
        ("2026-03-31", ZoneInfo("America/New_York"), "2026-03-31T04:00:00+00:00"),
    ],
)
def test_a_time_without_an_offset_is_of_the_zone_that_the_platform_has(text: str, zone: tzinfo, expected: str) -> None:
    found = instant(text, zone)

    assert found
    assert found.isoformat() == expected


async def test_a_server_that_is_not_in_utc_is_read_in_its_own_zone() -> None:
    async def server(request: web.Request) -> web.Response:
        if request.path == "/myself":
            return web.json_response({"timeZone": "Europe/Berlin"})
        times = {"1": "2026-03-29 01:59:00", "2": "2026-03-29 03:00:00"}  # the night in which an hour is left out
        return web.json_response([{"id": id_, "started": at} for id_, at in times.items()])

    async with served(server) as client:
        read = partial(instant, zone=ZoneInfo((await client.get("/myself"))["timeZone"]))
        runs = await client.get("/runs")
        reads = client.each(runs, lambda item: Run(id=item["id"], started_at=read(item["started"])))
    first, second = (each.record.started_at for each in reads if isinstance(each.record, Run))

    assert first
    assert second == first + timedelta(minutes=1)


@pytest.mark.parametrize(
    "odd", [RecursionError, MemoryError, ZeroDivisionError, LookupError, StopIteration, AssertionError]
)
async def test_no_kind_of_error_stops_the_other_items(odd: type[Exception]) -> None:
    def mapping(item: int) -> Run:
        if item == 1:
            raise odd("Jane Doe")
        return Run(id=str(item))

    client = client_at_rest()

    assert [read.record.id for read in client.each(range(3), mapping)] == ["0", "2"]
    assert "Jane" not in str(client.left_out())


async def test_what_is_learnt_beside_items_stays_unknown_where_it_cannot_be_read() -> None:
    client = client_at_rest()

    assert client.learnt("workflow", lambda item: item["name"], {"id": "7"}) is None
    assert client.learnt("workflow", lambda item: item["name"], {"id": "8", "name": "Invoices"}) == "Invoices"
    (found,) = client.left_out()
    assert (found.whole, found.place, found.faults[0].column) == (False, "id 7", "workflow")


async def test_every_answer_is_counted_by_its_code() -> None:
    counts, faults = Counts(), Faults()
    faults.coming.extend([500, 429])
    app = web.Application(middlewares=[faults.middleware()])
    app.router.add_get("/", items)
    async with TestServer(app) as server:
        settings = HttpSettings(url=str(server.make_url("/")), retry_wait_seconds=0.001)
        async with Client(settings, at=AT, since=SINCE, observe=counts) as client:
            await client.get("/")

    assert counts.codes == ["500", "429", "200"]
    assert counts.limited == 1


async def test_no_more_than_so_many_at_a_time() -> None:
    now = most = 0

    async def busy(_request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response({})

    async with served(busy, concurrency=2) as client:
        await client.gather(range(10), lambda number: client.get(f"/{number}"))

        assert most == 2


async def test_gathering_keeps_the_order_and_stops_at_the_first_error() -> None:
    async def by_number(request: web.Request) -> web.Response:
        number = int(request.path[1:])
        return web.json_response(number, status=404 if number == 3 else 200)

    async with served(by_number) as client:
        assert await client.gather([2, 0, 1], lambda number: client.get(f"/{number}")) == [2, 0, 1]
        with pytest.raises(Gone):
            await client.gather(range(6), lambda number: client.get(f"/{number}"))


async def test_a_rate_is_kept() -> None:
    async with served(items, rate=50) as client:
        began = asyncio.get_running_loop().time()
        await client.gather(range(10), lambda _number: client.get("/"))

        assert asyncio.get_running_loop().time() - began >= 9 / 50 * 0.9


async def test_a_proxy_is_used() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", mirror)
    async with TestServer(app) as server:
        settings = HttpSettings(url="http://platform.example.test/api", proxy=str(server.make_url("/")))
        async with Client(settings, at=AT, since=SINCE) as client:
            answer = await client.get("/runs")

    assert answer["headers"]["host"] == "platform.example.test"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that vouches for itself, with its key."""
    path = tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {path} -out {path}.only -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.only").read_text())
    return path


async def test_a_certificate_is_trusted_only_through_its_authority(certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    app = web.Application()
    app.router.add_get("/", items)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=tls)
    settings = HttpSettings(url=str(server.make_url("/")), attempts=1)
    async with Client(settings, at=AT, since=SINCE) as client:
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await client.get("/")
    async with Client(replace(settings, ca_file=str(certificate)), at=AT, since=SINCE) as client:
        answer = await client.get("/")
    await server.close()

    assert answer == {"data": [1, 2, 3]}


async def test_nothing_secret_is_shown() -> None:
    settings = HttpSettings(
        url=f"http://user:{SECRET}@host/api", auth=Auth.bearer(SECRET), proxy=f"http://user:{SECRET}@proxy"
    )
    async with Client(settings, at=AT, since=SINCE) as client:
        assert SECRET not in repr(settings) + repr(client) + repr(settings.auth)
        assert client.url == "http://host/api"


async def test_a_lent_session_is_left_open() -> None:
    async with aiohttp.ClientSession() as lent:
        async with Client(HttpSettings(url="http://unused"), http=lent, at=AT, since=SINCE):
            pass

        assert not lent.closed


async def test_a_page_of_too_many_items_is_not_understood() -> None:
    async def crowded(_request: web.Request) -> web.Response:
        return web.json_response({"data": [1, 2, 3]})

    async with served(crowded, most_items=2) as client:
        with pytest.raises(NotUnderstood, match="a page of 3 items; at most 2 are read"):
            [page async for page in by_token(client, "/list", items="data", next_in="next", next_as="cursor")]


async def test_a_list_of_ever_new_pages_is_given_up() -> None:
    tokens = iter(range(1, 1000))

    async def endless(_request: web.Request) -> web.Response:
        return web.json_response({"data": [next(tokens)], "next": str(next(tokens))})

    async with served(endless, most_pages=5) as client:
        with pytest.raises(NotUnderstood, match="more than 5 pages; the list would never end"):
            [page async for page in by_token(client, "/list", items="data", next_in="next", next_as="cursor")]
        with pytest.raises(NotUnderstood, match="more than 5 pages; the list would never end"):
            [page async for page in by_offset(client, "/list", items="data", size=1)]


async def test_items_are_mapped_in_another_thread_than_everything_else_runs_in() -> None:
    threads = set[int]()

    def noted(item: Any) -> Run:
        threads.add(threading.get_ident())
        return Run(id=item["id"])

    reads = await client_at_rest().mapped([{"id": "1"}, {"id": "2"}], noted)

    assert [read.record.id for read in reads] == ["1", "2"]
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("answer", [[{"id": 1, "x": None}] * 9000, {"data": [{"id": "\u00fc"}] * 9000, "next": None}])
def test_a_large_answer_decoded_in_parts_is_the_same(answer: Any) -> None:
    body = json.dumps(answer).encode()

    assert len(body) > AT_ONCE
    assert decoded_in_parts(body) == answer


def test_a_wait_until_the_year_9999_is_a_year() -> None:
    headers = {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}

    assert retry_after(headers, AT) == 366 * 86400
