"""Metrics about the exporter itself: what is there from the start, what goes when a source goes, and the lint."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from exporter.base import errors
from exporter.collect import poll
from exporter.collect.selfmetrics import Health
from exporter.collect.source_metrics import REASONS
from exporter.records import RECORDS
from exporter.records.unreadable import REASONS as WHY

AT = datetime(2026, 3, 31, tzinfo=UTC)


@pytest.fixture
def health() -> Health:
    health = Health(version="1.2.3", revision="abc")
    health.sources.watch("desk", kind="request-tracker", interval_seconds=60, records=["request"], columns=["team"])
    health.sources.watch("flows", kind="n8n", interval_seconds=30, records=["run", "workflow"])
    health.evaluation.succeeded(AT, 0.5, series=12, folded={("no_show_ratio", "team"): 0, ("csat_ratio", "team"): 3})
    health.store.measured(dict.fromkeys(RECORDS, 0), 4096)
    return health


def series(health: Health) -> dict[str, float]:
    """Every sample but those of the process, as text -> value."""
    text = generate_latest(health.registry).decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("outcome_")]
    return {name: float(value) for name, _, value in lines}


def of_source(health: Health, source: str) -> set[str]:
    return {name for name in series(health) if f'source="{source}"' in name}


NAMES = [
    "outcome_exporter_build_info",
    "outcome_source_up",
    "outcome_source_last_success_timestamp_seconds",
    "outcome_source_poll_interval_seconds",
    "outcome_source_poll_duration_seconds",
    "outcome_source_polls_total",
    "outcome_source_poll_failures_total",
    "outcome_source_requests_total",
    "outcome_source_rate_limited_total",
    "outcome_source_records_total",
    "outcome_source_watermark_timestamp_seconds",
    "outcome_source_backfill_complete",
    "outcome_evaluation_duration_seconds",
    "outcome_evaluation_interval_seconds",
    "outcome_evaluation_last_timestamp_seconds",
    "outcome_evaluation_failures_total",
    "outcome_store_records",
    "outcome_store_size_bytes",
    "outcome_series",
    "outcome_series_folded",
    "outcome_series_limit",
    "outcome_config_last_reload_successful",
    "outcome_config_last_reload_success_timestamp_seconds",
    "outcome_otlp_exports_total",
    "outcome_otlp_export_failures_total",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_self_metric_has_a_series_from_the_start(health: Health, name: str) -> None:
    assert name in {each.partition("{")[0] for each in series(health)}


def test_what_the_config_names_stands_at_zero(health: Health) -> None:
    found = series(health)

    assert found['outcome_source_up{kind="n8n",source="flows"}'] == 0
    assert found['outcome_source_polls_total{source="flows"}'] == 0
    assert found['outcome_source_requests_total{code="200",source="flows"}'] == 0
    assert found['outcome_source_values_unread_total{column="team",source="desk"}'] == 0
    assert {found[f'outcome_source_poll_failures_total{{reason="{r}",source="desk"}}'] for r in REASONS} == {0}
    assert {found[f'outcome_source_items_skipped_total{{reason="{r}",source="desk"}}'] for r in WHY} == {0}
    assert {found[f'outcome_source_records_total{{record="{r}",source="flows"}}'] for r in ("run", "workflow")} == {0}
    assert found['outcome_source_watermark_timestamp_seconds{record="request",source="desk"}'] == 0


def test_reasons_are_those_that_polls_know() -> None:
    named = {error.reason for error in errors.SourceError.__subclasses__()}
    assert set(REASONS) == named | set(re.findall(r'return "(store|bug)"', Path(poll.__file__).read_text()))


def test_a_source_that_goes_takes_all_its_series_with_it(health: Health) -> None:
    observer = health.sources.observer("flows")
    observer.request("503")
    observer.rate_limited()
    health.sources.failed("flows", "unavailable", 1.0)
    health.sources.progress("flows", 5, 10)
    before = of_source(health, "desk")
    health.sources.forget("flows")
    health.sources.forget("never there")

    assert of_source(health, "flows") == set()
    assert of_source(health, "desk") == before


def test_watching_again_keeps_what_was_counted_and_drops_what_is_no_longer_configured(health: Health) -> None:
    health.sources.succeeded("flows", AT, 2.0)
    health.sources.read("flows", {"run": 3, "workflow": 1}, {"run": AT, "workflow": AT})
    health.sources.watch("flows", kind="files", interval_seconds=90, records=["run"], columns=["team"])
    found = series(health)

    assert found['outcome_source_polls_total{source="flows"}'] == 1
    assert found['outcome_source_records_total{record="run",source="flows"}'] == 3
    assert found['outcome_source_poll_interval_seconds{source="flows"}'] == 90
    assert found['outcome_source_up{kind="files",source="flows"}'] == 0
    assert not [name for name in of_source(health, "flows") if "n8n" in name or "workflow" in name]


def test_a_record_that_a_source_no_longer_feeds_has_no_watermark(health: Health) -> None:
    health.sources.read("desk", {}, {"request": AT, "incident": AT})

    marks = {name for name in of_source(health, "desk") if "watermark" in name}
    assert marks == {'outcome_source_watermark_timestamp_seconds{record="request",source="desk"}'}


def test_folded_labels_are_those_of_the_last_evaluation(health: Health) -> None:
    health.evaluation.succeeded(AT, 0.5, series=12, folded={("csat_ratio", "team"): 0})

    folded = {name: value for name, value in series(health).items() if name.startswith("outcome_series_folded")}
    assert folded == {'outcome_series_folded{kpi="csat_ratio",label="team"}': 0}


def test_failures_are_counted_beside_attempts(health: Health) -> None:
    health.sources.succeeded("desk", AT, 1.5)
    health.sources.failed("desk", "auth", 0.5)
    health.evaluation.failed(0.1)
    health.otlp.attempted()
    health.otlp.attempted()
    health.otlp.failed()
    health.reload.succeeded(AT)
    health.reload.failed()
    found = series(health)

    assert found['outcome_source_polls_total{source="desk"}'] == 2
    assert found['outcome_source_poll_failures_total{reason="auth",source="desk"}'] == 1
    assert found['outcome_source_poll_duration_seconds{source="desk"}'] == 0.5
    assert found['outcome_source_last_success_timestamp_seconds{source="desk"}'] == AT.timestamp()
    assert found["outcome_evaluation_failures_total"] == 1
    assert (found["outcome_otlp_exports_total"], found["outcome_otlp_export_failures_total"]) == (2, 1)
    assert found["outcome_config_last_reload_successful"] == 0
    assert found["outcome_config_last_reload_success_timestamp_seconds"] == AT.timestamp()


def test_there_are_no_created_series_and_the_process_is_there(health: Health) -> None:
    text = generate_latest(health.registry).decode()

    assert "_created" not in text
    assert {"process_resident_memory_bytes", "python_info", "python_gc_collections_total"} <= set(
        re.findall(r"^(\w+)", text, re.MULTILINE)
    )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say(health: Health) -> None:
    health.sources.observer("desk").request("429")
    found = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(health.registry), capture_output=True, check=False
    )

    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")
