"""The command `demo`."""

from pathlib import Path

import click

from exporter.cli.command import Command, log_level
from exporter.cli.end import fail, guarded

EXAMPLES = {
    "demo": "The demo, with its files in var/demo",
    "demo --seed 2 --directory /tmp/demo": "Another organisation, in another folder",
}


@click.command("demo", cls=Command, examples=EXAMPLES)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default="var/demo",
    show_default=True,
    help="Folder for the files of the demo.",
)
@click.option(
    "--seed", default=1, show_default=True, help="Seed of the simulation; another seed simulates another organisation."
)
@click.option(
    "--web.listen-address",
    "listen",
    help="Address (host:port) of the exporter.  [default: a free port of 127.0.0.1]",
)
@click.option(
    "--history/--no-history",
    default=True,
    show_default=True,
    help="Fill Prometheus with the last four weeks, which takes a core for some minutes.",
)
@log_level
def command(directory: Path, seed: int, listen: str | None, history: bool, level: str | None) -> None:
    """Run a demo on a simulated organisation.

    Starts Prometheus and Alertmanager too if they are installed.
    """
    import asyncio

    from exporter.app import ServeOptions, serve
    from exporter.base import logs
    from exporter.base.clock import now
    from exporter.demo import main as show
    from exporter.demo.screen import DemoError

    async def run_exporter(config: Path, listen: str) -> None:
        await serve(config, ServeOptions(addresses=[listen]))

    async def all_of_it() -> None:
        await show.demo(directory, seed, run_exporter=run_exporter, now=now, listen=listen, history=history)

    logs.start(level or "warn", "logfmt")
    try:
        guarded(lambda: asyncio.run(all_of_it()))
    except DemoError as error:
        fail(error)
