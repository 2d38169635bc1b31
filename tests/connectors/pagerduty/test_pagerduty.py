"""PagerDuty's own ways: a log beside incidents, lists that end at 10,000, windows of time, limits, scopes, merging."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from exporter.collect.auth import Auth, ClientCredentials, Grant
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import AuthFailed, Client, Forbidden, HttpSettings, RateLimited
from exporter.collect.mapping import Which
from exporter.connectors import pagerduty
from exporter.connectors.pagerduty import Options
from exporter.connectors.pagerduty.mapping import CHANNELS
from exporter.demo.fakes.pagerduty import PARAMETERS, PagerDuty
from exporter.demo.fakes.pagerduty_answers import INCLUDES
from exporter.records import Incident, Record, Request
from tests.connectors.pagerduty.suite import account
from tests.connectors.world import AT, SINCE
from tests.test_truth import SPECS

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOON = AT - timedelta(hours=12)
SINGLE = re.compile(r"/Q\w+")


class Poller:
    """Polls one account again and again, and stores as the poller does."""

    def __init__(self, fake: PagerDuty, since: datetime = SINCE, paths: tuple[str, ...] = (), **options: Any) -> None:
        self.fake, self.since, self.paths = fake, since, paths
        self.options = Options(**options)
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.cursor: Any = {}
        self.memory: Mapping[str, Any] = {}
        self.failed: list[str] = []

    async def poll(
        self, at: datetime = AT, *, pages: int | None = None, auth: Auth | Grant | None = None
    ) -> Counter[str]:
        """One poll, or so many pages of it; how often each path was asked for."""
        self.fake.faults.requests.clear()
        self.fake.clock = lambda: at
        async with TestServer(self.fake.app()) as server:
            if isinstance(auth, ClientCredentials):
                auth = app(str(server.make_url("/oauth/token")), *dict(auth.parameters)["scope"].split())
            http = HttpSettings(url=str(server.make_url("")), auth=auth or key_of(self.fake), attempts=1)
            dialect = needs(pagerduty).dialect
            async with Client(
                http, at=at, since=self.since, dialect=dialect, memory=self.memory, paths=self.paths
            ) as client:
                came = 0
                async for page in pagerduty.poll(client, self.options, self.cursor):
                    self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                    for key in page.gone:
                        self.records.pop(key, None)
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                    self.memory = client.memory.changes() or self.memory
                    came += 1
                    if came == pages:
                        break
                self.failed = client.failed_details
        paths = (request.partition(" ")[2] for request in self.fake.faults.requests)
        return Counter(SINGLE.sub("/ID", path) for path in paths)

    def incident(self, key: str) -> Incident:
        found = self.records[Incident, key]
        assert isinstance(found, Incident)
        return found


def key_of(fake: PagerDuty) -> Auth:
    return pagerduty.AUTH.fixed("api_key", fake.api_key)


def app(url: str, *scopes: str) -> ClientCredentials:
    given = (("scope", " ".join(scopes)),)
    return ClientCredentials(url=url, scheme=pagerduty.AUTH, client_id="exporter", secret="s3cret", parameters=given)


def ended(fake: PagerDuty, at: datetime, minutes: int = 30) -> str:
    """An incident that somebody acknowledged and resolved."""
    key = fake.trigger("Disk full", at)
    fake.acknowledge(key, at + 5 * MINUTE)
    fake.resolve(key, at + minutes * MINUTE)
    return key


def busy() -> PagerDuty:
    """An account on which so much has happened in the last hour that what is older is not read again."""
    fake = PagerDuty()
    for minute in range(40, 45):
        ended(fake, NOON - minute * MINUTE)
    return fake


async def test_what_is_acknowledged_is_not_resolved_and_what_is_opened_again_is_not_either() -> None:
    fake = PagerDuty()
    key = fake.trigger("Disk full", NOON)
    poller = Poller(fake)
    await poller.poll(NOON + MINUTE)
    seen = [poller.incident(key)]
    for number, turn in enumerate((fake.acknowledge, fake.resolve, fake.reopen, fake.resolve), 1):
        turn(key, NOON + number * HOUR)
        await poller.poll(NOON + number * HOUR + MINUTE)
        seen.append(poller.incident(key))

    assert [each.acknowledged_at for each in seen] == [None, *[NOON + HOUR] * 4]
    assert [each.resolved_at for each in seen] == [None, None, NOON + 2 * HOUR, None, NOON + 4 * HOUR]


async def test_a_quiet_poll_is_two_requests_also_after_an_older_incident_has_changed() -> None:
    fake = busy()
    keys = [ended(fake, NOON - number * DAY) for number in range(1, 30)]
    key = fake.trigger("Mail is slow", NOON - DAY)
    poller = Poller(fake)
    await poller.poll(NOON)
    fake.resolve(key, NOON + MINUTE)
    after = await poller.poll(NOON + 2 * MINUTE)
    quiet = [await poller.poll(NOON + minute * MINUTE) for minute in (3, 4, 30)]
    hourly = await poller.poll(NOON + 2 * HOUR)

    assert after == {"/log_entries": 1, "/incidents": 1, "/incidents/ID": 1, "/incidents/ID/log_entries": 1}
    assert quiet == [{"/log_entries": 1, "/incidents": 1}] * 3
    assert hourly == {"/log_entries": 1, "/incidents": 2}
    assert poller.incident(key).resolved_at == NOON + MINUTE
    assert len(poller.records) == 5 + len(keys) + 1


async def test_a_first_poll_asks_for_single_logs_only_where_the_log_of_the_account_does_not_tell() -> None:
    """Of incidents that were opened before the history begins, and are still open or ended in it."""
    fake = PagerDuty()
    since = AT - 400 * DAY
    keys = [ended(fake, since + number * 4 * DAY + HOUR) for number in range(100)]
    border = since + timedelta(days=150)
    across = [ended(fake, border - HOUR, 120), ended(fake, border - 2 * HOUR, 200)]
    before, old = ended(fake, since - DAY, 2 * 24 * 60), fake.trigger("Certificate expires", since - 90 * DAY)
    ended(fake, since - 9 * DAY)
    still = fake.trigger("Mail is slow", AT - HOUR)
    poller = Poller(fake, since)
    asked = await poller.poll()

    assert {key for _, key in poller.records} == {*keys, *across, before, old, still}
    assert asked == {"/incidents": 4, "/log_entries": 3 + 2, "/incidents/ID": 1, "/incidents/ID/log_entries": 2}
    acknowledged = [poller.incident(key).acknowledged_at for key in (*keys, *across, before)]
    opened = [poller.incident(key).opened_at for key in (*keys, *across, before)]
    assert acknowledged == [at + 5 * MINUTE for at in opened if at]


@pytest.mark.slow
async def test_a_list_of_more_than_ten_thousand_is_read_in_windows_and_so_are_as_many_open_ones() -> None:
    fake, begin = PagerDuty(), AT - 100 * DAY
    first = fake.trigger("Disk full", begin)
    names = ("updated_at", "status", "teams")
    row = {name: fake.incidents[first][name] for name in names}
    fake.incidents.clear()
    fake.entries.clear()
    for number in range(10_020):
        created = f"{begin + number * 14 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"
        key = f"Q{number:013X}"
        fake.incidents[key] = {**row, "id": key, "created_at": created}
    poller = Poller(fake, begin - DAY)
    asked = await poller.poll()

    assert len(poller.records) == 10_020
    assert poller.memory["open"]["ids"].keys() == fake.incidents.keys()
    assert asked["/incidents"] < 2 * 101 + 10
    assert asked["/incidents/ID/log_entries"] == 0


@pytest.mark.slow
async def test_a_log_of_more_than_ten_thousand_entries_is_read_in_windows() -> None:
    fake = PagerDuty()
    key = fake.trigger("Disk full", NOON)
    row = {"type": "snooze_log_entry", "incident": {"id": key}, "teams": []}
    for number in range(10_020):
        fake.entries.append({**row, "id": f"R{number}", "created_at": f"{NOON + timedelta(seconds=number + 1):%FT%TZ}"})
    fake.entries[10]["type"] = "escalate_log_entry"
    poller = Poller(fake, requests=(Which(field="urgency"),))
    asked = await poller.poll()
    request = poller.records[Request, key]

    assert isinstance(request, Request)
    assert request.escalated_at == NOON + timedelta(seconds=10)
    assert 101 <= asked["/log_entries"] < 140
    assert asked["/incidents/ID/log_entries"] == 0
    assert len(poller.cursor["seen"]) <= 1000


async def test_dying_between_windows_goes_on_at_the_window_and_loses_nothing() -> None:
    fake, since = PagerDuty(), AT - 400 * DAY
    for number in range(24):
        ended(fake, since + number * 16 * DAY + HOUR, 3 * 24 * 60)
    whole = Poller(fake, since, page_size=4)
    asked = await whole.poll()
    for pages in (1, 4, 8, 13):
        again = Poller(fake, since, page_size=4)
        await again.poll(pages=pages)
        rest = await again.poll()

        assert whole.records == again.records
        assert whole.cursor == again.cursor
        assert rest["/incidents"] <= asked["/incidents"]

    assert rest["/incidents"] < asked["/incidents"] / 2


@pytest.mark.parametrize("inclusive", [False, True])
async def test_what_lies_where_two_windows_meet_is_read_with_its_log_whichever_ends_are_part_of_them(
    inclusive: bool,
) -> None:
    fake, since = PagerDuty(inclusive=inclusive), AT - 160 * DAY
    border = since + 150 * DAY
    times = [border + timedelta(seconds=second) for second in range(-3, 4)]
    keys = []
    for at in times:
        keys.append(fake.trigger("Disk full", at))
        fake.acknowledge(keys[-1], at)
        fake.resolve(keys[-1], at)
    poller = Poller(fake, since)
    asked = await poller.poll()

    assert [poller.incident(key).acknowledged_at for key in keys] == times
    assert asked["/incidents/ID/log_entries"] == (1 if inclusive else 0)


async def test_an_entry_that_comes_late_is_found_within_the_overlap() -> None:
    fake = PagerDuty()
    key, other = fake.trigger("Disk full", NOON - DAY), fake.trigger("Mail is slow", NOON - DAY)
    fake.acknowledge(other, NOON - MINUTE)
    poller = Poller(fake)
    await poller.poll(NOON)
    fake.resolve(key, NOON - 14 * MINUTE)
    await poller.poll(NOON + MINUTE)

    assert poller.incident(key).resolved_at == NOON - 14 * MINUTE


async def test_what_the_log_does_not_tell_of_open_incidents_is_found_within_the_hour() -> None:
    fake = busy()
    ranked, silent, lost = (fake.trigger("Disk full", NOON - number * DAY) for number in (1, 2, 3))
    poller = Poller(fake)
    await poller.poll(NOON)
    fake.change(ranked, NOON + MINUTE, priority={"id": "P1", "summary": "P1"})
    fake.change(silent, NOON + MINUTE, status="resolved", resolved_at=f"{NOON + MINUTE:%FT%TZ}")
    del fake.incidents[lost]
    await poller.poll(NOON + 5 * MINUTE)
    before = poller.incident(ranked).severity, poller.incident(silent).resolved_at, (Incident, lost) in poller.records
    await poller.poll(NOON + 61 * MINUTE)
    after = poller.incident(ranked).severity, poller.incident(silent).resolved_at, (Incident, lost) in poller.records

    assert before == (None, None, True)
    assert after == ("sev1", NOON + MINUTE, False)


async def test_what_is_open_for_long_is_followed_also_where_so_little_happens_that_all_is_read_again() -> None:
    fake = PagerDuty()
    old = fake.trigger("Certificate expires", NOON - 160 * DAY)
    ended(fake, NOON - 100 * DAY)
    poller = Poller(fake, NOON - 400 * DAY)
    await poller.poll(NOON)
    fake.acknowledge(old, NOON + MINUTE)
    await poller.poll(NOON + 2 * MINUTE)

    assert poller.incident(old).acknowledged_at == NOON + MINUTE


async def test_a_status_that_nobody_knows_is_open_and_is_looked_at_every_hour_until_it_is_resolved() -> None:
    fake = PagerDuty()
    key = fake.trigger("Disk full", NOON - DAY)
    fake.resolve(key, NOON)
    fake.change(key, NOON, status="pondering")
    poller = Poller(fake)
    await poller.poll(NOON + MINUTE)
    before = poller.incident(key).resolved_at
    fake.change(key, NOON + MINUTE, status="resolved")
    await poller.poll(NOON + 2 * HOUR)

    assert (before, poller.incident(key).resolved_at) == (None, NOON)


async def test_an_incident_that_is_merged_or_becomes_something_else_is_gone() -> None:
    fake = PagerDuty()
    main, part, low = (fake.trigger("Disk full", NOON - number * MINUTE) for number in (1, 2, 3))
    old = fake.trigger("Disk full", NOON - DAY)
    poller = Poller(
        fake,
        requests=(Which(field="priority.summary", match="P5"),),
        not_incidents=(Which(field="urgency", match="low"),),
    )
    await poller.poll(NOON)
    before = {*poller.records}
    fake.merge(part, main, NOON + MINUTE)
    fake.merge(old, main, NOON + MINUTE)
    fake.change(low, NOON + MINUTE, urgency="low", priority={"summary": "P5"})
    await poller.poll(NOON + 2 * MINUTE)

    assert before == {(Incident, key) for key in (main, part, low, old)}
    assert {*poller.records} == {(Incident, main), (Request, low)}
    assert poller.memory["open"]["ids"].keys() == {main, low}


async def test_an_incident_that_may_not_be_seen_any_more_costs_no_other() -> None:
    fake = busy()
    hidden, other = fake.trigger("Payroll", NOON - DAY), fake.trigger("Disk full", NOON - DAY)
    poller = Poller(fake)
    await poller.poll(NOON)
    fake.resolve(hidden, NOON + MINUTE)
    fake.resolve(other, NOON + MINUTE)
    fake.faults.about, fake.faults.after = lambda request: request.path == f"/incidents/{hidden}", 403
    await poller.poll(NOON + 2 * MINUTE)
    first = poller.failed
    quiet = await poller.poll(NOON + 3 * MINUTE)
    fake.faults.after = None
    await poller.poll(NOON + 9 * MINUTE)

    assert len(first) == 1
    assert poller.incident(other).resolved_at == poller.incident(hidden).resolved_at == NOON + MINUTE
    assert quiet == {"/log_entries": 1, "/incidents": 1}
    assert poller.cursor["owed"] == {}


async def test_custom_fields_take_a_request_per_incident_and_are_asked_for_again_where_that_fails() -> None:
    fake = PagerDuty()
    keys = [ended(fake, NOON - number * HOUR) for number in range(1, 6)]
    poller = Poller(fake, paths=("custom_fields.squad",))
    fake.faults.about, fake.faults.after = lambda request: request.path == f"/incidents/{keys[0]}", 500
    asked = await poller.poll(NOON)
    fake.faults.after = None
    owed, again = {*poller.cursor["owed"]}, await poller.poll(NOON + 9 * MINUTE)

    assert asked["/incidents/ID"] == 5
    assert owed == {keys[0]}
    assert {key for _, key in poller.records} == {*keys}
    assert again["/incidents/ID"] < 5
    assert poller.cursor["owed"] == {}


async def test_a_limit_is_obeyed_for_as_long_as_it_says() -> None:
    fake = PagerDuty(limit=1)
    ended(fake, NOON)

    with pytest.raises(RateLimited) as caught:
        await Poller(fake).poll()

    assert timedelta(seconds=50) < caught.value.until - AT < timedelta(seconds=70)


async def test_an_app_gets_its_token_with_scopes_and_one_without_the_scope_is_told_so() -> None:
    fake = PagerDuty()
    key = ended(fake, NOON)
    poller = Poller(fake)
    await poller.poll(auth=app("", "as_account-us.acme", "incidents.read"))
    with pytest.raises(Forbidden):
        await Poller(fake).poll(auth=app("", "as_account-us.acme", "priorities.read"))
    with pytest.raises(AuthFailed, match="a scope is not known there"):
        await Poller(fake).poll(auth=app("", "as_account-eu.acme", "incidents.read"))
    with pytest.raises(AuthFailed):
        await Poller(fake).poll(auth=Auth.bearer(fake.api_key))

    assert {*poller.records} == {(Incident, key)}


async def looked(fake: PagerDuty, **options: Any) -> list[Finding]:
    fake.clock = lambda: AT
    async with TestServer(fake.app()) as server:
        http = HttpSettings(url=str(server.make_url("")), auth=key_of(fake), attempts=1)
        async with Client(http, at=AT, since=SINCE, dialect=needs(pagerduty).dialect) as client:
            return [*await pagerduty.check(client, Options(**options))]


async def test_a_check_of_an_account_on_which_nothing_is_missing_finds_nothing_wrong() -> None:
    found = await looked(account(), teams=("P000012",)) + await looked(account())

    assert [each.what for each in found if each.wrong] == ["incidents"]  # of that team there are none
    assert {each.what for each in found} == {"incidents", "log_entries", "priorities"}


async def test_a_check_names_what_the_credential_needs_and_priorities_that_have_no_severity() -> None:
    fake = account()
    fake.denied = frozenset({"incidents.read"})
    fake.priorities = None
    refused = {each.what: each for each in await looked(fake)}
    named = PagerDuty(priorities=("P1", "Really Bad", "Meh"))
    named.trigger("Disk full", NOON)
    meant = {each.what: each for each in await looked(named, severities={"meh": "sev5"})}

    assert refused["incidents"].text.endswith("an app's token with the scope incidents.read")
    assert {what: each.wrong for what, each in refused.items()} == {
        "incidents": True,
        "log_entries": True,
        "priorities": False,
    }
    assert (meant["priorities"].text, meant["priorities"].wrong) == (
        "add to `severities` what these mean: Really Bad",
        True,
    )


async def test_a_check_sees_where_the_overview_of_the_log_lacks_what_matters() -> None:
    fake = account()
    ended(fake, AT - HOUR)
    fake.quiet |= {"acknowledge_log_entry", "snooze_log_entry"}
    wrong = [each.text for each in await looked(fake) if each.wrong]

    assert [text.partition(";")[0] for text in wrong] == ["the overview of the log lacks acknowledge_log_entry"]


def published() -> Any:
    spec = SPECS / "pagerduty-rest-v2-trimmed.json"
    if not spec.exists():
        pytest.skip("the published description is not beside the checkout")
    return json.loads(spec.read_text())


def test_the_fake_takes_the_parameters_that_are_published_and_all_of_them() -> None:
    spec = published()
    named = spec["components"]["parameters"]
    asked = {
        path: [named[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in its["get"]["parameters"]]
        for path, its in spec["paths"].items()
        if path in PARAMETERS
    }
    queries = {path: {each["name"] for each in its if each["in"] == "query"} for path, its in asked.items()}
    includes = {
        path: {*each["schema"]["items"]["enum"]} if "items" in each["schema"] else {*each["schema"]["enum"]}
        for path, its in asked.items()
        for each in its
        if each["name"] == "include[]"
    }

    assert queries == PARAMETERS
    assert includes == INCLUDES


def test_the_fake_writes_incidents_and_entries_as_they_are_published() -> None:
    schemas, fake = published()["components"]["schemas"], account()
    tag = {"id", "type", "summary", "self", "html_url"}
    incidents = tag | schemas["Incident"]["allOf"][1]["properties"].keys()
    entries = tag | schemas["LogEntry"]["allOf"][1]["properties"].keys()

    assert {name for row in fake.incidents.values() for name in row} - incidents == set()
    assert {name for row in fake.entries for name in row} - entries == set()


def test_the_channels_are_those_that_the_published_description_names() -> None:
    text = published()["components"]["schemas"]["Channel"]["description"]
    words = {*re.findall(r"`(\w+)`", text)} - {"service", "user"}

    assert words == {*CHANNELS}
