"""What rows of ServiceNow's tables are: as its Table API writes them, and the records they must become."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.demo.fakes.servicenow import ServiceNow, columns_of
from exporter.records import Change, Incident, Record, Request
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Truth, hashed

ENUMS = "ServiceNow publishes no description of its API: each instance makes its own"
TECHNICAL = {"page_size", "overlap_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
TABLES = {"incident": "INC", "sc_req_item": "RITM", "interaction": "IMS", "change_request": "CHG"}

Row = dict[str, str]


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def t(minute: int) -> str:
    """As it is stored."""
    return f"{at(minute):%Y-%m-%d %H:%M:%S}"


def lasting(**length: float) -> str:
    """A length of time as it is stored."""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(**length):%Y-%m-%d %H:%M:%S}"


def row(table: str, number: int, state: str, **columns: str) -> Row:
    """A row of noon, with the ends that may stay even where it is open again."""
    usual = {"sys_id": f"{number:02}", "number": f"{TABLES[table]}{number}", "state": state, "opened_at": t(0)}
    usual |= {"sys_created_on": t(-1), "sys_updated_on": t(50), "closed_at": t(45)}
    usual |= {"incident": {"resolved_at": t(40), "caller_id": "anna"}, "sc_req_item": {"requested_for": "anna"}}.get(
        table, {}
    )
    return {**dict.fromkeys(columns_of(table), ""), **usual, **columns}


def incident(number: int, state: str = "6", **columns: str) -> Row:
    return row("incident", number, state, **columns)


def item(number: int, state: str = "3", **columns: str) -> Row:
    return row("sc_req_item", number, state, **columns)


def chat(number: int, state: str = "closed_complete", **columns: str) -> Row:
    return row("interaction", number, state, **{"opened_for": "anna", **columns})


def change(number: int, state: str = "3", **columns: str) -> Row:
    return row("change_request", number, state, **{"work_end": t(30), **columns})


USERS = {"anna": "anna", "u1": "bob", "u2": "bot", "u3": "system"}
"""Ids of users, and their names."""


def truth(
    what: str, records: Sequence[Record], beside: Mapping[str, Sequence[Row]] | None = None, **rows: Any
) -> Truth:
    """`incident`, `sc_req_item`, `interaction`, `change_request`: rows. `beside`: of other tables."""
    instance = ServiceNow()
    others = {name: rows.pop(name) for name in ("options", "fields", "left_out") if name in rows}
    if len(rows) < len(TABLES):  # fewer questions
        others["options"] = {"tables": tuple(rows), **others.get("options", {})}
    for table, those in {**rows, **(beside or {})}.items():
        for number, each in enumerate(those):
            key = each.get("sys_id", f"{table}{number:03}")
            instance.tables[table][key] = {"sys_updated_on": t(50), "sys_created_on": t(0), **each, "sys_id": key}
    for key, name in USERS.items():
        instance.tables["sys_user"][key] = {"sys_id": key, "user_name": name, "name": name}
    for table, names in {"cmdb_ci": ("Mail", "Shop"), "sc_cat_item": ("Laptop",), "sys_user_group": ("Desk",)}.items():
        instance.tables[table] |= {f"id of {name}": {"sys_id": f"id of {name}", "name": name} for name in names}
    for target in ("response", "resolution"):
        instance.tables["contract_sla"][target] = {"sys_id": target, "target": target}
    for name in ("assignment_group", "incident_state", "state", "active"):
        definition = {"sys_id": name, "table": "incident", "field": name, "type": "field_value_duration"}
        instance.tables["metric_definition"][name] = definition
    script = {"sys_id": "script", "table": "incident", "field": "assignment_group", "type": "script"}
    instance.tables["metric_definition"]["script"] = script
    secret = ("api_key", instance.api_key)
    return Truth(what=what, app=instance.app(), secret=secret, records=records, **others)  # type: ignore[arg-type]


def request(table: str, number: int, outcome: str = "resolved", **columns: Any) -> Request:
    """A row of noon as a request that nobody has handled, but for what is said of it."""
    ended = at(40 if table == "incident" else 45)
    usual = {
        "reference": f"{TABLES[table]}{number}",
        "url": f"{HOST}/{table}.do?sys_id={number:02}",
        "kind": {"incident": "ticket", "sc_req_item": "service_request", "interaction": "conversation"}[table],
        "opened_at": NOON,
        "updated_at": at(50),
        "resolved_at": ended if outcome == "resolved" else None,
        "abandoned_at": at(45) if outcome == "abandoned" else None,
        "closed_at": at(45) if outcome != "open" else None,
        "outcome": outcome,
        "requester": hashed("anna"),
        "self_service": False,
        "reopen_count": 0 if table == "incident" else None,
        "escalation_known": None if table == "incident" else False,
    }
    return Request(id=f"{number:02}", **{**usual, **columns})


def ticket(number: int, outcome: str = "resolved", **columns: Any) -> Request:
    return request("incident", number, outcome, **columns)


ROBOT: dict[str, Any] = {"handled_by": "automation", "human_seconds": 0.0, "self_service": True}


def served(number: int, outcome: str = "resolved", **columns: Any) -> Request:
    """An item without a task: a flow alone has done it."""
    return request("sc_req_item", number, outcome, **{**(ROBOT if outcome == "resolved" else {}), **columns})


def conversation(number: int, outcome: str = "resolved", **columns: Any) -> Request:
    return request("interaction", number, outcome, **columns)


def interruption(number: int, **columns: Any) -> Incident:
    usual = {
        "reference": f"INC{number}",
        "url": f"{HOST}/incident.do?sys_id={number:02}",
        "opened_at": NOON,
        "updated_at": at(50),
        "resolved_at": at(40),
        "severity": "sev1",
    }
    return Incident(id=f"{number:02}", **{**usual, **columns})


def changed(number: int, result: str | None = "succeeded", **columns: Any) -> Change:
    usual = {
        "reference": f"CHG{number}",
        "url": f"{HOST}/change_request.do?sys_id={number:02}",
        "requested_at": NOON,
        "updated_at": at(50),
        "deployed_at": at(30) if result in ("succeeded", "failed", "rolled_back") else None,
        "result": result,
    }
    return Change(id=f"{number:02}", **{**usual, **columns})


def truths(_folder: Path) -> Iterator[Truth]:
    """Those first that notice most words: the others need not be looked at then."""
    yield changes()
    yield channels()
    yield changes_of_an_instance()
    yield conversations()
    yield states_of_incidents()
    yield items()
    yield interruptions()
    yield other_interruptions()
    yield columns_of_requests()
    yield handlers_of_incidents()
    yield agreements()
    yield handlers_of_items()
    yield moves()
    yield states_of_an_instance()
    yield ends_of_incidents()
    yield moves_to_named_groups()
    yield results_of_an_instance()
    yield what_is_not_read()
    yield what_is_mapped()
    yield what_cannot_be_read()


def states_of_incidents() -> Truth:
    words = {"1": "open", "2": "open", "3": "open", "4": "open", "5": "open"}
    words |= {"6": "resolved", "7": "resolved", "8": "abandoned"}
    rows = [incident(int(word), word) for word in words]
    return truth("every state", [ticket(int(word), outcome) for word, outcome in words.items()], incident=rows)


def states_of_an_instance() -> Truth:
    """An instance has states of its own, and may mean another thing by one of ServiceNow's."""
    own = {"incident": {"Awaiting Vendor": "open", "8": "discarded"}, "sc_req_item": {"5": "open"}}
    return truth(
        "states of an instance",
        [ticket(1, "open"), ticket(2, "discarded"), ticket(3), served(4, "open")],
        incident=[incident(1, "awaiting-vendor"), incident(2, "8"), incident(3)],
        sc_req_item=[item(4, "5")],
        options={"states": own},
    )


def ends_of_incidents() -> Truth:
    """What was resolved before it was opened again is left standing; what is closed at once was not resolved before."""
    rows = [
        incident(1, "2", reopen_count="2"),
        incident(2, "7", resolved_at=""),
        incident(3, "6", closed_at=""),
        incident(4, "8", closed_at=""),
        incident(5, "6", resolved_at="", closed_at=""),
    ]
    records = [
        ticket(1, "open", reopen_count=2),
        ticket(2, resolved_at=at(45)),
        ticket(3, closed_at=None),
        ticket(4, "abandoned", abandoned_at=None, closed_at=None),
        ticket(5, resolved_at=None, closed_at=None),
    ]
    return truth("ends of incidents", records, incident=rows)


def handlers_of_incidents() -> Truth:
    """Who has it or resolved it. A caller who resolves it has not worked on it, and neither has the platform."""
    human, both = {"handled_by": "human"}, {"handled_by": "assisted", "self_service": None}
    helped = {"contact_type": "virtual_agent"}
    said = {"channel": "chat", "self_service": True}
    cases: list[tuple[Row, dict[str, Any]]] = [
        ({}, {}),
        ({"assigned_to": "u1"}, human),
        ({"resolved_by": "u1"}, human),
        ({"closed_by": "u1"}, human),
        ({"resolved_by": "u2", "closed_by": "u1"}, ROBOT),
        ({"resolved_by": "anna"}, {}),
        ({"resolved_by": "u3"}, {}),
        ({"resolved_by": "u2"}, ROBOT),
        ({"closed_by": "u2"}, ROBOT),
        ({"assigned_to": "u2"}, ROBOT),
        ({"assigned_to": "u2", "state": "2"}, {"outcome": "open"}),
        ({"assigned_to": "u1", "resolved_by": "u2"}, both),
        ({"assigned_to": "u2", "resolved_by": "u1"}, both),
        ({"assigned_to": "u1", "resolved_by": "u2", "state": "2"}, {**human, "outcome": "open"}),
        ({"assigned_to": "u1", "resolved_by": "anna"}, human),
        ({"resolved_by": "id of a robot"}, ROBOT),
        (helped, {**ROBOT, **said}),
        ({**helped, "state": "1"}, {**said, "outcome": "open"}),
        ({**helped, "assigned_to": "u1"}, {**said, "handled_by": "assisted"}),
        ({**helped, "assigned_to": "u1", "state": "2"}, {**said, "handled_by": "assisted", "outcome": "open"}),
        ({"state": "8", "resolved_by": "u2"}, {**ROBOT, "outcome": "abandoned"}),
    ]
    rows = [incident(number, **{"state": "6", **columns}) for number, (columns, _) in enumerate(cases, 1)]
    records = [ticket(number, **{"outcome": "resolved", **columns}) for number, (_, columns) in enumerate(cases, 1)]
    options = {"automation_users": ("bot", "id of a robot")}
    return truth("who handled an incident", records, incident=rows, options=options)


def channels() -> Truth:
    words = {"phone": "phone", "email": "email", "self-service": "portal", "Walk In": "other", "chat": "chat"}
    words |= {"messaging": "chat", "web": "web", "social": "social", "monitoring": "api", "event": "api"}
    rows = [incident(number, contact_type=word) for number, word in enumerate([*words, "carrier pigeon"], 1)]
    records = [ticket(number, channel=ours) for number, ours in enumerate([*words.values(), None], 1)]
    left_out = [
        "channel: 'carrier pigeon' is none of phone, email, self_service, walk_in, chat, messaging, virtual_agent, web,"
        " social, monitoring, event"
    ]
    more: dict[str, Any] = {
        "sc_req_item": [item(21, contact_type="email")],
        "interaction": [chat(22, type="phone"), chat(23, type="chat", assigned_to="u1")],
    }
    records += [served(21, channel="email"), conversation(22, channel="phone")]
    records += [conversation(23, channel="chat", handled_by="human")]
    return truth("channels", records, incident=rows, left_out=left_out, **more)


def columns_of_requests() -> Truth:
    told = {"priority": "4", "time_worked": lasting(days=1, minutes=7), "opened_by": "u1"}
    shown: dict[str, Any] = {"priority": "4", "human_seconds": 86400 + 420.0}
    return truth(
        "columns of requests",
        [
            ticket(1, **shown, category="software", request_type="email"),
            ticket(2, requester=hashed("u1"), human_seconds=60.0, handled_by="automation", self_service=True),
            ticket(3, requester=None),
            served(4, **shown, category="Laptop"),
            served(5, requester=hashed("u1")),
            served(6, requester=None),
            conversation(7, requester=None),
            changed(8, "pending", automated=False),
        ],
        incident=[
            incident(1, **told, category="software", subcategory="email"),
            incident(2, caller_id="", opened_by="u1", resolved_by="u2", time_worked=lasting(minutes=1)),
            incident(3, caller_id="", reopen_count="0"),
        ],
        sc_req_item=[item(4, **told, cat_item="id of Laptop"), item(5, requested_for="", opened_by="u1"),
                     item(6, requested_for="")],
        interaction=[chat(7, opened_for="")],
        change_request=[change(8, "1")],
        options={"automation_users": ("bot",)},
    )  # fmt: skip


def sla(task: int, target: str = "resolution", **columns: str) -> Row:
    return {"task": f"{task:02}", "sla": target, "stage": "completed", "has_breached": "false", "end_time": t(40),
            "pause_duration": "", "business_pause_duration": "", **columns}  # fmt: skip


def agreements() -> Truth:
    """Of several rows of a task each counts but for the cancelled; where there are none, nothing is known."""
    slas = [
        sla(1, pause_duration=lasting(hours=2), business_pause_duration=lasting(hours=1)),
        sla(1, pause_duration=lasting(hours=1), business_pause_duration=lasting(minutes=30)),
        sla(2, has_breached="true"),
        sla(2, has_breached="false"),
        sla(3, has_breached="true", stage="cancelled", pause_duration=lasting(hours=9)),
        sla(3),
        sla(4, has_breached="true", stage="cancelled"),
        sla(5, "response", end_time=t(9), pause_duration=lasting(hours=9)),
        sla(5, "response", end_time=t(7)),
        sla(6, "response", end_time="", stage="in_progress"),
        sla(7, has_breached="true", stage="paused", pause_duration=lasting(hours=2)),
        sla(8, "", has_breached="true", pause_duration=lasting(minutes=1)),
        sla(21, "response", end_time=t(8)),
        sla(21, "", pause_duration=lasting(minutes=3), has_breached="true"),
    ]
    kept: dict[str, Any] = {"sla_breached": False}
    none: dict[str, Any] = {"on_hold_seconds": 0.0, "on_hold_business_seconds": 0.0}
    broken: dict[str, Any] = {"sla_breached": True}
    records: list[Record] = [
        ticket(1, **kept, on_hold_seconds=7200.0, on_hold_business_seconds=3600.0),
        ticket(2, **broken, **none),
        ticket(3, **kept, **none),
        ticket(4),
        ticket(5, **kept, first_response_at=at(7)),
        ticket(6, **kept),
        ticket(7, "open", **broken),
        ticket(8, **broken, on_hold_seconds=60.0, on_hold_business_seconds=0.0, priority="1"),
        interruption(8, on_hold_seconds=60.0, on_hold_business_seconds=0.0),
        ticket(9),
        served(21, **broken, first_response_at=at(8), on_hold_seconds=180.0, on_hold_business_seconds=0.0),
    ]
    rows = [incident(number, "3" if number == 7 else "6") for number in range(1, 10) if number != 8]
    rows.append(incident(8, priority="1"))
    return truth("agreements", records, {"task_sla": slas}, incident=rows, sc_req_item=[item(21)])


def metric(task: int, minute: int, definition: str, field_value: str, value: str = "") -> Row:
    return {
        "id": f"{task:02}",
        "definition": definition,
        "field_value": field_value,
        "value": value,
        "start": t(minute),
    }


def spans() -> list[Row]:
    group = "assignment_group"
    return [
        metric(1, 20, group, "g3", "Network"),
        metric(1, 0, group, "g1", "Desk"),
        metric(1, 9, group, "g2", "Servers"),
        metric(2, 0, group, "g1", "Desk"),
        metric(3, 0, group, "", ""),
        metric(3, 5, group, "g1", "Desk"),
        metric(3, 7, group, "g1", "Desk"),
        metric(4, 9, group, "g2", "Servers"),
        metric(4, 0, group, "g1", "Desk"),
        metric(5, 0, "script", "g1", "Desk"),
        metric(5, 9, "script", "g2", "Servers"),
        {**metric(6, 0, group, "g1", "Desk"), "start": ""},
        metric(6, 9, group, "g2", "Servers"),
        metric(7, 0, "active", "true", "true"),
        metric(7, 9, "active", "false", "false"),
        metric(8, 0, group, "", "Desk"),
        metric(8, 9, group, "", "Servers"),
        metric(9, 0, group, "g1", ""),
        metric(9, 6, group, "g2", ""),
    ]


def moved_rows() -> list[Row]:
    counts = {1: "2", 2: "1", 3: "1", 4: "0", 5: "1", 6: "1", 7: "1", 8: "1", 9: "1"}
    return [incident(number, reassignment_count=count) for number, count in counts.items()]


def moved(number: int, minute: int | None) -> Request:
    """Where no metric of the group is there (5 and 7), nobody knows whether it was escalated."""
    return ticket(
        number, escalated_at=at(minute) if minute else None, escalation_known=False if number in (5, 7) else None
    )


def moves() -> Truth:
    """The first move to another group. What was never moved is not asked about."""
    times: dict[int, int | None] = {1: 9, 2: None, 3: None, 4: None, 5: None, 6: None, 7: None, 8: 9, 9: 6}
    records = [moved(number, each) for number, each in times.items()]
    return truth("moves to other groups", records, {"metric_instance": spans()}, incident=moved_rows())


def moves_to_named_groups() -> Truth:
    times: dict[int, int | None] = {1: 20, 2: None, 3: None, 4: None, 5: None, 6: None, 7: None, 8: None, 9: 6}
    records = [moved(number, each) for number, each in times.items()]
    options = {"escalation_groups": ("Network", "g9")}
    rows = spans()
    rows[-1]["field_value"] = "g9"
    return truth("moves to named groups", records, {"metric_instance": rows}, incident=moved_rows(), options=options)


def interruptions() -> Truth:
    """Of high priority; a child is its parent's, a cancelled one is none. `rfc` is the change that mends it."""
    rows = [
        incident(1, priority="1", business_service="id of Shop", cmdb_ci="id of Mail", category="software"),
        incident(2, priority="2", cmdb_ci="id of Mail", problem_id="p1", caused_by="c1", rfc="c2"),
        incident(3, priority="3"),
        incident(4, priority="1", parent_incident="01"),
        incident(5, "8", priority="1"),
        incident(6, "2", priority="1", cmdb_ci="id of Mail"),
        incident(7, priority="1", resolved_by="u2"),
        incident(8, priority="1", assigned_to="u1", resolved_by="u2"),
        incident(9, "2", priority="1", assigned_to="u1"),
        incident(10, priority="1"),
        incident(11, priority="1"),
    ]
    metrics = [
        metric(1, 0, "incident_state", "1"),
        metric(1, 8, "incident_state", "3"),
        metric(1, 7, "incident_state", "2"),
        metric(2, 0, "state", "1"),
        metric(2, 0, "state", ""),
        metric(2, 6, "state", "2"),
        metric(10, 0, "active", "true"),
        metric(11, 3, "incident_state", "2"),
    ]
    slas = [sla(10, "response", end_time=t(4)), sla(11, "response", end_time=t(4))]
    human = {"handled_by": "human"}
    shared = {"priority": "1"}
    records: list[Record] = [
        ticket(1, **shared, category="software"),
        ticket(2, priority="2"),
        ticket(3, priority="3"),
        ticket(4, **shared),
        ticket(5, "abandoned", **shared),
        ticket(6, "open", **shared),
        ticket(7, **shared, **ROBOT),
        ticket(8, **shared, handled_by="assisted", self_service=None),
        ticket(9, "open", **shared, **human),
        ticket(10, **shared, first_response_at=at(4), sla_breached=False),
        ticket(11, **shared, first_response_at=at(4), sla_breached=False),
        interruption(
            1, service="Shop", category="software", acknowledged_at=at(7), recurrence_key="id of Mail software"
        ),
        interruption(2, severity="sev2", service="Mail", recurrence_key="p1", caused_by="c1", acknowledged_at=at(6)),
        interruption(6, service="Mail", recurrence_key="id of Mail ", resolved_at=None),
        interruption(7, auto_remediated=True),
        interruption(8, auto_remediated=False),
        interruption(9, resolved_at=None),
        interruption(10, acknowledged_at=at(4)),
        interruption(11, acknowledged_at=at(3)),
    ]
    beside = {"metric_instance": metrics, "task_sla": slas}
    return truth("interruptions", records, beside, incident=rows, options={"automation_users": ("bot",)})


def other_interruptions() -> Truth:
    """Whatever the config says; and what nobody asked for is no request."""
    options = {
        "incidents": ({"field": "contact_type", "match": "monitoring"}, {"field": "location"}),
        "not_requests": ({"field": "contact_type", "match": "monitoring"},),
    }
    rows = [
        incident(1, priority="4", contact_type="monitoring"),
        incident(2, priority="5", location="Lisbon"),
        incident(3, priority="1"),
        incident(4, priority="3", location="Porto"),
    ]
    records: list[Record] = [
        interruption(1, severity="sev4"),
        interruption(2, severity="sev5"),
        interruption(4, severity="sev3"),
        ticket(2, priority="5"),
        ticket(3, priority="1"),
        ticket(4, priority="3"),
    ]
    return truth("other interruptions", records, incident=rows, options=options)


def items() -> Truth:
    words = {"-5": "open", "1": "open", "2": "open", "3": "resolved", "4": "abandoned", "5": "abandoned"}
    words |= {"7": "abandoned"}
    rows = [item(number, word) for number, word in enumerate(words, 1)]
    records = [served(number, outcome) for number, outcome in enumerate(words.values(), 1)]
    rows += [item(8, approval="rejected"), item(9, "2", approval="rejected"), item(10, approval="approved")]
    return truth("states of items", [*records, served(8, "abandoned"), served(9, "open"), served(10)], sc_req_item=rows)


def handlers_of_items() -> Truth:
    """Whoever it or a task is assigned to, or closed it; who asked for it and the platform have not worked on it."""
    tasks = {2: ["u1"], 3: ["u2"], 4: ["u2", "u1"], 5: [""], 6: ["u3"], 10: ["u2"], 11: ["u1"], 12: ["u2"]}
    human: dict[str, Any] = {"handled_by": "human", "self_service": False, "human_seconds": None}
    both: dict[str, Any] = {"handled_by": "assisted", "self_service": None, "human_seconds": None}
    rows = [
        item(1),
        *(item(number) for number in range(2, 7)),
        item(7, closed_by="u1"),
        item(8, closed_by="anna"),
        item(9, opened_by="u1", closed_by="u1"),
        item(10, "4"),
        item(11, "2"),
        item(12, "2", closed_by="u1"),
        item(13, assigned_to="u1", closed_by="u2"),
        item(14, "4"),
    ]
    records = [
        served(1),
        served(2, **human),
        served(3),
        served(4, **both),
        served(5),
        served(6),
        served(7, **human),
        served(8),
        served(9),
        served(10, "abandoned", **ROBOT),
        served(11, "open", **human),
        served(12, "open"),
        served(13, **both),
        served(14, "abandoned"),
    ]
    sc_task = [{"request_item": f"{number:02}", "assigned_to": who} for number, those in tasks.items() for who in those]
    options = {"automation_users": ("bot",)}
    return truth("who handled an item", records, {"sc_task": sc_task}, sc_req_item=rows, options=options)


def conversations() -> Truth:
    words = {"new": "open", "On Hold": "open", "work_in_progress": "open", "wrap_up": "open"}
    words |= {"closed_complete": "resolved", "Closed Abandoned": "abandoned", "faulted": "abandoned"}
    rows = [chat(number, word) for number, word in enumerate(words, 1)]
    records = [conversation(number, outcome) for number, outcome in enumerate(words.values(), 1)]
    agent = {"virtual_agent": "true", "assigned_to": "u1"}
    rows += [
        chat(11, **agent),
        chat(12, **agent, agent_chat="true"),
        chat(13, agent_chat="true", assigned_to="u1"),
        chat(14, assigned_to="u2"),
        chat(15, "closed_abandoned", **agent),
    ]
    records += [
        conversation(11, **ROBOT),
        conversation(12, handled_by="assisted", self_service=True),
        conversation(13, handled_by="human"),
        conversation(14, handled_by="automation", human_seconds=0.0),
        conversation(15, "abandoned", **ROBOT),
    ]
    options = {"automation_users": ("bot",)}
    return truth("conversations", records, interaction=rows, options=options)


def changes() -> Truth:
    """A planned end stands for one that nobody recorded, but not beyond the closing."""
    open_ = ("-5", "-4", "-3", "-2", "-1", "0", "1", "2")
    rows = [change(number, word) for number, word in enumerate(open_, 1)]
    records = [changed(number, "pending") for number in range(1, 9)]
    well = {"close_code": "successful"}
    rows += [
        change(11, "4"),
        change(12, "7"),
        change(13),
        change(14, **well, type="normal"),
        change(15, close_code="successful_issues", type="standard"),
        change(16, close_code="Unsuccessful", type="emergency"),
        change(17, "0", **well),
        change(18, "2", **well),
        change(19, **well, work_end="", end_date=t(20)),
        change(20, **well, work_end="", end_date=t(60)),
        change(21, **well, work_end="", end_date=t(60), closed_at=""),
        change(22, **well, work_end=""),
        change(23, **well, opened_at="", approval="approved", approval_set=t(3), cmdb_ci="id of Mail"),
        change(24, **well, approval="rejected", approval_set=t(3), business_service="id of Shop", cmdb_ci="id of Mail"),
        change(25, **well, type="expedited"),
    ]
    records += [
        changed(11, "cancelled"),
        changed(12, "cancelled"),
        changed(13, None),
        changed(14, kind="normal"),
        changed(15, kind="standard"),
        changed(16, "failed", kind="emergency"),
        changed(17),
        changed(18, "pending"),
        changed(19, deployed_at=at(20)),
        changed(20, deployed_at=at(45)),
        changed(21, deployed_at=at(60)),
        changed(22, deployed_at=None),
        changed(23, requested_at=at(-1), approved_at=at(3), service="Mail"),
        changed(24, service="Shop"),
        changed(25),
    ]
    left_out = ["kind: 'expedited' is none of normal, standard, emergency"]
    return truth("changes", records, change_request=rows, left_out=left_out)


def changes_of_an_instance() -> Truth:
    """States of a change model, codes of an instance, and a user that makes changes."""
    options = {
        "change_states": {"-10": "pending", "5": "review", "4": "closed", "Shelved": "cancelled"},
        "close_codes": {"Backed Out": "rolled_back", "successful_issues": "failed", "": "succeeded"},
        "automation_users": ("svc.deploy",),
    }
    rows = [
        change(1, "-10"),
        change(2, "5"),
        change(3, "5", close_code="backed_out"),
        change(4, "4", close_code="successful_issues"),
        change(5, "shelved", sys_created_by="svc.deploy"),
        change(6),
    ]
    records = [
        changed(1, "pending", automated=False),
        changed(2, automated=False),
        changed(3, "rolled_back", automated=False),
        changed(4, "failed", automated=False),
        changed(5, "cancelled", automated=True),
        changed(6, automated=False),
    ]
    return truth("changes of an instance", records, change_request=rows, options=options)


def results_of_an_instance() -> Truth:
    """Only what it says by itself; all else stays as it is."""
    rows = [change(1, "0"), change(2, close_code="unsuccessful"), change(3, "4", close_code="successful")]
    records = [changed(1, "pending"), changed(2, "rolled_back"), changed(3, "cancelled")]
    options = {"close_codes": {"unsuccessful": "rolled_back"}}
    return truth("results of an instance", records, change_request=rows, options=options)


def what_is_not_read() -> Truth:
    rows: dict[str, Any] = {"incident": [incident(1)], "sc_req_item": [item(2)], "interaction": [chat(3)]}
    options = {"tables": ("sc_req_item", "change_request")}
    return truth(
        "tables that are not read", [served(2), changed(4, None)], **rows, change_request=[change(4)], options=options
    )


def what_is_mapped() -> Truth:
    """A column that the config looks in is asked for, one of another table too."""
    rules = {"team": Rule(field="assignment_group.name"), "region": Rule(field="location"), "sla_breached": MADE}
    columns = {"assignment_group": "id of Desk", "location": "Lisbon", "made_sla": "false"}
    fields: dict[str, Any] = {"team": "Desk", "region": "Lisbon", "sla_breached": True}
    return truth(
        "what is mapped",
        [ticket(1, **fields), served(2, **fields)],
        incident=[incident(1, **columns)],
        sc_req_item=[item(2, **columns)],
        fields=rules,
    )


MADE = Rule(field="made_sla", map={"true": False, "false": True})


def what_cannot_be_read() -> Truth:
    """A state or time that is none costs the record; any other value only itself."""
    state = "is none of 1, 2, 3, 4, 5, 6, 7, 8"
    rows = [
        incident(1, "42"),
        incident(2, opened_at="n/a"),
        incident(3, resolved_at="n/a"),
        incident(4, "8", closed_at="n/a"),
        incident(5, reopen_count="n/a", time_worked="n/a"),
        incident(6, priority="9"),
        incident(8, priority="9") | {"number": ""},
    ]
    metrics = [metric(8, 9, "incident_state", "2") | {"start": "n/a"}]
    slas = [sla(5, "response", end_time="n/a"), sla(5, pause_duration="n/a", business_pause_duration="n/a")]
    left_out = [
        f"outcome: '42' {state}",
        f"opened_at: {NO_TIME}",
        f"resolved_at: {NO_TIME}",
        f"closed_at: {NO_TIME}",
        f"human_seconds: {NO_TIME}",
        "reopen_count: cannot be read (ValueError)",
        "result: '9' is none of -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 7",
        f"requested_at: {NO_TIME}",
        f"deployed_at: {NO_TIME}",
        f"closed_at: {NO_TIME}",
        "severity: '9' is none of 1, 2, 3, 4, 5",
        "severity: '9' is none of 1, 2, 3, 4, 5",
        f"acknowledged_at: {NO_TIME}",
        f"approved_at: {NO_TIME}",
        f"first_response_at: {NO_TIME}",
        f"on_hold_seconds: {NO_TIME}",
        f"on_hold_business_seconds: {NO_TIME}",
    ]
    records: list[Record] = [
        ticket(5, reopen_count=None, sla_breached=False),
        ticket(6, priority="9"),
        interruption(6, severity=None),
    ]
    records += [ticket(8, priority="9", reference=None), interruption(8, severity=None, reference=None)]
    records += [changed(14, "pending", reference=None)]
    return truth(
        "what cannot be read",
        [*records, changed(13, "pending", requested_at=None)],
        {"metric_instance": metrics, "task_sla": slas},
        incident=rows,
        sc_req_item=[item(7, closed_at="n/a")],
        change_request=[
            change(11, "9"),
            change(12, close_code="successful", work_end="n/a"),
            change(13, "2", opened_at="n/a"),
            change(14, "2", approval="approved", approval_set="n/a") | {"number": ""},
        ],
        left_out=left_out,
        options={"incidents": ({"field": "priority", "match": "9"},)},
    )
