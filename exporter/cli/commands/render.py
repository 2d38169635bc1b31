"""The command `render`."""

import sys
from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.end import fail

EXAMPLES = {
    "render": "Write what is out of date",
    "render --check": "Write nothing; exit with 1 if something is out of date",
}


@click.command("render", cls=Command, examples=EXAMPLES)
@click.option(
    "--check", "check_only", is_flag=True, help="Write nothing; exit with 1 if a generated file is out of date."
)
@click.option("--runbook-url", help="URL of alerts/README.md; each alert links to its heading there.")
@click.option("--dashboard-url", help="URL of Grafana; alerts and panels link to it.")
@click.option(
    "--explain-url", help="URL of the exporter; alerts link to its page. By default, as Prometheus scrapes it."
)
def command(check_only: bool, runbook_url: str | None, dashboard_url: str | None, explain_url: str | None) -> None:
    """Generate rules, dashboards and references.

    In a checkout of the project. Also the example config's sources and its schema.
    """
    from exporter.cli.commands.schema import schema
    from exporter.render import render as render_all

    if not Path("dashboards/views").is_dir():
        fail("here is no checkout of the project; rules for your config: outcome-exporter rules --output rules")
    given = {"runbook_url": runbook_url, "dashboard_url": dashboard_url, "explain_url": explain_url}
    urls = {key: url for key, url in given.items() if url}
    stale = render_all(Path.cwd(), check=check_only, more={"deploy/config.schema.json": schema()}, **urls)
    for name in stale:
        click.echo(f"{name}: {'out of date, run make render' if check_only else 'made'}")
    if check_only and stale:
        sys.exit(1)
