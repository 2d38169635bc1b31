"""Lists: every way in which platforms cut them into pages. Each yields answers, with the `items` of a page.

    by_token    a token in the answer goes into the next question        Zendesk, PagerDuty's analytics, n8n
    by_offset   so many items come before                                Airflow, Prefect, PagerDuty
    by_number   the number of the page                                   many a small API
    by_link     the address of the next page, in Link or in the answer   GitHub, AWX, ServiceNow
    by_key      items in order of a time or id: from the last one on     ServiceNow, UiPath, AWX
    windows     windows of time, halved below the most a list shows      GitHub 1,000, PagerDuty 10,000

A page that breaks off, or is larger than we read, is asked for again with half as many items, and so are those after
it. `items` is the place of a list in the answer (a dotted path, or a function), or None where the answer is the list.
`last` tells the last page where the platform has its own way to say so.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from exporter.base.errors import BrokenOff, NotUnderstood, TooLarge
from exporter.collect.answer import Answer, Place
from exporter.collect.http import Body, Client
from exporter.collect.query import Query
from exporter.records import Json
from exporter.records.unreadable import ITEM, Fault, LeftOut

Last = Callable[[Answer], bool]
K = TypeVar("K", datetime, int, str)
P = TypeVar("P")

SHORTEST = timedelta(seconds=1)
"""A window that is not halved: most platforms tell no finer times."""


class Pages(Generic[P]):
    """The pages of one list: sees to their size, and that they come to an end.

    `ask` brings the page at a place with so many items; `smaller`: whether it can bring fewer.
    """

    def __init__(
        self,
        client: Client,
        ask: Callable[[P, int], Awaitable[Answer]],
        items: Place | None,
        size: int = 0,
        *,
        smaller: bool = True,
    ) -> None:
        self.settings, self.ask, self.items, self.size, self.smaller = client.settings, ask, items, size, smaller
        self.count, self.before = 0, list[Json]()

    async def at(self, place: P) -> Answer:
        """The page at a place."""
        while True:
            try:
                return self._checked(await self.ask(place, self.size))
            except (BrokenOff, TooLarge):
                if not self.smaller or self.size <= 1:
                    raise
                self.size //= 2

    def _checked(self, answer: Answer) -> Answer:
        """The answer with its items, unless they are more than could be meant."""
        items, settings = [] if answer.unchanged else answer.listed(self.items), self.settings
        self.count += 1
        if len(items) > settings.most_items:
            raise NotUnderstood(
                f"{answer.where}: a page of {len(items):,} items; at most {settings.most_items:,} are read"
            )
        if self.count > settings.most_pages:
            raise NotUnderstood(f"{answer.where}: more than {settings.most_pages:,} pages; the list would never end")
        if items and items == self.before:
            raise NotUnderstood(f"{answer.where}: the page repeats; the list would never end")
        self.before = items
        return replace(answer, items=items)


async def by_token(
    client: Client,
    path: str,
    params: Query | None = None,
    *,
    json: Body | None = None,
    items: Place | None,
    next_in: Place,
    next_as: str,
    first: Body | None = None,
    size: int = 0,
    size_as: str = "",
    last: Last | None = None,
) -> AsyncGenerator[Answer]:
    """Pages linked by a token: `next_in` is its dotted path in the answer, `next_as` its name in the next question.

    `first`: what only the first question says, such as where to begin.
    """

    def ask(place: Body, size: int) -> Awaitable[Answer]:
        return question(client, path, params, json, {**place, size_as: size} if size_as else place)

    pages, seen, place = Pages(client, ask, items, size, smaller=bool(size_as)), set[str](), dict(first or {})
    while True:
        answer = await pages.at(place)
        yield answer
        token = answer.find(next_in)
        if not token or (last and last(answer)):
            return
        if str(token) in seen:
            raise NotUnderstood(f"{answer.where}: the page token repeats; the list would never end")
        seen.add(str(token))
        place = {next_as: token}


async def by_offset(
    client: Client,
    path: str,
    params: Query | None = None,
    *,
    json: Body | None = None,
    items: Place | None = None,
    size: int,
    size_as: str = "limit",
    offset_as: str = "offset",
    last: Last | None = None,
) -> AsyncGenerator[Answer]:
    """Pages by how many items come before, until one is shorter than `size`, or `last` says so."""

    def ask(place: int, size: int) -> Awaitable[Answer]:
        return question(client, path, params, json, {size_as: size, offset_as: place})

    pages, offset = Pages(client, ask, items, size), 0
    while True:
        answer = await pages.at(offset)
        yield answer
        if last(answer) if last else len(answer.items) < pages.size:
            return
        offset += len(answer.items) or pages.size  # an empty page that is not the last: of items we may not see


async def by_number(
    client: Client,
    path: str,
    params: Query | None = None,
    *,
    json: Body | None = None,
    items: Place | None = None,
    number_as: str = "page",
    first: int = 1,
    size: int = 0,
    size_as: str = "",
    last: Last | None = None,
) -> AsyncGenerator[Answer]:
    """Pages by their number, until one is empty, or `last` says so. They are never asked for in another size: that
    would give each page another number."""

    def ask(place: int, size: int) -> Awaitable[Answer]:
        return question(client, path, params, json, {number_as: place, **({size_as: size} if size_as else {})})

    pages, number = Pages(client, ask, items, size, smaller=False), first
    while True:
        answer = await pages.at(number)
        yield answer
        if last(answer) if last else not answer.items:
            return
        number += 1


async def by_link(
    client: Client,
    path: str,
    params: Query | None = None,
    *,
    items: Place | None = None,
    next_in: Place = "",
    etag: str | None = None,
) -> AsyncGenerator[Answer]:
    """Pages linked by an address: in the header Link, or at the dotted path `next_in` of the answer.

    With `etag` a list whose first page has not changed since it had that one is one answer, `unchanged`, without items.
    """

    def ask(place: str, _size: int) -> Awaitable[Answer]:
        first = place == path
        return client.ask(place, params if first else None, etag=etag if first else None)

    pages, place, seen = Pages(client, ask, items, smaller=False), path, {path}
    while True:
        answer = await pages.at(place)
        yield answer
        link = answer.link(answer.find(next_in)) if next_in else answer.links.get("next")
        if not link:
            return
        if link in seen:
            raise NotUnderstood(f"{answer.where}: the link to the next page repeats; the list would never end")
        seen.add(link)
        place = link


async def by_key(
    client: Client,
    ask: Callable[[K | None, int, int], Awaitable[Answer]],
    *,
    items: Place | None = None,
    key: Callable[[Json], K | None],
    begin: K | None,
    size: int,
    newest_first: bool = False,
    last: Last | None = None,
) -> AsyncGenerator[Answer]:
    """Pages in order of a key, each asked for by the last key of the one before: what changes meanwhile moves nothing.

    `ask(place, offset, size)` asks for items whose key is `place` or comes after it, but for the first `offset` of
    them. Items of one key may stand on both sides of a border, or fill pages: those at a border come twice, none is
    passed over. `key` is None for an item that has none, `begin` where the list is read from its end. Ends like
    `by_offset`.
    """

    def ask_at(place: tuple[K | None, int], size: int) -> Awaitable[Answer]:
        return ask(*place, size)

    pages, place, offset = Pages(client, ask_at, items, size), begin, 0
    while True:
        answer = await pages.at((place, offset))
        keys: list[K] = [each for item in answer.items if (each := key(item)) is not None]
        in_order = [each for each in (place, *keys) if each is not None]
        if in_order != sorted(in_order, reverse=newest_first):
            raise NotUnderstood(f"{answer.where}: the items are not in the order asked for")
        yield answer
        if last(answer) if last else len(answer.items) < pages.size:
            return
        if keys and keys[-1] != place:
            place, offset = keys[-1], 0
            pages.before = []  # the next page may be the same: all of it stands at the border
        else:
            offset += len(answer.items) or pages.size


async def windows(
    client: Client,
    begin: datetime,
    end: datetime,
    ask: Callable[[datetime, datetime], AsyncGenerator[Answer]],
    most: int,
    *,
    total: Callable[[Answer], Any] | None = None,
    longest: timedelta | None = None,
) -> AsyncIterator[Answer]:
    """Pages of what lies between two instants, oldest first, on a platform whose lists end after `most` items.

    `ask(begin, end)` gives the pages of a window. One with so many items is halved, as soon as that is seen: its first
    page may say it, which `total` reads; else its items are counted. Of a second with more, the rest is left out,
    and told of. `longest`: the longest window that may be asked for.
    """
    length = longest or (end - begin)
    starts = [begin]
    while starts[-1] + length < end:
        starts.append(starts[-1] + length)
    waiting = [(start, min(start + length, end)) for start in reversed(starts)]
    while waiting:
        begin, end = waiting.pop()
        divisible, count = end - begin > SHORTEST, 0
        async with aclosing(ask(begin, end)) as pages:
            async for answer in pages:
                count_of_all = total(answer) if total and not count else None
                if divisible and isinstance(count_of_all, int) and count_of_all >= most:
                    count = most
                    break
                yield answer
                count += len(answer.items)
                if count >= most:
                    break
        if count >= most and divisible:
            middle = (begin + (end - begin) / 2).replace(microsecond=0)
            middle = middle if middle > begin else begin + (end - begin) / 2
            waiting += [(middle, end), (begin, middle)]
        elif count >= most:
            text = f"the platform shows no more than {most:,} items of one second"
            client.leave_out(LeftOut(f"window {begin.isoformat()}", "", (Fault(ITEM, "out_of_bounds", text),)))


async def question(client: Client, path: str, params: Query | None, json: Body | None, place: Body) -> Answer:
    """Where in a list to go on is said where the rest of the question is."""
    if json is None:
        return await client.ask(path, {**(params or {}), **place})
    return await client.ask(path, params, json={**json, **place})
