"""Prefect for the contract suite: a long history with retries, crashes and cancellations, and runs that go on."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from exporter.collect.http import Auth
from exporter.connectors.prefect import Options
from exporter.demo.fakes.prefect import Prefect
from tests.connectors.world import AT, World


def server() -> Prefect:
    """Some thirty flow runs of three deployments in the month before AT."""
    prefect, began = Prefect(password="admin:pw"), AT - timedelta(days=30)
    flows = {"invoice-sync": "finance", "onboard-user": "it", "nightly-report": "bi"}
    keys = [prefect.add_deployment(flow, "prod", began, tags=(f"team:{team}",)) for flow, team in flows.items()]
    for day in range(20):
        kind = {4: "FAILED", 9: "CRASHED", 14: "CANCELLED"}.get(day, "COMPLETED")
        prefect.execute(keys[day % 3], began + timedelta(days=day), 9, kind, tries=2 if day % 6 == 5 else 1)
    again = prefect.execute(keys[0], AT - timedelta(minutes=50), 9, tries=3)
    prefect.state(again, "SCHEDULED", AT - timedelta(minutes=40), name="AwaitingRetry")
    prefect.execute(keys[1], AT - timedelta(minutes=30), 9, tries=2)
    cancelled = prefect.schedule(keys[1], AT - timedelta(minutes=20))
    prefect.state(cancelled, "CANCELLED", AT - timedelta(minutes=10))
    for kind in ("RUNNING", "PAUSED"):
        prefect.state(prefect.schedule(keys[2], AT - timedelta(minutes=9)), kind, AT - timedelta(minutes=8))
    late = prefect.schedule(keys[2], AT - timedelta(minutes=7), automatic=True)
    prefect.state(late, "SCHEDULED", AT - timedelta(minutes=6), name="Late")
    for day in range(1, 9):
        prefect.schedule(keys[2], AT + timedelta(days=day), automatic=True)
    prefect.state(
        prefect.schedule(keys[0], AT - timedelta(hours=2), parent=str(UUID(int=3))), "RUNNING", AT - timedelta(hours=2)
    )
    return prefect


def world(_folder: Path) -> World:
    prefect = server()
    ended = next(key for key, row in prefect.runs.items() if row["state_type"] == "COMPLETED")
    open_run = next(key for key, row in prefect.runs.items() if row["state_type"] == "PAUSED")

    def unknown_word() -> str:
        prefect.runs[ended]["state_type"] = prefect.runs[ended]["state"]["type"] = "PONDERING"
        return ended

    def missing_time() -> str:
        prefect.runs[ended]["start_time"] = None
        return ended

    def delete() -> str:
        prefect.delete(open_run)
        return open_run

    deployment = next(iter(prefect.deployments))
    retried = next(key for key, row in prefect.runs.items() if row["run_count"] > 1)

    def work(at: datetime) -> str:
        return prefect.execute(deployment, at, 5)

    def absurd() -> Callable[[], None]:
        run = prefect.execute(deployment, AT + timedelta(days=1), 5)
        return lambda: prefect.delete(run)

    def start_over() -> set[str]:
        prefect.runs.clear()
        prefect.states.clear()
        return {work(AT - timedelta(days=day)) for day in range(2, 9)}

    return World(
        app=prefect.app(),
        options=Options(page_size=4),
        auth=Auth.basic("admin", "pw"),
        path=prefect.path,
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        place="Prefect's lists are asked for by time and by number",
        zone="Prefect writes UTC, wherever it stands",
        about_one=(retried, lambda request: request.query.get("flow_run_id") == retried),
    )
