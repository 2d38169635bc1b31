"""Zendesk's own ways: the cursor export and its budget, AI agent tickets, merges, spam, and what `check` finds."""

import base64
import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.base.errors import StartOver
from exporter.collect.auth import Auth, ClientCredentials
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import AuthFailed, Client, HttpSettings, NotUnderstood, RateLimited, Unavailable
from exporter.collect.mapping import Which
from exporter.connectors import zendesk
from exporter.connectors.zendesk import Options
from exporter.demo.fakes.zendesk import EXPORT, Zendesk
from exporter.demo.fakes.zendesk_answers import PARAMETERS
from exporter.records import Request
from tests.connectors.truth import rewritten
from tests.connectors.world import AT, SINCE
from tests.figures import totals
from tests.test_truth import SPECS

BEGAN = AT - timedelta(days=9)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class Poller:
    """Polls one account again and again, and stores as the poller does. The account's clock is that of the poll."""

    def __init__(self, account: Zendesk, paths: Collection[str] = (), **options: Any) -> None:
        self.account, self.paths = account, paths
        self.options = Options(**{"page_size": 100, **options})
        self.records: dict[str, Request] = {}
        self.cursor: Any = {}
        self.memory: Any = {}
        self.lacking: list[str] = []
        self.left_out: list[str] = []
        self.app = account.app()

    async def poll(self, at: datetime = AT, auth: Auth | None = None) -> Counter[str]:
        """One poll; how often each resource was asked for."""
        self.account.faults.requests.clear()
        self.account.clock = lambda: at
        async with TestServer(self.account.app() if self.app.frozen else self.app) as server:
            http = settings(server, auth or Auth.bearer(self.account.token))
            dialect = needs(zendesk).dialect
            async with Client(
                http, at=at, since=SINCE, dialect=dialect, memory=self.memory, paths=self.paths
            ) as client:
                async for page in zendesk.poll(client, self.options, self.cursor):
                    self.records |= {read.record.id: read.record for read in page.reads}  # type: ignore[misc]
                    for _, key in page.gone:
                        self.records.pop(key, None)
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                    self.memory = client.memory.changes() or self.memory
                self.lacking = [*client.lacking]
                self.left_out = [fault.text for each in client.left_out() for fault in each.faults]
        assert self.account.misread == []
        return Counter(request.rpartition("/")[2] for request in self.account.faults.requests)

    def __getitem__(self, ticket: int) -> Request:
        return self.records[str(ticket)]


def settings(server: Any, auth: Any) -> HttpSettings:
    return HttpSettings(url=str(server.make_url("")), auth=auth, attempts=1)


async def looked(account: Zendesk, app: web.Application | None = None, **options: Any) -> Sequence[Finding]:
    async with TestServer(app or account.app()) as server:
        http = settings(server, Auth.bearer(account.token))
        async with Client(http, at=AT, since=SINCE, dialect=needs(zendesk).dialect) as client:
            return await zendesk.check(client, Options(**options))


def wrong(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.what: finding.text for finding in findings if finding.wrong}


def desk(count: int, *, apart: timedelta = HOUR) -> tuple[Zendesk, list[int]]:
    """An account with so many tickets, each solved ten minutes after it was opened."""
    account, keys = Zendesk(clock=lambda: AT), []
    for number in range(count):
        at = BEGAN + number * apart
        key = account.open(f"user{number % 50}", at, group="Support")
        account.solve(key, "alice", at + 10 * MINUTE)
        keys.append(key)
    return account, keys


async def test_five_hundred_tickets_take_five_exports_of_a_hundred_and_a_quiet_poll_takes_one_request() -> None:
    account, keys = desk(500, apart=MINUTE)  # with more it would wait for the next minute of exports
    poller = Poller(account)
    first = await poller.poll()
    quiet = await poller.poll(AT + MINUTE)
    hourly = await poller.poll(AT + 2 * HOUR)

    assert first == {"groups": 1, "ticket_fields": 1, "export": 1, "cursor": 1 + 5}
    assert len(poller.records) == len(keys)
    assert quiet == {"cursor": 1}
    assert hourly == {"groups": 1, "ticket_fields": 1, "cursor": 1, "show_many": 1}


async def test_what_changed_in_the_last_minute_comes_with_the_next_poll() -> None:
    account, _ = desk(1)
    late = account.open("user", AT - timedelta(seconds=30))
    poller = Poller(account)
    await poller.poll()
    before = str(late) in poller.records
    await poller.poll(AT + MINUTE)

    assert (before, str(late) in poller.records) == (False, True)


async def test_a_change_that_only_the_system_made_is_seen() -> None:
    account, [key] = desk(1)
    poller = Poller(account)
    await poller.poll()
    updated_at = account.tickets[key]["updated_at"]
    account.rate(key, "good", AT)
    account.tickets[key]["updated_at"] = updated_at
    await poller.poll(AT + HOUR)

    assert poller[key].csat == 1.0


async def test_a_ticket_that_changes_while_it_is_exported_is_read_in_its_last_state() -> None:
    account, keys = desk(6)
    app = account.app()

    def reopened(body: dict[str, Any]) -> None:
        if keys[0] in [row["id"] for row in body["tickets"]]:
            account.move(keys[0], "open", AT - HOUR)

    poller = Poller(account, page_size=2)
    poller.app = rewritten(app, "/cursor", reopened)
    await poller.poll()

    assert [poller[key].outcome for key in keys] == ["open", *["resolved"] * 5]


async def test_an_empty_page_in_the_middle_ends_nothing() -> None:
    account, keys = desk(4)
    pages = list[dict[str, Any]]()

    def emptied(body: dict[str, Any]) -> None:
        pages.append(body)
        if len(pages) == 2:  # the place is that of the page before, written otherwise
            place = base64.b64decode(pages[0]["after_cursor"]).replace(b".0|", b".00|")
            body |= {"tickets": [], "metric_sets": [], "after_cursor": base64.b64encode(place).decode()}

    poller = Poller(account, page_size=1, ai_first=())
    poller.app = rewritten(account.app(), "/cursor", emptied)
    await poller.poll()

    assert len(pages) == 5
    assert {str(key) for key in keys} == poller.records.keys()


async def test_a_conversation_that_the_ai_agent_ends_is_claimed_and_automations() -> None:
    account = Zendesk()
    key = account.converse("user", BEGAN)
    poller = Poller(account)
    await poller.poll()
    before = poller[key].outcome, poller[key].handled_by
    account.close(key, AT)
    await poller.poll(AT + HOUR)
    found = poller[key]

    assert before == ("open", None)
    assert (found.outcome, found.handled_by, found.claimed_resolved) == ("resolved", "automation", True)
    assert (found.resolved_at, found.closed_at, found.human_seconds) == (AT, AT, 0.0)


async def test_a_conversation_that_the_ai_agent_hands_over_is_escalated_and_stays_so() -> None:
    account = Zendesk()
    key = account.converse("user", AT - HOUR)
    poller = Poller(account)
    await poller.poll()
    account.hand_over(key, "Support", AT + MINUTE)
    await poller.poll(AT + 5 * MINUTE)
    seen = poller[key]
    account.solve(key, "alice", AT + 30 * MINUTE)
    await poller.poll(AT + HOUR)
    solved = poller[key]
    account.close(key, AT + DAY)
    await poller.poll(AT + 2 * DAY)
    closed = poller[key]

    assert (seen.escalated_at, seen.handled_by, seen.self_service) == (AT + MINUTE, None, True)
    assert (solved.escalated_at, solved.handled_by, solved.claimed_resolved) == (AT + MINUTE, "assisted", False)
    assert (closed.escalated_at, closed.handled_by) == (AT + MINUTE, "assisted")


async def test_a_hand_over_that_was_seen_late_was_when_a_person_took_the_conversation() -> None:
    account = Zendesk()
    key = account.converse("user", AT - HOUR)
    poller = Poller(account)
    await poller.poll()
    account.hand_over(key, "Support", AT + MINUTE)
    account.assign(key, "alice", AT + 2 * MINUTE)
    account.reply(key, AT + 9 * MINUTE)
    await poller.poll(AT + HOUR)

    assert poller[key].escalated_at == AT + 2 * MINUTE
    assert poller[key].first_response_at == AT + 9 * MINUTE


async def test_a_hand_over_that_nobody_saw_is_known_from_the_conversations_of_the_ai_agent_before_it() -> None:
    account = Zendesk()
    before = account.open("user", BEGAN - DAY, channel="native_messaging")
    account.solve(before, "alice", BEGAN - HOUR)
    account.close(account.converse("user", BEGAN), BEGAN + HOUR)
    key = account.converse("user", AT - HOUR)
    account.hand_over(key, "Support", AT - 50 * MINUTE)
    account.solve(key, "alice", AT - 40 * MINUTE)
    poller = Poller(account)
    await poller.poll()
    account.tickets.pop(102)  # however far back the exports go
    account.rate(key, "good", AT + DAY)
    await poller.poll(AT + 2 * DAY)

    assert (poller[before].handled_by, poller[before].escalated_at) == ("human", None)
    assert (poller[key].handled_by, poller[key].csat, poller[key].escalated_at) == ("assisted", 1.0, AT - 40 * MINUTE)


async def test_where_an_ai_agent_answers_is_learnt_from_all_of_its_tickets_and_asked_for_once() -> None:
    account = Zendesk()
    for number in range(101):  # more than are asked for at first
        account.converse("user", BEGAN + number * MINUTE)
    social = account.converse("user", BEGAN + 2 * HOUR, channel="whatsapp", from_messaging_channel=True)
    keys = []
    for channel in ("native_messaging", "whatsapp", "telegram"):
        keys.append(account.open("user", AT - DAY, channel=channel, from_messaging_channel=True))
        account.solve(keys[-1], "alice", AT - HOUR)
    poller = Poller(account)
    first = await poller.poll()
    again = await poller.poll(AT + 2 * HOUR)
    account.close(social, AT + 3 * HOUR)
    account.rate(keys[1], "good", AT + 4 * HOUR)
    await poller.poll(AT + 5 * HOUR)

    assert (first["cursor"], again["cursor"]) == (1 + 2, 1)
    assert [poller[key].handled_by for key in keys] == ["assisted", "assisted", "human"]
    assert poller[keys[1]].csat == 1.0


async def test_tickets_that_nobody_answered_and_a_rule_closed_are_not_deflected(tmp_path: Path) -> None:
    """As those from addresses that are never read, or of a backlog that is given up. Two of four are automation's."""
    account, _ = desk(1, apart=DAY)
    account.close(account.converse("user", AT - DAY), AT - HOUR)
    account.close(account.open("robot", AT - DAY), AT - HOUR)
    account.move(account.open("robot", AT - DAY), "solved", AT - HOUR)
    account.solve(account.open("ann", AT - DAY), "alice", AT - HOUR)
    poller = Poller(account)
    await poller.poll()
    kpis = ("deflection_ratio", "self_service_completion_ratio")
    found = totals(tmp_path, [*poller.records.values()], AT, kpis)

    assert found == {"deflection_ratio": (2, 4), "self_service_completion_ratio": (1, 1)}


async def test_only_so_many_ai_agent_tickets_are_remembered_and_none_that_is_closed() -> None:
    account = Zendesk()
    keys = [account.converse("user", BEGAN) for _ in range(3)]
    poller = Poller(account)
    await poller.poll()
    before = poller.memory["ai_agent"]
    account.close(keys[0], AT)
    await poller.poll(AT + HOUR)

    assert before == {str(key): None for key in keys}
    assert poller.memory["ai_agent"] == {str(key): None for key in keys[1:]}


async def test_a_ticket_that_is_merged_is_discarded_and_the_other_one_is_not() -> None:
    account, [kept] = desk(1)
    twice = account.open("user0", BEGAN)
    poller = Poller(account)
    await poller.poll()
    before = poller[twice].outcome
    account.merge(twice, kept, AT)
    await poller.poll(AT + HOUR)

    assert (before, poller[twice].outcome, poller[kept].outcome) == ("open", "discarded", "resolved")


async def test_what_is_deleted_or_marked_as_spam_is_gone_and_comes_back_when_it_is_restored() -> None:
    account, keys = desk(3)
    row, metrics = dict(account.tickets[keys[0]]), dict(account.metric_sets[keys[0]])
    poller = Poller(account)
    await poller.poll()
    account.delete(keys[0], AT)
    account.delete(account.open("spammer", AT), AT + MINUTE)
    await poller.poll(AT + HOUR)
    without = {*poller.records}
    account.tickets[keys[0]], account.metric_sets[keys[0]] = row, metrics
    account.change(keys[0], AT + 2 * HOUR)
    await poller.poll(AT + 3 * HOUR)

    assert without == {str(key) for key in keys[1:]}
    assert poller[keys[0]].outcome == "resolved"


async def test_many_that_are_deleted_at_once_are_not_missed_as_after_a_restore() -> None:
    account, keys = desk(12)
    poller = Poller(account)
    await poller.poll()
    for key in keys[3:]:
        account.delete(key, AT)
    await poller.poll(AT + 2 * HOUR)

    assert poller.records.keys() == {str(key) for key in keys[:3]}


async def test_what_has_been_open_since_before_the_history_is_in_the_backlog() -> None:
    account, keys = desk(1)
    keys += [account.open(f"user{number}", SINCE - timedelta(days=number)) for number in range(2, 130)]
    late = account.open("user", SINCE - timedelta(hours=1))  # on the day on which the history begins, somewhere
    account.solve(account.open("user", SINCE - 9 * DAY), "alice", SINCE - 8 * DAY)
    poller = Poller(account)
    asked = await poller.poll()
    again = await poller.poll(AT + MINUTE)

    assert poller.records.keys() == {str(key) for key in (*keys, late)}
    assert poller[keys[1]].updated_at == SINCE - 2 * DAY
    assert (asked["export"], asked["show_many"], asked["cursor"]) == (2, 2, 1 + 1)
    assert again == {"cursor": 1}


async def test_neither_ai_agent_tickets_nor_what_may_be_archived_bear_witness() -> None:
    account, keys = desk(2)
    for _ in range(12):
        account.converse("user", AT - HOUR)
    poller = Poller(account)
    await poller.poll()
    chats = await poller.poll(AT + 2 * HOUR)
    account.tickets.clear()  # of what has not changed for so long nothing need be shown
    later = await poller.poll(AT + 120 * DAY)

    assert poller.cursor["recent"].keys() == {str(key) for key in keys}
    assert (chats["show_many"], later["show_many"]) == (1, 0)


async def test_an_account_that_is_another_one_is_read_anew() -> None:
    account, _ = desk(12)
    poller = Poller(account)
    await poller.poll()
    account.tickets.clear()
    account.last_ticket = 100
    account.open("user", AT)
    with pytest.raises(StartOver, match="of the 10 newest tickets"):
        await poller.poll(AT + 2 * HOUR)


async def test_a_note_for_agents_is_no_response_and_no_reply() -> None:
    account = Zendesk()
    key = account.open("user", BEGAN)
    account.reply(key, BEGAN + 5 * MINUTE, public=False)
    poller = Poller(account)
    await poller.poll()
    before = poller[key].first_response_at, poller[key].replies
    account.solve(key, "alice", AT)
    await poller.poll(AT + HOUR)

    assert before == (None, 0)
    assert (poller[key].first_response_at, poller[key].replies) == (AT, 1)


async def test_a_ticket_that_is_open_again_is_not_solved_though_it_once_was() -> None:
    account, [key] = desk(1)
    account.move(key, "open", BEGAN + HOUR)
    poller = Poller(account)
    await poller.poll()
    open_again = poller[key]
    account.move(key, "pending", BEGAN + 2 * HOUR)
    account.move(key, "hold", BEGAN + 3 * HOUR)
    account.solve(key, "alice", BEGAN + 5 * HOUR)
    account.tickets[key]["generated_timestamp"] = int(AT.timestamp())
    await poller.poll(AT + HOUR)
    solved = poller[key]

    assert account.metric_sets[key]["solved_at"]
    assert (open_again.resolved_at, open_again.outcome, open_again.reopen_count) == (None, "open", 1)
    assert (solved.resolved_at, solved.on_hold_seconds) == (BEGAN + 5 * HOUR, 3 * 3600.0)


async def test_the_exports_have_a_budget_of_their_own_and_a_refusal_says_until_when() -> None:
    account, keys = desk(9)
    account.exports_left = 4
    poller = Poller(account, page_size=2)
    with pytest.raises(RateLimited, match="cursor: HTTP 429") as caught:
        await poller.poll()
    stored = len(poller.records)
    account.exports_left = 10
    asked = await poller.poll(AT + MINUTE)

    assert timedelta(seconds=40) < caught.value.until - AT < timedelta(seconds=60)
    assert stored == 6
    assert asked["cursor"] == 2
    assert len(poller.records) == len(keys)
    assert [(each.paths, each.requests, each.seconds) for each in zendesk.BUDGETS] == [
        (("/api/v2/incremental/",), 10, 60),
        (("/api/v2/search/export",), 100, 60),
    ]


async def test_a_target_that_is_met_after_all_was_not_missed() -> None:
    account = Zendesk()
    keys = [account.open("user", BEGAN) for _ in range(2)]
    events = [account.breach(key, BEGAN, AT + HOUR) for key in keys]
    poller = Poller(account, slas=True)
    first = await poller.poll()
    account.meet(events[0], AT + MINUTE)
    for key in keys:
        account.solve(key, "alice", AT + 2 * HOUR)
    await poller.poll(AT + 3 * HOUR)
    solved = [poller[key].sla_breached for key in keys]
    for key in keys:
        account.close(key, AT + DAY)
    asked = await poller.poll(AT + 2 * DAY)
    account.metric_events.clear()
    quiet = await poller.poll(AT + 2 * DAY + MINUTE)

    assert first["ticket_metric_events"] == asked["ticket_metric_events"] == 1
    assert solved == [poller[key].sla_breached for key in keys] == [False, True]
    assert quiet == {"ticket_metric_events": 1, "cursor": 1}


async def test_of_more_breaches_than_are_remembered_the_oldest_are_unknown_and_not_taken_for_kept() -> None:
    account, keys = desk(3)
    account.breach(keys[0], BEGAN - HOUR, BEGAN)
    for number in range(-20_000, 0):  # of tickets that are not exported any more
        account.breach(number, BEGAN, BEGAN)
    account.breach(keys[2], BEGAN + HOUR, BEGAN)
    account.events_at_once = 50_000
    poller = Poller(account, slas=True)
    await poller.poll()
    at_first = [poller[key].sla_breached for key in keys]
    for key in keys:
        account.close(key, AT)
    late = account.open("user", AT)
    await poller.poll(AT + HOUR)

    assert at_first == [True, False, True]
    assert [poller[key].sla_breached for key in (*keys, late)] == [None, False, True, False]


async def test_a_second_with_more_events_than_a_page_holds_is_passed_over_and_told_of() -> None:
    account, keys = desk(6)
    account.events_at_once = 2
    for number, key in enumerate(keys):
        account.breach(key, BEGAN + max(0, number - 3) * MINUTE, BEGAN)
    poller = Poller(account, slas=True)
    asked = await poller.poll()

    assert asked["ticket_metric_events"] == 3
    assert [poller[key].sla_breached for key in keys] == [True, True, False, False, True, True]
    assert poller.left_out == ["the platform shows no more than 2 events of one second"]


async def test_where_events_may_not_be_read_breaches_are_unknown_and_the_rest_is_not() -> None:
    account, [key] = desk(1)
    account.lacking = frozenset({"ticket_metric_events"})
    poller = Poller(account, slas=True)
    await poller.poll()

    assert poller.lacking == ["slas"]
    assert (poller[key].sla_breached, poller[key].outcome) == (None, "resolved")
    assert "slas" in wrong(await looked(account, slas=True))
    assert (await Poller(account).poll())["ticket_metric_events"] == 0


async def test_brands_and_forms_are_asked_for_only_where_the_config_looks_at_them() -> None:
    account, _ = desk(1)
    plain = await Poller(account, ["group.name"]).poll()
    both = await Poller(account, ["brand.name", "ticket_form.name", "custom.Topic"]).poll()
    which: Any = [Which(field="brand.name", match="Test")]
    chosen = [
        await Poller(account, **{option: which}).poll()
        for option in ("ai_first", "automated", "claimed", "escalated", "discarded")
    ]

    usual = {"groups": 1, "ticket_fields": 1, "export": 1, "cursor": 1 + 1}
    assert plain == usual
    assert both == {**usual, "brands": 1, "ticket_forms": 1}
    assert chosen == [{**usual, "brands": 1, "cursor": 1}, *[{**usual, "brands": 1}] * 4]


async def test_a_list_of_names_that_may_not_be_read_is_named_at_every_poll_and_asked_for_once_an_hour() -> None:
    account, [key] = desk(1)
    account.lacking = frozenset({"groups"})
    poller = Poller(account)
    await poller.poll()
    asked = await poller.poll(AT + MINUTE)

    assert poller[key].outcome == "resolved"
    assert poller.lacking == ["groups"]
    assert asked == {"cursor": 1}


async def test_tokens_are_had_with_the_secret_of_a_client_and_are_good_for_reading_alone() -> None:
    account, keys = desk(2)
    async with TestServer(account.app()) as server:
        url, (name, secret) = str(server.make_url(zendesk.AUTH.token_url)), account.client
        grant = ClientCredentials(url=url, client_id=name, secret=secret, scheme=zendesk.AUTH)

        async def read(*parameters: tuple[str, str]) -> list[str]:
            its = ClientCredentials(**{**vars(grant), "parameters": parameters})
            async with Client(settings(server, its), at=AT, since=SINCE, dialect=needs(zendesk).dialect) as client:
                return [read.record.id async for page in zendesk.poll(client, Options(), {}) for read in page.reads]

        found = await read(("scope", "read"))
        with pytest.raises(AuthFailed, match="the token lacks the scope read"):
            await read(("scope", "tickets:reed"))

    assert found == [str(key) for key in keys]


async def test_an_api_token_lets_in_while_the_account_has_one() -> None:
    account, [key] = desk(1)
    token = Auth.basic("ops@acme.example/token", "s3cret")
    with pytest.raises(AuthFailed):
        await Poller(account).poll(auth=token)
    account.basic = ("ops@acme.example/token", "s3cret")
    poller = Poller(account)
    await poller.poll(auth=token)

    assert poller.records.keys() == {str(key)}


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (403, {"error": {"title": "Forbidden", "message": "restricted"}}, AuthFailed, "the user is no admin"),
        (
            403,
            {"error": "Forbidden", "description": "Missing the following required scopes: read"},
            AuthFailed,
            "scope",
        ),
        (404, {"error": {"title": "No help desk at x.zendesk.com"}}, NotUnderstood, "is the url right"),
        (404, {"error": "RecordNotFound", "description": "Not found"}, Exception, "nothing is there"),
        (409, {"error": "Conflict"}, Unavailable, "again a little later"),
        (400, {"error": "StartTimeTooRecent", "description": "Too recent"}, Unavailable, "again a little later"),
        (422, {"error": "StartTimeTooRecent", "description": "Too recent"}, Unavailable, "again a little later"),
        (422, {"error": "RecordInvalid", "description": "start_time"}, NotUnderstood, "rejects"),
        (400, {"error": "InvalidValue", "description": "Invalid cursor"}, StartOver, "not valid any more"),
        (400, {"error": "InvalidValue", "description": "start_time"}, NotUnderstood, "rejects"),
        (503, {"error": "maintenance"}, Unavailable, "503"),
    ],
)
async def test_a_refusal_means_what_zendesk_means_by_it(
    status: int, body: Any, error: type[Exception], text: str
) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    async with TestServer(app) as server:
        http = settings(server, Auth.bearer("token"))
        async with Client(http, at=AT, since=SINCE, dialect=needs(zendesk).dialect) as client:
            with pytest.raises(error, match=text):
                await client.ask(EXPORT)


async def test_a_check_of_an_account_on_which_nothing_is_missing_finds_nothing_wrong() -> None:
    account, _ = desk(2)
    account.id_of("ticket_fields", "Total time spent (sec)")
    account.converse("user", BEGAN)
    findings = await looked(account)

    assert [(each.what, each.text) for each in findings] == [
        ("tickets", "the first page is read"),
        ("groups", "the first page is read"),
    ]
    assert wrong(findings) == {}
    assert account.misread == []


async def test_a_check_says_what_stays_unknown_without_being_wrong() -> None:
    account, _ = desk(2)
    findings = await looked(account, time_field="Minutes")
    nothing = await looked(Zendesk())

    assert {each.what for each in findings} == {"tickets", "AI agent tickets", "groups", "ticket fields"}
    assert "no field is called Minutes" in findings[-1].text
    assert [each.text for each in nothing if each.what == "tickets"] == ["there are none since then"]
    assert wrong(findings) == wrong(nothing) == {}


async def test_a_check_names_the_role_the_scope_and_the_lists_that_are_missing() -> None:
    agent, _ = desk(2)
    agent.role, agent.lacking = "agent", frozenset({"groups", "ticket_fields"})
    scope, _ = desk(1)
    scope.scopes = frozenset({"tickets:read"})
    bare, _ = desk(1)
    bare.metric_sets.clear()
    found, lacks = wrong(await looked(agent)), wrong(await looked(scope))

    assert found["user"] == "its role is agent; Zendesk gives exports to admins alone"
    assert "the role Admin for the user who owns the OAuth client, and the scope read" in found["tickets"]
    assert found.keys() == {"user", "tickets", "groups", "ticket fields"}
    assert all("the scope read" in text for text in lacks.values())
    assert lacks.keys() == {"user", "tickets", "groups", "ticket fields"}
    assert "no metric set comes with the tickets" in wrong(await looked(bare))["tickets"]


async def test_the_fake_hides_ai_agent_tickets_unless_they_are_asked_for() -> None:
    account, [key] = desk(1)
    chat = account.converse("user", BEGAN)
    question, auth, server = (
        {"start_time": int(SINCE.timestamp())},
        Auth.bearer(account.token),
        TestServer(account.app()),
    )
    async with server, Client(settings(server, auth), at=AT, since=SINCE) as client:
        usual = await client.get(EXPORT, question)
        every = await client.get(EXPORT, {**question, "support_type_scope": "all"})

    assert [row["id"] for row in usual["tickets"]] == [key]
    assert {row["id"] for row in every["tickets"]} == {key, chat}


def published() -> Any:
    spec = SPECS / "zendesk-support-trimmed.json"
    if not spec.exists():
        pytest.skip(f"{spec.name} is not beside the checkout")
    return json.loads(spec.read_text())


@pytest.mark.parametrize("path", PARAMETERS)
def test_the_fake_takes_only_parameters_that_are_published(path: str) -> None:
    document = published()
    found = document["paths"][f"/api/v2/{path}"]
    names = set()
    for each in (*found.get("parameters", ()), *found["get"].get("parameters", ())):
        its = document["components"]["parameters"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        names |= {"page[size]", "page[after]", "page[before]"} if its["name"] == "page" else {its["name"]}
    beyond = {"per_page", "include"} if path.endswith("cursor") else set()
    paged = {"page[size]", "page[after]", "page[before]"}

    assert {*PARAMETERS[path]} - paged - {"include", "exclude_deleted"} <= names | beyond


@pytest.mark.parametrize(("schema", "made"), [("TicketObject", "tickets"), ("TicketMetricObject", "metric_sets")])
def test_the_fake_writes_only_what_is_published(schema: str, made: str) -> None:
    account, [key] = desk(1)
    row = getattr(account, made)[key]

    assert row.keys() <= published()["components"]["schemas"][schema]["properties"].keys()
