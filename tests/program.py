"""Starts the real program as a user does, on a config file, and asks it over HTTP."""

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests import deadline

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Program:
    """The running program."""

    process: asyncio.subprocess.Process
    url: str
    folder: Path
    """Of its config."""
    log: list[str] = field(default_factory=list)

    async def get(self, path: str) -> str:
        async with aiohttp.ClientSession() as http, http.get(self.url + path) as response:
            return await response.text()

    async def samples(self) -> Samples:
        families = text_string_to_metric_families(await self.get("/metrics"))
        return {(s.name, frozenset(s.labels.items())): float(s.value) for family in families for s in family.samples}

    async def until(self, seen: Callable[[Samples], bool], quiet: float = 60) -> Samples:
        """The samples, as soon as they are as expected; those of the last look where they never are."""
        end = asyncio.get_running_loop().time() + deadline.seconds(quiet)
        samples: Samples = {}
        while asyncio.get_running_loop().time() < end:
            # A program whose clock runs fast hangs up on whoever is slow by that clock.
            with contextlib.suppress(aiohttp.ServerDisconnectedError):
                if seen(samples := await self.samples()):
                    break
            await asyncio.sleep(0.2)
        return samples

    async def stopped(self, number: int = signal.SIGTERM) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), deadline.seconds(30))


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """The sum of the samples that have these labels; None where there are none."""
    found = [v for (n, have), v in samples.items() if n == name and labels.items() <= dict(have).items()]
    return sum(found) if found else None


async def command(*arguments: str, folder: Path, quiet: float | None = 60) -> tuple[int, str, str]:
    """Runs the program to its end: exit status, output, error output. `quiet`: see deadline.py; None: no end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exporter", *arguments, cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), None if quiet is None else deadline.seconds(quiet))
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def running(config: Path, *options: str, files: int | None = None) -> AsyncIterator[Program]:
    """The program from its first line to its end, listening on a free port. `files`: how many it may open."""
    limited = () if files is None else ("bash", "-c", f'ulimit -n {files} && exec "$@"', "bash")
    process = await asyncio.create_subprocess_exec(
        *limited, sys.executable, "-m", "exporter", "run",
        "--config.file", str(config), "--web.listen-address", "127.0.0.1:0", *options,
        cwd=config.parent, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    log: list[str] = []
    listening = asyncio.get_running_loop().create_future()

    async def read() -> None:
        assert process.stderr
        async for line in process.stderr:
            log.append(line.decode().rstrip())
            if (found := re.search(r"https?://127\.0\.0\.1:\d+", log[-1])) and not listening.done():
                listening.set_result(found[0])
        if not listening.done():
            listening.set_exception(RuntimeError("\n".join(log)))

    reading = asyncio.create_task(read())
    try:
        yield Program(process, await asyncio.wait_for(listening, deadline.seconds(30)), config.parent, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
