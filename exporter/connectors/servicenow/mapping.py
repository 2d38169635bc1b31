"""ServiceNow: what rows of its tables mean, with what was asked beside them. Pure."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from exporter.connectors.servicenow.words import (
    CHANNELS,
    KINDS,
    SEVERITIES,
    UNDECIDED,
    Words,
    looked_up,
    meaning,
    word,
)
from exporter.records import Change, ChangeResult, HandledBy, Incident, Json, Read, Request, RequestOutcome, instant
from exporter.records.unreadable import value

SYSTEM = "system"  # acts for the platform itself: neither a person nor automation of ours
ANSWERED_FIRST: dict[HandledBy | None, bool | None] = {
    "automation": True,
    "assisted": None,
    "human": False,
    None: False,
}
"""Whether automation answered first, by who did the work."""
DONE = ("succeeded", "failed", "rolled_back")


def read(words: Words, table: str, row: Json) -> list[Read]:
    """A row as the records that it is."""
    if table == "change_request":
        return [Read(change(words, row), row)]
    if table == "interaction":
        return [Read(conversation(words, row), row)]
    if table == "sc_req_item":
        return [Read(service_request(words, row), row)]
    found = [Read(ticket(words, row), row)] if is_request(words, row) else []
    return [*found, Read(incident(words, row), row)] if is_incident(words, row) else found


def is_request(words: Words, row: Json) -> bool:
    """Whether somebody has asked for something with an incident."""
    return not any(which.holds(row) for which in words.not_requests)


def is_incident(words: Words, row: Json) -> bool:
    """Whether an incident is a service interruption; a child is the same one as its parent, a cancelled one is none."""
    asked = any(which.holds(row) for which in words.incidents)
    return asked and not row.get("parent_incident") and outcome_of(words, "incident", row) in ("open", "resolved")


def ticket(words: Words, row: Json) -> Request:
    """An incident as a request."""
    outcome = outcome_of(words, "incident", row)
    handler = incident_handler(words, row, outcome)
    by_virtual_agent = word(row.get("contact_type")) == "virtual_agent"
    return Request(
        **common(words, "incident", row),
        kind="ticket",
        **ends(row, outcome),
        escalated_at=value("escalated_at", lambda spans: escalated_at(words, spans), row["metrics"]),
        escalation_known=None if unmoved(row) or spans(row["metrics"], "assignment_group") else False,
        reopen_count=value("reopen_count", number, row.get("reopen_count")),
        channel=meaning(CHANNELS, row.get("contact_type")),
        category=row.get("category") or None,
        request_type=row.get("subcategory") or None,
        priority=row.get("priority") or None,
        requester=row.get("caller_id") or row.get("opened_by") or None,
        handled_by=handler,
        self_service=by_virtual_agent or ANSWERED_FIRST[handler],
        human_seconds=human_seconds(row, handler),
        **agreements(row, outcome),
    )


def service_request(words: Words, row: Json) -> Request:
    """A requested item as a request."""
    outcome = outcome_of(words, "sc_req_item", row)
    if outcome == "resolved" and row.get("approval") == "rejected":
        outcome = "abandoned"
    handler = item_handler(words, row, outcome)
    return Request(
        **common(words, "sc_req_item", row),
        kind="service_request",
        **ends(row, outcome),
        channel=meaning(CHANNELS, row.get("contact_type")),
        category=row.get("cat_item.name") or None,
        escalation_known=False,
        priority=row.get("priority") or None,
        requester=row.get("requested_for") or row.get("opened_by") or None,
        handled_by=handler,
        self_service=ANSWERED_FIRST[handler],
        human_seconds=human_seconds(row, handler),
        **agreements(row, outcome),
    )


def conversation(words: Words, row: Json) -> Request:
    """An interaction, such as a chat with the virtual agent, as a request."""
    outcome = outcome_of(words, "interaction", row)
    by_virtual_agent = row.get("virtual_agent") == "true"
    handed_over = row.get("agent_chat") == "true"
    worker = names(row, "assigned_to")
    handler: HandledBy | None
    if by_virtual_agent:
        handler = "assisted" if handed_over else "automation"
    else:
        handler = None if not worker else "automation" if worker & {*words.bots} else "human"
    return Request(
        **common(words, "interaction", row),
        kind="conversation",
        **ends(row, outcome),
        channel=meaning(CHANNELS, row.get("type")),
        escalation_known=False,
        requester=row.get("opened_for") or None,
        handled_by=handler,
        self_service=by_virtual_agent,
        human_seconds=0.0 if handler == "automation" else None,
    )


def incident(words: Words, row: Json) -> Incident:
    """An incident as a service interruption."""
    outcome = outcome_of(words, "incident", row)
    resolved_at = ends(row, outcome).get("resolved_at")
    handler = incident_handler(words, row, outcome)
    told = agreements(row, outcome)
    item = row.get("cmdb_ci")
    return Incident(
        **common(words, "incident", row),
        acknowledged_at=value("acknowledged_at", acknowledged_at, row["metrics"]) or told.get("first_response_at"),
        resolved_at=resolved_at,
        severity=meaning(SEVERITIES, row.get("priority")),
        service=service(row),
        category=row.get("category") or None,
        recurrence_key=row.get("problem_id") or (f"{item} {row.get('category') or ''}" if item else None),
        caused_by=row.get("caused_by") or None,
        auto_remediated=handler == "automation" if resolved_at and handler else None,
        on_hold_seconds=told.get("on_hold_seconds"),
        on_hold_business_seconds=told.get("on_hold_business_seconds"),
    )


def change(words: Words, row: Json) -> Change:
    result = value("result", lambda _: result_of(words, row), None)
    requested_at = row.get("opened_at") or row.get("sys_created_on")
    return Change(
        id=row["sys_id"],
        reference=row.get("number") or None,
        url=f"{words.url}/change_request.do?sys_id={row['sys_id']}",
        updated_at=moment(row["sys_updated_on"]),
        requested_at=value("requested_at", moment, requested_at),
        approved_at=value("approved_at", moment, row.get("approval_set") if row.get("approval") == "approved" else ""),
        deployed_at=value("deployed_at", deployed_at, row) if result in DONE else None,
        result=result,
        service=service(row),
        kind=meaning(KINDS, row.get("type")),
        automated=row.get("sys_created_by") in words.bots if words.bots else None,
    )


def common(words: Words, table: str, row: Json) -> Json:
    """What every request and incident has."""
    return {
        "id": row["sys_id"],
        "reference": row.get("number") or None,
        "url": f"{words.url}/{table}.do?sys_id={row['sys_id']}",
        "updated_at": moment(row["sys_updated_on"]),
        "opened_at": value("opened_at", moment, row["opened_at"]),
    }


def ends(row: Json, outcome: RequestOutcome) -> Json:
    """When a request ended, and how. Of one that was opened again the end before may still stand in its row."""
    if outcome == "open":
        return {"outcome": outcome}
    closed_at = value("closed_at", moment, row.get("closed_at"))
    if outcome == "resolved":  # closed at once it has not been resolved before, and some tables tell of closing alone
        resolved_at = value("resolved_at", moment, row.get("resolved_at")) or closed_at
        return {"outcome": outcome, "closed_at": closed_at, "resolved_at": resolved_at}
    return {"outcome": outcome, "closed_at": closed_at, "abandoned_at": closed_at if outcome == "abandoned" else None}


def outcome_of(words: Words, table: str, row: Json) -> RequestOutcome:
    """Where a request stands, by its state."""
    return looked_up(words.outcomes[table], row["state"])


def result_of(words: Words, row: Json) -> ChangeResult | None:
    """What came of a change; None where it is closed and nobody says how."""
    stage, code = looked_up(words.stages, row["state"]), row.get("close_code") or ""
    if stage in ("closed", "review") and (code or code in words.close_codes):
        return looked_up(words.close_codes, code)
    return UNDECIDED[stage]


def deployed_at(row: Json) -> datetime | None:
    """When a change was done; where nobody has said so, when it was to be, or had been closed by then."""
    if actual := moment(row.get("work_end")):
        return actual
    planned, closed = moment(row.get("end_date")), moment(row.get("closed_at"))
    return min(planned, closed) if planned and closed else planned


def incident_handler(words: Words, row: Json, outcome: RequestOutcome) -> HandledBy | None:
    """Who did the work on an incident: whoever it is assigned to, and whoever resolved it."""
    resolver = names(row, "resolved_by") or names(row, "closed_by") if outcome != "open" else set[str]()
    if row.get("caller_id") in resolver:
        resolver = set()  # a caller who needs no help any more has not handled it
    person, bot = hands(words, names(row, "assigned_to"), resolver)
    bot = bot or word(row.get("contact_type")) == "virtual_agent"
    if person:
        return "assisted" if bot else "human"
    return "automation" if bot and outcome != "open" else None


def item_handler(words: Words, row: Json, outcome: RequestOutcome) -> HandledBy | None:
    """Who did the work on a requested item: whoever it or one of its tasks is assigned to, or a flow alone."""
    if row["tasks"] is None:  # they could not be read
        return None
    asked = row.get("closed_by") in (row.get("requested_for"), row.get("opened_by"))
    closer = set[str]() if asked else names(row, "closed_by")
    workers = [names(task, "assigned_to") for task in row["tasks"]] + [closer] * (outcome != "open")
    person, bot = hands(words, names(row, "assigned_to"), *workers)
    if person:
        return "assisted" if bot else "human"
    return "automation" if outcome == "resolved" or (bot and outcome != "open") else None


def hands(words: Words, *workers: Collection[str]) -> tuple[bool, bool]:
    """Whether a person is among these, and whether automation is."""
    bots = {*words.bots}
    people = [who for who in workers if who and bots.isdisjoint(who) and SYSTEM not in who]
    return bool(people), any(not bots.isdisjoint(who) for who in workers)


def names(row: Json, column: str) -> set[str]:
    """Whom a column names, by id and by user name."""
    return {text for text in (row.get(column), row.get(f"{column}.user_name")) if text}


def human_seconds(row: Json, handler: HandledBy | None) -> float | None:
    """The time booked; unknown where there is none, but for what no person has touched."""
    seconds = value("human_seconds", duration, row.get("time_worked"))
    return seconds or (0.0 if handler == "automation" else None)


def agreements(row: Json, outcome: RequestOutcome) -> Json:
    """What the service level agreements of a task tell; nothing where it has none, or they could not be read."""
    rows = [each for each in row["slas"] or () if each.get("stage") != "cancelled"]
    answers = [each for each in rows if each.get("sla.target") == "response"]
    others = [each for each in rows if each.get("sla.target") != "response"]
    if not rows:
        return {}

    def longest(column: str) -> float | None:
        return max((duration(each.get(column)) or 0.0 for each in others), default=None)

    ended = outcome != "open"
    return {
        "sla_breached": any(each.get("has_breached") == "true" for each in rows),
        "first_response_at": value("first_response_at", first, [each.get("end_time") for each in answers]),
        "on_hold_seconds": value("on_hold_seconds", longest, "pause_duration") if ended else None,
        "on_hold_business_seconds": value("on_hold_business_seconds", longest, "business_pause_duration")
        if ended
        else None,
    }


def first(times: Sequence[Json]) -> datetime | None:
    return min((at for text in times if (at := moment(text))), default=None)


def spans(metrics: Json, *fields: str) -> list[Json]:
    """The values that a column had, in order of time."""
    mine = [each for each in metrics or () if each.get("definition.field") in fields and each.get("start")]
    return sorted(mine, key=lambda each: str(each["start"]))


def unmoved(row: Json) -> bool:
    """Whether an incident has never been given to another group or person, so that it was not escalated."""
    return row.get("reassignment_count") in ("", "0", None)


def escalated_at(words: Words, metrics: Json) -> datetime | None:
    """When an incident was first moved to another group, or to one of those named."""
    groups = [each for each in spans(metrics, "assignment_group") if each.get("field_value") or each.get("value")]
    for before, after in pairwise(groups):
        moved = before.get("field_value") != after.get("field_value") or before.get("value") != after.get("value")
        if moved and (not words.tiers or {after.get("field_value"), after.get("value")} & {*words.tiers}):
            return moment(after["start"])
    return None


def acknowledged_at(metrics: Json) -> datetime | None:
    """When somebody began with an incident: it left the state New."""
    left = [each for each in spans(metrics, "incident_state", "state") if each.get("field_value") not in ("", "1")]
    return moment(left[0]["start"]) if left else None


def service(row: Json) -> str | None:
    return row.get("business_service.name") or row.get("cmdb_ci.name") or None


def number(text: Json) -> int:
    """A count; nothing is none of it."""
    return int(text) if text else 0


def moment(text: Json) -> datetime | None:
    """Values, unlike what is displayed, are in UTC."""
    return instant(text, UTC)


def duration(text: Json) -> float | None:
    """A length of time, which is written as that long after the beginning of 1970."""
    at = moment(text)
    return at.timestamp() if at else None
