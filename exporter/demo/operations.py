"""Tells the demo's operations: deployments to GitHub, what has to be approved to ServiceNow, incidents to PagerDuty."""

from collections.abc import Callable
from datetime import datetime, timedelta

from exporter.demo.fakes.github import GitHub
from exporter.demo.fakes.pagerduty import PagerDuty
from exporter.demo.fakes.servicenow import ServiceNow, stamp
from exporter.demo.organisation import AUTOMATION, SERVICES
from exporter.records import Change, Incident, IncidentSeverity

ORGANISATION = "acme"
ROLL_OUT = timedelta(minutes=5)
STATES = {"succeeded": "success", "failed": "failure", "rolled_back": "success"}
CLOSE_CODES = {"succeeded": "successful", "failed": "unsuccessful", "rolled_back": "backed_out"}
PRIORITIES: dict[IncidentSeverity | None, str] = {"sev1": "P1", "sev2": "P2", "sev3": "P3"}

Caller = Callable[[str], str]
"""A change -> how people call it."""


class GitHubTeller:
    """Deployments; each service is a repository. A change is taken back by a deployment of what was there before."""

    def __init__(self, platform: GitHub, since: datetime) -> None:
        self.platform = platform
        self.repositories = {
            service.name: platform.add_repository(f"{ORGANISATION}/{service.name}", since, team=service.team)
            for service in SERVICES
        }
        self.live = {name: platform.commit(repository, since) for name, repository in self.repositories.items()}
        self.deployments: dict[str, int] = {}

    def tell(self, change: Change, at: datetime) -> None:
        """What happened to a change at an instant: nothing is heard of it before it is rolled out."""
        if at != change.deployed_at or not change.service:
            return
        before = self.live[change.service]
        sha = self.platform.commit(self.repositories[change.service], change.first_commit_at or at, before)
        if change.result == "rolled_back":
            self._deploy(change, sha, at - 2 * ROLL_OUT)
            sha = before
        self.deployments[change.id] = self._deploy(change, sha, at)
        if change.result == "succeeded":
            self.live[change.service] = sha

    def called(self, change: str) -> str:
        """A deployment of which people have heard."""
        return f"deployment {self.deployments[change]}" if change in self.deployments else ""

    def _deploy(self, change: Change, sha: str, at: datetime) -> int:
        repository, hotfix = self.repositories[change.service or ""], {"hotfix": bool(change.unplanned)}
        app = bool(change.automated)
        key = self.platform.deploy(repository, sha, "production", at - ROLL_OUT, app=app, payload=hotfix)
        self.platform.status(repository, key, "in_progress", at - ROLL_OUT)
        self.platform.status(repository, key, STATES[change.result or "succeeded"], at)
        return key


class ChangeTeller:
    """Changes that somebody has to approve, as change requests in ServiceNow."""

    def __init__(self, platform: ServiceNow) -> None:
        self.platform = platform
        self.requests: dict[str, str] = {}

    def tell(self, change: Change, at: datetime) -> None:
        """What happened to a change at an instant."""
        if at == change.requested_at:
            self.requests[change.id] = self.platform.request_change(
                AUTOMATION if change.automated else "change.manager",
                at,
                type=change.kind or "",
                business_service=change.service or "",
                assignment_group=change.team or "",
                u_blocked_seconds=f"{change.blocked_seconds or 0:.0f}",
            )
        elif at == change.approved_at:
            more = {"state": "-2", "approval": "approved", "approval_set": stamp(at)}
            self.platform.update("change_request", self.requests[change.id], at, **more)
        elif at == change.deployed_at:
            done = {"state": "3", "close_code": CLOSE_CODES[change.result or "succeeded"]}
            done |= {"work_end": stamp(at), "closed_at": stamp(at)}
            self.platform.update("change_request", self.requests[change.id], at, **done)

    def called(self, change: str) -> str:
        """A change request of which people have heard."""
        row = self.platform.tables["change_request"].get(self.requests.get(change, ""))
        return f"change {row['number']}" if row else ""


class PagerDutyTeller:
    """Incidents. The title names the change that caused one, as people write it."""

    def __init__(self, platform: PagerDuty, called: Caller) -> None:
        self.platform, self.called = platform, called
        self.incidents: dict[str, str] = {}

    def tell(self, incident: Incident, at: datetime) -> None:
        """What happened to an incident at an instant."""
        by = None if incident.auto_remediated else "on.call"
        if at == incident.opened_at:
            self._open(incident, at)
        elif at == incident.acknowledged_at:
            self.platform.acknowledge(self.incidents[incident.id], at, by)
        elif at == incident.resolved_at:
            self.platform.resolve(self.incidents[incident.id], at, by)

    def _open(self, incident: Incident, at: datetime) -> None:
        after = f" after {self.called(incident.caused_by)}" if incident.caused_by else ""
        told = {
            "started": incident.started_at and incident.started_at.isoformat(timespec="seconds"),
            "tier": incident.tier,
            "users": incident.users_affected,
            "outage": incident.outage,
        }
        self.incidents[incident.id] = self.platform.trigger(
            f"{incident.service}: {incident.category}{after}",
            at,
            service=incident.service or "",
            team=incident.team,
            priority=PRIORITIES[incident.severity],
            incident_key=incident.recurrence_key,
            incident_type={"name": incident.category},
            custom_fields=[{"id": f"F{name}", "name": name, "value": value} for name, value in told.items()],
        )
