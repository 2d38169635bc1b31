"""PagerDuty: what an incident means, read together with its log. Pure; __init__.py asks for them."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import NamedTuple

from exporter.connectors.pagerduty.options import Options
from exporter.records import (
    Channel,
    HandledBy,
    Incident,
    IncidentSeverity,
    Json,
    Read,
    Record,
    Request,
    RequestOutcome,
    instant,
)
from exporter.records.unreadable import ITEM, Unreadable, Words, value

RESOLVED = Words(ITEM, {"triggered": False, "acknowledged": False, "resolved": True})
"""Statuses. One that is not known is reported, and open: only what is resolved has ended."""
MERGED = Words("resolved_at", {"merge_resolve_reason": True})
KINDS = Words[str | None](
    "log_entries",
    {
        "trigger_log_entry": "trigger",  # also when a resolved incident is opened again
        "acknowledge_log_entry": "acknowledge",
        "escalate_log_entry": "escalate",
        "resolve_log_entry": "resolve",
        "annotate_log_entry": None,
        "assign_log_entry": None,
        "delegate_log_entry": None,
        "exhaust_escalation_path_log_entry": None,
        "notify_log_entry": None,
        "reach_ack_limit_log_entry": None,
        "reach_trigger_limit_log_entry": None,
        "repeat_escalation_path_log_entry": None,
        "snooze_log_entry": None,
        "unacknowledge_log_entry": None,
        "urgency_change_log_entry": None,
        "field_value_change_log_entry": None,
        "custom_field_value_change_log_entry": None,
    },
)
ROLES = Words[str](
    "log_entries",
    {"user_reference": "person", "service_reference": "automation", "integration_reference": "automation"},
)
CHANNELS = Words[Channel](
    "channel",
    {
        "auto": "api",
        "api": "api",
        "nagios": "api",
        "timeout": "other",
        "email": "email",
        "sms": "phone",
        "website": "web",
        "web_trigger": "web",
        "note": "other",
    },
)
SEVERITIES: dict[str, IncidentSeverity] = {
    "p1": "sev1",
    "p2": "sev2",
    "p3": "sev3",
    "p4": "sev4",
    "p5": "sev5",
    "sev1": "sev1",
    "sev2": "sev2",
    "sev3": "sev3",
    "sev4": "sev4",
    "sev5": "sev5",
}
ANSWERED_FIRST: dict[HandledBy | None, bool | None] = {
    "automation": True,
    "assisted": None,
    "human": False,
    None: False,
}
"""Whether automation answered first, by who did the work."""
TIMEOUT = "timeout"  # the channel of what PagerDuty does because nobody has for so long
USUAL_TYPE = "incident_default"
GENERATED = re.compile(r"[0-9a-f]{32}")  # the key of an event that came without one: no other incident has it
NUMBER = re.compile(r"\d+")
SIGNS = re.compile(r"[\W_]+")


class Entry(NamedTuple):
    """One entry of the log. `who`: the id and the name of whoever acted; `channel`: the way in which they did."""

    id: str
    incident: str
    kind: str | None
    at: datetime
    role: str | None
    who: tuple[str, ...]
    channel: str | None


def entry(raw: Json) -> Entry:
    """An entry of the log; an error where nobody knows when it was, or of which incident."""
    at, agent, ids = instant(raw["created_at"]), raw.get("agent") or {}, (raw["id"], raw["incident"]["id"])
    if at is None or not all(isinstance(each, str) for each in ids):
        raise Unreadable("wrong_shape", "has no time or no id")
    kind = value("log_entries", KINDS.__getitem__, raw["type"])
    return Entry(
        id=ids[0],
        incident=ids[1],
        kind=kind,
        at=at,
        role=value("log_entries", ROLES.__getitem__, agent["type"]) if agent else None,
        who=tuple(each for each in (agent.get("id"), agent.get("summary")) if isinstance(each, str)),
        channel=(raw.get("channel") or {}).get("type"),
    )


@dataclass(frozen=True)
class Story:
    """An incident, and its log in order of time; None where that could not be read."""

    options: Options
    item: Json
    log: Sequence[Entry] | None

    @cached_property
    def resolved(self) -> bool:
        return bool(value(ITEM, RESOLVED.__getitem__, self.item["status"], failed=False))

    @cached_property
    def ended_at(self) -> datetime | None:
        """An incident that was opened again may still have the time of its end, and one acknowledged has not ended."""
        if not self.resolved:
            return None
        given = self.item.get("resolved_at") or self.item.get("last_status_change_at")
        return value("resolved_at", instant, given)

    def acts(self, *kinds: str, role: str | None = None) -> list[Entry]:
        """The entries of these kinds, in order; `role`: only those of people, or of automation."""
        acts = [each for each in self.log or () if each.kind in kinds]
        return [each for each in acts if role is None or self.role(each) == role]

    def role(self, act: Entry) -> str | None:
        """Who acted. What happens only because nobody has for so long is nobody's act."""
        if act.channel == TIMEOUT:
            return None
        return "automation" if not {*self.options.automation_users}.isdisjoint(act.who) else act.role

    @cached_property
    def timed_out(self) -> bool:
        """Whether, when it was last resolved, PagerDuty did so because nobody had for so long."""
        ends = self.acts("resolve")
        return bool(ends) and ends[-1].channel == TIMEOUT

    @cached_property
    def handled_by(self) -> HandledBy | None:
        """Who acknowledged or resolved it."""
        if self.acts("acknowledge", "resolve", role="person"):
            return "assisted" if self.acts("acknowledge", "resolve", role="automation") else "human"
        resolved_it = self.resolved and not self.timed_out and self.acts("resolve", role="automation")
        return "automation" if resolved_it else None


def kinds_of(options: Options, item: Json) -> list[type[Record]]:
    """What records an incident is. One that was merged into another is none: the other stands for it."""
    reason = item.get("resolve_reason")
    if reason and MERGED[reason["type"]]:
        return []
    interrupts = not any(which.holds(item) for which in options.not_incidents)
    asked = any(which.holds(item) for which in options.requests)
    return [*([Incident] if interrupts else []), *([Request] if asked else [])]


def records(options: Options, told: tuple[Json, Iterable[Entry] | None]) -> list[Read]:
    """An incident, with its log, as what it is."""
    item, log = told
    story = Story(options, item, None if log is None else sorted(log, key=lambda each: (each.at, each.id)))
    make = {Incident: incident, Request: request}
    return [Read(make[kind](story), item) for kind in kinds_of(options, item)]


def common(item: Json) -> Json:
    """The columns that both have."""
    number = item.get("incident_number")
    return {
        "id": item["id"],
        "reference": None if number is None else str(number),
        "url": item.get("html_url"),
        "updated_at": value("updated_at", instant, item.get("updated_at")),
        "opened_at": value("opened_at", instant, item["created_at"]),
        "category": value("category", category, item),
    }


def incident(story: Story) -> Incident:
    """An incident as a service interruption."""
    item, columns = story.item, common(story.item)
    rank = value("severity", partial(severity, story.options), item)
    handler = story.handled_by
    remediated = False if story.timed_out else handler == "automation" if handler else None
    return Incident(
        **columns,
        detected_at=columns["opened_at"],
        acknowledged_at=acknowledged_at(story),
        resolved_at=story.ended_at,
        severity=rank,
        service=value("service", service, item),
        recurrence_key=value("recurrence_key", recurrence_key, item),
        auto_remediated=remediated if story.resolved else None,
    )


def request(story: Story) -> Request:
    """An incident as what somebody asked for."""
    item, handler, ended_at = story.item, story.handled_by, story.ended_at
    outcome: RequestOutcome = "open" if not story.resolved else "abandoned" if story.timed_out else "resolved"
    triggers, escalations = story.acts("trigger"), story.acts("escalate")
    answers = story.acts("acknowledge", "resolve", role="automation" if handler == "automation" else "person")
    asker = [each for each in triggers[:1] if story.role(each) == "person"]
    channel = triggers[0].channel if triggers else None
    return Request(
        **common(item),
        kind="ticket",
        first_response_at=answers[0].at if answers else None,
        resolved_at=ended_at if outcome == "resolved" else None,
        abandoned_at=ended_at if outcome == "abandoned" else None,
        escalated_at=escalations[0].at if escalations else None,
        reopen_count=reopen_count(story),
        channel=value("channel", CHANNELS.__getitem__, channel) if channel else None,
        priority=value("priority", priority, item) or item.get("urgency"),
        requester=asker[0].who[0] if asker and asker[0].who else None,
        handled_by=handler,
        outcome=outcome,
        self_service=ANSWERED_FIRST[handler] if story.log is not None else None,
        human_seconds=0.0 if handler == "automation" else None,
    )


def acknowledged_at(story: Story) -> datetime | None:
    """When it was first acknowledged; without its log, as far as the incident itself tells while it is open."""
    if acts := story.acts("acknowledge"):
        return acts[0].at
    return value("acknowledged_at", first_acknowledgement, story.item)


def first_acknowledgement(item: Json) -> datetime | None:
    times = [instant(each["at"]) for each in item.get("acknowledgements") or ()]
    return min((each for each in times if each), default=None)


def reopen_count(story: Story) -> int | None:
    """How often it was resolved, but for the last time."""
    if story.log is None:
        return None
    return max(0, len(story.acts("resolve")) - story.resolved)


def severity(options: Options, item: Json) -> IncidentSeverity | None:
    """By its priority; without one by its urgency, if the options say what that means."""
    own = {plain(theirs): ours for theirs, ours in options.severities.items()}
    if name := priority(item):
        known = Words("severity", {**SEVERITIES, **own})
        return known[plain(name) if plain(name) in known else name]
    return own.get(plain(item.get("urgency") or ""))


def priority(item: Json) -> str | None:
    """The name of its priority, which is an account's own."""
    given = item.get("priority") or {}
    name: str | None = given.get("summary") or given.get("name")
    return name


def plain(name: str) -> str:
    """A name as it is compared: SEV-1 is Sev 1."""
    return SIGNS.sub("", name.lower())


def category(item: Json) -> str | None:
    """Its type, where somebody has made any."""
    name: str | None = (item.get("incident_type") or {}).get("name")
    return name if name != USUAL_TYPE else None


def service(item: Json) -> str | None:
    given = item.get("service") or {}
    name: str | None = given.get("summary") or given.get("name")
    return name


def recurrence_key(item: Json) -> str | None:
    """What the same trouble has in common: the key of its events or else its title, but for numbers, as a hash."""
    key, title = item.get("incident_key"), item.get("title")
    text = key if key and not GENERATED.fullmatch(key) else NUMBER.sub("#", title.lower()) if title else None
    # A title may name people.
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if text else None
    return f"{(item.get('service') or {}).get('id')} {digest}" if digest else None
