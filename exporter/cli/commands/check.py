"""The command `check`."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded, say_valid
from exporter.cli.end import fail, guarded

if TYPE_CHECKING:
    from exporter.config import Config

EXAMPLES = {
    "check": "All mistakes in outcome.yaml at once; contacts nothing",
    "check --live": "Also ask each source for its first pages: credential, rights, clock, fields",
}


@click.command("check", cls=Command, examples=EXAMPLES)
@config_file
@click.option(
    "--live", is_flag=True, help="Also query every source: check its credential and rights, clock and field coverage."
)
def command(config_path: Path, live: bool) -> None:
    """Check the config and what sources answer.

    Reports every mistake at once, and how many series the config produces. With --live, also asks every source for a
    little; it stores nothing.
    """
    gc.disable()  # it ends soon, and looking for garbage while modules are loaded takes a tenth of its time
    from exporter.cli.expected import expected

    config = loaded(config_path)
    say_valid(config)
    for line in guarded(lambda: expected(config)):
        click.echo(line)
    if live:
        _ask_sources(config)


def _ask_sources(config: "Config") -> None:
    import asyncio

    from rich.console import Console

    from exporter.base.clock import now
    from exporter.cli.preflight import probe

    if not asyncio.run(probe(config.sources, now(), Console(soft_wrap=True))):
        fail("not every source answered as expected")
