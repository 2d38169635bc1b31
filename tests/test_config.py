"""The config file: what is read from it, and every mistake that can be in it."""

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from exporter import config
from exporter.base import duration, strict_yaml
from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi
from exporter.catalogue.kpi import Threshold
from exporter.collect.auth import App, ClientCredentials, Grant, Login, RefreshToken, Scheme
from exporter.collect.mapping import apply
from exporter.config import Config, effective
from exporter.config.choice import one_by_one
from exporter.config.secret import Secret
from exporter.config.section import AuthSection, KpiSection, Whole
from exporter.config.setting import predicate_columns
from exporter.connectors import CONNECTORS
from exporter.evaluation.breach import resolve
from exporter.evaluation.calendar import Calendar
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Baselines, Period, SourceSetting
from exporter.records import RECORDS, SEGMENTS, Read, Request, Run
from exporter.records.columns import COLUMNS, Rule
from exporter.records.labels import DEFAULT_LABELS, LABELS
from exporter.store.status import SourceStatus
from tests.fakes.oauth import PEM
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
CONFIGS = Path(__file__).parent / "configs"
EXAMPLE = Path(__file__).parent.parent / "deploy" / "config.example.yaml"
ENVIRON = {"KNOWN": "open"}
FILES = 'sources:\n  - {name: a, type: files, record: request, path: "requests.jsonl"}\n'
N8N = "sources:\n  - name: a\n    type: n8n\n    url: https://n8n.example.com\n"


def load(path: Path | str, environ: Mapping[str, str] = ENVIRON) -> Config:
    return config.load(path, kpi.catalogue(), CONNECTORS, environ)


def mistakes(path: Path | str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    try:
        load(path, environ)
    except Mistakes as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Writes a config file and loads it."""

    def read(text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return load(path, environ)

    return read


def expected_mistakes(path: Path) -> list[str]:
    """The comment at the top of a config: a line for each mistake, in order."""
    lines = path.read_text().splitlines()
    return [
        line.removeprefix("# ") for line in lines[: next((i for i, x in enumerate(lines) if x[:2] != "# "), len(lines))]
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in (CONFIGS / "invalid").iterdir()))
def test_a_broken_config_says_exactly_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS / "invalid")

    assert [shortened(message) for message in mistakes(name)] == expected_mistakes(Path(name))


def shortened(message: str) -> str:
    """A message without a long list of what is known: that grows with every column, and its words are tested below."""
    return re.sub(r"(known|All columns): (?:[\w.]+, ){12,}[\w.]+", r"\1: ...", message)


def test_where_no_column_is_near_every_column_is_named() -> None:
    [unknown] = mistakes(CONFIGS / "invalid" / "columns_turned.yaml")

    assert unknown.partition("known: ")[2].split(", ") == [name for name in COLUMNS[Request] if name != "source"]


def test_most_broken_configs_have_one_mistake_and_each_another_one() -> None:
    found = [expected_mistakes(path) for path in sorted((CONFIGS / "invalid").iterdir())]
    single = {messages[0].partition(": ")[2] for messages in found if len(messages) == 1}

    assert len(single) >= 80
    assert [len(messages) for messages in found if len(messages) != 1] == [20]


def test_a_calendar_is_read_as_it_is_written(written: Any) -> None:
    found = written(
        FILES.replace('jsonl"', 'jsonl", calendar: office')
        + """
calendars:
  office:
    time_zone: Europe/Berlin
    hours: { sat-sun: ["22:00-24:00", "00:00-06:00"], wed: 09:00-17:00 }
    holidays: { country: DE, subdivision: BE }
    closed: ["2026-12-24"]
    open: { "2026-12-25": "10:00-12:00" }
  unused: { time_zone: UTC, hours: { mon: "00:00-24:00" } }
teams:
  it: { calendar: office }
kpis:
  mttr_seconds: { basis: business }
"""
    )
    night, day = ((0, 360), (1320, 1440)), ((540, 1020),)

    assert found.plan.calendars["office"] == Calendar(
        time_zone="Europe/Berlin",
        week=((), (), day, (), (), night, night),
        country="DE",
        subdivision="BE",
        closed=(date(2026, 12, 24),),
        open=((date(2026, 12, 25), ((600, 720),)),),
    )
    assert found.plan.sources["a"].calendar == found.plan.teams["it"].calendar == "office"
    assert {s.kpi.name for s in found.plan.settings if s.basis == "business"} == {"mttr_seconds"}
    assert [text for text in found.warnings if "calendars.unused" in text] != []
    assert [text for text in found.warnings if "calendars.office" in text] == []


@pytest.mark.parametrize("path", sorted((CONFIGS / "valid").iterdir()), ids=lambda path: path.name)
def test_a_sound_config_has_no_mistake(path: Path) -> None:
    assert mistakes(path) == []


def test_the_least_config_has_the_defaults() -> None:
    found = load(CONFIGS / "valid" / "smallest.yaml")
    source = found.sources[0]

    assert found.plan.windows == [("1d", 86400), ("7d", 604800), ("30d", 2592000), ("90d", 7776000)]
    assert found.plan.labels == DEFAULT_LABELS
    assert [setting.kpi.name for setting in found.plan.settings] == list(kpi.catalogue())
    assert found.store == config.StoreSettings(
        path=CONFIGS / "valid" / "outcome.duckdb", retention_seconds=400 * 86400, threads=1, memory_limit="256MB"
    )
    assert (found.evaluation_interval_seconds, found.otlp, found.warnings) == (60, None, ())
    assert (source.interval_seconds, source.max_staleness_seconds, source.initial_history_seconds) == (
        30,
        3600,
        120 * 86400,
    )
    assert (source.records, source.options.path) == ((Request,), str(CONFIGS / "valid" / "requests.jsonl"))


REST = "type: rest, url: https://x.example.com, endpoint: /v1, record: request"


@pytest.mark.parametrize(
    ("source", "reported"),
    [
        ("type: files, record: request, path: x.csv", True),
        ("type: files, record: request, path: x.csv, columns: {Nr: id}", True),  # another may be called escalated_at
        ('type: files, record: request, path: x.csv, columns: {Nr: id, "*": ""}', False),
        ('type: files, record: request, path: x.csv, columns: {Nr: id, Up: escalated_at, "*": ""}', True),
        (
            'type: files, record: request, path: x.csv, columns: {Nr: id, "*": ""}, fields: {escalated_at: {from: Up}}',
            True,
        ),
        (f"{REST}, columns: {{id: {{from: id}}}}", False),
        (f"{REST}, columns: {{id: {{from: id}}, escalated_at: {{from: up}}}}", True),
        ('type: zendesk, url: https://x.zendesk.com, token: "${KNOWN}"', False),
        ('type: zendesk, url: https://x.zendesk.com, token: "${KNOWN}", escalated: [{from: tags, match: up}]', True),
    ],
)
def test_a_source_reports_escalations_where_something_fills_them(written: Any, source: str, reported: bool) -> None:
    found = written(f"sources:\n  - {{name: a, {source}}}\n")

    assert (found.plan.sources.get("a", SourceSetting()).escalations_reported is not False) == reported


def test_a_typical_config_is_read_as_it_says() -> None:
    found = load(CONFIGS / "valid" / "typical.yaml")
    by_name = {setting.kpi.name: setting for setting in found.plan.settings}
    automation = found.sources[1]

    assert [window for window, _ in found.plan.windows] == ["1d", "7d", "30d", "90d"]
    assert found.store.path == CONFIGS / "valid" / "var" / "outcome.duckdb"
    timeouts = {name: each.run_timeout_seconds for name, each in found.plan.workflows.items()}
    assert (found.plan.run_timeout, timeouts) == (43200, {"Nightly": 259200})
    assert "requests" not in by_name
    assert by_name["no_show_ratio"].owner == "revenue-operations"
    assert by_name["no_show_ratio"].threshold == Threshold(warning=0.15, critical=0.30)
    assert by_name["no_show_ratio"].thresholds_by == (({"team": "emea"}, Threshold(critical=0.35)),)
    assert by_name["mttr_seconds"].threshold == Threshold(warning=14400, critical=86400)
    assert by_name["deflection_ratio"].params == {
        "recontact_window": "172800",
        "eligible": """((("category" IN ('password', 'access')) OR "self_service"))""",
    }
    assert by_name["recontact_ratio"].params == {"recontact_window": "259200"}
    assert (automation.interval_seconds, automation.max_staleness_seconds) == (1800, 5400)
    assert automation.http.auth.header == "X-N8N-API-KEY"


def test_a_mapping_in_the_config_fills_segments() -> None:
    source = load(CONFIGS / "valid" / "typical.yaml").sources[1]
    record = apply(Read(Run(id="1"), {"tags": [{"name": "team:it"}]}), source.mapping, str)

    assert record == Run(id="1", team="it", region="emea")


def test_an_aliased_mapping_works_for_both_sources() -> None:
    east, west = load(CONFIGS / "valid" / "aliases.yaml").sources

    assert [apply(Read(Run(id="1"), {"tags": ["team:it"]}), each.mapping, str) for each in (east, west)] == [
        Run(id="1", team="it")
    ] * 2


@pytest.mark.parametrize(
    ("kind", "text", "header", "value"),
    [
        ("n8n", 'api_key: "${KNOWN}"', "X-N8N-API-KEY", "open"),
        ("n8n", 'api_key: "${KNOWN}"\n    header: X-Other', "X-Other", "open"),
        ("n8n", "api_key_file: key", "X-N8N-API-KEY", "sesame"),
        ("prefect", "api_key_file: key", "Authorization", "Bearer sesame"),
        ("prefect", "token_file: key", "Authorization", "Bearer sesame"),
        ("request-tracker", "token_file: key", "Authorization", "token sesame"),
        ("prefect", "username: me\n    password_file: key", "Authorization", "Basic bWU6c2VzYW1l"),
        ("prefect", "rate: 5", "", ""),
    ],
)
def test_credentials_become_the_header_the_platform_wants(
    written: Any, tmp_path: Path, kind: str, text: str, header: str, value: str
) -> None:
    (tmp_path / "key").write_text("sesame\n")
    (tmp_path / "key").chmod(0o600)
    found = written(N8N.replace("n8n\n", f"{kind}\n") + f"    {text}\n")

    assert (found.sources[0].http.auth.header, found.sources[0].http.auth.value) == (header, value)
    assert found.warnings == ()


OAUTH = "https://id.example.com/token"
CLIENT = f"token_url: {OAUTH}, client_id: me"


@pytest.fixture
def secret_files(tmp_path: Path) -> None:
    for name, text in (("key", "sesame"), ("app.pem", PEM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)


@pytest.mark.usefixtures("secret_files")
@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (
            f"method: client_credentials, {CLIENT}, client_secret: '${{KNOWN}}', scope: [a, b], parameters: {{x: y}}",
            ClientCredentials(
                url=OAUTH, client_id="me", secret="abracadabra", parameters=(("scope", "a b"), ("x", "y"))
            ),
        ),
        (
            f"method: client_credentials, {CLIENT}, client_secret_file: key, client_in: header, scope: a",
            ClientCredentials(
                url=OAUTH,
                client_id="me",
                secret="sesame",
                parameters=(("scope", "a"),),
                scheme=Scheme(client_in="header"),
            ),
        ),
        (
            f"method: client_credentials, {CLIENT}, private_key_file: app.pem",
            ClientCredentials(url=OAUTH, client_id="me", key=PEM.strip()),
        ),
        (
            "method: login, token_url: /auth/token, username: me, password_file: key",
            Login(url="https://n8n.example.com/auth/token", username="me", password="sesame"),
        ),
        (
            "method: app, token_url: '/i/{installation_id}/t', app_id: '1', installation_id: '9', private_key: "
            "'${PEM}'",
            App(url="https://n8n.example.com/i/9/t", app_id="1", key=PEM.strip()),
        ),
    ],
)
def test_an_auth_section_says_how_tokens_are_had(written: Any, auth: str, expected: Grant) -> None:
    found = written(N8N.replace("n8n\n", "prefect\n") + f"    auth: {{{auth}}}\n", {"KNOWN": "abracadabra", "PEM": PEM})

    assert found.sources[0].http.auth == expected
    assert found.warnings == ()
    assert re.findall("sesame|abracadabra|PRIVATE", f"{found!r}") == []


@pytest.mark.usefixtures("secret_files")
def test_refresh_tokens_are_kept_beside_the_store_for_each_authorization(written: Any, tmp_path: Path) -> None:
    def grant(first: str) -> RefreshToken:
        (tmp_path / "key").write_text(first)
        auth = f"auth: {{method: refresh_token, {CLIENT}, refresh_token_file: key}}"
        found = written(f"store: {{path: kept.duckdb}}\n{N8N}    {auth}\n").sources[0].http.auth
        assert isinstance(found, RefreshToken)
        return found

    first, second = grant("sesame"), grant("another")

    assert (first.first, first.secret, first.named) == ("sesame", "", str(tmp_path / "key"))
    assert re.fullmatch(r"kept\.duckdb\.token-[0-9a-f]{12}", first.file.name)
    assert first.file.parent == tmp_path
    assert first.file != second.file
    assert first == grant("sesame")


@pytest.mark.usefixtures("secret_files")
@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (
            "method: oauth",
            ".method: this is not one of the allowed values: client_credentials, refresh_token, login, app",
        ),
        (
            f"method: client_credentials, {CLIENT}",
            ": client_secret_file is missing, and private_key_file too; name one",
        ),
        (
            f"method: client_credentials, {CLIENT}, client_secret_file: key, private_key_file: app.pem",
            ": client_secret and private_key are both given; keep one",
        ),
        (
            "method: client_credentials, client_id: me, client_secret_file: key",
            ".token_url: this key is missing; write the address where tokens are had, or its path below url",
        ),
        (
            f"method: client_credentials, {CLIENT}, private_key_file: key",
            ".private_key_file: the private key cannot be used; give an RSA key in PEM format, without a passphrase",
        ),
        (
            f"method: client_credentials, {CLIENT}, client_secret: sesame-0x5",
            ".client_secret: do not write a secret here; name a file that contains it, or a variable like ${NAME}",
        ),
        (f"method: refresh_token, {CLIENT}", ": refresh_token_file is missing; method refresh_token needs it"),
        (
            "method: login, token_url: /t, username: me, password_file: key, refresh_token_file: key",
            ".refresh_token_file: method login does not use this; it belongs to refresh_token",
        ),
        (
            "method: app, token_url: '/i/{installation_id}/t', app_id: '1', private_key_file: app.pem",
            ": installation_id is missing; it is the number in the address of its settings",
        ),
        ("method: login, token_url: t, username: me, password_file: key", ".token_url: this is not an address; write"),
        ("method: login, token_rul: /t", ".token_rul: there is no key 'token_rul'; did you mean 'token_url'?"),
    ],
)
def test_a_mistake_in_an_auth_section_is_told_where_and_what_would_be_right(
    tmp_path: Path, auth: str, expected: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(N8N + f"    auth: {{{auth}}}\n")
    found = mistakes(path)

    assert [text for text in found if f"{path}:5: sources[0].auth{expected}" in text], found
    assert "sesame" not in "".join(found)


def test_one_kind_of_credentials_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(N8N + f"    api_key: '${{KNOWN}}'\n    auth: {{method: login, {CLIENT}}}\n")

    assert any("api_key and auth are both given; keep one kind of credential" in text for text in mistakes(path))


def test_credentials_to_a_place_for_tokens_over_plain_http_are_warned_of(written: Any) -> None:
    auth = "auth: {method: login, token_url: 'http://id.example.com/t', username: me, password: '${KNOWN}'}"

    assert [text.partition(": ")[2] for text in written(f"{N8N}    {auth}\n").warnings] == [
        "sources[0].auth.token_url: the credentials would go over the network unencrypted; use https"
    ]


PERSON_KEYS = {"KEY": "5f" * 32}


@pytest.fixture
def key_files(tmp_path: Path) -> None:
    for name, text in (("key", "6e" * 32), ("short", "sesame")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)


@pytest.mark.usefixtures("key_files")
@pytest.mark.parametrize(
    ("store", "expected"),
    [('{ person_key: "${KEY}" }', "5f" * 32), ("{ person_key_file: key }", "6e" * 32), ("{}", None)],
)
def test_the_person_key_is_a_secret(written: Any, store: str, expected: str | None) -> None:
    found = written(f"store: {store}\n{FILES}", PERSON_KEYS).store.person_key

    assert expected == (found and found.reveal())


@pytest.mark.usefixtures("key_files")
@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("{ person_key_file: short }", "store.person_key_file: this key is too short; make one with: openssl rand"),
        ('{ person_key: "${KEY}", person_key_file: key }', "person_key and person_key_file are both given; keep one"),
        ("{ person_key: sesame }", "store.person_key: do not write a secret here"),
    ],
)
def test_a_person_key_that_is_none_is_refused(written: Any, store: str, expected: str) -> None:
    with pytest.raises(Mistakes, match=re.escape(expected)):
        written(f"store: {store}\n{FILES}", PERSON_KEYS)


def test_secrets_are_never_printed(written: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame")
    otlp = "otlp: {endpoint: 'https://c.example.com', headers: {A: '${KNOWN}'}, header_files: {B: key}}\n"
    found = written(N8N + "    api_key_file: key\n" + otlp, {"KNOWN": "abracadabra"})

    assert [*found.otlp.headers.values()] == ["abracadabra", "sesame"]
    assert re.findall("sesame|abracadabra", f"{found!r} {found} {found.warnings}") == []
    assert f"{Secret('sesame')} {Secret('sesame')!r}" == "*** ***"


@pytest.mark.parametrize("word", ["api_key", "token", "password"])
def test_a_written_secret_is_refused_and_not_repeated(tmp_path: Path, word: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(N8N + f"    username: me\n    {word}: sesame-0x5\n    proxy: http://me:sesame-0x5@proxy\n")
    found = mistakes(path)

    assert len(found) >= 2
    assert "sesame" not in "".join(found)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; write the secret into it"),
        (b" \n", "is empty; write the secret into it"),
        (b"one\ntwo\n", "contains more than one line of text; a secret is one line"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_secret_file_without_a_secret_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "key").write_bytes(content)
    path = tmp_path / "c.yaml"
    path.write_text(N8N + "    api_key_file: key\n")

    assert mistakes(path) == [f"{path}:5: sources[0].api_key_file: {tmp_path / 'key'} {expected}"]


def test_a_secret_file_that_everybody_may_read_is_only_warned_of(written: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame")
    (tmp_path / "key").chmod(0o644)

    assert written(N8N + "    api_key_file: key\n").warnings == (
        f"{tmp_path / 'config.yaml'}:5: sources[0].api_key_file: every user of this machine may read "
        f"{tmp_path / 'key'}; run chmod 600 on it",
    )


def test_credentials_over_plain_http_are_warned_of_except_on_this_machine(written: Any) -> None:
    def warned(url: str) -> int:
        return len(written(N8N.replace("https://n8n.example.com", url) + "    api_key: '${KNOWN}'\n").warnings)

    assert [warned(url) for url in ("http://n8n.example.com", "http://localhost.example.com")] == [1, 1]
    assert [
        warned(url) for url in ("https://n8n", "http://localhost:5678", "http://127.0.0.1", "http://[::1]:1/x")
    ] == [0] * 4


def test_a_window_is_called_as_it_is_written(written: Any) -> None:
    found = written(FILES + "windows: [168h, 36h]\n")

    assert found.plan.windows == [("36h", 129600), ("168h", 604800)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30m", (1800, 1800)), ("[30m]", (1800, 1800)), ("[8m, 12m]", (480, 720)), ("null", (None, None))],
)
def test_manual_time_is_a_length_or_a_range_of_two(written: Any, text: str, expected: tuple[int | None, ...]) -> None:
    origin = "" if text == "null" else ", manual_origin: measured"
    found = written(FILES + f"workflows: {{w: {{manual_time: {text}{origin}}}}}\n").plan.workflows["w"]

    assert (found.manual_seconds_low, found.manual_seconds_high) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [("30", "not a length of time"), ("soon", "not a length of time"), ("[]", "too few"), ("{}", "not a length")],
)
def test_what_is_no_manual_time_is_told_with_its_place(written: Any, text: str, message: str) -> None:
    with pytest.raises(Mistakes) as raised:
        written(FILES + f"workflows: {{w: {{manual_time: {text}, manual_origin: measured}}}}\n")

    assert ["workflows.w.manual_time" in str(raised.value), message in str(raised.value)] == [True, True]


def test_a_threshold_of_one_segment_is_switched_off_or_changed_alone(written: Any) -> None:
    kpis = """
kpis:
  no_show_ratio:
    thresholds_by:
      - {match: {team: it}, critical: null}
      - {match: {team: it, channel: web}, warning: 0.1}
      - {match: {team: hr}, warning: null, critical: null}
      - {match: {team: hr, channel: web}, critical: 0.5}
"""
    setting = next(s for s in written(FILES + kpis).plan.settings if s.kpi.name == "no_show_ratio")
    segments = [("ops", "web"), ("it", "phone"), ("it", "web"), ("hr", "phone"), ("hr", "web")]
    found = [resolve(setting, (("team", team), ("channel", channel))) for team, channel in segments]

    assert found == [{"warning": 0.15, "critical": 0.3}, {"warning": 0.15}, {"warning": 0.1}, {}, {"critical": 0.5}]


def test_a_window_that_alerts_look_at_and_a_short_history_are_warned_of(written: Any) -> None:
    found = written(N8N + "    initial_history: 7d\nwindows: [30d]\n")

    assert [warning.partition("config.yaml:")[2] for warning in found.warnings] == [
        "6: windows: without 1d and 7d, which alerts use; those alerts will stay silent",
        "5: sources[0].initial_history: shorter than the longest window: values over 30d will be too small at first",
    ]


def test_teams_that_nothing_can_be_matched_with_are_warned_of(written: Any) -> None:
    teams = "teams:\n  it: {people: 4}\n  hr: {capacity: 40h}\n  ops: {}\n"

    assert written(N8N + teams).warnings == ()
    found = written(N8N + teams + "labels: {request: [category]}\n").warnings
    assert [warning.partition("config.yaml:")[2].partition(",")[0] for warning in found] == [
        "6: teams.it: KPIs by team are absent",
        "7: teams.hr: KPIs by team are absent",
    ]


@pytest.mark.parametrize(
    ("name", "threshold", "warned"),
    [
        ("escalation_ratio", "threshold: {warning: 0.3}", 0),  # a shipped rule
        ("backlog_change", "threshold: {warning: 30}", 0),  # one that has waited for this
        ("backlog", "threshold: {warning: 30}", 1),
        ("backlog", "threshold: {warning: null}", 0),
        ("backlog", "thresholds_by: [{match: {team: it}, critical: 30}]", 1),
    ],
)
def test_a_threshold_that_no_shipped_rule_looks_at_is_warned_of(
    written: Any, name: str, threshold: str, warned: int
) -> None:
    found = written(f"{FILES}kpis:\n  {name}:\n    {threshold}\n").warnings

    assert [":5: " in text or ":4: " in text for text in found] == [True] * warned
    assert all("no shipped alert rule uses this threshold; `outcome-exporter rules" in text for text in found)


def test_a_url_may_come_from_the_environment(written: Any) -> None:
    text = N8N.replace("https://n8n.example.com", '"${URL}"')

    assert written(text, {"URL": "https://me:x@n8n.example.com"}).sources[0].http.url == "https://me:x@n8n.example.com"


def test_the_fingerprint_tells_whether_what_was_fetched_still_fits(written: Any) -> None:
    def fingerprint(text: str, environ: Mapping[str, str] = ENVIRON) -> str:
        return str(written(N8N + text, environ).sources[0].fingerprint)

    plain = fingerprint("")
    same = ["    interval: 2h\n", "    rate: 5\n", "    api_key: '${KNOWN}'\n", "    max_staleness: 9h\n"]
    other = [
        "    overlap: 9\n",
        "    initial_history: 30d\n",
        "    segments: {team: {value: it}}\n",
        "    modes: [manual]\n",
    ]

    assert {fingerprint(text) for text in same} == {plain}
    assert len({plain, *(fingerprint(text) for text in other)}) == 5
    assert fingerprint(same[2], {"KNOWN": "another"}) == plain


RELEASED = """
  - { name: b, type: prefect, url: "https://prefect.example.com/api" }
  - name: c
    type: request-tracker
    url: "https://rt.example.com"
    token: "${KNOWN}"
    segments: { team: { field: Queue.Name, match: "(.*)" } }
  - name: d
    type: files
    path: rows.csv
    record: request
    columns: { Number: id }
    fields: { csat: { field: Rating, scale: [1, 5] } }
"""


def test_an_upgrade_does_not_make_a_stored_source_another_one(written: Any) -> None:
    """Fingerprints of stores that there are: with another one everything is fetched anew, without figures meanwhile."""
    found = {source.name: source.fingerprint[:16] for source in written("sources:" + RELEASED).sources}

    assert found == {"b": "3e5848c4ae1d719d", "c": "4d3ca97d34def0c2", "d": "22236a7de389ec6f"}


def test_the_fingerprint_is_the_same_however_the_config_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outcome.yaml").write_text(FILES)
    monkeypatch.chdir(tmp_path)
    found = [load(path).sources[0] for path in (Path("outcome.yaml"), tmp_path / "outcome.yaml")]

    assert found[0].fingerprint == found[1].fingerprint
    assert found[1].options.path == str(tmp_path / found[0].options.path)


def test_a_field_may_be_of_one_record_alone(written: Any) -> None:
    (source,) = written(N8N + "    fields: {run.owner: {field: lead}, owners: {field: lead}}\n").sources

    assert {kind.__name__: set(columns) for kind, columns in source.mapped.items()} == {
        "Run": {"owner"},
        "Workflow": {"owners"},
    }


@pytest.mark.parametrize("name", ["incident.owner", "run.owners", "run.id", "run.", ".owner", "runs.owner"])
def test_a_field_of_a_record_that_the_source_does_not_feed_is_a_mistake(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{N8N}    fields: {{{name}: {{field: lead}}}}\n")
    (found,) = mistakes(path)

    assert f"there is no column '{name}'" in found


def test_two_readings_of_one_file_are_equal(written: Any) -> None:
    text = N8N + "    segments: {team: {field: tags}}\n"

    assert written(text).sources == written(text).sources


def test_a_threshold_is_set_over_the_catalogue_key_by_key(written: Any) -> None:
    def threshold(text: str) -> Threshold:
        found = written(f"{FILES}kpis: {{no_show_ratio: {{threshold: {text}}}}}\n")
        return next(s.threshold for s in found.plan.settings if s.kpi.name == "no_show_ratio")  # type: ignore[no-any-return]  # `written` is untyped

    declared = kpi.catalogue()["no_show_ratio"].threshold

    assert threshold("{critical: 0.9}") == Threshold(warning=declared.warning, critical=0.9)
    assert threshold("{warning: null, critical: null}") == Threshold()
    assert threshold("{}") == declared


def test_a_user_in_the_address_beside_credentials_is_refused(written: Any) -> None:
    text = N8N.replace("https://n8n.example.com", '"${URL}"') + '    api_key: "${KNOWN}"\n'
    with pytest.raises(Mistakes) as refused:
        written(text, {**ENVIRON, "URL": "https://me:pw@n8n.example.com"})

    assert "keep one" in str(refused.value)
    assert "pw@" not in str(refused.value)


def test_a_word_of_the_environment_is_not_looked_for_elsewhere(written: Any) -> None:
    found = written(f"{FILES}kpis: {{no_show_ratio: {{owner: '${{KNOWN}}'}}}}\n")

    assert next(s.owner for s in found.plan.settings if s.kpi.name == "no_show_ratio") == "${KNOWN}"


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")

    assert mistakes(tmp_path) == [f"{tmp_path}: this is a folder; name a file"]
    assert mistakes(tmp_path / "none.yaml") == [f"{tmp_path / 'none.yaml'}: there is no such file"]
    assert mistakes(tmp_path / "latin.yaml") == [
        f"{tmp_path / 'latin.yaml'}:1: this is not UTF-8 text; save the file as UTF-8"
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("72h", 259200), ("400d", 34560000), ("1d1h1m1s", 90061)]
)
def test_a_length_of_time_is_read_in_seconds(text: str, seconds: int) -> None:
    assert duration.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "0s", "1.5h", "-1h", "1h ", "1m1h", "1w", "1H", "999999999d", "\u0665s"])
def test_anything_else_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 30s, 1h30m, 72h or 7d"):
        duration.seconds(text)


@given(st.integers(1, duration.LONGEST_SECONDS))
def test_a_length_of_time_is_written_as_it_is_read(seconds: int) -> None:
    assert duration.seconds(duration.text(seconds)) == seconds


# The example


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a user would have it: with the files and variables that it names."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copy(EXAMPLE, folder)
    for name in set(re.findall(r"(?:_file|Authorization): (\S+/\S+)", EXAMPLE.read_text())):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("sesame")
        (folder / name).chmod(0o600)
    for name in re.findall(r"map_file: \{ path: ([^,]+),", EXAMPLE.read_text()):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("service,unit\nbilling,finance\n")
    return folder / EXAMPLE.name


def example_environ() -> dict[str, str]:
    return dict.fromkeys(re.findall(r'"\$\{(\w+)\}"', EXAMPLE.read_text()), "open")


def test_the_example_is_sound(example: Path) -> None:
    assert mistakes(example, example_environ()) == []
    assert [warning.partition(": ")[2] for warning in load(example, example_environ()).warnings] == [
        "kpis.vip_escalation_ratio.threshold: no shipped alert rule uses this threshold; "
        f"`outcome-exporter rules --config.file {example} --output DIR` writes the rules of this config"
    ]


def test_the_effective_config_of_the_example_means_the_same(example: Path) -> None:
    first = load(example, example_environ())
    content = effective.effective(first, strict_yaml.read_yaml(example)[0].data)
    (example.parent / "effective.yaml").write_text(strict_yaml.text(content))
    second = load(example.parent / "effective.yaml", example_environ())

    assert replace(second, file=example, warnings=()) == replace(first, warnings=())


def keys_of(shape: Any, data: Any, at: str = "") -> Iterator[tuple[str, set[str], set[str]]]:
    """(section, keys it may have, keys it has) for each section of fixed keys in the data."""
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        yield at, {field.alias or name for name, field in shape.model_fields.items()}, set(data)
        for name, field in shape.model_fields.items():
            yield from keys_of(field.annotation, data.get(name), f"{at}.{name}")
    elif isinstance(data, list):
        for inner in getattr(shape, "__args__", ()):
            for value in data if isinstance(inner, type) and issubclass(inner, BaseModel) else ():
                yield from keys_of(inner, value, at)
    elif data is not None:
        for inner in getattr(shape, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names = {field.alias or name for name, field in inner.model_fields.items()}
                values = [data] if set(data) <= names else data.values()
                for value in values:
                    yield from keys_of(inner, value, at)


def test_the_example_has_every_key_of_every_section() -> None:
    data = strict_yaml.load(EXAMPLE).data
    known: dict[str, set[str]] = {}
    has: dict[str, set[str]] = {}
    for at, may, does in keys_of(Whole, data):  # several workflows show all keys together
        known[at] = may
        has.setdefault(at, set()).update(does)

    one_of_two = {"person_key", "person_key_file"}  # a comment shows them: the default is neither
    known[".store"] -= one_of_two
    assert {key for key in one_of_two if f"{key}: " in EXAMPLE.read_text()} == one_of_two
    assert {".store", ".limits", ".workflows", ".services", ".teams", ".costs", ".otlp", ".log"} < set(known)
    assert known == has


def test_a_recurring_cost_lasts_to_the_end_of_its_last_day(example: Path) -> None:
    [cost] = load(example, example_environ()).plan.costs

    assert (cost.amount, cost.per, cost.workflow) == (1200, "month", "Invoice intake")
    assert (cost.begins_at, cost.ends_at) == (datetime(2026, 1, 1), datetime(2027, 1, 1))  # noqa: DTZ001 - as tables hold them


def test_the_example_has_every_key_of_an_auth_section() -> None:
    text = EXAMPLE.read_text()

    assert [key for key in AuthSection.model_fields if not re.search(rf"\b{key}: ", text)] == []


def test_the_example_has_every_key_of_a_mapping() -> None:
    sources = strict_yaml.load(EXAMPLE).data["sources"]
    rules = [rule for source in sources for part in ("segments", "fields") for rule in source.get(part, {}).values()]
    keys = {key for rule in rules for each in (rule if isinstance(rule, list) else [rule]) for key in each}

    assert keys - {"field"} == {field.name for field in dataclasses.fields(Rule)} - {"field", "from_"} | {"from"}


def test_the_example_has_every_key_of_kpis_and_every_record() -> None:
    data = strict_yaml.load(EXAMPLE).data
    params = {(name, param) for name, each in kpi.catalogue().items() for param in each.params}
    common = set(KpiSection.model_fields)
    given = {(name, key) for name, each in data["kpis"].items() for key in each if name in kpi.catalogue()}

    assert {key for _, key in given} & common == common
    assert {(name, key) for name, key in given if key not in common} == params
    assert set(data["labels"]) == set(RECORDS)


def test_the_example_lists_the_labels_that_each_record_may_have() -> None:
    text = EXAMPLE.read_text()
    own = {name: [label for label in record.LABELS if label not in SEGMENTS] for name, record in RECORDS.items()}

    assert [name for name, labels in own.items() if labels and f" {name}: {', '.join(labels)}" not in text] == []


def test_the_example_has_a_kpi_of_one_s_own_of_each_common_kind() -> None:
    written = one_by_one(strict_yaml.load(EXAMPLE).data["kpis"])
    own = {name: each for name, each in written.items() if name not in kpi.catalogue()}

    assert {each["kind"] for each in own.values()} >= {"ratio", "duration", "derived"}


def test_the_example_shows_the_defaults_where_it_says_so(example: Path) -> None:
    plain, shown = load(CONFIGS / "valid" / "smallest.yaml"), load(example, example_environ())

    assert shown.plan.labels == plain.plan.labels
    assert (shown.plan.windows, shown.plan.run_timeout) == (plain.plan.windows, plain.plan.run_timeout)
    assert (shown.limits, shown.log) == (plain.limits, plain.log)
    assert dataclasses.replace(shown.store, path=plain.store.path) == plain.store


# What the config offers is there


@pytest.mark.slow
def test_every_label_and_every_column_of_a_condition_is_in_the_facts(written: Any, tmp_path: Path) -> None:
    labels = "".join(f"  {record}: [{', '.join(names)}]\n" for record, names in LABELS.items())
    columns = predicate_columns("request")
    condition = " and ".join(name if kind == "boolean" else f"{name} <> ''" for name, kind in columns.items())
    found = written(f'{FILES}labels:\n{labels}kpis: {{deflection_ratio: {{eligible: "{condition}"}}}}\n')
    everything = {name: "x" for name, kind in columns.items() if kind == "text"}
    record = Request(
        **{**everything, "kind": "ticket", "channel": "email", "handled_by": "automation"},  # type: ignore[arg-type]  # words
        id="1",
        requester="ann",
        opened_at=AT - timedelta(hours=2),
        resolved_at=AT - timedelta(hours=1),
        self_service=True,
        legacy_path=True,
    )
    with empty_store(tmp_path) as store:
        store.write("s", [record], {})
        with store.reading() as reader:
            evaluation = evaluate(reader, found.plan, AT, [SourceStatus(source="s", records=frozenset(RECORDS))])
    figure = next(figure for figure in evaluation.figures if figure.kpi == "deflection_ratio")

    assert (figure.numerator, figure.denominator) == (1, 1)
    assert {name for name, _ in figure.segment} >= set(LABELS["request"])


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 5, -1, 0.5, "", "x", "7d", "${NOPE}", [], ["x"], [[]], {}, {"a": 1}, {"field": "a"}, "\u00e9" * 200]
)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*at, key))


def put(value: Any, at: tuple[str | int, ...], junk: Any) -> Any:
    if not at:
        return junk
    if isinstance(value, dict):
        return {key: put(each, at[1:], junk) if key == at[0] else each for key, each in value.items()}
    return [put(each, at[1:], junk) if i == at[0] else each for i, each in enumerate(value)]


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_stands_in_a_config_it_is_read_or_its_mistakes_are_listed(example: Path, data: st.DataObject) -> None:
    value = strict_yaml.load(example).data
    at = data.draw(st.sampled_from(sorted(places(value), key=str)))
    path = example.with_name("broken.yaml")
    path.write_text(json.dumps(put(value, at, data.draw(JUNK))))
    found = mistakes(path, example_environ())

    assert all(re.match(rf"{re.escape(str(path))}:1: ", mistake) for mistake in found)


# What KPIs are compared with

COMPARED = (
    FILES + "baselines: {previous: {}, control: {match: [category]}, fixed: {from: '2026-01-01', to: '2026-01-31'}}\n"
)
COHORT = "labels: {request: [team, cohort, category]}\n"


def compared(config: Config, name: str) -> Baselines:
    return {setting.kpi.name: setting.baselines for setting in config.plan.settings}[name]


def test_without_config_a_kpi_is_compared_with_what_its_declaration_says(written: Any) -> None:
    config = written(FILES)

    assert compared(config, "escalation_ratio").kinds == ("weekday_median",)
    assert compared(config, "deflection_ratio").kinds == ()


def test_what_is_configured_for_every_kpi_comes_beside_what_its_declaration_says(written: Any) -> None:
    config = written(COMPARED + COHORT)

    assert compared(config, "escalation_ratio").kinds == ("fixed", "previous", "control", "weekday_median")
    assert compared(config, "no_show_ratio").kinds == ("fixed", "previous")  # bookings have no cohort


def test_what_is_configured_for_one_kpi_replaces_everything(written: Any) -> None:
    config = written(COMPARED + COHORT + "kpis: {escalation_ratio: {baselines: {}}}\n")

    assert compared(config, "escalation_ratio").kinds == ()
    assert compared(config, "deflection_ratio").kinds == ("fixed", "previous", "control")


def test_a_control_group_is_summed_over_labels_that_are_not_to_match_but_never_over_a_label_of_the_kpi(
    written: Any,
) -> None:
    config = written(COMPARED + COHORT)
    alike = written(FILES + COHORT + "baselines: {control: {}}\n")

    assert compared(config, "resolution_seconds").control == ("cohort", "team")
    assert compared(alike, "resolution_seconds").control == ("cohort",)


def test_a_period_has_its_last_day(written: Any) -> None:
    period = compared(written(COMPARED), "escalation_ratio").fixed

    assert period == Period(begins_at=datetime(2026, 1, 1, tzinfo=UTC), ends_at=datetime(2026, 2, 1, tzinfo=UTC))


def test_weekdays_are_compared_only_where_the_shortest_window_is_a_day(written: Any) -> None:
    config = written(FILES + "windows: [7d]\nbaselines: {weekday_median: {}}\n")

    assert compared(config, "escalation_ratio").kinds == ()
    assert compared(config, "backlog").kinds == ("weekday_median",)


@pytest.mark.parametrize("host", ["a..b", "host:99999", "host:0", f"{'a' * 64}.example", "x" * 300, "a b"])
def test_an_address_that_there_can_never_be_is_a_mistake(host: str, written: Any) -> None:
    with pytest.raises(strict_yaml.Mistakes, match=r"sources\[0\]\.url: this is not an address"):
        written(N8N.replace("n8n.example.com", host))
