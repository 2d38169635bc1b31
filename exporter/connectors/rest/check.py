"""What `check --live` finds: whether the first page is all of the list, and whether the API heeds what it is asked."""

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol

from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client
from exporter.connectors.rest.mapping import Described, reading
from exporter.connectors.rest.pages import MARK, Paging, Question, Scalar, at, holds, pages
from exporter.connectors.rest.place import Since, doubled
from exporter.records import Json, Read, Record
from exporter.records.notation import Notation
from exporter.records.unreadable import attempt

LOOKED_BACK = timedelta(days=7)
UNHEEDED = timedelta(days=1)  # an item older than asked for by more than that shows that nobody heeds the question
TOTALS = ("total", "total_count", "totalCount", "count", "totalItems", "total_items", "totalResults", "total_results")
USUAL = frozenset((10, 20, 25, 30, 50, 100, 200, 250, 500, 1000))  # sizes of pages where nobody asks for another
DEEPEST = 3  # levels in which a total is looked for


class Asked(Described, Protocol):
    """What the config says of the list."""

    @property
    def paging(self) -> Paging: ...
    @property
    def page_size(self) -> int: ...
    @property
    def since(self) -> Since | None: ...
    def notation_of(self, column: str) -> Notation: ...
    def question(self, since: Scalar) -> Question: ...


async def examined(client: Client, asked: Asked, since: str | int) -> list[Finding]:
    """What the first page shows, asked for as a first poll asks (`since`)."""
    first, findings = await look("list", first_page(client, asked, since), needs="the right to read this list")
    by_time = asked.since if asked.since and asked.since.by_time and asked.since.order == "any" else None
    if first is None:
        said = findings[0].text
        if not (by_time and ("HTTP 400" in said or "HTTP 422" in said)):
            return findings
        return [Finding("list", f"{said}; {MARK} was sent as {since}: is since.format right?", wrong=True)]
    findings = [Finding("list", f"the first page is read: {len(first.items):,} items"), *cut_off(first, asked)]
    findings += repeated(first.items, asked)
    return [*findings, await heeded(client, asked, by_time)] if by_time else findings


def cut_off(first: Answer, asked: Asked) -> Iterator[Finding]:
    """Whether there may be more pages than the config knows how to find."""
    how, count = asked.paging, len(first.items)
    full, total = count >= asked.page_size or count in USUAL, max(totals(first.body), default=0)
    if how.style == "none" and total > count:
        yield Finding("paging", f"the API counts {total:,} items, but gives only {count:,}; set paging", wrong=True)
    elif how.style == "none" and full:
        yield Finding("paging", f"these {count:,} items are as many as a page may hold; if there are more, set paging")
    elif how.style == "link" and full and "next" not in first.links:
        text = f"these {count:,} items are as many as a page may hold, but no header Link leads on; is it another style"
        yield Finding("paging", f"{text} of paging?", wrong=True)
    elif how.next and full and not at(how.next, "paging.next")(first) and not holds(how.next)(first):
        text = f"these {count:,} items are as many as a page may hold, but there is nothing at {how.next}"
        yield Finding("paging", f"{text}; is paging.next right?", wrong=True)


def totals(body: Json, depth: int = DEEPEST) -> Iterator[int]:
    """What an answer gives as the number of all its items, by the names that are usual for it."""
    for name, each in body.items() if isinstance(body, dict) and depth else ():
        if name in TOTALS and type(each) is int:
            yield each
        yield from totals(each, depth - 1)


def repeated(items: Sequence[Json], asked: Asked) -> Iterator[Finding]:
    """Whether the id tells items from each other."""
    if again := doubled(reads(items, asked)):
        text = f"{again:,} items have an id that another one has, too, and only one of them is kept"
        yield Finding("id", f"{text}; is columns.id right?", wrong=True)


def reads(items: Sequence[Json], asked: Asked) -> list[Read]:
    """The records of those that can be read; of the others a poll tells."""
    read = reading(asked)
    return [Read(record, item) for item in items if (record := attempt(read, item)[0]) is not None]


async def heeded(client: Client, asked: Asked, since: Since) -> Finding:
    """Whether the first page brings only what is new, when it is asked for that."""
    begin = client.at - LOOKED_BACK
    page = await first_page(client, asked, since.written(begin, asked.notation_of(since.column)))
    times = [moment for each in reads(page.items, asked) if (moment := time_of(each.record, since)) is not None]
    if page.items and not times:
        text = f"no item of the first page has a readable {since.column}, so nobody knows whether the API heeds it"
        return Finding("since", text, wrong=True)
    old = [each for each in times if each < begin - UNHEEDED]
    if not old:
        return Finding("since", "what is older than asked for is not in the first page")
    text = f"asked for what is new since {begin:%Y-%m-%d}, the API brings items of {min(old):%Y-%m-%d}"
    return Finding("since", f"{text}; does it know this parameter, and since.format?", wrong=True)


def time_of(record: Record, since: Since) -> datetime | None:
    found: datetime | None = getattr(record, since.column)
    return found


async def first_page(client: Client, asked: Asked, since: str | int) -> Answer:
    async with aclosing(pages(client, asked.paging, asked.question(since))) as answers:
        return await anext(answers)
