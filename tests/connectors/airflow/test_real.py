"""The connector against a real Airflow with real runs: what it stores is what was done. Airflow 2 only on demand."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import unused_port

from exporter.collect.auth import Grant, Login
from exporter.collect.contract import needs
from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors import airflow
from exporter.connectors.airflow import Options, poll
from exporter.connectors.airflow.mapping import key_of
from exporter.records import Record, Run, Workflow
from tests import deadline
from tests.connectors.process import finished, installed, running, until
from tests.figures import totals

HERE = Path(__file__).parent
DATES = {"3.3.2": "2026-11-20T00:00:00Z", "2.11.0": "2025-05-28T00:00:00Z"}
"""Up to when packages were published: what a release needs was tried with those."""
PACKAGES = {"3.3.2": "apache-airflow-core==3.3.2", "2.11.0": "apache-airflow==2.11.0"}
ON_DEMAND = pytest.mark.skipif(
    os.environ.get("OUTCOME_TEST_REAL_AIRFLOW2") != "1",
    reason="Airflow 2 is slow, as one task runs at a time; OUTCOME_TEST_REAL_AIRFLOW2=1",
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(deadline.seconds(400))]


@dataclass
class Server:
    """A real Airflow, asked over its API by us as by a person at its pages."""

    url: str
    three: bool
    http: aiohttp.ClientSession
    token: Auth = field(default_factory=Auth)

    @property
    def api(self) -> str:
        return f"{self.url}/api/{'v2' if self.three else 'v1'}"

    @property
    def auth(self) -> Auth | Grant:
        """As a config has it."""
        if not self.three:
            return Auth.basic("admin", "pw")
        return Login(url=f"{self.url}/auth/token", scheme=airflow.AUTH, username="admin", password="pw")

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer; asked again while the server's SQLite is locked."""
        answer: list[Any] = []

        async def answered() -> bool:
            async with self.http.request(method, self.api + path, json=body, headers=self.token.headers) as response:
                if response.status >= 500:
                    return False
                response.raise_for_status()
                answer.append(json.loads(await response.text() or "null"))
                return True

        await until(answered, 30, f"{method} {path}")
        return answer[0]

    async def ready(self) -> bool:
        try:
            async with self.http.get(f"{self.api}/version") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def log_in(self) -> None:
        self.token = Auth.basic("admin", "pw")
        if self.three:
            async with self.http.post(f"{self.url}/auth/token", json={"username": "admin", "password": "pw"}) as answer:
                self.token = Auth.bearer((await answer.json())["access_token"])

    async def has_dags(self, count: int) -> bool:
        return bool((await self.ask("GET", "/dags"))["total_entries"] == count)

    async def start(self, dag: str, run: str) -> None:
        body = {"dag_run_id": run, **({"logical_date": None} if self.three else {})}
        await self.ask("POST", f"/dags/{dag}/dagRuns", body)

    async def is_in(self, state: str, *runs: str) -> bool:
        rows = (await self.ask("GET", "/dags/~/dagRuns?limit=100"))["dag_runs"]
        return {*runs} <= {key_of(row) for row in rows if row["state"] == state}

    async def works(self, run: str) -> bool:
        tasks = (await self.ask("GET", f"{of(run)}/taskInstances"))["task_instances"]
        return any(task["state"] == "running" for task in tasks)


def of(run: str) -> str:
    """The path of a run, by its id in the connector."""
    return "/dags/{}/dagRuns/{}".format(*run.split(":"))


@asynccontextmanager
async def served(folder: Path, release: str) -> AsyncIterator[Server]:
    programs, port, three = (
        await installed(f"airflow-{release}", "--exclude-newer", DATES[release], PACKAGES[release]),
        unused_port(),
        release.startswith("3"),
    )
    (folder / "passwords.json").write_text('{"admin": "pw"}')
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor" if three else "SequentialExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    }
    environment |= {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "made up, and long enough for what is signed with it",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",  # or tasks fail on a busy machine
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
    } if three else {
        "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
        "AIRFLOW__WEBSERVER__WORKERS": "1",
    }  # fmt: skip
    (folder / "dags").mkdir()
    (folder / "dags" / "dags.py").write_text((HERE / "dags.py").read_text())
    command = programs / "airflow"
    await finished([command, "db", "migrate"], folder, environment)
    parts = ["api-server", "dag-processor"] if three else ["webserver"]
    if not three:
        person = ["-u", "admin", "-p", "pw", "-r", "Admin", "-e", "a@example.test", "-f", "A", "-l", "B"]
        await finished([command, "users", "create", *person], folder, environment)
    async with aiohttp.ClientSession() as http, AsyncExitStack() as stack:
        for part in (*parts, "scheduler"):
            more = ["--skip-serve-logs"] if part == "scheduler" else []  # they would be served to everybody
            await stack.enter_async_context(running([command, part, *more], folder / f"{part}.log", environment))
        server = Server(f"http://127.0.0.1:{port}", three, http)
        await until(server.ready, 120, "Airflow answers")
        await server.log_in()
        await until(lambda: server.has_dags(6), 120, "the DAGs are known")
        yield server


@dataclass
class Store:
    """What a poller would have stored."""

    server: Server
    records: dict[tuple[type[Record], str], Record] = field(default_factory=dict)
    cursor: Any = field(default_factory=dict)

    async def poll(self) -> None:
        at = datetime.now(UTC)
        settings = HttpSettings(url=self.server.url, auth=self.server.auth)
        options = Options(page_size=3, business_tasks=("check",))
        async with Client(settings, at=at, since=at - timedelta(days=1), dialect=needs(airflow).dialect) as client:
            async for page in poll(client, options, self.cursor):
                self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                for key in page.gone:
                    self.records.pop(key, None)
                self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            assert client.skipped == {}
            assert client.lacking == {}

    def attempts(self, run: str) -> list[tuple[str | None, str | None, bool | None]]:
        tries = [record for record in self.records.values() if isinstance(record, Run) and record.root_id == run]
        tries.sort(key=lambda each: each.attempt or 0)
        return [(each.status, each.exception, each.human_override) for each in tries]


@pytest.mark.parametrize("release", ["3.3.2", pytest.param("2.11.0", marks=ON_DEMAND)])
async def test_what_is_stored_is_what_was_done(release: str, tmp_path: Path) -> None:
    names = ("good", "flaky", "bad", "rejected", "helped", "slow")
    run = {name: f"{name}:one+1" for name in names}
    marked, deleted = "bad:marked", "bad:deleted"
    async with served(tmp_path, release) as server:
        store = Store(server)
        for each in (*(run[name] for name in names if name != "slow"), marked, deleted):
            await server.start(*each.split(":"))
        failed = [run["bad"], run["rejected"], run["helped"], marked, deleted]
        await until(lambda: server.is_in("failed", *failed), 120, "what fails has failed")
        await until(lambda: server.is_in("success", run["good"], run["flaky"]), 60, "what goes well is done")
        await store.poll()
        before = {each: store.attempts(each) for each in (run["helped"], marked, deleted)}
        await server.ask("POST", f"{of(run['helped'])}/clear", {"dry_run": True})
        await server.ask("POST", f"{of(run['helped'])}/clear", {"dry_run": False})
        await server.ask("PATCH", of(marked), {"state": "success"})
        await server.ask("DELETE", of(deleted))
        await until(lambda: server.is_in("success", run["helped"]), 60, "the second attempt is done")
        await server.start(*run["slow"].split(":"))
        await until(lambda: server.works(run["slow"]), 60, "the long run goes on")
        await store.poll()
        while_running = store.attempts(run["slow"])
        await server.ask("PATCH", of(run["slow"]), {"state": "failed"})
        await store.poll()
        stored = dict(store.records)
        await store.poll()

    good, error = ("succeeded", "none", False), ("failed", "application", False)
    assert before == {run["helped"]: [error], marked: [error], deleted: [error]}
    assert while_running == [("running", None, False)]
    assert {name: store.attempts(key) for name, key in run.items()} == {
        "good": [good],
        "flaky": [good],  # retries of tasks are not told of
        "bad": [error],
        "rejected": [("failed", "business", False)],
        "helped": [error, ("succeeded", "none", True)],
        "slow": [("failed", "application", True)],
    }
    assert store.attempts(marked) == [("succeeded", "none", True)]
    assert store.attempts(deleted) == []
    assert store.records == stored
    runs = [record for record in stored.values() if isinstance(record, Run)]
    assert all(each.started_at and each.finished_at and each.started_at < each.finished_at for each in runs)
    found = totals(tmp_path, [*stored.values()], datetime.now(UTC))
    assert found["completion_ratio"] == (4, 7)  # good, flaky, helped, marked; not bad, rejected, slow
    assert found["first_attempt_success_ratio"] == (3, 7)
    assert found["exception_ratio"] == (4, 7)
    assert found["business_exception_ratio"] == (1, 7)
    assert found["override_ratio"] == (3, 7)
    workflows = {record.name: record.enabled for record in stored.values() if isinstance(record, Workflow)}
    assert workflows == dict.fromkeys(names, True)
