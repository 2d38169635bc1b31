"""The command `erase`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.config import config_file, loaded
from exporter.cli.end import fail, guarded

EXAMPLES = {
    "erase --person anna@example.org": "A person, as the sources name her",
    "erase --source old-desk": "Everything that was read from a source",
}


@click.command("erase", cls=Command, examples=EXAMPLES)
@config_file
@click.option("--person", help="Person to remove, written as in the sources: an e-mail address or an id.")
@click.option("--source", "source", metavar="NAME", help="Source to remove; it need not be configured any more.")
def command(config_path: Path, person: str | None, source: str | None) -> None:
    """Erase a person or a source from the store.

    Stop the exporter first. Afterwards the data can no longer be read in the store's file. For a person, accounts and
    activity are deleted; requests and bookings stay, but no longer name anybody. What a source still has comes back
    with the next poll: erase it there first, or remove the source from the config.
    """
    if (person is None) == (source is None):
        fail("give either --person or --source to say what to erase")
    from exporter.runtime import open_store

    config = loaded(config_path)

    def work() -> dict[str, int]:
        with open_store(config) as store:
            return store.erase_person(person) if person is not None else store.erase_source(str(source))

    counts = guarded(work)
    words = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    click.echo(f"erased: {words}" if words else "nothing to erase: no record matches")
    if source in {each.name for each in config.sources}:
        click.echo(f"source {source} is still configured, so the next poll reads its records again", err=True)
