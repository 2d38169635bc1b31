"""How far figures can be believed: coverage, what is unattributed, and what is withdrawn for want of a field."""

import io
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exporter.catalogue import kpi
from exporter.cli.table import kpi_table
from exporter.evaluation.checks import COVERAGE
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.context import prepare, utc
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, SourceSetting
from exporter.evaluation.range import Instants, evaluations
from exporter.evaluation.rows import rows_at
from exporter.explain.explain import explain
from exporter.explain.query import Question
from exporter.explain.summary import rows
from exporter.explain.wording import notes
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.records import RECORDS, Booking, Change, Cost, Record, Request, Run
from exporter.server.cards import card
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests import test_evaluate
from tests.scenario import empty_store

pytestmark = pytest.mark.slow  # every KPI is computed

AT = datetime(2026, 3, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
FEEDS = [SourceStatus(source=name, records=frozenset({"request", "cost", "change"})) for name in ("desk", "chat")]
FEEDS.append(SourceStatus(source="cal", records=frozenset({"booking"})))
FEEDS.append(SourceStatus(source="bot", records=frozenset({"run"})))


def plan(min_coverage: float = 0.5, **own: float) -> Plan:
    """The whole catalogue; `own`: KPI -> a level of its own."""
    whole = test_evaluate.plan()
    levelled = [replace(s, min_coverage=own.get(s.kpi.name, min_coverage)) for s in whole.settings]
    return replace(whole, settings=levelled)


def resolved(name: str, *, ago: timedelta = HOUR, **told: Any) -> Request:
    """A request that a person resolved, of which little is known."""
    end = AT - ago
    return Request(id=name, opened_at=end - HOUR, resolved_at=end, outcome="resolved", **told)


def counted(folder: Path, by_source: Mapping[str, list[Record]], chosen: Plan | None = None) -> Evaluation:
    with Store.open(folder / "store.duckdb") as store:
        for source, records in by_source.items():
            store.write(source, records, {})
        with store.reading() as reader:
            found = evaluate(reader, chosen or plan(), AT, FEEDS)
            [again] = evaluations(reader, chosen or plan(), Instants(first=AT, step=HOUR, count=1), lambda _at: FEEDS)
    assert (set(found.figures), found.absent) == (set(again.figures), again.absent)  # history withdraws alike
    return found


def filled(number: int, of: int = 10, *, ago: timedelta = HOUR, name: str = "r") -> list[Record]:
    """Requests of which some have a handler."""
    return [resolved(f"{name}{i}", ago=ago, handled_by="human" if i < number else None) for i in range(of)]


def published(found: Evaluation, name: str) -> set[str | None]:
    """The windows in which a KPI has figures."""
    return {figure.window for figure in found.figures if figure.kpi == name}


def covered(found: Evaluation, field: str, window: str = "7d") -> dict[str, tuple[float, float | None]]:
    return {
        dict(f.segment)["source"]: (f.numerator, f.denominator)
        for f in found.coverage
        if dict(f.segment)["field"] == field and f.window == window
    }


def test_a_kpi_whose_field_is_filled_on_few_records_is_withdrawn_and_so_is_what_is_made_of_it(tmp_path: Path) -> None:
    cost = Cost(id="c", amount=5.0, currency="EUR", kind="labour", period_start=AT - 2 * HOUR, period_end=AT - HOUR)

    found = counted(tmp_path, {"desk": [*filled(4), cost]})

    assert found.absent["automated_resolution_ratio"] == "field_missing"
    assert found.absent["cost_per_request"] == "field_missing"
    assert "escalation_ratio" not in found.absent
    assert "spend" not in found.absent
    assert covered(found, "handled_by") == {"desk": (4, 10)}


def test_no_escalation_is_none_only_where_the_source_reports_them(tmp_path: Path) -> None:
    silent = replace(plan(), sources={"chat": SourceSetting(escalations_reported=False)})

    def folder(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    found = counted(folder("one"), {"chat": filled(9)}, silent)
    mostly = counted(folder("two"), {"chat": filled(4, of=4), "desk": filled(6, of=6, name="d")}, silent)

    assert covered(found, "escalated_at") == {"chat": (0, 10)}
    assert found.absent["escalation_ratio"] == "field_missing"
    assert "backlog_change" not in found.absent
    assert covered(mostly, "escalated_at") == {"chat": (0, 4), "desk": (6, 6)}
    assert "escalation_ratio" not in mostly.absent


def test_runs_whose_times_contradict_each_other_are_missed(tmp_path: Path) -> None:
    known = Run(id="a", queued_at=AT - 3 * HOUR, started_at=AT - 2 * HOUR, finished_at=AT - HOUR, status="succeeded")
    backwards = [
        replace(known, id=str(i), queued_at=AT - HOUR, started_at=AT - HOUR, finished_at=AT - 2 * HOUR)
        for i in range(9)
    ]  # fmt: skip - a run is one thing

    found = counted(tmp_path, {"bot": [known, *backwards]})

    assert covered(found, "started_at") == {"bot": (1, 10)}
    assert covered(found, "queued_at") == {"bot": (10, 10)}
    assert found.absent["run_seconds"] == "field_missing"
    assert "completion_ratio" not in found.absent


def test_changes_with_a_result_and_without_its_time_are_missed(tmp_path: Path) -> None:
    known = [Change(id="a", requested_at=AT - 2 * HOUR, deployed_at=AT - HOUR, result="succeeded")]
    unknown = [Change(id=str(i), requested_at=AT - HOUR, result="succeeded") for i in range(19)]
    waiting = [Change(id=f"w{i}", requested_at=AT - HOUR, result="pending") for i in range(9)]

    found = counted(tmp_path, {"desk": [*known, *unknown, *waiting]})

    assert covered(found, "deployed_at") == {"desk": (1, 20)}
    assert found.absent["deployment_frequency"] == "field_missing"
    assert found.absent["change_failure_ratio"] == "field_missing"


def test_costs_without_a_period_are_missed(tmp_path: Path) -> None:
    known = Cost(id="a", amount=1.0, currency="EUR", kind="labour", period_start=AT - 2 * HOUR, period_end=AT - HOUR)
    unknown = [replace(known, id=str(i), period_end=None) for i in range(9)]

    found = counted(tmp_path, {"desk": [known, *unknown]})

    assert covered(found, "period") == {"desk": (1, 10)}
    assert covered(found, "amount") == {"desk": (1, 1)}
    assert found.absent["spend"] == "field_missing"


@pytest.mark.parametrize(("number", "absent"), [(5, False), (6, False), (4, True)])
def test_a_field_that_is_filled_on_half_of_the_records_is_enough(tmp_path: Path, number: int, absent: bool) -> None:
    found = counted(tmp_path, {"desk": filled(number)})

    assert (found.absent.get("automated_resolution_ratio") == "field_missing") == absent


def test_a_kpi_has_its_own_level(tmp_path: Path) -> None:
    strict = plan(automated_resolution_ratio=0.8, cost_per_request=0.9)
    found = counted(tmp_path, {"desk": filled(7)}, strict)

    assert found.absent["automated_resolution_ratio"] == "field_missing"
    assert "assisted_resolution_ratio" not in found.absent


@pytest.mark.parametrize(("number", "bases"), [(4, {"calendar"}), (5, {"calendar", "calendar_active"})])
def test_time_on_hold_that_is_known_too_rarely_withdraws_only_what_it_is_taken_off(
    tmp_path: Path, number: int, bases: set[str]
) -> None:
    records = [resolved(f"r{i}", on_hold_seconds=60.0 if i < number else None) for i in range(10)]
    found = counted(tmp_path, {"desk": [*records]})

    assert {dict(f.segment)["basis"] for f in found.figures if f.kpi == "resolution_seconds"} == bases
    assert covered(found, "on_hold_seconds") == {"desk": (number, 10)}
    assert covered(found, "on_hold_business_seconds") == {}  # no calendar, no business time
    assert "resolution_seconds" not in found.absent


def test_nothing_is_withdrawn_where_the_level_is_0(tmp_path: Path) -> None:
    found = counted(tmp_path, {"desk": filled(0)}, plan(0))

    assert "field_missing" not in found.absent.values()
    assert published(found, "automated_resolution_ratio") == {"1d", "7d", "30d", "90d"}


def test_windows_are_judged_one_by_one_and_nothing_of_a_withdrawn_one_is_published(tmp_path: Path) -> None:
    records = filled(10) + filled(0, 20, ago=timedelta(days=3), name="old")
    found = counted(tmp_path, {"desk": records})
    families = series(found, plan(), Limits()).snapshot.families
    names = ("outcome_automated_resolution", "outcome_deflection")
    windows = {
        values[0] for f in families if f.name.startswith(names) and f.labels[0] == "window" for values, _ in f.samples
    }

    assert published(found, "automated_resolution_ratio") == {"1d"}
    assert "automated_resolution_ratio" not in found.absent
    assert windows == {"1d"}


def test_sources_are_judged_together_and_shown_apart(tmp_path: Path) -> None:
    few, many = filled(0, 4), filled(10, 10, name="m")
    found = counted(tmp_path, {"desk": few, "chat": many})

    assert covered(found, "handled_by") == {"chat": (10, 10), "desk": (0, 4)}
    assert "automated_resolution_ratio" not in found.absent


def test_a_field_for_which_another_stands_in_is_told_and_withdraws_nothing(tmp_path: Path) -> None:
    asked = AT - 5 * HOUR
    changes: list[Record] = [
        Change(id=str(i), requested_at=asked, deployed_at=AT - HOUR, result="succeeded") for i in range(3)
    ]
    found = counted(tmp_path, {"desk": changes})

    assert covered(found, "first_commit_at") == {"desk": (0, 3)}
    assert covered(found, "begin") == {"desk": (3, 3)}
    assert "lead_time_seconds" not in found.absent


def test_where_nobody_marks_who_came_there_is_no_rate_and_the_share_of_marks_is_published(tmp_path: Path) -> None:
    past: dict[str, Any] = {"starts_at": AT - 9 * HOUR, "attendance_due_at": AT - HOUR}
    unmarked: list[Record] = [
        Booking(id=str(i), outcome="attended", attendance_marked=False, **past) for i in range(19)
    ]
    mark = Booking(id="m", outcome="no_show", attendance_marked=True, **{**past, "starts_at": AT - 10 * HOUR})
    nobody, somebody = counted(tmp_path, {"cal": unmarked}), counted(tmp_path, {"cal": [*unmarked, mark]})

    assert nobody.absent["no_show_ratio"] == nobody.absent["attendance_ratio"] == "field_missing"
    assert covered(nobody, "attendance_mark") == {"cal": (0, 19)}
    assert {"no_show_ratio", "attendance_ratio"}.isdisjoint(somebody.absent)
    assert covered(somebody, "attendance_mark") == {"cal": (1, 20)}


def test_where_there_is_nothing_that_should_have_a_field_nothing_is_said_of_it(tmp_path: Path) -> None:
    still_open: list[Record] = [Request(id="1", opened_at=AT - HOUR, outcome="open")]
    found = counted(tmp_path, {"desk": still_open})

    assert covered(found, "handled_by") == {}
    assert found.absent["automated_resolution_ratio"] == "no_records"
    assert "requests" not in found.absent


def test_a_field_that_is_no_matter_of_time_is_given_in_every_window(tmp_path: Path) -> None:
    records = test_evaluate.history(1, 20)
    with empty_store(tmp_path) as store:
        store.write("s", records, {})
        with store.reading() as reader:
            found = evaluate(reader, plan(0), AT, [SourceStatus(source="s", records=frozenset(RECORDS))])
    family = next(f for f in series(found, plan(0), Limits()).snapshot.families if f.name == "outcome_coverage_ratio")
    windows = {values[0] for values, _ in family.samples if values[2:] == ("account", "mfa")}

    assert family.labels == ("window", "source", "record", "field")
    assert windows == {"1d", "7d", "30d", "90d"}


def test_what_no_rule_of_attribution_reached_is_counted(tmp_path: Path) -> None:
    changes: list[Record] = [
        Change(id=str(i), service="x", deployed_at=AT - HOUR, result="failed" if i < 3 else "succeeded")
        for i in range(5)
    ]
    found = counted(tmp_path, {"desk": [*filled(6), *changes]})
    shares = {dict(f.segment)["kpi"]: (f.numerator, f.denominator) for f in found.unattributed if f.window == "7d"}

    assert shares["automated_resolution_ratio"] == (4, 10)
    assert shares["change_failure_ratio"] == (3, 3)


def test_what_is_said_of_a_field_that_is_missing_names_it_and_what_to_do(tmp_path: Path) -> None:
    found = counted(tmp_path, {"desk": filled(4)})
    chosen = plan()
    name = "automated_resolution_ratio"
    told = [row for row in rows(found, chosen, []) if row["kpi"] == name]
    shown = card(next(each for each in chosen.settings if each.kpi.name == name), chosen, told)
    with Store.open(tmp_path / "store.duckdb") as store:
        asked = Question(kpi="automated_resolution_ratio", window="7d")
        with store.reading() as reader:
            answer = explain(reader, chosen, AT, FEEDS, asked)

    assert shown["absent"] == "field missing: request.handled_by 40.0% of records, 50% needed"
    assert "request.handled_by (40.0%)" in shown["fields"]
    assert answer["absent"] == "field_missing"
    assert {each["field"]: each["by_source"] for each in answer["coverage"]}["handled_by"] == {"desk": 0.4}
    assert answer["unattributed"] == 0.6
    assert any("handled_by of request is known on 40.0%" in note and "min_coverage" in note for note in notes(answer))


def test_the_command_says_which_field_is_missing(tmp_path: Path) -> None:
    out = Console(file=io.StringIO(), width=200)
    kpi_table(rows(counted(tmp_path, {"desk": filled(4)}), plan(), []), "7d", AT, out)

    assert "field missing: request.handled_by 40.0% of records, 50% needed" in out.file.getvalue()  # type: ignore[attr-defined]  # a text in memory


# Declarations


def test_every_kpi_that_is_counted_says_which_fields_it_needs_if_only_none() -> None:
    silent = [k.name for k in kpi.catalogue().values() if k.kind != "derived" and "fields" not in k.model_fields_set]

    assert silent == []


def test_a_kpi_needs_fields_of_records_that_it_is_made_from() -> None:
    for each in kpi.catalogue().values():
        assert {field.record for field in each.fields} <= each.fed_by, each.name
        assert not (each.unattributed and each.kind == "derived"), each.name
        for field in each.fields:
            assert field.source_column in {f.name for record in each.fed_by for f in fields(RECORDS[record])}, field


def test_every_declared_predicate_fits_its_facts(tmp_path: Path) -> None:
    whole = plan()
    measures = [check.measure for check in compile_plan(whole).checks]
    with empty_store(tmp_path) as store, store.reading() as reader:
        prepare(reader, whole, AT, [])
        for measure in measures:
            made, weight = measure.kpi, measure.kpi.weight
            texts = (made.numerator, made.denominator, weight, made.placed_by)
            columns = ", ".join(f"({text.format_map(measure.setting.params)})" for text in texts if text)
            described = reader.execute(f"describe select {columns} {rows_at(made.facts, whole, utc(AT))}").fetchall()
            kinds = [row[1] for row in described]

            assert kinds[:2] == ["BOOLEAN", "BOOLEAN"], measure.fixed

    assert sum(measure.name == COVERAGE for measure in measures) > 50


def test_a_field_that_is_not_declared_is_refused() -> None:
    body = {"facts": "request", "fields": ["requesters"]}

    assert kpi.with_fields(body, {})["fields"] == ["request.requesters"]
    with pytest.raises(ValueError, match="fields"):
        kpi.KPI.validate_python({**kpi.catalogue()["requests"].model_dump(by_alias=True), "fields": ["request.x"]})
