"""Deleted items of a platform that tells of none: several sweeps in a row must miss them, and never many at once."""

import logging
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client
from exporter.collect.mapping import compiled
from exporter.collect.paging import by_token
from exporter.collect.poll import Outcome, poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.collect.sweep import swept
from exporter.records import Json, Record, Request, Run, Workflow, instant
from exporter.records.columns import Rule, Rules
from exporter.records.unreadable import Fault, LeftOut
from exporter.store import Store
from exporter.store.left_out import Noted
from exporter.store.sweep import Sweep, Swept
from tests.polled import connector, source
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BACK = 90 * DAY
PAGE = 40


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as store:
        yield store


@dataclass
class Platform:
    """A list of runs by when they were made, over HTTP. It never tells that one was deleted."""

    store: Store
    runs: dict[str, datetime] = field(default_factory=dict)
    shown: dict[str, datetime] | None = None  # to this credential; None: all
    refused: dict[int, int] = field(default_factory=dict)  # offset in the list of ids -> status, instead of a page
    asked: list[int] = field(default_factory=list)  # offsets in the list of ids
    url: str = ""
    parts: tuple[str, ...] = ()  # what the connector says that it lists
    rules: Rules = field(default_factory=dict)  # what the config maps
    health: Health = field(default_factory=lambda: Health(version="0"))

    def listed(self, since: datetime) -> list[tuple[str, datetime]]:
        shown = self.runs if self.shown is None else self.shown
        return sorted((id_, made) for id_, made in shown.items() if made >= since)

    async def answer(self, request: web.Request) -> web.Response:
        offset = int(request.query.get("token", 0))
        if request.query.get("fields") == "id":
            self.asked.append(offset)
            if status := self.refused.get(offset):
                return web.Response(status=status)
        found = self.listed(datetime.fromisoformat(request.query["created"]))
        items = [{"id": id_, "created": made.isoformat()} for id_, made in found[offset : offset + PAGE]]
        more = str(offset + PAGE) if offset + PAGE < len(found) else None
        return web.json_response({"items": items, "next": more})

    def source(self) -> Source:
        return source(connector(poll), url=self.url, options=self.parts, mapping=compiled(self.rules, (Run,)))

    async def polled(self, at: datetime) -> Outcome:
        return await poll_once(self.source(), self.store, self.health, at)

    def value(self, name: str, **labels: str) -> float | None:
        return self.health.registry.get_sample_value(f"outcome_source_{name}", {"source": "flows", **labels})

    @property
    def stored(self) -> set[str]:
        with self.store.reading() as reader:
            return {id_ for (id_,) in reader.execute("select id from run").fetchall()}


def run(item: Json) -> Run:
    return Run(id=item["id"], queued_at=instant(item["created"]), status="succeeded")


async def poll(client: Client, options: Any, cursor: Cursor) -> AsyncIterator[Page]:
    """Reads what is new, then, once a day, which ids there are."""
    since = cursor.get("since", (client.at - BACK).isoformat())

    async def listed(since: datetime | None, place: Json) -> AsyncIterator[tuple[Sequence[str], Json]]:
        assert since is not None

        params = {"created": since.isoformat(), "fields": "id"} | ({"token": place} if place else {})
        async for answer in by_token(client, "/runs", params, items="items", next_in="next", next_as="token"):
            yield [item["id"] for item in answer.items], answer.find("next")

    async for answer in by_token(client, "/runs", {"created": since}, items="items", next_in="next", next_as="token"):
        yield Page(await client.mapped(answer.items, run), cursor)
    end = {"since": client.at.isoformat()}
    yield Page([], end)
    async for page in swept(client, end, {Run: "queued_at"}, listed, every=DAY, back=BACK, parts=options):
        yield page


@pytest.fixture
async def platform(store: Store) -> AsyncIterator[Platform]:
    """With 100 runs, all of which are stored."""
    made = Platform(store, {f"{n:03}": AT - 50 * DAY + n * HOUR for n in range(100)})
    app = web.Application()
    app.router.add_get("/runs", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("")).rstrip("/")
        await made.polled(AT)
        yield made


async def test_what_was_deleted_goes_once_two_sweeps_have_missed_it(platform: Platform) -> None:
    del platform.runs["007"], platform.runs["040"]
    kept = []
    for days in (0.5, 1, 1.5, 2):
        await platform.polled(AT + days * DAY)
        kept.append(len(platform.stored))

    assert kept == [100, 100, 100, 98]
    assert platform.stored == platform.runs.keys()
    assert platform.value("records_deleted_total") == 2
    assert platform.value("records_missing", record="run") == 0
    assert platform.asked == [0, 40, 80] * 2


async def test_what_was_missed_once_and_is_listed_again_must_be_missed_twice_again(platform: Platform) -> None:
    all_runs = dict(platform.runs)
    kept = []
    for day in range(1, 6):
        platform.shown = {id_: made for id_, made in all_runs.items() if id_ != "007" or day == 2}
        await platform.polled(AT + day * DAY)
        kept.append("007" in platform.stored)

    assert kept == [True, True, True, False, False]


async def test_a_platform_that_lists_nothing_for_an_hour_costs_nothing(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "exporter")
    platform.shown = {}
    for minute in range(0, 60, 20):
        await platform.polled(AT + DAY + minute * timedelta(minutes=1))
    await platform.polled(AT + 2 * DAY)

    assert len(platform.stored) == 100
    assert platform.value("records_missing", record="run") == 100
    assert platform.value("sweep_doubted", record="run") == 1
    assert [record.message for record in caplog.records] == [
        "source flows: of 100 stored records (run) the platform no longer lists 100; none is deleted, because so many"
        " at once suggest a fault or a withdrawn permission; if they were deleted there, run:"
        " outcome-exporter erase --source flows"
    ] * 2

    platform.shown = None
    await platform.polled(AT + 3 * DAY)

    assert platform.value("records_missing", record="run") == 0
    assert platform.value("sweep_doubted", record="run") == 0


async def test_a_permission_withdrawn_costs_nothing(platform: Platform) -> None:
    platform.shown = {id_: made for id_, made in platform.runs.items() if not id_.startswith("05")}
    for day in range(1, 5):
        await platform.polled(AT + day * DAY)

    assert len(platform.stored) == 100
    assert platform.value("sweep_doubted", record="run") == 1

    platform.refused = dict.fromkeys((0, 40, 80), 403)
    outcomes = [await platform.polled(AT + day * DAY) for day in range(5, 8)]

    assert len(platform.stored) == 100
    assert [each.reason for each in outcomes] == ["auth"] * 3


async def test_a_sweep_that_is_broken_off_goes_on_where_it_was_and_deletes_nothing_before_its_end(
    platform: Platform,
) -> None:
    del platform.runs["007"]
    await platform.polled(AT + DAY)
    platform.asked.clear()
    platform.refused[40] = 503
    broken = await platform.polled(AT + 2 * DAY)
    kept = len(platform.stored)
    platform.refused.clear()
    await platform.polled(AT + 2 * DAY + HOUR)

    assert (broken.reason, kept, len(platform.stored)) == ("unavailable", 100, 99)
    assert platform.asked == [0, 40, 40, 80]


async def test_a_sweep_whose_place_the_platform_has_forgotten_begins_anew(platform: Platform) -> None:
    del platform.runs["007"]
    await platform.polled(AT + DAY)
    platform.asked.clear()
    outcomes = []
    for hour, status in enumerate((503, 400, None)):
        platform.refused = {40: status} if status else {}
        outcomes.append(await platform.polled(AT + 2 * DAY + hour * HOUR))

    assert [each.reason for each in outcomes] == ["unavailable", "not_understood", None]
    assert platform.asked == [0, 40, 40, 0, 40, 80]
    assert len(platform.stored) == 99


async def test_what_is_read_while_a_sweep_is_under_way_is_there(platform: Platform) -> None:
    for day in (1, 2):
        platform.runs["new"] = AT + day * DAY - HOUR
        platform.shown = {id_: made for id_, made in platform.runs.items() if id_ != "new"}
        platform.refused = {40: 503}
        await platform.polled(AT + day * DAY)  # a sweep begins
        platform.shown, platform.refused = None, {}
        platform.runs["new"] = AT + day * DAY + HOUR  # changed, and found by the poll only
        await platform.polled(AT + day * DAY + 2 * HOUR)

    assert "new" in platform.stored
    assert platform.value("records_missing", record="run") == 0


async def test_while_a_part_is_out_of_sight_nothing_counts_as_missed_and_that_is_told(platform: Platform) -> None:
    platform.parts = ("shop", "till")
    await platform.polled(AT + DAY)
    platform.parts, platform.shown = ("shop",), {id_: at for id_, at in platform.runs.items() if id_ != "007"}
    await platform.polled(AT + 2 * DAY)
    told = platform.value("resources_forbidden", resource="deletions")
    platform.refused[40] = 503
    await platform.polled(AT + 3 * DAY)  # a sweep begins
    platform.parts, platform.shown, platform.refused = ("shop", "till"), None, {}
    await platform.polled(AT + 3 * DAY + HOUR)  # and ends when the other part is back
    kept, found = len(platform.stored), platform.value("records_missing", record="run")
    lacking = platform.value("resources_forbidden", resource="deletions")

    assert (told, lacking) == (1, None)
    assert (kept, found) == (100, 0)


async def test_a_part_that_was_out_of_sight_for_as_long_as_a_sweep_looks_back_is_waited_for_no_longer(
    platform: Platform,
) -> None:
    platform.parts = ("shop", "till")
    await platform.polled(AT + DAY)
    platform.parts = ("shop",)
    told = []
    for days in (2, 90, 92):
        await platform.polled(AT + days * DAY)
        told.append(platform.value("resources_forbidden", resource="deletions"))

    assert told == [1, 1, None]


async def test_where_the_config_fills_the_time_by_which_ids_are_listed_nothing_is_missed(platform: Platform) -> None:
    platform.rules = {"queued_at": [Rule(field="planned")]}
    platform.runs = {id_: at for id_, at in platform.runs.items() if id_ != "007"}
    for days in (1, 2, 3):
        await platform.polled(AT + days * DAY)

    assert len(platform.stored) == 100
    assert platform.asked == []


# The store


def listing(*ids: str, at: datetime, since: datetime | None = None, of: type[Record] = Run) -> Sweep:
    by = "queued_at" if of is Run else None
    return Sweep(of={of: by}, begun=at, since=since, ids=ids, ended=True)


def runs(*numbers: int) -> list[Record]:
    """One a day, the last of them at AT."""
    return [Run(id=str(n), queued_at=AT - n * DAY) for n in numbers]


def test_what_is_newer_than_a_sweep_or_older_than_it_asked_for_or_found_is_not_missed(store: Store) -> None:
    store.write("s", [*runs(*range(41)), Run(id="undated")], {})
    for hours in (1, 9):
        begun, since = AT - DAY + hours * HOUR, AT - 30 * DAY
        ids = [str(n) for n in range(1, 21) if n != 10]  # 21..30: the platform cleared away
        store.write("s", [], {}, sweeps=[listing(*ids, at=begun, since=since)])

    assert store.swept("s") == [Swept("run", expected=20, missed=1, believed=True, deleted=1)]
    assert store.counts()["run"] == 41


def test_two_sweeps_within_an_hour_are_one_reading(store: Store) -> None:
    store.write("s", runs(*range(1, 31)), {})
    ids = [str(n) for n in range(2, 31)]
    deleted = []
    for minute in (0, 20, 40, 360):
        store.write("s", [], {}, sweeps=[listing(*ids, at=AT + minute * timedelta(minutes=1))])
        deleted.append(store.swept("s")[0].deleted)

    assert deleted == [0, 0, 0, 1]


def test_a_small_inventory_loses_one_at_a_time_and_never_all(store: Store) -> None:
    store.write("s", [Workflow(id=each) for each in "abcd"], {})
    counts = []
    for day, there in enumerate(["abc", "abc", "", "", "a", "a", "ab", "ab"]):
        store.write("s", [], {}, sweeps=[listing(*there, at=AT + day * DAY, of=Workflow)])
        counts.append(store.counts()["workflow"])

    assert counts == [4, 3, 3, 3, 3, 3, 3, 2]


def test_one_list_of_ids_may_be_of_two_types_of_record(store: Store) -> None:
    store.write("s", [Request(id=str(n), opened_at=AT) for n in range(30)] + runs(*range(30)), {})
    for day in (1, 2):
        ids = tuple(str(n) for n in range(1, 30))
        part = Sweep(of={Request: "opened_at", Run: "queued_at"}, begun=AT + day * DAY, ids=ids, ended=True)
        store.write("s", [], {}, sweeps=[part])

    assert (store.counts()["request"], store.counts()["run"]) == (29, 29)


def test_a_sweep_is_of_its_source_only(store: Store) -> None:
    for name in ("s", "other"):
        store.write(name, runs(*range(30)), {})
    for day in (1, 2):
        store.write("s", [], {}, sweeps=[listing(*map(str, range(1, 30)), at=AT + day * DAY)])

    assert store.counts()["run"] == 59
    assert store.swept("other") == []


def test_what_was_left_out_of_a_deleted_record_is_forgotten(store: Store) -> None:
    fault = Fault("attempt", "not_a_number", "x is not a number")
    what = LeftOut("Run 0", "run 0", (fault,), whole=False, kind=Run)
    store.write("s", runs(*range(30)), {})
    store.note("s", [Noted(what)], [], AT)
    for day in (1, 2):
        store.write("s", [], {}, sweeps=[listing(*map(str, range(1, 30)), at=AT + day * DAY)])

    assert store.unread("s").lines == ()


def test_what_one_sweep_missed_is_forgotten_where_all_is_read_anew(store: Store) -> None:
    store.write("s", runs(*range(30)), {})
    for day in (1, 2):
        store.write("s", [], {}, sweeps=[listing(*map(str, range(1, 30)), at=AT + day * DAY)])
        store.start_over("s", {})

    assert store.counts()["run"] == 30


def test_ids_do_not_pile_up_in_memory(store: Store) -> None:
    store.write("s", runs(*range(1, 30)), {})
    ids = ["x" * 50 + str(n) for n in range(1_000)]
    part = Sweep(of={Run: "queued_at"}, begun=AT)
    store.write("s", [], {}, sweeps=[part.part(ids)])
    tracemalloc.start()
    try:
        for _ in range(30):
            store.write("s", [], {}, sweeps=[part.part(ids)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2 * 1_000 * 100  # of two parts, not of thirty
