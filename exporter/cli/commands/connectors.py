"""The command `connectors`."""

import click

from exporter.cli.command import Command
from exporter.cli.complete import connectors
from exporter.cli.end import fail

EXAMPLES = {
    "connectors": "All connectors",
    "connectors n8n": "The credential that n8n needs, and a sample to copy",
}


@click.command("connectors", cls=Command, examples=EXAMPLES)
@click.argument("name", required=False, shell_complete=connectors)
def command(name: str | None) -> None:
    """List what can be read, and how.

    With NAME: access, a sample to copy, options, and what the values do not show.
    """
    from shutil import get_terminal_size

    from exporter.cli import about

    if name is None:
        click.echo("\n".join(about.listed()))
        return
    try:
        click.echo(about.described(name, max(60, min(120, get_terminal_size().columns))))
    except ValueError as error:
        fail(error)
