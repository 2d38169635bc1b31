"""ServiceNow's own ways: keyset paging, hidden rows, quotas, agreements beside rows, deletions, what `check` finds."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from exporter.collect.auth import Auth, ClientCredentials
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import AuthFailed, Client, HttpSettings, NotUnderstood, RateLimited
from exporter.connectors import servicenow
from exporter.connectors.servicenow import Options
from exporter.demo.fakes.servicenow import ServiceNow
from exporter.records import Change, Incident, Record, Request
from tests.connectors.world import AT, SINCE

BEGAN = AT - timedelta(days=9)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Poller:
    """Polls one instance again and again, and stores as the poller does."""

    def __init__(self, instance: ServiceNow, **options: Any) -> None:
        self.instance = instance
        self.options = Options(**{"page_size": 4, "automation_users": ("bot",), **options})
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.cursor: Any = {}
        self.memory: Any = {}
        self.lacking: list[str] = []
        self.pages = 0

    async def poll(self, at: datetime = AT, auth: Auth | None = None) -> Counter[str]:
        """One poll; how often each table was asked for."""
        self.instance.faults.requests.clear()
        async with TestServer(self.instance.app()) as server:
            http = settings(server, auth or Auth.bearer(self.instance.token))
            dialect = needs(servicenow).dialect
            async with Client(http, at=at, since=SINCE, dialect=dialect, memory=self.memory) as client:
                async for page in servicenow.poll(client, self.options, self.cursor):
                    self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                    for key in page.gone:
                        self.records.pop(key, None)
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                    self.memory = client.memory.changes() or self.memory
                    self.pages += 1
                self.lacking = [*client.lacking]
        return Counter(request.rpartition("/")[2] for request in self.instance.faults.requests)

    def request(self, key: str) -> Request:
        found = self.records[Request, key]
        assert isinstance(found, Request)
        return found


def settings(server: Any, auth: Any) -> HttpSettings:
    return HttpSettings(url=str(server.make_url("")), auth=auth, attempts=1)


async def looked(instance: ServiceNow, **options: Any) -> dict[str, str]:
    """What `check` finds wrong."""
    async with TestServer(instance.app()) as server:
        http = settings(server, Auth.bearer(instance.token))
        async with Client(http, at=AT, since=SINCE, dialect=needs(servicenow).dialect) as client:
            findings: Sequence[Finding] = await servicenow.check(client, Options(**options))
    return {finding.what: finding.text for finding in findings if finding.wrong}


def desk(count: int, *, apart: timedelta = HOUR) -> tuple[ServiceNow, list[str]]:
    """An instance with so many incidents, each resolved a minute after it was opened."""
    instance, keys = ServiceNow(), []
    for number in range(count):
        key = instance.open_incident(f"user{number}", BEGAN + number * apart)
        instance.resolve(key, "alice", BEGAN + number * apart + MINUTE)
        keys.append(key)
    return instance, keys


async def test_a_second_that_fills_several_pages_is_read_by_id_and_loses_nothing() -> None:
    instance, keys = desk(3)
    at = BEGAN + timedelta(days=1)
    for _ in range(11):
        keys.append(instance.open_incident("user", at))
    keys += [instance.open_incident("user", at + MINUTE) for _ in range(2)]
    poller = Poller(instance)
    await poller.poll()

    assert {(Request, key) for key in keys} == poller.records.keys()


async def test_pages_of_which_nothing_may_be_seen_are_passed_over() -> None:
    instance, keys = desk(16)
    hidden = {*keys[1:2], *keys[4:13], *keys[15:]}
    instance.hides = lambda table, row: table == "incident" and row["sys_id"] in hidden
    poller = Poller(instance)
    await poller.poll()

    assert {(Request, key) for key in keys if key not in hidden} == poller.records.keys()


@pytest.mark.parametrize("how", ["half", "whole", "refused"])
async def test_a_transaction_that_takes_too_long_is_asked_again_for_less(how: Any) -> None:
    instance, keys = desk(9)
    instance.quota_rows, instance.cancels = 2, how
    poller = Poller(instance)
    await poller.poll()

    assert {(Request, key) for key in keys} == poller.records.keys()


async def test_a_user_that_may_not_query_by_range_is_told_so_and_nothing_is_stored() -> None:
    instance, _ = desk(5)
    instance.no_range = True
    instance.update("incident", "05".rjust(32, "0"), AT - HOUR)
    poller = Poller(instance)

    with pytest.raises(NotUnderstood, match="query_range"):
        await poller.poll()

    assert poller.records == {}


async def test_a_row_that_was_written_late_is_found_within_the_overlap() -> None:
    instance, _ = desk(2)
    instance.open_incident("user", AT - MINUTE)
    poller = Poller(instance)
    await poller.poll()
    late = instance.open_incident("user", AT - 4 * MINUTE)
    await poller.poll(AT + MINUTE)

    assert (Request, late) in poller.records


async def test_agreements_that_change_shortly_after_the_task_are_read_again() -> None:
    """The platform works on them in the background, and the task stays as it is."""
    instance, _ = desk(1)
    key = instance.open_incident("user", AT - HOUR)
    sla = instance.agree(key, "resolution", AT - HOUR)
    instance.resolve(key, "alice", AT - MINUTE)
    poller = Poller(instance)
    await poller.poll()
    before = poller.request(key).sla_breached
    instance.tables["task_sla"][sla]["has_breached"] = "true"
    await poller.poll(AT + MINUTE)

    assert (before, poller.request(key).sla_breached) == (False, True)


async def test_what_is_open_since_long_before_the_history_is_in_the_backlog() -> None:
    instance, keys = desk(2)
    keys += [instance.open_incident("user", SINCE - timedelta(days=number)) for number in range(1, 7)]
    instance.add("incident", SINCE - timedelta(days=9), state="7", active="false")
    poller = Poller(instance)
    await poller.poll()

    assert {(Request, key) for key in keys} == poller.records.keys()


async def test_a_quiet_poll_is_one_request_per_table_and_one_for_deletions() -> None:
    instance, _ = desk(12)
    poller = Poller(instance, page_size=1000)
    await poller.poll()
    asked = await poller.poll(AT + HOUR)

    tables = ("sys_audit_delete", "incident", "sc_req_item", "interaction", "change_request")
    assert dict.fromkeys(tables, 1) == asked


async def test_a_thousand_incidents_take_few_requests_and_what_is_beside_goes_by_a_hundred_and_fifty() -> None:
    instance, keys = desk(1000, apart=MINUTE)
    for key in keys[:151]:
        instance.tables["incident"][key]["reassignment_count"] = "1"
    poller = Poller(instance, page_size=1000, tables=("incident",))
    asked = await poller.poll()

    assert asked == {"sys_audit_delete": 1, "incident": 2, "task_sla": 1 + 7, "metric_instance": 1 + 2}
    assert len(poller.records) == 1000


async def test_an_incident_that_is_less_urgent_after_all_was_no_interruption() -> None:
    instance, _ = desk(1)
    key = instance.open_incident("user", BEGAN, priority="1")
    poller = Poller(instance)
    await poller.poll()
    before = (Incident, key) in poller.records
    instance.update("incident", key, AT, priority="3")
    await poller.poll(AT + MINUTE)

    assert before
    assert (Incident, key) not in poller.records
    assert (Request, key) in poller.records


async def test_what_is_deleted_is_gone_whatever_it_was() -> None:
    instance, _ = desk(3)
    incident = instance.open_incident("user", BEGAN, priority="1")
    change = instance.request_change("carol", BEGAN)
    chat, item = instance.interact("user", BEGAN), instance.request_item("user", "Laptop", BEGAN)
    poller = Poller(instance)
    await poller.poll()
    before = len(poller.records)
    for table, key in (
        ("incident", incident),
        ("change_request", change),
        ("interaction", chat),
        ("sc_req_item", item),
    ):
        instance.delete(table, key, AT)
    instance.add("sys_audit_delete", AT, tablename="problem", documentkey=incident)
    await poller.poll(AT + MINUTE)

    assert (before, len(poller.records)) == (8, 3)
    assert poller.cursor["deleted"] == f"{AT - 5 * MINUTE:%F %T}"


@pytest.mark.parametrize("table", ["task_sla", "sc_task", "metric_instance", "sys_audit_delete", "interaction"])
async def test_a_table_that_may_not_be_read_costs_what_it_tells_and_nothing_else(table: str) -> None:
    instance, keys = desk(3)
    instance.update("incident", keys[0], AT - HOUR, assignment_group="Desk")
    instance.update("incident", keys[0], AT - HOUR, assignment_group="Network")
    keys += [instance.request_item("user", "Laptop", BEGAN, state="3")]
    instance.denied = {table}
    poller = Poller(instance)
    await poller.poll()
    asked = await poller.poll(AT + MINUTE)

    assert {(Request, key) for key in keys} == poller.records.keys()
    assert poller.lacking == ([table] if table in ("sys_audit_delete", "interaction") else [])
    assert asked[table] == (1 if table in ("sys_audit_delete", "interaction") else 0)


async def test_a_row_that_is_deleted_is_not_missed_as_after_a_restore() -> None:
    instance, keys = desk(1)
    poller = Poller(instance)
    await poller.poll()
    instance.delete("incident", keys[0], AT)
    await poller.poll(AT + MINUTE)

    assert poller.records == {}


async def test_a_table_of_a_plugin_that_is_not_active_is_left_out_by_name() -> None:
    instance, keys = desk(3)
    instance.missing = {"interaction"}
    poller = Poller(instance)
    await poller.poll()

    assert poller.lacking == ["interaction"]
    assert len(poller.records) == len(keys)


async def test_a_user_that_may_read_no_table_is_refused() -> None:
    instance, _ = desk(1)
    instance.denied = {"incident", "sc_req_item", "interaction", "change_request"}

    with pytest.raises(AuthFailed, match="table/incident: HTTP 403"):
        await Poller(instance).poll()


async def test_a_limit_per_hour_is_obeyed_for_as_long_as_it_says() -> None:
    instance, _ = desk(1)
    instance.per_hour = 2

    with pytest.raises(RateLimited) as caught:
        await Poller(instance).poll()

    assert timedelta(minutes=29) < caught.value.until - AT < timedelta(minutes=31)


async def test_a_token_of_the_instance_or_a_key_lets_in_and_basic_authentication_where_it_is_allowed() -> None:
    instance, _ = desk(1)
    async with TestServer(instance.app()) as server:
        url = str(server.make_url("/oauth_token.do"))
        name, secret = instance.client
        http = settings(server, ClientCredentials(url=url, scheme=servicenow.AUTH, client_id=name, secret=secret))
        async with Client(http, at=AT, since=SINCE, dialect=needs(servicenow).dialect) as client:
            pages = [page async for page in servicenow.poll(client, Options(), {})]
    await Poller(instance).poll(auth=servicenow.AUTH.fixed("api_key", instance.api_key))
    with pytest.raises(AuthFailed):
        await Poller(instance).poll(auth=Auth.basic("exporter", "s3cret"))
    instance.basic = ("exporter", "s3cret")
    await Poller(instance).poll(auth=Auth.basic("exporter", "s3cret"))

    assert sum(len(page.reads) for page in pages) == 1


async def test_the_ids_of_all_tables_are_listed_a_day_later_page_by_page() -> None:
    instance, keys = desk(3)
    keys += [instance.request_item("user", "Laptop", BEGAN), instance.request_change("carol", BEGAN)]
    instance.open_incident("user", AT - timedelta(days=99))  # from before the sweep
    async with TestServer(instance.app()) as server:
        http = settings(server, Auth.bearer(instance.token))
        async with Client(http, at=AT, since=SINCE) as client:
            ids = servicenow.ids(client, Options(), AT - timedelta(days=90), None)
            found = [(sorted(some), place) async for some, place in ids]
            ids = servicenow.ids(client, Options(), None, ["change_request", keys[-1]])
            rest = [each async for each in ids]

    items = [["sc_req_item", ""], ["interaction", ""], ["change_request", ""], None]
    assert [(sorted(keys[:3]), items[0]), (keys[3:4], items[1]), ([], items[2]), (keys[4:], None)] == found
    assert rest == [([], None)]


async def test_a_change_that_nobody_opened_is_listed_too() -> None:
    instance = ServiceNow()
    change = instance.request_change("carol", BEGAN, opened_at="")
    poller = Poller(instance)
    await poller.poll()
    server, options = TestServer(instance.app()), Options(tables=("change_request",))
    async with server, Client(settings(server, Auth.bearer(instance.token)), at=AT, since=SINCE) as client:
        listed = servicenow.ids(client, options, AT - timedelta(days=90), None)
        found = [key async for some, _ in listed for key in some]

    assert found == [key for kind, key in poller.records if kind is Change] == [change]


async def test_a_change_keeps_what_made_it_and_an_incident_names_its_cause() -> None:
    instance = ServiceNow()
    change = instance.request_change("bot", BEGAN)
    done = {"state": "3", "close_code": "successful", "work_end": f"{BEGAN + HOUR:%F %T}"}
    instance.update("change_request", change, BEGAN + HOUR, **done)
    incident = instance.open_incident("user", BEGAN + HOUR, priority="1", caused_by=change)
    poller = Poller(instance)
    await poller.poll()

    found, cause = poller.records[Change, change], poller.records[Incident, incident]
    assert isinstance(found, Change)
    assert isinstance(cause, Incident)
    assert (found.automated, found.deployed_at, found.reference) == (True, BEGAN + HOUR, "CHG0000005")
    assert cause.caused_by == found.id


def well() -> ServiceNow:
    """An instance on which nothing is missing."""
    instance, keys = desk(3)
    instance.agree(keys[0], "resolution", BEGAN)
    item = instance.request_item("user", "Laptop", BEGAN)
    instance.give_task(item, "bob", BEGAN)
    instance.interact("user", BEGAN)
    instance.delete("change_request", instance.request_change("carol", BEGAN), BEGAN)
    instance.request_change("carol", BEGAN)
    instance.add("sys_properties", BEGAN, name="glide.buildname", value="Australia")
    return instance


async def test_a_check_of_an_instance_on_which_nothing_is_missing_finds_nothing_wrong() -> None:
    assert await looked(well()) == {}


async def test_a_check_names_each_right_that_is_missing() -> None:
    instance = well()
    instance.denied = {"task_sla"}
    instance.missing = {"interaction"}
    instance.tables["metric_definition"].clear()
    instance.hides = lambda table, row: table == "sc_task" or (table == "incident" and row["number"] == "INC0000005")
    instance.hidden_columns = {"cat_item.name"}
    wrong = await looked(instance)

    assert sorted(wrong) == ["incident", "interaction", "metrics", "sc_req_item", "sc_task", "task_sla"]
    assert wrong["incident"].startswith("of the first 3 rows 2 are shown; the user needs the role sn_incident_read")
    assert "needs the role itil, sla_manager" in wrong["task_sla"]
    assert wrong["sc_req_item"].startswith("without the columns cat_item.name")
    assert wrong["metrics"].startswith("nothing measures assignment_group and incident_state")


async def test_a_check_sees_where_queries_by_range_are_not_answered() -> None:
    instance = well()
    instance.no_range = True
    instance.open_incident("user", SINCE - HOUR)

    assert "query_range" in (await looked(instance, tables=("incident",)))["incident"]
