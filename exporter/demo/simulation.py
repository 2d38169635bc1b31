"""What happens in the demo's organisation around an instant: four months of history, then events without end.

Seeded: the same seed and end give the same stories. Nothing here knows a platform's format or reads a clock.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from exporter.demo import courses, rollout, sales
from exporter.demo import organisation as org
from exporter.demo.chance import about, identifier, working_hours
from exporter.demo.organisation import SERVICES, TEAMS, WORKFLOWS, Team, Workflow
from exporter.demo.stories import Attempt, Execution, Story, begins_at
from exporter.records import Cost, CostKind
from exporter.records import Workflow as Inventory

FOLLOWING_DAYS = 10  # what a story brings about begins no later
MONTHLY_EUR: tuple[tuple[CostKind, float], ...] = (
    ("infrastructure", 640),
    ("maintenance", 2900),
    ("support", 450),
    ("labour", 5200),  # people who answer what automation hands over
)
MAINTENANCE_SECONDS = 48 * 3600.0
HANGING = (("New hire accounts", 9), ("Lead routing", 2), ("crm-sync", 5))  # runs that began so many days ago
STILL_BROKEN = ("warehouse", timedelta(hours=5))  # since when


class Simulation:
    """Every story of the organisation around `end`, the instant at which history turns into the present."""

    def __init__(self, seed: int, end: datetime) -> None:
        self.seed, self.end = seed, end
        self.policy_at = end - org.BAD_POLICY_FOR
        self.reminders_at = end - org.NO_REMINDERS_FOR
        self.members = tuple(rollout.members(self._rng("members"), end))

    def history(self, days: int = 120) -> Iterator[Story]:
        """What began in the `days` up to the end, what follows from it, and the meetings booked for the days after."""
        midnight = self._midnight
        for number in range(-days, sales.BOOKED_AHEAD_DAYS):
            day = midnight + timedelta(days=number)
            yield from self._meetings(day)
            yield from self._reports(day)
            if number <= 0:
                yield from (story for story in self._day(day) if begins_at(story) <= self.end)
        yield from self._accounts()
        yield from self._inventory(midnight - timedelta(days=days))
        yield from self._costs(midnight - timedelta(days=days))
        yield from self._hanging()

    def live(self) -> Iterator[tuple[datetime, Story]]:
        """What begins after the end, without end and as often as before; each with the instant it is heard of."""
        coming: list[tuple[datetime, int, Story]] = []
        order = count()
        for number in count(-FOLLOWING_DAYS):
            day = self._midnight + timedelta(days=number)
            begun = [story for story in self._day(day) if number > 0 or begins_at(story) > self.end]
            if number > 0:  # until then history has them
                booked = day + timedelta(days=sales.BOOKED_AHEAD_DAYS - 1)
                begun += [*self._meetings(booked), *self._reports(booked)]
            for story in begun:
                heapq.heappush(coming, (max(begins_at(story), day), next(order), story))
            while number >= 0 and coming and coming[0][0] < day + timedelta(days=1):
                at, _, story = heapq.heappop(coming)
                yield at, story

    @property
    def _midnight(self) -> datetime:
        return self.end.replace(hour=0, minute=0, second=0, microsecond=0)

    def _rng(self, *about: object) -> random.Random:
        return random.Random(":".join(map(str, (self.seed, *about))))  # noqa: S311 - a simulation; nothing is secret

    def _meetings(self, day: datetime) -> Iterator[Story]:
        """What takes place on a day; booked days before."""
        rng = self._rng("meetings", day.date())
        for team in TEAMS:
            for at in working_hours(rng, day, team.meetings, team.utc_offset):
                yield from sales.meeting(rng, team, at, unreminded=self._unreminded(team, at))

    def _reports(self, day: datetime) -> Iterator[Story]:
        """What comes in by itself: hourly readings of a service, and after midnight what people did in the tools."""
        rng = self._rng("reports", day.date())
        for service in SERVICES:
            if service.name == org.MEASURED_SERVICE:
                yield from (courses.reading(rng, service, day + timedelta(hours=hour)) for hour in range(1, 25))
        yield from filter(None, (rollout.work(rng, member, day) for member in self.members))

    def _day(self, day: datetime) -> Iterator[Story]:
        """Everything else that begins on a day."""
        rng = self._rng("day", day.date())
        for team in TEAMS:
            for at in working_hours(rng, day, team.conversations, team.utc_offset):
                yield from courses.conversation(rng, team, at, confused=self._confused(team, at))
            for at in working_hours(rng, day, team.tickets, team.utc_offset):
                yield courses.ticket(rng, team, at, confused=self._confused(team, at))
            for at in working_hours(rng, day, team.meetings / 2 if team.deal else 0, team.utc_offset):
                yield sales.lead(rng, team, at)
            for at in working_hours(rng, day, 1.2, team.utc_offset):
                yield rollout.audit(rng, team, at)
        for workflow in WORKFLOWS:
            for _ in range(about(rng, workflow.daily)):
                yield from self._run(rng, workflow, day + timedelta(days=rng.random()))
        for service in SERVICES:
            for at in working_hours(rng, day, service.deployments):
                yield from courses.change(rng, service, at)
            if rng.random() < service.incidents:
                yield courses.incident(rng, service, day + timedelta(days=rng.random()))

    def _run(self, rng: random.Random, workflow: Workflow, at: datetime) -> Iterator[Story]:
        if workflow.platform == "assistant":
            yield courses.draft(rng, workflow, at)
            return
        run = courses.execution(rng, workflow, at, broken=self._broken(workflow, at))
        yield run
        yield from courses.handover(self._rng("handover", run.id), run, confused=False)

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

    def _accounts(self) -> Iterator[Story]:
        rng = self._rng("accounts")
        yield from (rollout.account(rng, member, self.end) for member in self.members)

    def _inventory(self, since: datetime) -> Iterator[Inventory]:
        """The workflows of the assistant; the other platforms tell of their own."""
        for workflow in WORKFLOWS:
            if workflow.platform == "assistant":
                yield Inventory(
                    id=workflow.name,
                    name=workflow.name,
                    team=workflow.team,
                    enabled=True,
                    owners=(workflow.team, "platform"),
                    dependencies=("api:language-model", *(f"system:{system}" for system in workflow.systems)),
                    exportable=False,  # the prompts stay with the vendor
                    updated_at=since,
                )

    def _hanging(self) -> Iterator[Story]:
        """What never ends: some runs, and an incident that nobody has solved yet."""
        rng = self._rng("hanging")
        workflows = {workflow.name: workflow for workflow in WORKFLOWS}
        for name, days in HANGING:
            attempt = Attempt(identifier(rng, "attempt"), self.end - timedelta(days=days), None, "failed")
            yield Execution(identifier(rng, "run"), workflows[name], (attempt,))
        broken, since = STILL_BROKEN
        service = next(service for service in SERVICES if service.name == broken)
        yield replace(courses.incident(rng, service, self.end - since), resolved_at=None, auto_remediated=None)
