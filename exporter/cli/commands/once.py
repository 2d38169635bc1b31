"""The command `once`."""

import sys
from datetime import datetime
from pathlib import Path

import click

from exporter.cli.command import Command, log_format, log_level
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded, unwritable
from exporter.cli.types import Instant

EXAMPLES = {
    "once": "Print the metrics of every KPI",
    "once --output /var/lib/node_exporter/outcome.prom": "From cron, for the textfile collector of the node exporter",
    "once --no-poll --at 2026-03-31": "The values at an earlier time, from what is stored",
}


@click.command("once", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--at", "at", type=Instant(), help="Evaluate at this time instead of now.")
@click.option(
    "--output", "output", type=click.Path(path_type=Path), help="Write to this file, atomically, instead of printing."
)
@click.option("--no-poll", "no_poll", is_flag=True, help="Do not poll any source; evaluate what is stored.")
@log_level
@log_format
def command(
    config_path: Path, at: datetime | None, output: Path | None, no_poll: bool, level: str | None, style: str | None
) -> None:
    """Poll, evaluate and print the metrics once."""
    import asyncio

    from exporter.base.clock import now
    from exporter.cli.terminal import progress
    from exporter.publish.exposition import text
    from exporter.runtime import once, open_store

    config = loaded(config_path, level, style)

    def work() -> None:
        with open_store(config) as store, progress() as show:
            outcome = asyncio.run(once(config, store, now, at=at, polls=not no_poll, show=show))
        _write(text(outcome.published.snapshot, outcome.health.registry), output)
        for name, what in outcome.unread.items():
            if name not in outcome.failed:
                click.echo(f"outcome-exporter: source {name}: {what}", err=True)
        if outcome.failed:
            fail("; ".join(f"source {name}: {why}" for name, why in outcome.failed.items()))

    guarded(work)


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
        return
    from exporter.publish.exposition import written

    try:
        written(content, output)
    except OSError as error:
        unwritable(output, error)
