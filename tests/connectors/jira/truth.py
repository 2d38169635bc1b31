"""What issues of Jira are: items as its REST interface writes them, and the records they must become."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.jira.issue import ROLE
from exporter.connectors.jira.mapping import APPROVED
from exporter.records import Change, Incident, Record, Request
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Enum, Truth, hashed, rewritten
from tests.fakes.jira import STATUSES, Jira

ENUMS = (
    Enum("jira-cloud-platform-v3-trimmed.json", "components/schemas/User/properties/accountType/enum", ROLE),
    Enum(
        "jira-service-management-trimmed.json", "components/schemas/ApprovalDTO/properties/finalDecision/enum", APPROVED
    ),
)
TECHNICAL = {"page_size", "overlap_seconds"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
ANNA = "customer-anna"
TYPE = "[System] Service request"
Act = Callable[[Jira, str], None]
Given = tuple[Sequence[Act], dict[str, Any]]
Columns = dict[str, Any]


def at(minute: float) -> datetime:
    """A minute after an issue was opened."""
    return NOON + timedelta(minutes=minute)


def issue(*acts: Act, status: str = "Resolved", **fields: Any) -> Given:
    """An issue of noon, resolved at minute 40 by nobody, and what was done with it."""
    usual: dict[str, Any] = {
        "resolution": {"name": "Done"},
        "resolutiondate": at(40),
        "statuscategorychangedate": at(41),
    }
    return acts, {"status": status, **usual, **fields}


def moved(minute: float, who: str, old: str, new: str) -> Act:
    return lambda jira, key: jira.changed(key, who, at(minute), ("status", STATUSES[old][0], STATUSES[new][0], new))


def changed(minute: float, who: str, name: str, old: str | None, new: str) -> Act:
    return lambda jira, key: jira.changed(key, who, at(minute), (name, old, new, new))


def said(minute: float, who: str, *, public: bool = True) -> Act:
    return lambda jira, key: jira.comment(key, who, at(minute), public=public)


def truth(
    what: str, issues: Sequence[Given], records: Sequence[Record], *, jira: Jira | None = None, **others: Any
) -> Truth:
    """Issues with ids from 10001 and keys from ITS-1 on."""
    jira = jira or Jira()
    for acts, fields in issues:
        own = dict(fields)
        key = jira.create(own.pop("asker", ANNA), NOON, **own)
        for act in acts:
            act(jira, key)
        jira.issues[key].fields["updated"] = fields.get("updated", at(50))
    return Truth(what=what, app=jira.app(), secret=("token", jira.token), records=records, **others)


def common(number: int) -> dict[str, Any]:
    key = f"ITS-{number}"
    return {"id": str(10_000 + number), "reference": key, "url": f"{HOST}/browse/{key}", "updated_at": at(50)}


def request(number: int, outcome: str = "resolved", **columns: Any) -> Request:
    """The issue of noon, but for what is said of it."""
    ended = outcome != "open"
    usual = {
        "kind": "service_request",
        "opened_at": NOON,
        "resolved_at": at(40) if outcome == "resolved" else None,
        "abandoned_at": at(40) if outcome == "abandoned" else None,
        "closed_at": at(40) if ended else None,
        "on_hold_seconds": 0.0 if ended else None,
        "outcome": outcome,
        "priority": "Medium",
        "requester": hashed(f"712020:{ANNA}"),
        "request_type": TYPE,
        "reopen_count": 0,
        "replies": 0,
    }
    return Request(**{**common(number), **usual, **columns})


def incident(number: int, **columns: Any) -> Incident:
    usual = {"opened_at": NOON, "resolved_at": at(40), "severity": "sev3", "on_hold_seconds": 0.0}
    return Incident(**{**common(number), **usual, **columns})


def change(number: int, result: str, **columns: Any) -> Change:
    deployed = at(40) if result in ("succeeded", "failed", "rolled_back") else None
    usual = {"requested_at": NOON, "deployed_at": deployed, "result": result, "automated": False}
    return Change(**{**common(number), **usual, **columns})


def numbered(make: Callable[..., Record], columns: Sequence[Mapping[str, Any]]) -> list[Record]:
    return [make(number, **each) for number, each in enumerate(columns, 1)]


def truths(_folder: Path) -> Iterator[Truth]:
    """Those first that have the most words in them."""
    yield outcomes()
    yield changes()
    yield incidents()
    yield handlers()
    yield ways_in()
    yield times_on_hold()
    yield approvals()
    yield escalations()
    yield outcomes_of_their_own()
    yield ends()
    yield more_bots()
    yield escalations_of_their_own()
    yield times_on_hold_in_other_statuses()
    yield responses_and_deadlines()
    yield other_deadlines()
    yield deadlines_that_are_not_there()
    yield ratings_and_work()
    yield what_is_what()
    yield what_is_what_elsewhere()
    yield severities_of_their_own()
    yield causes_of_their_own()
    yield changes_of_their_own()
    yield histories_in_parts()
    yield times_in_other_forms()
    yield data_center()
    yield what_is_mapped()
    yield what_cannot_be_read()


def outcomes() -> Truth:
    """The category of the status says whether it is over; its resolution, or else the status, how."""
    words = {"Open": "open", "Waiting for support": "open", "Odd": "open", "Resolved": "resolved", "Closed": "resolved"}
    words |= {"Canceled": "abandoned", "Declined": "abandoned"}
    resolutions = {"Won't Do": "abandoned", "Won't Fix": "abandoned", "Declined": "abandoned", "rejected": "abandoned"}
    resolutions |= {
        "Canceled": "abandoned",
        "CANCELLED": "abandoned",
        "Duplicate": "discarded",
        "Known Error": "resolved",
    }
    issues = [issue(status=word) for word in words]
    issues += [issue(resolution={"name": word}) for word in resolutions]
    issues += [issue(status="Canceled", resolution=None)]
    ends = [*words.values(), *resolutions.values(), "abandoned"]
    return truth("outcomes", issues, numbered(request, [{"outcome": each} for each in ends]))


def outcomes_of_their_own() -> Truth:
    """A name of a resolution goes before one of a status, ours before the usual."""
    issues = [
        issue(resolution={"name": "spam"}),
        issue(status="Canceled", resolution={"name": "Works"}),
        issue(resolution={"name": "Duplicate"}),
        issue(status="Closed"),
        issue(status="Open", resolution={"name": "spam"}),
    ]
    given = {"Spam": "discarded", "works": "resolved", "Duplicate": "resolved", "Closed": "abandoned"}
    ends = ["discarded", "resolved", "resolved", "abandoned", "open"]
    return truth(
        "own outcomes", issues, numbered(request, [{"outcome": each} for each in ends]), options={"outcomes": given}
    )


def ends() -> Truth:
    """The last end counts: a resolution may be of one before, or missing. A status that was deleted is none."""
    again = [
        moved(10, ANNA, "Open", "Resolved"),
        moved(20, ANNA, "Resolved", "Open"),
        moved(45, ANNA, "Open", "Resolved"),
    ]
    twice = [moved(10, ANNA, "Open", "Resolved"), moved(45, ANNA, "Resolved", "Closed")]
    by = {"resolved_at": at(45), "closed_at": at(45)}
    issues = [
        issue(*again),
        issue(*again, resolutiondate=None),
        issue(*twice, status="Closed"),
        issue(*twice, status="Closed", resolutiondate=None),
        issue(resolutiondate=None),
        issue(resolutiondate=None, statuscategorychangedate=None),
        issue(*again[:2], status="Open"),
        issue(moved(10, ANNA, "Resolved", "Open"), moved(12, ANNA, "Open", "Closed"), status="Closed"),
        issue(changed(10, ANNA, "status", "999", "10105"), changed(11, ANNA, "status", "10105", "999"), status="Open"),
        issue(changed(10, ANNA, "resolution", "10105", "1")),
    ]
    records: list[Columns] = [
        {**by, "reopen_count": 1},
        {**by, "reopen_count": 1},
        {},
        {"resolved_at": at(10), "closed_at": at(10)},
        {"resolved_at": at(41), "closed_at": at(41)},
        {"resolved_at": None, "closed_at": None, "on_hold_seconds": None},
        {"outcome": "open", "reopen_count": 1},
        {"reopen_count": 1},
        {"outcome": "open"},
        {},
    ]
    return truth("ends", issues, numbered(request, records))


def answered(minute: float | None, handler: str, *, first: bool = False, replies: int = 1) -> dict[str, Any]:
    work = {"human_seconds": 0.0} if handler == "automation" else {}
    told = {"first_response_at": None if minute is None else at(minute), "replies": replies}
    return {**told, "handled_by": handler, "self_service": first, **work}


HUMAN: Columns = {"handled_by": "human"}
ASSISTED: Columns = {"handled_by": "assisted"}
ALONE: Columns = {"handled_by": "automation", "self_service": True, "human_seconds": 0.0}
BOB, BOT = "agent-bob", "app-rules"


def handlers() -> Truth:
    """Who did the work: people by any act, a bot by speaking before them or by ending what nobody spoke to."""
    closed = moved(40, ANNA, "Open", "Resolved")
    by_bot, by_bob = moved(40, BOT, "Open", "Resolved"), moved(40, BOB, "Open", "Resolved")
    cases: list[tuple[Sequence[Act], dict[str, Any]]] = [
        ([], {}),
        ([closed], {}),
        ([said(5, ANNA), closed], {}),
        ([said(5, "customer-otto"), closed], {}),
        ([by_bob], HUMAN),
        ([said(5, BOB), by_bob], answered(5, "human")),
        ([said(5, "gone-zoe"), closed], answered(5, "human")),
        ([said(5, BOB, public=False), closed], HUMAN),
        ([changed(5, BOB, "assignee", None, "x"), closed], HUMAN),
        ([changed(5, BOB, "description", None, "x"), closed], {}),  # not even asked for
        ([changed(5, BOB, "resolution", None, "x"), closed], HUMAN),
        ([changed(5, BOB, "issuetype", "1", "2"), closed], HUMAN),
        ([by_bot], ALONE),
        ([said(5, BOT), closed], answered(5, "automation", first=True)),
        ([said(5, BOT, public=False), closed], {}),
        ([moved(5, BOT, "Open", "Pending"), moved(40, ANNA, "Pending", "Resolved")], {}),  # it only sorts
        ([said(5, BOT), said(6, BOB), by_bob], answered(6, "assisted", first=True, replies=2)),
        ([said(6, BOB), said(5, BOT, public=False), by_bob], answered(6, "human")),
        ([said(5, BOB), said(39, BOT), by_bot], answered(5, "human", replies=2)),  # it closes what he has solved
        ([said(5, BOB), said(6, BOT), said(7, BOB), by_bot], answered(5, "assisted", replies=3)),
        ([said(5, BOB), said(9, BOT), moved(9, BOB, "Open", "Resolved")], answered(5, "human", replies=2)),
        ([said(4, ANNA), said(5, BOB, public=False), by_bot], ASSISTED),
        ([moved(5, BOB, "Open", "Pending"), moved(40, BOT, "Pending", "Resolved")], ASSISTED),  # he approves, it does
        ([moved(5, BOT, "Open", "Resolved"), moved(9, ANNA, "Resolved", "Open"), moved(40, BOB, "Open", "Closed")],
         HUMAN),
        ([moved(5, BOB, "Open", "Resolved"), moved(9, ANNA, "Resolved", "Open"), by_bot], ASSISTED),
        ([lambda jira, key: jira.changed(key, None, at(5), ("assignee", None, "x", "x")), closed], {}),
    ]  # fmt: skip
    reopened = {23: {"reopen_count": 1}, 24: {"reopen_count": 1}}
    held = {15: {"on_hold_seconds": 2100.0}, 22: {"on_hold_seconds": 2100.0}}
    records = [{**each, **reopened.get(n, {}), **held.get(n, {})} for n, (_, each) in enumerate(cases)]
    issues = [issue(*acts, status="Closed" if n == 23 else "Resolved") for n, (acts, _) in enumerate(cases)]
    # Who asked and has it assigned does the work.
    own: Columns = {"asker": BOB, "creator": Jira().person(BOB)}
    issues += [issue(said(5, BOB), by_bob, **own), issue(said(5, BOB), by_bob, **own, assignee=Jira().person(BOB))]
    bob = {"requester": hashed(f"712020:{BOB}")}
    return truth("handlers", issues, numbered(request, [*records, bob, {**bob, **answered(5, "human")}]))


def more_bots() -> Truth:
    """A rule may run as a person: by its account id, or by its name."""
    issues = [issue(said(5, BOB)), issue(said(5, "agent-carl")), issue(said(5, "agent-dora"))]
    records = [answered(5, "automation", first=True), answered(5, "automation", first=True), answered(5, "human")]
    bots = (f"712020:{BOB}", "agent-carl")
    return truth("bots", issues, numbered(request, records), options={"bots": bots})


def escalations() -> Truth:
    issues = [
        issue(moved(5, BOB, "Open", "Escalated"), moved(7, BOB, "Escalated", "Open"),
              moved(9, BOB, "Open", "Escalated"), moved(40, BOB, "Escalated", "Resolved")),
        issue(moved(5, BOB, "Escalated", "Open"), moved(40, BOB, "Open", "Resolved")),
        issue(changed(5, BOB, "customfield_10151", "1", "2"), changed(6, BOB, "assignee", "Escalated", "10103")),
        # It has been given another name since.
        issue(lambda jira, key: jira.changed(key, BOB, at(5), ("status", "1", "10103", "Second line")),
              lambda jira, key: jira.changed(key, BOB, at(40), ("status", "10103", "10105", "Resolved"))),
        issue(changed(5, BOB, "status", "1", "ESCALATED"), changed(40, BOB, "status", "ESCALATED", "10105")),
    ]  # fmt: skip
    escalated = {**HUMAN, "escalated_at": at(5)}
    return truth("escalations", issues, numbered(request, [escalated, HUMAN, HUMAN, escalated, escalated]))


def escalations_of_their_own() -> Truth:
    """Into other statuses, or by a field that had a value: by its name, or by its id."""
    issues = [
        issue(moved(5, BOB, "Open", "Escalated"), moved(40, BOB, "Escalated", "Resolved")),
        issue(moved(5, BOB, "Open", "Implementing"), moved(40, BOB, "Implementing", "Resolved")),
        issue(changed(3, BOB, "customfield_10151", None, "1"), changed(5, BOB, "customfield_10151", "1", "2")),
        issue(changed(5, BOB, "customfield_10150", "1", "2")),
        issue(changed(5, BOB, "customfield_10140", "1", "2")),
    ]
    escalated = {**HUMAN, "escalated_at": at(5)}
    fields = ("Support level", "customfield_10150")
    return truth(
        "own escalations",
        issues,
        numbered(request, [HUMAN, escalated, escalated, escalated, {}]),
        options={"escalation_statuses": ("implementing",), "escalation_fields": fields},
    )


def on_hold() -> list[Given]:
    """Waiting for the customer for five minutes and pending for three; beyond the end; a change is missing."""
    wait, go = "Waiting for customer", "Open"
    return [
        issue(moved(2, ANNA, go, wait), moved(7, ANNA, wait, go), moved(20, ANNA, go, "Pending"),
              moved(23, ANNA, "Pending", go), moved(40, ANNA, go, "Resolved")),
        issue(moved(40, ANNA, wait, "Resolved")),
        issue(moved(2, ANNA, go, wait), moved(9, ANNA, "Pending", go), moved(40, ANNA, go, "Resolved")),
        issue(moved(2, ANNA, go, wait), moved(7, ANNA, wait, go)),
        issue(moved(2, ANNA, go, wait), status=wait),
        issue(moved(30, ANNA, go, wait), moved(40, ANNA, wait, "Resolved"), moved(45, ANNA, "Resolved", "Pending"),
              moved(48, ANNA, "Pending", "Closed"), status="Closed", resolutiondate=at(40)),
        issue(moved(2, ANNA, go, "Implementing"), moved(40, ANNA, "Implementing", "Resolved")),
        issue(moved(2, ANNA, go, wait), moved(40, ANNA, wait, "Resolved"), created=None),
        issue(moved(-5, ANNA, wait, go), moved(40, ANNA, go, "Resolved")),  # brought from elsewhere, with its history
    ]  # fmt: skip


def held(minutes: Sequence[float | None]) -> list[Record]:
    """The sixth ended twice."""
    records = [{"on_hold_seconds": None if each is None else each * 60.0} for each in minutes]
    again = {"resolved_at": at(48), "closed_at": at(48), "reopen_count": 1}
    more: dict[int, dict[str, Any]] = {4: {"outcome": "open"}, 5: again, 7: {"opened_at": None}}
    return numbered(request, [{**each, **more.get(n, {})} for n, each in enumerate(records)])


def times_on_hold() -> Truth:
    return truth("times on hold", on_hold(), held([8, 40, None, None, None, 13, 0, None, 0]))


def times_on_hold_in_other_statuses() -> Truth:
    options = {"on_hold_statuses": ("IMPLEMENTING",)}
    return truth("own times on hold", on_hold(), held([0, 0, None, None, None, 0, 38, None, 0]), options=options)


def cycle(*, missed: bool, stop: float | None = 9) -> dict[str, Any]:
    stopped = (
        {} if stop is None else {"stopTime": {"epochMillis": round(at(stop).timestamp() * 1000), "iso8601": "never"}}
    )
    return {"breached": missed, "goalDuration": {"millis": 1}, **stopped}


def sla(*cycles: dict[str, Any], ongoing: dict[str, Any] | None = None) -> dict[str, Any]:
    now = {} if ongoing is None else {"ongoingCycle": ongoing}
    return {"id": "1", "name": "Zeit", "completedCycles": [*cycles], "slaDisplayFormat": "NEW_SLA_FORMAT", **now}


def deadlines() -> list[Given]:
    met, missed = cycle(missed=False), cycle(missed=True)
    return [
        issue(customfield_10111=sla(met)),
        issue(customfield_10111=sla(met, missed, met)),
        issue(customfield_10111=sla(ongoing=missed), status="Open"),
        issue(customfield_10111=sla(ongoing=cycle(missed=False))),
        issue(customfield_10111=sla()),
        issue(customfield_10112=sla(cycle(missed=True, stop=12), met)),
        issue(said(5, BOB), customfield_10112=sla(met), customfield_10111=sla(met)),
        issue(said(5, BOB), customfield_10112=sla(ongoing=met)),
        issue(said(5, BOB), customfield_10112=sla(cycle(missed=False, stop=None))),
    ]


def responses_and_deadlines() -> Truth:
    """The deadline for the first response tells when it came; else the first public comment of staff does."""
    bob = answered(5, "human")
    records: list[Columns] = [
        {"sla_breached": False},
        {"sla_breached": True},
        {"sla_breached": True, "outcome": "open"},
        {"sla_breached": False},
        {},
        {"sla_breached": True, "first_response_at": at(9)},
        {**bob, "sla_breached": False, "first_response_at": at(9)},
        {**bob, "sla_breached": False},
        {**bob, "sla_breached": False},
    ]
    return truth("responses and deadlines", deadlines(), numbered(request, records))


def other_deadlines() -> Truth:
    bob = answered(5, "human")
    nine = {"first_response_at": at(9)}
    records: list[Columns] = [
        nine,
        nine,
        {"outcome": "open"},
        {},
        {},
        {"sla_breached": True},
        {**bob, "sla_breached": False, **nine},
        {**bob, "sla_breached": False},
        {**bob, "sla_breached": False},
    ]
    options = {"slas": ("Zeit bis zur Antwort",), "response_sla": "Zeit bis zur Erledigung"}
    return truth("other deadlines", deadlines(), numbered(request, records), options=options)


def deadlines_that_are_not_there() -> Truth:
    """A name that no field has is no wish for every deadline."""
    given = issue(customfield_10111=sla(cycle(missed=True)))
    return truth("no deadlines", [given], [request(1)], options={"slas": ("Zeit",)})


def ratings_and_work() -> Truth:
    ratings: list[Any] = [1, {"rating": 4, "type": "csat"}, {"value": "5"}, {"rating": None}, 0, 6, None]
    issues = [issue(customfield_10105=each) for each in ratings]
    issues += [issue(timespent=90), issue(said(5, BOT), timespent=60), issue(timespent="much"), issue(asker=None)]
    shares: list[float | None] = [0.0, 0.75, 1.0, None, None, None, None]
    records: list[dict[str, Any]] = [{"csat": share} for share in shares]
    records += [
        {"human_seconds": 90.0},
        {**answered(5, "automation", first=True), "human_seconds": 60.0},
        {},
        {"requester": None},
    ]
    said_ = [f"csat: {number} is not between 1 and 5" for number in (0, 6)]
    left_out = [*said_, "human_seconds: cannot be read (ValueError)"]
    return truth("ratings and work", issues, numbered(request, records), left_out=left_out)


def ways_in() -> Truth:
    """By which way, as what, about what."""
    words = {"portal": "portal", "anonymousportal": "portal", "email": "email", "api": "api", "jira": "other"}
    jira = Jira()

    def by(channel: Any) -> Act:
        return lambda jira, key: jira.issues[key].properties.update(
            {"request.channel.type": {"value": channel}, "x": 1}
        )

    asked = {"requestType": {"id": "1", "name": "Password reset"}, "currentStatus": {}}
    issues = [issue(by(word)) for word in words]
    issues += [
        issue(by("pigeon")),
        issue(customfield_10010=asked),
        issue(customfield_10010=asked, components=[{"name": "Identity"}, {"name": "Mail"}], priority=None),
        issue(components=[{"name": "Identity"}], priority={"id": "1", "name": "Highest"}),
        issue(customfield_10010={"requestType": None}),
        issue(priority={"name": ""}),
    ]
    reset = {"request_type": "Password reset", "category": "Password reset"}
    records: list[dict[str, Any]] = [{"channel": ours} for ours in words.values()]
    records += [{}, reset, {**reset, "category": "Identity", "priority": None}]
    records += [{"category": "Identity", "priority": "Highest"}, {}, {"priority": None}]
    left_out = ["channel: 'pigeon' is none of portal, anonymousportal, email, api, jira"]
    return truth("ways in", issues, numbered(request, records), jira=jira, left_out=left_out)


def typed(name: str, *, subtask: bool = False, status: str = "Resolved", **fields: Any) -> Given:
    return issue(status=status, issuetype={"id": "1", "name": name, "subtask": subtask}, **fields)


def what_is_what() -> Truth:
    """By the type, as Jira names them; a project that is no service project is not read."""
    names = ["[System] Service request", "service request with approvals", "Task", "[System] Incident", "Incident"]
    names += ["[System] Change", "Change", "[System] Problem", "Problem"]
    issues = [typed(name, status="Completed" if "Change" in name else "Resolved") for name in names]
    issues += [typed("Task", subtask=True), typed("Task", project="DEV")]
    records = [
        request(1),
        request(2, request_type=names[1]),
        *(request(n + 1, request_type=names[n], kind="ticket") for n in (2, 3, 4)),
        incident(4),
        incident(5),
        change(6, "succeeded"),
        change(7, "succeeded"),
    ]
    return truth("what is what", issues, records)


def what_is_what_elsewhere() -> Truth:
    """Types of their own, by whatever field; projects that are named, which need be no service projects."""
    issues = [
        typed("Story", project="DEV", labels=["ask"]),
        typed("Störung", project="DEV"),
        typed("Incident", project="DEV"),
        typed("Release", project="DEV", status="Completed"),
        typed("Change", project="DEV"),
        typed("Epic", project="DEV"),
        typed("Task"),
    ]

    records = [
        elsewhere(request(1, request_type="Story"), "DEV"),
        elsewhere(request(2, request_type="Störung", kind="ticket"), "DEV"),
        elsewhere(incident(2), "DEV"),
        elsewhere(request(3, request_type="Incident", kind="ticket"), "DEV"),
        elsewhere(change(4, "succeeded"), "DEV"),
        elsewhere(request(5, request_type="Change", kind="ticket"), "DEV"),
    ]
    options = {
        "projects": ("DEV",),
        "incidents": {"field": "fields.issuetype.name", "match": "Störung"},
        "changes": {"field": "fields.issuetype.name", "match": "Release"},
        "problems": {"field": "fields.issuetype.name", "match": "Epic"},
        "service_requests": {"field": "fields.labels", "match": "ask"},
    }
    return truth("what is what elsewhere", issues, records, options=options)


def link(kind: str, end: str, key: str, name: str) -> dict[str, Any]:
    return {
        "id": "1",
        "type": {"name": kind},
        end: {"id": key, "key": "ITS-9", "fields": {"issuetype": {"name": name}}},
    }


SYSTEM: Columns = {"issuetype": {"id": "2", "name": "[System] Incident", "subtask": False}}


def both(cases: Sequence[tuple[Given, dict[str, Any], dict[str, Any]]]) -> tuple[list[Given], list[Record]]:
    """Incidents as the requests and the incidents that they are."""
    records: list[Record] = []
    for number, (_, asked, broken) in enumerate(cases, 1):
        records += [
            request(number, **{"request_type": "[System] Incident", "kind": "ticket", **asked}),
            incident(number, **broken),
        ]
    return [given for given, _, _ in cases], records


def incidents() -> Truth:
    """Acknowledged when somebody first moves it or takes it; caused by a change at the inward end of such a link."""
    words = {"Highest": "sev1", "critical": "sev1", "HIGH": "sev2", "Medium": "sev3", "Low": "sev4", "Lowest": "sev5"}
    cases: list[tuple[Given, dict[str, Any], dict[str, Any]]] = [
        (issue(**SYSTEM, priority={"name": word}), {"priority": word}, {"severity": ours})
        for word, ours in words.items()
    ]
    one, two = {"id": "b:1", "name": "Mail"}, {"id": "b:2"}
    closed = moved(40, BOT, "Open", "Resolved")
    links = [
        link("Blocks", "inwardIssue", "700", "[System] Change"),
        link("Problem/Incident", "outwardIssue", "701", "[System] Change"),
        link("Problem/Incident", "inwardIssue", "702", "Task"),
        link("problem/incident", "inwardIssue", "703", "[System] Change"),
        link("Blocks", "outwardIssue", "704", "[System] Problem"),
        link("Problem/Incident", "inwardIssue", "705", "[System] Problem"),
    ]
    cases += [
        (issue(**SYSTEM, customfield_10140={"value": "High"}), {}, {"severity": "sev2"}),
        (issue(**SYSTEM, priority=None), {"priority": None}, {"severity": None}),
        (issue(**SYSTEM, priority={"name": "Urgent"}), {"priority": "Urgent"}, {"severity": None}),
        (issue(**SYSTEM, customfield_10130=[one]), {}, {"service": "Mail"}),
        (issue(**SYSTEM, customfield_10130=[one, two]), {}, {"service": "Mail", "services": ("Mail", "b:2")}),
        (issue(**SYSTEM, components=[{"name": "VPN"}]), {"category": "VPN"}, {"service": "VPN"}),
        (issue(**SYSTEM, customfield_10010={"requestType": {"name": "It is broken"}}),
         {"request_type": "It is broken", "category": "It is broken"}, {"category": "It is broken"}),
        (issue(**SYSTEM, issuelinks=links), {}, {"caused_by": "703", "recurrence_key": "704"}),
        (issue(**SYSTEM, issuelinks=links[:1] + links[-1:]), {}, {"recurrence_key": "705"}),
        (issue(closed, **SYSTEM), ALONE, {"auto_remediated": True}),
        (issue(moved(2, BOT, "Open", "Pending"), changed(3, BOB, "resolution", None, "1"),
               changed(4, BOB, "assignee", None, "x"), moved(40, BOB, "Pending", "Resolved"), **SYSTEM),
         {**HUMAN, "on_hold_seconds": 2280.0},
         {"acknowledged_at": at(4), "auto_remediated": False, "on_hold_seconds": 2280.0}),
        (issue(moved(3, BOB, "Open", "Pending"), moved(4, BOB, "Pending", "Open"), **SYSTEM, status="Open"),
         {**HUMAN, "outcome": "open"}, {"acknowledged_at": at(3), "resolved_at": None, "on_hold_seconds": None}),
        (issue(**SYSTEM, status="Canceled"), {"outcome": "abandoned"}, {"resolved_at": None}),
    ]  # fmt: skip
    issues, records = both(cases)
    left_out = ["severity: 'urgent' is none of highest, critical, high, medium, low, lowest"]
    return truth("incidents", issues, records, left_out=left_out)


def severities_of_their_own() -> Truth:
    issues, records = both([
        (issue(**SYSTEM, customfield_10150={"value": "S1"}), {}, {"severity": "sev1"}),
        (issue(**SYSTEM, customfield_10140={"value": "Low"}, priority={"name": "High"}), {"priority": "High"},
         {"severity": "sev5"}),
    ])  # fmt: skip
    options = {"severity_field": "Team", "severities": {"s1": "sev1", "High": "sev5"}}
    return truth("own severities", issues, records, options=options)


def causes_of_their_own() -> Truth:
    links = [
        link("Problem/Incident", "inwardIssue", "701", "Change"),
        link("Broken by", "inwardIssue", "702", "Change"),
    ]
    issues, records = both([(issue(**SYSTEM, issuelinks=links), {}, {"caused_by": "702"})])
    return truth("own causes", issues, records, options={"cause_links": ("broken by",)})


CHG: Columns = {"issuetype": {"id": "3", "name": "[System] Change", "subtask": False}}


def changes() -> Truth:
    """The status says how it went, or else the resolution; it is deployed when it is done."""
    done, none = {"name": "Done"}, None
    statuses: list[tuple[str, Any, str]] = [
        ("Completed", done, "succeeded"),
        ("Failed", done, "failed"),
        ("Canceled", done, "cancelled"),
    ]
    statuses += [("Declined", done, "cancelled"), ("Implementing", none, "pending"), ("Closed", done, "succeeded")]
    words = {"Implemented": "succeeded", "Successful": "succeeded", "Unsuccessful": "failed", "Failed": "failed"}
    words |= {"Rolled back": "rolled_back", "Canceled": "cancelled", "Cancelled": "cancelled", "Declined": "cancelled"}
    words |= {"Rejected": "cancelled", "Won't Do": "cancelled", "Completed": "succeeded"}
    found = [*statuses, *(("Closed", {"name": word}, ours) for word, ours in words.items())]
    issues = [issue(**CHG, status=status, resolution=resolution) for status, resolution, _ in found]
    records: list[Record] = [change(number, result) for number, (_, _, result) in enumerate(found, 1)]
    more: list[tuple[Given, dict[str, Any]]] = [
        (issue(**CHG, status="Completed", customfield_10141={"value": "Standard"}), {"kind": "standard"}),
        (issue(**CHG, status="Completed", customfield_10141={"value": "normal"}), {"kind": "normal"}),
        (issue(**CHG, status="Completed", customfield_10141={"value": "Emergency"}), {"kind": "emergency"}),
        (issue(**CHG, status="Completed", customfield_10141={"value": "Huge"}), {}),
        (issue(**CHG, status="Completed", creator=Jira().person(BOT)), {"automated": True}),
        (issue(**CHG, status="Completed", creator=None), {"automated": None}),
        (issue(**CHG, status="Completed", customfield_10130=[{"id": "1", "name": "Mail"}]), {"service": "Mail"}),
        (issue(**CHG, status="Completed", components=[{"name": "a"}, {"name": "b"}]),
         {"service": "a", "services": ("a", "b")}),
    ]  # fmt: skip
    begin = len(issues) + 1
    issues += [given for given, _ in more]
    records += [change(begin + n, "succeeded", **columns) for n, (_, columns) in enumerate(more)]
    issues.append(issue(**CHG, status="Closed", resolution={"name": "Perhaps"}))
    known = "completed, done, implemented, successful, failed, unsuccessful, rolled back, canceled, cancelled, declined"
    left_out = [
        "kind: 'huge' is none of standard, normal, emergency",
        f"result: 'closed' is none of {known}, rejected, won't do",
    ]
    return truth("changes", issues, records, left_out=left_out)


def changes_of_their_own() -> Truth:
    """Deployed with the first status of those that are named, which need not be the last of all."""
    steps = [moved(5, BOB, "Open", "Implementing"), moved(9, BOB, "Implementing", "Open"),
             moved(20, BOB, "Open", "Implementing"), moved(40, BOB, "Implementing", "Closed")]  # fmt: skip
    issues = [
        issue(*steps, **CHG, status="Closed", resolution={"name": "Backed out"}),
        issue(**CHG, status="Closed", resolution={"name": "Done"}),
        issue(
            **CHG, status="Completed", customfield_10150={"value": "Normal"}, customfield_10141={"value": "Standard"}
        ),
        issue(*steps, **CHG, status="Canceled"),
    ]
    records = [
        change(1, "rolled_back", deployed_at=at(5)),
        change(2, "failed", deployed_at=None),
        change(3, "succeeded", kind="normal", deployed_at=None),
        change(4, "cancelled"),
    ]
    options = {
        "results": {"backed out": "rolled_back", "Done": "failed"},
        "deployed_statuses": ("implementing",),
        "change_type_field": "Team",
    }
    return truth("own changes", issues, records, options=options)


def approvals() -> Truth:
    def given(decision: str, minute: float | None) -> dict[str, Any]:
        done = {} if minute is None else {"completedDate": {"epochMillis": round(at(minute).timestamp() * 1000)}}
        return {"id": "1", "finalDecision": decision, "approvers": [], **done}

    cases = [
        ([given("approved", 5)], at(5)),
        ([given("approved", 7), given("approved", 5), given("declined", 9), given("pending", None)], at(7)),
        ([given("declined", 5)], None),
        ([given("approved", None)], None),
        ([], None),
        ([given("maybe", 5)], None),
    ]
    issues = [issue(**CHG, status="Completed", customfield_10120=each) for each, _ in cases]
    records = [change(number, "succeeded", approved_at=approved) for number, (_, approved) in enumerate(cases, 1)]
    left_out = ["approved_at: 'maybe' is none of approved, declined, pending"]
    return truth("approvals", issues, records, left_out=left_out)


def histories_in_parts() -> Truth:
    """Of one issue histories may come in several answers, and comments by themselves; in whatever order."""
    turns = [moved(n, ANNA, *pair) for n, pair in enumerate([("Open", "Resolved"), ("Resolved", "Open")] * 3)]
    mixed = [
        said(9, BOB),
        said(5, BOT),
        said(8, BOB),
        moved(40, BOB, "Open", "Resolved"),
        moved(3, ANNA, "Pending", "Open"),
    ]
    jira = Jira(most_histories=2, comments_sent=1)
    issues = [issue(*turns, status="Open"), issue(*mixed)]
    records: list[Columns] = [
        {"outcome": "open", "reopen_count": 3},
        {**answered(8, "assisted", first=True, replies=3), "on_hold_seconds": 180.0},
    ]
    return truth("in parts", issues, numbered(request, records), jira=jira, options={"page_size": 1})


def times_in_other_forms() -> Truth:
    """Of a history they are milliseconds; its description shows seconds, and other questions bring texts."""
    steps = [moved(5, BOB, "Open", "Escalated"), moved(40, BOB, "Escalated", "Resolved")]
    escalated = {**HUMAN, "escalated_at": at(5)}
    given = truth("times in other forms", [issue(*steps)] * 2, numbered(request, [escalated, escalated]))

    def spoil(body: dict[str, Any]) -> None:
        for log in body["issueChangeLogs"]:
            for history in log["changeHistories"]:
                seconds = history["created"] // 1000
                text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.000+0000}"
                history["created"] = seconds if log["issueId"] == "10001" else text

    assert given.app
    rewritten(given.app, "/changelog/bulkfetch", spoil)
    return given


def data_center() -> Truth:
    """It tells not which comments are public, what accounts are, nor the way in; in other projects all are public."""
    jira = Jira(cloud=False)
    bob = moved(40, BOB, "Open", "Resolved")
    otto = {"name": "otto", "displayName": "Otto"}
    at_once = [moved(5, BOB, "Open", "Pending"), moved(5, BOB, "Pending", "Resolved")]
    both_in_one: Act = lambda jira, key: jira.changed(  # noqa: E731 - one of a kind
        key, BOB, at(40), ("assignee", None, "x", "x"), ("customfield_10151", "1", "2", "2")
    )
    issues = [
        issue(said(5, BOB), bob, customfield_10112=sla(cycle(missed=False))),
        issue(said(5, BOT), moved(40, BOT, "Open", "Resolved")),
        issue(said(5, BOB), bob, project="DEV"),
        issue(bob, lambda jira, key: jira.issues[key].fields.update(reporter=otto)),
        issue(*at_once),
        issue(both_in_one),
    ]
    anna: Columns = {"requester": hashed(f"JIRAUSER-{ANNA}")}
    unknown: Columns = {"replies": None, **anna}
    records: list[Record] = [
        request(1, **unknown, **HUMAN, first_response_at=at(9), sla_breached=False),
        request(2, **{**unknown, **ALONE}),
        elsewhere(request(3, **anna, **answered(5, "human")), "DEV"),
        request(4, **HUMAN, requester=hashed("otto")),
        request(5, **anna, **HUMAN),
        request(6, **anna, **HUMAN, escalated_at=at(40)),
    ]
    options = {
        "bots": (BOT,),
        "escalation_fields": ("Support level",),
        "projects": ("ITS", "DEV"),
        "response_sla": "Zeit bis zur Antwort",
    }
    return truth("Data Center", issues, records, jira=jira, options=options)


def elsewhere(record: Record, project: str) -> Record:
    """The same in another project."""
    key = f"{project}-{int(record.id) - 10_000}"
    return replace(record, reference=key, url=f"{HOST}/browse/{key}")


def what_is_mapped() -> Truth:
    """What the config can find in an issue: any field by its id, custom ones by their names, too, and the way in."""
    issues = [
        issue(
            lambda jira, key: jira.issues[key].properties.update({"request.channel.type": {"value": "portal"}}),
            labels=["urgent", "region-north"],
            customfield_10150={"value": "Identity", "id": "7"},
            components=[{"name": "Mail"}],
        )
    ]
    record = request(1, team="Identity", business_unit="Identity", region="north", cohort="portal", category="Mail",
                     channel="portal", request_type="Mail")  # fmt: skip
    rules = {
        "team": Rule(field="fields.Team"),
        "business_unit": Rule(field="fields.customfield_10150"),
        "region": Rule(field="fields.labels", match="region-(.*)"),
        "cohort": Rule(field="properties.request.channel.type"),
        "request_type": Rule(field="fields.components"),
    }
    return truth("what is mapped", issues, [record], fields=rules)


def what_cannot_be_read() -> Truth:
    """The times that place an issue, and its category, cost the issue; anything else costs itself."""
    odd: dict[str, dict[str, Any]] = {
        "10001": {"created": "n/a"},
        "10002": {"resolutiondate": "n/a"},
        "10003": {"status": {"id": "1", "name": "Odd", "statusCategory": {"key": "pondering"}}},
        "10004": {"updated": "n/a"},
        "10005": {"comment": {"comments": [{"author": None, "created": None}], "total": 1}},
        "10006": {"comment": None},
        "10007": {"reporter": "Anna"},
        "10008": {"customfield_10111": [], "customfield_10105": "good"},
        "10009": {"components": [5], "priority": {"name": 5}, "customfield_10010": [1]},
        "10010": {"issuelinks": [5], "customfield_10130": [{}], "customfield_10010": [1], **SYSTEM},
        "10011": {
            "customfield_10120": [5],
            "customfield_10130": [{}],
            "creator": {"accountType": "robot"},
            "issuetype": CHG["issuetype"],
        },
    }
    issues = [issue(said(5, BOB)) for _ in range(12)]
    bob = answered(5, "human")
    unheard: dict[str, Any] = {"replies": None, "first_response_at": None}
    system: dict[str, Any] = {"request_type": "[System] Incident", "kind": "ticket"}
    records: list[Record] = [
        request(4, **bob, updated_at=None),
        request(5, **unheard),
        request(6, **unheard),
        request(7, **unheard, requester=None),
        request(8, **bob),
        request(9, **bob, priority=None),
        request(10, **bob, **system),
        incident(10, auto_remediated=False),
        change(11, "succeeded", automated=None),
        request(12, **{**bob, "handled_by": None}, reopen_count=None, on_hold_seconds=None),
    ]
    left_out = [
        f"opened_at: {NO_TIME}",
        f"resolved_at: {NO_TIME}",
        "outcome: 'pondering' is none of new, indeterminate, undefined, done",
        f"updated_at: {NO_TIME}",
        "replies: a time is missing",
        "requester: has another shape than expected",
        "replies: has another shape than expected",
        "csat: cannot be read (ValueError)",
        "sla_breached: has another shape than expected",
        "category: has another shape than expected",
        "category: has another shape than expected",
        "category: has another shape than expected",
        "recurrence_key: has another shape than expected",
        "caused_by: has another shape than expected",
        *["service: 'id' is missing"] * 2,
        "reopen_count: a time is missing",
        "approved_at: has another shape than expected",
        "automated: 'robot' is none of atlassian, app, customer, unknown",
    ]
    given = truth("what cannot be read", issues, records, left_out=left_out)

    def spoil(body: dict[str, Any]) -> None:
        for item in body["issues"]:
            item["fields"].update(odd.get(item["id"], {}))

    def spoil_history(body: dict[str, Any]) -> None:
        body["issueChangeLogs"].append({"issueId": "10012", "changeHistories": [{"created": None, "items": [{}]}]})

    assert given.app
    rewritten(given.app, "/search/jql", spoil)
    rewritten(given.app, "/changelog/bulkfetch", spoil_history)
    return given
