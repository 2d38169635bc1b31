"""The HTTP server: metrics, pages, health, reload and JSON; over TCP and on a socket beside the store."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web, web_response

from exporter.base.defaults import MOST_CONNECTIONS
from exporter.collect.receive import Inbox
from exporter.publish.content_negotiation import format_for, gzip_wanted
from exporter.publish.exposition import Publisher
from exporter.records import Json
from exporter.server import listen, places
from exporter.server.gate import Gate
from exporter.server.hooks import Hooks
from exporter.server.page import Pages, SourceLine
from exporter.server.places import Listening, Places
from exporter.server.reach import (
    CARDS,
    EXPLAIN,
    HEALTHY,
    KPIS,
    READY,
    RELOAD,
    Reach,
    asker,
    foreign,
    hostname,
    named_well,
    passed_on,
)
from exporter.server.turns import Busy, Turns

log = logging.getLogger(__name__)

# What a stranger sends is no news: garbage is answered with 400 and not logged. What goes wrong in here is.
protocol_log = logging.getLogger(__name__ + ".protocol")
protocol_log.setLevel(logging.CRITICAL)

# The banner would tell strangers which versions of Python and aiohttp run here; aiohttp has no setting for it.
web_response.SERVER_SOFTWARE = "outcome-exporter"  # type: ignore[attr-defined]  # a constant of that module

IDLE_SECONDS = (
    130.0  # above the longest sensible scrape interval, 2 minutes; also how long a request may take to arrive
)
SHUTDOWN_SECONDS = 3.0
CHUNK = 256 * 1024
MOST_WAITING = 64  # for a page that has to be made

Answer = Callable[[Mapping[str, str]], Awaitable[Json]]
"""Answers a path with JSON; takes the query. Raises Refusal for a request that cannot be answered."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of ours
    """An answer other than 200, with the reason in plain words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """Gives the server what it shows, at the time of each request."""

    publisher: Publisher
    version: str
    now: Callable[[], datetime]
    ready: Callable[[], bool]
    state: Callable[[], str]  # a sentence for people: what it is doing, or why it is not ready
    sources: Callable[[], Sequence[SourceLine]]  # called in a thread: the store may be busy for long
    kpis: Callable[[], Json]  # called in a thread
    reload: Callable[[], Awaitable[str | None]]  # None, or why the old configuration stays
    trouble: Callable[[], str | None] = lambda: None  # what is wrong with the store, in words
    cards: Callable[[], Sequence[Mapping[str, Any]]] = tuple  # what /kpis shows; called in a thread
    explain: Answer | None = None  # what /explain shows
    lifecycle: bool = False
    reach: Reach = field(default_factory=Reach)
    send_seconds: float = 60.0  # a scraper that takes longer to read gave up long ago
    open_health: bool = False  # /-/healthy and /-/ready need no password
    routes: Mapping[str, Answer] = field(default_factory=dict)  # on every address
    local_routes: Mapping[str, Answer] = field(default_factory=dict)  # on the socket beside the store only
    inbox: Inbox | None = None  # takes what is pushed


class Server:
    """Listens from start() to stop(). `most` connections at once; those beside the store are not among them."""

    def __init__(self, surface: Surface, gate: Gate, most: int = MOST_CONNECTIONS) -> None:
        self._gate = gate
        self._places = Places(most, IDLE_SECONDS)
        self._public = _runner(application(surface, surface.routes, gate, self._places))
        self._local = _runner(application(surface, {**surface.routes, **surface.local_routes}))
        self._beside: Path | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self, addresses: Sequence[str], store: Path | None = None) -> list[str]:
        """Listen on every address, and beside the store; the URLs, or listen.ListenError and nothing is open."""
        sockets = await asyncio.to_thread(listen.tcp, list(addresses))
        try:
            local = None if store is None else listen.unix(listen.beside(store))
        except listen.ListenError:
            for each in sockets:
                each.close()
            raise
        asyncio.get_running_loop().set_exception_handler(places.quiet)
        self._sweeping = asyncio.create_task(places.swept(self._places))
        await self._public.setup()
        for each in sockets:
            listening = Listening.on(each, self._places)
            site = web.SockSite(self._public, listening, ssl_context=self._gate.context, backlog=places.AT_ONCE)
            await site.start()
        if store is not None and local is not None:
            self._beside = listen.beside(store)
            await self._local.setup()
            await web.SockSite(self._local, local).start()
        return sorted(site.name for site in self._public.sites)

    async def stop(self) -> None:
        """Stop listening, finish what is under way, then close."""
        if self._beside is not None:
            self._beside.unlink(missing_ok=True)
        await asyncio.gather(self._public.cleanup(), self._local.cleanup())
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._gate.close()


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        logger=protocol_log,
        keepalive_timeout=IDLE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        lingering_time=2.0,
        auto_decompress=False,  # what is pushed may be signed as it was sent
    )


def application(
    surface: Surface, routes: Mapping[str, Answer], gate: Gate | None = None, held: Places | None = None
) -> web.Application:
    """Every path, behind the gate. Without one it is for the owner of the store alone, and below no prefix."""
    reach = surface.reach if gate is not None else Reach(telemetry=surface.reach.telemetry)
    pages = Pages(reach.base)
    handlers = Handlers(surface, pages, [*routes], gate, reach)
    hooks = Hooks(surface.inbox, reach.prefix) if surface.inbox and gate is not None else None
    app = web.Application(
        middlewares=[
            _faults,
            *([] if held is None else [_asked(held)]),
            *([] if gate is None else [_guard(gate, reach if surface.open_health else None, hooks)]),
            *([] if held is None else [_held(held)]),
        ]
    )

    async def harden(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(pages.security_headers)

    app.on_response_prepare.append(harden)
    gets: dict[str, Handler] = {
        HEALTHY: handlers.healthy,
        READY: handlers.ready,
        KPIS: handlers.kpis,
        CARDS: handlers.cards,
        EXPLAIN: handlers.explain,
        "/": handlers.index,
        reach.telemetry: handlers.metrics,
        **{path: _answering(answer) for path, answer in routes.items()},
    }
    for path, handler in gets.items():
        app.router.add_get(reach.prefix + path, handler)
    for method in ("POST", "PUT"):
        app.router.add_route(method, reach.prefix + RELOAD, handlers.reload)
    if hooks:
        hooks.add_to(app)
    if reach.prefix:
        # Relative, and so right behind any proxy.
        app.router.add_get("/", _elsewhere(reach.prefix.removeprefix("/") + "/"))
        app.router.add_get(reach.prefix, _elsewhere(reach.prefix.rpartition("/")[2] + "/"))
    return app


def _elsewhere(location: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return handler


def _number(request: web.Request) -> int:
    """The file number of the connection of a request; -1 where it is closed."""
    here = request.transport.get_extra_info("socket") if request.transport else None
    return -1 if here is None else int(here.fileno())


def _asked(held: Places) -> Any:
    @web.middleware
    async def asked(request: web.Request, handler: Handler) -> web.StreamResponse:
        held.request_came(_number(request))
        return await handler(request)

    return asked


def _held(held: Places) -> Any:
    @web.middleware
    async def holding(request: web.Request, handler: Handler) -> web.StreamResponse:
        """A connection keeps its place while it is answered."""
        with held.answering(_number(request)):
            return await handler(request)

    return holding


@web.middleware
async def _faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A fault in a handler costs one answer, and says nothing about itself to strangers."""
    try:
        if not named_well(request.host):
            raise Refusal(400, "the Host header is not a host, or host:port")
        return await handler(request)
    except Refusal as refusal:
        return web.Response(status=refusal.status, text=f"{refusal}\n")
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        log.exception("%s %s could not be answered", request.method, request.path)
        return web.Response(status=500, text="something went wrong; see the exporter's log\n")


def _gone(request: web.Request) -> bool:
    """Whether the asker has hung up."""
    return request.transport is None or request.transport.is_closing()


def _guard(gate: Gate, open_health: Reach | None, hooks: Hooks | None) -> Any:
    free = frozenset() if open_health is None else {open_health.prefix + path for path in (HEALTHY, READY)}

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            given = request.headers.get("Authorization", "")
            free_here = request.path in free or (hooks is not None and hooks.is_one(request.path))
            allowed = free_here or await gate.allows(given, asker(request), lambda: _gone(request))
        except Busy:
            raise Refusal(429, "too many passwords are waiting to be checked; try again later") from None
        if not allowed:
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": 'Basic realm="outcome-exporter", charset="UTF-8"'}, text="Unauthorized\n"
            )
        return await handler(request)

    return guard


def _answering(answer: Answer) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return _json(await answer(request.query))

    return handler


def _json(value: Json) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", charset="utf-8")


class Handlers:
    """One method per path."""

    def __init__(self, surface: Surface, pages: Pages, extra: Sequence[str], gate: Gate | None, reach: Reach) -> None:
        self._surface = surface
        self._gate = gate
        self._pages = pages
        self._reach = reach
        self._turns = Turns(MOST_WAITING)
        self._listing = asyncio.Lock()  # threads are few: those who ask for / wait with one of them
        self._links = [
            (reach.telemetry, "the metrics, for Prometheus"),
            (CARDS, "what each KPI means, its present value, and the records behind it"),
            (KPIS, "the present value of each KPI, as JSON"),
            (HEALTHY, "200 while the process is working"),
            (READY, "200 once the first values are published"),
            *((path, "JSON") for path in extra),
        ]

    async def healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="Outcome Exporter is healthy.\n")

    async def ready(self, _request: web.Request) -> web.Response:
        if self._surface.ready():
            trouble = self._surface.trouble()
            note = f"The store: {trouble}.\n" if trouble else ""
            return web.Response(text=f"Outcome Exporter is ready.\n{note}")
        return web.Response(status=503, text=f"Outcome Exporter is not ready. {self._surface.state()}\n")

    async def reload(self, request: web.Request) -> web.Response:
        if not self._surface.lifecycle:
            raise Refusal(403, "reloading over HTTP is off; start with --web.enable-lifecycle, or send SIGHUP")
        if foreign(request, self._reach):
            raise Refusal(403, "requests from another web site are refused")
        if (reason := await self._surface.reload()) is not None:
            raise Refusal(500, f"the previous config stays in use: {reason}")
        return web.Response(text="the new config is in use\n")

    async def kpis(self, request: web.Request) -> web.Response:
        async with self._turn(request):
            return await asyncio.to_thread(lambda: _json(self._surface.kpis()))

    async def cards(self, request: web.Request) -> web.Response:
        async with self._turn(request):
            page = await asyncio.to_thread(lambda: self._pages.other("kpis", cards=self._surface.cards()))
        return web.Response(text=page, content_type="text/html")

    @asynccontextmanager
    async def _turn(self, request: web.Request) -> AsyncIterator[None]:
        """One page at a time is made, away from the event loop, each address in turn: a crowd delays no scrape."""
        try:
            async with self._turns.turn(asker(request), lambda: _gone(request)):
                if _gone(request):
                    raise ConnectionResetError("nobody is waiting for this page any more")
                yield
        except Busy:
            raise Refusal(429, "too many pages are being requested at once; try again later") from None

    async def explain(self, request: web.Request) -> web.Response:
        if self._surface.explain is None:
            raise Refusal(404, "explanations are not available here")
        if self._gate is not None:
            here = request.transport.get_extra_info("sockname") if request.transport else None
            host, through = hostname(request.host), self._reach.away or passed_on(request)
            if (reason := self._gate.keeps_records(here[0] if here else "", host, passed_on=through)) is not None:
                raise Refusal(403, reason)
        async with self._turn(request):
            shown = await self._surface.explain(request.query)
            page = await asyncio.to_thread(lambda: self._pages.other("explain", **shown))
        return web.Response(text=page, content_type="text/html")

    async def index(self, _request: web.Request) -> web.Response:
        surface = self._surface
        async with self._listing:
            sources = await asyncio.to_thread(surface.sources)
        page = self._pages.index(
            version=surface.version,
            ready=surface.ready(),
            state=surface.state(),
            trouble=surface.trouble(),
            at=surface.publisher.at,
            now=surface.now(),
            series=surface.publisher.series,
            sources=sources,
            links=self._links,
            prefix=self._reach.prefix,
        )
        return web.Response(text=page, content_type="text/html")

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        format_ = format_for(request.headers.get("Accept", ""))
        gzip = gzip_wanted(request.headers.get("Accept-Encoding", ""))
        body = self._surface.publisher.body(format_)
        content = body.gzip if gzip else body.plain
        response = web.StreamResponse(
            headers={"Content-Type": format_.content_type, "Vary": "Accept, Accept-Encoding"}
            | ({"Content-Encoding": "gzip"} if gzip else {})
        )
        response.content_length = len(content)
        await _send(request, response, content, self._surface.send_seconds)
        return response


async def _send(request: web.Request, response: web.StreamResponse, content: bytes, seconds: float) -> None:
    """In chunks, so that a scraper that does not read costs a chunk of memory and not a copy of everything."""
    try:
        async with asyncio.timeout(seconds):
            await response.prepare(request)
            view = memoryview(content) if request.method != "HEAD" else memoryview(b"")
            for start in range(0, len(view), CHUNK):
                await response.write(view[start : start + CHUNK])
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the scraper did not read the response") from None
