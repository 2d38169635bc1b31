"""The command `test`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded, refuse
from exporter.cli.end import fail

EXAMPLES = {
    "test": "The tests in outcome.tests.yaml beside outcome.yaml",
    "test --cases vip.yaml": "Other tests",
}
FORMAT = """\b
The file says what an item of a source must become, and what a KPI must be:

\b
mapping:
  - name: a solved ticket
    source: desk                # where the config has several
    item: { id: "7", state: Solved, opened_at: "2026-11-20T10:00:00Z" }
    record: { outcome: resolved, team: null }
  - item: { id: "8", opened_at: yesterday }
    refused: opened_at          # the column that cannot be read
kpis:
  - kpi: no_show_ratio
    at: "2026-11-30T00:00:00Z"
    window: 7d
    segment: { team: it }
    records:
      booking:
        - { starts_at: "2026-11-29T10:00:00Z", outcome: no_show, team: it }
        - { starts_at: "2026-11-29T11:00:00Z", outcome: attended, team: it }
    value: 0.5
    n: 2

Only the columns that a test names are compared. Of platforms, items go through the segments and fields of the config;
of files and of type rest, through its columns too.
"""


@click.command("test", cls=Command, examples=EXAMPLES, help=f"Run your own tests of the config.\n\n{FORMAT}")
@config_file
@click.option(
    "--cases", "cases_path", type=click.Path(path_type=Path),
    help="File with the tests. [outcome.tests.yaml beside outcome.yaml]",
)  # fmt: skip
def command(config_path: Path, cases_path: Path | None) -> None:
    """See FORMAT."""
    from exporter.base.strict_yaml import Mistakes
    from exporter.cli.cases import run_cases
    from exporter.config.cases import beside, read_cases

    config = loaded(config_path)
    path = cases_path or beside(config_path)
    if not path.exists():
        fail(f"{path}: there is no such file; write it as --help shows, or give --cases")
    try:
        cases = read_cases(path, config)
    except Mistakes as mistakes:
        refuse(mistakes, "in the tests; none was run")
    failed = count = 0
    for outcome in run_cases(config, cases):
        count, failed = count + 1, failed + bool(outcome.differences)
        mark = click.style("FAIL", fg="red") if outcome.differences else click.style("ok  ", fg="green")
        click.echo(f"{mark} {outcome.name}")
        for difference in outcome.differences:
            click.echo(f"       {difference}")
    click.echo(f"{count - failed} of {count} tests pass")
    if failed:
        fail(f"{failed} test{'s' if failed > 1 else ''} failed")
