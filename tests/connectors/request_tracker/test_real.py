"""A real Request Tracker: tickets worked by people and a bot, polled into a real store, compared with what was done."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors import request_tracker
from exporter.connectors.request_tracker import Options
from exporter.store import Store
from tests.connectors.request_tracker.real_server import Tracker, missing, served
from tests.figures import Totals, stored

REASON = missing()
pytestmark = [pytest.mark.real, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

OPTIONS = Options(bots=("autobot",), escalation_queues=("IT",), page_size=4)
SECOND = timedelta(seconds=1)


@dataclass
class Requests:
    """Counts what the client asks."""

    made: int = 0

    def request(self, code: str) -> None:
        assert code == "200"
        self.made += 1

    def rate_limited(self) -> None:
        raise AssertionError

    def details_given_up(self, items: int) -> None:
        """Nothing is asserted of it here."""

    def detail_failed(self) -> None:
        """Nothing is asserted of it here."""


@dataclass
class Desk:
    """A tracker, a store, and when what was done to each ticket."""

    tracker: Tracker
    store: Store
    done: dict[tuple[str, str], tuple[datetime, datetime]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def poll(self) -> int:
        """Stores everything; how many requests that took."""
        at, observe = datetime.now(UTC), Requests()
        settings = HttpSettings(
            url=self.tracker.url, auth=Auth("Authorization", f"token {self.tracker.token}"), attempts=1
        )
        cursor = self.store.source("desk").cursor
        async with Client(settings, at=at, since=at - timedelta(days=1), observe=observe) as client:
            async for page in request_tracker.poll(client, OPTIONS, cursor):
                self.store.write("desk", [read.record for read in page.reads], page.cursor, gone=page.gone)
        return observe.made

    async def noting(self, name: str, what: str, action: Any) -> Any:
        """Does something to a ticket and remembers between which instants."""
        began = datetime.now(UTC)
        answer = await action
        self.done[name, what] = (began, datetime.now(UTC))
        return answer

    async def opened(self, name: str, **columns: Any) -> str:
        created = self.tracker.create(f"{name}@customer.test", **columns)
        self.ids[name] = await self.noting(name, "opened_at", created)
        return self.ids[name]

    def figures(self) -> Totals:
        return stored(self.store, "desk", datetime.now(UTC))

    def rows(self, columns: str) -> dict[str, tuple[Any, ...]]:
        names = {key: name for name, key in self.ids.items()}
        with self.store.reading() as reader:
            found = reader.execute(f"select id, {columns} from request").fetchall()
        return {names[key]: tuple(values) for key, *values in found}


async def first_day(desk: Desk) -> None:
    """What is done before the first poll."""
    tracker, noting = desk.tracker, desk.noting
    human = await desk.opened("human", CustomFields={"Channel": "web"}, Due="2040-01-01 00:00:00")
    await tracker.say("alice", human, "comment")
    await noting("human", "first_response_at", tracker.say("alice", human, minutes=5))
    await noting("human", "resolved_at", tracker.set("alice", human, Status="resolved"))
    bot = await desk.opened("bot")
    await noting("bot", "first_response_at", tracker.say("autobot", bot))
    await noting("bot", "resolved_at", tracker.set("autobot", bot, Status="resolved"))
    escalated = await desk.opened("escalated")
    await noting("escalated", "first_response_at", tracker.say("autobot", escalated))
    await noting("escalated", "escalated_at", tracker.set("root", escalated, Queue="IT"))
    await tracker.say("bob", escalated)
    await noting("escalated", "resolved_at", tracker.set("bob", escalated, Status="resolved"))
    again = await desk.opened("again")
    await noting("again", "first_response_at", tracker.say("alice", again))
    await tracker.set("alice", again, Status="resolved")
    await tracker.set("root", again, Status="open")
    rejected = await desk.opened("rejected")
    await noting("rejected", "abandoned_at", tracker.set("alice", rejected, Status="rejected"))
    for name in ("untouched", "deleted", "merged", "target"):
        await desk.opened(name)
    await desk.opened("hidden", queue="HR")


async def second_day(desk: Desk) -> None:
    """What is done between the two polls."""
    tracker = desk.tracker
    await desk.noting("again", "resolved_at", tracker.set("alice", desk.ids["again"], Status="resolved"))
    await tracker.set("root", desk.ids["deleted"], Status="deleted")
    await tracker.set("root", desk.ids["merged"], MergeInto=desk.ids["target"])
    await tracker.set("alice", desk.ids["human"], CustomFields={"CSAT": "5"})
    late = await desk.opened("late", Due="2020-01-01 00:00:00")
    await desk.noting("late", "resolved_at", tracker.set("alice", late, Status="resolved"))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with served(tmp_path) as tracker:
        with Store.open(tmp_path / "store.duckdb") as store:
            yield Desk(tracker, store)


async def test_the_store_holds_what_was_done_on_a_real_server(desk: Desk) -> None:
    await first_day(desk)
    first = await desk.poll()

    assert {"human", "bot", "escalated", "again", "rejected", "untouched", "deleted", "merged", "target"} == {
        *desk.rows("id")
    }
    assert desk.rows("outcome, resolved_at, reopen_count")["again"] == ("open", None, 1)
    assert first <= 40

    await second_day(desk)
    await desk.poll()

    assert desk.rows("outcome, handled_by, reopen_count, replies, sla_breached, human_seconds") == {
        "human": ("resolved", "human", 0, 1, False, 300.0),
        "bot": ("resolved", "automation", 0, 1, None, 0.0),
        "escalated": ("resolved", "assisted", 0, 2, None, None),
        "again": ("resolved", "human", 1, 1, None, None),
        "rejected": ("abandoned", "human", 0, 0, None, None),
        "untouched": ("open", None, 0, 0, None, None),
        "target": ("open", None, 0, 0, None, None),
        "late": ("resolved", "human", 0, 0, True, None),
    }
    assert_times(desk)

    figures = desk.figures()
    assert figures["requests"] == (8, 0)
    assert figures["backlog"] == (2, 0)
    assert figures["automated_resolution_ratio"] == (1, 5)
    assert figures["escalation_ratio"] == (1, 5 + 1)
    assert figures["reopen_ratio"] == (1, 5)
    assert figures["resolution_seconds"][1] == 5
    assert figures["first_response_seconds"][1] == 4

    before = desk.rows("*")

    assert await desk.poll() <= 15
    assert before == desk.rows("*")


def assert_times(desk: Desk) -> None:
    """Each instant lies between the start and the end of what set it (RT keeps whole seconds); no other one is set."""
    columns = ("opened_at", "first_response_at", "escalated_at", "resolved_at", "abandoned_at")
    for name, values in desk.rows(", ".join(columns)).items():
        for column, value in zip(columns, values, strict=True):
            if (name, column) in desk.done:
                began, ended = desk.done[name, column]
                assert began - SECOND <= value.replace(tzinfo=UTC) <= ended, (name, column)
            else:
                assert value is None, (name, column)
