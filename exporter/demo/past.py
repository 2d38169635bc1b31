"""The past of the demo in its Prometheus: written by `backfill`, a week at a time, made into blocks by promtool.

Prometheus looks once a minute for new blocks in its folder, so it is neither stopped nor asked.
"""

import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.demo.stack import child, last_words

WEEKS = 4
STEP = "6h"
WEEK = timedelta(weeks=1)


class NoPastError(Exception):
    """Why there is no past in Prometheus."""


async def fill(config: Path, listen: str, folder: Path, data: Path, now: datetime, say: Callable[[str], None]) -> None:
    """Fills `data`, the folder of a running Prometheus, from the exporter at host:port; the newest week first.

    `folder`: for files on the way. Raises NoPastError.
    """
    promtool = shutil.which("promtool")
    if promtool is None:
        raise NoPastError("promtool is not installed")
    for week in range(WEEKS):
        history = folder / "history.om"
        to = (now - week * WEEK).isoformat(timespec="seconds")
        asked = ("--from", "7d", "--step", STEP, "--to", to, "--output", str(history), "--label", f"instance={listen}")
        await done(sys.executable, "-m", "exporter", "backfill", "--config.file", str(config), *asked, log=folder)
        blocks = ("tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", "--quiet")
        await done(promtool, *blocks, str(history), str(data), log=folder)
        history.unlink()
        say(f"History in Prometheus: {7 * (week + 1)} of {7 * WEEKS} days")


async def done(program: str, *arguments: str, log: Path) -> None:
    """Runs a program to its end. Raises NoPastError."""
    file = log / "history.log"
    async with child(program, *arguments, log=file) as process:
        if await process.wait():
            raise NoPastError(last_words(file))
