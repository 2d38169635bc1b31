"""The poller: cursor from the store, page by page into it, waits, log-once, reload, stop. Nobody waits for real."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.base.clock import NEVER
from exporter.base.errors import Forbidden, Partial, SourceError, StartOver
from exporter.collect.answer import Answer
from exporter.collect.contract import Cursor, Page
from exporter.collect.http import AuthFailed, Client, Gone, HttpSettings, NotUnderstood, RateLimited, Unavailable
from exporter.collect.mapping import compiled
from exporter.collect.poll import MOST_WAITING, Outcome, PollLimits, Progress, poll_once
from exporter.collect.poller import Poller
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.collect.status import status
from exporter.explain.summary import standing
from exporter.records import Read, Request, Run, RunStatus
from exporter.records.columns import Rule
from exporter.records.unreadable import Words
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests import deadline, polled
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
DEADLINE_SECONDS = 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as store:
        yield store


@pytest.fixture
def health() -> Health:
    return Health(version="0")


@dataclass
class Platform:
    """A platform without a network: its pages, and what it says instead of the next one."""

    pages: int = 3
    trouble: Exception | None = None
    trouble_after: int = 0  # pages
    polls: list[dict[str, Any]] = field(default_factory=list)  # the cursor of each poll
    clients: list[Client] = field(default_factory=list)
    total: int | None = None
    held: asyncio.Event | None = None  # waited for before the last page
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def poll(self, client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
        self.polls.append(dict(cursor))
        self.clients.append(client)
        for number in range(cursor.get("page", 0), self.pages):
            if self.trouble and number >= self.trouble_after:
                raise self.trouble
            if self.held and number == self.pages - 1:
                self.reached.set()
                await self.held.wait()
            await asyncio.sleep(0)  # lets others run, as waiting for an answer does
            yield Page([self.read(number, n) for n in range(2)], {"page": number + 1}, total=self.total)
        if self.trouble and self.trouble_after >= self.pages:
            raise self.trouble

    def read(self, page: int, n: int) -> Read:
        began = AT - timedelta(days=1) + timedelta(minutes=page)
        return Read(Run(id=f"{page}-{n}", status="succeeded", started_at=began), {"squad": "red"})


def connector(platform: Platform) -> ModuleType:
    return polled.connector(platform.poll)


ODD = compiled({"team": [Rule(field="squad")], "attempt": [Rule(field="squad")]}, (Run,))
"""A mapping that takes a text for a number."""


def source(platform: Platform, **more: Any) -> Source:
    rules = {"team": [Rule(field="squad")]}
    known = {"type": "n8n", "mapping": compiled(rules, (Run,)), "http": HttpSettings(url="http://localhost")}
    return polled.source(connector(platform), **{**known, **more})


def value(health: Health, name: str, **labels: str) -> float | None:
    return health.registry.get_sample_value(name, labels)


@dataclass
class Time:
    """A clock that stands still until told otherwise, and sleep that ends when told so."""

    at: datetime = AT
    asked: asyncio.Queue[tuple[float, asyncio.Event]] = field(default_factory=asyncio.Queue)

    def clock(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        await self.asked.put((seconds, over))
        await over.wait()

    async def wait(self) -> float:
        """Until a task wants to sleep; lets it sleep, and tells how long that was."""
        seconds, over = await self.asleep()
        self.at += timedelta(seconds=seconds)
        over.set()
        return seconds

    async def asleep(self) -> tuple[float, asyncio.Event]:
        async with deadline.within(DEADLINE_SECONDS):
            return await self.asked.get()


@pytest.fixture
async def make(store: Store, health: Health) -> AsyncIterator[Callable[..., tuple[Poller, Time]]]:
    pollers = []

    def made(jitter: float = 0.0, **more: Any) -> tuple[Poller, Time]:
        time = Time()
        pollers.append(Poller(store, health, clock=time.clock, sleep=time.sleep, jitter=lambda: jitter, **more))
        return pollers[-1], time

    yield made
    for poller in pollers:
        await poller.stop()


# One poll


@dataclass
class Restored(Platform):
    """A platform that was restored: what the cursor tells of is not there."""

    updated_at: datetime = AT - timedelta(hours=1)

    async def poll(self, _client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
        self.polls.append(dict(cursor))
        if cursor.get("mark"):
            raise StartOver("of the 3 newest runs read before, 3 are gone", {"known": ["f1"]})
        if self.trouble:
            raise self.trouble
        began = self.updated_at - timedelta(hours=1)
        status: RunStatus = "failed" if self.polls[0].get("mark") else "succeeded"
        record = Run(id="1", status=status, started_at=began, updated_at=self.updated_at)
        yield Page([Read(record, {})], {"mark": 1})


async def test_a_platform_that_begins_anew_is_read_from_there_and_that_is_said_once(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = Restored(), Restored(updated_at=AT - timedelta(hours=9))
    await poll_once(source(before), store, health, AT)
    outcome = await poll_once(source(after), store, health, AT)
    stored = store.source("flows")

    assert after.polls == [{"mark": 1}, {"known": ["f1"]}]
    assert outcome == Outcome(1, 1, complete=True)  # an older state, of something else that has the id now
    assert (stored.cursor, stored.complete, stored.anew) == ({"mark": 1}, True, False)
    assert value(health, "outcome_source_starts_over_total", source="flows") == 1
    assert [record.message for record in caplog.records] == [
        "source flows: of the 3 newest runs read before, 3 are gone"
    ]


async def test_a_cursor_that_the_platform_calls_expired_is_given_up_and_what_is_stored_is_kept(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    asked = list[str]()

    async def export(request: web.Request) -> web.Response:
        asked.append(request.query.get("cursor", ""))
        if asked == ["", "c1"]:
            return web.json_response({"error": "CursorExpired"}, status=400)
        return web.json_response({"runs": [{"id": f"r{len(asked)}"}], "after": "c1"})

    class Expiring(Platform):
        async def poll(self, client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
            answer = await client.ask("/export", {"cursor": cursor["after"]} if cursor else None)
            reads = client.each(answer.body["runs"], lambda item: Run(id=item["id"], started_at=AT, status="succeeded"))
            yield Page(reads, {"after": answer.body["after"]})

    def judge(answer: Answer) -> SourceError | None:
        return answer.start_over("the cursor has expired") if answer.find("error") == "CursorExpired" else None

    app = web.Application()
    app.router.add_get("/export", export)
    async with TestServer(app) as server:
        its = source(Expiring(), http=HttpSettings(url=str(server.make_url("")).rstrip("/")))
        its.connector.judge = judge  # type: ignore[attr-defined] # a module made on the spot
        outcomes = [await poll_once(its, store, health, AT) for _ in range(2)]

    assert asked == ["", "c1", ""]
    assert [each.reason for each in outcomes] == [None, None]
    assert store.counts()["run"] == 2
    assert value(health, "outcome_source_starts_over_total", source="flows") == 1
    assert [record.message for record in caplog.records] == [
        "source flows: GET /export: HTTP 400: the cursor has expired; all is read again, and what is stored is kept"
    ]


async def test_beginning_anew_outlives_a_poll_that_breaks_off(store: Store, health: Health) -> None:
    before, broken = Restored(), Restored(trouble=Unavailable("no answer"))
    after = Restored(updated_at=AT - timedelta(hours=9))
    await poll_once(source(before), store, health, AT)
    await poll_once(source(broken), store, health, AT)
    broken.trouble, broken.updated_at = None, after.updated_at
    outcome = await poll_once(source(broken), store, health, AT)

    assert broken.polls == [{"mark": 1}, {"known": ["f1"]}, {"known": ["f1"]}]
    assert outcome == Outcome(1, 1, complete=True)


async def test_a_platform_that_begins_anew_twice_in_a_poll_is_not_read_for_ever(store: Store, health: Health) -> None:
    class Mad(Platform):
        async def poll(self, _client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
            raise StartOver("what was read before is gone")
            yield Page([], {})

    assert (await poll_once(source(Mad()), store, health, AT)).reason == "not_understood"


class Corrected(Platform):
    """A platform whose connector has learnt that a run was a failure; what broke off in between may be asked for."""

    async def poll(self, _client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
        self.polls.append(dict(cursor))
        if self.trouble:
            raise self.trouble
        if not cursor:
            record = Run(
                id="1", status="failed", started_at=AT - timedelta(hours=1), updated_at=AT - timedelta(hours=1)
            )
            yield Page([Read(record, {})], {"mark": 1})


async def test_a_corrected_mapping_reaches_old_records_while_the_figures_before_stay_marked(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    old, corrected = Corrected(), Corrected()
    await poll_once(source(old), store, health, AT)
    await poll_once(source(old), store, health, AT)
    now = source(corrected)
    now.connector.REVISION = 2  # type: ignore[attr-defined] # a module made on the spot
    before = status(now, store, AT)
    corrected.trouble = Unavailable("down")
    await poll_once(now, store, health, AT)
    during = status(now, store, AT)
    marked = value(health, "outcome_source_rereading", source="flows")
    corrected.trouble = None
    await poll_once(now, store, health, AT)
    after = status(now, store, AT)

    assert old.polls == [{}, {"mark": 1}]  # as long as nothing is corrected
    assert corrected.polls == [{}, {}]
    assert [(each.complete, each.rereading) for each in (before, during, after)] == [
        (True, True),
        (True, True),
        (True, False),
    ]
    assert standing(during) == "fresh; its items are being read again, because a release corrected their mapping"
    assert (marked, value(health, "outcome_source_rereading", source="flows")) == (1, 0)
    assert [record.message for record in caplog.records if "corrected" in record.message] == [
        "source flows: a release corrected how its items are read; everything is read again, and the previous values"
        " stay published until then"
    ]


async def test_a_source_read_by_the_first_release_is_not_read_again_for_its_revision(store: Store) -> None:
    store.begin("flows", "print")
    store.write("flows", [], {"page": 3})
    with store.reading() as db:
        db.execute("update source_state set revision = null, memory = null, rereading = null")  # as it was

    assert store.begin("flows", "print", revision=1).cursor == {"page": 3}


class Remembering(Platform):
    """A platform with a list that is slow to read."""

    asked: int = 0

    async def poll(self, client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
        async def priorities() -> list[str]:
            self.asked += 1
            return [f"P{self.asked}"]

        self.polls.append({"priorities": await client.memory.remembered("priorities", timedelta(hours=1), priorities)})
        if self.trouble:
            raise self.trouble
        yield Page([self.read(0, 0)], cursor)


async def test_what_is_slow_to_read_is_remembered_for_a_while_over_restarts(store: Store, health: Health) -> None:
    platform = Remembering()
    for minutes in (0, 30, 59, 60, 61):
        await poll_once(source(platform), store, health, AT + timedelta(minutes=minutes))

    assert [each["priorities"] for each in platform.polls] == [["P1"], ["P1"], ["P1"], ["P2"], ["P2"]]
    assert store.source("flows").cursor == {}


async def test_what_is_remembered_of_the_time_to_come_is_asked_for_again(store: Store, health: Health) -> None:
    platform = Remembering()
    for hours in (5, 0):
        await poll_once(source(platform), store, health, AT + timedelta(hours=hours))

    assert platform.asked == 2


async def test_a_memory_is_stored_with_a_page_or_not_at_all_and_goes_with_the_cursor(
    store: Store, health: Health
) -> None:
    platform = Remembering(trouble=Unavailable("down"))
    await poll_once(source(platform), store, health, AT)
    broken_off = dict(store.source("flows").memory)
    platform.trouble = None
    await poll_once(source(platform), store, health, AT)
    stored = store.source("flows").memory["priorities"]["value"]

    assert (broken_off, stored) == ({}, ["P2"])
    assert store.begin("flows", "other").memory == {}


async def test_a_part_that_the_plan_does_not_allow_to_read_is_said_once_and_shown(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    class Poor(Platform):
        plan = "starter"

        async def poll(self, client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
            with client.optional("priorities"):
                if self.plan == "starter":
                    raise Forbidden("GET /priorities: HTTP 402: the platform's plan does not have this")
            yield Page([self.read(0, 0)], {})

    platform = Poor()
    outcomes = [await poll_once(source(platform), store, health, AT) for _ in range(2)]
    shown = value(health, "outcome_source_resources_forbidden", source="flows", resource="priorities")
    platform.plan = "business"
    await poll_once(source(platform), store, health, AT)

    assert [(each.records, each.reason) for each in outcomes] == [(1, None), (1, None)]
    assert shown == 1
    assert value(health, "outcome_source_resources_forbidden", source="flows", resource="priorities") is None
    assert [record.message for record in caplog.records] == [
        "source flows: priorities cannot be read, its values are unknown: "
        "GET /priorities: HTTP 402: the platform's plan does not have this"
    ]


async def test_details_that_fail_are_said_once_and_counted(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    class Half(Platform):
        async def poll(self, client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
            client.detail_failed("GET /runs/7: HTTP 500")
            yield Page([self.read(0, 0)], {})

    first = await poll_once(source(Half()), store, health, AT)
    await poll_once(source(Half()), store, health, AT)

    assert (first.records, first.reason) == (1, None)
    assert value(health, "outcome_source_details_failed_total", source="flows") == 2
    assert [record.message for record in caplog.records] == [
        "source flows: details of some items are unknown and will be requested again later: GET /runs/7: HTTP 500"
    ]


async def test_a_poll_stores_every_page_and_its_cursor(store: Store, health: Health) -> None:
    platform = Platform()

    assert await poll_once(source(platform), store, health, AT) == Outcome(6, 6, complete=True)
    with store.reading() as reader:
        stored = reader.execute("select id, source, team, attempt from run order by id limit 2").fetchall()
    assert stored == [("0-0", "flows", "red", None), ("0-1", "flows", "red", None)]
    assert store.source("flows").cursor == {"page": 3}
    assert store.source("flows").last_success == AT
    assert await poll_once(source(platform), store, health, AT) == Outcome(0, 0, complete=True)
    assert platform.polls == [{}, {"page": 3}]


async def test_a_connector_is_told_when_the_poll_began_and_how_far_back_to_look(store: Store, health: Health) -> None:
    platform = Platform()
    await poll_once(source(platform, initial_history_seconds=7200), store, health, AT)

    assert [(c.at, c.since) for c in platform.clients] == [(AT, AT - timedelta(hours=2))]


async def test_what_cannot_be_read_is_told_once_and_counted_once(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await poll_once(source(Platform(), mapping=ODD), store, health, AT)

    told = (
        "source flows: 6 of 6 items read; column squad: a text of 3 characters is not a number (6 items, first: id 0-0)"
    )
    assert [told] == [record.getMessage() for record in caplog.records]
    assert value(health, "outcome_source_values_unread_total", source="flows", column="attempt") == 6
    left = {"source": "flows", "column": "attempt", "reason": "not_a_number"}
    assert value(health, "outcome_source_values_left_out", **left) == 6

    await poll_once(source(Platform(), fingerprint="corrected"), store, health, AT)

    assert value(health, "outcome_source_values_left_out", **left) is None


class Wordy(Platform):
    """A platform with words that nobody knows."""

    words: tuple[str, ...] = ("paused", "paused", "blocked")

    async def poll(self, client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
        table: Words[RunStatus] = Words("status", {"done": "succeeded"})
        items = [{"id": str(n), "status": word} for n, word in enumerate(self.words)]
        yield Page(client.each(items, lambda item: Run(id=item["id"], status=table[item["status"]])), {})


async def test_each_unknown_word_is_named_once_and_counted_by_column_and_word(
    store: Store, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Wordy()
    for words in (platform.words, platform.words, (*platform.words, "frozen")):
        platform.words = words
        await poll_once(source(platform), store, health, AT)
    first, second = (record.getMessage() for record in caplog.records)

    assert ["'paused' is none of done (2 items" in first, "'blocked' is none of done (1 item" in first] == [True, True]
    assert ("'frozen'" in first, "'frozen' is none of done (1 item" in second) == (False, True)
    counts = {
        word: value(health, "outcome_source_unknown_words", source="flows", column="status", word=word)
        for word in ("paused", "blocked", "frozen")
    }
    assert counts == {"paused": 2, "blocked": 1, "frozen": 1}
    left = {"source": "flows", "column": "status", "reason": "unknown_word"}
    assert value(health, "outcome_source_items_left_out", **left) == 4


async def test_a_poll_counts_what_it_did(store: Store, health: Health) -> None:
    await poll_once(source(Platform(), mapping=ODD), store, health, AT)

    assert value(health, "outcome_source_up", source="flows", kind="n8n") == 1
    assert value(health, "outcome_source_last_success_timestamp_seconds", source="flows") == AT.timestamp()
    assert value(health, "outcome_source_poll_interval_seconds", source="flows") == 60
    assert value(health, "outcome_source_polls_total", source="flows") == 1
    assert value(health, "outcome_source_poll_failures_total", source="flows", reason="auth") == 0
    assert value(health, "outcome_source_records_total", source="flows", record="run") == 6
    assert value(health, "outcome_source_values_unread_total", source="flows", column="attempt") == 6
    assert value(health, "outcome_source_backfill_complete", source="flows") == 1
    newest = AT - timedelta(days=1) + timedelta(minutes=2)
    watermark = value(health, "outcome_source_watermark_timestamp_seconds", source="flows", record="run")
    assert watermark == newest.timestamp()


async def test_after_a_restart_the_metrics_know_what_was_stored_before(store: Store, health: Health) -> None:
    await poll_once(source(Platform()), store, health, AT)
    anew = Health(version="0")
    await poll_once(
        source(Platform(trouble=Unavailable("down"), trouble_after=3)), store, anew, AT + timedelta(hours=1)
    )

    assert value(anew, "outcome_source_last_success_timestamp_seconds", source="flows") == AT.timestamp()
    assert value(anew, "outcome_source_backfill_complete", source="flows") == 1
    newest = (AT - timedelta(days=1) + timedelta(minutes=2)).timestamp()
    watermark = value(anew, "outcome_source_watermark_timestamp_seconds", source="flows", record="run")
    assert watermark == newest


async def test_the_first_full_sync_shows_how_far_it_is(store: Store, health: Health) -> None:
    seen: list[Progress] = []
    await poll_once(source(Platform(total=6)), store, health, AT, show=seen.append)
    await poll_once(source(Platform(pages=4, total=2)), store, health, AT, show=seen.append)

    assert seen[0].expected == 6
    assert [each.records for each in seen] == sorted({each.records for each in seen})
    assert seen[-1] == Progress("flows", 6, 6)
    assert value(health, "outcome_source_first_sync_items", source="flows") == 6
    assert value(health, "outcome_source_first_sync_items_expected", source="flows") == 6


@pytest.mark.parametrize(
    ("trouble", "reason", "text", "until"),
    [
        (AuthFailed("401"), "auth", "401", None),
        (RateLimited("429", AT + timedelta(hours=1)), "rate_limited", "429", AT + timedelta(hours=1)),
        (Unavailable("down"), "unavailable", "down", None),
        (NotUnderstood("html"), "not_understood", "html", None),
        (Gone("no list"), "gone", "no list", None),
        (KeyError("secret token"), "bug", "unexpected KeyError at poll:", None),
        (RecursionError("secret"), "bug", "unexpected RecursionError at poll:", None),
    ],
)
async def test_what_came_before_a_fault_is_kept_and_the_poll_is_not_complete(
    store: Store, health: Health, trouble: Exception, reason: str, text: str, until: datetime | None
) -> None:
    outcome = await poll_once(source(Platform(trouble=trouble, trouble_after=2)), store, health, AT)

    assert (outcome.records, outcome.reason, outcome.until) == (4, reason, until)
    assert outcome.text.startswith(text)
    assert "secret" not in outcome.text
    assert (store.source("flows").cursor, store.source("flows").complete) == ({"page": 2}, False)
    assert value(health, "outcome_source_up", source="flows", kind="n8n") == 0
    assert value(health, "outcome_source_poll_failures_total", source="flows", reason=reason) == 1
    assert value(health, "outcome_source_polls_total", source="flows") == 1


async def test_a_wait_that_the_platform_asks_for_reaches_the_outcome(store: Store, health: Health) -> None:
    outcome = await poll_once(source(Platform(trouble=Unavailable("maintenance", 600.0))), store, health, AT)

    assert outcome.until
    assert timedelta(0) <= outcome.until - AT - timedelta(minutes=10) < timedelta(seconds=DEADLINE_SECONDS)


async def test_a_store_that_cannot_be_used_is_a_failed_poll(store: Store, health: Health, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "store.duckdb").write_bytes(b"overwritten by somebody")

    outcome = await poll_once(source(Platform()), store, health, AT)
    assert (outcome.reason, "not a database file" in outcome.text) == ("store", True)


async def test_another_fingerprint_reads_everything_again(store: Store, health: Health) -> None:
    platform = Platform()
    await poll_once(source(platform), store, health, AT)
    await poll_once(source(platform, fingerprint="another"), store, health, AT)

    assert platform.polls == [{}, {}]


async def test_pages_that_come_faster_than_they_are_stored_share_a_transaction(store: Store, health: Health) -> None:
    seen: list[Progress] = []
    outcome = await poll_once(source(Platform(pages=60)), store, health, AT, show=seen.append)

    assert outcome == Outcome(120, 120, complete=True)
    assert [each.records for each in seen] == [120]
    assert store.source("flows").cursor == {"page": 60}


async def test_fetching_does_not_run_far_ahead_of_storing(store: Store, health: Health) -> None:
    ahead = []

    async def poll(_client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
        for page in range(30):
            ahead.append(page * 500 - store.counts()["run"])
            reads = [Read(Run(id=f"{page}-{n}", started_at=AT), {}) for n in range(500)]
            yield Page(reads, {"page": page})

    module = connector(Platform())
    module.poll = poll  # type: ignore[attr-defined] # a module made on the spot
    await poll_once(source(Platform(), connector=module), store, health, AT)

    assert store.counts()["run"] == 15_000
    assert max(ahead) <= 2 * MOST_WAITING + 500  # what is being stored, what waits, and the page in hand


async def test_a_record_that_comes_back_after_it_was_gone_is_there(store: Store, health: Health) -> None:
    async def poll(_client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
        for number in range(20):
            yield Page([Read(Run(id="a"), {}), Read(Run(id=f"{number}"), {})], {})
            yield Page([], {}, gone=[(Run, "a"), (Run, f"{number}")])
        yield Page([Read(Run(id="a", status="failed"), {})], {})

    module = connector(Platform())
    module.poll = poll  # type: ignore[attr-defined] # a module made on the spot
    await poll_once(source(Platform(), connector=module), store, health, AT)
    with store.reading() as reader:
        assert reader.execute("select id, status from run").fetchall() == [("a", "failed")]


async def test_a_page_is_being_stored_while_the_next_is_fetched_and_in_order(store: Store, health: Health) -> None:
    platform = Platform(pages=40)
    asked = asyncio.create_task(poll_once(source(platform), store, health, AT))
    cursors = [0]
    while not asked.done():
        page = store.source("flows").cursor.get("page", 0)
        cursors.append(page)
        assert store.counts()["run"] >= 2 * page
        await asyncio.sleep(0)

    assert cursors == sorted(cursors)
    assert asked.result() == Outcome(80, 80, complete=True)


async def test_real_http_is_counted_by_status(store: Store, health: Health) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response([{"id": "1"}, {"id": None}, {}])

    async def poll(client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
        yield Page(client.each(await client.get("/runs"), lambda item: Run(id=item["id"].strip())), {})
        await client.get("/nothing")

    app = web.Application()
    app.router.add_get("/runs", answer)
    async with TestServer(app) as server:
        settings = HttpSettings(url=str(server.make_url("")), retry_wait_seconds=0.001)
        module = connector(Platform())
        module.poll = poll  # type: ignore[attr-defined] # a module made on the spot
        outcome = await poll_once(source(Platform(), connector=module, http=settings), store, health, AT)

    assert (outcome.reason, outcome.records) == ("gone", 1)
    assert value(health, "outcome_source_requests_total", source="flows", code="200") == 1
    assert value(health, "outcome_source_requests_total", source="flows", code="404") == 1
    assert value(health, "outcome_source_items_skipped_total", source="flows", reason="missing") == 1
    assert value(health, "outcome_source_items_skipped_total", source="flows", reason="wrong_shape") == 1


# The loop

Make = Callable[..., tuple[Poller, Time]]


async def test_a_source_is_polled_at_its_interval_with_jitter(make: Make) -> None:
    platform = Platform()
    poller, time = make(jitter=0.5)
    await poller.apply([source(platform)])
    waits = [await time.wait() for _ in range(3)]

    assert all(60 < wait <= 63 for wait in waits)  # the interval less the poll, and half a tenth more
    assert platform.polls == [{}, {"page": 3}, {"page": 3}]


async def test_the_wait_grows_while_a_source_is_down_and_starts_anew_when_it_is_well(make: Make) -> None:
    platform = Platform(trouble=Unavailable("down"), trouble_after=9)
    poller, time = make()
    await poller.apply([source(platform)])
    waits = [round(await time.wait()) for _ in range(7)]
    platform.trouble = None
    waits.append(round(await time.wait()))
    platform.trouble = Unavailable("down")
    waits.append(round(await time.wait()))

    assert waits == [15, 30, 60, 120, 240, 300, 300, 60, 15]


@pytest.mark.parametrize(
    ("trouble", "interval", "expected"),
    [
        (AuthFailed("401"), 60, [900, 900]),
        (AuthFailed("401"), 3600, [3600, 3600]),
        (RateLimited("429", AT + timedelta(minutes=20)), 60, [1200, 30]),
        (RateLimited("429", AT + timedelta(days=400)), 60, [86400, 86400]),
        (RateLimited("429", AT - timedelta(minutes=20)), 60, [15, 30]),
        (Unavailable("down", 120.0), 60, [120, 120]),
        (ValueError("bug"), 3600, [15, 30]),
    ],
    ids=["auth", "auth, long interval", "until", "until next year", "until the past", "retry after", "bug"],
)
async def test_how_long_a_source_is_left_alone(
    make: Make, trouble: Exception, interval: int, expected: list[int]
) -> None:
    poller, time = make()
    await poller.apply([source(Platform(trouble=trouble), interval_seconds=interval)])

    assert [round(await time.wait()) for _ in expected] == expected


async def test_a_limited_first_sync_goes_on_as_soon_as_it_may(make: Make, store: Store) -> None:
    platform = Platform(pages=9)
    poller, time = make()
    platform.trouble, platform.trouble_after = RateLimited("429", AT + timedelta(seconds=20)), 2
    await poller.apply([source(platform)])
    waits = []
    for pages in (4, 6, 8):
        seconds, over = await time.asleep()
        waits.append(round(seconds))
        time.at += timedelta(seconds=seconds)
        platform.trouble, platform.trouble_after = RateLimited("429", time.at + timedelta(seconds=20)), pages
        over.set()
    await time.asleep()

    assert waits == [20, 20, 20]
    assert store.source("flows").cursor == {"page": 8}


async def test_one_line_when_a_source_goes_bad_and_one_when_it_is_well(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Platform()
    poller, time = make()
    with caplog.at_level(logging.INFO, "exporter.poll"):
        await poller.apply([source(platform)])
        for trouble in (Unavailable("HTTP 503"), AuthFailed("HTTP 401"), Unavailable("HTTP 503"), None, None):
            _, over = await time.asleep()
            platform.trouble, platform.trouble_after = trouble, 9
            over.set()
        await time.asleep()

    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "exporter.poll"]
    assert lines == [
        ("WARNING", "source flows: unavailable: HTTP 503; trying again in 15 s"),
        ("INFO", "source flows: healthy again after 3 failed polls"),
    ]


async def test_a_bug_in_a_connector_is_one_line_without_what_was_read(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    poller, time = make()
    await poller.apply([source(Platform(trouble=KeyError("hunter2")))])
    await time.wait()
    await time.wait()

    assert "source flows: bug: unexpected KeyError at poll:" in caplog.text
    assert "hunter2" not in caplog.text
    assert len(caplog.records) == 1


async def test_one_bad_source_does_not_disturb_another(make: Make, store: Store) -> None:
    poller, time = make()
    bad, good = Platform(trouble=RuntimeError("no")), Platform()
    await poller.apply([source(bad, name="bad"), source(good, name="good")])
    for _ in range(2):
        await time.asleep()

    assert (store.source("bad").complete, store.source("good").complete) == (False, True)


async def test_the_end_of_the_last_first_sync_is_announced_once(make: Make) -> None:
    ends: list[str] = []
    slow = Platform(trouble=Unavailable("down"), trouble_after=1)
    poller, time = make(read_once=lambda: ends.append("ended"))
    await poller.apply([source(Platform(), name="quick"), source(slow, name="slow")])
    sleeps = [await time.asleep() for _ in range(2)]
    before = [*ends]
    slow.trouble = None
    for _, over in sleeps:
        over.set()
    for _ in range(2):
        await time.asleep()

    assert (before, ends) == ([], ["ended"])


async def test_freshness_tells_what_evaluation_may_build_on(make: Make) -> None:
    platform = Platform(trouble=Unavailable("down"), trouble_after=1)
    poller, time = make()
    await poller.apply([source(platform)])
    _, over = await time.asleep()
    before = poller.statuses(AT)
    platform.trouble = None
    over.set()
    await time.asleep()

    flows = SourceStatus(source="flows", records=frozenset({"run"}), max_staleness_seconds=3600)
    assert before == [replace(flows, complete=False, stale=True, whole_since=NEVER)]
    (after,) = poller.statuses(AT + timedelta(hours=1))
    assert (after, after.last_success) == (replace(flows, whole_since=AT - timedelta(days=1)), AT)
    assert after.as_of(AT + timedelta(seconds=3601)).stale


async def test_a_source_configured_otherwise_is_incomplete_at_once(make: Make) -> None:
    platform = Platform()
    poller, time = make()
    await poller.apply([source(platform)])
    await time.asleep()
    platform.held = asyncio.Event()
    await poller.apply([source(platform, fingerprint="another")])

    assert [each.complete for each in poller.statuses(AT)] == [False]


# Reload and stop


async def test_a_reload_leaves_unchanged_sources_alone(make: Make, health: Health) -> None:
    kept, changed, removed, added = Platform(), Platform(), Platform(), Platform()
    stays = source(kept, name="kept")
    will_change = source(changed, name="changed")
    poller, time = make()
    await poller.apply([stays, will_change, source(removed, name="removed")])
    for _ in range(3):
        await time.asleep()
    same_again = replace(stays, mapping=compiled({"team": [Rule(field="squad")]}, (Run,)))
    await poller.apply([same_again, replace(will_change, interval_seconds=90), source(added, name="added")])
    for _ in range(2):
        await time.asleep()

    assert [len(each.polls) for each in (kept, changed, removed, added)] == [1, 2, 1, 1]
    assert value(health, "outcome_source_poll_interval_seconds", source="changed") == 90
    assert value(health, "outcome_source_polls_total", source="changed") == 2
    assert value(health, "outcome_source_up", source="removed", kind="n8n") is None
    assert value(health, "outcome_source_up", source="added", kind="n8n") == 1
    assert [each.source for each in poller.statuses(AT)] == ["kept", "changed", "added"]


async def test_a_new_source_has_its_series_before_its_first_answer(make: Make, health: Health) -> None:
    platform = Platform(pages=1, held=asyncio.Event())
    poller, _ = make()
    await poller.apply([source(platform)])

    assert value(health, "outcome_source_up", source="flows", kind="n8n") == 0


async def test_stopping_in_the_middle_of_a_poll_loses_nothing(make: Make, store: Store) -> None:
    platform = Platform(pages=5, held=asyncio.Event())
    poller, _ = make()
    await poller.apply([source(platform)])
    async with deadline.within(DEADLINE_SECONDS):
        await platform.reached.wait()
        await poller.stop()
    stopped = store.source("flows").cursor["page"]
    again, time = make()
    platform.held = None
    await again.apply([source(platform)])
    await time.asleep()

    assert stopped == 4  # every page that had come
    assert platform.polls == [{}, {"page": 4}]
    assert store.counts()["run"] == 10


async def test_stopping_while_sources_sleep_is_immediate(make: Make) -> None:
    poller, time = make()
    await poller.apply([source(Platform(), name=f"s{n}") for n in range(5)])
    for _ in range(5):
        await time.asleep()
    began = asyncio.get_running_loop().time()
    await poller.stop()

    assert asyncio.get_running_loop().time() - began < 2
    assert poller.statuses(AT) == []


async def test_records_that_a_platform_no_longer_has_go(store: Store, health: Health) -> None:
    async def poll(_client: Client, _options: Any, _cursor: Cursor) -> AsyncIterator[Page]:
        yield Page([], {"page": 3}, gone=[(Run, "0-0"), (Request, "0-1")])

    await poll_once(source(Platform()), store, health, AT)
    module = connector(Platform())
    module.poll = poll  # type: ignore[attr-defined] # a module made on the spot
    await poll_once(source(Platform(), connector=module), store, health, AT)

    assert store.counts()["run"] == 5


async def test_a_source_of_which_parts_cannot_be_read_is_stored_and_not_up(store: Store, health: Health) -> None:
    platform = Platform(trouble=Partial("1 file cannot be read, the others are: a.csv: locked"), trouble_after=3)
    outcome = await poll_once(source(platform), store, health, AT)

    assert (outcome.records, outcome.reason) == (6, "partial")
    assert outcome.text == "1 file cannot be read, the others are: a.csv: locked"
    assert store.counts()["run"] == 6
    assert store.source("flows").complete
    assert store.source("flows").last_success == AT
    assert value(health, "outcome_source_up", source="flows", kind="n8n") == 0
    assert value(health, "outcome_source_poll_failures_total", source="flows", reason="partial") == 1
    assert value(health, "outcome_source_last_success_timestamp_seconds", source="flows") == AT.timestamp()


async def test_what_cannot_be_read_is_told_of_a_source_that_is_read_in_part(store: Store, health: Health) -> None:
    platform = Platform(trouble=Partial("1 file cannot be read, the others are: a.csv: locked"), trouble_after=3)
    outcome = await poll_once(source(platform, mapping=ODD), store, health, AT)

    assert outcome.reason == "partial"
    left = {"source": "flows", "column": "attempt", "reason": "not_a_number"}
    assert value(health, "outcome_source_values_left_out", **left) == 6


@pytest.mark.parametrize("limits", [PollLimits(pages=5), PollLimits(items=10), PollLimits(first_seconds=0.05)])
async def test_a_poll_without_end_is_an_error_of_the_source(store: Store, health: Health, limits: PollLimits) -> None:
    outcome = await poll_once(source(Platform(pages=10**9)), store, health, AT, limits=limits)

    assert outcome.reason == "not_understood"
    assert outcome.text.startswith("the poll did not end")
    assert not store.source("flows").complete
