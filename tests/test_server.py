"""The HTTP surface over real sockets: paths, strangers, crowds, and the socket beside the store."""

import asyncio
import base64
import gzip
import hashlib
import json
import logging
import socket
import stat
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry, Gauge
from yarl import URL

from exporter.evaluation.plan import Plan
from exporter.evaluation.stats import Family, Snapshot
from exporter.publish.content_negotiation import TEXT
from exporter.publish.exposition import Publisher
from exporter.server import Refusal, Server, Surface, listen
from exporter.server.ask import ask
from exporter.server.cards import listing
from exporter.server.gate import Gate
from exporter.server.overview import overview
from exporter.server.page import ago
from exporter.server.reach import asker, reach
from exporter.server.sources import SourceLine
from tests import deadline

AT = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)


def no_cards(_query: Any) -> dict[str, Any]:
    return listing(None, Plan(settings=[], windows=[("1d", 86400)], labels={})) | {"state": "running"}


class Stage:
    """A server on a free port; what it shows can be changed while it runs."""

    def __init__(self) -> None:
        self.ready = True
        self.fault: str | None = None
        self.not_reloaded = ""
        self.reloads = 0
        self.sources = [
            SourceLine(
                name="desk", kind="request-tracker", state="fresh", last_success_at=AT, notes=["Not mapped: team <b>"]
            ),
            SourceLine(
                name="<b>flows</b>",
                kind="n8n",
                state="failing",
                error="the credential is refused: 401 <b>",
                next_at=AT + timedelta(minutes=20),
                last_success_at=None,
            ),
        ]
        self.base = ""
        self.urls: list[str] = []
        self.servers: list[Server] = []
        self.registry = CollectorRegistry()
        self.publisher = Publisher(self.registry, seconds=lambda: 0.0, refused=lambda: None)

    async def reload(self) -> str | None:
        self.reloads += 1
        return self.fault

    async def start(
        self,
        *,
        addresses: Sequence[str] = ("127.0.0.1:0",),
        store: Path | None = None,
        gate: Gate | None = None,
        most: int = 512,
        **changes: Any,
    ) -> str:
        async def explain(query: Any, _most: int = 0) -> Any:
            if query.get("kpi") == "bug":
                raise ZeroDivisionError("secret detail")
            if "kpi" not in query:
                raise Refusal(400, "name a kpi, as in ?kpi=no_show_ratio")
            return {"kpi": query["kpi"]}

        surface = Surface(
            **{
                "publisher": self.publisher,
                "version": "1.2.3",
                "now": lambda: AT + timedelta(minutes=5),
                "ready": lambda: self.ready,
                "state": lambda: "First sync of desk: 40 %.",
                "overview": lambda: overview(None, self.sources, not_reloaded=self.not_reloaded, loaded_at=AT),
                "cards": no_cards,
                "kpis": lambda: [{"name": "no_show_ratio"}],
                "reload": self.reload,
                "routes": {"/api/v1/explain": explain},
                "local_routes": {"/api/v1/store": explain},
                "explain": explain,
                **changes,
            }
        )
        server = Server(surface, gate or Gate(None), most)
        self.servers.append(server)
        self.urls = await server.start(addresses, store)
        self.base = self.urls[0].rstrip("/")
        return self.base

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    for server in stage.servers:
        await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession(auto_decompress=False, connector=TCPConnector(limit=0)) as session:
        yield session


async def figures(stage: Stage, series: int = 3) -> None:
    samples = tuple(((f"team {number:05}",), number / 7) for number in range(series))
    await stage.publisher.swap(Snapshot(AT, (Family("outcome_x_ratio", "X.", "gauge", ("team",), samples),)))


async def fetch(http: ClientSession, url: str, method: str = "GET", **kwargs: Any) -> tuple[int, Any, bytes]:
    async with http.request(method, url, **kwargs) as response:
        return response.status, response.headers, await response.read()


async def raw(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(65536), deadline.seconds(10))
    writer.close()
    return answer


async def test_every_path_answers_as_documented(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    await figures(stage)
    statuses = {}
    for method, path in [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("HEAD", "/metrics"),
        ("POST", "/metrics"),
        ("DELETE", "/metrics"),
        ("OPTIONS", "/metrics"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
        ("GET", "/-/reload"),
        ("POST", "/-/reload"),
        ("GET", "/api/v1/kpis"),
        ("GET", "/api/v1/explain?kpi=x"),
        ("GET", "/api/v1/explain"),
        ("GET", "/api/v1/store?kpi=x"),
        ("GET", "/nothing/here"),
        ("GET", "//etc/passwd"),
        ("GET", "/metrics/../-/healthy"),
    ]:
        statuses[f"{method} {path}"] = (await fetch(http, base + path, method))[0]

    assert statuses == {
        "GET /": 200,
        "GET /metrics": 200,
        "HEAD /metrics": 200,
        "POST /metrics": 405,
        "DELETE /metrics": 405,
        "OPTIONS /metrics": 405,
        "GET /-/healthy": 200,
        "GET /-/ready": 200,
        "GET /-/reload": 405,
        "POST /-/reload": 403,
        "GET /api/v1/kpis": 200,
        "GET /api/v1/explain?kpi=x": 200,
        "GET /api/v1/explain": 400,
        "GET /api/v1/store?kpi=x": 404,
        "GET /nothing/here": 404,
        "GET //etc/passwd": 404,
        "GET /metrics/../-/healthy": 200,
    }


async def test_a_scrape_gets_format_encoding_and_length_as_it_asked(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    await figures(stage)
    plain = await fetch(http, base + "/metrics", headers={"Accept-Encoding": "identity"})
    zipped = await fetch(
        http,
        base + "/metrics",
        headers={"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"},
    )
    head = await fetch(http, base + "/metrics", "HEAD", headers={"Accept-Encoding": "identity"})

    assert plain[1]["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "Content-Encoding" not in plain[1]
    assert plain[1]["Vary"] == "Accept, Accept-Encoding"
    assert zipped[1]["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert zipped[1]["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped[2]).endswith(b"\n# EOF\n")
    assert (head[1]["Content-Length"], head[2]) == (str(len(plain[2])), b"")


async def test_two_hundred_scrapers_at_once_get_identical_bodies(stage: Stage, http: ClientSession) -> None:
    Gauge("outcome_busy", "Changes all the time.", registry=stage.registry).set(1)
    base = await stage.start()
    await figures(stage, 5000)
    bodies = await asyncio.gather(*(fetch(http, base + "/metrics") for _ in range(200)))

    assert {status for status, _, _ in bodies} == {200}
    assert len({body for _, _, body in bodies}) == 1
    assert gzip.decompress(bodies[0][2]).count(b"outcome_x_ratio{") == 5000


async def test_a_crowd_for_pages_delays_no_scrape_and_costs_nothing_once_it_has_hung_up(
    stage: Stage, http: ClientSession
) -> None:
    made, go = list[int](), threading.Event()

    def cards(_query: Any) -> dict[str, Any]:
        made.append(1)
        go.wait(10)
        return no_cards(_query)

    base = await stage.start(cards=cards)
    crowd = [await asyncio.open_connection("127.0.0.1", stage.port) for _ in range(70)]
    for _, writer in crowd:
        writer.write(b"GET /kpis HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    status, _, _ = await asyncio.wait_for(fetch(http, base + "/metrics"), deadline.seconds(10))
    refused = await asyncio.wait_for(fetch(http, base + "/kpis"), deadline.seconds(10))
    for _, writer in crowd:
        writer.transport.abort()
    await asyncio.wait_for(fetch(http, base + "/metrics"), deadline.seconds(10))
    go.set()
    after = await asyncio.wait_for(fetch(http, base + "/kpis"), deadline.seconds(10))

    assert (status, refused[0], after[0]) == (200, 429, 200)
    assert len(made) <= 3


async def test_ready_is_503_until_ready_and_says_why(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    stage.ready = False
    before = await fetch(http, base + "/-/ready")
    healthy = await fetch(http, base + "/-/healthy")
    stage.ready = True
    after = await fetch(http, base + "/-/ready")

    assert (before[0], before[2]) == (503, b"Outcome Exporter is not ready. First sync of desk: 40 %.\n")
    assert (healthy[0], after[0]) == (200, 200)


async def test_reload_works_only_where_it_is_switched_on_and_tells_what_went_wrong(
    stage: Stage, http: ClientSession
) -> None:
    base = await stage.start(lifecycle=True)
    good = await fetch(http, base + "/-/reload", "PUT")
    stage.fault = "config.yaml:3: intervall: did you mean 'interval'?"
    bad = await fetch(http, base + "/-/reload", "POST")
    foreign = await fetch(http, base + "/-/reload", "POST", headers={"Sec-Fetch-Site": "cross-site"})
    ours = await fetch(http, base + "/-/reload", "POST", headers={"Origin": base})

    assert (good[0], good[2]) == (200, b"the new config is in use\n")
    assert (500, f"the previous config stays in use: {stage.fault}\n".encode()) == (bad[0], bad[2])
    assert (foreign[0], ours[0], stage.reloads) == (403, 500, 3)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", ""])
async def test_another_web_site_cannot_make_a_browser_reload(stage: Stage, http: ClientSession, origin: str) -> None:
    base = await stage.start(lifecycle=True)
    headers = CIMultiDict([("Origin", base), ("Origin", origin)])
    status, _, body = await fetch(http, base + "/-/reload", "POST", headers=headers)

    assert (status, body, stage.reloads) == (403, b"requests from another web site are refused\n", 0)


async def test_a_reload_from_the_page_behind_a_proxy_is_one_of_ours(stage: Stage, http: ClientSession) -> None:
    base = await stage.start(lifecycle=True, reach=reach("https://Host.example/outcome", "/"))
    status, _, _ = await fetch(http, base + "/-/reload", "POST", headers={"Origin": "https://host.example"})

    assert (status, stage.reloads) == (200, 1)


PATHS = ("/", "/metrics", "/kpis", "/-/healthy", "/-/ready", "/api/v1/kpis", "/api/v1/explain?kpi=x")


async def test_every_route_is_below_the_prefix_health_too(stage: Stage, http: ClientSession) -> None:
    base = await stage.start(reach=reach("https://host.example/a/outcome/"), lifecycle=True)
    below = {path: (await fetch(http, f"{base}/a/outcome{path}"))[0] for path in PATHS}
    above = {path: (await fetch(http, base + path))[0] for path in PATHS[1:]}
    reloaded = await fetch(http, f"{base}/a/outcome/-/reload", "POST")
    to_the_page = [
        (await fetch(http, base + path, allow_redirects=False))[1]["Location"] for path in ("/", "/a/outcome")
    ]
    arrived = [(await fetch(http, base + path))[0] for path in ("/", "/a/outcome")]

    assert below == dict.fromkeys(PATHS, 200)
    assert above == dict.fromkeys(PATHS[1:], 404)
    assert (reloaded[0], to_the_page, arrived) == (200, ["a/outcome/", "outcome/"], [200, 200])


@pytest.mark.parametrize(
    ("external_url", "route_prefix", "page", "href"),
    [
        ("", None, "/", "./kpis"),
        ("http://localhost/outcome", None, "/outcome/", "/outcome/kpis"),
        ("http://localhost/outcome", "/", "/", "/outcome/kpis"),
        ("", "outcome/", "/outcome/", "./kpis"),
        ("/outcome", None, "/outcome/", "/outcome/kpis"),
        ("http://localhost", None, "/", "./kpis"),
    ],
)
async def test_links_lead_where_the_proxy_serves_the_pages(
    stage: Stage, http: ClientSession, external_url: str, route_prefix: str | None, page: str, href: str
) -> None:
    base = await stage.start(reach=reach(external_url, route_prefix))
    _, _, body = await fetch(http, base + page)

    assert f'href="{href}"' in body.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"external_url": "host.example:80/x"},
        {"external_url": "ftp://host.example"},
        {"external_url": "https://host.example/?a=b"},
        {"external_url": "https://me:secret@host.example"},
        {"external_url": "https://host.example:port"},
        {"external_url": "https://[::1"},
        {"route_prefix": "/{x}"},
        {"route_prefix": "/a b"},
        {"telemetry_path": "/kpis"},
        {"telemetry_path": "/{metrics}"},
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_with_what_would_be_right(wrong: dict[str, str]) -> None:
    with pytest.raises(
        listen.ListenError, match=r"--web\..* (write|choose) .*(as in|such as) /|write the address like https://"
    ):
        reach(**wrong)


@pytest.mark.parametrize(
    "host", ["localhost:99999", "localhost:port", "[::1", "a:1:2", "[localhost]", "::1", "a@localhost", "a b", "é"]
)
async def test_a_host_that_is_none_is_answered_with_400_and_not_logged(
    stage: Stage, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.start(explain=lambda _: None)
    answers = [
        await raw(stage.port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        for path in ("/explain?kpi=x", "/metrics", "/", "/nothing")
    ]

    assert {answer[9:12] for answer in answers} == {b"400"}
    assert caplog.records == []


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("127.0.0.1", ("192.0.2.1",), "192.0.2.1"),
        ("127.0.0.1", ("forged, 192.0.2.1",), "192.0.2.1"),
        ("127.0.0.1", ("forged", "192.0.2.1"), "192.0.2.1"),
        ("127.0.0.1", ("",), "127.0.0.1"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("192.0.2.9", ("192.0.2.1",), "192.0.2.9"),
    ],
)
def test_only_a_proxy_of_this_machine_is_believed_in_who_asks(
    peer: str, forwarded: tuple[str, ...], expected: str
) -> None:
    headers = CIMultiDict(("X-Forwarded-For", each) for each in forwarded)
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)

    assert expected == asker(request)


async def test_a_store_that_is_busy_holds_up_the_landing_page_and_nothing_else(
    stage: Stage, http: ClientSession
) -> None:
    go = threading.Event()
    base = await stage.start(overview=lambda: overview(None, stage.sources if go.wait(20) else []))
    await figures(stage)
    pages = [asyncio.create_task(fetch(http, base + "/")) for _ in range(40)]
    meanwhile = [(await fetch(http, base + path))[0] for path in ("/-/healthy", "/metrics", "/api/v1/kpis")]
    go.set()

    assert meanwhile == [200, 200, 200]
    assert {status for status, _, _ in await asyncio.gather(*pages)} == {200}


async def test_the_landing_page_shows_the_sources_escaped_and_runs_no_script_but_ours(
    stage: Stage, http: ClientSession
) -> None:
    base = await stage.start()
    await figures(stage)
    _, headers, body = await fetch(http, base + "/")
    page = body.decode()

    assert "Version 1.2.3" in page
    assert '2026-03-31 09:30 UTC <span class="age">(5 minutes ago)</span>, 3 series' in page
    assert "The credential is refused: 401 &lt;b&gt;; next try at 09:50 UTC." in page
    assert "Config loaded 5 minutes ago." in page
    assert "&lt;b&gt;flows&lt;/b&gt;" in page
    assert "✗ failing" in page
    assert "Not mapped: team &lt;b&gt;" in page
    assert page.count("<script") == 1
    assert "<b>" not in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert f"script-src '{digest(page, 'script')}'" in headers["Content-Security-Policy"]


def digest(page: str, tag: str) -> str:
    """What a Content-Security-Policy calls the text of an element."""
    text = page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/nothing/here", 404, "There is nothing at /nothing/here."),
        ("GET", "/%3Cb%3E/x", 404, "There is nothing at /&lt;b&gt;/x."),
        ("POST", "/kpis", 405, "/kpis accepts GET and HEAD, not POST."),
        ("GET", "/explain", 400, "Name a kpi, as in ?kpi=no_show_ratio."),
        ("GET", "/explain?kpi=bug", 500, "Something went wrong; see the exporter"),
    ],
)
async def test_every_error_is_a_page_with_a_way_back(
    stage: Stage, http: ClientSession, method: str, path: str, status: int, said: str
) -> None:
    base = await stage.start()
    found, headers, body = await fetch(http, base + path, method)
    page = body.decode()
    back = page.partition('class="home" href="')[2].partition('"')[0]

    assert (found, headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert said in page
    assert str(URL(base + path).join(URL(back))) == f"{base}/"
    assert ("Allow" in headers) == (status == 405)


@pytest.mark.parametrize("path", ["/nothing", "/outcome/a/b/c", "/outcome/kpis/", "/"])
@pytest.mark.parametrize("away", ["", "http://localhost/outcome"])
async def test_the_way_back_from_an_error_leads_below_the_prefix(
    stage: Stage, http: ClientSession, path: str, away: str
) -> None:
    base = await stage.start(reach=reach(away, "/outcome"))
    _, _, body = await fetch(http, base + path, "DELETE")
    back = body.decode().partition('class="home" href="')[2].partition('"')[0]

    assert str(URL(base + path).join(URL(back))) == f"{base}/outcome/"


async def test_programs_get_errors_as_they_read_them(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    found = {
        f"{method} {path}": await fetch(http, base + path, method)
        for method, path in [
            ("GET", "/api/v1/explain"),
            ("GET", "/api/v1/nothing"),
            ("POST", "/metrics"),
            ("POST", "/-/reload"),
            ("POST", "/events/x"),
        ]
    }

    assert {key: (status, headers.get("Content-Type"), body) for key, (status, headers, body) in found.items()} == {
        "GET /api/v1/explain": (400, JSON, b'{"error":"name a kpi, as in ?kpi=no_show_ratio"}'),
        "GET /api/v1/nothing": (404, JSON, b'{"error":"there is nothing at /api/v1/nothing"}'),
        "POST /metrics": (405, TEXT_, b"/metrics accepts GET and HEAD, not POST\n"),
        "POST /-/reload": (
            403,
            TEXT_,
            b"reloading over HTTP is off; start with --web.enable-lifecycle, or send SIGHUP\n",
        ),
        "POST /events/x": (404, TEXT_, b"there is nothing at /events/x\n"),
    }


JSON, TEXT_ = "application/json; charset=utf-8", "text/plain; charset=utf-8"


async def test_every_answer_has_security_headers_and_no_banner(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    answers = [await fetch(http, base + path) for path in ("/", "/metrics", "/api/v1/explain", "/nothing")]

    for _, headers, _ in answers:
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "outcome-exporter"
    assert b"aiohttp" not in await raw(stage.port, b"\x16\x03\x01\x00 nonsense\r\n\r\n")


async def test_a_fault_in_a_handler_is_logged_and_tells_strangers_nothing(
    stage: Stage, http: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    base = await stage.start()
    status, _, body = await fetch(http, base + "/api/v1/explain?kpi=bug")

    assert status == 500
    assert b"secret detail" not in body
    assert [record.getMessage() for record in caplog.records] == ["GET /api/v1/explain could not be answered"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ],
)
async def test_garbage_is_answered_with_400_and_neither_stops_nor_fills_the_log(
    stage: Stage, http: ClientSession, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    base = await stage.start()
    caplog.set_level(logging.INFO)
    answer = await raw(stage.port, garbage)

    assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert (await fetch(http, base + "/-/healthy"))[0] == 200
    assert caplog.records == []


async def test_scrapers_that_never_read_and_half_requests_do_not_hold_up_others(
    stage: Stage, http: ClientSession
) -> None:
    base = await stage.start()
    await figures(stage, 20000)
    hanging = []
    for sent in (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /met", b"POST /-/reload HTTP/1.1\r\nHost: x\r\n"):
        for _ in range(30):
            _, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1)
            writer.write(sent)
            hanging.append(writer)
    status, _, body = await asyncio.wait_for(fetch(http, base + "/metrics"), deadline.seconds(10))
    for writer in hanging:
        writer.transport.abort()

    assert (status, gzip.decompress(body).count(b"outcome_x_ratio{")) == (200, 20000)


@pytest.mark.slow
async def test_a_scraper_that_takes_too_long_to_read_is_cut_off(stage: Stage) -> None:
    await stage.start(send_seconds=0.0)
    await figures(stage, 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, begun = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), deadline.seconds(10))).partition(
        b"\r\n\r\n"
    )
    with suppress(ConnectionResetError):
        begun += await asyncio.wait_for(reader.read(-1), deadline.seconds(10))
    writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(begun) < len(stage.publisher.body(TEXT).plain)


async def test_stopping_closes_at_once_though_connections_are_kept_alive(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    await fetch(http, base + "/-/healthy")
    await asyncio.wait_for(stage.servers.pop().stop(), deadline.seconds(2))

    with pytest.raises(ConnectionRefusedError):
        await raw(stage.port, b"GET / HTTP/1.1\r\n\r\n")


async def test_the_running_exporter_answers_beside_its_store_however_deep_the_folder(
    stage: Stage, tmp_path: Path
) -> None:
    folder = tmp_path / ("d" * 120) / ("e" * 120)
    folder.mkdir(parents=True)
    store = folder / "store.duckdb"

    assert await ask(store, "/api/v1/kpis") is None
    await stage.start(store=store)
    beside = folder / "store.duckdb.sock"
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert await ask(store, "/api/v1/kpis") == [{"name": "no_show_ratio"}]
    assert await ask(store, "/api/v1/store?kpi=%C3%A9") == {"kpi": "é"}
    with pytest.raises(Refusal, match="name a kpi"):
        await ask(store, "/api/v1/explain")
    await stage.servers.pop().stop()
    assert not beside.exists()
    assert await ask(store, "/api/v1/kpis") is None


async def test_an_exporter_that_is_busy_is_not_taken_for_one_that_does_not_run(stage: Stage, tmp_path: Path) -> None:
    asked, done = asyncio.Event(), asyncio.Event()

    async def slow(query: Any) -> Any:
        asked.set()
        await done.wait()
        return {"kpi": query["kpi"]}

    await stage.start(store=tmp_path / "s", local_routes={"/api/v1/slow": slow})

    with pytest.raises(Refusal, match="did not answer within 0 s"):
        await ask(tmp_path / "s", "/api/v1/slow?kpi=x", seconds=0.1)
    asked.clear()
    waiting = asyncio.create_task(ask(tmp_path / "s", "/api/v1/slow?kpi=x", seconds=None))
    await asked.wait()
    done.set()
    assert await waiting == {"kpi": "x"}


async def test_the_socket_beside_the_store_needs_no_password(stage: Stage, tmp_path: Path, http: ClientSession) -> None:
    (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{me: $2b$04${'a' * 53}}}")
    base = await stage.start(store=tmp_path / "s", gate=Gate(tmp_path / "web.yaml"))

    assert (await fetch(http, base + "/metrics"))[0] == 401
    assert await ask(tmp_path / "s", "/api/v1/kpis") == [{"name": "no_show_ratio"}]


async def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(stage: Stage, tmp_path: Path) -> None:
    store = tmp_path / "s"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "s.sock"))
    left.close()
    await stage.start(store=store)

    with pytest.raises(listen.ListenError, match="another exporter is running on this store"):
        await stage.start(store=store)
    assert await ask(store, "/api/v1/kpis") == [{"name": "no_show_ratio"}]


async def test_a_file_that_is_no_socket_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "s.sock").write_text("precious")
    with pytest.raises(listen.ListenError, match="another file has that name"):
        await stage.start(store=tmp_path / "s")

    assert (tmp_path / "s.sock").read_text() == "precious"


async def test_an_address_in_use_is_a_clear_error_and_leaves_nothing_open(stage: Stage) -> None:
    await stage.start()
    free = listen.tcp(["127.0.0.1:0"])[0]
    port = free.getsockname()[1]
    free.close()

    with pytest.raises(listen.ListenError) as refused:
        listen.tcp([f"127.0.0.1:{port}", f"127.0.0.1:{stage.port}"])
    assert (
        f"cannot listen on 127.0.0.1:{stage.port}: Address already in use; another program is listening there"
        in str(refused.value)
    )
    listen.tcp([f"127.0.0.1:{port}"])[0].close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9999", ("127.0.0.1", 9999)),
        (":9999", ("", 9999)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses_are_read_as_prometheus_writes_them(text: str, expected: tuple[str, int]) -> None:
    assert expected == listen.address(text)


@pytest.mark.parametrize("text", ["9999", "::1:9999", "host:", "host:x", "host:65536", "host:-1", "host:٣", ""])
def test_what_is_no_address_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(listen.ListenError, match=r"is not an address: (write host:port|put \[ \])"):
        listen.address(text)


async def test_every_interface_and_ipv6_can_be_listened_on(stage: Stage, http: ClientSession) -> None:
    await stage.start(addresses=[":0", "[::1]:0", "127.0.0.1:0"])
    ports = [int(url.rstrip("/").rpartition(":")[2]) for url in stage.urls]
    seen = {
        (host, number): (await fetch(http, f"http://{host}:{port}/-/healthy"))[0]
        for host in ("127.0.0.1", "[::1]")
        for number, port in enumerate(ports)
        if stage.urls[number].startswith((f"http://{host}", "http://[::]"))
    }

    assert list(seen.values()) == [200] * 4


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3600, "60 minutes ago"),
        (7200, "2 hours ago"),
        (86400, "24 hours ago"),
        (172800, "2 days ago"),
        (-1, "in the future"),
    ],
)
def test_ages_are_told_in_one_unit(seconds: int, expected: str) -> None:
    assert expected == ago(AT, AT + timedelta(seconds=seconds))


async def test_answers_in_json_are_json(stage: Stage, http: ClientSession) -> None:
    base = await stage.start()
    _, headers, body = await fetch(http, base + "/api/v1/kpis")

    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(body) == [{"name": "no_show_ratio"}]


def test_a_store_name_too_long_for_a_socket_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(listen.ListenError, match="give the store a shorter name"):
        listen.unix(tmp_path / ("n" * 100))
    assert list(tmp_path.iterdir()) == []
