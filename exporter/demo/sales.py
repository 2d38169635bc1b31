"""How meetings and deals go in the demo: a lead is contacted, books, comes, is qualified, and is won or lost."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from exporter.demo.chance import around, identifier, pick
from exporter.demo.organisation import Team
from exporter.demo.stories import Story
from exporter.records import Booking, BookingOutcome, Opportunity

BOOKED_AHEAD_DAYS = 10
MEETING = timedelta(minutes=30)
OUTCOMES: tuple[BookingOutcome, ...] = ("attended", "no_show", "cancelled", "rescheduled", "unknown")


def meeting(rng: random.Random, team: Team, starts_at: datetime, *, unreminded: bool) -> Iterator[Story]:
    """A meeting that was asked for, booked, and then held, missed, moved or called off; mostly about a deal."""
    held = booking(rng, team, starts_at, unreminded=unreminded)
    yield held
    if held.opportunity_id:
        yield pursuit(rng, team, held)


def booking(rng: random.Random, team: Team, starts_at: datetime, *, unreminded: bool) -> Booking:
    deal = team.deal > 0 and rng.random() < 0.75
    outcome = pick(rng, OUTCOMES, (38, 47, 7, 4, 4) if unreminded else (76, 7, 8, 5, 4))
    booked = starts_at - timedelta(hours=rng.uniform(8, BOOKED_AHEAD_DAYS * 24))
    asked = booked - timedelta(minutes=around(rng, 40, 0.9))
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
        cancelled_by=pick(rng, ("invitee", "host"), (5, 1)) if outcome == "cancelled" else None,
        channel=pick(rng, ("web", "email", "phone"), (6, 3, 1)),
        meeting_type=rng.choice(("demo", "review")),
        host=f"{team.name}-{rng.randrange(6)}@example.com",
        automated=rng.random() < 0.7,
        conflict=rng.random() < 0.01,
        reminders=0 if unreminded else 2,
        value=round(around(rng, team.deal * 0.1, 0.5), 2) if deal else None,
        currency=team.currency if deal else None,
        opportunity_id=identifier(rng, "opportunity") if deal else None,
    )


def pursuit(rng: random.Random, team: Team, met: Booking) -> Opportunity:
    """The deal that a meeting is about. Who came may be qualified, and then won; most others are lost."""
    asked, starts = met.requested_at, met.starts_at
    if not (asked and starts and met.opportunity_id):
        raise ValueError("this meeting is about no deal")
    qualified = None
    if met.outcome == "attended" and rng.random() < 0.55:
        qualified = starts + MEETING + timedelta(hours=rng.uniform(1, 72))
    over = (qualified or starts) + timedelta(days=rng.uniform(3, 28))
    end = pick(rng, ("won", "lost", "open"), (38, 47, 15) if qualified else (0, 85, 15))
    return Opportunity(
        id=met.opportunity_id,
        team=team.name,
        business_unit=team.business_unit,
        region=team.region,
        lead_at=asked - timedelta(hours=rng.expovariate(1 / 5)),
        contacted_at=met.first_response_at,
        booked_at=met.booked_at,
        attended_at=starts if met.outcome == "attended" else None,
        qualified_at=qualified,
        won_at=over if end == "won" else None,
        lost_at=over if end == "lost" else None,
        amount=round(around(rng, team.deal, 0.5)),
        currency=team.currency,
        channel=met.channel,
        automated=met.automated,
    )


def lead(rng: random.Random, team: Team, at: datetime) -> Opportunity:
    """Somebody who shows interest and never books a meeting."""
    contacted = rng.random() < 0.7
    return Opportunity(
        id=identifier(rng, "opportunity"),
        team=team.name,
        business_unit=team.business_unit,
        region=team.region,
        lead_at=at,
        contacted_at=at + timedelta(hours=around(rng, 6, 1.0)) if contacted else None,
        lost_at=at + timedelta(days=rng.uniform(9, 30)) if rng.random() < 0.85 else None,
        amount=round(around(rng, team.deal, 0.5)),
        currency=team.currency,
        channel=pick(rng, ("web", "email", "phone"), (6, 3, 1)),
        automated=rng.random() < 0.6,
    )
