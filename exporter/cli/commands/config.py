"""The command `config`."""

from pathlib import Path

import click

from exporter.cli.command import Command, Group
from exporter.cli.config import config_file, loaded

EXAMPLES = {
    "config print": "All settings that apply, with their defaults",
    "config print > full.yaml": "A config that means the same and says everything",
}


@click.group("config", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Show what a config means."""


@command.command("print", cls=Command, examples=EXAMPLES)
@config_file
def print_command(config_path: Path) -> None:
    """Print the config with every default.

    Secrets are shown as in the file: as the name of a file or a variable.
    """
    from exporter.base import strict_yaml
    from exporter.config.effective import effective

    config = loaded(config_path)
    click.echo(strict_yaml.text(effective(config, strict_yaml.read_yaml(config_path)[0].data)), nl=False)
