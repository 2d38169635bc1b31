"""The demo's store: the simulated organisation at one instant, polled to the end from its fake platforms."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from exporter.config import Config, read_config
from exporter.demo import configuration
from exporter.demo.serving import serving
from exporter.demo.simulation import Simulation
from exporter.demo.world import World
from exporter.evaluation.figure import Evaluation
from exporter.runtime import OnceResult, once, open_store
from exporter.store import Store

END = datetime(2026, 3, 25, 15, 30, tzinfo=UTC)  # a Wednesday


async def polled(folder: Path) -> Path:
    """Makes the demo's world in a folder and polls it into a store, as `once` does; the config."""
    world = World(Simulation(1, END), folder / "records")
    async with AsyncExitStack() as running:
        addresses = {
            name: await running.enter_async_context(serving(platform.app()))
            for name, platform in world.platforms.items()
        }
        path = configuration.write(folder, addresses, world.secrets, END)
        config = read_config(path)
        with open_store(config) as store:
            found = await once(config, store, lambda: END, at=END, polls=True)
    assert found.failed == {}
    return path


def figures_of(path: Path, at: datetime) -> Evaluation:
    """Every figure that `once --no-poll --at` gives."""
    config = read_config(path)
    with open_store(config) as store:
        return found_in(config, store, at).evaluation


def found_in(config: Config, store: Store, at: datetime) -> OnceResult:
    return asyncio.run(once(config, store, lambda: END, at=at, polls=False))
