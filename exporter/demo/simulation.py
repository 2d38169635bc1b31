"""What happens in the demo's organisation around an instant: four months of history, then events without end.

Seeded: the same seed and end give the same stories. Nothing here knows a platform's format or reads a clock.
"""

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from exporter.demo import courses
from exporter.demo import organisation as org
from exporter.demo.organisation import SERVICES, TEAMS, WORKFLOWS, Team, Workflow
from exporter.demo.stories import Attempt, Execution, Story, begins_at
from exporter.records import Cost, CostKind

WEEK = (1.0, 1.08, 1.02, 0.97, 0.86, 0.12, 0.08)  # how busy the days are, Monday first
LIVE_SECONDS = 8  # mean time between two live stories: busier than the history, so that figures can be seen to move
LIVE_LEAD = timedelta(hours=1)  # live stories begin this long before the present, so that some are under way
MONTHLY_EUR: tuple[tuple[CostKind, float], ...] = (
    ("licence", 1180),
    ("infrastructure", 640),
    ("maintenance", 2900),
    ("support", 450),
)
MAINTENANCE_SECONDS = 48 * 3600.0
HANGING = (("New hire accounts", 9), ("Lead routing", 2), ("crm-sync", 5))  # runs that began so many days ago


class Simulation:
    """Every story of the organisation around `end`, the instant at which history turns into the present."""

    def __init__(self, seed: int, end: datetime) -> None:
        self.seed, self.end = seed, end
        self.policy_at = end - org.BAD_POLICY_FOR
        self.reminders_at = end - org.NO_REMINDERS_FOR

    def history(self, days: int = 120) -> Iterator[Story]:
        """What began in the `days` up to the end, what follows from it, and the meetings booked for the days after."""
        midnight = self.end.replace(hour=0, minute=0, second=0, microsecond=0)
        for number in range(-days, courses.BOOKED_AHEAD_DAYS):
            day = midnight + timedelta(days=number)
            yield from self._meetings(day)
            if number <= 0:
                yield from (story for story in self._day(day) if begins_at(story) <= self.end)
        yield from self._costs(midnight - timedelta(days=days))
        yield from self._hanging()

    def live(self) -> Iterator[tuple[datetime, Story]]:
        """Stories without end, each with the instant it is heard of, from LIVE_LEAD before the end of history."""
        rng, at = self._rng("live"), self.end - LIVE_LEAD
        while True:
            at += timedelta(seconds=rng.expovariate(1 / LIVE_SECONDS))
            yield from ((at, story) for story in self._one(rng, at))

    def _rng(self, *about: object) -> random.Random:
        return random.Random(":".join(map(str, (self.seed, *about))))  # noqa: S311 - a simulation; nothing is secret

    def _one(self, rng: random.Random, at: datetime) -> Iterator[Story]:
        """One story of any kind, beginning at an instant (a meeting: taking place at it)."""
        kind = courses.pick(rng, ("conversation", "run", "ticket", "meeting"), (40, 45, 8, 7))
        team = courses.pick(rng, TEAMS, [team.meetings if kind == "meeting" else team.conversations for team in TEAMS])
        if kind == "conversation":
            yield from courses.conversation(rng, team, at, confused=self._confused(team, at))
        elif kind == "run":
            workflow = courses.pick(rng, WORKFLOWS, [workflow.daily for workflow in WORKFLOWS])
            yield courses.execution(rng, workflow, at, broken=self._broken(workflow, at))
        elif kind == "ticket":
            yield courses.ticket(rng, team, at, confused=self._confused(team, at))
        else:
            yield courses.booking(rng, team, at, unreminded=self._unreminded(team, at))

    def _meetings(self, day: datetime) -> Iterator[Story]:
        rng = self._rng("meetings", day.date())
        for team in TEAMS:
            for at in working_hours(rng, day, team.meetings, team.utc_offset):
                yield courses.booking(rng, team, at, unreminded=self._unreminded(team, at))

    def _day(self, day: datetime) -> Iterator[Story]:
        """Everything else that begins on a day."""
        rng = self._rng("day", day.date())
        for team in TEAMS:
            for at in working_hours(rng, day, team.conversations, team.utc_offset):
                yield from courses.conversation(rng, team, at, confused=self._confused(team, at))
            for at in working_hours(rng, day, team.tickets, team.utc_offset):
                yield courses.ticket(rng, team, at, confused=self._confused(team, at))
        for workflow in WORKFLOWS:
            for _ in range(about(rng, workflow.daily)):
                at = day + timedelta(days=rng.random())
                yield courses.execution(rng, workflow, at, broken=self._broken(workflow, at))
        for service in SERVICES:
            for at in working_hours(rng, day, service.deployments):
                yield from courses.change(rng, service, at)
            if rng.random() < service.incidents:
                yield courses.incident(rng, service, day + timedelta(days=rng.random()))

    def _confused(self, team: Team, at: datetime) -> bool:
        return team.name == org.BAD_POLICY_TEAM and at >= self.policy_at

    def _unreminded(self, team: Team, at: datetime) -> bool:
        return team.name == org.NO_REMINDERS_TEAM and at >= self.reminders_at

    def _broken(self, workflow: Workflow, at: datetime) -> bool:
        return workflow.name == org.NO_REMINDERS_WORKFLOW and at >= self.reminders_at

    def _costs(self, since: datetime) -> Iterator[Cost]:
        """What the automation costs, by calendar month."""
        month = since.replace(day=1)
        while month <= self.end:
            following = (month + timedelta(days=32)).replace(day=1)
            for kind, amount in MONTHLY_EUR:
                yield Cost(
                    id=f"{month:%Y-%m}-{kind}",
                    kind=kind,
                    amount=amount,
                    currency="EUR",
                    period_start=month,
                    period_end=following,
                    team="platform",
                    effort_seconds=MAINTENANCE_SECONDS if kind == "maintenance" else None,
                )
            month = following

    def _hanging(self) -> Iterator[Execution]:
        """Runs that never end."""
        rng = self._rng("hanging")
        workflows = {workflow.name: workflow for workflow in WORKFLOWS}
        for name, days in HANGING:
            attempt = Attempt(courses.identifier(rng, "attempt"), self.end - timedelta(days=days), None, "failed")
            yield Execution(courses.identifier(rng, "run"), workflows[name], (attempt,))


def about(rng: random.Random, mean: float) -> int:
    """How often something happens on a day on which it is expected `mean` times."""
    return max(0, round(rng.gauss(mean, math.sqrt(mean))))


def working_hours(rng: random.Random, day: datetime, mean: float, utc_offset: int = 1) -> list[datetime]:
    """Instants on a day, about `mean` on a Monday, most of them before noon."""
    count = about(rng, mean * WEEK[day.weekday()])
    return [day + timedelta(hours=rng.triangular(7, 19, 11) - utc_offset) for _ in range(count)]
