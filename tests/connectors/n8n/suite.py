"""n8n for the contract suite: a long history with retries, rejections, a crash, and runs that run and wait."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.n8n import Options
from exporter.demo.fakes.n8n import N8n
from tests.connectors.world import AT, World


def instance() -> N8n:
    """Thirty executions of three workflows in the month before AT; ids from 1001."""
    n8n, began = N8n(), AT - timedelta(days=30)
    names = [n8n.add_workflow(name, began, tags=(f"team:{team}",)) for name, team in WORKFLOWS.items()]
    failed = None
    for day in range(20):
        at = began + timedelta(days=day)
        execution = n8n.start(names[day % 3], at)
        if day % 5 == 4:
            n8n.end(execution, at + timedelta(seconds=3), "error", business=day == 4)
            failed = execution
        else:
            n8n.end(execution, at + timedelta(seconds=3))
    first = n8n.start(names[1], AT - timedelta(days=5), retry_of=failed)
    n8n.end(first, AT - timedelta(days=5, seconds=-9), "error")
    second = n8n.start(names[1], AT - timedelta(days=4), retry_of=first)
    n8n.end(second, AT - timedelta(days=4, seconds=-9))
    for status in ("crashed", "canceled"):
        n8n.end(n8n.start(names[2], AT - timedelta(days=3)), AT - timedelta(days=3, seconds=-9), status)
    n8n.end(n8n.start(names[0], AT - timedelta(days=2), mode="manual"), AT - timedelta(days=2, seconds=-9))
    n8n.wait(n8n.start(names[0], AT - timedelta(days=1)), AT - timedelta(days=1, seconds=-9))
    n8n.start(names[0], AT - timedelta(hours=1))
    return n8n


WORKFLOWS = {"Invoice intake": "finance", "Customer sync": "crm", "Slow export": "ops"}


def world(_folder: Path) -> World:
    n8n = instance()

    def unknown_word() -> str:
        n8n.executions[1003]["status"] = "pondering"
        return "1003"

    def missing_time() -> str:
        n8n.executions[1003]["startedAt"] = None
        return "1003"

    def delete() -> str:
        n8n.prune(1026)  # the one that waits
        return "1026"

    def work(at: datetime) -> str:
        execution = n8n.start("wf0001", at)
        n8n.end(execution, at)
        return str(execution)

    def absurd() -> Callable[[], None]:
        n8n.last_id, kept = 2**53 - 1, n8n.last_id
        n8n.end(n8n.start("wf0001", AT), AT)
        n8n.last_id = kept
        return lambda: n8n.prune(2**53)

    def start_over() -> set[str]:
        n8n.executions.clear()
        n8n.last_id = 1008
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    return World(
        app=n8n.app(),
        options=Options(page_size=4, overlap=5),
        auth=Auth("X-N8N-API-KEY", n8n.key),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=("1005", lambda request: request.path.endswith("/executions/1005")),
        place=lambda request: "cursor" in request.query,
        zone="n8n writes UTC, wherever it stands",
        quiet_requests=12,  # a short list is read whole
    )
