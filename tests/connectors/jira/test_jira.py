"""Jira over HTTP: what is asked, and what comes of a site that is slow to find changes, ends, hides and refuses."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestServer

from exporter.base.errors import AuthFailed, Forbidden, NotUnderstood, RateLimited
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors import jira
from exporter.connectors.jira import Options
from exporter.records import Change, Incident, Json, Record, Request
from tests.connectors.jira.suite import auth, site
from tests.connectors.world import AT, SINCE
from tests.fakes.jira import MEMBERS, Jira
from tests.test_truth import SPECS

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BOB, ANNA = "agent-bob", "customer-anna"
SERVED = pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "data center"])


@dataclass
class Poller:
    """One site and what a poller has stored of it. `failed` and `lacking` are of the last poll."""

    site: Jira
    url: str
    options: Options
    cursor: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Json] = field(default_factory=dict)
    records: dict[tuple[type[Record], str], Record] = field(default_factory=dict)
    swept: set[str] = field(default_factory=set)
    pages: int = 0
    failed: Sequence[str] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)

    def client(self, at: datetime, who: Auth | None = None) -> Client:
        settings = HttpSettings(url=self.url, auth=who or auth(self.site), attempts=1)
        return Client(settings, at=at, since=SINCE, dialect=needs(jira).dialect, memory=self.memory)

    async def poll(self, at: datetime = AT, *, who: Auth | None = None, pages: int | None = None) -> list[str]:
        """Polls and stores; the questions that it took. The site's clock is ours."""
        self.site.at, self.pages = at, 0
        self.site.asked.clear()
        async with self.client(at, who) as client:
            async for page in jira.poll(client, self.options, self.cursor):
                self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                for key in page.gone:
                    self.records.pop(key, None)
                self.cursor = json.loads(json.dumps(page.cursor))
                self.memory = client.memory.changes() or self.memory
                self.swept |= set(page.sweep.ids) if page.sweep else set()
                self.pages += 1
                if self.pages == pages:
                    break
            self.failed, self.lacking = client.failed_details, client.lacking
        return [path for path, _ in self.site.asked]

    async def check(self) -> list[Finding]:
        self.site.asked.clear()
        async with self.client(AT) as client:
            return list(await jira.check(client, self.options))

    def request(self, key: str) -> Request:
        found = self.records[Request, key]
        assert isinstance(found, Request)
        return found


@asynccontextmanager
async def polled(its: Jira, path: str = "", **options: Any) -> AsyncIterator[Poller]:
    async with TestServer(its.app(path)) as server:
        yield Poller(its, str(server.make_url("")).rstrip("/") + path, Options(**options))


QUIET = ["myself", "search/jql"]


@SERVED
async def test_a_first_poll_takes_two_questions_a_page_and_a_quiet_one_two_in_all(cloud: bool) -> None:
    its = Jira(cloud=cloud)
    for number in range(300):
        key = its.create(ANNA, AT - DAY + number * timedelta(seconds=1))
        its.move(key, "Resolved", BOB, AT - HOUR + number * timedelta(seconds=1))
    async with polled(its, overlap_seconds=60) as source:
        first = await source.poll()
        quiet = await source.poll(AT + MINUTE)

    assert len(source.records) == 300
    assert {record.handled_by for record in source.records.values() if isinstance(record, Request)} == {"human"}
    assert len(first) == (5 + 3 + 3 if cloud else 5 + 4)  # a border comes twice
    assert quiet == (QUIET if cloud else ["myself", "search"])
    assert len(json.dumps(source.cursor)) < 20_000


@SERVED
async def test_what_changes_later_comes_and_nothing_else_is_asked_about(cloud: bool) -> None:
    async with polled(site(cloud=cloud), page_size=5) as source:
        await source.poll()
        before = source.request("10016").outcome
        source.site.move("10016", "In progress", ANNA, AT + MINUTE)
        asked = await source.poll(AT + 2 * MINUTE)
        about = [body["issueIdsOrKeys"] for path, body in source.site.asked if path == "changelog/bulkfetch"]

    assert (before, source.request("10016").outcome) == ("resolved", "open")
    assert about == ([["10016"]] if cloud else [])
    assert len(asked) <= 5


async def test_a_change_that_the_search_finds_only_minutes_later_is_not_lost() -> None:
    its = site()
    async with polled(its) as source:
        await source.poll()
        late = its.create(ANNA, AT + MINUTE)
        its.unindexed.add(late)
        its.create(ANNA, AT + 4 * MINUTE)
        await source.poll(AT + 5 * MINUTE)
        before = (Request, late) in source.records
        its.unindexed.clear()
        await source.poll(AT + 10 * MINUTE)

    assert not before
    assert (Request, late) in source.records


@SERVED
@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Kiritimati"])
async def test_the_time_zone_of_the_account_moves_nothing(zone: str, cloud: bool) -> None:
    there, here = site(cloud=cloud), site(cloud=cloud)
    there.zone = ZoneInfo(zone)
    async with polled(there, path="/jira") as far, polled(here, path="/jira") as near:
        await far.poll()
        await near.poll()
        there.zone = ZoneInfo("Europe/Berlin")
        again = await far.poll(AT + MINUTE)
    urls = {each.url: None for each in (*far.records.values(), *near.records.values())}

    assert len(urls) == 2 * 19
    assert {key: each.updated_at for key, each in near.records.items()} == {
        key: each.updated_at for key, each in far.records.items()
    }
    assert again == (QUIET if cloud else ["myself", "search"])


@SERVED
async def test_issues_that_changed_in_one_instant_fill_pages_and_none_is_passed_over(cloud: bool) -> None:
    """A bulk edit; the index of Data Center is in order of whole seconds only."""
    its = Jira(cloud=cloud)
    for number in range(40):
        key = its.create(ANNA, AT - DAY)
        its.issues[key].fields["updated"] = AT - HOUR + (number * 7 % 10) * timedelta(milliseconds=90)
    async with polled(its, page_size=3) as source:
        await source.poll()

    assert len(source.records) == 40


async def test_an_issue_that_changes_while_pages_are_read_comes_twice_and_none_is_lost() -> None:
    for cloud in (True, False):
        its = site(cloud=cloud)
        async with polled(its, page_size=4) as source, source.client(AT) as client:
            async for page in jira.poll(client, source.options, {}):
                source.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                its.comment("10001", BOB, AT + MINUTE)
                its.comment("10002", BOB, AT + MINUTE)

        assert {key for _, key in source.records} == set(its.issues)


@SERVED
async def test_open_issues_come_however_old_and_ended_ones_from_the_history(cloud: bool) -> None:
    its = Jira(cloud=cloud)
    still_open, ended = (its.create(ANNA, SINCE - DAY, status=name) for name in ("Pending", "Closed"))
    recent = its.create(ANNA, SINCE, status="Closed")
    async with polled(its) as source:
        await source.poll()

    assert {key for _, key in source.records} == {still_open, recent}
    assert ended in its.issues


async def test_of_a_project_that_appears_the_history_is_read() -> None:
    its = site()
    its.projects["HR"] = "service_desk"
    its.sees = {"ITS"}
    old = its.create(ANNA, AT - 20 * DAY, project="HR")
    async with polled(its) as source:
        await source.poll()
        its.sees = None
        await source.poll(AT + 2 * HOUR)
        asked = await source.poll(AT + 2 * HOUR + MINUTE)

    assert (Request, old) in source.records
    assert asked == QUIET


@SERVED
async def test_an_issue_of_another_type_is_no_longer_what_it_was(cloud: bool) -> None:
    its = Jira(cloud=cloud)
    key = its.create(ANNA, AT - DAY, kind="Incident")
    async with polled(its) as source:
        await source.poll()
        before = {kind for kind, _ in source.records}
        its.issues[key].fields["issuetype"]["name"] = "Change"
        its.changed(key, BOB, AT, ("issuetype", "1", "2", "Change"))
        await source.poll(AT + MINUTE)

    assert before == {Request, Incident}
    assert {kind for kind, _ in source.records} == {Change}


async def test_a_rating_that_changes_nothing_else_is_seen_within_the_hour() -> None:
    its = site()
    async with polled(its) as source:
        await source.poll()
        its.rate("10001", 5, AT + MINUTE)
        its.rate("10002", {"rating": 1}, AT + 40 * MINUTE)
        quiet = await source.poll(AT + 59 * MINUTE)
        await source.poll(AT + HOUR)
        ratings = [source.request(key).csat for key in ("10001", "10002")]
        its.rate("10001", 3, AT + 3 * DAY)
        its.at += 9 * DAY
        await source.poll(AT + 9 * DAY)  # nobody polled for a week

    assert quiet == QUIET
    assert ratings == [1.0, 0.0]
    assert source.request("10001").csat == 0.5


async def test_ratings_that_cannot_be_searched_are_told_of_and_cost_nothing_else() -> None:
    its = site()
    its.unsearchable = {"customfield_10106"}
    async with polled(its) as source:
        await source.poll()
        await source.poll(AT + HOUR)

    assert list(source.lacking) == ["satisfaction_date"]
    assert "satisfaction_date" not in source.cursor


async def test_a_history_longer_than_an_answer_is_read_to_its_end() -> None:
    its = Jira(most_histories=7)
    key = its.create(ANNA, AT - DAY)
    for number in range(25):
        its.move(key, "Resolved", BOB, AT - HOUR + number * MINUTE)
        its.move(key, "In progress", ANNA, AT - HOUR + number * MINUTE)
    async with polled(its) as source:
        asked = await source.poll()

    assert source.request(key).reopen_count == 25
    assert asked.count("changelog/bulkfetch") == 8


async def test_all_comments_of_an_issue_are_read_where_not_all_came() -> None:
    its = Jira(comments_sent=2)
    key = its.create(ANNA, AT - DAY)
    for number in range(5):
        its.comment(key, ANNA if number < 4 else BOB, AT - HOUR + number * MINUTE)
    async with polled(its, page_size=2) as source:
        asked = await source.poll()

    assert source.request(key).first_response_at == AT - HOUR + 4 * MINUTE
    assert asked.count(f"issue/{key}/comment") == 3


async def test_an_issue_that_jira_cannot_send_now_is_asked_for_again() -> None:
    its = site()
    async with polled(its) as source:
        await source.poll()
        expected = source.request("10004")
        its.out_of_order = {"10004"}
        source.cursor, source.memory = {}, {}
        await source.poll()
        unknown = source.request("10004").replies
        await source.poll(AT + 10 * MINUTE)
        owed = source.cursor["owed"]
        its.out_of_order = set()
        quiet = await source.poll(AT + 11 * MINUTE)
        await source.poll(AT + 30 * MINUTE)

    assert (unknown, list(owed), quiet) == (None, ["10004"], QUIET)
    assert source.request("10004") == expected
    assert source.cursor["owed"] == {}


async def test_twice_a_day_all_ids_are_listed() -> None:
    its = site()
    async with polled(its) as source:
        await source.poll()
        quiet = await source.poll(AT + 11 * HOUR)
        first = set(source.swept)
        await source.poll(AT + 12 * HOUR)
        there = set(its.issues)

    assert quiet.count("search/jql") == 2  # ratings, too
    assert first == set()
    assert source.swept == there


async def test_data_center_lists_all_ids_page_by_page() -> None:
    its = site(cloud=False)
    its.most = 4
    async with polled(its) as source:
        await source.poll()
        await source.poll(AT + 12 * HOUR)

    assert source.swept == set(its.issues)


async def test_nobody_is_logged_in_is_no_empty_site() -> None:
    async with polled(site()) as source:
        with pytest.raises(AuthFailed, match="/ex/jira/CLOUD_ID"):
            await source.poll(who=Auth())
        with pytest.raises(AuthFailed):
            await source.poll(who=Auth.basic("exporter@example.test", "wrong"))


async def test_a_site_without_a_service_project_is_told_of() -> None:
    its = Jira(projects={"DEV": "software"})
    async with polled(its) as source:
        with pytest.raises(NotUnderstood, match="no service project; name others under projects"):
            await source.poll()


@SERVED
async def test_a_project_that_is_not_seen_is_no_empty_one(cloud: bool) -> None:
    its = site(cloud=cloud)
    its.sees = {"ITS"}
    async with polled(its, projects=("ITS", "DEV")) as source:
        with pytest.raises(NotUnderstood, match="does the account see every project that is named"):
            await source.poll()


async def test_more_projects_than_a_page_holds_are_read() -> None:
    its = Jira(projects={f"P{number}": "service_desk" for number in range(120)})
    key = its.create(ANNA, AT - DAY, project="P99")
    async with polled(its) as source:
        await source.poll()

    assert {found for _, found in source.records} == {key}


async def test_too_many_requests_wait_until_the_minute_that_is_told() -> None:
    its = site()
    its.allowed = 3
    async with polled(its) as source:
        with pytest.raises(RateLimited) as caught:
            await source.poll()

    assert abs(caught.value.until - (AT + 2 * MINUTE)) < timedelta(seconds=10)


async def test_a_token_that_lacks_a_scope_is_said_to_lack_one() -> None:
    its = site()
    its.scopes = frozenset({"read:jira-work"})
    async with polled(its, path="/ex/jira/1") as source:
        with pytest.raises(Forbidden, match="the token lacks a scope"):
            await source.poll()
        found = await source.check()

    assert [finding.text for finding in found if finding.wrong] == [
        "not allowed (GET /rest/api/3/myself: HTTP 401); the credential needs the scope read:jira-user"
    ]


@SERVED
async def test_check_finds_a_site_in_order_and_names_what_is_called_otherwise(cloud: bool) -> None:
    its = site(cloud=cloud)
    its.zone = ZoneInfo("Europe/Berlin")
    async with polled(its, deployed_statuses=("Live", "Closed"), slas=("Time to mend",)) as source:
        found = await source.check()

    assert [finding for finding in found if finding.wrong] == []
    told = {finding.what: finding.text for finding in found}
    other = {} if cloud else {"response_sla": "no field is called Time to first response"}
    assert told == {
        "version": "1001.0.0, Cloud" if cloud else "9.12.4, Server",
        "account": "its time zone is Europe/Berlin",
        "issues": "the first page is read",
        "deployed_statuses": "no status of the site is called Live; name its own in deployed_statuses",
        "slas": "no field is called Time to mend",
        **other,
    }
    questions = {path.partition("?")[0].split("/")[0] for path, _ in its.asked}
    assert questions <= {
        *("serverInfo", "myself", "field", "status", "project", "mypermissions", "search", "changelog", "issuetype"),
    }


async def test_check_names_the_permission_and_the_project_that_are_missing() -> None:
    its = site()
    its.lacks, its.sees = {"SERVICEDESK_AGENT"}, {"ITS"}
    async with polled(its, projects=("ITS", "OPS")) as source:
        found = await source.check()

    assert [(finding.what, finding.text) for finding in found if finding.wrong] == [
        ("project ITS", "the account lacks Service Desk Agent, which the project role Service Desk Team has"),
        (
            "project OPS",
            "not there (GET /rest/api/3/project/OPS: HTTP 404); is it named rightly, and may the credential see it? It "
            "needs Browse Projects in it",
        ),
        (
            "issues",
            "POST /rest/api/3/search/jql: HTTP 400: the search is refused; does the account see every project that is "
            "named?",
        ),
    ]


async def test_check_tells_of_an_old_data_center_and_of_a_plain_jira() -> None:
    its = Jira(cloud=False, release=(8, 13, 1), projects={"DEV": "software"})
    its.plain, its.types = True, ("Bug", "Change request")
    async with polled(its, projects=("DEV",)) as source:
        found = await source.check()

    assert Finding("version", "8.13.1, Server; 8.14 or later is needed", wrong=True) in found
    assert Finding("incidents", "no type of issue is one of them; there are Bug, Change request") in found
    assert "changes" not in {finding.what for finding in found}
    assert Finding("issues", "none is shown; if there are any, the account needs Browse Projects", wrong=True) in found
    texts = [finding.text for finding in found]
    for what in ("deadlines", "request types", "satisfaction"):
        assert f"there is no such field; without Jira Service Management there are no {what}" in texts


async def test_a_captcha_is_named() -> None:
    its = site()
    its.captcha = True
    async with polled(its) as source:
        with pytest.raises(Forbidden, match="log in once in the browser"):
            await source.poll()


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("search/jql", "SearchAndReconcileRequestBean"),
        ("changelog/bulkfetch", "BulkChangelogRequestBean"),
        ("issue/bulkfetch", "BulkFetchIssueRequestBean"),
    ],
)
def test_the_fake_takes_what_jira_publishes_that_it_takes(path: str, schema: str) -> None:
    spec = SPECS / "jira-cloud-platform-v3-trimmed.json"
    if not spec.exists():
        pytest.skip("the published description is not beside the checkout")
    published = json.loads(spec.read_text())["components"]["schemas"][schema]

    assert published["additionalProperties"] is False
    assert set(published["properties"]) == MEMBERS[path]
