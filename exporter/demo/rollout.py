"""How two tools are taken up in the demo: who got one when, what they do in it, and what an auditor would see."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.demo import organisation as org
from exporter.demo.chance import WEEK, about, identifier, pick, share
from exporter.demo.organisation import Cohort, Team, Tool
from exporter.records import Account, Activity, Audit, AuditKind, Mfa

DAY = timedelta(days=1)
REPORTED = timedelta(minutes=20)  # after midnight a tool tells what was done on the day


@dataclass(frozen=True, slots=True)
class Member:
    """A person who got a tool; without `begins_at` they never take it up, from `stops_at` on they leave it alone."""

    tool: str
    team: Team
    cohort: Cohort
    number: int
    granted_at: datetime
    begins_at: datetime | None
    stops_at: datetime | None

    @property
    def person(self) -> str:
        return org.requester(self.number)


def members(rng: random.Random, end: datetime) -> Iterator[Member]:
    """Everybody who has one of the tools. Most of a wave get it together, the others one after the other."""
    teams = {team.name: team for team in org.TEAMS}
    numbers = iter(range(org.REQUESTERS))
    for tool in org.TOOLS:
        for name in tool.teams:
            for cohort in org.COHORTS:
                for _ in range(cohort.people):
                    yield member(rng, tool, teams[name], cohort, next(numbers), end)


def member(rng: random.Random, tool: Tool, team: Team, cohort: Cohort, number: int, end: datetime) -> Member:
    late = rng.random() < cohort.later
    ago = rng.uniform(1, cohort.days_ago) if late else cohort.days_ago - rng.uniform(0, 4)
    granted = end - timedelta(days=ago)
    begins = granted + timedelta(days=rng.expovariate(1 / (3 if cohort.trained else 9)))
    takes_up = rng.random() < (0.92 if cohort.trained else 0.7)
    stops = begins + timedelta(days=rng.uniform(5, 60)) if rng.random() < (0.08 if cohort.trained else 0.25) else None
    return Member(tool.name, team, cohort, number, granted, begins if takes_up else None, stops)


def account(rng: random.Random, who: Member, end: datetime) -> Account:
    """A person's account as it stands at the end of history; of what comes later nothing is known."""
    last = min(end, who.stops_at or end) - timedelta(hours=rng.uniform(0.2, 40))
    begun = who.begins_at is not None and who.begins_at <= end
    strengths: tuple[Mfa, ...] = ("none", "weak", "phishing_resistant")
    return Account(
        id=f"account-{who.tool}-{who.number:04d}",
        team=who.team.name,
        business_unit=who.team.business_unit,
        region=who.team.region,
        cohort=who.cohort.name,
        tool=who.tool,
        person=who.person,
        granted_at=who.granted_at,
        first_success_at=who.begins_at if begun else None,
        last_active_at=max(last, who.begins_at) if begun and who.begins_at else None,
        disabled=bool(who.stops_at and who.stops_at < end and rng.random() < 0.3),
        mfa=pick(rng, strengths, (4, 36, 60) if who.cohort.trained else (15, 60, 25)),
        privileged=rng.random() < 0.06,
        shared=rng.random() < 0.02,
        client_outdated=rng.random() < 0.12,
    )


def work(rng: random.Random, who: Member, day: datetime) -> Activity | None:
    """What somebody did on a day, told when it is over: ever less with help, and ever less the old way."""
    if who.begins_at is None or not who.begins_at <= day < (who.stops_at or day + DAY):
        return None
    if rng.random() > 0.8 * WEEK[day.weekday()]:
        return None
    weeks = (day - who.begins_at) / timedelta(weeks=1)
    helped = (0.1 if who.cohort.trained else 0.25) + 0.5 * math.exp(-weeks / 3)
    old_way = (0.15 if who.cohort.trained else 0.4) + 0.5 * math.exp(-weeks / 4)
    done = 1 + about(rng, 5)
    return Activity(
        id=f"work-{who.tool}-{who.number:04d}-{day:%Y-%m-%d}",
        team=who.team.name,
        business_unit=who.team.business_unit,
        region=who.team.region,
        cohort=who.cohort.name,
        tool=who.tool,
        person=who.person,
        day=day,
        tasks_done=done,
        tasks_with_help=round(done * share(rng, helped)),
        legacy_tasks=about(rng, 8 * old_way),
        updated_at=day + DAY + REPORTED,
    )


def audit(rng: random.Random, team: Team, at: datetime) -> Audit:
    """Something that an auditor would look at; now and then nobody can say who did it."""
    kinds: tuple[AuditKind, ...] = ("privileged_action", "policy_violation", "policy_exception", "manual_exception")
    kind = pick(rng, kinds, (80, 8, 6, 6))
    return Audit(
        id=identifier(rng, "audit"),
        team=team.name,
        business_unit=team.business_unit,
        region=team.region,
        occurred_at=at,
        kind=kind,
        attributable=rng.random() < 0.96,
        expires_at=at + timedelta(days=90) if kind.endswith("exception") else None,
    )
