"""The command line: a group of commands, each loaded when it is needed."""

import os

import click

from exporter import __version__
from exporter.cli.command import Program
from exporter.cli.commands import COMMANDS

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes longer than reading a config


@click.group(
    cls=Program,
    package="exporter.cli.commands",
    sections=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="outcome-exporter")
def main() -> None:
    """Is our automation paying off? Publish outcomes of automation and service tools as Prometheus and OTLP metrics."""


if __name__ == "__main__":
    os.umask(0o077)
    main()
