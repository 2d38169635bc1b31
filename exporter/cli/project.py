"""The commands for those who work on the project, in a checkout: schema, render, new.

What they need is imported when they run, as in __main__.
"""

import sys
from pathlib import Path

import click

from exporter.cli.end import fail


@click.command()
@click.option("--kpis", is_flag=True, help="The schema of the files in exporter/kpis/, instead of that of the config.")
def schema(kpis: bool) -> None:
    """Print the JSON Schema of the config, for editors that complete and check it while it is written."""
    click.echo(_schema(kpis=kpis), nl=False)


def _schema(*, kpis: bool = False) -> str:
    import json

    from exporter import connectors
    from exporter.catalogue.kpi import catalogue
    from exporter.config.schema import config_schema, kpis_schema

    found = kpis_schema() if kpis else config_schema(catalogue(), connectors.CONNECTORS)
    return json.dumps(found, indent=2) + "\n"


@click.command()
@click.option(
    "--check", "check_only", is_flag=True, help="Write nothing; exit with 1 if a generated file is out of date."
)
@click.option("--runbook-url", help="URL of alerts/README.md; each alert links to its heading there.")
@click.option("--dashboard-url", help="URL of Grafana; alerts and panels link to it.")
def render(check_only: bool, runbook_url: str | None, dashboard_url: str | None) -> None:
    """Generate rules, dashboards, reference pages, the example config's sources and its schema, in a checkout."""
    from exporter.render import render as render_all

    given = {"runbook_url": runbook_url, "dashboard_url": dashboard_url}
    urls = {key: url for key, url in given.items() if url}
    stale = render_all(Path.cwd(), check=check_only, more={"deploy/config.schema.json": _schema()}, **urls)
    for name in stale:
        click.echo(f"{name}: {'out of date, run make render' if check_only else 'made'}")
    if check_only and stale:
        sys.exit(1)


@click.group()
def new() -> None:
    """Write the files of something new, in a checkout of the project."""


@new.command()
@click.argument("name")
@click.option("--record", type=click.Choice(["run", "request", "incident", "change", "booking"]), default="run",
              show_default=True, help="Record that its items become; others can be added.")  # fmt: skip
@click.option("--paging", type=click.Choice(["link", "token", "offset", "key"]), default="link", show_default=True,
              help="How its lists are cut into pages; see exporter/collect/paging.py.")  # fmt: skip
@click.option("--auth", type=click.Choice(["token", "api-key", "oauth"]), default="token", show_default=True,
              help="What it is asked with: a token, a key in a header of its own, or an OAuth client.")  # fmt: skip
def connector(name: str, record: str, paging: str, auth: str) -> None:
    """Write a connector with its sample, a fake platform and tests; NAME is the type of its sources, such as jira.

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
