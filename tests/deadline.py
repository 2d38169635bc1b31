"""How long the tests wait for what has to come: from one place, because machines differ, and most are busy."""

import asyncio

BUSY = 5
"""How many times slower a machine may be that has other things to do. A deadline is only met by what is broken."""


def seconds(quiet: float) -> float:
    """A time limit. `quiet`: in seconds, generous on a machine with nothing else to do."""
    return BUSY * quiet


def within(quiet: float) -> asyncio.Timeout:
    """As asyncio.timeout()."""
    return asyncio.timeout(seconds(quiet))
