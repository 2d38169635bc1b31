"""The table of KPIs on a terminal: what concerns the reader, the worst first, and why the rest has no value."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from exporter.catalogue import kpi
from exporter.cli.table import hidden, kpi_table
from exporter.config import load
from exporter.connectors import CONNECTORS
from exporter.evaluation.instant import evaluate
from exporter.explain.summary import rows
from exporter.records import Request
from exporter.store.status import SourceStatus
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
CONFIG = """
sources: [{ name: desk, type: files, record: request, path: "requests.jsonl" }]
kpis:
  only: [support, change_failure_ratio, time_saved_seconds]
  groups: { support: { business_owner: head-of-service } }
  escalation_ratio: { threshold: { warning: 0.3, critical: 0.4 }, target: 0.2 }
  reopen_ratio: { target: 0.3 }
  deflection_ratio: { threshold: { warning: null, critical: null } }
  backlog: { threshold: { warning: 1, critical: 9 } }
"""
REQUESTS = [
    Request(
        id=str(i),
        opened_at=AT - timedelta(hours=30 + i),
        resolved_at=AT - timedelta(hours=i + 1),
        outcome="resolved",
        handled_by="human",
        requester=f"person {i}",
        human_seconds=600,
        reopen_count=int(i % 4 == 0),
        escalated_at=AT - timedelta(hours=i + 2) if i % 5 else None,
    )
    for i in range(40)
] + [Request(id=f"open {i}", opened_at=AT - timedelta(days=2), outcome="open") for i in range(3)]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Prints the table, with what may be asked of it."""
    folder: Path = tmp_path_factory.mktemp("table")
    (folder / "outcome.yaml").write_text(CONFIG)
    plan = load(folder / "outcome.yaml", kpi.catalogue(), CONNECTORS, {}).plan
    sources = [SourceStatus(source="desk", records=frozenset({"request"}), last_success=AT - timedelta(minutes=3))]
    with empty_store(folder / "store") as store:
        store.write("desk", REQUESTS, {})
        with store.reading() as reader:
            found = rows(evaluate(reader, plan, AT, sources), plan, sources)

    def text(**options: bool) -> str:
        out = io.StringIO()
        kpi_table(found, "7d", AT, Console(file=out, width=90), **options)
        return out.getvalue()

    return text


def first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.partition("NO VALUE")[0].splitlines()[2:] if line.strip()]


def line_of(text: str, name: str) -> list[str]:
    """The cells of a KPI."""
    [found] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return [cell.strip() for cell in found.split("  ") if cell.strip()]


def test_what_is_beyond_a_threshold_comes_first_then_headlines_drivers_and_controls(
    printed: Callable[..., str],
) -> None:
    shown = list(dict.fromkeys(first_words(printed())))

    assert shown[:5] == ["SUPPORT", "escalation_ratio", "backlog", "deflection_ratio", "automated_resolution_ratio"]
    assert shown.index("requests") < shown.index("reopen_ratio")


def test_a_line_says_value_interval_n_target_and_threshold(printed: Callable[..., str]) -> None:
    escalation = ["escalation_ratio", "80.0%", "65.2% to 89.5%", "40", "20.0%", "critical"]

    assert line_of(printed(), "escalation_ratio") == escalation
    assert line_of(printed(), "reopen_ratio")[-1] == "30.0% met"


def test_n_counts_records_and_a_sum_has_its_unit_instead(printed: Callable[..., str]) -> None:
    assert line_of(printed(), "backlog") == ["backlog", "3 requests", "warning"]
    assert line_of(printed(), "handle_seconds (human)") == ["handle_seconds (human)", "10.0 min", "10.0 min", "40"]


def test_how_old_it_is_is_said_once_where_it_is_the_same_for_all(printed: Callable[..., str]) -> None:
    assert printed().splitlines()[0] == "KPIs over 7d (states: now), read 3.0 min ago"


def test_kpis_without_a_value_are_listed_by_reason(printed: Callable[..., str]) -> None:
    without = printed().partition("NO VALUE\n")[2].splitlines()
    reasons = {line for line in without if line and not line.startswith((" ", "5 KPIs"))}

    assert "field missing: request.self_service 0.0% of records, 50% needed" in reasons
    assert [line for line in reasons if "no source" in line] == []


def test_what_no_source_feeds_is_counted(printed: Callable[..., str]) -> None:
    assert printed().splitlines()[-1] == "5 KPIs need records that no source gives: outcome-exporter kpis --all"
    assert "change_failure_ratio" not in printed()


def test_what_only_comes_along_is_counted() -> None:
    chosen, beside, unfed = {"kpi": "runs"}, {"kpi": "backlog"}, {"kpi": "spend", "absent": "no_source"}

    assert [*hidden([chosen, beside, unfed], [chosen])] == [
        "\n1 KPI needs records that no source gives; 1 KPI only comes with those that kpis.only names: "
        "outcome-exporter kpis --all"
    ]
    assert [*hidden([chosen], [chosen])] == []


def test_all_says_which_records_are_needed(printed: Callable[..., str]) -> None:
    lines = printed(every=True).splitlines()

    assert lines[lines.index("no source gives change records") + 1].split(", ")[0].strip() == "deployment_frequency"
    assert "--all" not in lines[-1]


def test_long_says_what_a_kpi_is_for_and_whose_it_is(printed: Callable[..., str]) -> None:
    told = line_of(printed(roles=True), "deflection_ratio")

    assert told[-4:] == ["headline", "lagging", "head-of-service", "weekly"]


def test_without_any_value_only_the_reasons_are_printed() -> None:
    row = {"kpi": "runs", "absent": "no_records", "chosen": True, "partial": {}, "unreadable": {"all": []}}
    out = io.StringIO()
    partial(kpi_table, [row | {"waiting": [], "coverage": {}}], "7d", AT)(Console(file=out, width=90))

    assert out.getvalue() == "\nNO VALUE\nno records\n  runs\n"


def test_before_anything_is_read_it_is_said_what_to_do() -> None:
    row = {"kpi": "runs", "absent": "initial_sync", "chosen": True, "partial": {}, "unreadable": {"all": []}}
    out = io.StringIO()
    partial(kpi_table, [row | {"waiting": [], "coverage": {}}], "7d", AT)(Console(file=out, width=90, soft_wrap=True))

    assert out.getvalue() == (
        "\nNO VALUE\nfirst sync\n  runs\n"
        "\nThe first sync has not ended: is outcome-exporter run running? Ask again in a moment\n"
    )


def test_before_the_first_evaluation_it_says_that_the_exporter_is_starting() -> None:
    out = io.StringIO()
    kpi_table([], "7d", AT, Console(file=out, width=90, soft_wrap=True))

    assert out.getvalue() == "No value is computed yet: the exporter is starting. Ask again in a moment\n"
