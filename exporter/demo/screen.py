"""What the demo says: lines, progress, the board that changes in place on a terminal, links that open, and alerts."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from exporter.catalogue.kpi import catalogue
from exporter.demo import board

READY_SECONDS = 900
LINE_SECONDS = 5  # between two lines of progress, where nothing can be changed in place
LINK_SECONDS = 30
TALL = 45  # lines that everything takes, the sources too


class DemoError(Exception):
    """Why the demo cannot run; the text says what to do."""


class Screen:
    """What the demo says. On a terminal the progress and then the board stay below everything else and change."""

    def __init__(self, console: Console, now: Callable[[], datetime]) -> None:
        self.console, self.now, self.exporter = console, now, ""
        self.live: Live | None = None
        self._said_at, self._reading, self._loading = 0.0, "", ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While the demo runs."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, auto_refresh=False, vertical_overflow="crop") as self.live:
            yield

    def line(self, text: str) -> None:
        self.console.print(text, markup=False)

    async def metrics(self) -> board.Metrics:
        """The exporter's metrics, as soon as every source has been read; until then, how far that is."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + READY_SECONDS
        async with aiohttp.ClientSession() as http:
            while clock() < deadline:
                with suppress(aiohttp.ClientError, OSError):
                    async with http.get(f"{self.exporter}/metrics") as response:
                        text = await response.text()
                    known = board.Metrics.parse(text, board.READING)
                    if board.complete(known):
                        return board.Metrics.parse(text)
                    self._progress(board.progress(known), clock())
                await asyncio.sleep(1)
        raise DemoError(f"{self.exporter}/metrics shows no values after {READY_SECONDS} s; see the log above")

    def _progress(self, text: str, at: float) -> None:
        if self.live:
            self.live.update(Text(text), refresh=True)
        elif text != self._reading and at - self._said_at >= LINE_SECONDS:
            self._reading, self._said_at = text, at
            self.line(text)

    def loading(self, text: str) -> None:
        """How far something else is that goes on beside: with the board on a terminal, else as a line of its own."""
        self._loading = text
        if not self.live:
            self.line(text)

    def figures(self, metrics: board.Metrics) -> None:
        """The board."""
        now = self.now()
        head = f"{now.astimezone(UTC):%H:%M:%S} UTC"
        table, freshness = board.figures(metrics, catalogue()), board.freshness(metrics, now)
        if not self.live:
            for each in ("", head, table, "", freshness, ""):
                self.console.print(each)
            return
        whole = self.console.height >= TALL
        below: RenderableType = freshness if whole else board.summary(metrics, now)
        parts: list[RenderableType] = ["", Text(f"{head}   {self._loading}"), table, "", below]
        self.live.update(Group(*parts), refresh=True)

    async def links(self, others: Mapping[str, str], metrics: board.Metrics, more: Mapping[str, str]) -> None:
        """Where to look: only what opens."""
        links = {"Overview": "/", "All KPIs": "/kpis"}
        if worst := board.worst(metrics, catalogue()):
            links["Explained"] = f"/explain?{worst}"
        links = {name: f"{self.exporter}{path}" for name, path in (links | {"Metrics": "/metrics"}).items()}
        links |= others
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(LINK_SECONDS)) as http:
            opened = await asyncio.gather(*(opens(http, url) for url in links.values()))
        for (name, url), ok in zip(links.items(), opened, strict=True):
            if ok:
                self.line(f"{name:<14}{url}")
        for name, text in more.items():
            self.line(f"{name:<14}{text}")

    def alert(self, _receiver: str, alert: Mapping[str, Any]) -> None:
        """A line for an alert that has arrived at Alertmanager's receiver, and where it is explained."""
        labels, annotations = alert["labels"], alert["annotations"]
        severity = str(labels.get("severity", "")).upper()
        sentence = annotations.get("description", "").partition(". ")[0]
        self.line(f"ALERT {alert['status']} {severity} {labels['alertname']}: {sentence}")
        if alert["status"] == "firing" and annotations.get("explain_url"):
            self.line(f"      {annotations['explain_url']}")


async def opens(http: aiohttp.ClientSession, url: str) -> bool:
    """Whether a browser would see something there."""
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with http.get(url) as response:
            return response.status == 200
    return False
