"""Jira: what an issue means, read together with its history and its comments. Pure; __init__.py asks for them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from exporter.connectors.jira.issue import (
    Issue,
    Said,
    Site,
    account,
    described,
    enters,
    lowered,
    moment,
    of_type,
    reopens_it,
    role,
    understood,
)
from exporter.connectors.jira.options import Options
from exporter.records import (
    Change,
    ChangeKind,
    ChangeResult,
    Channel,
    HandledBy,
    Incident,
    IncidentSeverity,
    Json,
    Read,
    Request,
    RequestOutcome,
    instant,
)
from exporter.records.unreadable import Unreadable, Words, quoted, value

SLA = "com.atlassian.servicedesk:sd-sla-field"
REQUEST_TYPE = "com.atlassian.servicedesk:vp-origin"
FEEDBACK = "com.atlassian.servicedesk:sd-request-feedback"
FEEDBACK_DATE = "com.atlassian.servicedesk:sd-request-feedback-date"
APPROVALS = "com.atlassian.servicedesk.approvals-plugin:sd-approvals"
SERVICES = "com.atlassian.jira.plugins.service-entity:service-entity-field-cftype"
CHANNEL_PROPERTY = "request.channel.type"

OUTCOME: dict[str, RequestOutcome] = {  # of what is over; any other resolution is one
    "won't do": "abandoned",
    "won't fix": "abandoned",
    "declined": "abandoned",
    "rejected": "abandoned",
    "canceled": "abandoned",
    "cancelled": "abandoned",
    "duplicate": "discarded",
}
RESULT: dict[str, ChangeResult] = {
    "completed": "succeeded",
    "done": "succeeded",
    "implemented": "succeeded",
    "successful": "succeeded",
    "failed": "failed",
    "unsuccessful": "failed",
    "rolled back": "rolled_back",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "declined": "cancelled",
    "rejected": "cancelled",
    "won't do": "cancelled",
}
SEVERITY: dict[str, IncidentSeverity] = {
    "highest": "sev1",
    "critical": "sev1",
    "high": "sev2",
    "medium": "sev3",
    "low": "sev4",
    "lowest": "sev5",
}
CHANNEL = Words[Channel](
    "channel",
    {
        "portal": "portal",
        "anonymousportal": "portal",
        "email": "email",
        "api": "api",
        "jira": "other",  # entered by somebody in Jira
    },
)
CHANGE_KIND = Words[ChangeKind]("kind", {"standard": "standard", "normal": "normal", "emergency": "emergency"})
APPROVED = Words("approved_at", {"approved": True, "declined": False, "pending": False})


def records(site: Site, options: Options, item: Json) -> list[Read]:
    """An issue with its `histories` (None: they could not be read), as what it is."""
    item = {**item, "fields": described(site, item["fields"])}
    if item["fields"]["issuetype"].get("subtask") or options.problems.holds(item):
        return []
    issue = understood(site, options, item)
    if options.changes.holds(item):
        return [Read(change(issue), item)]
    made = [Read(request(issue), item)]
    return [*made, Read(incident(issue), item)] if options.incidents.holds(item) else made


def common(issue: Issue) -> Json:
    """The columns that every record has."""
    key, updated = issue.item["key"], value("updated_at", instant, issue.fields.get("updated"))
    return {"id": issue.item["id"], "reference": key, "url": f"{issue.site.web}/browse/{key}", "updated_at": updated}


def request(issue: Issue) -> Request:
    """An issue as what somebody asked for."""
    fields, steps, handler, outcome = issue.fields, issue.steps, issue.handled_by, outcome_of(issue)
    answers, kind = issue.answers, value("request_type", request_type, issue)
    given = (issue.item.get("properties") or {}).get(CHANNEL_PROPERTY)
    logged, unlogged = fields.get("timespent"), 0.0 if handler == "automation" else None
    return Request(
        **common(issue),
        kind="service_request" if issue.options.service_requests.holds(issue.item) else "ticket",
        opened_at=issue.opened_at,
        first_response_at=value("first_response_at", partial(first_response_at, answers, handler), issue),
        resolved_at=issue.ended_at if outcome == "resolved" else None,
        abandoned_at=issue.ended_at if outcome == "abandoned" else None,
        closed_at=issue.ended_at,
        escalated_at=escalated_at(issue),
        reopen_count=None if steps is None else sum(reopens_it(issue.site, step) for step in steps),
        replies=None if answers is None else len(answers),
        channel=value("channel", channel, given) if given else None,
        category=value("category", component, fields) or kind,
        request_type=kind or fields["issuetype"]["name"],
        priority=word(fields.get("priority")),
        requester=value("requester", account, fields.get("reporter")),
        handled_by=handler,
        outcome=outcome,
        self_service=answers[0].who == "bot" if answers else handler == "automation" or None,
        # Nobody logged work: unknown, except where nobody did any.
        human_seconds=value("human_seconds", float, logged) if logged else unlogged,
        csat=value("csat", csat, next(iter(of_type(issue, FEEDBACK).values()), None)),
        sla_breached=value("sla_breached", partial(breached, issue), of_type(issue, SLA)),
        on_hold_seconds=on_hold(issue),
    )


def incident(issue: Issue) -> Incident:
    """The same issue as a service interruption."""
    handler, services = issue.handled_by, value("service", services_of, issue) or ()
    given = word(issue.fields.get(issue.options.severity_field)) or word(issue.fields.get("priority"))
    return Incident(
        **common(issue),
        opened_at=issue.opened_at,
        acknowledged_at=acknowledged_at(issue),
        resolved_at=issue.ended_at if outcome_of(issue) == "resolved" else None,
        severity=value("severity", partial(severity, issue.options), given) if given else None,
        service=services[0] if services else None,
        services=services if len(services) > 1 else (),
        category=value("category", request_type, issue),
        recurrence_key=value("recurrence_key", partial(linked, issue.options.problems.holds), issue),
        caused_by=value("caused_by", caused_by, issue),
        auto_remediated=handler == "automation" if issue.ended_at and handler else None,
        on_hold_seconds=on_hold(issue),
    )


def change(issue: Issue) -> Change:
    """An issue as a change to a service."""
    options, services, result = issue.options, value("service", services_of, issue) or (), result_of(issue)
    deployed_at = issue.ended_at
    if options.deployed_statuses:
        deployed_at = next(
            (step.at for step in issue.steps or () if enters(issue, step, options.deployed_statuses)), None
        )
    given = word(issue.fields.get(options.change_type_field))
    creator = value("automated", partial(role, options, None), issue.fields.get("creator"))
    return Change(
        **common(issue),
        requested_at=issue.opened_at,
        approved_at=value("approved_at", approved_at, of_type(issue, APPROVALS).values()),
        deployed_at=deployed_at if result in ("succeeded", "failed", "rolled_back") else None,
        result=result,
        service=services[0] if services else None,
        services=services if len(services) > 1 else (),
        kind=value("kind", kind_of_change, given) if given else None,
        automated=creator == "bot" if creator else None,
    )


def outcome_of(issue: Issue) -> RequestOutcome:
    """The status decides whether it is over: a workflow may open an issue again and leave it its resolution."""
    if not issue.done:
        return "open"
    table = lowered(OUTCOME, issue.options.outcomes)
    return next((table[name] for name in names_of(issue, "resolution", "status") if name in table), "resolved")


def result_of(issue: Issue) -> ChangeResult:
    if not issue.done:
        return "pending"
    table = Words("result", lowered(RESULT, issue.options.results))
    status, *others = names_of(issue, "status", "resolution")  # many workflows resolve as Done whatever is over
    return table[next((name for name in (status, *others) if name in table), status)]


def names_of(issue: Issue, *columns: str) -> list[str]:
    return [its["name"].lower() for column in columns if (its := issue.fields.get(column))]


def escalated_at(issue: Issue) -> datetime | None:
    options = issue.options
    fields = {*options.escalation_fields, *issue.site.ids(options.escalation_fields)}
    return next(
        (
            step.at
            for step in issue.steps or ()
            if enters(issue, step, options.escalation_statuses) or (step.field in fields and step.old)
        ),
        None,
    )


def acknowledged_at(issue: Issue) -> datetime | None:
    """When somebody first moved it or took it on."""
    acts = (step for step in issue.steps or () if step.who == "staff" and step.field in ("status", "assignee"))
    return next((step.at for step in acts), None)


def on_hold(issue: Issue) -> float | None:
    """Seconds in a status of waiting until the end; None where it is not over, or a change of status is missing."""
    if issue.ended_at is None or issue.opened_at is None or issue.steps is None:
        return None
    waiting = lowered(dict.fromkeys(issue.options.on_hold_statuses))
    steps = [step for step in issue.steps if step.field == "status"]
    status, since, seconds = steps[0].old if steps else issue.fields["status"]["id"], issue.opened_at, 0.0
    for step in steps:
        if step.old != status:
            return None
        if (issue.site.statuses.get(status) or ("",))[0].lower() in waiting:
            seconds += max(0.0, (min(step.at, issue.ended_at) - min(since, issue.ended_at)).total_seconds())
        status, since = step.new, step.at
    return seconds if status == issue.fields["status"]["id"] else None


def breached(issue: Issue, slas: Mapping[str, Json]) -> bool | None:
    """Whether any deadline was missed; None where there was none. The flag counts: times may not agree with it."""
    wanted = issue.site.ids(issue.options.slas) if issue.options.slas else [*slas]
    cycles = [each for key, sla in slas.items() if key in wanted for each in cycles_of(sla)]
    return any(cycle["breached"] for cycle in cycles) if cycles else None


def cycles_of(sla: Json) -> list[Json]:
    ongoing = sla.get("ongoingCycle")
    return [*(sla.get("completedCycles") or ()), *([ongoing] if ongoing else [])]


def first_response_at(answers: Sequence[Said] | None, handler: HandledBy | None, issue: Issue) -> datetime | None:
    """As the deadline for it tells; else when a person first answered, or the bot that did it all."""
    slas = of_type(issue, SLA)
    stops = [
        moment(cycle["stopTime"])
        for key in issue.site.ids([issue.options.response_sla])
        for cycle in (slas.get(key) or {}).get("completedCycles") or ()
        if cycle.get("stopTime")
    ]
    wanted = "bot" if handler == "automation" else "staff"
    return min((at for at in stops if at), default=None) or next(
        (each.at for each in answers or () if each.who == wanted), None
    )


def csat(given: Json) -> float | None:
    """A rating from 1 to 5, alone or in an object, as a share."""
    rating = given.get("rating", given.get("value")) if isinstance(given, dict) else given
    if rating is None:
        return None
    if not 1 <= float(rating) <= 5:
        raise Unreadable("out_of_bounds", f"{quoted(rating)} is not between 1 and 5")
    return (float(rating) - 1) / 4


def channel(given: Json) -> Channel:
    """The way it came in; what somebody entered in Jira may have none."""
    return CHANNEL[given["value"]]


def request_type(issue: Issue) -> str | None:
    """What it was asked for as, in the portal; None where somebody entered it in Jira."""
    found = next(iter(of_type(issue, REQUEST_TYPE).values()), None) or {}
    name: str | None = (found.get("requestType") or {}).get("name")
    return name


def component(fields: Json) -> str | None:
    return next((each["name"] for each in fields.get("components") or ()), None)


def services_of(issue: Issue) -> tuple[str, ...]:
    """The services it is about, or the components. A service that the account may not see has an id only."""
    given = [each for value in of_type(issue, SERVICES).values() for each in value]
    names = [each.get("name") or each["id"] for each in given]
    return tuple(names or (each["name"] for each in issue.fields.get("components") or ()))


def severity(options: Options, given: str) -> IncidentSeverity:
    table = Words("severity", lowered(SEVERITY, options.severities))
    return table[given.lower()]


def kind_of_change(given: str) -> ChangeKind:
    return CHANGE_KIND[given.lower()]


def word(given: Json) -> str | None:
    """The word of a choice."""
    found = (given.get("value") or given.get("name")) if isinstance(given, dict) else given
    return found if isinstance(found, str) and found else None


def approved_at(fields: Iterable[Json]) -> datetime | None:
    """When the last approval was given that was needed."""
    given = [each for approvals in fields for each in approvals]
    times = [moment(each.get("completedDate")) for each in given if APPROVED[each["finalDecision"]]]
    return max((at for at in times if at), default=None)


def linked(wanted: Callable[[Json], bool], issue: Issue) -> str | None:
    """The id of an issue it is linked to."""
    ends = (link.get(end) for link in issue.fields.get("issuelinks") or () for end in ("inwardIssue", "outwardIssue"))
    return next((each["id"] for each in ends if wanted(each)), None)


def caused_by(issue: Issue) -> str | None:
    """The change that caused it: of such a link the inward end is the cause."""
    types = lowered(dict.fromkeys(issue.options.cause_links))
    causes = (
        link.get("inwardIssue")
        for link in issue.fields.get("issuelinks") or ()
        if link["type"]["name"].lower() in types
    )
    return next((each["id"] for each in causes if issue.options.changes.holds(each)), None)
