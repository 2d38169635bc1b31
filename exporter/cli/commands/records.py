"""The command `records`."""

import click

from exporter.cli.command import Command
from exporter.cli.complete import records
from exporter.cli.end import fail

EXAMPLES = {
    "records": "All types of record",
    "records request": "The columns of a request",
}


@click.command("records", cls=Command, examples=EXAMPLES)
@click.argument("name", required=False, shell_complete=records)
def command(name: str | None) -> None:
    """List the records that items become.

    With NAME: its columns and the words that they take.
    """
    from shutil import get_terminal_size

    from exporter.cli import about

    if name is None:
        click.echo("\n".join(about.records_listed()))
        return
    try:
        click.echo(about.record_described(name, max(60, min(120, get_terminal_size().columns))))
    except ValueError as error:
        fail(error)
