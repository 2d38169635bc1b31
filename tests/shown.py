"""What a page shows its readers: blocks of code, commands, links."""

import re

import click

from exporter.__main__ import main


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """Every `outcome-exporter ...` in a block of code, and what a shell does with it left out."""
    code = "\n".join(inner for _, inner in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return re.findall(r"^(?:.venv/bin/)?outcome-exporter (.+?)(?: +[#>&|].*)?$", code, re.MULTILINE)


def unknown_options(text: str) -> list[tuple[str, str]]:
    """Commands that are not there, or not with such an option, and what of them."""
    unknown: list[tuple[str, str]] = []
    for line in commands(text):
        command: click.Command | None = main
        words = line.split()
        while isinstance(command, click.Group) and not words[0].startswith("--"):
            command = command.get_command(click.Context(command), words.pop(0))
        known = (
            {option for each in command.get_params(click.Context(command)) for option in each.opts} if command else {}
        )
        unknown += [(line, word) for word in words if word.startswith("--") and word not in known]
        unknown += [] if command else [(line, "no such command")]
    return unknown
