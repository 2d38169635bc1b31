"""`outcome-exporter demo`: a simulated organisation, the exporter on it, Prometheus and Alertmanager beside it."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from rich.console import Console

from exporter.base import assets
from exporter.demo import configuration, past
from exporter.demo.screen import DemoError, Screen
from exporter.demo.serving import serving
from exporter.demo.simulation import Simulation
from exporter.demo.stack import FOR, Shipped, data_of, free_port, programs, stack
from exporter.demo.world import World

MARK = ".outcome-exporter-demo"
AGAIN_SECONDS = 60  # from one table to the next, where each is printed
LIVE_SECONDS = 10  # ... where the board changes in place
WIDTH = 104  # of the widest table

RunExporter = Callable[[Path, str], Awaitable[None]]
"""Runs the exporter on a config file, listening on host:port, until it is stopped by a signal or cancelled."""


async def demo(
    directory: Path,
    seed: int,
    *,
    run_exporter: RunExporter,
    now: Callable[[], datetime],
    console: Console | None = None,
    listen: str | None = None,
    history: bool = True,
) -> None:
    """Runs everything until the exporter ends or this is cancelled; then nothing of it is left but files.

    `listen`: host:port of the exporter; by default a free port of loopback. `history`: whether Prometheus is given the
    weeks before.
    """
    console = console or terminal()
    folder = empty(directory)
    screen = Screen(console, now)
    console.print(f"Simulating an organisation and its history (seed {seed}). Everything below is made up.")
    world = await asyncio.to_thread(World, Simulation(seed, now()), folder / "records")
    async with AsyncExitStack() as running:
        addresses = {
            name: await running.enter_async_context(serving(platform.app()))
            for name, platform in world.platforms.items()
        }
        config = configuration.write(folder, addresses, world.secrets, now())
        listen = listen or f"127.0.0.1:{free_port()}"
        reached = listen.replace("0.0.0.0:", "127.0.0.1:")
        screen.exporter = f"http://{reached}"
        screen.line("Reading it; the first values come when every source has been read once.")
        running.enter_context(screen.shown())
        await together(
            run_exporter(config, listen),
            live(world, now),
            beside(folder, reached, config, screen, history=history),
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


async def beside(folder: Path, listen: str, config: Path, screen: Screen, *, history: bool) -> None:
    """Prometheus and Alertmanager; the board once there are values, and again and again."""
    tools = programs()
    (folder / "monitoring").mkdir()
    async with AsyncExitStack() as running:
        monitors: Mapping[str, str] = {}
        try:
            context = stack(folder / "monitoring", listen, Shipped.of(assets.root()), screen.alert, tools)
            monitors = await running.enter_async_context(context)
        except (RuntimeError, OSError) as error:
            screen.line(f"Left out: Prometheus and Alertmanager ({error})")
        metrics = await screen.metrics()
        screen.figures(metrics)
        await screen.links(monitors, metrics, {"Config": str(config)})
        screen.line(f"An alert about a KPI fires after {FOR} here; the shipped rules wait longer. Ctrl-C ends it all.")
        if tools.missing:
            screen.line(f"Left out, because not installed: {', '.join(tools.missing)}")
        waited = [again(screen)]
        if history and "Prometheus" in monitors:
            waited.append(past_of(folder, listen, config, screen))
        await asyncio.gather(*waited)


async def again(screen: Screen) -> None:
    """The board, again and again."""
    while True:
        await asyncio.sleep(AGAIN_SECONDS if screen.live is None else LIVE_SECONDS)
        screen.figures(await screen.metrics())


async def past_of(folder: Path, listen: str, config: Path, screen: Screen) -> None:
    """The last weeks in Prometheus. They come while the demo goes on: nothing waits for them."""
    monitoring = folder / "monitoring"
    try:
        await past.fill(config, listen, monitoring, data_of(monitoring), screen.now(), screen.loading)
    except (past.NoPastError, OSError) as error:
        screen.loading(f"Left out: history in Prometheus ({error})")


def terminal() -> Console:
    """What the demo prints to. Where lines go to a file they are as long as they have to be."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, soft_wrap=True, width=max(WIDTH, shutil.get_terminal_size().columns))
