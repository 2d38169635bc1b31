"""The command `init`: writes a first config, for an export or for a platform."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli.command import Command
from exporter.cli.end import fail, unwritable

if TYPE_CHECKING:
    from exporter.proposal.sample import Unclear

RECORDS = (
    *("request", "incident", "change", "run", "workflow", "booking"),
    *("opportunity", "account", "activity", "audit", "cost", "service_level"),
)
DEFAULT = "outcome.yaml"
FLAGS = {"record": "--record", "order": "--day-first or --month-first", "time_zone": "--time-zone", "sheet": "--sheet"}
"""What may be unclear -> the flag that says it."""
PAST = timedelta(days=90)

EXAMPLES = {
    "init": "Ask for a file or a platform, and for what the file does not tell",
    "init --file tickets.csv --time-zone Europe/Berlin": "For an export, without questions where flags suffice",
    "init --connector zendesk --output zendesk.yaml": "For a platform",
}


@click.command("init", cls=Command, examples=EXAMPLES)
@click.option("--file", "path", type=click.Path(path_type=Path), help="An export: CSV, JSON Lines, Parquet or .xlsx.")
@click.option("--connector", "name", metavar="NAME", help="A platform to be polled; see outcome-exporter connectors.")
@click.option("--output", type=click.Path(path_type=Path), default=DEFAULT, show_default=True,
              help="Config file to write; one that exists is never overwritten.")  # fmt: skip
@click.option(
    "--record", type=click.Choice(RECORDS), metavar="RECORD", help="What a row is; see outcome-exporter records."
)
@click.option(
    "--time-zone", "zone", metavar="ZONE", help="Time zone of times without an offset, such as Europe/Berlin."
)
@click.option("--day-first", "order", flag_value="day", help="In 03/04/2026 the day comes first.")
@click.option("--month-first", "order", flag_value="month", help="In 03/04/2026 the month comes first.")
@click.option("--sheet", help="Sheet of an .xlsx file.")
@click.option("--ask/--no-ask", "asks", default=None, help="Ask what is not clear.  [default: if there is a terminal]")
def command(
    path: Path | None, name: str | None, output: Path, record: str | None, zone: str | None, order: str | None,
    sheet: str | None, asks: bool | None,
) -> None:  # fmt: skip
    """Write a first config for a file or platform.

    For an export, looks at its columns and values and proposes what they mean. Whatever it guesses, and what would
    change values if it were wrong, is marked GUESS in the config.
    """
    asks = sys.stdin.isatty() if asks is None else asks
    if path and name:
        fail("--file and --connector are both given; give one of them")
    if output.exists():
        fail(f"{output} exists and is not overwritten; give another name with --output")
    if not path and not name:
        path, name = _chosen(asks)
    if path:
        _of_file(path, output, asks, record=record, zone=zone, order=order or "", sheet=sheet)
    else:
        _of_connector(str(name), output)


def _chosen(asks: bool) -> tuple[Path | None, str | None]:
    """The file or the connector that the user names."""
    from exporter.connectors import CONNECTORS

    if not asks:
        fail("give --file PATH for an export, or --connector NAME for a platform")
    click.echo(f"Platforms: {', '.join(sorted({*CONNECTORS} - {'files'}))}")
    answer = click.prompt("A file with an export, or the name of a platform").strip()
    return (None, answer) if answer in CONNECTORS and answer != "files" else (Path(answer).expanduser(), None)


def _of_connector(name: str, output: Path) -> None:
    from exporter.base.strict_yaml import did_you_mean
    from exporter.connectors import CONNECTORS
    from exporter.proposal import platform

    if name == "files":
        fail("files are described by what is in them; give --file PATH")
    if name not in CONNECTORS:
        fail(f"--connector {name}: there is no such connector; {did_you_mean(name, CONNECTORS)}")
    block = platform.config(name)
    _write(output, block.text)
    click.echo(f"{output} written: a source of type {name}.")
    if access := block.about.says.get("Access"):
        click.echo(f"\n{click.wrap_text(f'Access: {access}', width=100, subsequent_indent='  ')}")
    click.echo("\nNext:")
    if block.edits:
        click.echo(f"  edit {output}: {', '.join(dict.fromkeys(block.edits))}")
    for variable in block.variables:
        click.echo(f"  export {variable}=...")
    _then(output)


def _of_file(
    path: Path, output: Path, asks: bool, *, record: str | None, zone: str | None, order: str, sheet: str | None
) -> None:
    from exporter.base.clock import now
    from exporter.base.errors import SourceError
    from exporter.proposal import Given, proposed, report
    from exporter.proposal.sample import Unclear
    from exporter.proposal.written import config, source_name

    if zone and (fault := zone_fault(zone)):
        fail(f"--time-zone: {fault}")
    given = Given(
        record=record, time_zone=zone, order="day" if order == "day" else "month" if order else "", sheet=sheet
    )
    try:
        proposal = proposed(path, now(), given, _ask if asks else lambda _: None, machine_zone())
    except Unclear as question:
        fail(f"{question}; say which with {FLAGS[question.key]}: {', '.join(question.choices)}")
    except (SourceError, OSError) as error:
        fail(error)
    _write(output, config(proposal, output, source_name(path)))
    for line in report.lines(proposal, output, now()):
        click.echo(line)
    click.echo(f"\n{output} written. Next:")
    _then(output)


def _ask(question: "Unclear") -> str | None:
    """Asks on the terminal."""
    if question.key == "time_zone":
        while fault := zone_fault(answer := str(click.prompt(str(question), default=question.choices[0])).strip()):
            click.echo(fault)
        return answer
    text = f"{question}. Which one" if question.key == "sheet" else str(question)
    default = question.choices[0] if question.key == "record" else None
    return str(click.prompt(text, type=click.Choice(list(question.choices)), default=default))


def zone_fault(zone: str) -> str:
    """What is wrong with the name of a time zone; empty where nothing is."""
    from zoneinfo import available_timezones

    from exporter.records.notation import near_zone

    return "" if zone in available_timezones() else f"there is no time zone {zone!r}; {near_zone(zone)}"


def machine_zone() -> str | None:
    """The time zone of this machine; None where it is UTC or not known."""
    link = Path("/etc/localtime")
    _, found, name = str(link.resolve()).partition("zoneinfo/")
    return (
        name
        if found and name not in ("UTC", "Etc/UTC", "Universal", "Etc/Universal", "Zulu", "GMT", "Etc/GMT")
        else None
    )


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fail(f"{output} exists and is not overwritten; give another name with --output")
    except OSError as error:
        unwritable(output, error)


def _then(output: Path) -> None:
    where = "" if output == Path(DEFAULT) else f" --config.file {output}"
    click.echo(f"  outcome-exporter check{where} --live")
    click.echo(f"  outcome-exporter run{where}")
