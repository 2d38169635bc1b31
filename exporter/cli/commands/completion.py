"""The command `completion`."""

import click

from exporter.cli.command import Command

EXAMPLES = {
    "completion bash > /etc/bash_completion.d/outcome-exporter": "bash, for all users",
    "completion bash >> ~/.bash_completion": "bash, for yourself",
    'completion zsh > "${fpath[1]}/_outcome-exporter"': "zsh",
    "completion fish > ~/.config/fish/conf.d/outcome-exporter.fish": "fish",
}


@click.command("completion", cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    It completes commands, options, KPIs, connectors and records at the TAB key. Write it where the shell looks for such
    scripts, and open a new shell.
    """
    from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

    kinds: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    script = kinds[shell](context.find_root().command, {}, "outcome-exporter", "_OUTCOME_EXPORTER_COMPLETE")
    click.echo(ShellComplete.source(script))  # not that of bash's own class, which starts bash to ask for its version
