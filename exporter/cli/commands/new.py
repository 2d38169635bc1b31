"""The command `new`."""

from pathlib import Path

import click

from exporter.cli.command import Command, Group
from exporter.cli.end import fail

EXAMPLES = {
    "new connector jira --record request --paging token": "A connector with its fake platform and tests",
}


@click.group("new", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Write the files of a new connector.

    In a checkout of the project.
    """


@command.command(cls=Command, examples=EXAMPLES)
@click.argument("name")
@click.option("--record", type=click.Choice(["run", "request", "incident", "change", "booking"]), default="run",
              show_default=True, help="Record that its items become; others can be added.")  # fmt: skip
@click.option("--paging", type=click.Choice(["link", "token", "offset", "key"]), default="link", show_default=True,
              help="How its lists are cut into pages; see exporter/collect/paging.py.")  # fmt: skip
@click.option("--auth", type=click.Choice(["token", "api-key", "oauth"]), default="token", show_default=True,
              help="What it is asked with: a token, a key in a header of its own, or an OAuth client.")  # fmt: skip
def connector(name: str, record: str, paging: str, auth: str) -> None:
    """Write a connector with tests.

    With a sample, and a fake platform that its tests ask. NAME is the type of its sources, such as jira.

    It works for an imagined platform. Each place where the real one differs is marked with FILL, and its tests fail
    until no such mark is left.
    """
    from exporter import scaffold

    try:
        written = scaffold.connector(Path.cwd(), name, record=record, paging=paging, auth=auth)
    except scaffold.CannotWrite as error:
        fail(error)
    for path in written:
        click.echo(path)
    click.echo("\nFill in these places and delete their marks:")
    for place in scaffold.places(Path.cwd(), written):
        click.echo(place)
    folder, tests = name.replace("-", "_"), " ".join(scaffold.TESTS)
    chosen = name if name == folder else f"'{name} or {folder}'"
    click.echo(f"\nThen: make render; pytest tests/connectors/{folder} {tests} -k {chosen}")
