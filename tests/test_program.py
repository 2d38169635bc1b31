"""The whole program: real process, real HTTP, fake platforms that break and heal."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from aiohttp import web

from exporter.demo.fakes.n8n import N8n
from exporter.demo.serving import serving
from tests.program import Program, Samples, command, running, value
from tests.test_web import TLS, certificate

NOW = datetime.now(UTC)


def bookings(folder: Path, count: int = 8, no_shows: int = 2) -> None:
    ended = ["no_show" if i < no_shows else "attended" for i in range(count)]
    starts = [(NOW - timedelta(hours=i + 1)).isoformat() for i in range(count)]
    lines = [{"id": str(i), "starts_at": starts[i], "outcome": ended[i], "team": "emea"} for i in range(count)]
    (folder / "bookings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def config(folder: Path, extra: str = "", interval: str = "5s") -> Path:
    """A config of one files source, plus whatever a test adds under `sources`."""
    path = folder / "outcome.yaml"
    path.write_text(
        "store: {path: store.duckdb}\nevaluation_interval: 5s\nsources:\n"
        f"  - {{name: meetings, type: files, record: booking, path: 'bookings*.jsonl', interval: {interval}}}\n{extra}"
    )
    return path


def n8n_source(folder: Path, name: str, url: str) -> str:
    (folder / f"{name}.key").write_text("n8n-key")
    (folder / f"{name}.key").chmod(0o600)
    limits = "interval: 5s, timeout: 2s, max_staleness: 9s"
    return f"  - {{name: {name}, type: n8n, url: '{url}', api_key_file: {name}.key, {limits}}}\n"


def no_show(samples: Samples) -> float | None:
    return value(samples, "outcome_no_show_ratio", window="7d", team="emea")


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    bookings(tmp_path)
    async with running(config(tmp_path), "--web.enable-lifecycle") as found:
        yield found


async def test_a_file_becomes_a_figure_that_follows_it_and_the_program_ends_cleanly(
    tmp_path: Path, program: Program
) -> None:
    first = await program.until(lambda samples: no_show(samples) is not None)
    bookings(tmp_path, count=9, no_shows=9)
    second = await program.until(lambda samples: no_show(samples) == 1)

    assert (no_show(first), no_show(second)) == (0.25, 1.0)
    assert value(first, "outcome_no_show_denominator", window="7d", team="emea") == 8
    assert value(first, "outcome_kpi_absent", kpi="completion_ratio", reason="no_source") == 1
    assert await program.get("/-/ready") != ""
    assert await program.stopped() == 0
    assert not [line for line in program.log if "level=error" in line or "Traceback" in line]


async def test_two_scrapers_at_once_get_the_same_figures_and_no_platform_is_asked(tmp_path: Path) -> None:
    platform = N8n()
    workflow = platform.add_workflow("Invoice intake", NOW)
    platform.end(platform.start(workflow, NOW - timedelta(hours=2)), NOW - timedelta(hours=1), "success")
    bookings(tmp_path)
    async with serving(platform.app()) as url:
        slow = (
            n8n_source(tmp_path, "automation", url)
            .replace("interval: 5s", "interval: 1h")
            .replace("max_staleness: 9s", "max_staleness: 2h")
        )
        async with running(config(tmp_path, slow, interval="1h")) as program:
            await program.until(lambda samples: value(samples, "outcome_completion_ratio", window="7d") is not None)
            asked = len(platform.faults.requests)
            bodies = await asyncio.gather(*(program.get("/metrics") for _ in range(20)))

    kpis = [
        "\n".join(line for line in body.splitlines() if line.startswith(("outcome_no_show", "outcome_completion")))
        for body in bodies
    ]
    assert kpis[0]
    assert len(set(kpis)) == 1
    assert asked == len(platform.faults.requests)


async def test_a_broken_source_is_withdrawn_alone_and_comes_back(tmp_path: Path) -> None:
    platform = N8n()
    workflow = platform.add_workflow("Invoice intake", NOW)
    platform.end(platform.start(workflow, NOW - timedelta(hours=2)), NOW - timedelta(hours=1), "success")
    bookings(tmp_path)
    async with (
        serving(platform.app()) as url,
        running(config(tmp_path, n8n_source(tmp_path, "automation", url))) as program,
    ):
        well = await program.until(lambda samples: value(samples, "outcome_completion_ratio", window="7d") is not None)
        platform.faults.after = 500
        broken = await program.until(lambda samples: value(samples, "outcome_completion_ratio", window="7d") is None)
        platform.faults.after = None
        healed = await program.until(
            lambda samples: value(samples, "outcome_completion_ratio", window="7d") is not None
        )
        log = [line for line in program.log if "automation" in line]

    assert value(well, "outcome_completion_ratio", window="7d") == 1
    assert value(broken, "outcome_kpi_absent", kpi="completion_ratio", reason="stale_source") == 1
    assert value(broken, "outcome_source_up", source="automation") == 0
    assert value(broken, "outcome_source_up", source="meetings") == 1
    assert no_show(broken) == 0.25
    assert value(healed, "outcome_completion_ratio", window="7d") == 1
    assert ["unavailable" in line for line in log] == [True, False]
    assert "healthy again" in log[1]


async def silent(_request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def test_every_kind_of_trouble_is_named_and_stays_where_it_is(tmp_path: Path) -> None:
    kinds = {"auth": 401, "limited": 429, "failing": 500, "garbage": "garbage", "half": "half", "cut": "cut"}
    platforms = {name: N8n() for name in kinds}
    for name, platform in platforms.items():
        platform.faults.after = kinds[name]  # type: ignore[assignment]  # the words are those of Trouble
        platform.faults.retry_after = "120" if name == "limited" else None
    bookings(tmp_path)
    mute = web.Application()
    mute.router.add_route("*", "/{path:.*}", silent)
    async with serving(mute) as nothing:
        contexts = {name: serving(platform.app()) for name, platform in platforms.items()}
        urls = {name: await context.__aenter__() for name, context in contexts.items()} | {"mute": nothing}
        sources = "".join(n8n_source(tmp_path, name, url) for name, url in urls.items())
        async with running(config(tmp_path, sources)) as program:
            samples = await program.until(
                lambda samples: all(
                    (value(samples, "outcome_source_polls_total", source=name) or 0) >= 1 for name in urls
                )
            )
            figures = await program.until(lambda samples: no_show(samples) is not None)
        for context in contexts.values():
            await context.__aexit__(None, None, None)

    reasons = {
        dict(labels)["source"]: dict(labels)["reason"]
        for (name, labels), count in samples.items()
        if name == "outcome_source_poll_failures_total" and count
    }
    assert reasons == {
        "auth": "auth", "limited": "rate_limited", "failing": "unavailable", "garbage": "not_understood",
        "half": "not_understood", "cut": "unavailable", "mute": "unavailable",
    }  # fmt: skip
    assert no_show(figures) == 0.25
    assert value(figures, "outcome_kpi_absent", kpi="completion_ratio", reason="initial_sync") == 1
    for name in urls:
        assert len([line for line in program.log if f"source {name}:" in line]) == 1


async def test_a_reload_takes_the_new_config_or_keeps_the_old_one(tmp_path: Path, program: Program) -> None:
    path = tmp_path / "outcome.yaml"
    valid = path.read_text()
    await program.until(lambda samples: no_show(samples) is not None)
    path.write_text(valid + "wrong_key: 1\n")
    program.process.send_signal(signal.SIGHUP)
    refused = await program.until(lambda samples: value(samples, "outcome_config_last_reload_successful") == 0)
    renamed = valid.replace("name: meetings", "name: appointments")
    path.write_text(renamed + "kpis: {no_show_ratio: {threshold: {warning: 0.21}}}\n")
    program.process.send_signal(signal.SIGHUP)
    taken = await program.until(
        lambda samples: value(samples, "outcome_no_show_ratio_threshold", window="7d", severity="warning") == 0.21
    )

    assert value(refused, "outcome_config_last_reload_successful") == 0
    assert no_show(refused) == 0.25
    assert value(taken, "outcome_no_show_ratio_threshold", window="7d", severity="warning") == 0.21
    assert value(taken, "outcome_config_last_reload_successful") == 1
    assert [line for line in program.log if "wrong_key" in line]
    assert len([line for line in program.log if "source meetings is stored and not in the config" in line]) == 1


async def test_kpis_and_a_second_process_beside_a_running_one(tmp_path: Path, program: Program) -> None:
    await program.until(lambda samples: no_show(samples) is not None)
    status, table, _ = await command("kpis", folder=tmp_path)
    as_json = json.loads((await command("kpis", "--json", folder=tmp_path))[1])
    second, _, why = await command("once", folder=tmp_path)

    assert status == 0
    assert [line.split()[:2] for line in table.splitlines() if line.startswith("no_show_ratio")] == [
        ["no_show_ratio", "25.0%"]
    ]
    assert {row["n"] for row in as_json if row["kpi"] == "no_show_ratio"} == {8.0}
    assert second == 1
    assert "store.duckdb" in why
    assert "Traceback" not in why


async def test_once_prints_writes_and_looks_back(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    status, printed, _ = await command("once", folder=tmp_path)
    again, nothing, _ = await command("once", "--output", "out.prom", folder=tmp_path)
    past, earlier, _ = await command(
        "once", "--no-poll", "--at", (NOW - timedelta(hours=4, minutes=30)).isoformat(), folder=tmp_path
    )
    _, at_rest, _ = await command("kpis", folder=tmp_path)

    assert (status, again, past) == (0, 0, 0)
    assert 'outcome_no_show_denominator{channel="unassigned",team="emea",window="7d"} 8.0' in printed
    assert nothing == ""
    assert (
        'outcome_no_show_denominator{channel="unassigned",team="emea",window="7d"} 8.0'
        in (tmp_path / "out.prom").read_text()
    )
    assert 'outcome_no_show_denominator{channel="unassigned",team="emea",window="7d"} 4.0' in earlier
    assert "25.0%" in at_rest


async def test_a_question_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    await command("once", folder=tmp_path)

    async def refused(*arguments: str) -> str:
        status, _, said = await command("explain", "no_show_ratio", *arguments, folder=tmp_path)
        assert status == 1
        return said.strip().removeprefix("outcome-exporter: ")

    assert (
        await refused("team=it", "team=hr")
        == "a label is given twice; give it one value, or leave it out for all of them"
    )
    assert await refused("size=2") == "size= is not a label; see --help for the options"
    assert await refused("--page", "9") == "page 9: there is 1"


async def test_figures_are_whole_however_narrow_the_terminal_is(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    await command("once", folder=tmp_path)
    _, told, _ = await command("kpis", folder=tmp_path)
    at = "2026-01-01T00:00:00Z"
    _, explained, _ = await command("explain", "no_show_ratio", "--at", at, folder=tmp_path)

    assert "no_show_ratio " in told
    assert "…" not in told
    assert "at 2026-01-01 00:00:00 UTC" in explained.splitlines()[0]


async def test_once_says_which_source_failed_and_still_prints_the_others(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path, n8n_source(tmp_path, "automation", "http://127.0.0.1:9"))
    status, printed, why = await command("once", folder=tmp_path)

    assert status == 1
    assert "automation" in why
    assert "Traceback" not in why
    assert 'outcome_no_show_ratio{channel="unassigned",team="emea",window="7d"} 0.25' in printed
    assert 'outcome_kpi_absent{kpi="completion_ratio",reason="initial_sync"} 1.0' in printed


async def test_a_config_with_mistakes_starts_nothing(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text().replace("interval: 5s}", "intervall: 5s, record: bookings}"))
    results = [
        await command(*words, folder=tmp_path)
        for words in (("run",), ("run", "--config.check"), ("once",), ("check",), ("kpis",))
    ]

    assert {status for status, _, _ in results} == {1}
    assert all("intervall" in why and "Traceback" not in why for _, _, why in results)
    assert not (tmp_path / "store.duckdb").exists()


async def test_a_live_check_tells_coverage_and_trouble(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    well, said, _ = await command("check", "--live", folder=tmp_path)
    config(tmp_path, n8n_source(tmp_path, "automation", "http://127.0.0.1:9"))
    badly, told, _ = await command("check", "--live", folder=tmp_path)

    assert (well, badly) == (0, 1)
    flowing = " ".join(said.split())
    assert "ok rows 8 bookings" in flowing
    assert "the share of booking records that have them: attendance 100%, outcome 100%, booked_at 0%" in flowing
    assert "automation: " in told


async def test_figures_are_pushed_where_the_config_says(tmp_path: Path) -> None:
    pushed: list[bytes] = []

    async def receive(request: web.Request) -> web.Response:
        pushed.append(await request.read())  # aiohttp has unpacked it
        return web.Response(body=b"", content_type="application/x-protobuf")

    collector = web.Application()
    collector.router.add_post("/v1/metrics", receive)
    bookings(tmp_path)
    async with serving(collector) as url:
        path = config(tmp_path)
        path.write_text(path.read_text() + f"otlp: {{endpoint: '{url}', interval: 5s}}\n")
        async with running(path) as program:
            samples = await program.until(lambda samples: (value(samples, "outcome_otlp_exports_total") or 0) >= 1)
            await program.until(lambda _: any(b"outcome_no_show_ratio" in body for body in pushed))
            await program.until(lambda _: any(b"outcome_source_up" in body for body in pushed))
            status = await program.stopped()

    assert value(samples, "outcome_otlp_export_failures_total") == 0
    assert any(b"outcome_no_show_ratio" in body for body in pushed)
    assert any(b"outcome_source_up" in body and b"outcome_otlp_exports_total" in body for body in pushed)
    assert status == 0


async def test_users_are_asked_for_their_password_and_the_command_line_is_not(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{prometheus: '{hashed}'}}\n")
    credentials = {"Authorization": aiohttp.encode_basic_auth("prometheus", "sesame")}
    bookings(tmp_path)
    async with running(config(tmp_path), "--web.config.file", "web.yaml") as program, aiohttp.ClientSession() as http:
        async with http.get(program.url + "/metrics") as response:
            refused = response.status
        async with http.get(program.url + "/metrics", headers=credentials) as response:
            let_in = response.status
        status, table, _ = await command("kpis", folder=tmp_path)

    assert (refused, let_in) == (401, 200)
    assert status == 0
    assert "no_show_ratio" in table


async def test_health_is_told_behind_tls_and_passwords_and_beside_a_broken_config(tmp_path: Path) -> None:
    certificate(tmp_path, "server")
    hashed = bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yaml").write_text(f"{TLS}basic_auth_users: {{prometheus: '{hashed}'}}\n")
    bookings(tmp_path)
    path = config(tmp_path)
    before = await command("health", "--config.file", str(path), folder=tmp_path)
    async with running(path, "--web.config.file", "web.yaml", "--web.external-url", "/outcome") as program:
        while (await command("health", "--ready", "--config.file", str(path), folder=tmp_path))[0]:
            pass  # not yet
        path.write_text(path.read_text() + "wrong: true\n")
        well = await command("health", "--config.file", str(path), folder=tmp_path)
        ready = await command("health", "--ready", "--config.file", str(path), folder=tmp_path)
        await program.stopped()
    after = await command("health", "--config.file", str(path), folder=tmp_path)

    assert (before[0], after[0]) == (1, 1)
    assert before[2].startswith("outcome-exporter: no exporter runs on the store ")
    assert well == (0, "Outcome Exporter is healthy.\n", "")
    assert ready == (0, "Outcome Exporter is ready.\n", "")


async def test_running_as_root_is_said(tmp_path: Path) -> None:
    bookings(tmp_path)
    async with running(config(tmp_path)) as program:
        await program.samples()
        await program.stopped()

    assert any("running as root" in line for line in program.log) is (os.geteuid() == 0)


@pytest.mark.parametrize("words", [("run",), ("once",), ("kpis",)])
async def test_a_store_that_cannot_be_read_is_a_clear_error_and_stays_as_it_is(
    tmp_path: Path, words: tuple[str]
) -> None:
    config(tmp_path)
    (tmp_path / "store.duckdb").write_bytes(b"not a database" * 5000)
    status, _, why = await command(*words, folder=tmp_path)

    assert status == 1
    assert "store.duckdb" in why
    assert "Traceback" not in why
    assert (tmp_path / "store.duckdb").read_bytes() == b"not a database" * 5000
