"""GitHub: how the workflow runs of a repository are read.

State: `until` while its history is read. Then recent (the newest runs, each with its creation), open (runs that had not
ended, with their creation), tried (of runs with more than one attempt the last that is stored, with their creation),
again (when those of late were last read again), runs asked (of many open ones the last that had its turn).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from exporter.collect.http import Gone
from exporter.collect.recent import Recent
from exporter.connectors.github.mapping import attempt_of, is_ended, run
from exporter.connectors.github.repository import Found, Repository, sound, written
from exporter.records import Json, Read, Run, instant

DEPTH = 20  # of the newest runs, which are looked for again at every poll: one may show up late
RERUNS = timedelta(days=32)  # for thirty days a run may be run again, under its old id
LATE = timedelta(days=2)  # most are run again within this time
EVERY = timedelta(hours=1)  # so often those are read again
MOST_EARLIER = 60  # attempts of one run; GitHub runs nothing again more than fifty times


class Runs:
    """The runs of one poll. `held_times_out`: whether those that wait for a person end after a while like others."""

    def __init__(self, repository: Repository, *, held_times_out: bool) -> None:
        self.of, self.client, self.state = repository, repository.client, repository.state
        self.held_times_out = held_times_out
        self.open: dict[str, str] = dict(self.state.get("open", {}))
        self.tried: dict[str, Any] = dict(self.state.get("tried", {}))
        self.seen, self.renewed = set[str](), False

    async def read(self) -> AsyncIterator[Found]:
        """All that may have changed."""
        recent, first = Recent(self.state.get("recent", {}), DEPTH), "recent" not in self.state
        async for found in self.history(recent) if first else self.listed(recent):
            yield found
        yield await self.one_by_one()
        again = instant(self.state.get("again")) or self.client.at
        due = first or not again <= self.client.at < again + EVERY
        if due and not first:
            unread_since = written(again - EVERY)
            async for _, answer in self.of.created(self.client.at - LATE, self.client.at):
                items = answer.items
                yield await self.found([i for i in items if self.changed(i) or i["created_at"] >= unread_since])
        if due:
            self.state["again"] = self.client.at.isoformat()

    async def history(self, recent: Recent) -> AsyncIterator[Found]:
        """At first, all that was created since the history begins, oldest first."""
        begin = instant(self.state.get("until")) or self.client.since
        async for place, answer in self.of.created(begin, self.client.at):
            for item in filter(sound, answer.items):
                recent.saw(item["id"], item["created_at"])
            found = await self.found(answer.items)
            self.state["until"] = place.isoformat()
            yield found
        self.state.pop("until", None)
        self.state["recent"] = recent.stamps()

    async def listed(self, recent: Recent) -> AsyncIterator[Found]:
        """The list, newest first, down to the newest runs that are known."""
        oldest, first, page = written(self.client.since), list[Json](), f"first page of runs {self.of.path}"
        etag, lowest = self.client.memory[page] or (None, 0)
        async for answer in self.of.newest("/actions/runs", "workflow_runs", etag):
            if answer.unchanged:  # and so are the runs on that page
                self.seen |= {key for key in self.open if int(key) >= lowest}
                return
            ours = [item for item in answer.items if sound(item)]
            for item in ours:
                recent.saw(item["id"], item["created_at"])
            yield await self.found([item for item in answer.items if self.changed(item) or self.new(item, recent)])
            lowest = min((item["id"] for item in ours), default=0)
            first = first or [answer.etag, lowest]
            if lowest < recent.floor or (not recent.known and any(item["created_at"] < oldest for item in ours)):
                break
        recent.check("runs", self.of.others)
        # Only now: had it died before, what is further down would not be asked for again.
        self.client.memory[page], self.state["recent"] = first, recent.stamps()

    async def one_by_one(self) -> Found:
        """What was open and is in none of the lists, and what details are owed of."""
        details, path = self.of.details, f"{self.of.path}/actions/runs"
        left = self.of.in_turn("run", self.open.keys() - self.seen)
        asked = {self.of.key("run", key): key for key in {*left, *self.of.due("run")}}
        asked = {name: key for name, key in asked.items() if details.may(name)}
        gone = set[str]()

        async def one(name: str) -> Json:
            with suppress(Gone):
                return checked(await self.client.get(f"{path}/{asked[name]}"))
            gone.add(asked[name])
            return None

        found = await details.ask(asked, one)
        details.owe(name for name in asked if name not in found)
        details.settle(self.of.key("run", key) for key in gone)
        records = [each for key in gone for each in ids({"id": key, "run_attempt": self.tried.get(key, [1])[0]})]
        for key in gone:
            self.open.pop(key, None)
        reads = (await self.found([item for item in found.values() if item is not None])).reads
        return Found(reads, [(Run, key) for key in records])

    def changed(self, item: Json) -> bool:
        """Is it another than when it was last read, as far as can be told? When it ended is not asked twice: GitHub
        tells only when a run was last changed, and that may be long after."""
        if not sound(item):
            return True
        key, again = str(item["id"]), item["created_at"] >= written(self.client.at - RERUNS)
        return key in self.open or not is_ended(item) or (again and attempt_of(item) != self.tried.get(key, [1])[0])

    def new(self, item: Json, recent: Recent) -> bool:
        return sound(item) and item["id"] >= recent.floor and item["id"] not in recent.known

    async def found(self, items: Sequence[Json]) -> Found:
        """Runs, each with the attempts before the one that lists show, where they are not stored yet."""
        ours, about = {str(item["id"]): item for item in items if sound(item)}, self.of.about
        more = Found()
        if not self.renewed and any(str(item.get("workflow_id")) not in self.of.names for item in ours.values()):
            self.renewed, more = True, await self.of.inventory(fresh=True)
        before = await self.earlier(ours)
        tries: list[tuple[Json, Json]] = []  # each with the next
        for item in items:
            its = [*before.get(str(item["id"]), ()), item] if sound(item) else [item]
            tries += zip(its, [*its[1:], None], strict=True)

        def read(pair: tuple[Json, Json]) -> Read:
            item, after = pair
            next_at = after and after.get("run_started_at")
            names, held = self.of.names, self.held_times_out
            return run(checked(item), about, names, held_times_out=held, last=after is None, next_at=next_at)

        reads = await self.client.mapped(tries, read)
        self.keep(ours, before)
        return Found([*more.reads, *reads], more.gone)

    async def earlier(self, items: dict[str, Json]) -> dict[str, list[Json]]:
        """The attempts that are not stored, of the runs that have some, first to last."""
        details, path = self.of.details, f"{self.of.path}/actions/runs"
        known = {key: self.tried.get(key, [1])[0] for key in items}
        more = {self.of.key("run", key): key for key, item in items.items() if attempt_of(item) > known[key]}

        async def attempts(name: str) -> list[Json]:
            found, key = list[Json](), more[name]
            last = attempt_of(items[key])
            for number in range(max(known[key], last - MOST_EARLIER), last):
                with suppress(Gone):
                    found.append(checked(await self.client.get(f"{path}/{key}/attempts/{number}")))
            return found

        asked = [name for name in more if details.may(name)]
        found = await details.ask(asked, attempts)
        details.owe(name for name in asked if name not in found)
        details.settle(name for key in items if (name := self.of.key("run", key)) in found or name not in more)
        return {more[name]: its for name, its in found.items()}

    def keep(self, items: dict[str, Json], before: dict[str, list[Json]]) -> None:
        """Remembers what there is to remember of runs that were just read."""
        for key, item in items.items():
            if is_ended(item):
                self.open.pop(key, None)
            else:
                self.open[key] = item["created_at"]
            if key in before:
                self.tried[key] = [attempt_of(item), item["created_at"]]
        oldest = written(self.client.at - RERUNS)
        self.open = {key: created for key, created in self.open.items() if created >= oldest}
        self.tried = {key: last for key, last in self.tried.items() if last[1] >= oldest}
        self.seen |= items.keys() & self.open.keys()  # of a long history not all: nobody asks for the others
        self.state |= {"open": dict(self.open), "tried": dict(self.tried)}


def checked(item: Json) -> Json:
    """What was asked about one item; ValueError where it is no such item."""
    if not sound(item):
        raise ValueError("this is no workflow run")
    return item


def ids(item: Json) -> list[str]:
    """The ids of the records that a run is."""
    return [str(item["id"]), *(f"{item['id']}/{number}" for number in range(1, attempt_of(item)))]
