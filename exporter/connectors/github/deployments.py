"""GitHub: how the deployments of a repository are read, in the order in which they were made.

State: deployed (the newest deployments, each with its last change), pending (what had not ended, with its creation),
live (by environment what was deployed there last, oldest first: id, time, commit, success), deployments asked
(of many pending ones the last that had its turn), and `reached` while the list is read.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from exporter.collect import paging
from exporter.collect.http import Gone, NotUnderstood, Unavailable
from exporter.collect.recent import Recent
from exporter.connectors.github.mapping import Commits, Outcome, change, commits, outcome
from exporter.connectors.github.repository import Found, Repository, sound, written
from exporter.records import Change, Json, Read
from exporter.records.unreadable import ODD

DEPTH = 30  # of the newest deployments, whose changes are looked for at every poll
MOST_LIVE = 40  # of what was deployed to an environment, more than DEPTH: each has one before it to be compared with
MOST_ENVIRONMENTS = 20
UNKNOWN_COMMIT = 422


class Deployments:
    """The deployments of one poll. `environments`: patterns of those that are read; none: all that are to last."""

    def __init__(self, repository: Repository, environments: Sequence[str]) -> None:
        self.of, self.client, self.state = repository, repository.client, repository.state
        self.environments = environments
        self.pending: dict[str, str] = dict(self.state.get("pending", {}))
        self.live: dict[str, list[Any]] = {place: list(its) for place, its in self.state.get("live", {}).items()}
        self.seen, self.overtaken = set[str](), set[str]()

    async def read(self) -> AsyncIterator[Found]:
        """All that may have changed."""
        recent, first = Recent(self.state.get("deployed", {}), DEPTH), f"first page of deployments {self.of.path}"
        # What is under way may move on without a change of its own, so the list is read then whatever it was.
        etag = None if self.pending else self.client.memory[first]
        oldest, pages, wanted, items, now = written(self.client.since), 0, set[int](), list[Json](), etag
        async for answer in self.of.newest("/deployments", None, etag):
            if answer.unchanged:
                break
            ours = [item for item in answer.items if sound(item)]
            for item in ours:
                recent.saw(item["id"], item.get("updated_at"))
            wanted |= {item["id"] for item in ours if item["created_at"] >= oldest and self.wanted(item, recent)}
            now, pages, items = now if pages else answer.etag, pages + 1, [*answer.items]
            if any(item["id"] < recent.floor or item["created_at"] < oldest for item in ours):
                break
        async for part in self.oldest_first(items, pages, wanted):
            found = await self.found(part)
            if not (stopped := self.of.details.stopped):
                self.state["reached"] = max(
                    [self.state.get("reached", 0), *(each["id"] for each in part if sound(each))]
                )
            yield found
            if stopped:  # it goes on at the same place
                raise Unavailable(f"{self.of.path}/deployments: too many questions about single ones have failed")
        left = self.of.in_turn("deployment", self.pending.keys() - self.seen)
        yield await self.one_by_one({*left, *(self.of.due("deployment") - self.seen)})
        if self.overtaken:
            yield await self.one_by_one(self.overtaken)
        self.state.pop("reached", None)
        if pages:
            self.client.memory[first], self.state["deployed"] = now, recent.stamps()

    def wanted(self, item: Json, recent: Recent) -> bool:
        """Is it to be read: is it new, was it changed, or had it not ended?"""
        number, place = item["id"], str(item.get("environment"))
        if self.environments:
            ours = any(fnmatchcase(place, pattern) for pattern in self.environments)
        else:
            ours = not item.get("transient_environment")
        if not ours or number <= self.state.get("reached", 0):
            return False
        changed = number not in recent.known or recent.known[number] != item.get("updated_at")
        return str(number) in self.pending or (number >= recent.floor and changed)

    async def oldest_first(self, items: Sequence[Json], pages: int, wanted: set[int]) -> AsyncIterator[Sequence[Json]]:
        """What is wanted of so many pages, the last of which is given: from its end on, DEPTH at a time.

        Of more at once the first would have nothing left to be compared with: `live` is no longer than MOST_LIVE.
        """
        rest = set(wanted)

        def taken(items: Sequence[Json]) -> list[Sequence[Json]]:
            its = [item for item in reversed(items) if not sound(item) or item["id"] in rest]
            rest.difference_update(item["id"] for item in its if sound(item))
            return [its[first : first + DEPTH] for first in range(0, len(its), DEPTH)]

        for part in taken(items):
            yield part
        for page in range(pages - 1, 0, -1):
            params = {"per_page": self.of.page_size, "page": page}
            for part in taken((await self.client.ask(f"{self.of.path}/deployments", params)).listed()):
                yield part
        if rest and pages > 1:  # a new one came meanwhile, and moved them over the border of a page
            last = min(rest)
            async for answer in self.of.newest("/deployments", None, None):
                for part in taken(answer.items):
                    yield part
                if not rest or any(item["id"] < last for item in answer.items if sound(item)):
                    break

    async def one_by_one(self, keys: set[str]) -> Found:
        """What had not ended and is not in the list, what details are owed of, and what has another before it now."""
        details, gone = self.of.details, set[str]()
        asked = {self.of.key("deployment", key): key for key in sorted(keys)}
        asked = {name: key for name, key in asked.items() if details.may(name)}

        async def one(name: str) -> Json:
            with suppress(Gone):
                item = await self.client.get(f"{self.of.path}/deployments/{asked[name]}")
                return checked(item)
            gone.add(asked[name])
            return None

        found = await details.ask(asked, one)
        details.owe(name for name in asked if name not in found)
        details.settle(self.of.key("deployment", key) for key in gone)
        for key in gone:
            self.pending.pop(key, None)
        part = sorted((item for item in found.values() if item is not None), key=lambda item: int(item["id"]))
        return Found((await self.found(part)).reads, [(Change, key) for key in sorted(gone)])

    async def found(self, items: Sequence[Json]) -> Found:
        """Deployments with their statuses, and with what each brought beside the one that was live before it."""
        details, now, about = self.of.details, self.client.at, self.of.about
        names = {self.of.key("deployment", item["id"]): item for item in items if sound(item)}
        self.seen |= {str(item["id"]) for item in names.values()}
        asked = [name for name in names if details.may(name)]
        told = await details.ask(asked, lambda name: self.statuses(names[name]))
        how = {name: its for name, found in told.items() if (its := stood(names[name], found, now))}
        for name, its in how.items():
            self.keep(names[name], its)
        self.overtaken -= {str(names[name]["id"]) for name in how}
        deployed = [name for name, its in how.items() if its.deployed_at]
        brought = await details.ask(deployed, lambda name: self.brought(names[name], how[name]))
        details.owe(name for name in asked if name not in told or (name in deployed and name not in brought))
        details.settle(name for name in told if name in brought or name not in deployed)
        pairs = [(item, self.of.key("deployment", item["id"]) if sound(item) else "") for item in items]

        def read(pair: tuple[Json, str]) -> Read:
            item, name = pair
            return change(checked(item), outcome(item, told[name], now), brought.get(name, Commits()), about)

        reads = await self.client.mapped([pair for pair in pairs if pair[1] in told or not pair[1]], read)
        self.state |= {"pending": dict(self.pending), "live": dict(self.live)}
        return Found(reads)

    async def statuses(self, item: Json) -> list[Json]:
        path = f"{self.of.path}/deployments/{item['id']}/statuses"
        pages = paging.by_link(self.client, path, {"per_page": self.of.page_size}, items=None)
        found = [status async for answer in pages for status in answer.items]
        if not all(sound(status) for status in found):
            raise ValueError("these are no statuses")
        return found

    def keep(self, item: Json, how: Outcome) -> None:
        """Remembers whether it has ended, and what it makes live."""
        key, place = str(item["id"]), str(item["environment"])
        if how.result == "pending":
            self.pending[key] = item["created_at"]
        else:
            self.pending.pop(key, None)
        before = self.live.pop(place, [])
        its = [entry for entry in before if entry[0] != key]
        if how.deployed_at:
            its.append([key, written(how.deployed_at), str(item["sha"]), how.result == "succeeded"])
        its = sorted(its, key=lambda entry: str(entry[1]))[-MOST_LIVE:]
        compared, now = bases(before), bases(its)
        self.overtaken |= {each for each in compared.keys() & now.keys() if now[each] not in (None, compared[each])}
        if its:  # the environment that was changed last comes last
            self.live[place] = its
        for other in [*self.live][:-MOST_ENVIRONMENTS]:
            del self.live[other]

    async def brought(self, item: Json, how: Outcome) -> Commits:
        """What is in a deployment that was not live before."""
        sha, place, at = item["sha"], str(item["environment"]), how.deployed_at
        if not isinstance(sha, str) or not sha.isalnum() or at is None:
            return Commits()
        its = self.live.get(place, ())
        before = [entry[2] for entry in its if entry[3] and entry[1] < written(at) and entry[0] != str(item["id"])]
        if sha in before:  # the same once more, or one of earlier in the place of the last
            return Commits(back=sha != before[-1])
        try:
            if before:
                path = f"{self.of.path}/compare/{before[-1]}...{sha}"
                return commits((await self.client.ask(path, {"per_page": self.of.page_size})).body)
            return commits({"status": "ahead", "commits": [await self.client.get(f"{self.of.path}/commits/{sha}")]})
        except (Gone, NotUnderstood) as error:
            if isinstance(error, NotUnderstood) and error.status != UNKNOWN_COMMIT:
                raise
            return Commits()  # as where a branch was rewritten


def bases(entries: Sequence[Any]) -> dict[str, str | None]:
    """What each of several deployments to an environment is compared with: the last success before it."""
    found, base = dict[str, str | None](), None
    for key, _, _, success in entries:
        found[key] = base
        base = key if success else base
    return found


def stood(item: Json, statuses: Sequence[Json], now: datetime) -> Outcome | None:
    """How a deployment stands; None where that cannot be read, which is told of where it is mapped."""
    with suppress(*ODD):
        return outcome(item, statuses, now)
    return None


def checked(item: Json) -> Json:
    """What was asked about one item; ValueError where it is no such item."""
    if not sound(item):
        raise ValueError("this is no deployment")
    return item
