"""How each kind of story in the demo goes, by chance: a conversation, a ticket, a run, a meeting, a change.

Pure functions of a seeded random generator and the instant the story begins at.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from exporter.demo import organisation as org
from exporter.demo.organisation import Service, Team, Workflow
from exporter.demo.stories import Attempt, End, Execution, Step, Story, Ticket
from exporter.records import Booking, BookingOutcome, Change, ChangeKind, ChangeResult, ExceptionKind, Incident, Request

T = TypeVar("T")

BOOKED_AHEAD_DAYS = 10
MEETING = timedelta(minutes=30)
SLA = timedelta(hours=72)


def conversation(rng: random.Random, team: Team, at: datetime, *, confused: bool) -> Iterator[Story]:
    """A conversation with the chat bot; sometimes a ticket follows, within the recontact window or after it."""
    who, topic = org.requester(rng.randrange(org.REQUESTERS)), rng.choice(team.topics)
    over = at + timedelta(seconds=rng.lognormvariate(math.log(190), 0.5))
    talk = Request(
        id=identifier(rng, "chat"),
        kind="conversation",
        channel="chat",
        team=team.name,
        business_unit=team.business_unit,
        region=team.region,
        category=topic,
        requester=who,
        opened_at=at,
        first_response_at=at + timedelta(seconds=rng.uniform(1, 4)),
        self_service=True,
        reopen_count=0,
        handled_by="automation",
    )
    course = pick(rng, ("solved", "handed over", "given up"), (30, 58, 12) if confused else (80, 8, 12))
    if course == "given up":
        yield replace(talk, abandoned_at=over, outcome="abandoned")
    elif course == "solved":
        yield replace(talk, resolved_at=over, outcome="resolved", csat=csat(rng, 0.8))
    else:
        worked = rng.lognormvariate(math.log(900), 0.6)
        yield replace(
            talk,
            escalated_at=over,
            resolved_at=over + timedelta(seconds=worked + rng.uniform(60, 5400)),
            outcome="resolved",
            handled_by="assisted",
            human_seconds=round(worked),
            csat=csat(rng, 0.72),
        )
    if rng.random() < (0.45 if course == "given up" else 0.07):
        hours = rng.uniform(0.5, 71) if rng.random() < 0.75 else rng.uniform(73, 200)
        yield ticket(rng, team, over + timedelta(hours=hours), confused=confused, who=who, topic=topic)


def ticket(
    rng: random.Random, team: Team, at: datetime, *, confused: bool, who: str | None = None, topic: str | None = None
) -> Ticket:
    """A ticket: read by the triage bot, answered by a person, sometimes moved to the second line, mostly resolved."""
    who = who or org.requester(rng.randrange(org.REQUESTERS))
    helper = org.agent(rng.randrange(org.AGENTS))
    steps = [Step(at, "open", who), Step(at + timedelta(seconds=20), "comment", org.BOT)]
    now = at + timedelta(hours=rng.lognormvariate(math.log(1.6), 0.8))
    steps.append(Step(now, "reply", helper, round(rng.uniform(4, 12))))
    if rng.random() < (0.62 if confused else 0.09):
        now += timedelta(hours=rng.uniform(0.3, 6))
        steps.append(Step(now, "move", helper))
        now += timedelta(hours=rng.uniform(0.5, 8 if confused else 30))
    now += timedelta(hours=rng.lognormvariate(math.log(5), 1.0))
    if rng.random() < 0.03:
        steps.append(Step(now, "reject", helper))
    else:
        steps.append(Step(now, "resolve", helper, round(rng.lognormvariate(math.log(14), 0.6))))
        if rng.random() < 0.05:
            now += timedelta(hours=rng.uniform(2, 40))
            steps.append(Step(now, "reopen", who))
            now += timedelta(hours=rng.uniform(1, 20))
            steps.append(Step(now, "resolve", helper, round(rng.uniform(5, 30))))
    priority = rng.choice((20, 40, 40, 60, 80))
    return Ticket(
        identifier(rng, "ticket"), team, topic or rng.choice(team.topics), who, priority, at + SLA, tuple(steps)
    )


def execution(rng: random.Random, workflow: Workflow, at: datetime, *, broken: bool) -> Execution:
    """A run with its attempts. What a business rule refused is not tried again; of other failures about half are."""
    attempts: list[Attempt] = []
    while True:
        over = at + timedelta(seconds=rng.lognormvariate(math.log(workflow.typical_seconds), 0.4))
        end, exception = fate(rng, workflow, broken=broken)
        attempts.append(Attempt(identifier(rng, "attempt"), at, over, end, exception))
        if end != "failed" or exception == "business" or len(attempts) == 3 or rng.random() < 0.45:
            return Execution(identifier(rng, "run"), workflow, tuple(attempts))
        at = over + timedelta(minutes=rng.uniform(1, 40))


def fate(rng: random.Random, workflow: Workflow, *, broken: bool) -> tuple[End, ExceptionKind]:
    """How one attempt ends."""
    if broken or rng.random() < workflow.failures:
        return "failed", "application"
    if rng.random() < workflow.exceptions:
        return "failed", "business"
    return ("cancelled" if rng.random() < 0.004 else "succeeded"), "none"


def booking(rng: random.Random, team: Team, starts_at: datetime, *, unreminded: bool) -> Booking:
    """A meeting that was asked for, booked, and then held, missed, moved or called off."""
    outcomes: tuple[BookingOutcome, ...] = ("attended", "no_show", "cancelled", "rescheduled", "unknown")
    outcome = pick(rng, outcomes, (38, 47, 7, 4, 4) if unreminded else (76, 7, 8, 5, 4))
    booked = starts_at - timedelta(hours=rng.uniform(8, BOOKED_AHEAD_DAYS * 24))
    asked = booked - timedelta(minutes=rng.lognormvariate(math.log(40), 0.9))
    called_off = starts_at - (starts_at - booked) * rng.uniform(0.02, 0.9)
    return Booking(
        id=identifier(rng, "booking"),
        team=team.name,
        business_unit=team.business_unit,
        region=team.region,
        requested_at=asked,
        first_response_at=asked + (booked - asked) * rng.uniform(0.05, 1),
        booked_at=booked,
        starts_at=starts_at,
        ends_at=starts_at + MEETING,
        cancelled_at=called_off if outcome in ("cancelled", "rescheduled") else None,
        outcome=outcome,
        cancelled_by="invitee" if outcome == "cancelled" else None,
        channel=pick(rng, ("web", "email", "phone"), (6, 3, 1)),
        meeting_type=rng.choice(("demo", "review")),
        host=f"{team.name}-{rng.randrange(6)}@example.com",
        automated=rng.random() < 0.7,
        conflict=rng.random() < 0.01,
        reminders=0 if unreminded else 2,
    )


def change(rng: random.Random, service: Service, at: datetime) -> Iterator[Story]:
    """A change deployed at an instant; where it went wrong, often the incident it caused."""
    results: tuple[ChangeResult, ...] = ("succeeded", "failed", "rolled_back")
    kinds: tuple[ChangeKind, ...] = ("deployment", "normal", "emergency")
    result = pick(rng, results, (94, 3, 3))
    asked = at - timedelta(hours=rng.lognormvariate(math.log(20), 0.9))
    made = Change(
        id=identifier(rng, "change"),
        team=service.team,
        service=service.name,
        environment="production",
        kind=pick(rng, kinds, (8, 1.5, 0.5)),
        requested_at=asked,
        first_commit_at=asked,
        approved_at=asked + (at - asked) * 0.8,
        deployed_at=at,
        result=result,
        automated=rng.random() < 0.8,
        unplanned=rng.random() < 0.08,
    )
    yield made
    if rng.random() < (0.02 if result == "succeeded" else 0.6):
        yield incident(rng, service, at + timedelta(minutes=rng.uniform(2, 50)), made.id)


def incident(rng: random.Random, service: Service, at: datetime, caused_by: str | None = None) -> Incident:
    """Something broke at an instant, was noticed, opened, acknowledged and put right."""
    detected = at + timedelta(minutes=rng.uniform(0.5, 12))
    opened = detected + timedelta(minutes=rng.uniform(0.1, 3))
    seen = opened + timedelta(minutes=rng.lognormvariate(math.log(6), 0.8))
    return Incident(
        id=identifier(rng, "incident"),
        team=service.team,
        service=service.name,
        tier=service.tier,
        severity=rng.choice(("sev1", "sev2", "sev2", "sev3", "sev3", "sev3")),
        category=rng.choice(("latency", "errors", "capacity")),
        started_at=at,
        detected_at=detected,
        opened_at=opened,
        acknowledged_at=seen,
        resolved_at=seen + timedelta(minutes=rng.lognormvariate(math.log(45), 0.8)),
        recurrence_key=f"{service.name}-{rng.randrange(14)}",
        caused_by=caused_by,
        auto_remediated=caused_by is None and rng.random() < 0.3,
        users_affected=rng.randrange(5, 900),
        outage=rng.random() < 0.3,
    )


def csat(rng: random.Random, usual: float) -> float | None:
    """What two of five people answer when asked how it went."""
    return round(min(1.0, max(0.0, rng.gauss(usual, 0.18))), 2) if rng.random() < 0.4 else None


def identifier(rng: random.Random, prefix: str) -> str:
    return f"{prefix}-{rng.getrandbits(40):010x}"


def pick(rng: random.Random, choices: Sequence[T], weights: Sequence[float]) -> T:
    return rng.choices(choices, weights)[0]
