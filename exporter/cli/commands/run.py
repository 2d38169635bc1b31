"""The command `run`."""

from pathlib import Path

import click

from exporter.base.defaults import LISTEN, MOST_CONNECTIONS
from exporter.cli.command import Command, log_format, log_level
from exporter.cli.config import config_file, loaded, say_valid
from exporter.cli.end import guarded

EXAMPLES = {
    "run": "Serve http://127.0.0.1:10042/metrics for the config in outcome.yaml",
    "run --web.listen-address 0.0.0.0:10042": "Reachable from other machines",
    "run --web.external-url https://metrics.example.org/outcome/": "Behind a proxy, under a path",
}


@click.command("run", cls=Command, examples=EXAMPLES)
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
def command(
    config_path: Path, check_only: bool, addresses: tuple[str, ...], telemetry_path: str, web_file: Path | None,
    lifecycle: bool, external_url: str, route_prefix: str | None, connections: int, level: str | None,
    style: str | None,
) -> None:  # fmt: skip
    """Poll, evaluate and publish until stopped.

    SIGHUP reloads the config.
    """
    import asyncio

    from exporter.app import ServeOptions, serve
    from exporter.cli.terminal import progress
    from exporter.server.reach import reach

    config = loaded(config_path, level, style)
    if check_only:
        say_valid(config)
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
