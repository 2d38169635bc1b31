"""The pages in a real Chromium: the first screen, phones, keyboards, with and without the script, accessibility."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from exporter.app import App, ServeOptions
from exporter.config import read_config
from exporter.runtime import once, open_store
from tests import deadline
from tests.browser import AXE, Tab, browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT = datetime(2026, 3, 25, 15, 30, tzinfo=UTC)
CONFIG = """\
store: {path: store.duckdb}
windows: [1d, 7d]
labels: {run: [team, workflow], request: [team]}
kpis:
  only: [completion_ratio, time_saved_seconds, deflection_ratio, requests, requests_per_user, mttr_seconds]
  completion_ratio: {target: 0.97, business_owner: Ada}
workflows:
  Intake: {manual_time: [10m], manual_origin: time study}
sources:
  - {name: flows, type: files, record: run, path: runs.jsonl}
  - {name: desk, type: files, record: request, path: requests.jsonl}
  - {name: calendar, type: calcom, url: "http://127.0.0.1:9", token_file: key, interval: 1h}
"""
PAGES = (
    "/",
    "/kpis",
    "/kpis?team=sales-us&q=rate",
    "/explain?kpi=completion_ratio&window=7d&team=sales-us",
    "/explain?kpi=requests_per_user",
    "/report?period=2026-W13&for=operations",
    "/report?period=year",
    "/kpis?team=nobody",
    "/nothing/here",
)
SHOWN = "[...document.querySelectorAll('.kpi')].filter((each) => each.checkVisibility()).map((each) => each.id)"


def written(folder: Path) -> Path:
    """A config with three sources: one team whose runs fail, requests with a row that cannot be read, no platform."""
    runs, requests = [], []
    for i in range(120):
        at = (AT - timedelta(hours=i)).isoformat()
        failed = bool(i % 2)
        team = "sales-us" if i % 2 else "finance"
        runs.append({"id": f"r{i}", "workflow": "Intake", "team": team, "status": "failed" if failed else "succeeded"})
        runs[-1] |= {"started_at": at, "finished_at": at}
        requests.append({"id": f"q{i}", "team": team, "opened_at": at, "resolved_at": at, "outcome": "resolved"})
    requests[3]["outcome"] = "<b>lost</b>"
    for name, rows in (("runs", runs), ("requests", requests)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "key").write_text("secret")
    (folder / "key").chmod(0o600)
    (folder / "outcome.yaml").write_text(CONFIG)
    return folder / "outcome.yaml"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of the running exporter."""
    path = written(tmp_path_factory.mktemp("site"))
    config, ready = read_config(path), asyncio.Event()

    async def is_ready(_app: App) -> None:
        ready.set()

    with open_store(config) as store:
        await once(config, store, lambda: AT, at=AT, polls=True)
    app = App(path, config, ServeOptions(addresses=["127.0.0.1:0"]), clock=lambda: AT)
    running = asyncio.create_task(app.run(is_ready))
    await asyncio.wait_for(ready.wait(), deadline.seconds(60))
    async with asyncio.timeout(deadline.seconds(20)), ClientSession(app.urls[0]) as http:
        page = ""
        while "cannot be reached" not in page:
            async with http.get("/") as response:
                page = await response.text()
    yield app.urls[0].rstrip("/")
    app.stop()
    await running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tab]:
    async with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


async def test_the_first_screen_says_whether_it_pays_off_what_is_wrong_and_which_source_fails(
    tab: Tab, site: str
) -> None:
    await tab.go(f"{site}/")
    seen = await tab.value(
        "[...document.querySelectorAll('.verdict, .tile, .beyond li, .sources tr')]"
        ".filter((each) => each.getBoundingClientRect().bottom <= 768).map((each) => each.innerText).join('\\n')"
    )

    assert "of team sales-us" in seen
    assert "Completion rate" in seen
    assert "target 97.0%" in seen
    assert "person-days" in seen
    assert "Completion rate, sales-us: 0.0%" in seen
    assert "The platform cannot be reached" in seen
    assert "next try at 15:30 UTC" in seen
    assert "119 of 120 rows read" in seen


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_no_serious_finding_in_light_or_dark_and_fits_a_phone(tab: Tab, site: str, path: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make test` installs it where there is npm")
    tab.complaints.clear()
    found = []
    for dark, rules in ((False, "{}"), (True, "{runOnly: ['color-contrast']}")):
        await tab.go(site + path, dark=dark)
        await tab.ask("Runtime.evaluate", expression=AXE.read_text())
        found += await tab.value(
            f"axe.run(document, {rules}).then((all) => all.violations.filter((each) => "
            "['serious', 'critical'].includes(each.impact)).map((each) => each.id + ': ' + each.nodes[0].html))"
        )
    await tab.go(site + path, width=390, height=844)
    wider = await tab.value("document.documentElement.scrollWidth - window.innerWidth")

    assert (found, tab.complaints, max(0, wider)) == ([], [], 0)


async def test_the_search_narrows_while_one_types_and_the_form_does_the_same_without_the_script(
    tab: Tab, site: str
) -> None:
    await tab.go(f"{site}/kpis")
    every = await tab.value(SHOWN)
    await tab.press("/")
    await tab.type("to RESTORE")
    typed, said = await tab.value(SHOWN), await tab.value("document.querySelector('[data-count]').innerText")
    address = await tab.value("location.search")
    await tab.scripts(on=False)
    await tab.go(f"{site}/kpis{address}")
    await tab.scripts(on=True)
    without = await tab.value(SHOWN)

    assert len(every) > 3
    assert "mttr_seconds" not in every  # no source gives incidents: it is behind "show"
    assert (typed, without) == (["mttr_seconds"], ["mttr_seconds"])
    assert said.startswith("1 of ")


async def test_the_content_is_one_key_away(tab: Tab, site: str) -> None:
    await tab.go(f"{site}/kpis")
    await tab.press("Tab")
    await tab.press("Enter")

    assert await tab.value("[document.activeElement.id, location.hash]") == ["main", "#main"]


async def test_a_team_shows_its_own_values_and_an_unknown_one_those_there_are(tab: Tab, site: str) -> None:
    await tab.go(f"{site}/kpis?team=finance")
    finance = await tab.value("document.getElementById('completion_ratio').innerText")
    await tab.go(f"{site}/kpis?team=nobody")
    links = await tab.value("[...document.querySelectorAll('.choices a')].map((each) => each.innerText)")

    assert "100.0% 60 records" in finance
    assert links == ["finance", "sales-us"]
