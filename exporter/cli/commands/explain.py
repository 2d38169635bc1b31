"""The command `explain`."""

from datetime import datetime
from pathlib import Path

import click

from exporter.base.defaults import SIZE
from exporter.cli.command import Command
from exporter.cli.complete import kpis
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded
from exporter.cli.types import Instant

EXAMPLES = {
    "explain no_show_ratio": "The value over all records",
    "explain no_show_ratio team=it --window 30d": "One team, another window",
    "explain no_show_ratio --at 2026-03-31 --csv": "All records behind the value at an earlier time, for a spreadsheet",
}


@click.command("explain", cls=Command, examples=EXAMPLES)
@config_file
@click.argument("kpi", shell_complete=kpis)
@click.argument("labels", nargs=-1, metavar="[LABEL=VALUE]...")
@click.option("--window", help="Window to explain; by default, the window that alerts use.")
@click.option("--at", "at", type=Instant(), help="Explain the value at this time instead of at the last evaluation.")
@click.option("--page", default=1, show_default=True, help=f"Page of records to show; a page has {SIZE} records.")
@click.option("--csv", "form", flag_value="csv", help="Print all records as CSV.")
@click.option("--json", "form", flag_value="json", help="Print everything as JSON.")
def command(
    config_path: Path, kpi: str, labels: tuple[str, ...], window: str | None, at: datetime | None, page: int,
    form: str | None,
) -> None:  # fmt: skip
    """Explain a value by the records behind it.

    Lists the records that KPI counts, those that it does not count, and why.
    """
    import json

    from exporter.cli.ask import explained
    from exporter.cli.terminal import every_page, explanation
    from exporter.explain.download import csv_text
    from exporter.explain.query import LARGEST_SIZE, Unexplained

    config = loaded(config_path)
    if wrong := [text for text in labels if "=" not in text]:
        fail(f"{wrong[0]!r}: write a label as name=value, as in team=it")
    query = dict(text.split("=", 1) for text in labels)
    if len(query) < len(labels):
        fail("a label is given twice; give it one value, or leave it out for all of them")
    if taken := sorted(query.keys() & {"kpi", "page", "size", "window", "at", "counted"}):
        fail(f"{taken[0]}= is not a label; see --help for the options")
    query |= {"kpi": kpi, "page": str(page), "size": str(SIZE)}
    query |= {"window": window} if window else {}
    query |= {"at": at.isoformat()} if at else {}
    try:
        answer = guarded(lambda: explained(config, query))
        if form:
            query["size"] = str(LARGEST_SIZE)
            answer = every_page(lambda number: guarded(lambda: explained(config, query | {"page": str(number)})))
    except Unexplained as error:
        fail(error)
    if form == "csv":
        click.echo(csv_text(answer), nl=False)
    elif form == "json":
        click.echo(json.dumps(answer, indent=2))
    else:
        explanation(answer)
