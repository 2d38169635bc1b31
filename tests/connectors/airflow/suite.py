"""Airflow 3 for the contract suite: a month of runs, among them cleared, marked, deleted and open ones."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.airflow import Options
from tests.connectors.world import AT, World
from tests.fakes.airflow import Airflow

MINUTE = timedelta(minutes=1)


def server(release: str = "3.3.2") -> tuple[Airflow, str, str]:
    """Some twenty runs of three DAGs in the weeks before AT; one that was cleared, and one that goes on."""
    airflow = Airflow(release=release, at=AT)
    for dag_id, team in (("invoice_sync", "finance"), ("onboard_user", "it"), ("report", "bi")):
        airflow.add_dag(dag_id, owners=[team], tags=[f"team:{team}"])
    dags = [*airflow.dags]
    for day in range(14, 0, -1):
        airflow.execute(dags[day % 3], AT - timedelta(days=day), "failed" if day % 7 == 3 else "success")
    cleared = airflow.execute("report", AT - timedelta(days=1, hours=1), "failed")
    airflow.clear(cleared, AT - timedelta(days=1))
    airflow.start(cleared, AT - timedelta(days=1) + MINUTE)
    airflow.end(cleared, AT - timedelta(days=1) + 2 * MINUTE)
    marked = airflow.execute("onboard_user", AT - timedelta(hours=9), "failed")
    airflow.mark(marked, AT - timedelta(hours=8), "success")
    deleted = airflow.execute("onboard_user", AT - timedelta(hours=7), "failed")
    airflow.delete(deleted, AT - timedelta(hours=6))
    running = airflow.trigger("report", AT - 9 * MINUTE)
    airflow.start(running, AT - 8 * MINUTE)
    airflow.trigger("report", AT - 7 * MINUTE)
    return airflow, cleared, running


def auth(airflow: Airflow) -> Auth:
    return Auth.bearer(airflow.token()) if airflow.three else Auth.basic(airflow.user, airflow.password)


def world(_folder: Path) -> World:
    airflow, cleared, running = server()
    ended = next(key for key, row in airflow.runs.items() if row["state"] == "failed")

    def unknown_word() -> str:
        airflow.runs[ended]["state"] = "pondering"
        return ended

    def missing_time() -> str:
        airflow.runs[ended]["start_date"] = None
        return ended

    def delete() -> str:
        airflow.delete(running, AT)
        return running

    def work(at: datetime) -> str:
        return airflow.execute("report", at)

    def absurd() -> Callable[[], None]:
        far = airflow.execute("report", AT + timedelta(days=365))
        return lambda: airflow.runs.__delitem__(far)

    def start_over() -> set[str]:
        ids = [row["dag_run_id"] for row in airflow.runs.values() if row["dag_id"] == "report"][-7:]
        airflow.runs.clear()
        airflow.log.clear()
        return {
            airflow.execute("report", AT + timedelta(minutes=minute), run_id=run_id)
            for minute, run_id in enumerate(ids)
        }

    return World(
        app=airflow.app("/flow"),
        options=Options(page_size=4),
        auth=auth(airflow),
        path="/flow",
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=(cleared, lambda request: request.query.get("run_id") == cleared.partition(":")[2]),
        place="Airflow's lists are asked for by time and by number",
        zone="Airflow writes UTC, wherever it stands",
    )
