"""`outcome-exporter demo`: a simulated organisation, the exporter on it, Prometheus and Alertmanager beside it."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from exporter.base import assets
from exporter.catalogue.kpi import catalogue
from exporter.demo import board, configuration
from exporter.demo.serving import serving
from exporter.demo.simulation import Simulation
from exporter.demo.stack import FOR, Shipped, free_port, programs, stack
from exporter.demo.world import World

MARK = ".outcome-exporter-demo"
READY_SECONDS = 900
AGAIN_SECONDS = 60
WIDTH = 104  # of the widest table

RunExporter = Callable[[Path, str], Awaitable[None]]
"""Runs the exporter on a config file, listening on host:port, until it is stopped by a signal or cancelled."""


class DemoError(Exception):
    """Why the demo cannot run; the text says what to do."""


async def demo(
    directory: Path,
    seed: int,
    *,
    run_exporter: RunExporter,
    now: Callable[[], datetime],
    console: Console | None = None,
) -> None:
    """Runs everything until the exporter ends or this is cancelled; then nothing of it is left but files."""
    width = max(WIDTH, shutil.get_terminal_size().columns)
    console = console or Console(highlight=False, soft_wrap=True, width=width)
    folder = empty(directory)
    console.print(f"Simulating an organisation and its history (seed {seed}). Everything below is made up.")
    world = await asyncio.to_thread(World, Simulation(seed, now()), folder / "records")
    async with AsyncExitStack() as running:
        addresses = {
            name: await running.enter_async_context(serving(platform.app()))
            for name, platform in world.platforms.items()
        }
        config = configuration.write(folder, addresses, world.secrets)
        listen = f"127.0.0.1:{free_port()}"
        say = Teller(console, f"http://{listen}", now)
        say.line("Reading it: the first figures come when every source has been read once.")
        await together(
            run_exporter(config, listen),
            live(world, now),
            beside(folder, listen, addresses, config, say),
        )
    console.print("The demo has ended.")


async def together(first: Awaitable[None], *others: Awaitable[None]) -> None:
    """Runs all of them until the first ends, or one of them fails; then none of them runs any more."""
    tasks = [asyncio.ensure_future(each) for each in (first, *others)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def empty(directory: Path) -> Path:
    """The demo's own folder, without what an earlier demo left in it."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            raise DemoError(f"{directory} holds other files; name a folder that is empty or does not exist")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARK).touch()
    return directory.resolve()


async def live(world: World, now: Callable[[], datetime]) -> None:
    """Keeps the world going."""
    while True:
        await asyncio.sleep(1)
        world.advance(now())


async def beside(folder: Path, listen: str, addresses: Mapping[str, str], config: Path, say: "Teller") -> None:
    """Prometheus and Alertmanager; the table once there are figures, and again every minute."""
    tools = programs()
    (folder / "monitoring").mkdir()
    async with AsyncExitStack() as running:
        monitors: Mapping[str, str] = {}
        try:
            context = stack(folder / "monitoring", listen, Shipped.of(assets.root()), say.alert, tools)
            monitors = await running.enter_async_context(context)
        except (RuntimeError, OSError) as error:
            say.line(f"Left out: Prometheus and Alertmanager ({error})")
        metrics = await say.wait()
        say.addresses({**monitors, **addresses}, config)
        if tools.missing:
            say.line(f"Left out, because not installed: {', '.join(tools.missing)}")
        while True:
            say.figures(metrics)
            await asyncio.sleep(AGAIN_SECONDS)
            metrics = await say.wait()


class Teller:
    """What the demo says on the screen."""

    def __init__(self, console: Console, exporter: str, now: Callable[[], datetime]) -> None:
        self.console, self.exporter, self.now = console, exporter, now

    def line(self, text: str) -> None:
        self.console.print(text, markup=False)

    async def wait(self) -> board.Metrics:
        """The exporter's metrics, as soon as every source has been read."""
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with aiohttp.ClientSession() as http:
            while asyncio.get_running_loop().time() < deadline:
                with suppress(aiohttp.ClientError, OSError):
                    async with http.get(f"{self.exporter}/metrics") as response:
                        text = await response.text()
                    if board.complete(board.Metrics.parse(text, board.COMPLETION)):
                        return board.Metrics.parse(text)
                await asyncio.sleep(1)
        raise DemoError(f"{self.exporter}/metrics shows no figures after {READY_SECONDS} s; see the log above")

    def addresses(self, others: Mapping[str, str], config: Path) -> None:
        self.line("")
        self.line(f"Exporter            {self.exporter}  (/metrics, /-/ready)")
        for name, address in others.items():
            self.line(f"{name:<20}{address}{'' if name[0].isupper() else '  (simulated)'}")
        self.line(f"Config              {config}")
        self.line(f"An alert about a KPI fires after {FOR} here; the shipped rules wait longer. Ctrl-C ends it all.")

    def figures(self, metrics: board.Metrics) -> None:
        now = self.now()
        self.line("")
        self.line(f"{now.astimezone(UTC):%H:%M:%S} UTC")
        self.console.print(board.figures(metrics, catalogue()))
        self.line("")
        self.console.print(board.freshness(metrics, now))
        self.line("")

    def alert(self, _receiver: str, alert: Mapping[str, Any]) -> None:
        """One line for an alert that has arrived at Alertmanager's receiver."""
        labels = alert["labels"]
        severity = str(labels.get("severity", "")).upper()
        sentence = alert["annotations"].get("description", "").partition(". ")[0]
        self.line(f"ALERT {alert['status']} {severity} {labels['alertname']}: {sentence}")
