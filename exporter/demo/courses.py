"""How the stories of the demo's daily work go, by chance: a conversation, a ticket, a run, a change, an incident.

Pure functions of a seeded random generator and the instant the story begins at.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from exporter.demo import organisation as org
from exporter.demo.chance import around, identifier, pick, share
from exporter.demo.organisation import Service, Team, Workflow
from exporter.demo.stories import Attempt, End, Execution, Step, Story, Ticket
from exporter.records import (
    Change,
    ChangeKind,
    ChangeResult,
    ExceptionKind,
    Incident,
    Request,
    Review,
    Run,
    ServiceLevel,
)

SLA = timedelta(hours=72)
PROMISED_SECONDS = 3600  # of a conversation that is handed over
HOUR = timedelta(hours=1)


def conversation(rng: random.Random, team: Team, at: datetime, *, confused: bool) -> Iterator[Story]:
    """A conversation with the chat bot; sometimes a ticket follows, within the recontact window or after it."""
    who, topic = org.requester(rng.randrange(org.REQUESTERS)), rng.choice(team.topics)
    over = at + timedelta(seconds=around(rng, 190, 0.5))
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
        legacy_path=False,
        reopen_count=0,
        sla_breached=False,
        handled_by="automation",
        claimed_resolved=True,  # its maker bills whatever it did not hand over, answered or given up
    )
    course = pick(rng, ("solved", "handed over", "given up"), (24, 66, 10) if confused else (80, 8, 12))
    if course == "given up":
        yield replace(talk, abandoned_at=over, outcome="abandoned", sentiment=share(rng, -0.3, low=-1))
    elif course == "solved":
        yield replace(talk, resolved_at=over, outcome="resolved", **felt(rng, 0.8))
    else:
        worked = around(rng, 900, 0.6)
        waited = worked + rng.uniform(60, 5400)
        yield replace(
            talk,
            escalated_at=over,
            resolved_at=over + timedelta(seconds=waited),
            sla_breached=waited > PROMISED_SECONDS,
            outcome="resolved",
            handled_by="assisted",
            claimed_resolved=False,
            human_seconds=round(worked),
            **felt(rng, 0.72),
        )
    if rng.random() < (0.45 if course == "given up" else 0.07):
        hours = rng.uniform(0.5, 71) if rng.random() < 0.75 else rng.uniform(73, 200)
        yield ticket(rng, team, over + timedelta(hours=hours), confused=confused, who=who, topic=topic)


def ticket(
    rng: random.Random, team: Team, at: datetime, *, confused: bool, who: str | None = None, topic: str | None = None
) -> Ticket:
    """A ticket: mostly sorted by the triage bot, answered by a person, sometimes moved on, mostly resolved."""
    who = who or org.requester(rng.randrange(org.REQUESTERS))
    helper = org.agent(rng.randrange(org.AGENTS))
    steps = [Step(at, "open", who)]
    if rng.random() < 0.6:
        steps.append(Step(at + timedelta(seconds=20), "comment", org.BOT))
    now = at + timedelta(hours=around(rng, 1.6, 0.8))
    steps.append(Step(now, "reply", helper, round(rng.uniform(4, 12))))
    if rng.random() < (0.62 if confused else 0.09):
        now += timedelta(hours=rng.uniform(0.3, 6))
        steps.append(Step(now, "move", helper))
        now += timedelta(hours=rng.uniform(0.5, 8 if confused else 30))
    now += timedelta(hours=around(rng, 5, 1.0))
    if rng.random() < 0.03:
        steps.append(Step(now, "reject", helper))
    else:
        steps.append(Step(now, "resolve", helper, round(around(rng, 14, 0.6))))
        if rng.random() < 0.05:
            now += timedelta(hours=rng.uniform(2, 40))
            steps.append(Step(now, "reopen", who))
            now += timedelta(hours=rng.uniform(1, 20))
            steps.append(Step(now, "resolve", helper, round(rng.uniform(5, 30))))
    priority = rng.choice((20, 40, 40, 60, 80))
    stars = pick(rng, (1, 2, 3, 4, 5), (1, 1, 3, 8, 7)) if rng.random() < 0.25 else None
    topic = topic or rng.choice(team.topics)
    return Ticket(identifier(rng, "ticket"), team, topic, who, priority, at + SLA, tuple(steps), stars)


def execution(rng: random.Random, workflow: Workflow, at: datetime, *, broken: bool) -> Execution:
    """A run with its attempts. What a business rule refused is not tried again; of other failures about half are."""
    attempts: list[Attempt] = []
    while True:
        over = at + timedelta(seconds=around(rng, workflow.typical_seconds, 0.4))
        end, exception = fate(rng, workflow, broken=broken)
        attempts.append(Attempt(identifier(rng, "attempt"), at, over, end, exception))
        if end != "failed" or exception == "business" or len(attempts) == 3 or rng.random() < 0.45:
            return Execution(identifier(rng, "run"), workflow, tuple(attempts))
        at = over + timedelta(minutes=rng.uniform(1, 40))


def handover(rng: random.Random, run: Execution, *, confused: bool) -> Iterator[Ticket]:
    """The ticket that a run opens when it is over, of some workflows: people do what it could not."""
    over = run.attempts[-1].ends_at
    if over and rng.random() < run.workflow.tickets:
        team = next(team for team in org.TEAMS if team.name == run.workflow.team)
        opened = ticket(rng, team, over + timedelta(seconds=2), confused=confused, topic=run.workflow.topic)
        yield replace(opened, opened_by=run.id)


def fate(rng: random.Random, workflow: Workflow, *, broken: bool) -> tuple[End, ExceptionKind]:
    """How one attempt ends."""
    if broken or rng.random() < workflow.failures:
        return "failed", "application"
    if rng.random() < workflow.exceptions:
        return "failed", "business"
    return ("cancelled" if rng.random() < 0.004 else "succeeded"), "none"


def draft(rng: random.Random, workflow: Workflow, at: datetime) -> Run:
    """A run of the AI assistant: what it wrote is looked at by a person, who takes it, edits it or does it anew."""
    name = identifier(rng, "draft")
    over = at + timedelta(seconds=around(rng, workflow.typical_seconds, 0.4))
    begun = Run(
        id=name,
        root_id=name,
        attempt=1,
        team=workflow.team,
        workflow=workflow.name,
        owner=workflow.team,
        queued_at=at - timedelta(seconds=rng.expovariate(1 / 8)),
        started_at=at,
        finished_at=over,
    )
    if rng.random() < workflow.failures:
        return replace(begun, status="failed", exception="application")
    reviews: tuple[Review, ...] = ("accepted", "edited", "rejected")
    review = pick(rng, reviews, (68, 25, 7))
    return replace(
        begun,
        status="succeeded",
        exception="none",
        review=review,
        human_override=review == "rejected",
        rework=review == "accepted" and rng.random() < 0.03,
        human_seconds=round(around(rng, 25 if review == "accepted" else 110, 0.5)),
    )


def change(rng: random.Random, service: Service, at: datetime) -> Iterator[Story]:
    """A change deployed at an instant; where it went wrong, often the incident it caused."""
    results: tuple[ChangeResult, ...] = ("succeeded", "failed", "rolled_back")
    kinds: tuple[ChangeKind, ...] = ("deployment", "normal", "emergency")
    result = pick(rng, results, (94, 3, 3))
    asked = at - timedelta(hours=around(rng, 24, 0.9))
    made = Change(
        id=identifier(rng, "change"),
        team=service.team,
        service=service.name,
        environment="production",
        kind=pick(rng, kinds, (8, 1.5, 0.5)),
        requested_at=asked,
        first_commit_at=asked + (at - asked) * rng.uniform(0, 0.5),
        approved_at=asked + (at - asked) * 0.8,
        deployed_at=at,
        result=result,
        automated=rng.random() < 0.8,
        unplanned=rng.random() < 0.08,
        blocked_seconds=round((at - asked).total_seconds() * rng.uniform(0.05, 0.4)) if rng.random() < 0.2 else 0,
    )
    yield made
    if rng.random() < (0.02 if result == "succeeded" else 0.6):
        yield incident(rng, service, at + timedelta(minutes=rng.uniform(2, 50)), made.id)


def incident(rng: random.Random, service: Service, at: datetime, caused_by: str | None = None) -> Incident:
    """Something broke at an instant, was noticed, opened, acknowledged and put right."""
    detected = at + timedelta(minutes=rng.uniform(0.5, 12))
    opened = detected + timedelta(minutes=rng.uniform(0.1, 3))
    seen = opened + timedelta(minutes=around(rng, 6, 0.8))
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
        resolved_at=seen + timedelta(minutes=around(rng, 45, 0.8)),
        recurrence_key=f"{service.name}-{rng.randrange(14)}",
        caused_by=caused_by,
        auto_remediated=caused_by is None and rng.random() < 0.3,
        users_affected=rng.randrange(5, 900),
        outage=rng.random() < 0.3,
    )


def reading(rng: random.Random, service: Service, at: datetime) -> ServiceLevel:
    """What a probe saw of a service in the hour up to an instant."""
    return ServiceLevel(
        id=f"{service.name}-{at:%Y-%m-%dT%H}",
        team=service.team,
        service=service.name,
        tier=service.tier,
        measured_at=at,
        ratio=round(rng.uniform(0.7, 0.999), 4) if rng.random() < 0.02 else 1.0,
        interval_seconds=HOUR.total_seconds(),
    )


def felt(rng: random.Random, usual: float) -> dict[str, Any]:
    """The tone of a conversation, and what two of five people answer when asked how it went."""
    tone = {"sentiment": share(rng, usual - 0.4, low=-1)}
    return tone | {"csat": share(rng, usual), "effort": share(rng, usual - 0.1)} if rng.random() < 0.4 else tone
