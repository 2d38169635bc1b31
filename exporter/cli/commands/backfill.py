"""The command `backfill`."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from exporter.cli.command import Command, log_format, log_level
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded, unwritable
from exporter.cli.types import Instant, Length

EXAMPLES = {
    "backfill --from 90d --step 1h --output history.om": "A value for each hour of the last 90 days",
    "backfill --from 365d --step 1d --to 2026-01-01": "A value for each day of an earlier year",
}


@click.command("backfill", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--from", "length", type=Length(), default="90d", show_default=True, help="How far back to go.")
@click.option("--step", type=Length(), default="1h", show_default=True, help="Time from one sample to the next.")
@click.option("--to", "to", type=Instant(), help="End at this time instead of now.")
@click.option(
    "--output", type=click.Path(path_type=Path), default="history.om", show_default=True, help="File to write."
)
@log_level
@log_format
def command(
    config_path: Path, length: timedelta, step: timedelta, to: datetime | None, output: Path, level: str | None,
    style: str | None,
) -> None:  # fmt: skip
    """Write past values for Prometheus to import.

    The file is for `promtool tsdb create-blocks-from openmetrics`. An interrupted run can be continued.
    """
    from exporter.base.clock import now
    from exporter.cli.ask import past
    from exporter.cli.terminal import bar
    from exporter.publish import backfill

    config = loaded(config_path, level, style)
    if output.is_dir():
        fail(f"--output {output} is a folder; give the name of a file")
    if length < step:
        fail(f"--from {length} is shorter than --step {step}")
    job = backfill.Job(instants=backfill.instants(length, step, to or now()), output=output)

    def work() -> None:
        begun = backfill.begun(job, backfill.same_settings(config.plan, config.limits), open_end=to is None)
        with past(config) as lines_of, bar("history") as show:
            backfill.fill(begun, lines_of, show)
        first, last = begun.instants.first.isoformat(), begun.instants.last.isoformat()
        click.echo(f"{output}: {begun.instants.count} times from {first} to {last}", err=True)

    try:
        guarded(work)
    except OSError as error:
        unwritable(output, error)
