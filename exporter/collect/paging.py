"""Lists: every way in which platforms cut them into pages. Each yields answers, with the `items` of a page.

A page that breaks off, or is larger than we read, is asked for again with half as many items.
`items` is the dotted path of a list in the answer, or None where the answer is the list.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from exporter.base.errors import BrokenOff, NotUnderstood, TooLarge
from exporter.collect.answer import Answer
from exporter.collect.http import Body, Client, Query
from exporter.records import Json

Last = Callable[[Answer], bool]
"""Whether a page is the last, where the platform says so in its own way."""


class Asked:
    """One list that is being read: asks for its pages, and sees that they come to an end."""

    def __init__(
        self, client: Client, path: str, params: Query | None, json: Body | None, items: str | None, size: int | None
    ) -> None:
        self.client, self.path, self.params, self.json, self.items = client, path, params, json, items
        self.size, self.pages, self.before = size, 0, list[Json]()

    async def page(self, place: Body, size_as: str = "") -> Answer:
        """The page at a place, which is said where the rest of the question is."""
        while True:
            where = {**place, size_as: self.size} if size_as and self.size else place
            try:
                if self.json is None:
                    answer = await self.client.ask(self.path, {**(self.params or {}), **where})
                else:
                    answer = await self.client.ask(self.path, self.params, json={**self.json, **where})
                return self.checked(answer)
            except (BrokenOff, TooLarge):
                if not size_as or not self.size or self.size == 1:
                    raise
                self.size //= 2

    def checked(self, answer: Answer) -> Answer:
        """The answer with its items, unless they are more than could be meant."""
        items, settings = answer.listed(self.items), self.client.settings
        self.pages += 1
        if len(items) > settings.most_items:
            raise NotUnderstood(
                f"{answer.where}: a page of {len(items):,} items; at most {settings.most_items:,} are read"
            )
        if self.pages > settings.most_pages:
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
    items: str | None,
    next_in: str,
    next_as: str,
    size: int | None = None,
    size_as: str = "",
    last: Last | None = None,
) -> AsyncIterator[Answer]:
    """Pages linked by a token: `next_in` is its dotted path in the answer, `next_as` its name in the next question."""
    asked, seen, place = Asked(client, path, params, json, items, size), set[str](), dict[str, Json]()
    while True:
        answer = await asked.page(place, size_as)
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
    items: str | None = None,
    size: int,
    size_as: str = "limit",
    offset_as: str = "offset",
    last: Last | None = None,
) -> AsyncIterator[Answer]:
    """Pages by how many items come before, until one is shorter than `size`, or `last` says so."""
    asked, offset = Asked(client, path, params, json, items, size), 0
    while True:
        answer = await asked.page({offset_as: offset}, size_as)
        yield answer
        asked_for = asked.size or size
        if last(answer) if last else len(answer.items) < asked_for:
            return
        offset += len(answer.items) or asked_for  # an empty page is one of items that may not be seen


async def by_link(
    client: Client, path: str, params: Query | None = None, *, items: str | None = None, next_in: str = ""
) -> AsyncIterator[Answer]:
    """Pages linked by an address: in the header Link, or at the dotted path `next_in` of the answer."""
    asked, seen = Asked(client, path, params, None, items, None), set[str]()
    while True:
        answer = await asked.page({})
        yield answer
        link = answer.link(answer.find(next_in)) if next_in else answer.links.get("next")
        if not link:
            return
        if link in seen:
            raise NotUnderstood(f"{answer.where}: the next page is one that was read; the list would never end")
        seen.add(link)
        asked.path, asked.params = link, None
