"""The HTTP server: metrics, pages, health, reload and JSON; over TCP and on a socket beside the store."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web, web_response

from exporter.base.defaults import MOST_CONNECTIONS
from exporter.server import listen, places
from exporter.server.gate import Gate
from exporter.server.handlers import Handler, Handlers, answering, gone
from exporter.server.hooks import Hooks
from exporter.server.page import Pages
from exporter.server.places import Listening, Places
from exporter.server.reach import CARDS, EXPLAIN, EXPLAINED, HEALTHY, KPIS, READY, RELOAD, REPORT, Reach, asker
from exporter.server.refusals import Refusals
from exporter.server.surface import Answer, Refusal, Surface
from exporter.server.turns import Busy

__all__ = ["Answer", "Refusal", "Server", "Surface", "listen"]

# What a stranger sends is no news: garbage is answered with 400 and not logged. What goes wrong in here is.
protocol_log = logging.getLogger(__name__ + ".protocol")
protocol_log.setLevel(logging.CRITICAL)

# The banner would tell strangers which versions of Python and aiohttp run here; aiohttp has no setting for it.
web_response.SERVER_SOFTWARE = "outcome-exporter"  # type: ignore[attr-defined]  # a constant of that module

IDLE_SECONDS = (
    130.0  # above the longest sensible scrape interval, 2 minutes; also how long a request may take to arrive
)
SHUTDOWN_SECONDS = 3.0


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
            Refusals(pages, reach).middleware,
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
        REPORT: handlers.report,
        **({EXPLAINED: handlers.explain_json} if surface.explain else {}),
        "/": handlers.index,
        reach.telemetry: handlers.metrics,
        **{path: answering(answer) for path, answer in routes.items()},
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


def _guard(gate: Gate, open_health: Reach | None, hooks: Hooks | None) -> Any:
    free = frozenset() if open_health is None else {open_health.prefix + path for path in (HEALTHY, READY)}

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            given = request.headers.get("Authorization", "")
            free_here = request.path in free or (hooks is not None and hooks.is_one(request.path))
            allowed = free_here or await gate.allows(given, asker(request), lambda: gone(request))
        except Busy:
            raise Refusal(429, "too many passwords are waiting to be checked; try again later") from None
        if not allowed:
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": 'Basic realm="outcome-exporter", charset="UTF-8"'}, text="Unauthorized\n"
            )
        return await handler(request)

    return guard
