"""The demo's Prometheus and Alertmanager: found on the PATH, run with the shipped rules but shorter waits, and stopped.

The shipped files are read, never changed: what runs is a copy in the demo's folder.
"""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from exporter.base import strict_yaml
from exporter.demo.serving import serving

FOR = "10s"
"""How long a breach must last in the demo before its alert fires; the shipped rules wait much longer."""

EVERY = "5s"
"""How often the demo's Prometheus scrapes and evaluates; the shipped configuration does so every minute."""

RETENTION = "60d"
"""Longer than the history that the demo puts into its Prometheus; what is older is deleted as soon as it is there."""

ALERTMANAGERS = ("alertmanager", "prometheus-alertmanager")
STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are; None for one that is not installed."""

    prometheus: str | None
    alertmanager: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in ("prometheus", "alertmanager") if getattr(self, name) is None)


def programs(path: str | None = None) -> Programs:
    """The programs found on the PATH, or on another search path."""
    found = (shutil.which(name, path=path) for name in ALERTMANAGERS)
    return Programs(shutil.which("prometheus", path=path), next((each for each in found if each), None))


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def hurried(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Rules as shipped, but evaluated every few seconds, and with alerts about KPIs that hardly wait."""
    return {
        "groups": [{**group, "interval": EVERY, "rules": list(map(soon, group["rules"]))} for group in rules["groups"]]
    }


def soon(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Alerts about the exporter itself keep their patience: a demo that has just begun would set them off."""
    if "kpi" not in rule.get("labels", {}):
        return dict(rule)
    return {key: value for key, value in rule.items() if key != "keep_firing_for"} | {"for": FOR}


def prometheus_config(exporter: str, alertmanager: str | None, rule_files: Sequence[str]) -> dict[str, Any]:
    """A configuration that scrapes the exporter and the programs beside it."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY},
        "rule_files": list(rule_files),
        "scrape_configs": [{"job_name": "outcome-exporter", "static_configs": [{"targets": [exporter]}]}],
    }
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    return config


def alertmanager_config(shipped: Mapping[str, Any] | None, webhook: str) -> dict[str, Any]:
    """The shipped routing with every receiver replaced by the demo's own, and without waiting."""
    if shipped is None:
        shipped = {"route": {"receiver": "demo", "group_by": ["alertname", "team"]}, "receivers": [{"name": "demo"}]}
    receivers = [
        {"name": receiver["name"], "webhook_configs": [{"url": f"{webhook}/{receiver['name']}"}]}
        for receiver in shipped["receivers"]
    ]
    kept = {key: value for key, value in shipped.items() if key in ("inhibit_rules", "time_intervals")}
    return {**kept, "route": prompt(shipped["route"]), "receivers": receivers}


def prompt(route: Mapping[str, Any]) -> dict[str, Any]:
    """A route, and those below it, that tells at once and at any hour."""
    shipped_route = {
        key: value for key, value in route.items() if key not in ("mute_time_intervals", "active_time_intervals")
    }
    shipped_route |= {"group_wait": "1s", "group_interval": "5s"}
    if "routes" in route:
        shipped_route["routes"] = [prompt(below) for below in route["routes"]]
    return shipped_route


@asynccontextmanager
async def child(program: str, *arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs as long as the context, or this process; what it says goes to a file."""
    # setpriv (util-linux) makes the kernel end the child with us, whatever happens to us.
    setpriv = shutil.which("setpriv")
    command = [setpriv, "--pdeathsig", "TERM", "--", program] if setpriv else [program]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us; we stop it in our own order
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def ready(url: str, process: asyncio.subprocess.Process, log: Path, *, within: float = 30) -> None:
    """Waits until a child answers; RuntimeError with its last words where it ends instead."""
    deadline = asyncio.get_running_loop().time() + within
    async with aiohttp.ClientSession() as http:
        while asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                break
            with suppress(aiohttp.ClientError, OSError):
                async with http.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"{url} does not answer; {log} ends: {last_words(log)}")


def last_words(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])


def receiver(alerted: Callable[[str, Mapping[str, Any]], None]) -> web.Application:
    """What Alertmanager sends to: calls `alerted` with the receiver's name and each alert."""

    async def receive(request: web.Request) -> web.Response:
        message = await request.json()
        for alert in message["alerts"]:
            alerted(request.match_info["receiver"], alert)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", receive)
    return app


@dataclass(frozen=True, slots=True)
class Shipped:
    """The shipped files that the stack is derived from."""

    rules: Sequence[Path]
    alertmanager: Path

    @staticmethod
    def of(root: Path) -> "Shipped":
        return Shipped(
            sorted((root / "alerts").glob("*.rules.yaml")),
            root / "deploy" / "compose" / "alertmanager" / "alertmanager.yml",
        )


@asynccontextmanager
async def stack(
    folder: Path,
    exporter: str,
    shipped: Shipped,
    alerted: Callable[[str, Mapping[str, Any]], None],
    found: Programs,
) -> AsyncIterator[dict[str, str]]:
    """Runs what is installed, in a folder that exists; gives name -> address. `exporter` is host:port."""
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as running:
        if found.alertmanager:
            webhook = await running.enter_async_context(serving(receiver(alerted)))
            config = alertmanager_config(loaded(shipped.alertmanager), webhook)
            addresses["Alertmanager"] = await running.enter_async_context(
                alertmanager(folder, found.alertmanager, config)
            )
        if found.prometheus:
            files = [
                written(folder / rules.name, hurried(strict_yaml.load(rules).data)).name for rules in shipped.rules
            ]
            beside = addresses.get("Alertmanager", "").removeprefix("http://") or None
            config = prometheus_config(exporter, beside, files)
            addresses["Prometheus"] = await running.enter_async_context(prometheus(folder, found.prometheus, config))
        yield addresses


@asynccontextmanager
async def alertmanager(folder: Path, program: str, config: Mapping[str, Any]) -> AsyncIterator[str]:
    port, log = free_port(), folder / "alertmanager.log"
    file = written(folder / "alertmanager.yml", config)
    async with child(
        program,
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        log=log,
    ) as process:
        await ready(f"http://127.0.0.1:{port}/-/ready", process, log)
        yield f"http://127.0.0.1:{port}"


def data_of(folder: Path) -> Path:
    """Where Prometheus keeps its data."""
    return folder / "prometheus"


@asynccontextmanager
async def prometheus(folder: Path, program: str, config: Mapping[str, Any]) -> AsyncIterator[str]:
    port, log = free_port(), folder / "prometheus.log"
    file = written(folder / "prometheus.yml", config)
    async with child(
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={data_of(folder)}",
        f"--storage.tsdb.retention.time={RETENTION}",
        f"--web.listen-address=127.0.0.1:{port}",
        log=log,
    ) as process:
        await ready(f"http://127.0.0.1:{port}/-/ready", process, log)
        yield f"http://127.0.0.1:{port}"


def loaded(path: Path) -> dict[str, Any] | None:
    """A YAML file's content; None where there is no such file."""
    return dict(strict_yaml.load(path).data) if path.exists() else None


def written(path: Path, content: Mapping[str, Any]) -> Path:
    """Writes a configuration as JSON, which is YAML too."""
    path.write_text(json.dumps(content, indent=2))
    return path
