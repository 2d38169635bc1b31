"""What `check --live` finds: each connector asks its platform and names what the credential may not read."""

import gzip
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from exporter import config
from exporter.__main__ import main
from exporter.base.errors import AuthFailed, Unreachable
from exporter.catalogue import kpi
from exporter.cli import preflight
from exporter.cli.steps import steps
from exporter.cli.trial import trial
from exporter.collect.account import Accounts
from exporter.collect.auth import NOBODY, Auth
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import Client, Dialect, HttpSettings
from exporter.connectors import CONNECTORS, n8n, prefect, request_tracker
from exporter.demo.fakes.n8n import N8n
from exporter.demo.fakes.prefect import Prefect
from exporter.demo.fakes.request_tracker import RequestTracker
from exporter.records import Booking
from tests.connectors.n8n.suite import instance
from tests.connectors.rest.suite import centre
from tests.connectors.source import speaks_http, world
from tests.connectors.world import AT, SINCE
from tests.program import command

CHECKED = sorted(name for name, connector in CONNECTORS.items() if needs(connector).check)
ASKED = [name for name in CHECKED if speaks_http(name)]
READ = "the first page is read"
DIALECT = Dialect()
REST = """
sources:
  - name: calls
    type: rest
    url: "{url}"
    api_key: "${{KEY}}"
    header: Authorization
    record: request
    endpoint: /calls
    items: data
    paging: {{ style: page, size_parameter: per_page, more: meta.page < meta.pages }}
    page_size: 10
    columns:
      id: {{ from: number }}
      opened_at: {{ from: startd }}
      outcome: {{ from: state.name, map: {{ done: resolved }}, otherwise: open }}
    segments:
      team: {{ from: queue.nam }}
      region: {{ query: "tags[?kind=='topic'].label | [0]" }}
"""


@asynccontextmanager
async def client(
    app: web.Application | None, path: str = "", auth: Auth = NOBODY, dialect: Dialect = DIALECT
) -> AsyncIterator[Client]:
    async with TestServer(app or web.Application()) as server:
        http = HttpSettings(url=str(server.make_url(path or "/")), auth=auth, attempts=1)
        async with Client(http, at=AT, since=SINCE, dialect=dialect) as client:
            yield client


@pytest.mark.parametrize("name", CHECKED)
async def test_on_a_platform_that_is_well_nothing_is_wrong(name: str, tmp_path: Path) -> None:
    there, needed = world(name, tmp_path), needs(CONNECTORS[name])
    assert needed.check
    async with client(there.app, there.path, there.auth, needed.dialect) as asked:
        findings = await needed.check(asked, there.options)

    assert findings
    assert [finding for finding in findings if finding.wrong] == []


@pytest.mark.parametrize("name", ASKED)
async def test_a_credential_that_is_refused_is_said_of_the_whole_source(name: str, tmp_path: Path) -> None:
    there, needed = world(name, tmp_path), needs(CONNECTORS[name])
    assert needed.check
    async with client(there.app, there.path, dialect=needed.dialect) as asked:
        with pytest.raises(AuthFailed, match="the credential is refused"):
            await needed.check(asked, there.options)


async def n8n_findings(platform: N8n) -> list[Finding]:
    async with client(platform.app(), auth=Auth("X-N8N-API-KEY", platform.key)) as asked:
        return await n8n.check(asked, n8n.Options())


async def test_n8n_names_the_scope_that_a_key_lacks() -> None:
    platform = instance()
    platform.scopes = frozenset({"execution:list", "workflow:list"})

    assert await n8n_findings(platform) == [
        Finding("executions", READ),
        Finding("one execution", lacks("/api/v1/executions/1026", "the scope execution:read"), wrong=True),
        Finding("workflows", READ),
        Finding("one workflow", lacks("/api/v1/workflows/wf0001", "the scope workflow:read"), wrong=True),
        Finding("release", "1.112 or later"),
    ]


async def test_n8n_names_the_list_that_a_key_may_not_read() -> None:
    platform = replace(instance(), scopes=frozenset({"workflow:list", "workflow:read"}))

    assert await n8n_findings(platform) == [
        Finding("executions", lacks("/api/v1/executions", "the scope execution:list"), wrong=True),
        Finding("workflows", READ),
    ]


async def test_n8n_tells_of_an_old_release_and_of_an_empty_list() -> None:
    text = "none is shown; a key shows only what its user may see, so use that of an owner or admin"

    assert await n8n_findings(N8n(old=True)) == [
        Finding("executions", text),
        Finding("workflows", text),
        Finding("release", "older than 1.112: runs that are under way are unknown until they end"),
    ]


def lacks(path: str, permission: str) -> str:
    return f"not allowed (GET {path}: HTTP 403); the credential needs {permission}"


async def prefect_findings(platform: Prefect, path: str = "/api") -> list[Finding]:
    auth = Auth.bearer(platform.token) if platform.token else NOBODY
    async with client(platform.app(), path, auth) as asked:
        return await prefect.check(asked, prefect.Options())


async def test_prefect_names_the_resource_that_may_not_be_read_and_the_version() -> None:
    platform = Prefect(csrf=True, forbidden=frozenset({"deployments"}))

    assert await prefect_findings(platform) == [
        Finding("version", "3.8.8"),
        Finding("flows", "there is none yet"),
        Finding(
            "deployments",
            "not allowed (POST /deployments/filter: HTTP 403); the credential needs the right to read deployments: in "
            "Prefect Cloud a role such as Viewer in this workspace",
            wrong=True,
        ),
        Finding("flow_runs", "there is none yet"),
    ]


async def test_prefect_cloud_is_not_asked_for_a_version_that_it_does_not_tell() -> None:
    platform = Prefect(token="pnu")
    platform.add_deployment("etl", "nightly", AT)
    found = await prefect_findings(platform, platform.path)

    assert [(finding.what, finding.wrong) for finding in found] == [
        ("flows", False), ("deployments", False), ("flow_runs", False),
    ]  # fmt: skip


async def tracker_findings(platform: RequestTracker, **options: Any) -> list[Finding]:
    async with client(platform.app(), auth=Auth("Authorization", f"token {platform.token}")) as asked:
        return await request_tracker.check(asked, request_tracker.Options(**options))


def tracker(**more: Any) -> RequestTracker:
    platform = RequestTracker(queues=["General", "IT"], **more)
    platform.create("General", "ann@example.test", AT)
    return platform


async def test_request_tracker_names_queues_that_the_user_does_not_see() -> None:
    found = await tracker_findings(tracker(sees={"General"}), queues=("General", "IT"), escalation_queues=("Typo",))

    assert [(finding.what, finding.text) for finding in found if finding.wrong] == [
        ("queue IT", lacks("/REST/2.0/queue/IT", "SeeQueue")),
        (
            "queue Typo",
            "not there (GET /REST/2.0/queue/Typo: HTTP 404); is it named rightly, and may the credential see it? "
            "It needs SeeQueue",
        ),
    ]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"sees": set()}, ("tickets", "none is shown; if there are any, the user needs ShowTicket on the queues")),
        ({"sees_queues": False}, ("queues", "are shown without their names; the user needs SeeQueue")),
    ],
)
async def test_request_tracker_names_the_right_that_hides_things_in_silence(
    more: dict[str, Any], expected: tuple[str, str]
) -> None:
    found = await tracker_findings(tracker(**more))

    assert [(finding.what, finding.text) for finding in found if finding.wrong] == [expected]


async def test_request_tracker_tells_of_a_version_that_is_too_old() -> None:
    platform = tracker()
    platform.release = "4.4.6"  # type: ignore[assignment] # none that it behaves like
    found = await tracker_findings(platform)

    assert Finding("version", "4.4.6; RT 5.0.2 or later is needed", wrong=True) in found


async def live(folder: Path, platform: N8n) -> tuple[int, str]:
    """`check --live` of the program, on one source."""
    async with TestServer(platform.app()) as server:
        (folder / "key").write_text(platform.key)
        (folder / "outcome.yaml").write_text(
            f"sources:\n  - {{name: flows, type: n8n, url: '{server.make_url('')}', api_key_file: key}}\n"
        )
        status, said, _ = await command("check", "--live", "--config.file", "outcome.yaml", folder=folder)
    return status, said


async def test_the_program_says_what_is_missing_and_fails(tmp_path: Path) -> None:
    platform = instance()
    platform.scopes = frozenset({"execution:list", "workflow:list", "workflow:read"})
    status, said = await live(tmp_path, platform)

    assert status == 1
    one_line = " ".join(said.split())
    assert "flows: n8n, 127.0.0.1" in said
    assert f"fix one execution: {lacks('/api/v1/executions/1026', 'the scope execution:read')}" in one_line
    assert "ok workflows the first page is read" in one_line
    assert "ok credential accepted" in one_line


@contextmanager
def as_nobody() -> Iterator[None]:
    """Not as root, who may read everything."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may look into, with a file that nobody may read."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, mode in (("open.jsonl", 0o644), ("shut.jsonl", 0o000)):
            (folder / file).write_text("{}\n")
            (folder / file).chmod(mode)
        yield folder


async def test_files_that_may_not_be_read_are_named(shared: Path) -> None:
    check = needs(CONNECTORS["files"]).check
    assert check
    async with client(None) as asked:
        with as_nobody():
            found = await check(asked, CONNECTORS["files"].Options(path=f"{shared}/*.jsonl", record="request"))

    assert [finding.wrong for finding in found] == [False, True]
    assert found[1].text == f"{shared}/shut.jsonl: no permission; let the user that the exporter runs as read it"


async def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    check = needs(CONNECTORS["files"]).check
    assert check
    async with client(None) as asked:
        found = await check(asked, CONNECTORS["files"].Options(path=str(tmp_path / "*.csv"), record="request"))

    assert found == [Finding("files", f"no file matches {tmp_path}/*.csv", wrong=True)]


async def test_a_last_line_that_may_still_be_written_is_named(tmp_path: Path) -> None:
    for name, content in {
        "whole.csv": b"id\n1\n",
        "half.csv": b"id\n1",
        "wide.csv": "id\n1\n".encode("utf-16-le"),
        "empty.csv": b"",
        "gzip.csv": gzip.compress(b"id\n1"),
        "zip.csv": b"PK\x03\x04...",
        "parquet.csv": b"PAR1...PAR1",
    }.items():
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (AT.timestamp(), AT.timestamp()))
    check = needs(CONNECTORS["files"]).check
    assert check
    async with client(None) as asked:
        found = await check(asked, CONNECTORS["files"].Options(path=str(tmp_path / "*.csv"), record="request"))

    assert [finding.wrong for finding in found] == [False, False]
    assert found[1].text == (
        f"{tmp_path}/half.csv: the last line has no end; it is read once the file has not changed for a minute"
    )


async def test_paths_of_the_config_that_no_item_has_are_named_with_the_nearest(tmp_path: Path) -> None:
    calls = centre(style="page")
    async with TestServer(calls.app()) as server:
        path = tmp_path / "outcome.yaml"
        path.write_text(REST.format(url=server.make_url("/api")))
        (source,) = config.load(path, kpi.catalogue(), CONNECTORS, {"KEY": calls.key}).sources
        probe = await preflight.ask(source, AT, Accounts())

    assert probe.fault is None
    assert probe.records == {"request": 14}
    assert [step.text for step in steps(source, probe, AT) if step.what == "path"] == [
        "queue.nam: not in any of 14 items; the nearest is queue.name",
        "startd: not in any of 14 items; the nearest is started",
    ]


EXPORT = """\
id,opened_at,resolved_at,outcome,requester,csat
1,2026-11-20T10:00:00Z,2026-11-20T12:00:00Z,resolved,a@example.org,0.5
2,20/11/2026,2026-11-20T12:00:00Z,resolved,b@example.org,0.5
3,2026-11-20T11:00:00Z,2026-11-20T12:00:00Z,resolved,c@example.org,N/A
"""
FILES = """\
sources: [{name: desk, type: files, record: request, path: export.csv}]
kpis: {only: [support, no_show_ratio]}
"""


def shown(folder: Path, config: str = FILES, export: str = EXPORT) -> tuple[int, list[str]]:
    """The exit code and the lines of `check --live` on a file, as it is printed where nobody sees colours."""
    (folder / "outcome.yaml").write_text(config)
    (folder / "export.csv").write_text(export)
    arguments = ["check", "--live", "--config.file", str(folder / "outcome.yaml")]
    ended = CliRunner(env={"COLUMNS": "80"}).invoke(main, arguments)
    return ended.exit_code, ended.output.partition("\n\n")[2].splitlines()


def text_of(lines: list[str], what: str) -> list[str]:
    """The steps of a name, each in one line, with the mark first."""
    joined = re.sub(r"\n {7,}", " ", "\n".join(lines))
    return [" ".join(line.split()) for line in joined.splitlines() if re.match(rf"  \w+ +{what} ", line)]


@pytest.mark.parametrize("name", ASKED)
async def test_of_a_platform_that_is_down_nothing_is_found_but_that_it_cannot_be_reached(
    name: str, tmp_path: Path
) -> None:
    there, needed = world(name, tmp_path), needs(CONNECTORS[name])
    assert needed.check
    http = HttpSettings(url="http://127.0.0.1:1", auth=NOBODY, attempts=1)
    async with Client(http, at=AT, since=SINCE, dialect=needed.dialect) as asked:
        with pytest.raises(Unreachable, match="cannot connect"):
            await needed.check(asked, there.options)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[str]]:
    return shown(tmp_path_factory.mktemp("refused"))


def test_rows_that_are_refused_are_shown_with_column_value_reason_and_count_and_must_be_mended(
    refused: tuple[int, list[str]],
) -> None:
    status, lines = refused

    assert status == 1
    assert lines[0].startswith("desk: files, ")
    assert text_of(lines, "rows") == ["ok rows 2 requests"]
    assert text_of(lines, "refused")[0].startswith(
        "fix refused 1 of 3 rows cannot be read; they are left out 1 row: column opened_at: '20/11/2026' is not a time"
    )
    assert text_of(lines, "unknown")[0].endswith(
        "1 row: column csat: 'N/A' is not a number; if it means nothing, add it to nulls (first: export.csv:4)"
    )
    assert "mend them before you go live" in lines[-1]


def test_the_screen_fits_80_columns_and_has_no_colour_where_it_is_piped(refused: tuple[int, list[str]]) -> None:
    _, lines = refused

    assert [line for line in lines[1:-1] if len(line) > 80] == []
    assert [line for line in lines if "\x1b" in line] == []


def test_the_screen_tells_which_kpis_will_appear_and_why_others_will_not(tmp_path: Path) -> None:
    status, lines = shown(tmp_path, export=EXPORT.replace("20/11/2026", "2026-11-20T11:00:00Z"))
    (appear,) = text_of(lines, "appear")
    (fields,) = text_of(lines, "fields")
    (needed,) = text_of(lines, "needed")

    assert status == 0
    assert "resolution_seconds" in appear
    assert "no_show_ratio" not in appear
    assert "request.self_service 0% (50% needed): abandonment_ratio" in fields
    assert needed.startswith("ok needed fields that KPIs need, and the share of request records that have them: ")
    assert "requester 100%" in needed
    assert ["booking" in line for line in text_of(lines, "no source")] == [True]


def test_an_old_export_is_judged_at_its_newest_time_and_said_to_be_old(tmp_path: Path) -> None:
    _, lines = shown(
        tmp_path, export=EXPORT.replace("20/11/2026", "2016-05-27T09:00:00Z").replace("2026-11-20", "2016-05-28")
    )

    assert text_of(lines, "newest") == [
        "note newest 2016-05-28 12:00 UTC, so windows that end now hold no records of it"
    ]
    assert "What comes of it, at the time of the newest record, 2016-05-28 12:00 UTC" in lines
    assert "resolution_seconds" in text_of(lines, "appear")[0]


async def test_a_platform_that_cannot_be_reached_is_one_step_and_the_others_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    (tmp_path / "outcome.yaml").write_text(
        "sources:\n  - {name: flows, type: n8n, url: 'http://127.0.0.1:9', api_key_file: key}\n"
    )
    (source,) = config.read_config(tmp_path / "outcome.yaml").sources
    source = replace(source, http=replace(source.http, attempts=1))
    probe = await preflight.ask(source, AT, Accounts())

    assert [(step.mark, step.what) for step in steps(source, probe, AT)] == [("fix", "reach")]


def test_kpis_of_a_source_that_failed_and_of_records_that_did_not_come_are_counted(tmp_path: Path) -> None:
    (tmp_path / "outcome.yaml").write_text(
        "sources:\n"
        "  - {name: desk, type: files, record: request, path: '*.csv'}\n"
        "  - {name: meetings, type: files, record: booking, path: '*.csv'}\n"
        "kpis: {only: [requests, no_show_ratio, mttr_seconds]}\n"
    )
    settings = config.read_config(tmp_path / "outcome.yaml")
    probes = [preflight.Probe("desk", fault="cannot connect"), preflight.Probe("meetings")]
    moment, labels, outlook = trial(settings, probes, AT)

    assert (moment, labels) == (AT, {})
    assert [(step.mark, step.what, step.text) for step in outlook] == [
        ("note", "appear", "0 of 3 KPIs: none"),
        ("note", "without", "1 KPI needs records of which none was read here: booking"),
        ("note", "without", "1 KPI: a source could not be read, see above"),
        ("note", "no source", "1 KPI needs records that no source brings: incident"),
    ]


def test_the_newest_time_is_also_that_of_a_meeting_that_is_over() -> None:
    probe = preflight.Probe("a")
    held = Booking(id="1", booked_at=AT - timedelta(days=9), starts_at=AT - timedelta(days=1))
    for booking in (held, Booking(id="2", booked_at=AT - timedelta(days=2), starts_at=AT + timedelta(days=3))):
        probe.add(booking, AT)

    assert (AT - timedelta(days=1), 0) == (probe.newest, probe.future)
