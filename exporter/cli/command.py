"""What all commands have in common: examples in their help, options for logs, and that they are loaded when needed."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any

import click

log_level = click.option(
    "--log.level", "level", type=click.Choice(["debug", "info", "warn", "error"]), help="Lowest level to log."
)
log_format = click.option("--log.format", "style", type=click.Choice(["logfmt", "json"]), help="Format of log lines.")


class Command(click.Command):
    """A command with examples: what follows `outcome-exporter` -> what it is for."""

    def __init__(self, *args: Any, examples: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples as they are: whoever copies a line gets all of it."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for number, (example, purpose) in enumerate(self.examples.items()):
                formatter.write("\n" if number else "")
                formatter.write(f"  # {purpose}\n  outcome-exporter {example}\n")


class Group(Command, click.Group):
    """A command that has commands."""


class Program(click.Group):
    """The program. Its commands are shown under headings and loaded when they are needed."""

    def __init__(self, name: str | None, *, package: str, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        names = [name for section in sections.values() for name in section]
        super().__init__(name, commands=_Loaded(package, names), **kwargs)
        self.sections = sections

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click gives it
        """Writes the commands with their summaries, section by section."""
        width = max(map(len, self.commands))
        for heading, names in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:{width}}", self.commands[name].get_short_help_str()) for name in names])


class _Loaded(MutableMapping[str, click.Command]):
    """Name -> the `command` of the module of that name in a package. A module is imported when it is asked for."""

    def __init__(self, package: str, names: Sequence[str]) -> None:
        self._package = package
        self._commands: dict[str, click.Command | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name] or import_module(f"{self._package}.{name}").command
        self._commands[name] = command
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)
