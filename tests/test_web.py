"""The web configuration file: mistakes, TLS, users, changes on disk, and a real Prometheus behind both."""

import asyncio
import base64
import json
import logging
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import pytest
from aiohttp import ClientError, ClientSession
from prometheus_client import CollectorRegistry

from exporter.base import strict_yaml
from exporter.evaluation.stats import Distribution, Family, Snapshot
from exporter.publish.exposition import Publisher
from exporter.server import Server, Surface
from exporter.server.gate import Busy, Gate, load
from exporter.server.overview import overview

AT = datetime(2026, 3, 31, tzinfo=UTC)
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def certificate(folder: Path, name: str, *, common_name: str = "localhost") -> None:
    """A self-signed certificate for this machine, good for a server and a client."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt", "-days", "2"),
            *("-subj", f"/CN={common_name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificate(tmp_path, "server")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "web.yaml"
    path.write_text(text)
    return path


@pytest.fixture
async def served() -> AsyncIterator[Callable[[Gate], "asyncio.Future[str]"]]:
    servers: list[Server] = []

    async def start(gate: Gate) -> str:
        publisher = Publisher(CollectorRegistry(), seconds=lambda: 0.0, refused=lambda: None)
        bucketed = Distribution(((60, 1), (float("inf"), 2)), 2, 99.5)
        await publisher.swap(
            Snapshot(
                AT,
                (
                    Family("outcome_no_show_ratio", "No-shows.", "gauge", ("team",), ((("it",), 0.25),)),
                    Family("outcome_wait_seconds_distribution", "Wait.", "gaugehistogram", (), (((), bucketed),)),
                ),
            )
        )

        async def reload() -> str | None:
            return None

        surface = Surface(
            publisher=publisher,
            version="1",
            now=lambda: AT,
            ready=lambda: True,
            state=str,
            overview=lambda: overview(None, []),
            cards=lambda _query: {},
            kpis=list,
            reload=reload,
            open_health=True,
        )
        servers.append(Server(surface, gate))
        return (await servers[-1].start(["127.0.0.1:0"]))[0].rstrip("/")

    yield lambda gate: asyncio.ensure_future(start(gate))
    for server in servers:
        await server.stop()


def trusting(folder: Path, name: str = "server", *, client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / f"{name}.crt")
    if client is not None:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context


async def status(url: str, context: ssl.SSLContext | bool = True, authorization: str = "") -> int:
    headers = {"Authorization": authorization} if authorization else {}
    async with ClientSession() as session, session.get(url, ssl=context, headers=headers) as response:
        return response.status


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("tls_server_confg: {}", "web.yaml:1: tls_server_confg: not supported here; did you mean 'tls_server_config'?"),
        ("http_server_config: {http2: true}", "web.yaml:1: http_server_config: not supported here; known: "),
        (
            TLS.replace("}", ",\n cipher_suites: []}"),
            "web.yaml:2: tls_server_config.cipher_suites: not supported here; known: ",
        ),
        ("tls_server_config: {cert_file: server.crt}", "web.yaml:1: tls_server_config.key_file: Field required"),
        (TLS.replace("server.key", "no.key"), "tls_server_config.key_file: cannot be used: No such file or directory"),
        (TLS.replace("server.key", "other.key"), "tls_server_config.cert_file: cannot be used: "),
        (TLS.replace("server.crt", "web.yaml"), "tls_server_config.cert_file: cannot be used: "),
        (TLS.replace("server.key", "locked.key"), "tls_server_config.cert_file: cannot be used: "),
        (
            TLS.replace("}", ", min_version: TLS10}"),
            "tls_server_config.min_version: Input should be 'TLS12' or 'TLS13'",
        ),
        (
            TLS.replace("}", ", client_auth_type: RequestClientCert}"),
            "tls_server_config.client_auth_type: Input should",
        ),
        (TLS.replace("}", ", client_auth_type: RequireAndVerifyClientCert}"), "tls_server_config: client_auth_type: "),
        (TLS.replace("}", ", client_ca_file: server.crt}"), "tls_server_config: client_auth_type: "),
        ("basic_auth_users: {me: plain}", "web.yaml:1: basic_auth_users: the password of 'me' is not a bcrypt hash"),
        (f"basic_auth_users: {{me: $2b$17${'a' * 53}}}", "is not a bcrypt hash of cost 4 to 16"),
        (
            f'basic_auth_users: {{"a:b": $2b$10${"a" * 53}}}',
            "a user name must not be empty and must not contain a colon",
        ),
        ("[]", "web.yaml:1: "),
        ("tls_server_config: {", "web.yaml:"),
    ],
)
def test_every_mistake_is_told_with_its_place(folder: Path, text: str, mistake: str) -> None:
    certificate(folder, "other")
    subprocess.run(
        [
            "openssl",
            "ec",
            "-in",
            f"{folder}/server.key",
            "-aes128",
            "-passout",
            "pass:x",
            "-out",
            f"{folder}/locked.key",
        ],
        check=True,
        capture_output=True,
    )
    with pytest.raises(strict_yaml.Mistakes) as mistakes:
        load(written(folder, text))

    assert mistake in str(mistakes.value)
    assert "plain" not in str(mistakes.value)


def test_promtool_agrees_that_a_good_file_is_good(folder: Path) -> None:
    text = TLS.replace(
        "}", ", min_version: TLS13, client_auth_type: RequireAndVerifyClientCert, client_ca_file: server.crt}"
    )
    path = written(folder, f"{text}basic_auth_users: {{me: {hashed('pw')}}}\n")
    checked = subprocess.run(["promtool", "check", "web-config", path], capture_output=True, check=False)

    assert checked.returncode == 0
    assert load(path).context is not None
    assert list(load(path).users) == ["me"]


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n", "basic_auth_users: {}\n"])
async def test_an_empty_file_lets_everybody_in(tmp_path: Path, text: str) -> None:
    gate = Gate(written(tmp_path, text))

    assert gate.context is None
    assert await gate.allows("")
    gate.close()


async def test_without_a_file_everybody_may_come_in() -> None:
    gate = Gate(None)

    assert await gate.allows("")
    assert gate.context is None
    gate.close()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("me", "right: and : colons"), True),
        (basic("me", "right: and : colons").replace("Basic", "bAsIc"), True),
        (basic("me", "wrong"), False),
        (basic("me", ""), False),
        (basic("ME", "right: and : colons"), False),
        (basic("nobody", "right: and : colons"), False),
        (basic("", ""), False),
        ("", False),
        ("Basic", False),
        ("Basic !!!", False),
        ("Basic " + base64.b64encode(b"no colon").decode(), False),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), False),
        ("Basic " + base64.b64encode(b"me:a\0b").decode(), False),
        ("Basic " + base64.b64encode(b"me:" + b"x" * 5000).decode(), False),
        ("Bearer right: and : colons", False),
    ],
)
async def test_only_the_right_user_with_the_right_password_passes(tmp_path: Path, header: str, expected: bool) -> None:
    gate = Gate(written(tmp_path, f"basic_auth_users: {{me: {hashed('right: and : colons')}}}"))
    first, again = await gate.allows(header), await gate.allows(header)
    gate.close()

    assert (expected, expected) == (first, again)


async def test_a_password_is_checked_once_however_many_scrape_with_it(tmp_path: Path) -> None:
    slow = bcrypt.hashpw(b"pw", bcrypt.gensalt(11)).decode()
    gate = Gate(written(tmp_path, f"basic_auth_users: {{me: {slow}}}"))
    began = time.monotonic()
    bcrypt.checkpw(b"pw", slow.encode())
    one = time.monotonic() - began
    async with asyncio.timeout(30 * one):
        verdicts = await asyncio.gather(*(gate.allows(basic("me", "pw")) for _ in range(60)))
    gate.close()

    assert verdicts == [True] * 60


async def test_a_flood_of_guesses_is_turned_away_and_known_scrapers_still_pass(tmp_path: Path) -> None:
    gate = Gate(written(tmp_path, f"basic_auth_users: {{me: {hashed('pw')}}}"))
    await gate.allows(basic("me", "pw"))
    guesses = [asyncio.ensure_future(gate.allows(basic("me", str(number)))) for number in range(600)]
    await asyncio.sleep(0)
    known = await gate.allows(basic("me", "pw"))
    verdicts = await asyncio.gather(*guesses, return_exceptions=True)
    gate.close()

    assert known
    assert verdicts.count(False) == 513  # one is checked while 512 wait
    assert sum(isinstance(verdict, Busy) for verdict in verdicts) == 87


@pytest.mark.slow
@pytest.mark.parametrize("who", ["192.0.2.2", "192.0.2.1"], ids=["another address", "the address of the flood"])
async def test_a_right_password_not_seen_before_passes_during_a_flood_of_wrong_ones(tmp_path: Path, who: str) -> None:
    slow = bcrypt.hashpw(b"pw", bcrypt.gensalt(6)).decode()
    gate = Gate(written(tmp_path, f"basic_auth_users: {{me: {slow}}}"))
    wrong: list[asyncio.Task[bool]] = []

    async def guessing(guesser: int) -> bool:
        for number in range(3):
            await gate.allows(basic("me", f"{guesser} {number}"), "192.0.2.1")
        return False

    wrong += [asyncio.create_task(guessing(number)) for number in range(400)]
    await asyncio.sleep(0)
    right = await gate.allows(basic("me", "pw"), who)
    still_guessing = sum(not task.done() for task in wrong)
    await asyncio.gather(*wrong)
    gate.close()

    assert right
    assert still_guessing == 400


async def test_an_unknown_user_costs_as_much_as_a_known_one(tmp_path: Path) -> None:
    slow = bcrypt.hashpw(b"pw", bcrypt.gensalt(10)).decode()
    gate = Gate(written(tmp_path, f"basic_auth_users: {{me: {slow}, you: {hashed('pw')}}}"))
    loop = asyncio.get_running_loop()
    taken = {}
    for user in ("me", "nobody"):
        began = loop.time()
        assert not await gate.allows(basic(user, "wrong"))
        taken[user] = loop.time() - began
    gate.close()

    assert taken["nobody"] > taken["me"] / 4


async def test_users_are_read_again_and_a_broken_file_keeps_the_old_ones_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, f"basic_auth_users: {{me: {hashed('old')}}}")
    gate = Gate(path)
    assert await gate.allows(basic("me", "old"))

    written(tmp_path, f"basic_auth_users: {{me: {hashed('new')}}}  # changed")
    assert not await gate.allows(basic("me", "old"))
    assert await gate.allows(basic("me", "new"))

    written(tmp_path, "basic_auth_users: {me: plain}")
    assert await gate.allows(basic("me", "new"))
    assert await gate.allows(basic("me", "new"))
    path.unlink()
    assert await gate.allows(basic("me", "new"))
    gate.close()

    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 2
    assert "not a bcrypt hash" in errors[0]
    assert "there is no such file" in errors[1]


async def test_auth_covers_every_path_but_health_where_that_is_open(
    tmp_path: Path, served: Callable[[Gate], "asyncio.Future[str]"]
) -> None:
    base = await served(Gate(written(tmp_path, f"basic_auth_users: {{me: {hashed('pw')}}}")))
    paths = ("/", "/metrics", "/api/v1/kpis", "/nothing", "/-/reload", "/-/healthy/", "/-/ready", "/-/healthy")
    strangers = [await status(base + path) for path in paths]

    assert strangers == [401, 401, 401, 401, 401, 401, 200, 200]
    assert await status(base + "/metrics", authorization=basic("me", "pw")) == 200


async def test_a_renewed_certificate_serves_the_next_connection(
    folder: Path, served: Callable[[Gate], "asyncio.Future[str]"]
) -> None:
    base = await served(Gate(written(folder, TLS)))
    assert await status(f"{base}/metrics", trusting(folder)) == 200
    before = trusting(folder)
    certificate(folder, "server")

    assert await status(f"{base}/metrics", trusting(folder)) == 200
    with pytest.raises(ClientError):
        await status(f"{base}/metrics", before)


async def test_settings_of_tls_change_without_a_restart_and_tls_itself_does_not(
    folder: Path, served: Callable[[Gate], "asyncio.Future[str]"], caplog: pytest.LogCaptureFixture
) -> None:
    certificate(folder, "client", common_name="prometheus")
    base = await served(Gate(written(folder, TLS)))
    assert await status(f"{base}/metrics", trusting(folder)) == 200

    both = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: client.crt, min_version: TLS13"
    written(folder, TLS.replace("}", f", {both}}}"))
    assert await status(f"{base}/metrics", trusting(folder, client="client")) == 200
    with pytest.raises(ClientError):
        await status(f"{base}/metrics", trusting(folder))
    old = trusting(folder, client="client")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ClientError):
        await status(f"{base}/metrics", old)

    written(folder, "basic_auth_users: {}")
    assert await status(f"{base}/metrics", trusting(folder, client="client")) == 200
    assert "turning TLS on or off needs a restart" in caplog.text


@pytest.mark.real
async def test_a_real_prometheus_scrapes_over_tls_with_a_password(
    folder: Path, served: Callable[[Gate], "asyncio.Future[str]"]
) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    base = await served(Gate(written(folder, f"{TLS}basic_auth_users: {{prometheus: {hashed('pw')}}}\n")))
    free = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    (folder / "prometheus.yml").write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                "scrape_configs": [
                    {
                        "job_name": "outcome",
                        "scheme": "https",
                        "tls_config": {"ca_file": "server.crt"},
                        "basic_auth": {"username": "prometheus", "password": "pw"},
                        "static_configs": [{"targets": [base.removeprefix("https://")]}],
                    }
                ],
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        up = await queried(port, "up == 1")
        ratio = await queried(port, "outcome_no_show_ratio")
        bucket = await queried(port, 'outcome_wait_seconds_distribution_bucket{le="60.0"}')
        kind = await queried(port, "metadata")
    finally:
        process.terminate()
        await process.wait()

    assert list(up.values()) == [1.0]
    assert list(ratio.values()) == [0.25]
    assert list(bucket.values()) == [1.0]
    assert {"gauge", "gaugehistogram"} == set(kind)


async def queried(port: int, query: str) -> dict[str, float]:
    """The series of a query, asked until there are some; the types of all metrics for "metadata"."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 30
    url = f"http://127.0.0.1:{port}/api/v1/" + ("metadata" if query == "metadata" else "query")
    async with ClientSession() as session:
        while loop.time() < deadline:
            try:
                async with session.get(url, params={"query": query}) as response:
                    data = (await response.json())["data"]
            except (ClientError, ValueError):
                data = {}
            if query == "metadata" and data:
                return {entries[0]["type"]: 1.0 for entries in data.values()}
            if data.get("result"):
                return {json.dumps(each["metric"]): float(each["value"][1]) for each in data["result"]}
            await asyncio.sleep(0.2)
    raise AssertionError(f"nothing for {query} within 30 seconds")
