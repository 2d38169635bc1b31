"""UiPath over HTTP: retries under one key, changes that leave no time, shared queues, folders, limits and rights."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer

from exporter.base.errors import AuthFailed, Forbidden, NotUnderstood, RateLimited, StartOver
from exporter.collect.auth import ClientCredentials, Grant
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors import uipath
from exporter.connectors.uipath import Options
from exporter.records import Json, Record, Run, Workflow
from exporter.store import Store
from tests.connectors.uipath.suite import tenant
from tests.connectors.world import AT, SINCE
from tests.fakes.uipath import COLUMNS, ENUMS, PARAMETERS, PATH, SCOPES, TOP, UiPath, text
from tests.figures import stored, totals
from tests.test_truth import document

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SPEC = "uipath-orchestrator.yaml"


@dataclass
class Poller:
    """One tenant and what a poller has stored of it. `lacking` is of the last poll."""

    fake: UiPath
    url: str
    options: Options
    who: Auth | Grant | None = None
    paths: Sequence[str] = ()
    cursor: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Json] = field(default_factory=dict)
    records: dict[tuple[type[Record], str], Record] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)

    def client(self, at: datetime) -> Client:
        who = self.who or uipath.AUTH.fixed("token", self.fake.token)
        settings = HttpSettings(url=self.url, auth=who, attempts=1)
        dialect = needs(uipath).dialect
        return Client(settings, at=at, since=SINCE, dialect=dialect, memory=self.memory, paths=self.paths)

    async def poll(self, at: datetime = AT, *, pages: int | None = None, clock: datetime | None = None) -> list[str]:
        """Polls and stores, or so many pages of it; what was asked. `clock`: theirs, if it is not ours."""
        self.fake.clock = clock or at
        self.fake.asked.clear()
        came = 0
        async with self.client(at) as client:
            async for page in uipath.poll(client, self.options, self.cursor):
                self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                for key in page.gone:
                    del self.records[key]
                self.cursor = json.loads(json.dumps(page.cursor))
                self.memory = client.memory.changes() or self.memory
                came += 1
                if came == pages:
                    break
            self.lacking = client.lacking
        return list(self.fake.asked)

    async def check(self) -> list[Finding]:
        async with self.client(AT) as client:
            return list(await uipath.check(client, self.options))

    def item(self, number: int) -> Run:
        found = self.records[Run, f"item-{number}"]
        assert isinstance(found, Run)
        return found

    @property
    def runs(self) -> set[str]:
        return {key for kind, key in self.records if kind is Run}

    @property
    def workflows(self) -> set[str]:
        return {key for kind, key in self.records if kind is Workflow}


@asynccontextmanager
async def polled(fake: UiPath, *, paths: Sequence[str] = (), **options: Any) -> AsyncIterator[Poller]:
    async with TestServer(fake.app()) as server:
        yield Poller(fake, str(server.make_url(PATH)), Options(**options), paths=paths)


def one_queue() -> tuple[UiPath, int]:
    """A tenant with a folder, a queue and the process that works on it."""
    fake = UiPath()
    folder = fake.folder("Finance")
    return fake, fake.queue("Invoices", folder, ReleaseId=fake.process("Invoice_Bot", folder))


def about(asked: Sequence[str], name: str) -> list[str]:
    return [each for each in asked if each.startswith(f"{name} ")]


async def test_attempts_of_one_key_are_one_run_and_the_row_made_last_decides(tmp_path: Path) -> None:
    """Application exceptions are retried by Orchestrator, business exceptions never; what a person sends again has the
    RetryNumber of the row before."""
    fake, queue = one_queue()
    chained = fake.work(queue, AT - 3 * HOUR, "ApplicationException", retries=2)
    for hours, failed in ((2, "ApplicationException"), (1, "ApplicationException")):
        fake.begin(chained, AT - hours * HOUR)
        chained = fake.end(chained, AT - hours * HOUR + MINUTE, failed, retries=2)
    fake.begin(chained, AT - 50 * MINUTE)
    fake.end(chained, AT - 49 * MINUTE, "ApplicationException", retries=2)
    by_hand = fake.retry_by_hand(chained, AT - 40 * MINUTE)
    fake.begin(by_hand, AT - 39 * MINUTE)
    fake.end(by_hand, AT - 38 * MINUTE)
    fake.work(queue, AT - 30 * MINUTE, "BusinessException", retries=2)
    fake.work(queue, AT - 20 * MINUTE)
    retried = fake.work(queue, AT - 10 * MINUTE, "ApplicationException", retries=2)
    fake.begin(retried, AT - 9 * MINUTE)
    fake.end(retried, AT - 8 * MINUTE)
    async with polled(fake) as source:
        await source.poll()
    found = totals(tmp_path, list(source.records.values()), AT)

    assert len(source.runs) == 8
    assert found["completion_ratio"] == (3, 4)
    assert found["first_attempt_success_ratio"] == (1, 4)
    assert found["business_exception_ratio"] == (1, 4)
    assert found["application_exception_ratio"] == (2, 4)
    assert found["override_ratio"] == (1, 4)
    assert found["retry_ratio"] == (2, 4)


async def test_a_first_poll_is_one_request_a_page_and_a_quiet_one_two_for_each_folder() -> None:
    fake, queue = one_queue()
    for number in range(350):
        fake.work(queue, AT - DAY + number * MINUTE)
    fake.job(1, "Other", AT - DAY)
    async with polled(fake) as source:
        first = await source.poll()
        quiet = await source.poll(AT + 5 * MINUTE)
        hourly = await source.poll(AT + HOUR)

    assert len(source.runs) == 351
    assert (len(about(first, "QueueItems")), len(about(first, "Jobs")), len(first)) == (4, 1, 9)
    assert [each.split()[:2] for each in quiet] == [["QueueItems", "1"], ["Jobs", "1"]]
    assert len(hourly) == 6
    assert len(json.dumps(source.cursor)) < 2_000


async def test_every_request_but_that_for_folders_names_the_folder() -> None:
    async with polled(tenant()) as source:
        asked = await source.poll()

    assert {each.split()[1] for each in asked if not each.startswith("Folders ")} == {"1", "2"}


async def test_a_queue_that_folders_share_is_read_once() -> None:
    async with polled(tenant()) as source:
        asked = await source.poll()
    second = about(asked, "QueueItems")[-1]

    assert second.startswith("QueueItems 2 ")
    assert second.endswith(" and QueueDefinitionId ne 3)")
    assert {record.workflow for record in source.records.values() if isinstance(record, Run)} == {
        "Finance/Invoices", "Finance/Report", "Sales/Quote",
    }  # fmt: skip


async def test_what_changes_without_a_time_is_seen_within_an_hour() -> None:
    fake, queue = one_queue()
    failed = fake.work(queue, AT - 2 * DAY, "BusinessException")
    waiting, lost, again = (fake.item(queue, AT - 2 * DAY) for _ in range(3))
    postponed = fake.item(queue, AT - 40 * DAY)
    for item in (lost, again, postponed):
        fake.begin(item, AT - DAY)
    fake.work(queue, AT - HOUR)
    rows = fake.lists["QueueItems"]
    async with polled(fake) as source:
        await source.poll()
        rows[failed]["ReviewStatus"], rows[waiting]["Status"] = "Verified", "Deleted"
        rows[lost]["Status"], rows[again]["Status"] = "Abandoned", "Retried"
        rows[postponed] |= {"Status": "New", "DeferDate": text(AT + 3 * DAY)}
        await source.poll(AT + 59 * MINUTE)
        before = [source.item(item) for item in (failed, waiting, lost, again, postponed)]
        await source.poll(AT + 60 * MINUTE)
        after = [source.item(item) for item in (failed, waiting, lost, again, postponed)]

    assert [each.status for each in before] == ["failed", "waiting", "running", "running", "running"]
    assert [each.status for each in after] == ["failed", "cancelled", "abandoned", "failed", "waiting"]
    assert (before[0].human_override, after[0].human_override) == (False, True)
    assert after[4].queued_at == AT + 3 * DAY


async def test_an_item_that_is_abandoned_without_a_time_failed_a_day_after_it_was_begun(tmp_path: Path) -> None:
    """Not when it was put into the queue, days before anybody could see that."""
    fake, queue = one_queue()
    lost = fake.item(queue, AT - 3 * DAY)
    fake.begin(lost, AT - 30 * HOUR)
    fake.lists["QueueItems"][lost]["Status"] = "Abandoned"
    async with polled(fake) as source:
        await source.poll()
    with Store.open(tmp_path / "store.duckdb") as store:
        store.write("robots", list(source.records.values()), {})
        found = stored(store, "robots", AT, "1d", ["completion_ratio"])

    assert found == {"completion_ratio": (0, 1)}


async def test_items_and_jobs_are_followed_to_their_end_however_old_they_are() -> None:
    fake, queue = one_queue()
    old, job = fake.item(queue, SINCE - DAY), fake.job(1, "Other", SINCE - DAY, "Suspended")
    ended = fake.work(queue, SINCE - DAY)
    fake.job(1, "Other", SINCE - DAY)
    async with polled(fake) as source:
        await source.poll()
        first = set(source.runs)
        fake.begin(old, AT + MINUTE)
        await source.poll(AT + 2 * MINUTE)
        begun = source.item(old).status
        fake.end(old, AT + 3 * MINUTE)
        fake.lists["Jobs"][job] |= {"State": "Successful", "EndTime": text(AT + 3 * MINUTE)}
        await source.poll(AT + 4 * MINUTE)

    assert first == {f"item-{old}", f"job-{job}"}
    assert begun == "running"
    assert source.item(old).status == "succeeded"
    assert getattr(source.records[Run, f"job-{job}"], "status", None) == "succeeded"
    assert ended in fake.lists["QueueItems"]


@pytest.mark.parametrize("behind", [timedelta(), 30 * MINUTE])
async def test_what_is_written_late_or_by_a_slow_clock_is_not_lost(behind: timedelta) -> None:
    fake, queue = one_queue()
    fake.work(queue, AT - DAY)
    async with polled(fake) as source:
        await source.poll(clock=AT - behind)
        late = fake.work(queue, AT - behind - 4 * MINUTE)
        fake.work(queue, AT - behind + MINUTE)
        await source.poll(AT + 2 * MINUTE, clock=AT + 2 * MINUTE - behind)
        later = fake.work(queue, AT - behind - 2 * MINUTE)
        await source.poll(AT + 3 * MINUTE, clock=AT + 3 * MINUTE - behind)

    assert {f"item-{late}", f"item-{later}"} <= source.runs


async def test_an_item_that_ends_while_pages_are_read_is_not_passed_over() -> None:
    """It was read when it was open; the newest end that is known is later than its own."""
    fake, queue = one_queue()
    first = fake.item(queue, AT - DAY)
    for number in range(9):
        fake.work(queue, AT - HOUR + number * MINUTE)
    async with polled(fake, page_size=4) as source:
        await source.poll(pages=2)  # the workflows and the first page
        fake.begin(first, AT + MINUTE)
        fake.end(first, AT + 2 * MINUTE)
        fake.work(queue, AT + 10 * MINUTE)
        await source.poll(AT + 20 * MINUTE)
        await source.poll(AT + 21 * MINUTE)

    assert source.item(first).status == "succeeded"


async def test_a_tenant_that_was_restored_is_read_anew_and_one_that_forgets_old_rows_is_not() -> None:
    fake, queue = one_queue()
    items = [fake.work(queue, AT - HOUR + number * MINUTE) for number in range(9)]
    async with polled(fake) as source:
        await source.poll()
        known = source.cursor
        for item in items:
            del fake.lists["QueueItems"][item]
        await source.poll(AT + 8 * DAY)  # UiPath deletes what ended long ago
        source.cursor = known
        with pytest.raises(StartOver, match="of the 6 newest queue items read before, 6 are gone"):
            await source.poll(AT + 6 * DAY)


async def test_a_folder_that_is_out_of_reach_costs_no_other() -> None:
    async with polled(tenant()) as source:
        await source.poll()
        source.fake.hidden = {2}
        new = source.fake.work(3, AT + MINUTE)
        await source.poll(AT + 2 * MINUTE)
        lacking, known = dict(source.lacking), source.workflows
        await source.poll(AT + 2 * HOUR)
        source.fake.hidden = {1, 2}
        with pytest.raises(Forbidden, match="assign the application to the folders"):
            await source.poll(AT + 4 * HOUR)

    assert lacking.keys() == {"Sales, queue items", "Sales, jobs"}
    assert "the application is not assigned to this folder" in lacking["Sales, jobs"]
    assert f"item-{new}" in source.runs
    assert source.workflows == known


async def test_what_a_role_does_not_cover_is_named_and_the_rest_is_read() -> None:
    fake = tenant()
    fake.refused = {(1, "QueueDefinitions"), (2, "Releases"), (2, "Jobs")}
    async with polled(fake) as source:
        asked = await source.poll()
        await source.poll(AT + MINUTE)

    assert source.lacking.keys() == {"Finance, queues", "Sales, processes", "Sales, jobs"}
    assert source.workflows == {"queue-3", "process-5"}
    assert [each.split()[1] for each in about(asked, "QueueItems")] == ["2", "2"]  # who works on its items, and those


async def test_items_that_may_not_be_read_tell_nobody_who_works_on_them() -> None:
    fake = tenant()
    fake.refused = {(1, "QueueItems"), (1, "ProcessSchedules")}
    async with polled(fake) as source:
        await source.poll()
    enabled = {key: getattr(record, "enabled", 0) for (kind, key), record in source.records.items() if kind is Workflow}

    assert source.lacking.keys() == {"Finance, queue items", "Finance, triggers"}
    assert enabled == {"queue-3": None, "process-4": None, "process-5": None, "process-7": True}


async def test_more_shared_queues_than_a_question_can_leave_out_are_read_once() -> None:
    fake = UiPath()
    finance, sales = fake.folder("Finance"), fake.folder("Sales")
    process = fake.process("Invoice_Bot", finance)
    queues = [fake.queue(f"Queue {number}", finance, sales, ReleaseId=process) for number in range(55)]
    items = [fake.work(queue, AT - HOUR) for queue in queues]
    async with polled(fake) as source:
        asked = await source.poll()

    assert about(asked, "QueueItems")[-1].count(" ne ") == 50
    assert len(about(asked, "Folders")) == 1
    assert {source.item(item).workflow for item in items} == {f"Finance/Queue {number}" for number in range(55)}


async def test_an_application_that_may_read_nothing_is_refused() -> None:
    fake = tenant()
    fake.refused = {(folder, name) for folder in (1, 2) for name in ("QueueItems", "Jobs", "QueueDefinitions")}
    async with polled(fake) as source:
        with pytest.raises(Forbidden):
            await source.poll()


async def test_processes_and_queues_that_are_gone_are_no_workflows_any_more() -> None:
    fake = tenant()
    async with polled(fake) as source:
        await source.poll()
        first = set(source.workflows)
        del fake.lists["Releases"][5]
        await source.poll(AT + 30 * MINUTE)
        soon = set(source.workflows)
        await source.poll(AT + HOUR)
        later = set(source.workflows)
        fake.refused = {(1, "Releases"), (2, "QueueDefinitions")}
        await source.poll(AT + 2 * HOUR)

    assert first == soon == {"queue-3", "process-5", "process-7"}
    assert later == source.workflows == {"queue-3", "process-7"}


async def test_a_new_queue_is_known_as_soon_as_it_has_an_item() -> None:
    fake = tenant()
    async with polled(fake) as source:
        await source.poll()
        orders = fake.queue("Orders", 2)
        new = fake.work(orders, AT + MINUTE)
        asked = await source.poll(AT + 2 * MINUTE)

    assert source.item(new).workflow == "Sales/Orders"
    assert f"queue-{orders}" in source.workflows
    assert len(about(asked, "Folders")) == 1


async def test_items_of_a_queue_that_nobody_knows_are_asked_about_once() -> None:
    fake, queue = one_queue()
    for number in range(9):
        fake.work(queue, AT - HOUR + number * MINUTE)
    async with polled(fake, page_size=2) as source:
        await source.poll()
        for row in fake.lists["QueueItems"].values():
            row["QueueDefinitionId"] = 99
        asked = await source.poll(AT + MINUTE)

    assert len(about(asked, "Folders")) == 1


async def test_who_works_on_a_queue_is_not_forgotten_when_its_items_are() -> None:
    fake = tenant()
    async with polled(fake) as source:
        await source.poll()
        for row in fake.lists["QueueItems"].values():
            row["ExecutorJobKey"] = None
        fake.job(1, "Invoice_Bot", AT + DAY)
        own = fake.job(1, "Report", AT + DAY)
        asked = await source.poll(AT + DAY)
        soon = await source.poll(AT + DAY + HOUR)

    assert len(about(asked, "QueueItems")) == 3
    assert len(about(soon, "QueueItems")) == 2  # daily is often enough
    assert {record.workflow for record in source.records.values() if isinstance(record, Run)} == {
        "Finance/Invoices", "Finance/Report", "Sales/Quote",
    }  # fmt: skip
    assert f"job-{own}" in source.runs


async def test_what_items_contain_is_asked_for_only_if_the_config_looks_there() -> None:
    found = dict[tuple[str, ...], Any]()
    for paths in ((), ("SpecificContent.country", "queue.Name", "Nothing")):
        async with polled(tenant(), paths=paths) as source, source.client(AT) as client:
            async for page in uipath.poll(client, source.options, {}):
                items = [read.item for read in page.reads if read.record.id.startswith("item-")]
                found[paths] = items[0] if items else found.get(paths)

    assert [("SpecificContent" in item, "Output" in item) for item in found.values()] == [(False, False), (True, False)]


async def test_too_many_requests_are_waited_for_as_long_as_orchestrator_says() -> None:
    fake = tenant()
    fake.allowed = 3
    async with polled(fake, page_size=2) as source:
        with pytest.raises(RateLimited) as caught:
            await source.poll(AT)
        stored = set(source.runs)
        fake.allowed = None
        await source.poll(AT + MINUTE)

    assert caught.value.delay == 60
    assert stored
    assert len(source.runs) == 30


def test_half_of_what_a_tenant_may_ask_is_left_to_others() -> None:
    assert [(each.paths, each.requests, each.seconds) for each in uipath.BUDGETS] == [
        (("/odata/QueueItems",), 50, 60),
        (("/odata/Jobs",), 50, 60),
    ]


def grant(server: BaseTestServer, scope: str) -> ClientCredentials:
    url, (known, secret) = str(server.make_url("/identity_/connect/token")), UiPath().client
    return ClientCredentials(
        url=url, client_id=known, secret=secret, scheme=uipath.AUTH, parameters=(("scope", scope),)
    )


async def test_tokens_are_had_with_the_secret_of_an_application_and_its_scopes() -> None:
    fake = tenant()
    async with TestServer(fake.app()) as server:
        source = Poller(
            fake, str(server.make_url(PATH)), Options(), grant(server, " ".join(sorted(set(SCOPES.values()))))
        )
        await source.poll()
        well = len(source.runs)
        source.who = grant(server, "OR.Folders.Read OR.Queues.Read")
        await source.poll(AT + 2 * HOUR)
        few = set(source.lacking)
        source.who = grant(server, "OR.Everything")
        with pytest.raises(AuthFailed, match="invalid_scope"):
            await source.poll(AT + 3 * HOUR)

    assert well > 20
    assert few == {f"{folder}, {what}" for folder in ("Finance", "Sales") for what in ("processes", "triggers", "jobs")}


async def test_a_check_says_what_the_application_has_to_be_allowed() -> None:
    fake = tenant()
    async with polled(fake, folders=("Finance", "Sales", "Legal")) as source:
        well = await source.check()
        fake.refused = {(1, "QueueItems")}
        fake.scopes -= {"OR.Execution.Read"}
        fake.hidden = {2}
        refused = [each for each in await source.check() if each.wrong]
        fake.scopes -= {"OR.Folders.Read"}
        nothing = await source.check()

    assert [(each.what, each.text) for each in well if each.wrong] == [
        ("folders", "no folder that the application sees is called Legal")
    ]
    assert well[0].text == "Finance, Sales"
    assert ("Sales, QueueItems", "the first page is read") in [(each.what, each.text) for each in well]
    assert [(each.what, each.text.partition("credential needs ")[2]) for each in refused[2:]] == [
        ("Finance, QueueItems", "OR.Queues.Read, and View on Queues and Transactions"),
        ("Finance, Releases", "OR.Execution.Read, and View on Processes"),
    ]
    assert [each.wrong for each in nothing] == [True]
    assert "OR.Folders.Read" in nothing[0].text


async def test_a_check_looks_at_some_of_many_folders_and_says_where_nothing_is_shown() -> None:
    fake = UiPath()
    for number in range(25):
        fake.folder(f"Folder {number}")
    async with polled(fake) as source:
        many = await source.check()
        fake.hidden = set(fake.lists["Folders"])
        none = await source.check()

    assert many[-1].text == "25; the first 20 were looked at"
    assert len(many) == 1 + 20 * 5 + 1
    assert "none is shown; it needs OR.Jobs.Read, and View on Jobs" in [each.text for each in many]
    assert next((each.text, each.wrong) for each in none) == ("none is shown; assign the application to them", True)


async def test_a_column_that_a_release_does_not_have_is_named() -> None:
    fake = tenant()
    async with polled(fake) as source:
        columns = COLUMNS["QueueItems"]
        columns.remove("ManualRetryNumber")
        try:
            with pytest.raises(NotUnderstood, match="this release of Orchestrator has no ManualRetryNumber"):
                await source.poll()
        finally:
            columns.add("ManualRetryNumber")


SCHEMAS = {
    "Folders": "FolderDto",
    "QueueDefinitions": "QueueDefinitionDto",
    "QueueItems": "QueueItemDto",
    "Releases": "ReleaseDto",
    "ProcessSchedules": "ProcessScheduleDto",
    "Jobs": "JobDto",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_fake_is_what_uipath_publishes(name: str) -> None:
    published = document(SPEC, "components", "schemas", SCHEMAS[name], "properties")
    question = document(SPEC, "paths", f"/odata/{name}", "get")
    parameters = {each["name"]: each for each in question["parameters"]}

    assert set(published) >= COLUMNS[name]
    for column, words in ENUMS.get(name, {}).items():
        assert set(words) == set(published[column]["enum"])
    assert {each for each in parameters if each.startswith("$")} == PARAMETERS
    assert f"The maximum value is {TOP.get(name, 1000)}." in parameters["$top"]["description"]
    assert ("X-UIPATH-OrganizationUnitId" in parameters) == (name != "Folders")
    assert SCOPES[name] in question["description"]
