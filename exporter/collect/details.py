"""Requests for details of single items, beside the lists. If one fails, only the details of that item are missing.

The item is owed an answer: its question is put again later, a few items at a time, less and less often.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from exporter.base.deferred import asyncio
from exporter.base.errors import AuthFailed, Forbidden, RateLimited, SourceError
from exporter.collect.http import Client

K = TypeVar("K")
R = TypeVar("R")

MOST_FAILURES = 20  # in one poll; then it asks no more such questions: the platform is not well
MOST_OWED = 2_000
MOST_AGAIN = 50  # in one poll
AT_ONCE = 4
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(days=1)

Owed = Mapping[str, Sequence[float]]
"""As the cursor holds it: item -> how often it was asked about in vain, and when to ask again."""


class Details:
    """The questions of one poll."""

    def __init__(self, client: Client, owed: Owed) -> None:
        self.client, self.failures = client, 0
        self.owed = {key: (int(tries), datetime.fromtimestamp(due, UTC)) for key, (tries, due) in owed.items()}
        self.again = [key for key in self.owed if self.may(key)][:MOST_AGAIN]
        self._places = asyncio.Semaphore(AT_ONCE)

    @property
    def stopped(self) -> bool:
        """Whether so many questions failed that no more are put in this poll."""
        return self.failures >= MOST_FAILURES

    def may(self, key: str) -> bool:
        """Whether the item is to be asked about now: it is owed nothing, or it is time to ask again."""
        return key not in self.owed or self.owed[key][1] <= self.client.at

    async def ask(self, keys: Collection[str], question: Callable[[str], Awaitable[R]]) -> dict[str, R]:
        """The answers by key, without those that failed or were not asked for any more."""
        answers: dict[str, R] = {}

        async def one(key: str) -> None:
            async with self._places:
                if not self.stopped:
                    try:
                        answers[key] = await question(key)
                    except Exception as error:  # noqa: BLE001 - an odd answer may fail anyhow, and must cost only itself
                        self.failed(error)

        await self.client.gather([*keys], one)
        return answers

    async def several(
        self, keys: Sequence[K], question: Callable[[Sequence[K]], Awaitable[list[R]]]
    ) -> tuple[list[R], Sequence[K]]:
        """What a question about several items finds, and those it fails of: where it fails, it is put for fewer."""
        if not keys or self.stopped:
            return [], keys
        try:
            return await question(keys), []
        except Exception as error:  # noqa: BLE001 - an odd answer costs its own item only
            self.failed(error)
        if len(keys) == 1:
            return [], keys
        half = len(keys) // 2
        found, failed = await self.several(keys[:half], question)
        more, too = await self.several(keys[half:], question)
        return [*found, *more], [*failed, *too]

    def failed(self, error: Exception) -> None:
        """Counts a question that failed; raises the error where it is not one item's."""
        if isinstance(error, RateLimited) or (isinstance(error, AuthFailed) and not isinstance(error, Forbidden)):
            raise error
        self.failures += 1
        # The text of an error that is not ours may quote the answer.
        self.client.detail_failed(
            str(error) if isinstance(error, SourceError) else f"odd answer: {type(error).__name__}"
        )

    def owe(self, keys: Iterable[str]) -> None:
        """The details of these items are unknown: they are requested later, unless too many are owed already."""
        for key in keys:
            tries, _ = self.owed.pop(key, (0, None))
            wait = min(FIRST_WAIT * 2 ** min(tries, 10), LONGEST_WAIT) if not self.stopped else FIRST_WAIT
            self.owed[key] = tries + 1, self.client.at + wait
        beyond = [*self.owed][: max(0, len(self.owed) - MOST_OWED)]
        self.settle(beyond)
        self.client.details_given_up(len(beyond))

    def settle(self, keys: Iterable[str]) -> None:
        """The items' details are known, or there is nobody left to ask about."""
        for key in keys:
            self.owed.pop(key, None)

    def to_cursor(self) -> dict[str, list[float]]:
        """What the cursor is to hold."""
        return {key: [tries, due.timestamp()] for key, (tries, due) in self.owed.items()}
