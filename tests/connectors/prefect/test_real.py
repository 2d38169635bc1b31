"""The connector against a real Prefect server with real runs: what it stores is what was done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import unused_port

from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors.prefect import Options, poll
from exporter.records import Record, Run, Workflow
from tests import deadline
from tests.connectors.process import installed, running, until
from tests.figures import totals

HERE = Path(__file__).parent
PASSWORD = "admin:pw"

pytestmark = [pytest.mark.real, pytest.mark.timeout(deadline.seconds(300))]


@dataclass
class Server:
    """A real server, asked over its API by us as by a person at its web page."""

    url: str
    http: aiohttp.ClientSession

    async def post(self, path: str, body: Any) -> Any:
        """The answer; asked again while the server's SQLite is locked."""
        answer: list[Any] = []

        async def answered() -> bool:
            async with self.http.post(self.url + path, json=body) as response:
                if response.status == 503:
                    return False
                response.raise_for_status()
                answer.append(await response.json())
                return True

        await until(answered, 30, f"POST {path}")
        return answer[0]

    async def start(self, flow: str, *, at: datetime | None = None, file: Path | None = None) -> str:
        """Asks for a run; its id."""
        deployment = await self.deployment(flow)
        body: dict[str, Any] = {"parameters": {"file": str(file)} if file else {}}
        if at:
            body["state"] = {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}
        run: str = (await self.post(f"/deployments/{deployment}/create_flow_run", body))["id"]
        return run

    async def deployment(self, flow: str) -> str | None:
        found = await self.post("/deployments/filter", {"flows": {"name": {"any_": [flow]}}})
        return found[0]["id"] if found else None

    async def set_state(self, run: str, kind: str, name: str | None = None) -> None:
        state = {"type": kind, **({"name": name} if name else {})}
        await self.post(f"/flow_runs/{run}/set_state", {"state": state, "force": name is not None})

    async def is_in(self, *kinds: str, runs: list[str], count: int = 1) -> bool:
        rows = await self.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": runs}}})
        return all(row["state_type"] in kinds and row["run_count"] >= count for row in rows)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Server]:
    programs, port = await installed("prefect-3.8.8", "--requirement", HERE / "requirements.txt"), unused_port()
    environment = {
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_API_AUTH_STRING": PASSWORD,
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    start: list[str | Path] = [programs / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    ours = Auth.basic(*PASSWORD.split(":"))
    async with (
        aiohttp.ClientSession(headers={ours.header: ours.value}) as http,
        running(start, folder / "server.log", environment),
    ):
        server = Server(f"http://127.0.0.1:{port}/api", http)

        async def ready() -> bool:
            try:
                async with http.get(server.url + "/health") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await until(ready, 120, "Prefect answers")
        serve: list[str | Path] = [programs / "python", HERE / "flows.py", "4"]
        async with running(serve, folder / "flows.log", environment):

            async def deployed() -> bool:
                return await server.deployment("parent") is not None

            await until(deployed, 60, "the flows are deployed")
            yield server


@dataclass
class Store:
    """What a poller would have stored."""

    url: str
    records: dict[tuple[type[Record], str], Record]
    cursor: Any

    async def poll(self) -> None:
        at = datetime.now(UTC)
        settings = HttpSettings(url=self.url, auth=Auth.basic(*PASSWORD.split(":")))
        async with Client(settings, at=at, since=at - timedelta(days=1)) as client:
            async for page in poll(client, Options(page_size=3), self.cursor):
                self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            assert client.skipped == {}

    def attempts(self, run: str) -> list[tuple[str | None, str | None]]:
        tries = [record for record in self.records.values() if isinstance(record, Run) and record.root_id == run]
        return [(each.status, each.exception) for each in sorted(tries, key=lambda each: each.attempt or 0)]


async def test_what_is_stored_is_what_was_done(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        store = Store(server.url, {}, {})
        planned = await server.start("good", at=datetime.now(UTC) + timedelta(days=1))
        never = await server.start("good", at=datetime.now(UTC) + timedelta(days=1))
        await server.set_state(never, "CANCELLED")
        names = ("helped", "long", "good", "bad", "rejected", "crashing", "flaky", "parent")
        files = {name: tmp_path / name for name in ("helped", "flaky")}
        run = {name: await server.start(name, file=files.get(name)) for name in names}

        await until(lambda: server.is_in("RUNNING", runs=[run["long"]]), 90, "the long run runs")
        await store.poll()
        while_running = store.attempts(run["long"])
        await until(lambda: server.is_in("FAILED", runs=[run["helped"]]), 90, "the run that needs help has failed")
        await store.poll()
        before_help = store.attempts(run["helped"])
        await server.set_state(run["helped"], "SCHEDULED", "AwaitingRetry")
        await server.set_state(run["long"], "CANCELLING")
        ended = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        await until(lambda: server.is_in(*ended, runs=[*run.values()]), 120, "all runs have ended")
        await until(lambda: server.is_in(*ended, runs=[run["helped"]], count=2), 60, "the second try has ended")
        await store.poll()
        stored = dict(store.records)
        await store.poll()

    good, failed = ("succeeded", "none"), ("failed", "application")
    assert while_running == [("running", None)]
    assert before_help == [failed]
    assert {name: store.attempts(key) for name, key in run.items()} == {
        "good": [good],
        "bad": [failed],
        "rejected": [("failed", "business")],
        "crashing": [failed],
        "flaky": [failed, good],
        "helped": [failed, good],
        "long": [("cancelled", "none")],
        "parent": [good],
    }
    assert store.attempts(never) == [("cancelled", "none")]
    assert store.attempts(planned) == []
    assert store.records == stored
    runs = [record for record in stored.values() if isinstance(record, Run)]
    assert len(runs) == len(run) + 2 + 1  # two second tries, one never begun; no sub-flow
    assert all(each.finished_at for each in runs)
    assert [each.id for each in runs if each.started_at is None] == [never]
    found = totals(tmp_path, [*stored.values()], datetime.now(UTC))
    assert found["completion_ratio"] == (4, 7)  # good, flaky, helped, parent; not bad, rejected, crashing
    assert found["first_attempt_success_ratio"] == (2, 7)
    assert found["exception_ratio"] == (5, 7)
    assert found["business_exception_ratio"] == (1, 7)
    workflows = {record.name: record.enabled for record in stored.values() if isinstance(record, Workflow)}
    assert workflows == dict.fromkeys((f"{name}/test" for name in names), True)
