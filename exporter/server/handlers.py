"""Answers the paths of the server: metrics, pages, health, reload and JSON."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from exporter.base.defaults import SIZE
from exporter.explain.download import csv_text
from exporter.explain.query import LARGEST_SIZE
from exporter.publish.content_negotiation import format_for, gzip_wanted
from exporter.records import Json
from exporter.server import explanation as explanations
from exporter.server.gate import Gate
from exporter.server.page import Pages
from exporter.server.reach import (
    CARDS,
    EXPLAINED,
    HEALTHY,
    KPIS,
    READY,
    REPORT,
    Reach,
    asker,
    foreign,
    hostname,
    passed_on,
)
from exporter.server.surface import Answer, Refusal, Surface
from exporter.server.turns import Busy, Turns

CHUNK = 256 * 1024
FORMS = ("csv", "json")
ANY = ("", ".+")
"""Values of a parameter that choose nothing: a label that a row lacks, and what dashboards write for All."""
REPORTS = {"html": "text/html", "md": "text/markdown", "csv": "text/csv"}
"""Format of a report -> its media type."""
MOST_WAITING = 64  # for a page that has to be made

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def gone(request: web.Request) -> bool:
    """Whether the asker has hung up."""
    return request.transport is None or request.transport.is_closing()


def _once(request: web.Request) -> dict[str, str]:
    """The query. Raises Refusal for a parameter with two values: an answer to one of two questions looks like both.

    A dashboard may choose a label for all panels, and name it for a row.
    """
    query: dict[str, str] = {}
    for name, text in request.query.items():
        if text not in ANY and query.setdefault(name, text) != text:
            raise Refusal(400, f"{name}: give this parameter once")
    return query


def answering(answer: Answer) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return _json(await answer(request.query))

    return handler


def _json(value: Json) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", charset="utf-8")


def _csv(explanation: Mapping[str, Any]) -> web.Response:
    return web.Response(text=csv_text(explanation), content_type="text/csv", charset="utf-8")


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
            *([(REPORT, "a memo of a week, month or quarter, to forward")] if surface.report else []),
            (KPIS, "the present value of each KPI, as JSON"),
            *([(EXPLAINED, "one value and its records, as JSON; add ?kpi=")] if surface.explain else []),
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
        query = _once(request)
        async with self._turn(request):
            page = await asyncio.to_thread(lambda: self._pages.other("kpis", **self._surface.cards(query)))
        return web.Response(text=page, content_type="text/html")

    @asynccontextmanager
    async def _turn(self, request: web.Request) -> AsyncIterator[None]:
        """One page at a time is made, away from the event loop, each address in turn: a crowd delays no scrape."""
        try:
            async with self._turns.turn(asker(request), lambda: gone(request)):
                if gone(request):
                    raise ConnectionResetError("nobody is waiting for this page any more")
                yield
        except Busy:
            raise Refusal(429, "too many pages are being requested at once; try again later") from None

    async def explain(self, request: web.Request) -> web.Response:
        query = _once(request)
        form = query.pop("format", "html")
        if form not in ("html", *FORMS):
            raise Refusal(400, f"format {form!r}: choose one of html, {', '.join(FORMS)}")
        if form == "html":
            return await self._explained(request, query, SIZE, self._as_page)
        whole = {"size": str(LARGEST_SIZE)} | query
        return await self._explained(request, whole, LARGEST_SIZE, _json if form == "json" else _csv, form)

    async def explain_json(self, request: web.Request) -> web.Response:
        return await self._explained(request, _once(request), LARGEST_SIZE, _json)

    async def _explained(
        self,
        request: web.Request,
        query: Mapping[str, str],
        most: int,
        answer: Callable[[dict[str, Any]], web.Response],
        form: str = "",
    ) -> web.Response:
        """An explanation as an answer; as a file to keep, where a form is given. Who may see records is asked first."""
        if self._surface.explain is None:
            raise Refusal(404, "explanations are not available here")
        if self._gate is not None:
            here = request.transport.get_extra_info("sockname") if request.transport else None
            host, through = hostname(request.host), self._reach.away or passed_on(request)
            if (reason := self._gate.keeps_records(here[0] if here else "", host, passed_on=through)) is not None:
                raise Refusal(403, reason)
        async with self._turn(request):
            explanation = await self._surface.explain(query, most)
            response = await asyncio.to_thread(answer, explanation)
        if form:
            name = "-".join(filter(None, (explanation["kpi"], explanation["window"], explanation["at"][:10])))
            response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
        return response

    async def report(self, request: web.Request) -> web.Response:
        query = _once(request)
        form = query.pop("format", "")
        if self._surface.report is None:
            raise Refusal(404, "reports are not available here")
        if form not in ("", *REPORTS):
            raise Refusal(400, f"format {form!r}: choose one of {', '.join(REPORTS)}")
        async with self._turn(request):
            found = await self._surface.report(query, form)
            if isinstance(found, str):
                return web.Response(text=found, content_type=REPORTS[form], charset="utf-8")
            page = await asyncio.to_thread(lambda: self._pages.other("report", **found))
        return web.Response(text=page, content_type="text/html")

    def _as_page(self, explanation: dict[str, Any]) -> web.Response:
        page = self._pages.other("explain", **explanations.page(explanation))
        return web.Response(text=page, content_type="text/html")

    async def index(self, _request: web.Request) -> web.Response:
        surface = self._surface
        async with self._listing:
            shown = await asyncio.to_thread(surface.overview)
        page = self._pages.other(
            "index",
            **shown,
            version=surface.version,
            ready=surface.ready(),
            state=surface.state(),
            trouble=surface.trouble(),
            at=surface.publisher.at,
            now=surface.now(),
            series=surface.publisher.series,
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
