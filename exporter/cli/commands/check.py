"""The command `check`."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded, say_valid
from exporter.cli.end import fail, guarded

if TYPE_CHECKING:
    from exporter.config import Config

EXAMPLES = {
    "check": "All mistakes in outcome.yaml at once; contacts nothing",
    "check --live": "Also ask each source for its first pages: credential, rights, clock, fields",
    "check --store": "Also prove what the store keeps beside records; stop the exporter first",
}


@click.command("check", cls=Command, examples=EXAMPLES)
@config_file
@click.option(
    "--live", is_flag=True, help="Also query every source: check its credential and rights, clock and field coverage."
)
@click.option("--store", is_flag=True, help="Also compare results kept in the store with what its records give.")
def command(config_path: Path, live: bool, store: bool) -> None:
    """Check the config, the sources and the store.

    Reports every mistake at once, and how many series the config produces. With --live, also asks every source for a
    little; it stores nothing. With --store, works out again what is kept beside records, such as who came back after a
    request; stop the exporter first.
    """
    gc.disable()  # it ends soon, and looking for garbage while modules are loaded takes a tenth of its time
    from exporter.cli.expected import expected

    config = loaded(config_path)
    say_valid(config)
    if store and not guarded(lambda: _check_store(config)):
        fail("some kept results were wrong, and so may be values; please report this with the version of the program")
    for line in guarded(lambda: expected(config)):
        click.echo(line)
    if live:
        click.echo()
        if not _ask_sources(config):
            fail("some steps are marked fix: mend them before you go live")


def _ask_sources(config: "Config") -> bool:
    """Shows step by step what sources answer, and what would come of it. Returns whether nothing must be mended."""
    import asyncio
    import os
    from shutil import get_terminal_size

    from exporter.base.clock import now
    from exporter.cli.preflight import probes
    from exporter.cli.steps import heading, lines, steps
    from exporter.cli.trial import trial

    at, width = now(), max(60, min(100, get_terminal_size().columns))
    answers = asyncio.run(probes(config.sources, at))
    moment, labels, outlook = guarded(lambda: trial(config, answers, at))
    well = True
    screen = []
    for source, probe in zip(config.sources, answers, strict=True):
        shown = [*steps(source, probe, at), *(labels[name] for name in (source.name,) if name in labels)]
        well = well and all(step.mark != "fix" for step in shown)
        screen += [*lines(heading(source), shown, width), ""]
    then = "" if moment == at else f", at the time of the newest record, {moment:%Y-%m-%d %H:%M} UTC"
    screen += lines(f"What comes of it{then}", outlook, width)
    for line in screen:
        click.echo(line, color=False if os.environ.get("NO_COLOR") else None)
    return well


def _check_store(config: "Config") -> bool:
    """Shows how many records have results beside them, and how many are not what records give now; all of those are
    worked out anew then. Returns whether there are none."""
    from exporter.runtime import open_store

    if not config.store.path.exists():
        click.echo(f"store {config.store.path}: does not exist yet")
        return True
    well = True
    with open_store(config) as store:
        counts = store.counts()
        for record, (kept, wrong) in store.kept_wrong(source.name for source in config.sources).items():
            click.echo(f"store {config.store.path}: {record}: {kept:,} of {counts[record]:,} records have kept results")
            if kept < counts[record]:
                click.echo(f"  {counts[record] - kept:,} have none yet: the next evaluation adds them")
            click.echo(f"  {wrong:,} are wrong: the next evaluation works out all anew" if wrong else "  all are right")
            well = well and not wrong
        if not well:
            store.keep_anew()
    return well
