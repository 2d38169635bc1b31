"""Tells the demo's stories to its fake platforms, each in the platform's own terms."""

from datetime import datetime

from exporter.demo.fakes.n8n import N8n
from exporter.demo.fakes.prefect import Prefect
from exporter.demo.fakes.request_tracker import RequestTracker
from exporter.demo.organisation import WORKFLOWS
from exporter.demo.stories import Act, Attempt, End, Execution, Step, Ticket

N8N_STATUS: dict[End, str] = {"succeeded": "success", "failed": "error", "cancelled": "canceled"}
PREFECT_STATE: dict[End, str] = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED"}
RT_STATUS: dict[Act, str] = {"resolve": "resolved", "reject": "rejected"}
SECOND_LINE = "Second line"


class N8nTeller:
    """Runs of workflows on n8n. A retry is an execution of its own."""

    def __init__(self, platform: N8n, since: datetime) -> None:
        self.platform = platform
        self.workflows = {
            workflow.name: platform.add_workflow(
                workflow.name, since, tags=(f"team:{workflow.team}",), project=workflow.team, systems=workflow.systems
            )
            for workflow in WORKFLOWS
            if workflow.platform == "n8n"
        }
        self.executions: dict[str, int] = {}  # attempt -> execution, until it ends

    def tell(self, run: Execution, at: datetime) -> None:
        """What happened to a run at an instant."""
        before: Attempt | None = None
        for attempt in run.attempts:
            if attempt.starts_at == at:
                retry_of = self.executions.pop(before.id) if before else None
                workflow = self.workflows[run.workflow.name]
                self.executions[attempt.id] = self.platform.start(workflow, at, retry_of=retry_of)
            elif attempt.ends_at == at:
                business = attempt.exception == "business"
                self.platform.end(self.executions[attempt.id], at, N8N_STATUS[attempt.end], business=business)
                if attempt is run.attempts[-1]:
                    del self.executions[attempt.id]
            before = attempt


class PrefectTeller:
    """Runs of deployments on Prefect. All attempts are one flow run."""

    def __init__(self, platform: Prefect, since: datetime) -> None:
        self.platform = platform
        self.deployments = {
            workflow.name: platform.add_deployment(workflow.name, "production", since, tags=(f"team:{workflow.team}",))
            for workflow in WORKFLOWS
            if workflow.platform == "prefect"
        }
        self.runs: dict[str, str] = {}  # execution -> flow run, until it ends

    def tell(self, run: Execution, at: datetime) -> None:
        """What happened to a run at an instant."""
        for attempt in run.attempts:
            if attempt.starts_at == at:
                if attempt is run.attempts[0]:
                    self.runs[run.id] = self.platform.schedule(self.deployments[run.workflow.name], at, automatic=True)
                self.platform.state(self.runs[run.id], "RUNNING", at)
            elif attempt.ends_at == at and attempt is not run.attempts[-1]:
                self.platform.state(self.runs[run.id], "SCHEDULED", at, name="AwaitingRetry")
            elif attempt.ends_at == at:
                name = "BusinessException" if attempt.exception == "business" else ""
                self.platform.state(self.runs.pop(run.id), PREFECT_STATE[attempt.end], at, name=name)


class TrackerTeller:
    """Tickets in Request Tracker. A ticket that is moved to the second line keeps its team in a custom field."""

    def __init__(self, platform: RequestTracker) -> None:
        self.platform = platform
        self.tickets: dict[str, int] = {}

    def tell(self, ticket: Ticket, at: datetime) -> None:
        """What happened to a ticket at an instant."""
        for step in ticket.steps:
            if step.at == at:
                self._step(ticket, step)

    def _step(self, ticket: Ticket, step: Step) -> None:
        if step.act == "open":
            fields = {"Team": [ticket.team.name], "Topic": [ticket.topic]}
            self.tickets[ticket.id] = self.platform.create(
                f"{ticket.team.name} help",
                ticket.requester,
                step.at,
                priority=ticket.priority,
                due=ticket.due_at,
                fields=fields,
            )
            return
        number = self.tickets[ticket.id]
        if step.act == "comment":
            self.platform.comment(number, step.who, step.at)
        elif step.act in ("reply", "reopen"):
            self.platform.reply(number, step.who, step.at, minutes=step.minutes)
        elif step.act == "move":
            self.platform.move(number, SECOND_LINE, step.who, step.at)
        else:
            if step.minutes:
                self.platform.comment(number, step.who, step.at, minutes=step.minutes)
            self.platform.set_status(number, RT_STATUS[step.act], step.who, step.at)
            if ticket.stars:
                self.platform.set_field(number, "Satisfaction", str(ticket.stars), ticket.requester, step.at)
