"""What incidents of PagerDuty are: as its API writes them with their log, and the records they must become."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.pagerduty.mapping import KINDS, MERGED, RESOLVED, ROLES
from exporter.demo.fakes.pagerduty import PagerDuty
from exporter.records import Incident, Record, Request
from exporter.records.columns import Rule
from tests.connectors.truth import NO_TIME, Enum, Truth, hashed, rewritten
from tests.connectors.world import SINCE

SPEC, TYPE = "pagerduty-rest-v2-trimmed.json", "allOf/1/properties/type/enum"
ENUMS = (
    Enum(SPEC, "components/schemas/Incident/allOf/1/properties/status/enum", RESOLVED),
    Enum(SPEC, "components/schemas/ResolveReason/properties/type/enum", MERGED),
    Enum(SPEC, f"components/schemas/LogEntry/{TYPE}", KINDS),
    Enum(SPEC, f"components/schemas/AgentReference/{TYPE}", ROLES),
)
TECHNICAL = {"page_size", "overlap_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
TITLE = "Disk 93% full"
Row = dict[str, Any]


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def t(minute: float) -> str:
    return f"{at(minute):%Y-%m-%dT%H:%M:%SZ}"


def named(kind: str, key: str, name: str) -> Row:
    return {"id": key, "type": f"{kind}_reference", "summary": name, "self": None, "html_url": None}


SHOP = named("service", "PSHOP", "Shop")
ANA, BOT = named("user", "PANA", "Ana"), named("user", "PBOT", "Robot")


def item(number: int, status: str = "resolved", **columns: Any) -> Row:
    """An incident of noon. That it is open again takes nothing off the time of its end, to be on the safe side."""
    return {
        "id": f"Q{number:02}",
        "type": "incident",
        "html_url": f"https://acme.pagerduty.com/incidents/Q{number:02}",
        "incident_number": number,
        "title": TITLE,
        "created_at": t(0),
        "updated_at": t(50),
        "status": status,
        "incident_key": None,
        "service": SHOP,
        "last_status_change_at": t(40),
        "resolved_at": t(40),
        "incident_type": {"name": "incident_default"},
        "teams": [],
        "acknowledgements": [],
        "priority": None,
        "resolve_reason": None,
        "urgency": "high",
        **columns,
    }


def act(number: int, minute: float, kind: str, agent: Row | None = ANA, channel: str = "website") -> Row:
    """An entry of the log."""
    return {
        "id": f"R{number:02}{minute:03}{kind}{channel}",
        "type": f"{kind}_log_entry",
        "created_at": t(minute),
        "agent": agent,
        "channel": {"type": channel},
        "incident": {"id": f"Q{number:02}", "type": "incident_reference"},
        "teams": [],
    }


def event(number: int, minute: float, kind: str, channel: str = "api") -> Row:
    return act(number, minute, kind, SHOP, channel)


def truth(what: str, rows: Sequence[Row], records: Sequence[Record], log: Sequence[Row] = (), **more: Any) -> Truth:
    fake = more.pop("fake", None) or PagerDuty()
    fake.incidents |= {str(row["id"]): row for row in rows}
    fake.entries.extend(log)
    app = fake.app()
    for path, change in more.pop("rewritten", {}).items():
        rewritten(app, path, change)
    return Truth(what=what, app=app, secret=("api_key", fake.api_key), records=records, **more)


DIGEST = "PSHOP 01e0d4b84ec58e5a"


def common(number: int, columns: Row) -> Row:
    usual = {
        "reference": str(number),
        "url": f"https://acme.pagerduty.com/incidents/Q{number:02}",
        "updated_at": at(50),
        "opened_at": NOON,
    }
    return {**usual, **columns}


def incident(number: int, **columns: Any) -> Incident:
    """An incident that was resolved at the fortieth minute, nobody knows by whom."""
    usual = {"detected_at": NOON, "resolved_at": at(40), "service": "Shop", "recurrence_key": DIGEST}
    return Incident(id=f"Q{number:02}", **{**common(number, usual), **columns})


def request(number: int, **columns: Any) -> Request:
    usual = {
        "kind": "ticket",
        "resolved_at": at(40),
        "outcome": "resolved",
        "priority": "high",
        "reopen_count": 0,
        "self_service": False,
    }
    return Request(id=f"Q{number:02}", **{**common(number, usual), **columns})


ASKED = {
    "requests": ({"field": "urgency", "match": "high"},),
    "not_incidents": ({"field": "urgency", "match": "high"},),
}
"""Every incident is a request, and nothing else."""
ROBOT: Row = {"handled_by": "automation", "self_service": True, "human_seconds": 0.0}


def truths(_folder: Path) -> Iterator[Truth]:
    """Those first that notice most words: the others need not be looked at then."""
    yield log_words()
    yield channels()
    yield severities()
    for bit in (1, 2, 4, 8):
        yield what_is_mapped(bit)
    yield states()
    yield handlers()
    yield remediation()
    yield acknowledgements()
    yield turns_of_requests()
    yield severities_of_an_account()
    yield priorities_of_requests()
    yield recurrence()
    yield columns()
    yield which_are_what()
    yield custom_fields()
    yield teams()
    yield older_ones()
    yield what_is_not_read()
    yield what_cannot_be_read()


def log_words() -> Truth:
    """Every type of entry and of agent is known, and but four mean nothing to us."""
    kinds = [kind.removesuffix("_log_entry") for kind in KNOWN_KINDS]
    silent = [kind for kind in kinds if kind not in ("trigger", "acknowledge", "escalate", "resolve")]
    log = [act(1, number, kind) for number, kind in enumerate(silent, 3)]
    log += [act(2, 1, "trigger"), act(2, 2, "escalate"), act(2, 3, "acknowledge"), act(2, 40, "resolve")]
    integration = named("integration", "PINT", "Mail")
    log += [event(3, 40, "resolve"), act(4, 40, "resolve", integration, "email"), act(5, 9, "acknowledge", None)]
    log += [{**act(2, 4, "snooze"), "channel": None}]
    log += [act(6, 9, "ponder"), act(6, 10, "acknowledge", named("pigeon", "P1", "Coo"))]
    records = [
        request(1),
        request(
            2,
            first_response_at=at(3),
            escalated_at=at(2),
            channel="web",
            handled_by="human",
            requester=hashed("PANA"),
        ),
        request(3, **ROBOT, first_response_at=at(40)),
        request(4, **ROBOT, first_response_at=at(40)),
        request(5),
        request(6),
    ]
    left_out = [
        f"log_entries: 'ponder_log_entry' is none of {', '.join(KNOWN_KINDS)}",
        "log_entries: 'pigeon_reference' is none of user_reference, service_reference, integration_reference",
    ]
    rows = [item(number) for number in range(1, 7)]
    return truth("the log", rows, records, log, options=ASKED, left_out=left_out, fake=PagerDuty(quiet=set()))


KNOWN_KINDS = (
    *("trigger_log_entry", "acknowledge_log_entry", "escalate_log_entry", "resolve_log_entry"),
    *("annotate_log_entry", "assign_log_entry", "delegate_log_entry", "exhaust_escalation_path_log_entry"),
    *("notify_log_entry", "reach_ack_limit_log_entry", "reach_trigger_limit_log_entry"),
    *("repeat_escalation_path_log_entry", "snooze_log_entry", "unacknowledge_log_entry"),
    *("urgency_change_log_entry", "field_value_change_log_entry", "custom_field_value_change_log_entry"),
)


def channels() -> Truth:
    words = {"auto": "api", "api": "api", "nagios": "api", "timeout": "other", "email": "email", "sms": "phone"}
    words |= {"website": "web", "web_trigger": "web", "note": "other"}
    log = [event(number, 0, "trigger", word) for number, word in enumerate([*words, "carrier pigeon"], 1)]
    records = [request(number, channel=ours) for number, ours in enumerate([*words.values(), None], 1)]
    left_out = [f"channel: 'carrier pigeon' is none of {', '.join(words)}"]
    rows = [item(number) for number in range(1, len(log) + 1)]
    return truth("channels", rows, records, log, options=ASKED, left_out=left_out)


def ranked(number: int, name: str | None) -> Row:
    return item(number, priority=named("priority", "P1", name) if name else None)


def severities() -> Truth:
    """As priorities are mostly called; the urgency of an incident without one says nothing by itself."""
    ranks = {"P1": 1, "P2": 2, "P3": 3, "P4": 4, "P5": 5, "SEV-1": 1, "Sev 2": 2, "sev_3": 3, "SEV4": 4, "sev5": 5}
    rows = [ranked(number, name) for number, name in enumerate([*ranks, "Apocalypse", None], 1)]
    rows.append(item(13, priority={"id": "P1", "name": "P2"}))
    records = [incident(number, severity=f"sev{rank}") for number, rank in enumerate(ranks.values(), 1)]
    records += [incident(11), incident(12), incident(13, severity="sev2")]
    known = ", ".join([*(f"p{rank}" for rank in range(1, 6)), *(f"sev{rank}" for rank in range(1, 6))])
    return truth("severities", rows, records, left_out=[f"severity: 'Apocalypse' is none of {known}"])


def severities_of_an_account() -> Truth:
    own = {"Really Bad": "sev1", "P5": "sev3", "low": "sev4", "High": "sev2"}
    rows = [ranked(1, "really bad"), ranked(2, "P5"), ranked(3, "P4"), ranked(4, None)]
    rows += [item(5, urgency="low"), item(6, urgency=None)]
    ranks = [1, 3, 4, 2, 4]
    records = [incident(number, severity=f"sev{rank}") for number, rank in enumerate(ranks, 1)]
    return truth("severities of an account", rows, [*records, incident(6)], options={"severities": own})


def priorities_of_requests() -> Truth:
    rows = [ranked(1, "P1"), item(2, urgency="high"), item(3, priority={"id": "P1", "name": "Soon"})]
    records = [request(1, priority="P1"), request(2), request(3, priority="Soon")]
    return truth("priorities of requests", rows, records, options=ASKED)


def states() -> Truth:
    """Only what is resolved has ended, whatever its times say."""
    rows = [
        item(1, "triggered"),
        item(2, "acknowledged"),
        item(3, "resolved"),
        item(4, "resolved", resolved_at=None),
        item(5, "resolved", resolved_at=None, last_status_change_at=None),
        item(6, "pondering"),
    ]
    records = [
        incident(1, resolved_at=None),
        incident(2, resolved_at=None),
        incident(3),
        incident(4),
        incident(5, resolved_at=None),
        incident(6, resolved_at=None),
    ]
    return truth("states", rows, records, left_out=["item: 'pondering' is none of triggered, acknowledged, resolved"])


def robot(number: int, minute: float, kind: str) -> Row:
    return act(number, minute, kind, BOT, "api")


def handlers() -> Truth:
    """Who acknowledged or resolved it; what happens because nobody has is nobody's act."""
    answered, ended = {"first_response_at": at(5)}, {"first_response_at": at(40)}
    both: Row = {"handled_by": "assisted", "self_service": None}
    human: Row = {"handled_by": "human"}
    opened: Row = {"outcome": "open", "resolved_at": None}
    late: Row = {"outcome": "abandoned", "resolved_at": None, "abandoned_at": at(40)}
    cases: list[tuple[str, list[Any], Row]] = [
        ("resolved", [], {}),
        ("resolved", [act(0, 40, "resolve")], {**human, **ended}),
        ("resolved", [act(0, 5, "acknowledge"), act(0, 40, "resolve")], {**human, **answered}),
        ("resolved", [event(0, 40, "resolve")], {**ROBOT, **ended}),
        ("resolved", [event(0, 5, "acknowledge"), event(0, 40, "resolve")], {**ROBOT, **answered}),
        ("resolved", [act(0, 5, "acknowledge"), event(0, 40, "resolve")], {**both, **answered}),
        ("resolved", [event(0, 5, "acknowledge"), act(0, 40, "resolve")], {**both, **ended}),
        ("resolved", [robot(0, 40, "resolve")], {**ROBOT, **ended}),
        ("resolved", [act(0, 40, "resolve", named("user", "P77", "Nightly job"))], {**ROBOT, **ended}),
        ("resolved", [robot(0, 5, "acknowledge"), act(0, 40, "resolve")], {**both, **ended}),
        ("resolved", [event(0, 40, "resolve", "timeout")], late),
        ("resolved", [act(0, 5, "acknowledge"), event(0, 40, "resolve", "timeout")], {**human, **answered, **late}),
        ("resolved", [robot(0, 5, "acknowledge"), event(0, 40, "resolve", "timeout")], late),
        (
            "resolved",
            [event(0, 20, "resolve"), event(0, 25, "trigger"), event(0, 40, "resolve", "timeout")],
            {**late, "reopen_count": 1, "channel": "api"},
        ),
        (
            "resolved",
            [event(0, 20, "resolve", "timeout"), event(0, 40, "resolve")],
            {**ROBOT, **ended, "reopen_count": 1},
        ),
        ("acknowledged", [act(0, 5, "acknowledge")], {**human, **answered, **opened}),
        ("acknowledged", [event(0, 5, "acknowledge")], opened),
        ("triggered", [event(0, 5, "resolve")], {**opened, "reopen_count": 1}),
        ("triggered", [event(0, 5, "resolve", "timeout")], {**opened, "reopen_count": 1}),
        ("triggered", [], opened),
    ]
    rows = [item(number, status) for number, (status, _, _) in enumerate(cases, 1)]
    log = [
        {**each, "id": f"R{number}-{position}", "incident": {"id": f"Q{number:02}"}}
        for number, (_, acts, _) in enumerate(cases, 1)
        for position, each in enumerate(acts)
    ]
    records = [request(number, **columns) for number, (_, _, columns) in enumerate(cases, 1)]
    options = {**ASKED, "automation_users": ("PBOT", "Nightly job")}
    return truth("who handled a request", rows, records, log, options=options)


def remediation() -> Truth:
    """Resolved by an integration that nobody had to help; not because PagerDuty waited long enough."""
    log = [
        *(event(1, 40, "resolve"), act(2, 40, "resolve"), act(3, 5, "acknowledge"), event(3, 40, "resolve")),
        *(event(4, 40, "resolve", "timeout"), event(6, 5, "resolve"), act(7, 40, "resolve", None)),
    ]
    rows = [item(number, "triggered" if number == 6 else "resolved") for number in range(1, 8)]
    records = [
        incident(1, auto_remediated=True),
        incident(2, auto_remediated=False),
        incident(3, auto_remediated=False, acknowledged_at=at(5)),
        incident(4, auto_remediated=False),
        incident(5),
        incident(6, resolved_at=None),
        incident(7),
    ]
    return truth("remediation", rows, records, log)


def acknowledgements() -> Truth:
    """The first of the log; failing that, those that an open incident still has."""
    still = [{"at": t(9), "acknowledger": ANA}, {"at": t(7), "acknowledger": BOT}]
    rows = [
        item(1),
        item(2, "acknowledged", acknowledgements=still),
        item(3, "acknowledged", acknowledgements=still),
        item(4, "triggered"),
        item(5, acknowledgements=None),
        item(6, "acknowledged", acknowledgements=[{"at": "n/a"}]),
        item(7, "acknowledged", acknowledgements=[{"at": None}]),
    ]
    log = [act(1, 9, "acknowledge"), event(1, 6, "acknowledge"), act(2, 2, "acknowledge"), act(4, 3, "acknowledge")]
    records = [
        incident(1, acknowledged_at=at(6), auto_remediated=False),
        incident(2, acknowledged_at=at(2), resolved_at=None),
        incident(3, acknowledged_at=at(7), resolved_at=None),
        incident(4, acknowledged_at=at(3), resolved_at=None),
        incident(5),
        incident(6, resolved_at=None),
        incident(7, resolved_at=None),
    ]
    return truth("acknowledgements", rows, records, log, left_out=[f"acknowledged_at: {NO_TIME}"])


def turns_of_requests() -> Truth:
    """Opened again and again; escalated because nobody came, or by somebody."""
    log = [
        *(act(1, 0, "trigger"), act(1, 9, "resolve"), act(1, 12, "trigger", BOT), act(1, 20, "resolve")),
        *(act(1, 22, "trigger"), act(1, 40, "resolve")),
        *(event(2, 0, "trigger"), event(2, 9, "escalate", "timeout"), act(2, 15, "escalate")),
        *(act(3, 0, "trigger", BOT), act(3, 3, "escalate")),
        act(4, 0, "trigger", {"type": "user_reference", "summary": "Ana"}),
        act(5, 0, "trigger", {"type": "user_reference", "id": 7}),
        *(event(6, 0, "trigger"), act(6, 9, "resolve"), act(6, 12, "trigger"), act(6, 40, "resolve")),
    ]
    answered: Row = {"handled_by": "human", "first_response_at": at(9)}
    records = [
        request(1, **answered, reopen_count=2, channel="web", requester=hashed("PANA")),
        request(2, escalated_at=at(9), channel="api"),
        request(3, escalated_at=at(3), channel="web"),
        request(4, channel="web", requester=hashed("Ana")),
        request(5, channel="web"),
        request(6, **answered, reopen_count=1, channel="api"),
    ]
    rows = [item(number) for number in range(1, 7)]
    return truth("turns", rows, records, log, options={**ASKED, "automation_users": ("PBOT",)})


def recurrence() -> Truth:
    """By the key of its events, unless PagerDuty made that up, or else by its title but for numbers."""
    rows = [
        item(1, title="DISK 7% full"),
        item(2, title="Disk full"),
        item(3, incident_key="disk/web-1"),
        item(4, incident_key="baf7cf21b1da41b4b0221008339ff357"),
        item(5, title=None),
        item(6, service=named("service", "PMAIL", "Mail")),
        item(7, service=None),
    ]
    records = [
        incident(1),
        incident(2, recurrence_key="PSHOP 2fbeecb0f61b0991"),
        incident(3, recurrence_key="PSHOP 52203ef7f385265b"),
        incident(4),
        incident(5, recurrence_key=None),
        incident(6, service="Mail", recurrence_key=DIGEST.replace("PSHOP", "PMAIL")),
        incident(7, service=None, recurrence_key=DIGEST.replace("PSHOP", "None")),
    ]
    return truth("recurrence", rows, records)


def columns() -> Truth:
    rows = [
        item(1, incident_type={"name": "major_incident"}, service={"id": "PSHOP", "name": "Shop"}),
        item(2, incident_type=None, incident_number=None, html_url=None, updated_at=None),
        item(3, created_at="2026-03-30T14:00:00.000000+02:00", urgency="low"),
        item(4, incident_type={"name": "security"}, urgency="low"),
    ]
    records: list[Record] = [
        incident(1, category="major_incident"),
        incident(2, reference=None, url=None, updated_at=None),
        incident(3),
        incident(4, category="security"),
        request(4, category="security", priority="low"),
    ]
    options = {"requests": ({"field": "incident_type.name", "match": "security"},)}
    return truth("columns", rows, records, options=options)


def which_are_what() -> Truth:
    """Nothing is a request unless somebody says so; what was merged is part of another."""
    merged = {"type": "merge_resolve_reason", "incident": {"id": "Q01", "type": "incident_reference"}}
    rows = [item(1), item(2, urgency="low"), item(3, resolve_reason=merged), item(4, resolve_reason={"type": "sloth"})]
    left_out = ["resolved_at: 'sloth' is none of merge_resolve_reason"]
    options = {"not_incidents": ({"field": "urgency", "match": "low"},)}
    return truth("which incidents are what", rows, [incident(1)], options=options, left_out=left_out)


MAPPED = {
    "team": "teams.0.description",
    "business_unit": "service.description",
    "region": "escalation_policy.description",
    "cohort": "priority.description",
    "tier": "first_trigger_log_entry.channel.type",
    "category": "assignments.0.assignee.description",
    "service": "acknowledgements.0.acknowledger.description",
    "recurrence_key": "last_status_change_by.description",
    "caused_by": "conference_bridge.conference_url",
}


def what_is_mapped(bit: int) -> Truth:
    """What an incident refers to is asked for where the config looks into it: each field by some of four mappings."""
    fake = PagerDuty()
    kinds = {"TEAM": "team", "SHOP": "service", "LADDER": "escalation_policy", "P1": "priority", "ANA": "user"}
    kinds |= {"BO": "user", "CY": "user"}
    for key, kind in kinds.items():
        fake.things[key] = {"id": key, "type": kind, "name": key, "summary": key, "description": f"about {key}"}
    refer = {key: named(kind, key, key) for key, kind in kinds.items()}
    row = item(
        1,
        "acknowledged",
        teams=[refer["TEAM"]],
        service=refer["SHOP"],
        escalation_policy=refer["LADDER"],
        priority=refer["P1"],
        first_trigger_log_entry={"id": "RFIRST", "type": "trigger_log_entry_reference"},
        assignments=[{"at": t(1), "assignee": refer["ANA"]}],
        acknowledgements=[{"at": t(1), "acknowledger": refer["BO"]}],
        last_status_change_by=refer["CY"],
        conference_bridge={"conference_url": "https://meet.example/1"},
    )
    first = {**event(1, 0, "trigger", "email"), "id": "RFIRST"}
    found = {
        "team": "about TEAM",
        "business_unit": "about SHOP",
        "region": "about LADDER",
        "cohort": "about P1",
        "tier": "email",
        "category": "about ANA",
        "service": "about BO",
        "recurrence_key": "about CY",
        "caused_by": "https://meet.example/1",
    }
    wanted = [column for number, column in enumerate(MAPPED, 1) if number & bit]
    usual: Row = {"service": "SHOP", "recurrence_key": DIGEST.replace("PSHOP", "SHOP")}
    columns = {**usual, **{column: found[column] for column in wanted}}
    records = [incident(1, **columns, acknowledged_at=at(1), severity="sev1", resolved_at=None)]
    fields = {column: Rule(field=MAPPED[column]) for column in wanted}
    return truth(f"what is mapped, {bit}", [row], records, [first], fields=fields, fake=fake)


def custom_fields() -> Truth:
    """They come with single incidents only. What is only named is not asked for."""
    own = [{"id": "F1", "name": "squad", "value": "Payments"}]
    rows = [item(1, custom_fields=own, teams=[named("team", "P1", "Web")]), item(2, custom_fields=[])]
    fields = {"team": Rule(field="custom_fields.squad"), "region": Rule(field="teams.0.summary")}
    return truth("custom fields", rows, [incident(1, team="Payments", region="Web"), incident(2)], fields=fields)


def teams() -> Truth:
    """Only the incidents of some teams, and their log."""
    web, mail = named("team", "PWEB", "Web"), named("team", "PMAIL", "Mail")
    rows = [item(1, teams=[web]), item(2, teams=[mail]), item(3)]
    log = [{**act(1, 9, "acknowledge"), "teams": [web]}, {**act(2, 9, "acknowledge"), "teams": [mail]}]
    records = [incident(1, acknowledged_at=at(9), auto_remediated=False)]
    return truth("teams", rows, records, log, options={"teams": ("PWEB",)})


def older_ones() -> Truth:
    """Of those opened before the history begins, those that are open and those that ended in it, with their own log."""
    long_ago = f"{SINCE - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"
    old = {"created_at": long_ago}
    before = {"opened_at": SINCE - timedelta(days=300), "detected_at": SINCE - timedelta(days=300)}
    rows = [item(1, **old), item(2, "triggered", **old), item(3, "acknowledged", **old), item(4, **old), item(5, **old)]
    early = {**act(1, 0, "acknowledge"), "created_at": f"{SINCE - timedelta(days=299):%Y-%m-%dT%H:%M:%SZ}"}
    rows.append(item(6, **old))
    log = [early, act(1, 40, "resolve"), act(5, 40, "resolve"), act(6, 40, "resolve")]

    def odd(body: Row) -> None:
        body["log_entries"] = "odd"

    def nameless(body: Row) -> None:
        body["incident"] = {"id": 7}

    records = [
        incident(1, **before, acknowledged_at=SINCE - timedelta(days=299), auto_remediated=False),
        incident(2, **before, resolved_at=None),
        incident(3, **before, resolved_at=None),
        incident(5, **before),
    ]
    said = "GET /incidents/Q05/log_entries: the answer contains no list; check that this is the address of the API"
    spoilt = {"/Q05/log_entries": odd, "/incidents/Q06": nameless}
    said_too = "GET /incidents/Q06: the answer contains no incident"
    return truth("older ones", rows, records, log, rewritten=spoilt, left_out=[said, said_too])


def what_is_not_read() -> Truth:
    """Without its log nobody knows who did what."""
    old = {"created_at": f"{SINCE - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"}
    still = [{"at": t(9), "acknowledger": ANA}]
    rows = [item(1, "acknowledged", **old, acknowledgements=still)]

    def odd(body: Row) -> None:
        body["log_entries"] = "odd"

    opened_at = SINCE - timedelta(days=300)
    records: list[Record] = [
        request(1, opened_at=opened_at, resolved_at=None, outcome="open", reopen_count=None, self_service=None),
        incident(1, opened_at=opened_at, detected_at=opened_at, resolved_at=None, acknowledged_at=at(9)),
    ]
    said = "GET /incidents/Q01/log_entries: the answer contains no list; check that this is the address of the API"
    options = {"requests": ({"field": "urgency"},)}
    more: Row = {"rewritten": {"/Q01/log_entries": odd}, "left_out": [said], "options": options}
    return truth("what is not read", rows, records, **more)


def what_cannot_be_read() -> Truth:
    rows = [
        item(1, resolved_at="n/a"),
        item(2),
        item(3, updated_at="n/a"),
        item(4, incident_type="default"),
        item(5, priority="P1"),
        item(6, service=7),
        item(7, title=7),
        item(8),
        item(9),
        item(10, urgency="low"),
        item(11, priority="P1"),
    ]
    shape = "has another shape than expected"
    left_out = [f"resolved_at: {NO_TIME}", f"updated_at: {NO_TIME}", f"category: {shape}", f"severity: {shape}"]
    left_out += [f"service: {shape}", f"recurrence_key: {shape}", f"recurrence_key: {shape}"]
    records = [
        incident(2),
        incident(3, updated_at=None),
        incident(4),
        incident(5),
        incident(6, service=None, recurrence_key=None),
        incident(7, recurrence_key=None),
        replace(incident(10), id="7"),
        incident(11),
        request(11),
    ]
    left_out += [f"opened_at: {NO_TIME}", "item: 'created_at' is missing"]
    left_out += [f"log_entries: {NO_TIME}", *["log_entries: has no time or no id"] * 3, f"log_entries: {shape}"]
    left_out += [f"item: {shape}", f"item: {shape}", f"severity: {shape}"]

    def incidents(body: Row) -> None:
        for row in body["incidents"][7:8]:
            row["created_at"] = "n/a"
        for row in body["incidents"][8:9]:
            del row["created_at"]
        for row in body["incidents"][9:10]:
            row["id"] = 7
        body["incidents"].append("odd")

    def entries(body: Row) -> None:
        if len(body["log_entries"]) == 5:
            body["log_entries"][0]["incident"] = None
            body["log_entries"][1]["created_at"] = None
            body["log_entries"][2]["created_at"] = "n/a"
            body["log_entries"][3]["id"] = 7
            body["log_entries"][4]["incident"]["id"] = 7

    log = [act(2, minute, "acknowledge") for minute in range(9, 14)]
    spoilt = {"/incidents": incidents, "/log_entries": entries}
    more: Row = {"rewritten": spoilt, "left_out": left_out}
    more["options"] = {"requests": ({"field": "incident_number", "match": "11"},)}
    return truth("what cannot be read", rows, records, log, **more)
