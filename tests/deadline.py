"""How long the tests wait for what has to come: from one place, because machines differ, and most are busy."""

import asyncio
from collections.abc import Callable

BUSY = 5
"""How many times slower a machine may be that has other things to do. A deadline is only met by what is broken."""


def seconds(quiet: float) -> float:
    """A time limit. `quiet`: in seconds, generous on a machine with nothing else to do."""
    return BUSY * quiet


def within(quiet: float) -> asyncio.Timeout:
    """As asyncio.timeout()."""
    return asyncio.timeout(seconds(quiet))


async def until(seen: Callable[[], bool], quiet: float = 10) -> None:
    """Returns as soon as something is so that another process or thread brings about. Raises TimeoutError."""
    async with within(quiet):
        while not seen():  # noqa: ASYNC110 - no event of ours is set when a file of another process is there
            await asyncio.sleep(0.01)
