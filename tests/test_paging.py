"""Lists in pages, over real HTTP on loopback: each cut as its platform cuts it."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.answer import Answer
from exporter.collect.http import BrokenOff, Client, HttpSettings, NotUnderstood
from exporter.collect.paging import by_key, by_link, by_number, by_offset, by_token, windows

AT = datetime(2026, 3, 31, tzinfo=UTC)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, **more: Any) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        settings = HttpSettings(**{"url": str(server.make_url("")).rstrip("/"), "retry_wait_seconds": 0.001, **more})
        async with Client(settings, at=AT, since=AT - timedelta(days=90)) as client:
            yield client


async def all_of(pages: AsyncIterator[Answer]) -> list[Any]:
    return [item async for page in pages for item in page.items]


# By link


async def by_header(request: web.Request) -> web.Response:
    """GitHub: a bare list, the next page in the header Link."""
    page = int(request.query.get("page", 1))
    links = [f'<{request.url.update_query(page=page + 1)}>; rel="next"'] if page < 3 else []
    links.append(f'<{request.url.update_query(page=3)}>; rel="last"')
    return web.json_response([f"{request.query['state']}-{page}"], headers={"Link": ", ".join(links)})


async def in_body(request: web.Request) -> web.Response:
    """AWX: a link without a host."""
    page = int(request.query.get("page", 1))
    following = f"/api/v2/jobs/?state={request.query['state']}&page={page + 1}" if page < 3 else None
    return web.json_response({"next": following, "results": [f"{request.query['state']}-{page}"]})


async def test_pages_follow_the_header_link() -> None:
    async with served(by_header) as client:
        assert await all_of(by_link(client, "/runs", {"state": "a"})) == ["a-1", "a-2", "a-3"]


async def test_pages_follow_a_link_in_the_answer_that_names_no_host() -> None:
    async with served(in_body) as client:
        pages = by_link(client, "/api/v2/jobs/", {"state": "a"}, items="results", next_in="next")

        assert await all_of(pages) == ["a-1", "a-2", "a-3"]


async def test_a_link_that_repeats_is_not_followed_for_ever() -> None:
    numbers = iter(range(1000))

    async def stuck(request: web.Request) -> web.Response:
        return web.json_response([next(numbers)], headers={"Link": f'<{request.url}>; rel="next"'})

    async with served(stuck) as client:
        with pytest.raises(NotUnderstood, match="repeats"):
            await all_of(by_link(client, "/runs"))


# By number


async def counted(request: web.Request) -> web.Response:
    """Three pages, then empty ones; the body says which was asked for."""
    page = int(request.query["p"])
    return web.json_response({"rows": [[1, 2], [3], [4]][page] if page < 3 else [], "of": 3, "page": page})


async def test_pages_by_number_end_with_an_empty_one_or_where_the_platform_says_so() -> None:
    asked: dict[str, Any] = {"items": lambda answer: answer.body["rows"], "number_as": "p", "first": 0}
    async with served(counted) as client:
        to_the_end = [answer async for answer in by_number(client, "/rows", **asked)]
        told = [
            each async for each in by_number(client, "/rows", **asked, last=lambda answer: answer.body["page"] == 2)
        ]

    assert [item for answer in to_the_end for item in answer.items] == [1, 2, 3, 4]
    assert (len(to_the_end), len(told)) == (4, 3)


# By token


async def export(request: web.Request) -> web.Response:
    """Zendesk: the cursor stays when all is told, and an empty page need not be the last."""
    page = int(request.query.get("cursor", 0))
    tickets = [[1, 2], [], [3]][page]
    return web.json_response(
        {"tickets": tickets, "meta": {"after_cursor": str(min(page + 1, 2))}, "end_of_stream": page == 2}
    )


async def test_a_token_deep_in_the_answer_is_followed_until_the_platform_says_that_it_was_the_last() -> None:
    async with served(export) as client:
        pages = by_token(
            client,
            "/incremental/tickets/cursor",
            {"start_time": 1},
            items="tickets",
            next_in="meta.after_cursor",
            next_as="cursor",
            last=lambda answer: bool(answer.find("end_of_stream")),
        )

        assert await all_of(pages) == [1, 2, 3]


async def test_a_token_that_repeats_is_not_followed_for_ever_whatever_comes_with_it() -> None:
    numbers = iter(range(1000))

    async def stuck(_request: web.Request) -> web.Response:
        return web.json_response({"tickets": [next(numbers)], "after": "c1"})

    async with served(stuck) as client:
        with pytest.raises(NotUnderstood, match="the page token repeats"):
            await all_of(by_token(client, "/export", items="tickets", next_in="after", next_as="cursor"))

    assert next(numbers) == 2


# By offset


async def test_pages_by_offset_end_where_the_platform_says_so_and_not_where_one_is_short() -> None:
    async def clamped(request: web.Request) -> web.Response:
        """PagerDuty: a limit that is too high is clamped in silence; `more` says how it stands."""
        offset, limit = int(request.query["offset"]), min(int(request.query["limit"]), 3)
        return web.json_response({"incidents": [*range(8)][offset : offset + limit], "more": offset + limit < 8})

    async with served(clamped) as client:
        pages = by_offset(
            client, "/incidents", items="incidents", size=100, last=lambda answer: not answer.find("more")
        )

        assert await all_of(pages) == [*range(8)]


async def test_a_page_of_items_that_may_not_be_seen_is_not_the_end() -> None:
    async def guarded(request: web.Request) -> web.Response:
        """ServiceNow: the offset counts rows that are then left out."""
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        rows = [number for number in range(offset, min(offset + limit, 9)) if not 3 <= number < 6]
        return web.json_response(rows, headers={"X-Total-Count": "9", "X-Offset": str(offset + limit)})

    async with served(guarded) as client:
        pages = by_offset(
            client,
            "/incident",
            size=3,
            last=lambda answer: int(answer.headers["X-Offset"]) >= int(answer.headers["X-Total-Count"]),
        )

        assert await all_of(pages) == [0, 1, 2, 6, 7, 8]


# A smaller page


async def too_slow(request: web.Request) -> web.Response:
    """ServiceNow: an answer that takes too long breaks off in the middle, with status 200."""
    offset, limit = int(request.query["offset"]), int(request.query["limit"])
    if limit > 2:
        return web.Response(text='{"result":[{"id": 1},],"error":{"message":"Transaction cancelled"}')
    return web.json_response({"result": [*range(7)][offset : offset + limit]})


async def test_a_page_that_breaks_off_is_asked_for_again_with_fewer_items() -> None:
    async with served(too_slow) as client:
        assert await all_of(by_offset(client, "/incident", items="result", size=10)) == [*range(7)]


async def test_a_page_that_is_too_large_is_asked_for_again_with_fewer_items() -> None:
    async def long_items(request: web.Request) -> web.Response:
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        return web.json_response([*range(1000, 1100)][offset : offset + limit])

    async with served(long_items, max_response_bytes=200) as client:
        assert await all_of(by_offset(client, "/incident", size=100)) == [*range(1000, 1100)]


async def test_a_page_of_one_item_that_breaks_off_is_not_understood() -> None:
    async def broken(_request: web.Request) -> web.Response:
        return web.Response(text='{"result":[')

    async with served(broken) as client:
        with pytest.raises(BrokenOff):
            await all_of(by_offset(client, "/incident", items="result", size=8))


# By key


def table(times: list[int]) -> Handler:
    """Items in order of a time, from a place on: `from`, `offset` and `limit`."""

    async def answer(request: web.Request) -> web.Response:
        place, offset, limit = (int(request.query[name]) for name in ("from", "offset", "limit"))
        newest = "newest" in request.query
        rows = [(at, number) for number, at in enumerate(times) if (at <= place if newest else at >= place)]
        found = [{"id": f"i{number}", "at": at} for at, number in sorted(rows, reverse=newest)]
        return web.json_response(found[offset : offset + limit])

    return answer


@pytest.mark.parametrize(
    "times",
    [
        [],
        [1],
        [1, 2, 3, 4, 5, 6, 7],
        [1, 1, 1, 2, 2, 2, 2, 3],
        [5] * 10,
        [1, 2, 2, 2, 2, 2, 2, 2, 3],
        [1, 2, 3, 3, 4, 4, 4, 5, 5, 5],
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 50])
@pytest.mark.parametrize("newest", [False, True])
async def test_equal_times_at_the_border_of_a_page_lose_no_item(times: list[int], size: int, newest: bool) -> None:
    async with served(table(times)) as client:

        def ask(place: int | None, offset: int, size: int) -> Awaitable[Answer]:
            order = {"newest": 1} if newest else {}
            return client.ask("/table", {"from": place or 0, "offset": offset, "limit": size, **order})

        found = await all_of(
            by_key(client, ask, key=lambda i: i["at"], begin=9 if newest else 1, size=size, newest_first=newest)
        )

    assert {item["id"] for item in found} == {f"i{number}" for number in range(len(times))}
    assert [item["at"] for item in found] == sorted((item["at"] for item in found), reverse=newest)


async def test_items_that_leave_the_list_meanwhile_hide_no_others() -> None:
    times, asked = [1, 2, 3, 4, 5, 6], 0

    async def shrinking(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        place, offset, limit = (int(request.query[name]) for name in ("from", "offset", "limit"))
        rows = [{"at": at} for at in times if at >= place and not (asked > 1 and at < 3)]
        return web.json_response(rows[offset : offset + limit])

    async with served(shrinking) as client:
        pages = by_key(
            client,
            lambda place, offset, size: client.ask("/table", {"from": place or 0, "offset": offset, "limit": size}),
            key=lambda item: item["at"],
            begin=0,
            size=2,
        )

        assert {item["at"] for item in await all_of(pages)} == set(times)


async def test_a_list_in_another_order_than_asked_for_is_not_understood() -> None:
    async def shuffled(_request: web.Request) -> web.Response:
        return web.json_response([{"at": 3}, {"at": 2}])

    async with served(shuffled) as client:
        pages = by_key(client, lambda *_: client.ask("/table"), key=lambda item: item["at"], begin=0, size=2)
        with pytest.raises(NotUnderstood, match="not in the order asked for"):
            await all_of(pages)


# Windows


class Walled:
    """A platform that shows no more than so many items of one question, and refuses to be asked for those behind."""

    def __init__(self, instants: list[datetime], wall: int, longest: timedelta = timedelta(days=180)) -> None:
        self.instants, self.wall, self.longest, self.asked = instants, wall, longest, 0

    async def answer(self, request: web.Request) -> web.Response:
        begin, end = (datetime.fromisoformat(request.query[name]) for name in ("since", "until"))
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        self.asked += 1
        if offset + limit > self.wall or end - begin > self.longest:
            return web.json_response({"error": {"code": 2002}}, status=400)
        found = [n for n, at in enumerate(self.instants) if begin <= at < end]
        return web.json_response({"incidents": found[offset : offset + limit], "total": len(found)})


def asking(client: Client, size: int) -> Callable[[datetime, datetime], AsyncGenerator[Answer]]:
    def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
        between = {"since": begin.isoformat(), "until": end.isoformat()}
        return by_offset(client, "/incidents", between, items="incidents", size=size)

    return ask


BEGIN = AT - timedelta(days=30)


@pytest.mark.parametrize("total", [None, lambda answer: answer.find("total")])
async def test_windows_are_halved_below_the_wall_of_a_list(total: Callable[[Answer], Any] | None) -> None:
    burst = [BEGIN + timedelta(days=3, seconds=n) for n in range(60)]
    quiet = [BEGIN + timedelta(hours=5 * n) for n in range(100)]
    platform = Walled([*burst, *quiet], wall=20)
    async with served(platform.answer) as client:
        found = await all_of(windows(client, BEGIN, AT, asking(client, 10), 20, total=total))
        left_out = client.left_out()

    assert set(found) == set(range(160))
    assert left_out == []
    if total:  # what is told beforehand is not read twice
        assert max(Counter(found).values()) == 1


async def test_windows_are_no_longer_than_the_platform_allows() -> None:
    platform = Walled([BEGIN + timedelta(days=n) for n in range(30)], wall=100, longest=timedelta(days=7))
    async with served(platform.answer) as client:
        found = await all_of(windows(client, BEGIN, AT, asking(client, 10), 100, longest=timedelta(days=7)))

    assert found == [*range(30)]


async def test_more_in_one_second_than_a_list_shows_is_left_out_and_told_of() -> None:
    platform = Walled([BEGIN + timedelta(days=1)] * 50, wall=20)
    async with served(platform.answer) as client:
        found = await all_of(windows(client, BEGIN, AT, asking(client, 10), 20))
        (left_out,) = client.left_out()

    assert set(found) == set(range(20))
    assert left_out.whole
    assert left_out.faults[0].text == "the platform shows no more than 20 items of one second"
