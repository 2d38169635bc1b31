"""Lists that would lose rows, or say another thing than is meant, without a word: they are read rightly, or refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.base.errors import NotUnderstood
from exporter.collect.finding import Finding
from exporter.collect.http import Client, HttpSettings
from exporter.connectors import rest
from exporter.connectors.rest import Options
from exporter.connectors.rest.pages import Paging
from exporter.connectors.rest.place import Since
from exporter.demo.fakes.fault import Faults
from exporter.records.columns import Rule
from tests.connectors.rest.suite import world
from tests.connectors.source import Source, ids
from tests.connectors.world import AT, SINCE

Answers = Callable[[Mapping[str, str]], Any]
ROWS = [{"id": number, "at": (AT - timedelta(hours=number)).isoformat()} for number in range(7)]
EVERY = {str(row["id"]) for row in ROWS}


def api(answer: Answers, headers: Mapping[str, str] | None = None) -> web.Application:
    """One list, whose answer is made of the parameters of the question."""

    async def listed(request: web.Request) -> web.Response:
        said = answer(request.query)
        return said if isinstance(said, web.Response) else web.json_response(said, headers=headers)

    app = web.Application()
    app.router.add_get("/", listed)
    return app


def options(**others: Any) -> Options:
    asked = {"record": "request", "page_size": 3, "columns": {"opened_at": Rule(field="at")}}
    return Options(**{**asked, **others})


async def read(app: web.Application, asked: Options) -> set[str]:
    """The ids of what a poll reads."""
    async with TestServer(app) as server:
        source = Source(rest, replace(world(Path()), options=asked), str(server.make_url("")), Faults())
        await source.poll()
        return ids(source)


async def findings(app: web.Application, asked: Options) -> list[Finding]:
    async with TestServer(app) as server:
        settings = HttpSettings(url=str(server.make_url("")), attempts=1)
        async with Client(settings, at=AT, since=SINCE) as client:
            found = await rest.check(client, asked)
            assert client.left_out() == []
            return [each for each in found if each.wrong]


def numbered(more: Callable[[int], Mapping[str, Any]]) -> Answers:
    def answer(query: Mapping[str, str]) -> Any:
        page = int(query["page"])
        return {"rows": ROWS[(page - 1) * 3 : page * 3], **more(page)}

    return answer


@pytest.mark.parametrize(
    ("more", "says", "questions"),
    [
        ("has_more", lambda _: {}, 4),  # misspelt, or left out: not a word of an end
        ("has_more", lambda page: {"has_more": True} if page < 3 else {}, 4),
        ("page < pages", lambda page: {"page": str(page + 7), "pages": "10"}, 3),  # "9" is less than "10"
        ("page < pages", lambda page: {"page": str(page + 7), "pages": 10}, 3),
        ("page < pages", lambda page: {"page": page}, 4),
        ("next", lambda page: {"next": page + 1 if page < 3 else None}, 3),
        ("has_more", lambda page: {"has_more": page < 3}, 3),
    ],
)
async def test_pages_end_where_the_api_says_so_and_not_where_it_says_nothing(
    more: str, says: Callable[[int], Mapping[str, Any]], questions: int
) -> None:
    asked = []

    def answer(query: Mapping[str, str]) -> Any:
        asked.append(query["page"])
        return numbered(says)(query)

    found = await read(api(answer), options(items="rows", paging=Paging(style="page", more=more)))

    assert found == EVERY
    assert len(asked) == questions


async def test_a_token_leads_on_though_nothing_says_that_there_is_more() -> None:
    def answer(query: Mapping[str, str]) -> Any:
        begin = int(query.get("from", 0))
        return {"rows": ROWS[begin : begin + 3], "next": begin + 3 if begin < 6 else None}

    paging = Paging(style="token", next="next", parameter="from", more="has_more")

    assert await read(api(answer), options(items="rows", paging=paging)) == EVERY


@pytest.mark.parametrize(
    ("style", "given", "said"),
    [
        ("url", {"href": "/?page=2"}, "what the answer has at paging.next is an object and no address"),
        ("url", 2, "is 2 and no address"),
        ("token", ["a"], "is a list and no token"),
        ("token", True, "is true and no token"),
    ],
)
async def test_what_cannot_lead_to_the_next_page_is_no_end_of_the_list(style: Any, given: Any, said: str) -> None:
    paging = Paging(style=style, next="next", parameter="from" if style == "token" else None)
    with pytest.raises(NotUnderstood) as caught:
        await read(api(lambda _: {"rows": ROWS[:3], "next": given}), options(items="rows", paging=paging))

    assert said in str(caught.value)


async def test_a_list_that_goes_on_is_not_taken_for_all_of_it() -> None:
    app = api(lambda _: ROWS, {"Link": '<https://x.test/?page=2>; rel="next"'})
    with pytest.raises(NotUnderstood, match=r"only the first page of several; set paging: \{ style: link \}"):
        await read(app, options())


@pytest.mark.parametrize(
    ("paging", "body", "said"),
    [
        (Paging(), {"rows": ROWS, "meta": {"total": 90}}, "the API counts 90 items, but gives only 7; set paging"),
        (Paging(style="url", next="nxt"), {"rows": ROWS, "next": "/"}, "nothing at nxt; is paging.next right?"),
        (Paging(style="token", next="m.nxt", parameter="p"), {"rows": ROWS, "m": 0}, "nothing at m.nxt; is paging"),
        (Paging(style="link"), {"rows": ROWS}, "no header Link leads on; is it another style of paging?"),
    ],
)
async def test_the_check_says_where_a_list_may_be_cut_off(paging: Paging, body: Any, said: str) -> None:
    found = await findings(api(lambda _: body), options(items="rows", paging=paging))

    assert [each.what for each in found] == ["paging"]
    assert said in found[0].text


@pytest.mark.parametrize(
    ("paging", "body"),
    [
        (Paging(), {"rows": ROWS, "meta": {"total": 7}}),
        (Paging(style="url", next="next"), {"rows": ROWS, "next": None}),
        (Paging(style="token", next="next", parameter="p"), {"rows": ROWS[:2]}),
    ],
)
async def test_the_check_is_content_with_a_list_that_is_whole(paging: Paging, body: Any) -> None:
    assert await findings(api(lambda _: body), options(items="rows", paging=paging)) == []


async def test_ids_that_tell_nothing_apart_are_refused_and_several_states_of_an_item_are_not() -> None:
    one = [{**row, "kind": "call"} for row in ROWS]
    columns = {"id": Rule(field="kind"), "opened_at": Rule(field="at")}
    with pytest.raises(NotUnderstood, match=r"6 of 7 items have an id that another one has, too; name in columns\.id"):
        await read(api(lambda _: one), options(columns=columns))
    found = await findings(api(lambda _: one), options(columns=columns))
    states = options(columns={"id": Rule(field="kind"), "updated_at": Rule(field="at")})

    assert [each.text.partition(";")[0] for each in found] == [
        "6 items have an id that another one has, too, and only one of them is kept"
    ]
    assert await read(api(lambda _: one), states) == {"call"}
    assert await read(api(lambda _: [ROWS[0], ROWS[0]]), options()) == {"0"}


SINCE_AT = Since(column="opened_at", format="%Y-%m-%d %H:%M")


@pytest.mark.parametrize("key", ["time_zone", "column"])
async def test_the_time_is_asked_for_in_the_zone_in_which_its_column_is_written(key: str) -> None:
    asked = list[str]()
    zone: dict[str, Any] = {"time_zone": "America/New_York"}
    rule = Rule(field="at", **(zone if key == "column" else {}))

    def answer(query: Mapping[str, str]) -> Any:
        asked.append(query["after"])
        return [{"id": 1, "at": "2026-03-30 08:00:00"}]

    more = {"parameters": {"after": "{since}"}, "since": SINCE_AT, "columns": {"opened_at": rule}}
    await read(api(answer), options(**more, **(zone if key == "time_zone" else {})))

    # New York is hours behind: the same words in UTC would ask for later ones.
    assert asked == [f"{SINCE - timedelta(hours=5):%Y-%m-%d %H:%M}"]


async def test_the_check_is_not_content_where_no_time_can_be_read() -> None:
    app = api(lambda _: [{"id": 1, "at": "soon"}])
    more = {"parameters": {"after": "{since}"}, "since": Since(column="opened_at")}
    found = await findings(app, options(**more))

    assert [(each.what, each.text) for each in found] == [
        ("since", "no item of the first page has a readable opened_at, so nobody knows whether the API heeds it")
    ]


async def test_the_check_shows_the_time_that_the_api_refuses() -> None:
    app = api(lambda _: web.json_response({"fault": "epoch only"}, status=400))
    more = {"parameters": {"after": "{since}"}, "since": Since(column="opened_at")}
    found = await findings(app, options(**more))

    assert found[0].text.endswith(f"{{since}} was sent as {SINCE:%Y-%m-%dT%H:%M:%SZ}: is since.format right?")


@pytest.mark.parametrize(
    ("key", "others"),
    [
        ("endpoint", {"endpoint": "/after/{since}"}),
        ("headers", {"headers": {"X-After": "{since}"}}),
        ("columns.id.value", {"columns": {"id": Rule(value="a")}}),
        ("columns.id.default", {"columns": {"id": Rule(field="a", default="none")}}),
        ("columns.id.otherwise", {"columns": {"id": Rule(field="a", map={"x": "y"}, otherwise="z")}}),
    ],
)
def test_what_would_ask_for_nothing_or_keep_one_of_many_is_a_mistake(key: str, others: Mapping[str, Any]) -> None:
    assert [".".join(keys) for keys, _ in options(**others).faults()] == [key]
