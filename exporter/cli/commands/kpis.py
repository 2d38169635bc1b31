"""The command `kpis`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded

EXAMPLES = {
    "kpis": "Values over 7 days",
    "kpis --window 30d": "Values over another window of the config",
    "kpis --json": "All windows, for programs",
}


@click.command("kpis", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--window", default="7d", show_default=True, help="Window to show.")
@click.option("--json", "as_json", is_flag=True, help="Print all windows as JSON.")
def command(config_path: Path, window: str, as_json: bool) -> None:
    """Show the present values in a table.

    With sample sizes and freshness, from the running exporter or else from the store.
    """
    import json

    from exporter.base.clock import now
    from exporter.cli.ask import known
    from exporter.cli.terminal import kpi_table

    config = loaded(config_path)
    names = [name for name, _ in config.plan.windows]
    if window not in names:
        fail(f"--window {window}: this window is not configured; choose one of {', '.join(names)}")
    rows = guarded(lambda: known(config))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        kpi_table(rows, window, now())
