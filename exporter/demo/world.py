"""The demo's world: fake platforms and record files, filled with four months of history and kept going."""

import heapq
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

from aiohttp import web

from exporter.demo.desks import ServiceNowTeller, ZendeskTeller
from exporter.demo.fakes.calcom import CalCom
from exporter.demo.fakes.github import GitHub
from exporter.demo.fakes.n8n import N8n
from exporter.demo.fakes.pagerduty import PagerDuty
from exporter.demo.fakes.prefect import Prefect
from exporter.demo.fakes.servicenow import ServiceNow
from exporter.demo.fakes.zendesk import Zendesk
from exporter.demo.files import Files
from exporter.demo.meetings import CalComTeller
from exporter.demo.operations import ChangeTeller, GitHubTeller, PagerDutyTeller
from exporter.demo.organisation import Desk
from exporter.demo.platforms import N8nTeller, PrefectTeller
from exporter.demo.simulation import Simulation
from exporter.demo.stories import SERVED, Execution, Filed, Story, Ticket, turns
from exporter.records import Booking, Change, Incident

DAYS = 120
NO_LIMIT = 1_000_000_000  # the fake forgets nothing within the hour, and the demo runs for days
DAWN = datetime.min.replace(tzinfo=UTC)
PREFECT_PASSWORD = "demo"  # noqa: S105 - of a fake on loopback


class Platform(Protocol):
    def app(self) -> web.Application: ...


class World:
    """What the organisation's platforms hold; `advance` tells them what has happened since."""

    def __init__(self, simulation: Simulation, records: Path, days: int = DAYS) -> None:
        self.now = simulation.end
        since = simulation.end - timedelta(days=days)
        self.n8n, self.servicenow, self.zendesk = N8n(), ServiceNow(), Zendesk(clock=lambda: self.now)
        self.prefect = Prefect(password=f"exporter:{PREFECT_PASSWORD}")
        self._n8n, self._prefect = N8nTeller(self.n8n, since), PrefectTeller(self.prefect, since)
        self._desks: dict[Desk, ServiceNowTeller | ZendeskTeller] = {
            "servicenow": ServiceNowTeller(self.servicenow, self._named),
            "zendesk": ZendeskTeller(self.zendesk, self._named),
        }
        self._files = Files(records)
        self.calcom = CalCom(clock=lambda: self.now)
        self._calcom = CalComTeller(self.calcom)
        self.github = GitHub(clock=lambda: self.now, limit=NO_LIMIT)
        self._deployments, self._requests = GitHubTeller(self.github, since), ChangeTeller(self.servicenow)
        self.pagerduty = PagerDuty(clock=lambda: self.now)
        self._incidents = PagerDutyTeller(self.pagerduty, self._called)
        # A heap of instants at which is heard that a story goes on, or went on at an earlier one.
        self._coming: list[tuple[datetime, int, datetime, Story]] = []
        self._number = count()
        begun = [record for story in simulation.history(days) if (record := self._admit(story))]
        self._files.tell(begun, self.now)
        self._live = simulation.live()
        self._next = next(self._live)
        self.advance(self.now)

    @property
    def platforms(self) -> Mapping[str, Platform]:
        """Name in the config -> the fake that serves it."""
        return {
            "n8n": self.n8n,
            "prefect": self.prefect,
            "servicenow": self.servicenow,
            "zendesk": self.zendesk,
            "calcom": self.calcom,
            "github": self.github,
            "pagerduty": self.pagerduty,
        }

    @property
    def secrets(self) -> Mapping[str, str]:
        """Name in the config -> what its fake wants to be shown."""
        return {
            "n8n": self.n8n.key,
            "prefect": PREFECT_PASSWORD,
            "servicenow": self.servicenow.client[1],
            "zendesk": self.zendesk.client[1],
            "calcom": self.calcom.token,
            "github": self.github.token,
            "pagerduty": self.pagerduty.api_key,
        }

    def advance(self, now: datetime) -> int:
        """Tells the platforms everything up to `now`; how many things that was."""
        self.now, told = now, 0
        filed: dict[str, Filed] = {}
        while self._next[0] <= now:
            begun = self._admit(self._next[1], self._next[0])
            filed |= {begun.id: begun} if begun else {}
            self._next = next(self._live)
        while self._coming and self._coming[0][0] <= now:
            heard_at, _, at, story = heapq.heappop(self._coming)
            told += 1
            if isinstance(story, Ticket):
                self._desks[story.team.desk].tell(story, at)
            elif isinstance(story, Execution):
                self._tell_run(story, at)
            elif isinstance(story, Booking):
                self._calcom.tell(story, at, heard_at)
            elif isinstance(story, Change):
                (self._deployments if story.kind == "deployment" else self._requests).tell(story, at)
            elif isinstance(story, Incident):
                self._incidents.tell(story, at)
            else:
                filed[story.id] = story
        self._files.tell(filed.values(), now)
        return told

    def _tell_run(self, run: Execution, at: datetime) -> None:
        teller = self._n8n if run.workflow.platform == "n8n" else self._prefect
        teller.tell(run, at)

    def _named(self, run: str) -> str:
        """A run on n8n, as other platforms name it."""
        return f"n8n/{self._n8n.latest[run]}"

    def _called(self, change: str) -> str:
        """A change as people call it, wherever it is kept."""
        return self._deployments.called(change) or self._requests.called(change)

    def _admit(self, story: Story, heard_at: datetime = DAWN) -> Filed | None:
        """Notes when a story goes on. A record that has begun is given back, to be told as it stands."""
        served, moments = isinstance(story, SERVED), turns(story)
        for at in moments:
            if served or at > self.now:
                heapq.heappush(self._coming, (max(at, heard_at), next(self._number), at, story))
        return story if not isinstance(story, SERVED) and moments[0] <= self.now else None
