"""Airflow's own ways: two releases, runs that are cleared under one id, lists that move, and what the log tells."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiohttp.test_utils import TestServer

from exporter.catalogue.kpi import MIN_COVERAGE
from exporter.collect.account import Account
from exporter.collect.auth import Auth, Grant, Login
from exporter.collect.contract import needs
from exporter.collect.http import AuthFailed, Client, HttpSettings, NotUnderstood
from exporter.connectors import airflow
from exporter.connectors.airflow.mapping import born_at, changed_at
from exporter.records import Record, Run
from tests.connectors.airflow.suite import MINUTE, auth, server
from tests.connectors.world import AT, SINCE
from tests.fakes.airflow import Airflow
from tests.figures import totals

RELEASES = ("2.11.0", "3.3.2")
BEGAN = AT - timedelta(days=1)
SPECS = Path(os.environ.get("OUTCOME_SPECS") or Path(__file__).parents[4] / "shared" / "platforms" / "specs")


class Poller:
    """Polls one server again and again, and stores as the poller does."""

    def __init__(self, fake: Airflow, sent: Auth | Grant | None = None, **options: Any) -> None:
        self.fake, self.sent = fake, sent or auth(fake)
        self.options = airflow.Options(**{"page_size": 3, **options})
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.cursor: Any = {}
        self.memory: dict[str, Any] = {}
        self.lacking: dict[str, str] = {}
        self.whole: list[datetime | None] = []

    async def poll(self, at: datetime = AT, *, pages: int | None = None) -> list[str]:
        """One poll, or so many pages of it; what was asked, below the address of the API."""
        self.fake.asked.clear()
        account = self.sent if isinstance(self.sent, Account) else Account(self.sent)
        async with TestServer(self.fake.app()) as web:
            http = HttpSettings(url=str(web.make_url("")).rstrip("/"), attempts=1)
            dialect = needs(airflow).dialect
            client = Client(http, at=at, since=SINCE, dialect=dialect, account=account, memory=self.memory)
            async with client:
                came = 0
                async for page in airflow.poll(client, self.options, self.cursor):
                    self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                    for key in page.gone:
                        self.records.pop(key, None)
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                    self.memory = {**self.memory, **(client.memory.changes() or {})}
                    self.whole.append(page.whole_since)
                    came += 1
                    if came == pages:
                        break
                self.lacking = client.lacking
        return [path for path, _ in self.fake.asked]

    @property
    def runs(self) -> set[str]:
        return {key for kind, key in self.records if kind is Run}

    def tries(self, run: str) -> list[tuple[int | None, str | None]]:
        found = [
            record for record in self.records.values() if isinstance(record, Run) and run in (record.id, record.root_id)
        ]
        return [(each.attempt, each.status) for each in sorted(found, key=lambda each: each.attempt or 0)]


def one_dag(release: str = "3.3.2") -> Airflow:
    fake = Airflow(release=release)
    fake.add_dag("sync")
    return fake


@pytest.mark.parametrize("release", RELEASES)
async def test_a_run_that_is_cleared_opens_again_under_its_id_and_its_failure_is_kept(release: str) -> None:
    fake = one_dag(release)
    run = fake.execute("sync", AT - 50 * MINUTE, "failed")
    poller, seen = Poller(fake), list[Any]()
    steps: tuple[Callable[[], None], ...] = (
        lambda: None,
        lambda: fake.clear(run, AT - 40 * MINUTE),
        lambda: fake.start(run, AT - 39 * MINUTE),
        lambda: fake.end(run, AT - 38 * MINUTE, "failed"),
        lambda: fake.clear(run, AT - 30 * MINUTE),
        lambda: fake.start(run, AT - 29 * MINUTE),
        lambda: fake.end(run, AT - 28 * MINUTE),
    )
    for step in steps:
        step()
        await poller.poll()
        seen.append(poller.tries(run))

    assert seen == [
        [(1, "failed")],
        [(1, "failed"), (2, "waiting")],
        [(1, "failed"), (2, "running")],
        [(1, "failed"), (2, "failed")],
        [(1, "failed"), (2, "failed"), (3, "waiting")],
        [(1, "failed"), (2, "failed"), (3, "running")],
        [(1, "failed"), (2, "failed"), (3, "succeeded")],
    ]


@pytest.mark.parametrize("release", RELEASES)
async def test_a_quiet_poll_is_two_requests_and_a_touched_run_is_looked_up_once(release: str) -> None:
    fake, _, _ = server(release)
    poller = Poller(fake)
    first = await poller.poll()
    touched = [query["run_id"] for path, query in fake.asked if "run_id" in query]
    again = [await poller.poll(AT + minute * MINUTE) for minute in (1, 2, 11)]

    assert len({*touched}) == 2  # cleared and marked; the deleted one is not there
    assert len(first) > 10
    assert again[0] == again[1] == ["/eventLogs", "/dags/~/dagRuns"]
    assert again[2] == ["/dags", "/eventLogs", "/dags/~/dagRuns"]


@pytest.mark.parametrize("release", RELEASES)
async def test_a_server_that_gives_fewer_than_asked_for_loses_nothing(release: str) -> None:
    fake, _, _ = server(release)
    fake.most = 2
    poller = Poller(fake, page_size=100)
    await poller.poll()
    first = {run.partition("/")[0] for run in poller.runs}
    for key in [*fake.runs]:
        fake.runs[key]["note"] = "changed"
        fake.change(key, AT)
    poller.records.clear()
    await poller.poll(AT + MINUTE)

    assert first == fake.runs.keys()
    assert len(poller.runs) == len(fake.runs) - 2  # those that were touched are stored as they are


@pytest.mark.parametrize("release", RELEASES)
async def test_runs_that_change_while_they_are_paged_through_are_all_read(release: str) -> None:
    fake = one_dag(release)
    keys = [fake.execute("sync", AT - number * MINUTE) for number in range(20, 9, -1)]
    poller = Poller(fake)
    await poller.poll()
    for number, key in enumerate(keys):
        fake.runs[key]["run_type"] = "backfill"
        fake.change(key, AT + number * timedelta(seconds=1))
    waiting = [keys[0], keys[-1], keys[5]]

    def meanwhile() -> None:
        if waiting:
            fake.change(waiting.pop(), AT + MINUTE)

    fake.meanwhile = meanwhile
    await poller.poll(AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)

    triggers = Counter(record.trigger for record in poller.records.values() if isinstance(record, Run))
    assert triggers == {"backfill": len(keys)}


@pytest.mark.parametrize("entity", [None, "daily", {"dag_run_id": "daily", "dag_id": "sync"}])
async def test_a_run_that_is_deleted_goes_with_its_attempts_and_comes_back_where_it_is_made_anew(entity: Any) -> None:
    fake = one_dag()
    run = fake.execute("sync", AT - 50 * MINUTE, "failed", run_id="daily")
    fake.clear(run, AT - 49 * MINUTE)
    fake.start(run, AT - 48 * MINUTE)
    fake.end(run, AT - 47 * MINUTE)
    other = fake.execute("sync", AT - 46 * MINUTE)
    poller = Poller(fake)
    await poller.poll()
    stored = poller.runs
    if entity:
        body = {"actions": [{"action": "delete", "entities": [entity]}]}
        fake.line("bulk_dag_runs", AT, {"dag_id": "sync"}, "ana", body)
        del fake.runs[run]
    else:
        fake.delete(run, AT)
    await poller.poll(AT)
    deleted = poller.runs
    fake.execute("sync", AT, run_id="daily")
    for minute in (1, 2, 30):
        await poller.poll(AT + minute * MINUTE)

    assert stored == {run, f"{run}/1", other}
    assert deleted == {other}
    assert poller.runs == {run, other}
    assert poller.tries(run) == [(1, "succeeded")]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("logged", [True, False])
async def test_a_clear_that_no_line_names_is_noticed_where_the_failure_was_seen(release: str, logged: bool) -> None:
    """As on the command line, or where the event log may not be read."""
    fake = one_dag(release)
    fake.forbidden = set() if logged else {"event_logs"}
    run = fake.execute("sync", AT - 50 * MINUTE, "failed")
    poller = Poller(fake)
    await poller.poll()
    before = poller.records[Run, run]
    for minute in (30, 20):
        fake.reopen(run, AT - minute * MINUTE)
        fake.start(run, AT - (minute - 1) * MINUTE)
        await poller.poll()
        fake.end(run, AT - (minute - 2) * MINUTE, "failed" if minute == 30 else "success")
        await poller.poll()
    tries = [poller.records[Run, key] for key in (f"{run}/1", f"{run}/2", run)]

    assert poller.tries(run) == [(1, "failed"), (2, "failed"), (3, "succeeded")]
    assert isinstance(before, Run)
    for each in tries:
        assert isinstance(each, Run)
        assert each.human_override is (False if logged and each.attempt == 1 else None)
    first = poller.records[Run, f"{run}/1"]
    assert isinstance(first, Run)
    assert (first.started_at, first.finished_at) == (before.started_at, before.finished_at)
    fake.forbidden = set()
    fake.delete(run, AT)  # of a few runs, and no sign that all are gone
    await poller.poll(AT + MINUTE)

    assert poller.runs == set()


async def test_what_was_done_with_many_runs_at_once_is_remembered_until_they_end() -> None:
    fake = one_dag()
    run = fake.execute("sync", AT - 50 * MINUTE, "failed")
    poller = Poller(fake)
    await poller.poll()
    body = {"dry_run": False, "dag_runs": [{"dag_run_id": run.partition(":")[2], "dag_id": "sync"}]}
    fake.line("clear_dag_runs", AT - 20 * MINUTE, {"dag_id": "~"}, "ana", body)
    fake.reopen(run, AT - 20 * MINUTE)
    await poller.poll()
    waiting = poller.tries(run)
    fake.start(run, AT)
    fake.end(run, AT + MINUTE)
    await poller.poll(AT + 60 * MINUTE)

    assert waiting == [(1, "failed"), (2, "waiting")]
    assert poller.tries(run) == [(1, "failed"), (2, "succeeded")]


@pytest.mark.parametrize(
    ("release", "said"), [("3.3.2", "HTTP 403"), ("2.11.0", "HTTP 403"), ("2.8.4", "takes Airflow 2.9")]
)
async def test_without_the_event_log_runs_are_read_and_what_is_missing_is_reported(release: str, said: str) -> None:
    fake, cleared, _ = server(release)
    if release != "2.8.4":
        fake.forbidden = {"event_logs"}
    poller = Poller(fake)
    await poller.poll()
    run = poller.records[Run, cleared]

    assert said in poller.lacking["event_log"]
    assert poller.runs == fake.runs.keys()
    assert isinstance(run, Run)
    assert (run.status, run.attempt, run.human_override) == ("succeeded", None, None)


async def test_without_the_event_log_there_is_no_rate_of_retries(tmp_path: Path) -> None:
    fake, _, _ = server("3.3.2")
    kpis, found = {"completion_ratio", "retry_ratio", "first_attempt_success_ratio"}, list[set[str]]()
    for forbidden in (set[str](), {"event_logs"}):
        fake.forbidden = forbidden
        poller = Poller(fake)
        await poller.poll()
        found.append({*totals(tmp_path, [*poller.records.values()], AT, kpis, MIN_COVERAGE)})

    assert found == [kpis, {"completion_ratio"}]


async def test_a_first_sync_goes_on_where_it_broke_off_and_sees_what_changed_meanwhile() -> None:
    fake = one_dag()
    keys = [fake.execute("sync", BEGAN + number * MINUTE) for number in range(30)]
    going_on = fake.trigger("sync", BEGAN)
    fake.start(going_on, BEGAN)
    poller = Poller(fake)
    await poller.poll(pages=6)
    before = poller.runs
    fake.end(going_on, AT)
    fake.clear(keys[0], AT)
    fake.clear(keys[-1], AT)
    new = fake.execute("sync", AT)
    await poller.poll(AT + MINUTE)
    whole = Poller(fake)
    await whole.poll(AT + MINUTE)

    assert going_on in before
    assert 0 < len(before) < len(keys)
    assert {run: poller.tries(run) for run in fake.runs} == {run: whole.tries(run) for run in fake.runs}
    assert poller.runs == {*keys, going_on, new, f"{keys[0]}/1", f"{keys[-1]}/1"}


@pytest.mark.parametrize("release", RELEASES)
async def test_dying_among_runs_that_have_no_end_loses_no_history(release: str) -> None:
    """In Airflow 3 on PostgreSQL they come before all that ended."""
    fake = one_dag(release)
    keys = [fake.execute("sync", BEGAN + number * MINUTE) for number in range(5)]
    for number in range(7):
        keys.append(fake.trigger("sync", AT - number * MINUTE))
    for died_after in range(1, 9):
        poller = Poller(fake)
        await poller.poll(pages=died_after)
        await poller.poll()

        assert poller.runs == {*keys}


async def test_a_run_of_a_dag_that_is_new_is_read_with_its_tags() -> None:
    fake = one_dag()
    poller = Poller(fake)
    await poller.poll()
    fake.add_dag("new", owners=["ann"])
    run = fake.execute("new", AT)
    asked = [await poller.poll(AT + minute * MINUTE) for minute in (1, 20)]
    record = poller.records[Run, run]

    assert isinstance(record, Run)
    assert record.owner == "ann"
    assert [each.count("/dags") for each in asked] == [1, 1]


async def test_the_latest_history_comes_first_and_says_how_far_back_it_is_whole() -> None:
    fake = one_dag()
    for number in range(12):
        fake.execute("sync", BEGAN + number * MINUTE)
    poller = Poller(fake)
    await poller.poll()
    told = [each for each in poller.whole if each]

    assert told == sorted(told, reverse=True)
    assert told[0] == BEGAN + 9 * MINUTE + timedelta(seconds=6)
    assert told[-1] == SINCE


async def test_a_long_history_takes_one_request_for_each_full_page() -> None:
    fake = one_dag()
    for number in range(1_000):
        fake.execute("sync", BEGAN + number * timedelta(seconds=5))
    poller = Poller(fake, page_size=100)
    asked = await poller.poll()

    assert len(poller.runs) == 1_000
    assert len(asked) <= 10 + 4  # DAGs, the event log, open runs; a page holds the last run of the one before, too


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({}, None),
        ({"queued_at": "2026-03-30T10:00:00Z"}, 10),
        ({"queued_at": "2026-03-30T10:00:00Z", "start_date": "2026-03-30T11:00:00Z", "end_date": None}, 11),
        ({"start_date": "2026-03-30T11:00:00Z", "last_scheduling_decision": "2026-03-30T13:00:00+00:00"}, 13),
        ({"last_scheduling_decision": "2026-03-30T13:00:00Z", "end_date": "2026-03-30T14:00:00Z"}, 14),
        ({"start_date": "2026-03-30T11:00:00Z", "end_date": "n/a"}, 11),
        ({"start_date": "2026-03-30T11:00:00Z", "queued_at": "2026-03-30T12:00:00Z"}, 12),
    ],
)
def test_when_a_run_was_changed_is_the_latest_time_that_it_tells(item: Any, told: int | None) -> None:
    assert changed_at(item) == (f"2026-03-30T{told}:00:00+00:00" if told else None)


def test_what_never_changes_of_a_run_is_when_it_was_due() -> None:
    assert born_at({"run_after": "a", "logical_date": "b"}) == "a"
    assert born_at({"logical_date": "b"}) == "b"
    assert born_at({"run_after": None, "logical_date": None}) is None


def login(fake: Airflow, url: str) -> Login:
    return Login(url=f"{url}/auth/token", scheme=airflow.AUTH, username=fake.user, password="pa55")


async def test_a_token_is_had_once_and_another_where_it_has_run_out_or_the_server_has_a_new_secret() -> None:
    fake, _, _ = server()
    counts = []
    async with TestServer(fake.app()) as web:
        url = str(web.make_url("")).rstrip("/")
        account, dialect = Account(login(fake, url)), needs(airflow).dialect
        for minute, change in ((0, ""), (1, ""), (2, "secret"), (60 * 25, "clock")):
            at = AT + minute * MINUTE
            fake.secret = "quite another one, and long enough, too" if change == "secret" else fake.secret
            fake.at = at
            async with Client(HttpSettings(url=url), at=at, since=SINCE, dialect=dialect, account=account) as client:
                assert [page async for page in airflow.poll(client, airflow.Options(), {})]
            counts.append(fake.log_ins)

    assert counts == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("release", "sent", "said"),
    [
        ("3.3.2", Auth.bearer("made.up.token"), "HTTP 403: the token is not valid; check it, or log in"),
        ("3.3.2", Auth(), "HTTP 401: the credential is refused"),
        ("3.3.2", Auth.basic("exporter", "pa55"), "HTTP 401: the credential is refused"),
        ("2.11.0", Auth.basic("exporter", "wrong"), "check it, and that [api] auth_backends of Airflow includes"),
        ("2.11.0", Auth.bearer("made.up.token"), "check it, and that [api] auth_backends of Airflow includes"),
    ],
)
async def test_what_is_wrong_with_a_credential_is_said(release: str, sent: Auth, said: str) -> None:
    with pytest.raises(AuthFailed) as caught:
        await Poller(one_dag(release), sent).poll()

    assert said in str(caught.value)


async def test_where_no_airflow_is_the_address_is_said_to_be_wrong() -> None:
    fake = one_dag()
    async with TestServer(fake.app()) as web:
        settings = HttpSettings(url=str(web.make_url("/api/v2")), auth=auth(fake))
        async with Client(settings, at=AT, since=SINCE) as client:
            with pytest.raises(NotUnderstood, match="the url is that of Airflow's pages, without /api"):
                [page async for page in airflow.poll(client, airflow.Options(), {})]


@pytest.mark.parametrize("release", RELEASES)
async def test_a_check_says_what_the_credential_has_to_be_allowed(release: str) -> None:
    fake, _, _ = server(release)
    found = {}
    async with TestServer(fake.app()) as web:
        settings = HttpSettings(url=str(web.make_url("")).rstrip("/"), auth=auth(fake), attempts=1)
        async with Client(settings, at=AT, since=SINCE, dialect=needs(airflow).dialect) as client:
            for forbidden in (set(), {"event_logs"}, {"dags", "dag_runs", "event_logs"}):
                fake.forbidden = forbidden
                found[len(forbidden)] = await airflow.check(client, airflow.Options())
            fake.forbidden, fake.dags = set(), {}
            found[9] = await airflow.check(client, airflow.Options())
    wrong = {count: [each.what for each in findings if each.wrong] for count, findings in found.items()}

    assert [(each.what, each.text) for each in found[0]] == [
        ("version", release),
        ("DAGs", "the first page is read; 3 in all"),
        ("DAG runs", f"the first page is read; {len(fake.runs)} in all"),
        ("event log", "the first page is read; 3 in all"),
    ]
    assert wrong == {0: [], 1: ["event log"], 3: ["DAGs", "DAG runs", "event log"], 9: ["DAGs"]}
    assert "can read on Audit Logs" in found[1][-1].text


@pytest.mark.parametrize(
    ("release", "spec"), [("2.11.0", "airflow-2.11.0-rest-v1.yaml"), ("3.3.2", "airflow-3.3.2-rest-v2.yaml")]
)
async def test_everything_that_is_asked_is_published(release: str, spec: str) -> None:
    if not (SPECS / spec).exists():
        pytest.skip(f"{spec} is not beside the repository")
    published = yaml.load((SPECS / spec).read_text(), Loader=yaml.CSafeLoader)
    fake, _, _ = server(release)
    poller = Poller(fake, business_tasks=("work",))
    await poller.poll()
    asked = list(fake.asked)
    await poller.poll(AT + MINUTE)
    paths = {"/dags/~/dagRuns": "/dags/{dag_id}/dagRuns"}
    sent = {(paths.get(path, path), name) for path, query in [*asked, *fake.asked] for name in query}
    base = fake.base if release.startswith("3") else ""

    assert {path for path, _ in sent} == {"/dags", "/dags/{dag_id}/dagRuns", "/eventLogs"}
    for path, name in sent:
        assert name in parameters(published, f"{base}{path}"), f"{path}: {name}"


def parameters(published: Any, path: str) -> set[str]:
    """The names of the parameters that may be sent there."""

    def named(given: Any) -> str:
        while "$ref" in given:
            place, given = given["$ref"], published
            for part in place.removeprefix("#/").split("/"):
                given = given[part]
        name: str = given["name"]
        return name

    item = published["paths"][path]
    return {named(each) for each in [*item.get("parameters", []), *item["get"].get("parameters", [])]}
