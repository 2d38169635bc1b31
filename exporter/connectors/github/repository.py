"""GitHub: one repository during one poll, and what its cursor knows of it."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from exporter.collect import paging
from exporter.collect.details import Details
from exporter.collect.http import Answer, Client
from exporter.collect.query import Query
from exporter.connectors.github.mapping import named, workflow
from exporter.records import Json, Read, Record, Workflow, instant
from exporter.records.unreadable import ODD

WALL = 1_000  # of what is asked for with a filter no more is shown
LARGEST_ID = 2**63
MOST_ASKED = 16  # open items of a kind that are asked for one by one, in one poll
INVENTORY = timedelta(hours=1)  # so old may the list of workflows be


@dataclass(frozen=True)
class Found:
    """What a page of a poll is made of."""

    reads: Sequence[Read] = ()
    gone: Sequence[tuple[type[Record], str]] = ()


@dataclass
class Repository:
    """`about` is what GitHub says of it, `state` what is to be remembered of it, `others` the cursor without it."""

    client: Client
    about: Json
    state: dict[str, Any]
    others: Json
    details: Details
    page_size: int
    names: dict[str, str] = field(default_factory=dict)  # of its workflows, by id

    @property
    def path(self) -> str:
        return f"/repos/{self.about['full_name']}"

    def key(self, kind: str, number: Json) -> str:
        """What an item is called where details are owed of it."""
        return f"{self.about['full_name']} {kind} {number}"

    def due(self, kind: str) -> set[str]:
        """Ids of the items whose details are to be asked for again."""
        start = self.key(kind, "")
        return {key.removeprefix(start) for key in self.details.again if key.startswith(start)}

    def in_turn(self, kind: str, keys: Collection[str]) -> list[str]:
        """As many of these ids as may be asked for: the newest, and of the others those whose turn it is."""
        ordered, place = sorted(keys, key=int), f"{kind}s asked"
        if len(ordered) <= MOST_ASKED:
            return ordered
        older, newest = ordered[: -MOST_ASKED // 2], ordered[-MOST_ASKED // 2 :]
        later = [key for key in older if int(key) > self.state.get(place, 0)]
        turn = [*later, *older][: MOST_ASKED - len(newest)]
        self.state[place] = int(turn[-1])
        return [*turn, *newest]

    async def inventory(self, *, fresh: bool = False) -> Found:
        """Its workflows, where they are asked for: now and then, or because there is a new one (`fresh`)."""
        name, items = f"workflows {self.about['full_name']}", list[Json]()
        before = (self.client.memory[name] or {"value": {}})["value"]

        async def ask() -> Json:
            pages = paging.by_link(
                self.client, f"{self.path}/actions/workflows", {"per_page": self.page_size}, items="workflows"
            )
            items.extend([item async for answer in pages for item in answer.items])
            return named([item for item in items if sound(item)])

        self.names = await self.client.memory.remembered(name, timedelta() if fresh else INVENTORY, ask)
        reads = await self.client.mapped(items, lambda item: workflow(item, self.about, self.names))
        return Found(reads, [(Workflow, key) for key in before if key not in self.names])

    def newest(self, path: str, items: str | None, etag: str | None) -> AsyncGenerator[Answer]:
        """A list from its newest item on; see `by_link` for what the etag is for."""
        return paging.by_link(self.client, self.path + path, {"per_page": self.page_size}, items=items, etag=etag)

    async def created(self, begin: datetime, end: datetime) -> AsyncIterator[tuple[datetime, Answer]]:
        """The workflow runs created between two instants, each page with the instant up to which all were read."""
        place = begin

        def ask(start: datetime, stop: datetime) -> AsyncGenerator[Answer]:
            nonlocal place
            place = start
            params: Query = {"created": f"{written(start)}..{written(stop)}", "per_page": self.page_size}
            return paging.by_link(self.client, f"{self.path}/actions/runs", params, items="workflow_runs")

        def total(answer: Answer) -> Json:
            return answer.find("total_count")

        first, last = begin.replace(microsecond=0), end.replace(microsecond=0)
        async for answer in paging.windows(self.client, first, last, ask, WALL, total=total):
            yield place, answer


def written(moment: datetime) -> str:
    """A time as GitHub writes it, and as its search takes it: a `+` would be a blank there."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def sound(item: Json) -> bool:
    """Is it an item that GitHub may have made? One that is not is left out, and told of, where it is mapped."""
    try:
        number, created_at = item["id"], instant(item["created_at"])
        return type(number) is int and 0 < number < LARGEST_ID and created_at is not None
    except ODD:
        return False
