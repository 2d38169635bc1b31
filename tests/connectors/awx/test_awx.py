"""AWX's own ways: lists by when jobs ended, workflows and what is part of them, approvals, pages, and permissions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from exporter.catalogue.kpi import MIN_COVERAGE
from exporter.collect.auth import Grant, RefreshToken
from exporter.collect.contract import needs
from exporter.collect.http import Auth, AuthFailed, Client, HttpSettings, NotUnderstood
from exporter.connectors import awx as connector
from exporter.connectors.awx import Options, check, poll
from exporter.records import Record, Run, Workflow
from tests.connectors.awx.suite import installation
from tests.connectors.world import AT, SINCE
from tests.fakes.awx import LOST, Awx
from tests.figures import totals

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Poller:
    """Polls one AWX again and again, and stores as the poller does."""

    def __init__(self, awx: Awx, **options: Any) -> None:
        self.awx, self.options = awx, Options(**options)
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.cursor: Any = {}
        self.memory: Any = {}
        self.lacking: dict[str, str] = {}

    async def poll(self, at: datetime = AT, *, pages: int | None = None, auth: Auth | Grant | None = None) -> list[str]:
        """One poll, or so many pages of it; what was asked."""
        self.awx.faults.requests.clear()
        self.awx.asked.clear()
        async with TestServer(self.awx.app()) as server:
            url = str(server.make_url("")).rstrip("/")
            if isinstance(auth, RefreshToken):
                auth = replace(auth, url=url + auth.url)
            http = HttpSettings(url=url + self.awx.path, auth=auth or Auth.bearer(self.awx.token), attempts=1)
            dialect = needs(connector).dialect
            async with Client(http, at=at, since=SINCE, dialect=dialect, memory=self.memory) as client:
                try:
                    await self.store(client, pages)
                finally:
                    self.lacking = client.lacking
        return [request.removeprefix(f"GET {self.awx.path}") for request in self.awx.faults.requests]

    async def store(self, client: Client, pages: int | None) -> None:
        came = 0
        async for page in poll(client, self.options, self.cursor):
            self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
            for key in page.gone:
                self.records.pop(key, None)
            self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            self.memory = client.memory.changes() or self.memory
            came += 1
            if came == pages:
                break

    def run(self, job: int) -> Run:
        found = self.records[Run, str(job)]
        assert isinstance(found, Run)
        return found

    def ids(self, kind: type[Record] = Run) -> set[str]:
        return {key for its, key in self.records if its is kind}


def oauth(url: str, file: Path) -> RefreshToken:
    """An OAuth application of AWX."""
    return RefreshToken(
        url=url, scheme=connector.AUTH, client_id="exporter", secret="s3cret", first="first", named="it", file=file
    )


def shop(**changes: Any) -> tuple[Awx, int, int]:
    """An installation with a template of jobs and one of workflows."""
    awx = Awx(**changes)
    return awx, awx.template("Deploy shop"), awx.template("Onboard user", "workflow_job_template")


async def test_a_job_that_takes_long_is_found_when_it_ends_though_younger_ones_ended_before() -> None:
    awx, deploy, _ = shop()
    long = awx.launch(deploy, AT - 5 * HOUR)
    awx.enter(long, "running", AT - 5 * HOUR)
    poller = Poller(awx)
    await poller.poll()
    for minute in range(1, 400):
        awx.execute(deploy, AT + minute * MINUTE, AT + minute * MINUTE)
    await poller.poll(AT + 400 * MINUTE)
    before = poller.run(long).status
    awx.enter(long, "failed", AT + 401 * MINUTE)
    await poller.poll(AT + 402 * MINUTE)

    assert (before, poller.run(long).status) == ("running", "failed")


async def test_a_job_that_failed_and_one_that_was_cancelled_are_told_apart_though_both_have_failed() -> None:
    awx, deploy, _ = shop()
    failed = awx.execute(deploy, AT - HOUR, AT - MINUTE, "failed")
    cancelled = awx.execute(deploy, AT - HOUR, AT - MINUTE, "canceled")
    unstarted = awx.launch(deploy, AT - HOUR)
    awx.enter(unstarted, "canceled", AT - MINUTE)
    lost = awx.execute(deploy, AT - HOUR, AT - MINUTE, "failed", job_explanation=LOST)
    poller = Poller(awx)
    await poller.poll()

    assert all(row["failed"] for row in awx.jobs.values())
    assert [poller.run(key).status for key in (failed, cancelled, unstarted, lost)] == [
        "failed",
        "cancelled",
        "cancelled",
        "abandoned",
    ]


async def test_what_a_relaunch_repeats_is_not_told_so_there_is_no_rate_of_retries(tmp_path: Path) -> None:
    awx, deploy, _ = shop()
    awx.execute(deploy, AT - HOUR, AT - 2 * MINUTE, "failed")
    awx.enter(awx.launch(deploy, AT - MINUTE, "relaunch"), "successful", AT)
    poller = Poller(awx)
    await poller.poll()
    kpis = {"completion_ratio", "retry_ratio", "first_attempt_success_ratio"}

    assert totals(tmp_path, [*poller.records.values()], AT, kpis, MIN_COVERAGE) == {"completion_ratio": (1, 2)}


@pytest.mark.parametrize(("count", "runs"), [("workflows", {"whole", "alone"}), ("jobs", {"part", "slice", "alone"})])
async def test_a_workflow_counts_once_or_its_jobs_do(count: str, runs: set[str]) -> None:
    awx, deploy, onboard = shop()
    ids = {"whole": awx.execute(onboard, AT - HOUR, AT - MINUTE), "alone": awx.execute(deploy, AT - HOUR, AT - MINUTE)}
    ids["part"] = awx.launch(deploy, AT - HOUR, within=ids["whole"])
    ids["sliced"] = awx.launch(deploy, AT - HOUR, within=ids["whole"])
    awx.jobs[ids["sliced"]] |= {"type": "workflow_job", "is_sliced_job": True}
    ids["slice"] = awx.launch(deploy, AT - HOUR, within=ids["sliced"])
    for name in ("part", "sliced", "slice"):
        awx.enter(ids[name], "successful", AT - 2 * MINUTE)
    poller = Poller(awx, count=count)
    await poller.poll()

    assert {str(ids[name]) for name in runs} == poller.ids()


async def test_what_a_person_decided_is_known_when_the_workflow_ends_long_after() -> None:
    awx, _, onboard = shop()
    whole = awx.launch(onboard, AT - HOUR)
    awx.enter(whole, "running", AT - HOUR)
    approval = awx.approve(whole, AT - HOUR)
    poller = Poller(awx)
    await poller.poll()
    waits = poller.run(whole)
    awx.decide(approval, AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)
    goes_on = poller.run(whole)
    for hour in (1, 10, 49):
        awx.execute(onboard, AT + hour * HOUR, AT + hour * HOUR)
        await poller.poll(AT + hour * HOUR)
    awx.enter(whole, "successful", AT + 50 * HOUR)
    await poller.poll(AT + 51 * HOUR)
    at_its_end, remembered = poller.run(whole), dict(poller.cursor["decided"])
    awx.execute(onboard, AT + 60 * HOUR, AT + 60 * HOUR)
    await poller.poll(AT + 60 * HOUR)

    assert (waits.status, waits.started_at, waits.human_override) == ("waiting", None, False)
    assert (goes_on.status, goes_on.started_at, goes_on.human_override) == ("running", AT + MINUTE, True)
    assert (at_its_end.status, at_its_end.started_at, at_its_end.human_override) == ("succeeded", AT - HOUR, True)
    assert poller.run(whole).human_override
    assert (list(remembered), poller.cursor["decided"], poller.cursor["resumed"]) == ([str(whole)], {}, {})


@pytest.mark.parametrize("by", ["bo", ""])
async def test_what_goes_on_after_a_long_wait_is_not_abandoned_while_it_runs(by: str, tmp_path: Path) -> None:
    awx, _, onboard = shop()
    whole = awx.launch(onboard, AT - 5 * DAY)
    awx.enter(whole, "running", AT - 5 * DAY)
    approval = awx.approve(awx.launch(onboard, AT - 5 * DAY, within=whole), AT - 5 * DAY)
    poller, kpis = Poller(awx), {"completion_ratio"}
    await poller.poll()
    awx.decide(approval, AT + MINUTE, "successful" if by else "failed", by)
    await poller.poll(AT + 2 * MINUTE)
    await poller.poll(AT + 2 * HOUR)
    running = totals(tmp_path, [*poller.records.values()], AT + 2 * HOUR, kpis)
    stuck = totals(tmp_path, [*poller.records.values()], AT + 25 * HOUR, kpis)
    awx.enter(whole, "successful", AT + 26 * HOUR)
    await poller.poll(AT + 27 * HOUR)

    assert (running, stuck) == ({}, {"completion_ratio": (0, 1)})
    assert totals(tmp_path, [*poller.records.values()], AT + 27 * HOUR, kpis) == {"completion_ratio": (1, 1)}


async def test_a_decision_in_a_workflow_within_a_workflow_is_one_of_the_outermost() -> None:
    awx, _, onboard = shop()
    whole = awx.launch(onboard, AT - HOUR)
    inner = awx.launch(onboard, AT - HOUR, within=whole)
    innermost = awx.launch(onboard, AT - HOUR, within=inner)
    for key in (whole, inner, innermost):
        awx.enter(key, "running", AT - HOUR)
    awx.decide(awx.approve(innermost, AT - HOUR), AT - MINUTE)
    poller = Poller(awx)
    await poller.poll()

    assert poller.ids() == {str(whole)}
    assert poller.run(whole).human_override


@pytest.mark.parametrize(("size", "most", "number"), [(200, 200, 201), (200, 25, 99), (30, 200, 90), (1, 200, 9)])
async def test_no_page_is_passed_over_whatever_the_platform_gives_at_once(size: int, most: int, number: int) -> None:
    awx, deploy, _ = shop(most=most)
    jobs = {str(awx.execute(deploy, AT - HOUR, AT - HOUR + each * SECOND)) for each in range(number)}
    poller = Poller(awx, page_size=size)
    await poller.poll()

    assert jobs == poller.ids()


@pytest.mark.parametrize("most", [30, 200])
@pytest.mark.parametrize("number", [39, 40, 41, 60, 80, 81])
async def test_jobs_that_ended_in_the_same_instant_fill_pages_and_none_is_lost(number: int, most: int) -> None:
    awx, deploy, _ = shop(most=most)
    jobs = {str(awx.execute(deploy, AT - HOUR, AT - MINUTE)) for _ in range(number)}
    poller = Poller(awx, page_size=40)
    await poller.poll()

    assert jobs == poller.ids()


async def test_a_page_that_breaks_off_is_read_in_smaller_ones_to_the_end() -> None:
    awx, deploy, _ = shop()
    jobs = {str(awx.execute(deploy, AT - HOUR, AT - HOUR + number * SECOND)) for number in range(120)}
    poller = Poller(awx, page_size=100)
    awx.faults.coming.extend([None] * 4 + ["half"] * 3)
    await poller.poll()

    assert jobs == poller.ids()


async def test_a_history_takes_a_request_for_each_page_and_a_quiet_poll_three() -> None:
    awx, deploy, _ = shop()
    for number in range(1_990):
        awx.execute(deploy, AT - 50 * DAY, AT - 50 * DAY + number * MINUTE)
    poller = Poller(awx)
    first = await poller.poll()
    quiet = await poller.poll(AT + MINUTE)

    assert len(poller.ids()) == 1_990
    assert first == [
        "/unified_job_templates/",
        "/schedules/",
        "/workflow_approvals/",
        "/unified_jobs/",  # those open
        *["/unified_jobs/"] * 11,  # the last of each page comes again with the next
    ]
    assert quiet == ["/workflow_approvals/", "/unified_jobs/", "/unified_jobs/"]
    assert {query.get("count_disabled") for query in awx.asked} == {"true"}


async def test_a_first_poll_that_dies_goes_on_where_it_was() -> None:
    awx, deploy, _ = shop()
    for number in range(900):
        awx.execute(deploy, AT - 50 * DAY, AT - 50 * DAY + number * HOUR)
    poller = Poller(awx)
    whole = len(await poller.poll())
    poller.records, poller.cursor = {}, {}
    await poller.poll(pages=6)
    rest = await poller.poll()

    assert len(poller.ids()) == 900
    assert len(rest) < whole - 2


async def test_a_job_that_is_in_neither_list_any_more_is_asked_for_by_its_id() -> None:
    awx, deploy, _ = shop()
    job = awx.launch(deploy, AT - HOUR)
    awx.enter(job, "running", AT - HOUR)
    awx.execute(deploy, AT - HOUR, AT - MINUTE)
    poller = Poller(awx)
    await poller.poll()
    awx.enter(job, "successful", AT - 30 * MINUTE)  # by a clock that is slow
    await poller.poll(AT + MINUTE)

    assert poller.run(job).status == "succeeded"
    assert poller.cursor["open"] == []


async def test_what_somebody_deletes_is_deleted_and_what_is_cleaned_up_stays() -> None:
    awx, deploy, _ = shop()
    deleted, cleaned, kept = (awx.execute(deploy, AT - HOUR, AT - n * MINUTE) for n in (30, 20, 10))
    poller = Poller(awx)
    await poller.poll()
    awx.delete(deleted, AT + MINUTE)
    del awx.jobs[cleaned]
    asked = await poller.poll(AT + 2 * HOUR)
    again = await poller.poll(AT + 2 * HOUR + MINUTE)

    assert poller.ids() == {str(cleaned), str(kept)}
    assert "/activity_stream/" in asked
    assert "/activity_stream/" not in again


async def test_without_the_activity_stream_the_rest_is_read_and_that_is_told() -> None:
    awx, deploy, _ = shop()
    awx.execute(deploy, AT - HOUR, AT - MINUTE)
    poller = Poller(awx)
    await poller.poll()
    awx.forbidden = frozenset({"activity_stream"})
    late = awx.execute(deploy, AT + HOUR, AT + HOUR)
    await poller.poll(AT + 2 * HOUR)

    assert str(late) in poller.ids()
    assert list(poller.lacking) == ["activity_stream"]


async def test_templates_are_asked_for_every_hour_and_one_that_is_gone_is_deleted() -> None:
    awx, deploy, onboard = shop()
    poller = Poller(awx)
    await poller.poll()
    before = poller.ids(Workflow)
    del awx.templates[deploy]
    await poller.poll(AT + 59 * MINUTE)
    meanwhile = poller.ids(Workflow)
    await poller.poll(AT + HOUR)

    assert before == meanwhile == {str(deploy), str(onboard)}
    assert poller.ids(Workflow) == {str(onboard)}


@pytest.mark.parametrize(("platform", "token_path"), [(False, "/api/o/token/"), (True, "/o/token/")])
@pytest.mark.parametrize("way", ["token", "basic", "oauth"])
async def test_it_is_read_with_a_token_a_password_or_an_oauth_application(
    platform: bool, token_path: str, way: str, tmp_path: Path
) -> None:
    awx, deploy, _ = shop(platform=platform)
    awx.execute(deploy, AT - HOUR, AT - MINUTE)
    ways: dict[str, Auth | Grant] = {
        "token": Auth.bearer(awx.token),
        "basic": Auth.basic(*awx.password.split(":")),
        "oauth": oauth(token_path, tmp_path / "kept"),
    }
    poller = Poller(awx)
    await poller.poll(auth=ways[way])
    with pytest.raises(AuthFailed):
        await poller.poll(auth=Auth.bearer("another"))

    assert len(poller.ids()) == 1


@pytest.mark.parametrize("path", ["", "/api/controller/v2"])
async def test_an_address_that_is_not_that_of_the_api_is_told_of_with_what_would_be_right(path: str) -> None:
    awx, _, _ = shop()
    async with TestServer(awx.app()) as server:
        settings = HttpSettings(url=str(server.make_url(path)).rstrip("/"), auth=Auth.bearer(awx.token), attempts=1)
        async with Client(settings, at=AT, since=SINCE, dialect=needs(connector).dialect) as client:
            with pytest.raises(NotUnderstood, match="must end with /api/v2, or"):
                _ = [page async for page in poll(client, Options(), {})]


async def found(awx: Awx) -> dict[str, tuple[str, bool]]:
    async with TestServer(awx.app()) as server:
        url = str(server.make_url("")).rstrip("/") + awx.path
        settings = HttpSettings(url=url, auth=Auth.bearer(awx.token), attempts=1)
        async with Client(settings, at=AT, since=SINCE, dialect=needs(connector).dialect) as client:
            findings: Sequence[Any] = await check(client, Options())
    return {each.what: (each.text, each.wrong) for each in findings}


async def test_a_check_says_what_is_read_and_for_how_long_awx_keeps_it() -> None:
    awx = installation()
    awx.schedule(min(awx.templates), extra_data={"days": "120"})
    awx.schedule(min(awx.templates), enabled=False, extra_data={"days": "3"})
    findings = await found(awx)

    assert findings == {
        "version": ("24.6.1", False),
        "user": ("it sees everything", False),
        "unified jobs": ("the first page is read", False),
        "workflow approvals": ("the first page is read", False),
        "unified job templates": ("the first page is read", False),
        "schedules": ("the first page is read", False),
        "history": ("a schedule deletes what is older than 120 days", False),
        "activity stream": ("there is none yet", False),
    }


async def test_a_check_names_the_user_type_where_awx_hides_others_jobs() -> None:
    awx = installation()
    awx.auditor, awx.forbidden = False, frozenset({"workflow_approvals"})
    findings = await found(awx)

    assert findings["user"][1]
    assert "System Auditor" in findings["user"][0]
    assert findings["unified jobs"] == ("there is none yet", False)
    assert findings["workflow approvals"][1]
    assert "System Auditor" in findings["workflow approvals"][0]
