"""What `--help` says: headings, summaries that fit, examples that work."""

import shlex
from collections.abc import Iterator

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.cli.command import Command
from exporter.cli.commands import COMMANDS


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command with its name in full, those of a group too."""
    for name, command in group.commands.items():
        full = (*before, name)
        yield " ".join(full), command
        if isinstance(command, click.Group):
            yield from commands(command, full)


ALL = dict(commands(main))


def parsed(group: click.Group, args: list[str]) -> click.Context:
    """Has a command line parsed as far as the command that would run. Raises click's errors."""
    context = group.make_context("outcome-exporter", args)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert name
    assert command
    return parsed(command, rest) if isinstance(command, click.Group) else command.make_context(name, rest)


def test_the_help_shows_every_command_under_its_heading_with_a_summary_that_is_not_cut() -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["--help"]).output

    assert [line.removesuffix(":") for line in shown.splitlines() if line.endswith(":")] == ["Options", *COMMANDS]
    assert [name for name in main.commands if f"\n  {name} " not in shown] == []
    assert [line for line in shown.splitlines()[1:] if line.endswith("...")] == []


@pytest.mark.parametrize("name", ALL)
def test_a_summary_is_a_short_sentence_that_begins_with_a_verb(name: str) -> None:
    summary = ALL[name].get_short_help_str(80)

    assert len(summary) < 45
    assert summary[0].isupper()
    assert not summary.endswith("...")


@pytest.mark.parametrize("name", ALL)
def test_every_help_ends_with_examples_that_fit_a_terminal_and_can_be_run_as_they_are(name: str) -> None:
    command = ALL[name]
    assert isinstance(command, Command)
    printed = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*name.split(), "--help"]).output
    shown = printed.partition("\nExamples:\n")[2]

    assert len(command.examples) >= 1
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    for example in command.examples:
        words = shlex.split(example.partition(" >")[0].partition(" |")[0])
        assert words[: len(name.split())] == name.split()
        assert parsed(main, words).params is not None
        assert f"\n  outcome-exporter {example}\n" in f"{shown}\n"


def test_a_command_that_there_is_not_is_an_error_that_names_the_nearest() -> None:
    wrong = CliRunner().invoke(main, ["chek"])

    assert wrong.exit_code == 2
    assert "check" in wrong.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_the_program_by_its_name(shell: str) -> None:
    printed = CliRunner().invoke(main, ["completion", shell]).output

    assert f"_OUTCOME_EXPORTER_COMPLETE={shell}_complete" in printed
    assert "outcome-exporter" in printed


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [
        ([], "che", ["check"]),
        (["check"], "--li", ["--live"]),
        (["completion"], "", ["bash", "zsh", "fish"]),
        (["explain"], "no_show", ["no_show_ratio"]),
        (["connectors"], "n8", ["n8n"]),
        (["records"], "inc", ["incident"]),
    ],
)
def test_commands_options_and_names_are_completed(words: list[str], begun: str, expected: list[str]) -> None:
    shell = ShellComplete(main, {}, "outcome-exporter", "_OUTCOME_EXPORTER_COMPLETE")

    assert [item.value for item in shell.get_completions(words, begun)] == expected
