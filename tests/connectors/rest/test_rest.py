"""A list in every style in which APIs cut it, asked for in every way; and what is said where the config is mistaken."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.base.errors import NotUnderstood
from exporter.collect.finding import Finding
from exporter.collect.http import Auth, Client, HttpSettings
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from exporter.connectors import rest
from exporter.connectors.rest import Options
from exporter.connectors.rest.pages import Paging
from exporter.connectors.rest.place import CREATED, Since
from exporter.demo.fakes.fault import Faults
from exporter.records import RECORDS, Request
from exporter.records.columns import COLUMNS as COLUMNS_OF
from exporter.records.columns import Rule
from exporter.store import Store
from tests.connectors.rest.suite import COLUMNS, TOKENS, centre, options, world
from tests.connectors.source import Source, ids
from tests.connectors.world import AT, SINCE
from tests.fakes.rest import CallCentre, Style
from tests.polled import source as made

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NUMBERED = Paging(style="page", size_parameter="per_page", more="meta.page < meta.pages")
STYLES: Mapping[Style, Mapping[str, Any]] = {
    "none": {"paging": Paging(), "items": None},
    "page": {"paging": NUMBERED, "items": "data"},
    "offset": {
        "paging": Paging(style="offset"),
        "items": "calls",
        "parameters": {},
        "body": {"filter": {"modified_since": "{since}"}},
    },
    "token": {"paging": TOKENS},
    "link": {"paging": Paging(style="link", size_parameter="per_page"), "items": None},
    "url": {"paging": Paging(style="url", next='"@next.link"', size_parameter="per_page"), "items": "value"},
}
ALL = {str(number) for number in range(101, 115)}


@asynccontextmanager
async def polled(calls: CallCentre, asked: Options) -> AsyncIterator[Source]:
    there = replace(world(Path()), app=None, options=asked, auth=Auth(calls.header, calls.key))
    async with TestServer(calls.app()) as server:
        yield Source(rest, there, str(server.make_url("/api")), Faults())


async def findings(calls: CallCentre, asked: Options) -> list[Finding]:
    async with polled(calls, asked) as source:
        settings = HttpSettings(url=source.url, auth=source.world.auth, attempts=1)
        async with Client(settings, at=AT, since=SINCE) as client:
            return await rest.check(client, asked)


@pytest.mark.parametrize("style", STYLES)
async def test_a_list_is_read_in_every_style_and_then_only_what_is_new(style: Style) -> None:
    calls = centre(style=style)
    async with polled(calls, options(**STYLES[style])) as source:
        await source.poll()
        first = ids(source)
        calls.hang_up(114, AT + MINUTE, "hung up")
        new = str(calls.take(AT + MINUTE))
        calls.asked.clear()
        await source.poll(at=AT + DAY)

    record = source.records[Request, "114"]
    assert first == ALL
    assert ids(source) == ALL | {new}
    assert isinstance(record, Request)
    assert (record.outcome, record.resolved_at) == ("abandoned", AT + MINUTE)
    assert len(calls.asked) == (2 if style == "offset" else 1)


async def test_an_api_that_gives_less_than_it_is_asked_for_is_read_to_its_end() -> None:
    calls = centre(style="offset", cap=3)
    async with polled(calls, options(**STYLES["offset"])) as source:
        await source.poll()

    assert ids(source) == ALL
    assert [asked.get("offset") for asked in calls.asked] == [0, 3, 6, 9, 12, 14]


async def test_pages_by_number_end_where_the_api_says_so_or_with_an_empty_one() -> None:
    calls = centre(style="page")
    silent = replace(NUMBERED, more=None)
    async with polled(calls, options(paging=silent, items="data")) as source:
        with pytest.raises(NotUnderstood, match=r"no page after its last one; set paging\.more to what says"):
            await source.poll()

    assert [asked["page"] for asked in calls.asked] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("style", ["none", "page"])
async def test_an_empty_list_may_be_null(style: Style) -> None:
    calls = CallCentre(style=style, empty_is_null=True)
    async with polled(calls, options(**STYLES[style])) as source:
        await source.poll()

    assert source.records == {}
    assert len(calls.asked) == 1


@pytest.mark.parametrize(
    ("body", "items", "said"),
    [
        ({"data": {"calls": [1]}, "more": []}, "data.call", "set items to one of its lists: data.calls (1), more (0)"),
        ({"odd-key": [1]}, None, 'the answer is no list; set items to one of its lists: "odd-key" (1)'),
        ([], "data", "the answer is itself the list; leave items out"),
        ({"error": 5, "a b": 1}, "data", "there is no list in the answer, only error; check url and endpoint"),
        ("text", "data", "there is no list in the answer, only a value; check url and endpoint"),
    ],
)  # fmt: skip
async def test_where_there_is_no_list_it_is_said_which_there_are(body: Any, items: str | None, said: str) -> None:
    async def listed(_: web.Request) -> web.Response:
        return web.json_response(body)

    app = web.Application()
    app.router.add_get("/", listed)
    async with TestServer(app) as server:
        source = Source(
            rest, replace(world(Path()), options=Options(record="run", items=items)), str(server.make_url("")), Faults()
        )
        with pytest.raises(NotUnderstood) as caught:
            await source.poll()

    assert str(caught.value).endswith(said)


async def test_times_are_sent_as_the_api_wants_them() -> None:
    body = {"filter": {"modified_since": "{since}"}}
    calls = centre(style="offset", form="epoch_ms")
    columns = {
        name: replace(rule, time_format="epoch_ms") if name.endswith("_at") else rule for name, rule in COLUMNS.items()
    }
    asked = options(**{**STYLES["offset"], "body": body}, since=Since(format="epoch_ms"), columns=columns)
    async with polled(calls, asked) as source:
        await source.poll()

    assert calls.asked[0]["filter"] == {"modified_since": SINCE.timestamp() * 1000}
    assert ids(source) == ALL


@pytest.mark.parametrize("fold", [0, 1])
async def test_a_time_of_an_hour_that_a_night_has_twice_hides_nothing(fold: int) -> None:
    zone, pattern = ZoneInfo("Europe/Berlin"), "%Y-%m-%d %H:%M:%S"
    second = datetime(2025, 10, 26, 0, 30, tzinfo=UTC) + timedelta(hours=fold)
    sent = Since(format=pattern).written(second, options(time_zone="Europe/Berlin").notation)
    # The platform may take such a time for either.
    understood = [datetime.strptime(str(sent), pattern).replace(tzinfo=zone, fold=each) for each in (0, 1)]

    assert all(each.astimezone(UTC) <= second for each in understood)
    assert min(each.astimezone(UTC) for each in understood) >= second - timedelta(hours=1)


def by_id(**others: Any) -> Options:
    return options(parameters={"after": "{since}"}, since=Since(column="id", overlap_ids=3), **others)


async def test_a_list_that_is_asked_for_by_id_gives_what_is_new() -> None:
    calls = centre()
    async with polled(calls, by_id()) as source:
        await source.poll()
        new = str(calls.take(AT + MINUTE))
        calls.asked.clear()
        await source.poll(at=AT + DAY)

    assert [asked["after"] for asked in calls.asked] == ["112"]
    assert ids(source) == ALL | {new}


async def test_ids_that_begin_again_are_noticed_and_all_is_read_anew() -> None:
    calls = centre()
    async with polled(calls, by_id()) as source:
        await source.poll()
        calls.calls.clear()
        calls.last = 0
        new = {str(calls.take(AT + MINUTE)) for _ in range(5)}
        await source.poll(at=AT + DAY)

    assert source.started_over == 1
    assert new <= ids(source)


async def test_ids_that_are_no_numbers_cannot_be_gone_on_from() -> None:
    columns = {**COLUMNS, "id": Rule(field="caller")}
    async with polled(centre(), by_id(columns=columns)) as source:
        with pytest.raises(NotUnderstood, match=r"since\.column is id, but the ids are no numbers"):
            await source.poll()


@pytest.mark.parametrize("column", ["updated_at", "id"])
async def test_a_list_that_is_newest_first_is_read_down_to_what_is_known(column: str) -> None:
    calls = centre(newest_first=True)
    asked = options(parameters={}, since=Since(column=column, order="newest_first", overlap_ids=2))
    async with polled(calls, asked) as source:
        await source.poll()
        first = len(calls.asked)
        new = str(calls.take(AT + MINUTE))
        await source.poll(at=AT + DAY)

    assert ids(source) == ALL | {new}
    assert (first, len(calls.asked)) == (4, 5)


@pytest.mark.parametrize("column", ["updated_at", "id"])
async def test_a_list_that_is_said_to_be_newest_first_and_is_not_is_refused(column: str) -> None:
    asked = options(parameters={}, since=Since(column=column, order="newest_first"))
    async with polled(centre(), asked) as source:
        with pytest.raises(NotUnderstood, match=r"leave out since\.order"):
            await source.poll()

    assert source.cursor == {}


@pytest.mark.parametrize("column", ["updated_at", "id"])
async def test_pages_that_are_newest_first_each_but_not_together_are_refused(column: str) -> None:
    calls = centre(style="none")
    calls.calls = {number: calls.calls[number] for number in (103, 102, 101, 106, 105, 104)}
    calls.style = "token"
    asked = options(parameters={}, page_size=3, since=Since(column=column, order="newest_first"))
    async with polled(calls, asked) as source:
        with pytest.raises(NotUnderstood, match=r"leave out since\.order"):
            await source.poll()


async def stored(calls: CallCentre, asked: Options, store: Store, hours: Sequence[int]) -> list[set[str]]:
    """The ids that are stored after polls at these hours."""
    found = []
    async with polled(calls, asked) as there:
        http = HttpSettings(url=there.url, auth=there.world.auth, attempts=1)
        of = made(rest, options=asked, http=http, records=(Request,))
        for hour in hours:
            outcome = await poll_once(of, store, Health(version="0"), AT + timedelta(hours=hour))
            assert outcome.text == ""
            with store.reading() as reader:
                found.append({row[0] for row in reader.execute("select id from request").fetchall()})
    return found


async def test_what_a_whole_list_no_longer_has_is_deleted_after_several_polls(tmp_path: Path) -> None:
    calls = centre(style="none")
    whole = options(paging=Paging(), items=None, since=None, parameters={}, absent="deleted")
    with Store.open(tmp_path / "s.duckdb") as store:
        await stored(calls, whole, store, [0])
        calls.delete(103)
        calls.calls[104]["state"] = {"name": "pondering"}

        assert await stored(calls, whole, store, [1, 2, 8]) == [ALL, ALL, ALL - {"103"}]


async def test_while_an_id_cannot_be_read_nothing_counts_as_deleted(tmp_path: Path) -> None:
    calls = centre(style="none")
    whole = options(paging=Paging(), items=None, since=None, parameters={}, absent="deleted")
    with Store.open(tmp_path / "s.duckdb") as store:
        await stored(calls, whole, store, [0])
        calls.delete(103)
        calls.calls[104]["number"] = None

        assert await stored(calls, whole, store, [1, 2, 8, 16]) == [ALL] * 4


@pytest.mark.parametrize("left", [0, 6])
async def test_a_list_that_is_suddenly_short_deletes_nothing_however_often(left: int, tmp_path: Path) -> None:
    calls = centre(style="none", empty_is_null=left == 0)
    whole = options(paging=Paging(), items=None, since=None, parameters={}, absent="deleted")
    with Store.open(tmp_path / "s.duckdb") as store:
        await stored(calls, whole, store, [0])
        calls.calls = dict(list(calls.calls.items())[:left])

        assert await stored(calls, whole, store, [1, 8, 16, 24]) == [ALL] * 4


async def test_headers_go_with_every_page() -> None:
    calls = centre(versioned=True, header="X-Key")
    async with polled(calls, options(headers={"X-Api-Version": "2026-01-01"})) as source:
        await source.poll()

    assert ids(source) == ALL


async def test_the_check_says_whether_the_api_heeds_the_time_that_it_is_asked_from() -> None:
    right = await findings(centre(), options())
    ignored = await findings(centre(heeds=False), options())

    assert [(each.what, each.wrong) for each in right] == [("list", False), ("since", False)]
    assert ignored[1].wrong
    assert ignored[1].text == (
        "asked for what is new since 2026-03-24, the API brings items of 2026-03-01; does it know this parameter, and"
        " since.format?"
    )


async def test_the_check_names_the_list_that_may_not_be_read() -> None:
    async def refused(_: web.Request) -> web.Response:
        return web.json_response({"error": "forbidden"}, status=404)

    app = web.Application()
    app.router.add_get("/calls", refused)
    async with (
        TestServer(app) as server,
        Client(HttpSettings(url=str(server.make_url("")), attempts=1), at=AT, since=SINCE) as client,
    ):
        found = await rest.check(client, options())

    assert [(each.what, each.wrong) for each in found] == [("list", True)]
    assert "It needs the right to read this list" in found[0].text


def said(**others: Any) -> list[tuple[str, str]]:
    """(key, message) of each mistake."""
    return [(".".join(keys), message) for keys, message in options(**others).faults()]


@pytest.mark.parametrize(
    ("key", "others", "message"),
    [
        ("endpoint", {"endpoint": "calls"}, "write what follows the url, like /v2/calls"),
        ("endpoint", {"endpoint": "/calls?all=1"}, "what follows a ? belongs to parameters"),
        ("headers.X-Api-Key", {"headers": {"X-Api-Key": "k"}}, "this may be a secret; use api_key_file"),
        ("headers.a b", {"headers": {"a b": "c"}}, "this is no header"),
        ("headers.X-V", {"headers": {"X-V": "a\nb"}}, "this is no header"),
        ("items", {"items": "[a, b]"}, "[a, b] is not supported"),
        ("items", {"items": "data[*"}, "this is no JMESPath expression"),
        ("paging", {"paging": Paging(style="token", next="a")}, "parameter is missing; style token needs it"),
        ("paging", {"paging": Paging(style="url")}, "next is missing; style url needs it"),
        ("paging.next", {"paging": Paging(style="page", next="a")}, "it belongs to token and url"),
        ("paging.first", {"paging": Paging(style="offset", first=0)}, "it belongs to page"),
        ("paging.more", {"paging": Paging(style="page", more="sort_by(a, &b)")}, "sort_by is not supported"),
        ("paging.style", {"paging": Paging(style="link"), "body": {}}, "pages that are got without a body"),
        ("web_url", {"web_url": "https://x.test/show"}, "write the address of an item"),
        ("", {"since": None}, "{since} is used but since is missing"),
        ("since.column", {"since": Since(column="outcome")}, "this is neither id nor a time of the record; known: id,"),
        ("since.column", {"since": Since(column="closed_at")}, "add columns: { closed_at: { from: ... } }"),
        ("since", {"parameters": {}}, 'write "{since}" in parameters or body, or set order: newest_first'),
        ("since", {"since": Since(order="newest_first")}, "{since} is sent already; leave order out"),
        ("since.format", {"since": Since(format="excel")}, "or iso or epoch_s or epoch_ms"),
        ("absent", {"absent": "deleted"}, "it cannot tell what is deleted"),
        ("columns.opend_at", {"columns": {**COLUMNS, "opend_at": Rule(field="a")}}, "did you mean 'opened_at'?"),
        ("columns.csat.scale", {"columns": {**COLUMNS, "csat": Rule(field="a", scale=(1, 1))}}, "from the worst to"),
        ("time_zone", {"time_zone": "Berlin"}, "did you mean 'Europe/Berlin'?"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(key: str, others: Mapping[str, Any], message: str) -> None:
    mistakes = said(**others)

    assert [keys for keys, _ in mistakes] == [key]
    assert message in mistakes[0][1]


def test_what_is_right_has_no_mistakes() -> None:
    assert said() == []
    assert [said(**more) for more in STYLES.values()] == [[]] * len(STYLES)
    assert said(since=Since(column="id")) == []
    assert said(since=Since(format="%d.%m.%Y"), web_url="https://x.test/{id}", headers={"X-V": "1"}) == []


def test_what_tells_that_an_id_was_given_anew_is_a_time_of_every_record() -> None:
    assert CREATED.keys() == RECORDS.keys()
    assert {
        name: COLUMNS_OF[RECORDS[name]][column].kind for name, column in CREATED.items() if column
    } == dict.fromkeys(RECORDS.keys() - {"workflow"}, "instant")


async def test_a_long_list_costs_one_question_for_each_page() -> None:
    calls = CallCentre()
    for number in range(1_000):
        calls.take(AT - timedelta(minutes=number))
    async with polled(calls, options(page_size=50)) as source:
        await source.poll()

    assert len(calls.asked) == 20
    assert len(source.records) == 1_000
