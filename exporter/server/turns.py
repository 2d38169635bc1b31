"""Takes turns where work is done one at a time: addresses alternate, and of each its newest and oldest request.

Of hundreds that wait at one address most are one who tries things out: whoever comes new is not to wait for all of
them, and whoever has come long ago is not to wait for ever.
"""

from asyncio import CancelledError, Future, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Busy(Exception):  # noqa: N818 - not a fault of ours
    """Too many wait."""


class Turns:
    """`most` may wait. Past that, the address with most of them loses one: who has hung up, else its newest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._oldest_next: set[str] = set()  # the addresses whose newest had its turn last
        self._taken = False

    @asynccontextmanager
    async def turn(self, who: str, gone: Callable[[], bool]) -> AsyncIterator[None]:
        """Waits for the turn of an address. `gone` tells whether the asker has hung up. Raises Busy."""
        if self._taken:
            await self._wait(who, gone)
        self._taken = True
        try:
            yield
        finally:
            self._taken = self._passed_on()

    async def _wait(self, who: str, gone: Callable[[], bool]) -> None:
        if sum(map(len, self._waiting.values())) >= self._most:
            self._make_room(who)
        waiter = _Waiter(gone)
        self._waiting.setdefault(who, deque()).append(waiter)
        try:
            await waiter.called
        except CancelledError:
            if waiter.called.done() and not waiter.called.cancelled():
                self._taken = self._passed_on()
            raise

    def _passed_on(self) -> bool:
        """Whether there is somebody whose turn it is now."""
        while self._waiting:
            who, waiting = next(iter(self._waiting.items()))
            waiter = waiting.popleft() if who in self._oldest_next else waiting.pop()
            self._oldest_next ^= {who}
            # The address goes to the end of the line.
            del self._waiting[who]
            if waiting:
                self._waiting[who] = waiting
            else:
                self._oldest_next.discard(who)
            if not waiter.called.done():
                waiter.called.set_result(None)
                return True
        return False

    def _make_room(self, who: str) -> None:
        greediest = max(self._waiting, key=lambda each: (len(self._waiting[each]), each == who))
        waiting = self._waiting[greediest]
        loser = next((each for each in waiting if each.called.done() or each.gone()), None)
        if loser is None and greediest == who:
            raise Busy
        loser = loser or waiting[-1]
        waiting.remove(loser)
        if not waiting:
            del self._waiting[greediest]
        if not loser.called.done():
            loser.called.set_exception(Busy())


class _Waiter:
    def __init__(self, gone: Callable[[], bool]) -> None:
        self.gone = gone
        self.called: Future[None] = get_running_loop().create_future()
