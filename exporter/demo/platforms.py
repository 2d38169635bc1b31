"""Tells the demo's runs to the fake platforms that they run on, each in the platform's own terms."""

from datetime import datetime

from exporter.demo.fakes.n8n import N8n
from exporter.demo.fakes.prefect import Prefect
from exporter.demo.organisation import WORKFLOWS
from exporter.demo.stories import Attempt, End, Execution

N8N_STATUS: dict[End, str] = {"succeeded": "success", "failed": "error", "cancelled": "canceled"}
PREFECT_STATE: dict[End, str] = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED"}


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
        self.latest: dict[str, int] = {}  # run -> execution of its latest attempt

    def tell(self, run: Execution, at: datetime) -> None:
        """What happened to a run at an instant."""
        before: Attempt | None = None
        for attempt in run.attempts:
            if attempt.starts_at == at:
                retry_of = self.executions.pop(before.id) if before else None
                workflow = self.workflows[run.workflow.name]
                number = self.platform.start(workflow, at, retry_of=retry_of)
                self.executions[attempt.id] = self.latest[run.id] = number
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
