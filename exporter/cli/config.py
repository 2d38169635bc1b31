"""The config of a command: its option, and how it is read.

What that takes is imported when a config is read, so that `--help` is quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from exporter.cli.end import fail

if TYPE_CHECKING:
    from exporter.base.strict_yaml import Mistakes
    from exporter.config import Config

config_file = click.option(
    "--config.file", "config_path", type=click.Path(path_type=Path), default="outcome.yaml", show_default=True,
    envvar="OUTCOME_CONFIG_FILE", help="Path of the config file.",
)  # fmt: skip


def loaded(path: Path, level: str | None = None, style: str | None = None) -> "Config":
    """The config; ends the program with every mistake where there are any."""
    from exporter.base import logs, strict_yaml
    from exporter.config import read_config

    try:
        config = read_config(path)
    except strict_yaml.Mistakes as mistakes:
        refuse(mistakes, "in the config; nothing was started")
    logs.start(level or config.log.level, "json" if (style or config.log.format) == "json" else "logfmt")
    return config


def refuse(mistakes: "Mistakes", where: str) -> NoReturn:
    """Ends the program with all mistakes of a file."""
    for mistake in mistakes.mistakes:
        click.echo(str(mistake), err=True)
    count = len(mistakes.mistakes)
    fail(f"{count} mistake{'s' if count > 1 else ''} {where}")


def say_valid(config: "Config") -> None:
    """Prints the warnings about a config and that it is valid."""
    for warning in config.warnings:
        click.echo(warning, err=True)
    sources = f"{len(config.sources)} source{'s' if len(config.sources) != 1 else ''}"
    own = f", {len(config.own)} of your own: {', '.join(config.own)}" if config.own else ""
    click.echo(f"{config.file} is valid: {sources}, {len(config.plan.settings)} KPIs{own}")
