"""Tells the demo's tickets to the desks that hold them: ServiceNow, and Zendesk where customers ask."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from exporter.demo.fakes.servicenow import ServiceNow, stamp
from exporter.demo.fakes.zendesk import Zendesk
from exporter.demo.stories import Step, Ticket

FIRST_LINE, SECOND_LINE = "First line", "Second line"
TIME_SPENT = "Total time spent (sec)"
URGENCY = {20: "4", 40: "3", 60: "3", 80: "2"}
WORDS = {20: "low", 40: "normal", 60: "normal", 80: "high"}
SCORES = {1: "bad", 2: "bad", 4: "good", 5: "good"}

Caller = Callable[[str], str]
"""A run -> how a ticket that it opened names it: the platform, and the run's number there."""


class ServiceNowTeller:
    """Tickets as incidents. Each has an agreement on its response and one on its resolution."""

    def __init__(self, platform: ServiceNow, named: Caller) -> None:
        self.platform, self.named = platform, named
        self.tickets: dict[str, str] = {}
        self.agreements: dict[str, dict[str, str]] = {}  # ticket -> target -> agreement, until it is over
        self.people: dict[str, str] = {}

    def tell(self, ticket: Ticket, at: datetime) -> None:
        """What happened to a ticket at an instant."""
        for step in ticket.steps:
            if step.at == at:
                self._open(ticket, step) if step.act == "open" else self._step(ticket, step)

    def _open(self, ticket: Ticket, step: Step) -> None:
        key = self.tickets[ticket.id] = self.platform.open_incident(
            self._person(ticket.requester),
            step.at,
            contact_type="email",
            category=ticket.topic,
            priority=URGENCY[ticket.priority],
            business_service=f"{ticket.team.name} help",
            assignment_group=FIRST_LINE,
            correlation_id=self.named(ticket.opened_by) if ticket.opened_by else "",
        )
        self.agreements[key] = {each: self.platform.agree(key, each, step.at) for each in ("response", "resolution")}

    def _step(self, ticket: Ticket, step: Step) -> None:
        key, worked = self.tickets[ticket.id], {}
        if step.minutes:
            spent = sum(each.minutes for each in ticket.steps if each.at <= step.at)
            worked = {"time_worked": stamp(datetime.fromtimestamp(0, UTC) + timedelta(minutes=spent))}
        if step.act == "comment":
            self.platform.update("incident", key, step.at)
        elif step.act == "reply":
            self._keep(key, "response", step.at)
            self.platform.update("incident", key, step.at, state="2", assigned_to=self._person(step.who), **worked)
        elif step.act == "move":
            self.platform.update("incident", key, step.at, assignment_group=SECOND_LINE)
        elif step.act == "reopen":
            self.platform.reopen(key, step.at)
        elif step.act == "reject":
            self.platform.update("incident", key, step.at, state="8", closed_at=stamp(step.at))
        else:
            self._keep(key, "resolution", step.at, late=step.at > ticket.due_at)
            rated = {"u_satisfaction": str(ticket.stars)} if ticket.stars else {}
            done = {"state": "6", "resolved_at": stamp(step.at), "resolved_by": self._person(step.who)}
            self.platform.update("incident", key, step.at, **done, **worked, **rated)

    def _keep(self, key: str, target: str, at: datetime, *, late: bool = False) -> None:
        """An agreement is over, kept or not."""
        if agreement := self.agreements[key].pop(target, None):
            over = {"stage": "completed", "end_time": stamp(at), "has_breached": "true" if late else "false"}
            self.platform.update("task_sla", agreement, at, **over)

    def _person(self, name: str) -> str:
        if name not in self.people:
            self.people[name] = self.platform.named("sys_user", name)
        return self.people[name]


class ZendeskTeller:
    """Tickets of customers. A ticket that was written twice is merged."""

    def __init__(self, platform: Zendesk, named: Caller) -> None:
        self.platform, self.named = platform, named
        self.tickets: dict[str, int] = {}

    def tell(self, ticket: Ticket, at: datetime) -> None:
        """What happened to a ticket at an instant."""
        for step in ticket.steps:
            if step.at == at:
                self._open(ticket, step) if step.act == "open" else self._step(ticket, step)

    def _open(self, ticket: Ticket, step: Step) -> None:
        self.tickets[ticket.id] = self.platform.open(
            ticket.requester,
            step.at,
            group=FIRST_LINE,
            priority=WORDS[ticket.priority],
            external_id=self.named(ticket.opened_by) if ticket.opened_by else None,
            custom={"Topic": ticket.topic, "Customer": ticket.requester, TIME_SPENT: None},
        )

    def _step(self, ticket: Ticket, step: Step) -> None:
        key = self.tickets[ticket.id]
        if step.minutes:
            self._spend(key, 60 * step.minutes)
        if step.act == "comment":
            self.platform.change(key, step.at)
        elif step.act == "reply":
            self.platform.assign(key, step.who, step.at)
            self.platform.reply(key, step.at)
            self.platform.move(key, "open", step.at)
        elif step.act == "move":
            self.platform.change(key, step.at, group_id=self.platform.id_of("groups", SECOND_LINE))
            self.platform.assign(key, step.who, step.at)
        elif step.act == "reopen":
            self.platform.move(key, "open", step.at)
        elif step.act == "reject":
            self.platform.tag(key, step.at, "closed_by_merge")
            self.platform.close(key, step.at)
        else:
            self.platform.solve(key, step.who, step.at)
            if score := SCORES.get(ticket.stars or 0):
                self.platform.rate(key, score, step.at)

    def _spend(self, key: int, seconds: int) -> None:
        field = self.platform.id_of("ticket_fields", TIME_SPENT)
        for each in self.platform.tickets[key]["custom_fields"]:
            if each["id"] == field:
                each["value"] = (each["value"] or 0) + seconds
