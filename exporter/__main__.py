"""The command line: one function for each command.

A command imports what it needs when it runs: `--help` and a typing error are answered at once.
"""

import gc
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter import __version__
from exporter.base.defaults import LISTEN, MOST_CONNECTIONS, SIZE
from exporter.cli.end import fail, stopped, unwritable
from exporter.cli.project import new, render, schema
from exporter.cli.types import Instant, Length

if TYPE_CHECKING:
    from exporter.config import Config

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes longer than reading a config

config_file = click.option(
    "--config.file", "config_path", type=click.Path(path_type=Path), default="outcome.yaml", show_default=True,
    envvar="OUTCOME_CONFIG_FILE", help="Path of the config file.",
)  # fmt: skip
log_level = click.option(
    "--log.level", "level", type=click.Choice(["debug", "info", "warn", "error"]), help="Lowest level to log."
)
log_format = click.option("--log.format", "style", type=click.Choice(["logfmt", "json"]), help="Format of log lines.")


def loaded(path: Path, level: str | None = None, style: str | None = None) -> "Config":
    """The config; ends the program with every mistake where there are any."""
    from exporter.base import logs, strict_yaml
    from exporter.runtime import read_config

    try:
        config = read_config(path)
    except strict_yaml.Mistakes as mistakes:
        for mistake in mistakes.mistakes:
            click.echo(str(mistake), err=True)
        count = len(mistakes.mistakes)
        fail(f"{count} mistake{'s' if count > 1 else ''} in the config; nothing was started")
    logs.start(level or config.log.level, "json" if (style or config.log.format) == "json" else "logfmt")
    return config


def guarded(work: Callable[[], Any]) -> Any:
    """Runs something whose known faults end the program with their text, and an interrupt with a word."""
    try:
        return work()
    except KeyboardInterrupt:
        stopped()
    except Exception as error:
        if isinstance(error, _known_faults()):
            fail(error)
        if "interrupted" not in str(error).lower():  # DuckDB's word for Ctrl-C in a query
            raise
        stopped()


def _known_faults() -> tuple[type[Exception], ...]:
    from exporter.base.strict_yaml import Mistakes
    from exporter.server import Refusal
    from exporter.server.listen import ListenError
    from exporter.store import StoreError

    return StoreError, ListenError, Mistakes, Refusal


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="outcome-exporter")
def main() -> None:
    """Is our automation paying off? Publish outcomes of automation and service tools as Prometheus and OTLP metrics."""


@main.command()
@config_file
@click.option(
    "--config.check",
    "check_only",
    is_flag=True,
    help="Check the config and exit; list all its mistakes and exit with 1 if there are any.",
)
@click.option(
    "--web.listen-address",
    "addresses",
    multiple=True,
    help=f"Address (host:port) to listen on; may be repeated. [{LISTEN}]",
)
@click.option(
    "--web.telemetry-path",
    "telemetry_path",
    default="/metrics",
    show_default=True,
    help="Path under which metrics are served.",
)
@click.option(
    "--web.config.file",
    "web_file",
    type=click.Path(path_type=Path),
    help="File with TLS settings and users, in the format of exporter-toolkit.",
)
@click.option(
    "--web.enable-lifecycle", "lifecycle", is_flag=True, help="Allow a reload by a POST request to /-/reload."
)
@click.option(
    "--web.external-url",
    "external_url",
    default="",
    metavar="URL",
    help="URL under which people reach the exporter, for example through a proxy. Its path prefixes every route.",
)
@click.option(
    "--web.route-prefix",
    "route_prefix",
    metavar="PATH",
    help="Prefix of every route, including health. [the path of --web.external-url; use / if the proxy strips it]",
)
@click.option(
    "--web.max-connections",
    "connections",
    type=click.IntRange(min=1),
    default=MOST_CONNECTIONS,
    show_default=True,
    help="Maximum number of simultaneous connections.",
)
@log_level
@log_format
def run(
    config_path: Path, check_only: bool, addresses: tuple[str, ...], telemetry_path: str, web_file: Path | None,
    lifecycle: bool, external_url: str, route_prefix: str | None, connections: int, level: str | None,
    style: str | None,
) -> None:  # fmt: skip
    """Poll the sources, evaluate the KPIs and publish them until stopped. SIGHUP reloads the config."""
    import asyncio

    from exporter.app import ServeOptions, serve
    from exporter.cli.terminal import progress
    from exporter.server.reach import reach

    config = loaded(config_path, level, style)
    if check_only:
        _say_valid(config)
        return
    options = ServeOptions(
        addresses=addresses or (LISTEN,),
        reach=guarded(lambda: reach(external_url, route_prefix, telemetry_path)),
        most_connections=connections,
        web_file=web_file,
        lifecycle=lifecycle,
    )
    with progress() as show:
        guarded(lambda: asyncio.run(serve(config_path, options, show=show)))


@main.command("once")
@config_file
@click.option("--at", "at", type=Instant(), help="Evaluate at this time instead of now.")
@click.option(
    "--output", "output", type=click.Path(path_type=Path), help="Write to this file, atomically, instead of printing."
)
@click.option("--no-poll", "no_poll", is_flag=True, help="Do not poll any source; evaluate what is stored.")
@log_level
@log_format
def once_command(
    config_path: Path, at: datetime | None, output: Path | None, no_poll: bool, level: str | None, style: str | None
) -> None:
    """Poll every source completely, evaluate the KPIs and print the metrics."""
    import asyncio

    from exporter.base.clock import now
    from exporter.cli.terminal import progress
    from exporter.publish.exposition import text
    from exporter.runtime import once, open_store

    config = loaded(config_path, level, style)

    def work() -> None:
        with open_store(config) as store, progress() as show:
            outcome = asyncio.run(once(config, store, now, at=at, polls=not no_poll, show=show))
        _write(text(outcome.published.snapshot, outcome.health.registry), output)
        for name, what in outcome.unread.items():
            if name not in outcome.failed:
                click.echo(f"outcome-exporter: source {name}: {what}", err=True)
        if outcome.failed:
            fail("; ".join(f"source {name}: {why}" for name, why in outcome.failed.items()))

    guarded(work)


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
        return
    from exporter.publish.exposition import written

    try:
        written(content, output)
    except OSError as error:
        unwritable(output, error)


@main.command()
@config_file
@click.option(
    "--live", is_flag=True, help="Also query every source: check its credential and rights, clock and field coverage."
)
def check(config_path: Path, live: bool) -> None:
    """Check the config and report how many series it produces; with --live, check the sources too."""
    gc.disable()  # it ends soon, and looking for garbage while modules are loaded takes a tenth of its time
    from exporter.cli.expected import expected

    config = loaded(config_path)
    _say_valid(config)
    for line in guarded(lambda: expected(config)):
        click.echo(line)
    if live:
        _ask_sources(config)


def _ask_sources(config: "Config") -> None:
    import asyncio

    from rich.console import Console

    from exporter.base.clock import now
    from exporter.cli.preflight import probe

    if not asyncio.run(probe(config.sources, now(), Console(soft_wrap=True))):
        fail("not every source answered as expected")


def _say_valid(config: "Config") -> None:
    for warning in config.warnings:
        click.echo(warning, err=True)
    sources = f"{len(config.sources)} source{'s' if len(config.sources) != 1 else ''}"
    own = f", {len(config.own)} of your own: {', '.join(config.own)}" if config.own else ""
    click.echo(f"{config.file} is valid: {sources}, {len(config.plan.settings)} KPIs{own}")


@main.command("health")
@config_file
@click.option("--ready", is_flag=True, help="Also check whether the first values have been published.")
def health_command(config_path: Path, ready: bool) -> None:
    """Check whether the exporter that runs on this config is healthy; exit with 0 or 1.

    For a container's health check. It asks on the socket beside the store, so it needs no address, password or
    certificate.
    """
    from exporter.cli.ask import health
    from exporter.server.reach import HEALTHY, READY

    click.echo(guarded(lambda: health(config_path, READY if ready else HEALTHY)))


@main.command()
@config_file
@click.option("--window", default="7d", show_default=True, help="Window to show.")
@click.option("--json", "as_json", is_flag=True, help="Print all windows as JSON.")
def kpis(config_path: Path, window: str, as_json: bool) -> None:
    """Show the present values with sample sizes and freshness, from the running exporter or else from the store."""
    import json

    from exporter.base.clock import now
    from exporter.cli.ask import known
    from exporter.cli.terminal import kpi_table

    config = loaded(config_path)
    names = [name for name, _ in config.plan.windows]
    if window not in names:
        fail(f"--window {window}: this window is not configured; choose one of {', '.join(names)}")
    rows = guarded(lambda: known(config))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        kpi_table(rows, window, now())


@main.command("explain")
@config_file
@click.argument("kpi")
@click.argument("labels", nargs=-1, metavar="[LABEL=VALUE]...")
@click.option("--window", help="Window to explain; by default, the window that alerts use.")
@click.option("--at", "at", type=Instant(), help="Explain the value at this time instead of at the last evaluation.")
@click.option("--page", default=1, show_default=True, help=f"Page of records to show; a page has {SIZE} records.")
@click.option("--csv", "form", flag_value="csv", help="Print all records as CSV.")
@click.option("--json", "form", flag_value="json", help="Print everything as JSON.")
def explain_command(
    config_path: Path, kpi: str, labels: tuple[str, ...], window: str | None, at: datetime | None, page: int,
    form: str | None,
) -> None:  # fmt: skip
    """Explain a value: list the records that KPI counts, those that it does not count, and why."""
    import json

    from exporter.cli.ask import explained
    from exporter.cli.terminal import csv_text, every_page, explanation
    from exporter.explain.query import LARGEST_SIZE, Unexplained

    config = loaded(config_path)
    if wrong := [text for text in labels if "=" not in text]:
        fail(f"{wrong[0]!r}: write a label as name=value, as in team=it")
    query = dict(text.split("=", 1) for text in labels)
    if len(query) < len(labels):
        fail("a label is given twice; give it one value, or leave it out for all of them")
    if taken := sorted(query.keys() & {"kpi", "page", "size", "window", "at", "counted"}):
        fail(f"{taken[0]}= is not a label; see --help for the options")
    query |= {"kpi": kpi, "page": str(page), "size": str(SIZE)}
    query |= {"window": window} if window else {}
    query |= {"at": at.isoformat()} if at else {}
    try:
        answer = guarded(lambda: explained(config, query))
        if form:
            query["size"] = str(LARGEST_SIZE)
            answer = every_page(lambda number: guarded(lambda: explained(config, query | {"page": str(number)})))
    except Unexplained as error:
        fail(error)
    if form == "csv":
        click.echo(csv_text(answer), nl=False)
    elif form == "json":
        click.echo(json.dumps(answer, indent=2))
    else:
        explanation(answer)


@main.command("backfill")
@config_file
@click.option("--from", "length", type=Length(), default="90d", show_default=True, help="How far back to go.")
@click.option("--step", type=Length(), default="1h", show_default=True, help="Time from one sample to the next.")
@click.option("--to", "to", type=Instant(), help="End at this time instead of now.")
@click.option(
    "--output", type=click.Path(path_type=Path), default="history.om", show_default=True, help="File to write."
)
@log_level
@log_format
def backfill_command(
    config_path: Path, length: timedelta, step: timedelta, to: datetime | None, output: Path, level: str | None,
    style: str | None,
) -> None:  # fmt: skip
    """Write past values for `promtool tsdb create-blocks-from openmetrics`; an interrupted run can be continued."""
    from exporter.base.clock import now
    from exporter.cli.ask import past
    from exporter.cli.terminal import bar
    from exporter.publish import backfill

    config = loaded(config_path, level, style)
    if output.is_dir():
        fail(f"--output {output} is a folder; give the name of a file")
    if length < step:
        fail(f"--from {length} is shorter than --step {step}")
    job = backfill.Job(instants=backfill.instants(length, step, to or now()), output=output)

    def work() -> None:
        begun = backfill.begun(job, backfill.same_settings(config.plan, config.limits), open_end=to is None)
        with past(config) as lines_of, bar("history") as show:
            backfill.fill(begun, lines_of, show)
        first, last = begun.instants.first.isoformat(), begun.instants.last.isoformat()
        click.echo(f"{output}: {begun.instants.count} times from {first} to {last}", err=True)

    try:
        guarded(work)
    except OSError as error:
        unwritable(output, error)


@main.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default="var/demo",
    show_default=True,
    help="Folder for the files of the demo.",
)
@click.option(
    "--seed", default=1, show_default=True, help="Seed of the simulation; another seed simulates another organisation."
)
@log_level
def demo(directory: Path, seed: int, level: str | None) -> None:
    """Run a demo on a simulated organisation, with Prometheus and Alertmanager if they are installed."""
    import asyncio

    from exporter.app import ServeOptions, serve
    from exporter.base import logs
    from exporter.base.clock import now
    from exporter.demo import main as show

    async def run_exporter(config: Path, listen: str) -> None:
        await serve(config, ServeOptions(addresses=[listen]))

    logs.start(level or "warn", "logfmt")
    try:
        guarded(lambda: asyncio.run(show.demo(directory, seed, run_exporter=run_exporter, now=now)))
    except show.DemoError as error:
        fail(error)


@main.command()
@config_file
@click.option("--person", help="Person to remove, written as in the sources: an e-mail address or an id.")
@click.option("--source", "source", metavar="NAME", help="Source to remove; it need not be configured any more.")
def erase(config_path: Path, person: str | None, source: str | None) -> None:
    """Erase a person, or everything read from a source, from the store.

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


@main.command("rules")
@config_file
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@click.option("--runbook-url", help="URL of RUNBOOK.md; each alert links to its heading there.")
@click.option("--dashboard-url", help="URL of Grafana; alerts link to it.")
def rules_command(config_path: Path, output: Path, runbook_url: str | None, dashboard_url: str | None) -> None:
    """Write alert rules, a runbook and a dashboard for the KPIs and thresholds of a config, including your own KPIs."""
    from exporter.catalogue.kpi import catalogue
    from exporter.render import own, rules

    config = loaded(config_path)
    urls = rules.Urls(runbook=runbook_url or own.RUNBOOK_URL, dashboard=dashboard_url or rules.DASHBOARD_URL)
    windows = [name for name, _ in config.plan.windows]
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in own.files(config.plan.settings, catalogue(), windows, urls).items():
            (output / name).write_text(content, encoding="utf-8")
            click.echo(f"{output / name}: made")
    except OSError as error:
        fail(f"{output}: cannot be written: {error.strerror}; give a folder you may write to")


@main.command("connectors")
@click.argument("name", required=False)
def connectors_command(name: str | None) -> None:
    """List what can be read; with NAME, show how: access, a sample, options, and what the values do not show."""
    from shutil import get_terminal_size

    from exporter.cli import about

    if name is None:
        click.echo("\n".join(about.listed()))
        return
    try:
        click.echo(about.described(name, max(60, min(120, get_terminal_size().columns))))
    except ValueError as error:
        fail(error)


@main.command("records")
@click.argument("name", required=False)
def records_command(name: str | None) -> None:
    """List what a platform's items may become; with NAME, its columns and the words that they take."""
    from shutil import get_terminal_size

    from exporter.cli import about

    if name is None:
        click.echo("\n".join(about.records_listed()))
        return
    try:
        click.echo(about.record_described(name, max(60, min(120, get_terminal_size().columns))))
    except ValueError as error:
        fail(error)


for command in (schema, render, new):
    main.add_command(command)


if __name__ == "__main__":
    os.umask(0o077)
    main()
