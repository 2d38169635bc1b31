"""The command `report`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded, unwritable

READERS = ("executive", "operations", "support", "engineering", "bookings", "rollout")
FORMATS = ("md", "html", "csv", "pdf")
EXAMPLES = {
    "report": "The last week, for executives",
    "report --period 2026-Q3 --format pdf --output q3.pdf": "A quarter to forward",
    "report --period month --for operations": "The last month, for those who run the automations",
}


@click.command("report", cls=Command, examples=EXAMPLES)
@config_file
@click.option(
    "--period", default="week", show_default=True,
    help="week, month or quarter (the last one that is over), one by name: 2026-W38, 2026-09, 2026-Q3; or 30-60-90.",
)  # fmt: skip
@click.option("--for", "reader", type=click.Choice(READERS), default="executive", show_default=True, help="Reader.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True,
    help="Markdown, a page, the values as CSV, or PDF, which takes an installed Chromium.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; a PDF needs one.")
def command(config_path: Path, period: str, reader: str, form: str, output: Path | None) -> None:
    """Write a memo of a week, month or quarter.

    One headline, three drivers, three controls; what changed and why, and what to do next. From the running exporter,
    or else from the store.
    """
    from exporter.cli.ask import reported
    from exporter.report.pdf import PdfError, printed
    from exporter.report.period import NoSuchPeriod

    if form == "pdf" and output is None:
        fail("a PDF is no text for a terminal; name a file, like --output report.pdf")
    config = loaded(config_path)
    try:
        text = guarded(lambda: reported(config, period, reader, "html" if form == "pdf" else form))
        content = printed(text) if form == "pdf" else text.encode()
    except (NoSuchPeriod, PdfError) as error:
        fail(error)
    if output is None:
        click.echo(content.decode(), nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        unwritable(output, error)
