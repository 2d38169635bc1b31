"""The command `backfill`."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from exporter.base.defaults import LISTEN
from exporter.cli.command import Command, log_format, log_level
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded, unwritable
from exporter.cli.types import Instant, Label, Length

EXAMPLES = {
    "backfill --from 90d --step 1h --output history.om": "A value for each hour of the last 90 days",
    "backfill --label instance=exporter:10042": "With the address that Prometheus scrapes, so that series go on",
    "backfill --from 365d --step 1d --to 2026-01-01": "A value for each day of an earlier year",
}

TARGET = {"job": "outcome-exporter", "instance": LISTEN}
DEFAULT = " ".join(f"{name}={value}" for name, value in TARGET.items())


@click.command("backfill", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--from", "length", type=Length(), default="90d", show_default=True, help="How far back to go.")
@click.option("--step", type=Length(), default="1h", show_default=True, help="Time from one sample to the next.")
@click.option("--to", "to", type=Instant(), help="End at this time instead of now.")
@click.option(
    "--output", type=click.Path(path_type=Path), default="history.om", show_default=True, help="File to write."
)
@click.option(
    "--label",
    "labels",
    type=Label(),
    multiple=True,
    help=f"Label that Prometheus adds to what it scrapes; NAME= leaves one out.  [default: {DEFAULT}]",
)
@log_level
@log_format
def command(
    config_path: Path, length: timedelta, step: timedelta, to: datetime | None, output: Path,
    labels: tuple[tuple[str, str], ...], level: str | None, style: str | None,
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
    added = {name: value for name, value in (TARGET | dict(labels)).items() if value}
    job = backfill.Job(instants=backfill.instants(length, step, to or now()), output=output, labels=added)

    def work() -> None:
        with backfill.alone(output):
            begun = backfill.begun(job, backfill.same_settings(config.plan, config.limits), open_end=to is None)
            with past(config, added) as lines_of, bar("history") as show:
                backfill.fill(begun, lines_of, show)
        first, last = begun.instants.first.isoformat(), begun.instants.last.isoformat()
        click.echo(f"{output}: {begun.instants.count} times from {first} to {last}", err=True)

    try:
        guarded(work)
    except OSError as error:
        unwritable(output, error)
