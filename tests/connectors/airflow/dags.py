"""DAGs for test_real.py, run by a real Airflow in a venv of its own."""

# mypy: disable-error-code="import-not-found, untyped-decorator, no-any-return"
# Airflow is installed in a venv of its own, where mypy does not look.

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # before Airflow 3
    from airflow.decorators import dag, task

HOME = Path(os.environ["AIRFLOW_HOME"])


def first_time(name: str) -> None:
    """Fails unless it did so before."""
    if not (HOME / name).exists():
        (HOME / name).touch()
        raise RuntimeError("not this time")


def only(name: str, work: Any, **more: Any) -> None:
    """A DAG of one task."""

    @dag(dag_id=name, schedule=None, tags=["team:it"], default_args={"owner": "ann"})
    def made() -> None:
        task(work, task_id=name, **more)()

    made()


def good() -> None:
    pass


def bad() -> None:
    raise RuntimeError("the printer is on fire")


def flaky() -> None:
    first_time("flaky")


def helped() -> None:
    first_time("helped")


def slow() -> None:
    time.sleep(600)


@dag(dag_id="rejected", schedule=None)
def rejected() -> None:
    """The second task is upstream_failed."""
    task(bad, task_id="check")() >> task(good, task_id="post")()


for each in (good, bad, helped, slow):
    only(each.__name__, each)
only("flaky", flaky, retries=1, retry_delay=timedelta(seconds=1))
rejected()
