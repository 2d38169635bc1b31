"""The page and the command that explain a figure, of the running program: what they show, and to whom."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, HttpVersion10
from yarl import URL

from exporter.app import App, ServeOptions
from exporter.catalogue.kpi import catalogue
from exporter.config import read_config
from exporter.server.page import prose
from tests.deadline import seconds
from tests.program import Program, command, running, value
from tests.test_explain import BOOKINGS

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """The program on bookings that began an hour ago; the last test stops it."""
    folder = tmp_path_factory.mktemp("site")
    rows = [{**row, "starts_at": now_ish(), "id": f"<{row['id']}>"} for row in BOOKINGS["booking"]]
    (folder / "bookings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "outcome.yaml").write_text(
        "store: {path: store.duckdb}\nsources:\n  - {name: meetings, type: files, record: booking, path: '*.jsonl'}\n"
    )
    async with running(folder / "outcome.yaml") as program:
        await program.until(lambda samples: value(samples, "outcome_no_show_ratio") is not None)
        yield program


def now_ish() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


async def test_what_stands_between_backticks_is_code_and_nothing_else_of_a_text_is_markup() -> None:
    assert prose("<b> of a `week` & `more") == "&lt;b&gt; of a <code>week</code> &amp; `more"


async def test_the_page_shows_the_records_and_leads_on(site: Program) -> None:
    page = await site.get("/explain?kpi=no_show_ratio&window=7d")
    index, kpis = await site.get("/"), await site.get("/kpis")

    assert "40 of 80 bookings in the last 7d: 50.0%." in page
    assert 'href="https://calendar.example/0"' in page
    assert "page 1 of 3" in page
    assert "&lt;b000&gt;" in page
    assert "corp.example" not in page
    assert 'href="./kpis"' in index
    assert 'href="./explain?kpi=no_show_ratio"' in kpis
    assert all(name in kpis for name in catalogue()["no_show_ratio"].series)


@pytest.mark.parametrize(
    "header",
    [
        *("Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "x-forwarded-host: a.example", "X-Real-IP: ::1"),
        *("Via: 1.1 proxy", "X-Forwarded-Proto: https", "X-Forwarded-For: ", "CF-Connecting-IP: 192.0.2.1"),
    ],
)
async def test_without_users_what_came_through_a_proxy_gets_no_records_and_words_on_what_to_do(
    site: Program, header: str
) -> None:
    name, _, value = header.partition(": ")
    asked = f"{site.url}/explain?kpi=no_show_ratio"
    async with ClientSession() as http, http.get(asked, headers={name: value}) as response:
        status, told = response.status, await response.text()

    assert status == 403
    assert "Behind a proxy, records are shown only to users with a password: configure basic_auth_users" in told


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("at=0001-01-01T00:00:00%2B14:00", "at: write a time"),
        ("at=9999-12-31T23:59:59-14:00", "at: write a time"),
        ("at=0002-01-01T00:00:00Z", "at: write a time"),
        ("at=2199-12-31T23:59:59Z", "is in the future"),
        ("page=" + "9" * 5000, "is not a number from 1 to"),
        ("page=%D9%A3", "is not a number from 1 to"),
        ("team=a&team=b", "team: give this parameter once"),
        ("page=-1", "is not a number from 1 to"),
        ("kpi=%ff%00", "is not configured"),
        ("window=%ed%a0%80", "is not configured"),
    ],
)
async def test_what_cannot_be_meant_is_answered_with_400(site: Program, asked: str, said: str) -> None:
    address = URL(f"{site.url}/explain?{'' if 'kpi' in asked else 'kpi=no_show_ratio&'}{asked}", encoded=True)
    async with ClientSession() as http, http.get(address) as response:
        status, told = response.status, await response.text()

    assert status == 400
    assert said in told


async def fetched(site: Program, path: str, **headers: str) -> tuple[int, str, str]:
    """(status, Content-Disposition, text)."""
    async with ClientSession() as http, http.get(f"{site.url}{path}", headers=headers) as response:
        return response.status, response.headers.get("Content-Disposition", ""), await response.text()


async def test_the_page_draws_twelve_weeks_up_to_the_published_value(site: Program) -> None:
    async with asyncio.timeout(seconds(30)):
        while "<svg class=" not in (page := await site.get("/explain?kpi=no_show_ratio&window=7d")):
            assert 'are being computed. <a href="">Load again</a>' in page
    [answer] = [json.loads((await fetched(site, "/api/v1/explain?kpi=no_show_ratio&window=7d"))[2])]

    assert [point["value"] for point in answer["history"]] == [None] * 12 + [0.5]
    assert answer["history"][-1]["at"] == answer["at"]
    assert '<circle class="last"' in page


async def test_the_api_gives_all_that_is_documented_under_the_rules_of_the_page(site: Program) -> None:
    path = "/api/v1/explain?kpi=no_show_ratio&window=7d&size=3"
    status, _, text = await fetched(site, path)
    chosen_twice, *_ = await fetched(site, f"{path}&window=7d&team=.%2B&team=")
    refused, _, reason = await fetched(site, path, **{"X-Forwarded-For": "192.0.2.1"})
    wrong, _, why = await fetched(site, "/api/v1/explain?kpi=no_show_rate")
    answer = json.loads(text)
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "exporter/explain/README.md").read_text(), re.M)

    assert (status, chosen_twice) == (200, 200)
    assert sorted(answer) == sorted({*documented} - {"parts"})
    assert (answer["numbers"]["numerator"], len(answer["records"]), answer["pages"]) == (40, 3, 40)
    assert "corp.example" not in text
    assert (refused, list(json.loads(reason))) == (403, ["error"])
    assert (wrong, "'no_show_rate' is not configured" in json.loads(why)["error"]) == (400, True)


async def test_the_records_are_a_file_where_a_format_is_asked_for(site: Program) -> None:
    status, name, text = await fetched(site, "/explain?kpi=no_show_ratio&window=7d&counted=numerator&format=csv")
    _, other_name, other = await fetched(site, "/explain?kpi=no_show_ratio&window=7d&format=json")

    assert status == 200
    assert re.fullmatch(r'attachment; filename="no_show_ratio-7d-\d{4}-\d\d-\d\d\.csv"', name)
    assert (len(text.splitlines()), text.splitlines()[0].split(",")[:4]) == (41, ["counted", "source", "id", "url"])
    assert other_name.endswith('.json"')
    assert len(json.loads(other)["records"]) == 120


async def test_a_team_that_is_nowhere_is_answered_with_links_to_those_there_are(site: Program) -> None:
    status, _, page = await fetched(site, "/explain?kpi=no_show_ratio&window=7d&team=nobody")
    unknown, _, other = await fetched(site, "/explain?kpi=no_show_rate")

    assert status == 400
    assert 'href="./explain?kpi=no_show_ratio&amp;window=7d&amp;team=it"' in page
    assert (unknown, 'href="./explain?kpi=no_show_ratio"' in other) == (400, True)


async def test_without_users_http_1_0_gets_no_records_because_proxies_speak_it(site: Program) -> None:
    asked = f"{site.url}/explain?kpi=no_show_ratio"
    async with ClientSession(version=HttpVersion10) as http, http.get(asked) as response:
        status = response.status

    assert status == 403


async def test_a_foreign_name_for_this_address_gets_no_records(site: Program) -> None:
    async with ClientSession() as http:
        asked = http.get(f"{site.url}/explain?kpi=no_show_ratio", headers={"Host": "evil.example"})
        async with asked as response:
            assert (response.status, "loopback" in await response.text()) == (403, True)


async def test_the_command_gets_from_the_running_program_what_it_gets_from_the_store(site: Program) -> None:
    arguments = ("explain", "no_show_ratio", "team=it", "--csv")

    running_out = await command(*arguments, folder=site.folder)
    await site.stopped()
    rest_out = await command(*arguments, folder=site.folder)

    assert running_out[0] == 0
    assert len(running_out[1].splitlines()) == 61
    assert running_out == rest_out


async def test_pages_say_that_the_last_evaluation_failed_and_of_when_their_values_are(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    path = tmp_path / "outcome.yaml"
    path.write_text(
        "store: {path: store.duckdb}\nsources:\n  - {name: m, type: files, record: booking, path: '*.jsonl'}\n"
    )
    ready, times = asyncio.Event(), [datetime(2026, 3, 31, 9, 30, tzinfo=UTC)]

    async def is_ready(_app: App) -> None:
        ready.set()

    app = App(path, read_config(path), ServeOptions(addresses=["127.0.0.1:0"]), clock=lambda: times[-1])
    running_app = asyncio.create_task(app.run(is_ready))
    await asyncio.wait_for(ready.wait(), seconds(60))
    times.append(datetime(1, 1, 2, tzinfo=UTC))  # no window reaches back from there
    await app.reload()  # evaluates at once
    async with asyncio.timeout(seconds(20)), ClientSession(app.urls[0]) as http:
        page = ""
        while "The last evaluation failed" not in page:
            async with http.get("/") as response:
                page = await response.text()
        async with http.get("/kpis") as response:
            kpis = await response.text()
    app.stop()
    await running_app

    assert "The last evaluation failed, see the log; values are of 2026-03-31 09:30 UTC." in page
    assert "The last evaluation failed" in kpis
