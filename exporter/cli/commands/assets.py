"""The command `assets`."""

from pathlib import Path

import click

from exporter.cli.command import Command
from exporter.cli.end import fail

EXAMPLES = {
    "assets --output outcome": "Write them to the folder outcome",
    "assets --output outcome --overwrite": "Write them again, also those that you have changed",
}


@click.command("assets", cls=Command, examples=EXAMPLES)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@click.option("--overwrite", is_flag=True, help="Also replace files that differ from what is shipped.")
def command(output: Path, overwrite: bool) -> None:
    """Write rules, dashboards, example configs.

    All files that are shipped with the exporter: the alert rules and their runbook, the Grafana dashboards, the example
    config with every key, a systemd unit, a Compose stack and Kubernetes manifests.
    """
    from exporter.base import assets

    kept = 0
    try:
        for path in assets.files():
            target, content = output / path, (assets.root() / path).read_bytes()
            differs = target.exists() and target.read_bytes() != content
            if differs and not overwrite:
                kept += 1
                click.echo(f"{target}: kept, because it differs from what is shipped", err=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            click.echo(target)
    except OSError as error:
        fail(f"{error.filename or output}: {error.strerror}; give a folder you may write to")
    if kept:
        fail(f"{kept} file{'s' if kept > 1 else ''} kept; --overwrite replaces what differs")
