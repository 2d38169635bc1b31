"""The command `kpis`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded

EXAMPLES = {
    "kpis": "Values over 7 days",
    "kpis --window 30d": "Values over another window of the config",
    "kpis --all": "Also the KPIs that no source gives records for",
    "kpis --long": "With tier and owners",
    "kpis --json": "All windows, for programs",
}


@click.command("kpis", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--window", default="7d", show_default=True, help="Window to show.")
@click.option("--all", "every", is_flag=True, help="Also show KPIs that no source gives records for.")
@click.option("--long", "roles", is_flag=True, help="Also show tier, indicator, owners and review cadence.")
@click.option("--json", "as_json", is_flag=True, help="Print all windows as JSON.")
def command(config_path: Path, window: str, every: bool, roles: bool, as_json: bool) -> None:
    """Show the present values in a table.

    By group, what is beyond a threshold first; from the running exporter or else from the store.
    """
    import json

    from exporter.base.clock import now
    from exporter.cli.ask import known
    from exporter.cli.table import kpi_table

    config = loaded(config_path)
    names = [name for name, _ in config.plan.windows]
    if window not in names:
        fail(f"--window {window}: this window is not configured; choose one of {', '.join(names)}")
    rows = guarded(lambda: known(config))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        kpi_table(rows, window, now(), every=every, roles=roles)
