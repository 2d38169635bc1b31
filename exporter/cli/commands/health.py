"""The command `health`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file
from exporter.cli.end import guarded

EXAMPLES = {
    "health": "Exit with 0 if the exporter that runs on outcome.yaml is healthy",
    "health --ready": "Also wants the first values to be published",
}


@click.command("health", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--ready", is_flag=True, help="Also check whether the first values have been published.")
def command(config_path: Path, ready: bool) -> None:
    """Ask whether the running exporter is healthy.

    For a container's health check. It asks on the socket beside the store, so it needs no address, password or
    certificate.
    """
    from exporter.cli.ask import health
    from exporter.server.reach import HEALTHY, READY

    click.echo(guarded(lambda: health(config_path, READY if ready else HEALTHY)))
