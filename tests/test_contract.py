"""What platforms need of several parts at once, in whole polls over HTTP into a store: a desk as ServiceNow has it.

What they need of one part is shown beside it: test_answers, test_paging, test_budget, test_auth, test_poll.
"""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client, HttpSettings
from exporter.collect.mapping import Which, compiled
from exporter.collect.paging import by_offset
from exporter.collect.poll import Outcome, poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.connectors import files
from exporter.connectors.files import Options as FilesOptions
from exporter.records import Incident, IncidentSeverity, Json, Record, Request, instant
from exporter.records.columns import Rule
from exporter.records.unreadable import Words, value
from exporter.store import Store
from tests import polled as on_the_spot
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
SEVERITY: Words[IncidentSeverity] = Words("severity", {"1 - High": "sev1", "3 - Low": "sev3"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path / "store") as store:
        yield store


@dataclass(frozen=True, kw_only=True)
class Options:
    incidents: Which = field(default_factory=lambda: Which(field="type", match="Incident"))
    most_details: int = 2


@dataclass
class Desk:
    """A desk: tickets, what was deleted of them, and for each ticket the answer of its requester, asked one by one."""

    tickets: list[Json] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.startswith("/survey/"):
            self.asked.append(request.path.removeprefix("/survey/"))
            return web.json_response({"csat": 0.5})
        if request.path == "/deleted":
            return web.json_response(self.deleted)
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        return web.json_response(self.tickets[offset : offset + limit])


def ticket(key: str, what: str, **more: Any) -> Json:
    return {"id": key, "type": what, "opened": "2026-03-30T10:00:00Z", "updated": "2026-03-30T12:00:00Z", **more}


def made(options: Options) -> Any:
    def each(item: Json) -> list[Record]:
        common = {
            "id": item["id"],
            "opened_at": value("opened_at", instant, item["opened"]),
            "updated_at": value("updated_at", instant, item["updated"]),
        }
        said = {name: item.get(name) for name in ("category", "effort")}
        request = Request(**common, **said, outcome="resolved" if item.get("closed") else None)
        if not options.incidents.holds(item):
            return [request]
        return [request, Incident(**common, severity=value("severity", SEVERITY.__getitem__, item.get("severity", "")))]

    return each


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    waiting, reads = [*cursor.get("waiting", ())], []
    async for answer in by_offset(client, "/tickets", size=2):
        reads += await client.mapped(answer.items, made(options))
    waiting += [read.record.id for read in reads if isinstance(read.record, Request) and read.record.id not in waiting]
    waiting = [key for key in waiting if key not in cursor.get("known", ())]

    async def survey(key: str) -> tuple[str, float]:
        return key, (await client.get(f"/survey/{key}"))["csat"]

    answers, left = await client.some(waiting, survey, options.most_details)
    csat = dict(answers)
    reads = [
        replace(read, record=replace(read.record, csat=csat.get(read.record.id)))
        if isinstance(read.record, Request)
        else read
        for read in reads
    ]
    gone = [(kind, key) for key in (await client.ask("/deleted")).listed() for kind in (Request, Incident)]
    yield Page(reads, {"waiting": [*left], "known": [*cursor.get("known", ()), *csat]}, gone=gone)


def source(url: str, options: Options, rules: Mapping[str, Rule]) -> Source:
    made = on_the_spot.connector(poll, (Request, Incident), Options=Options)
    mapping = compiled({name: [rule] for name, rule in rules.items()}, (Request, Incident))
    return of("desk", made, options, HttpSettings(url=url, attempts=1), mapping)


def of(name: str, connector: Any, options: Any, http: HttpSettings, mapping: Any) -> Source:
    more = {"options": options, "http": http, "mapping": mapping, "fingerprint": name}
    return on_the_spot.source(connector, name=name, records=(Request, Incident), **more)


async def polled(
    desk: Desk, store: Store, options: Options | None = None, rules: Mapping[str, Rule] | None = None
) -> Outcome:
    app = web.Application()
    app.router.add_get("/{path:.*}", desk.answer)
    async with TestServer(app) as server:
        its = source(str(server.make_url("")).rstrip("/"), options or Options(), rules or {})
        return await poll_once(its, store, Health(version="0"), AT)


def rows(store: Store, sql: str) -> list[Any]:
    with store.reading() as db:
        return db.execute(sql).fetchall()


async def test_one_item_is_a_request_and_where_an_option_says_so_an_incident_too(store: Store) -> None:
    desk = Desk(
        [ticket("1", "Incident", severity="1 - High"), ticket("2", "Task", severity="3 - Low"), ticket("3", "Question")]
    )
    outcome = await polled(desk, store, Options(incidents=Which(field="type", match="Incident|Task")))

    assert (outcome.reason, outcome.records) == (None, 5)
    assert rows(store, "select id from request order by id") == [("1",), ("2",), ("3",)]
    assert rows(store, "select id, severity from incident order by id") == [("1", "sev1"), ("2", "sev3")]


async def test_a_value_that_cannot_be_read_is_told_of_the_one_record_that_has_the_column(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await polled(Desk([ticket("1", "Incident", severity="2 - Medium")]), store)

    assert rows(store, "select severity from incident") == [(None,)]
    assert [record.message for record in caplog.records] == [
        "source desk: 2 of 2 items read; "
        "column severity: '2 - Medium' is none of 1 - High, 3 - Low (1 item, first: id 1)"
    ]


async def test_the_config_fills_a_column_of_the_incident_and_leaves_the_request_s_alone(store: Store) -> None:
    desk = Desk([ticket("1", "Incident", severity="3 - Low", area="Network", impact="total")])
    severity = Rule(field="impact", map={"total": "sev2"})
    await polled(desk, store, rules={"incident.severity": severity, "incident.category": Rule(field="area")})

    assert rows(store, "select severity, category from incident") == [("sev2", "Network")]
    assert rows(store, "select category from request") == [(None,)]


async def test_text_and_numbers_that_are_none_cost_themselves_and_neither_record_nor_page(store: Store) -> None:
    half, none = "Network \ud83d", float("nan")  # as JSON: "\\ud83d" and NaN
    outcome = await polled(
        Desk([ticket("1", "Ask", category=half, effort=none), ticket("2", "Ask", effort=0.5)]), store
    )

    assert outcome.reason is None
    assert rows(store, "select id, category, effort from request order by id") == [
        ("1", "Network \ufffd", None),
        ("2", None, 0.5),
    ]


async def test_details_beyond_a_poll_s_budget_come_with_the_next_polls_and_none_is_asked_twice(store: Store) -> None:
    desk = Desk([ticket(str(number), "Question") for number in range(1, 6)])
    for _ in range(3):
        await polled(desk, store)

    assert desk.asked == ["1", "2", "3", "4", "5"]


async def test_what_the_platform_has_deleted_goes_with_every_record_that_was_made_of_it(store: Store) -> None:
    desk = Desk([ticket("1", "Incident", severity="3 - Low"), ticket("2", "Incident", severity="3 - Low")])
    await polled(desk, store)
    desk.tickets, desk.deleted = desk.tickets[1:], ["1"]
    await polled(desk, store)

    assert rows(
        store, "select 'request', id from request union all select 'incident', id from incident order by 1"
    ) == [
        ("incident", "2"),
        ("request", "2"),
    ]


async def test_a_platform_that_shows_an_older_state_again_does_not_undo_the_newer_one(store: Store) -> None:
    desk = Desk([ticket("1", "Question", updated="2026-03-30T15:00:00Z", closed=True)])
    await polled(desk, store)
    desk.tickets = [ticket("1", "Question", updated="2026-03-30T11:00:00Z")]  # a replica that lags behind
    outcome = await polled(desk, store)

    assert (outcome.records, outcome.changed) == (1, 0)
    assert rows(store, "select outcome, hour(updated_at) from request") == [("resolved", 15)]


async def test_an_older_export_that_comes_late_does_not_undo_a_newer_one(store: Store, tmp_path: Path) -> None:
    head = "id,opened_at,updated_at,outcome\n"
    exports = {"new.csv": "1,2026-03-30T10:00:00Z,2026-03-30T15:00:00Z,resolved\n",
               "old.csv": "1,2026-03-30T10:00:00Z,2026-03-30T11:00:00Z,\n"}  # fmt: skip
    options = FilesOptions(path=str(tmp_path / "*.csv"), record="request")
    its = of("exports", files, options, HttpSettings(url=""), compiled({}, (Request,)))
    for number, (name, text) in enumerate(exports.items()):
        (tmp_path / name).write_text(head + text)
        written = (AT - timedelta(hours=2) + timedelta(minutes=number)).timestamp()
        os.utime(tmp_path / name, (written, written))
        await poll_once(its, store, Health(version="0"), AT)

    assert rows(store, "select outcome, hour(updated_at) from request") == [("resolved", 15)]
