"""Baselines: what figures are compared with, matched on both sides, frozen where they are to last."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.base import clock
from exporter.base.clock import BEGINNING, NEVER
from exporter.baselines.compare import Baseline, compare, totals, unmatched
from exporter.baselines.frozen import reach
from exporter.baselines.lookback import BaselineCache
from exporter.catalogue import kpi
from exporter.evaluation.compiled import narrowed
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Baselines, Period, Plan, Setting
from exporter.evaluation.stats import Family
from exporter.explain import summary, wording
from exporter.explain.baselines import comparisons
from exporter.explain.query import question
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.records import RECORDS, Request
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.program import command, running, value
from tests.scenario import WINDOWS, empty_store, params

AT = datetime(2026, 3, 31, 12, 34, 56, tzinfo=UTC)  # a Tuesday
HOUR = AT.replace(minute=0, second=0)
DAY = timedelta(days=1)
JANUARY = Period(begins_at=datetime(2026, 1, 1, tzinfo=UTC), ends_at=datetime(2026, 2, 1, tzinfo=UTC))
FEED = SourceStatus(source="s", records=frozenset(RECORDS))


def plan(name: str, labels: Sequence[str] = ("team",), **kinds: object) -> Plan:
    """One KPI with what it is made of, compared with this."""
    settings = [Setting(kpi=each, params=params(each, {})) for each in kpi.catalogue().values()]
    whole = Plan(settings=settings, windows=[*WINDOWS.items()], labels=dict.fromkeys(RECORDS, tuple(labels)))
    mine = narrowed(whole, {name})
    compared = Baselines(**kinds)  # type: ignore[arg-type]  # each kind has a type of its own
    return replace(mine, settings=[replace(s, baselines=compared) if s.kpi.name == name else s for s in mine.settings])


def ended(id_: str, at: datetime, *, team: str = "it", escalated: bool = False) -> Request:
    """A request that ended at an instant."""
    return Request(
        id=id_,
        team=team,
        opened_at=at - timedelta(hours=2),
        resolved_at=at,
        escalated_at=at - timedelta(hours=1) if escalated else None,
        requester=id_,
        handled_by="human",
        outcome="resolved",
    )


def evaluated(
    store: Store,
    made: Plan,
    at: datetime = AT,
    sources: Sequence[SourceStatus] = (FEED,),
    memory: BaselineCache | None = None,
) -> Evaluation:
    with store.reading() as reader:
        found = evaluate(reader, made, at, sources)
        return replace(found, baselines=(memory or BaselineCache()).past(reader, store, made, at, sources))


def compared(evaluation: Evaluation, made: Plan) -> dict[tuple[str, str | None, str], Baseline]:
    """(baseline, window, values of labels) -> what is compared with."""
    settings = {s.kpi.name: s for s in made.settings}
    found = compare(evaluation.figures, evaluation.baselines, settings)
    return {(b.kind, b.window, ",".join(value for _, value in b.segment)): b for b in found}


def reasons(evaluation: Evaluation, made: Plan) -> set[tuple[str, str]]:
    """(baseline, why it is missing)"""
    settings = {s.kpi.name: s for s in made.settings}
    found = compare(evaluation.figures, evaluation.baselines, settings)
    return {(kind, why) for _, kind, why in unmatched(evaluation, found, made.settings)}


def published(evaluation: Evaluation, made: Plan, limits: Limits | None = None) -> dict[str, Family]:
    return {family.name: family for family in series(evaluation, made, limits or Limits()).snapshot.families}


@pytest.fixture
def store(tmp_path: Path) -> Iterable[Store]:
    with empty_store(tmp_path) as opened:
        yield opened


# One window earlier


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["escalation_ratio", "resolution_seconds", "requests", "backlog", "backlog_change", "deflection_ratio"]
)
def test_the_previous_figure_is_what_evaluation_at_that_instant_gives(store: Store, name: str) -> None:
    made = plan(name, previous=True)
    history = [
        ended(str(i), HOUR - timedelta(hours=i * 7, minutes=i), team=f"t{i % 3}", escalated=i % 5 == 0)
        for i in range(700)
    ]
    waiting = [replace(each, id=f"{each.id}w", resolved_at=None) for each in history[::9]]
    store.write("s", [*history, *waiting], {})

    found = compared(evaluated(store, made), made)
    windows = WINDOWS if made.settings[-1].kpi.windowed else {None: WINDOWS["7d"]}
    then = {
        (window, ",".join(value for _, value in f.segment)): (f.numerator, f.denominator)
        for window, seconds in windows.items()
        for f in evaluated(store, made, HOUR - timedelta(seconds=seconds)).figures
        if f.window == window and f.kpi == name
    }

    assert len(found) >= 3
    assert {key[1:]: (b.numerator, b.denominator) for key, b in found.items()} == then


def test_within_the_hour_nothing_is_computed_again_and_the_next_hour_sees_what_came(store: Store) -> None:
    made, memory = plan("requests", previous=True), BaselineCache()
    store.write("s", [ended("a", HOUR - timedelta(hours=3)), ended("b", HOUR - 10 * DAY)], {})
    first = evaluated(store, made, memory=memory).baselines
    store.write("s", [ended("c", HOUR - 10 * DAY)], {})

    assert evaluated(store, made, AT + timedelta(minutes=20), memory=memory).baselines is first
    later = compared(evaluated(store, made, AT + timedelta(minutes=30), memory=memory), made)
    assert later["previous", "7d", "it"].value == 2


def test_history_that_does_not_reach_back_is_no_baseline_and_says_so(store: Store) -> None:
    made = plan("requests", previous=True)
    store.write("s", [ended("a", HOUR - timedelta(hours=3)), ended("b", HOUR - 10 * DAY)], {})
    young = replace(FEED, whole_since=HOUR - 20 * DAY)

    found = evaluated(store, made, sources=[young])

    assert {window for _, window, _ in compared(found, made)} == {"1d", "7d"}
    assert reasons(found, made) == {("previous", "no_history")}
    assert reasons(evaluated(store, made, sources=[replace(FEED, whole_since=NEVER)]), made) == {
        ("previous", "no_history")
    }


def test_a_baseline_of_other_segments_only_is_none(store: Store) -> None:
    made = plan("escalation_ratio", previous=True)
    store.write("s", [ended("a", HOUR - timedelta(hours=3)), ended("b", HOUR - 190 * DAY + DAY, team="old")], {})

    nothing, other = plan("csat_ratio", previous=True), evaluated(store, made, HOUR)

    assert reasons(other, made) == {("previous", "no_records")}
    assert reasons(evaluated(store, nothing), nothing) == {("previous", "no_records")}


def test_a_kpi_that_is_withdrawn_says_the_same_of_its_baseline(store: Store) -> None:
    made = plan("requests", previous=True)
    store.write("s", [ended("a", HOUR - timedelta(hours=3))], {})

    found = evaluated(store, made, sources=[replace(FEED, stale=True)])

    assert reasons(found, made) == {("previous", "stale_source")}


def test_totals_have_matched_segments_only_on_both_sides(store: Store) -> None:
    made = plan("escalation_ratio", previous=True)
    now, then = HOUR - timedelta(hours=3), HOUR - timedelta(hours=30)
    rows = [ended("a", now, escalated=True), ended("b", now), ended("c", now, team="new"), ended("d", then)]
    store.write("s", [*rows, ended("e", then, team="old"), ended("f", then, escalated=True), ended("g", then)], {})
    found = evaluated(store, made)
    made_by_name = {s.kpi.name: s for s in made.settings}
    [whole] = [
        total
        for total in totals(found.figures, found.baselines, made_by_name, lambda _kpi: ())
        if total.now.window == "1d"
    ]

    assert (whole.now.numerator, whole.now.denominator) == (1, 2)
    assert (whole.then.numerator, whole.then.denominator) == (1, 3)


def test_what_is_folded_now_is_folded_then_and_sums_come_before_the_quotient(store: Store) -> None:
    made = plan("escalation_ratio", previous=True)
    now, then = HOUR - timedelta(hours=3), HOUR - timedelta(hours=30)
    rows = [ended(f"a{i}", now) for i in range(9)] + [ended(f"b{i}", then) for i in range(9)]
    for i, team in enumerate(("x", "y", "z")):
        rows += [ended(f"{team}{n}", now, team=team) for n in range(2)]
        rows += [ended(f"then{team}{n}", then, team=team, escalated=i == 0) for n in range(i + 1)]
    rows.append(ended("gone", then, team="gone", escalated=True))  # nothing now: it has no name of its own then either
    store.write("s", rows, {})

    found = published(evaluated(store, made), made, Limits(values_per_label=1))
    samples = dict(found["outcome_escalation_ratio_baseline"].samples)
    below = dict(found["outcome_escalation_baseline_denominator"].samples)

    assert set(samples) >= {("1d", "it", "previous"), ("1d", "other", "previous")}
    assert below["1d", "other", "previous"] == 1 + 2 + 3 + 1
    assert samples["1d", "other", "previous"] == 2 / 7


def test_a_team_named_other_is_not_mixed_with_one_that_is_gone(store: Store) -> None:
    made = plan("requests", previous=True)
    now, then = HOUR - timedelta(hours=3), HOUR - timedelta(hours=30)
    store.write("s", [ended("a", now, team="other"), ended("b", then, team="other"), ended("c", then, team="old")], {})

    samples = dict(published(evaluated(store, made), made)["outcome_requests_baseline"].samples)

    assert samples["1d", "other", "previous"] == 1


# The same day of the week


@pytest.mark.parametrize(
    ("weeks", "expected"), [((1, 2, 3, 8), None), ((1, 2, 3, 4, 5), 3.0), (tuple(range(1, 10)), 4.5)]
)
def test_a_weekday_needs_five_of_eight(store: Store, weeks: tuple[int, ...], expected: float | None) -> None:
    made = plan("csat_ratio", weekday_median=True)
    rated = [
        replace(ended(f"{week}", HOUR - 7 * week * DAY - timedelta(hours=1)), csat=float(week)) for week in (0, *weeks)
    ]
    store.write("s", rated, {})

    found = compared(evaluated(store, made), made)

    assert [b.value for b in found.values()] == ([] if expected is None else [expected])
    assert {b.denominator for b in found.values()} == (set() if expected is None else {min(len(weeks), 8)})
    assert {window for _, window, _ in found} <= {"1d"}


def test_a_count_of_nothing_is_a_day_like_others(store: Store) -> None:
    made = plan("requests", weekday_median=True)
    store.write("s", [ended("a", HOUR - timedelta(hours=1)), ended("b", HOUR - 60 * DAY)], {})

    assert compared(evaluated(store, made), made)["weekday_median", "1d", "it"].value == 0


def test_five_weeks_within_reach_are_enough_and_four_are_not(store: Store) -> None:
    made = plan("requests", weekday_median=True)
    days = [ended(f"{week}", HOUR - 7 * week * DAY - timedelta(hours=1)) for week in range(9)]
    store.write("s", days, {})
    five, four = (replace(FEED, whole_since=HOUR - (7 * weeks + 1) * DAY) for weeks in (5, 4))

    assert reasons(evaluated(store, made, sources=[five]), made) == set()
    assert reasons(evaluated(store, made, sources=[four]), made) == {("weekday_median", "no_history")}


# The control group


def test_the_control_group_stands_beside_the_others_and_never_beside_itself(store: Store) -> None:
    made = plan("escalation_ratio", ("team", "cohort"), control=("cohort", "team"))
    now = HOUR - timedelta(hours=3)
    rows = [
        replace(ended("a", now), cohort="wave1"),
        replace(ended("b", now, team="hr", escalated=True), cohort="control"),
        replace(ended("c", now, team="uk"), cohort="control"),
    ]
    store.write("s", rows, {})
    found = evaluated(store, made)

    one = compared(found, made)["control", "1d", "it,wave1"]

    assert (one.numerator, one.denominator) == (1, 2)
    assert {segment for _, _, segment in compared(found, made)} == {"it,wave1"}
    assert reasons(found, made) == set()


def test_without_a_control_group_there_is_nothing_to_compare_with(store: Store) -> None:
    made = plan("escalation_ratio", ("team", "cohort"), control=("cohort",))
    store.write("s", [replace(ended("a", HOUR - DAY / 2), cohort="wave1")], {})
    alone = reasons(evaluated(store, made), made)
    store.write("s", [replace(ended("b", HOUR - DAY / 2, team="hr"), cohort="control")], {})

    assert alone == {("control", "no_records")}
    assert reasons(evaluated(store, made), made) == {("control", "no_match")}


# A period before it all began

OLD = [ended(f"o{i}", JANUARY.begins_at + i * DAY, escalated=i < 10) for i in range(31)]
NEW = [ended(f"n{i}", HOUR - timedelta(hours=i + 1)) for i in range(4)]


def test_a_period_is_frozen_and_survives_its_records_and_a_restart(tmp_path: Path) -> None:
    made = plan("escalation_ratio", fixed=JANUARY)
    with Store.open(tmp_path / "store.duckdb") as opened:
        opened.write("s", [*OLD, *NEW], {})
        first = compared(evaluated(opened, made), made)["fixed", "7d", "it"]
        assert opened.retain(JANUARY.ends_at + DAY)
    with Store.open(tmp_path / "store.duckdb") as opened:
        again = compared(evaluated(opened, made, sources=[replace(FEED, whole_since=JANUARY.ends_at)]), made)

    assert (first.value, first.numerator, first.denominator) == (10 / 31, 10, 31)
    assert again["fixed", "7d", "it"] == first


def test_what_comes_later_does_not_change_a_frozen_period(store: Store) -> None:
    made = plan("escalation_ratio", fixed=JANUARY)
    store.write("s", [*OLD, *NEW], {})
    evaluated(store, made)
    store.write("s", [ended("late", JANUARY.begins_at + DAY, escalated=True)], {})

    assert compared(evaluated(store, made), made)["fixed", "7d", "it"].denominator == 31


def test_a_changed_definition_is_computed_anew_and_said_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    made, memory = plan("deflection_ratio", fixed=JANUARY), BaselineCache()
    changed = replace(made, settings=[replace(s, params={**s.params, "eligible": "escalated"}) for s in made.settings])
    store.write("s", [*OLD, *NEW, ended("n", HOUR - DAY / 2, escalated=True)], {})
    with caplog.at_level(logging.WARNING):
        before = compared(evaluated(store, made, memory=memory), made)["fixed", "7d", "it"]
        after = [compared(evaluated(store, changed, memory=memory), changed)["fixed", "7d", "it"] for _ in range(2)]

    assert (before.denominator, [b.denominator for b in after]) == (31, [10, 10])
    assert [record.message.split(" it")[0] for record in caplog.records] == [
        "the fixed baseline of deflection_ratio from 2026-01-01 until 2026-02-01 is computed again, because"
    ]


def test_a_changed_definition_without_its_records_is_withdrawn_and_said_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made, memory = plan("deflection_ratio", fixed=JANUARY), BaselineCache()
    changed = replace(made, settings=[replace(s, params={**s.params, "eligible": "escalated"}) for s in made.settings])
    store.write("s", [*OLD, *NEW, ended("n", HOUR - DAY / 2, escalated=True)], {})
    evaluated(store, made, memory=memory)
    young = [replace(FEED, whole_since=JANUARY.ends_at)]
    with caplog.at_level(logging.WARNING):
        for hours in range(3):
            found = evaluated(store, changed, AT + timedelta(hours=hours), young, memory)

    assert reasons(found, changed) == {("fixed", "definition_changed")}
    assert len(caplog.records) == 1
    assert store.frozen_baselines()["deflection_ratio"].parts != ()


@pytest.mark.parametrize(
    ("feed", "at", "reason"),
    [
        (FEED, JANUARY.ends_at + timedelta(hours=23), "period_not_over"),
        (replace(FEED, whole_since=JANUARY.begins_at + timedelta(seconds=1)), AT, "no_history"),
        (replace(FEED, complete=False, whole_since=NEVER), AT, "initial_sync"),
        (replace(FEED, stale=True), AT, "stale_source"),
    ],
)
def test_a_period_that_is_not_known_whole_is_not_frozen(
    store: Store, feed: SourceStatus, at: datetime, reason: str
) -> None:
    made = plan("escalation_ratio", fixed=JANUARY)
    store.write("s", [*OLD, *NEW], {})

    found = evaluated(store, made, at, [feed])

    assert reasons(found, made) == {("fixed", reason)}
    assert store.frozen_baselines() == {}


def test_a_state_is_that_at_the_end_of_the_period(store: Store) -> None:
    made = plan("backlog", fixed=JANUARY)
    waiting = [replace(ended(str(i), JANUARY.ends_at), resolved_at=None, outcome="open") for i in range(3)]
    closed_then = replace(waiting[0], id="c", resolved_at=JANUARY.ends_at + DAY, outcome="resolved")
    store.write("s", [*waiting, closed_then], {})

    assert compared(evaluated(store, made), made)["fixed", None, "it"].value == 4


def test_a_count_per_day_is_not_scaled_and_one_of_a_window_is(store: Store) -> None:
    made = plan("requests", fixed=JANUARY)
    store.write("s", [*OLD, *NEW], {})

    found = compared(evaluated(store, made), made)

    # The first of January's 31 was opened before it.
    assert {window: b.value for (_, window, _), b in found.items()} == {
        name: pytest.approx(30 * seconds / (31 * 86400)) for name, seconds in WINDOWS.items()
    }


def test_the_same_period_scaled_to_a_window_and_derived_is_a_difference_of_that_length(store: Store) -> None:
    made = plan("backlog_change", fixed=JANUARY)
    store.write("s", [*OLD, *NEW], {})

    found = compared(evaluated(store, made), made)

    assert found["fixed", "7d", "it"].value == pytest.approx((30 - 31) * 7 / 31)


def test_a_fault_is_logged_and_takes_the_baselines_only(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    made = plan("escalation_ratio", fixed=JANUARY, previous=True)
    store.write("s", [*OLD, *NEW], {})
    with store.reading() as reader:
        reader.execute("drop table frozen_baseline")

        found = evaluated(store, made)

        assert reasons(found, made) == {("fixed", "failed"), ("previous", "failed")}
        assert len(found.figures) > 0
        assert "no baselines" in caplog.text


def test_every_baseline_that_is_missing_is_published_with_its_reason(store: Store) -> None:
    made = plan("escalation_ratio", fixed=JANUARY, previous=True)
    store.write("s", NEW, {})

    told = published(evaluated(store, made, sources=[replace(FEED, whole_since=HOUR - DAY)]), made)[
        "outcome_baseline_absent"
    ]

    assert dict(told.samples) == {
        ("escalation_ratio", "fixed", "no_history"): 1.0,
        ("escalation_ratio", "previous", "no_history"): 1.0,
    }


# For people


def test_an_explanation_compares_the_segment_that_is_asked_for(store: Store) -> None:
    made = plan("escalation_ratio", ("team", "cohort"), previous=True, fixed=JANUARY, control=("cohort", "team"))
    now, then = HOUR - timedelta(hours=3), HOUR - timedelta(hours=30)
    rows = [
        replace(ended("a", now, escalated=True), cohort="wave1"),
        replace(ended("b", then), cohort="wave1"),
        replace(ended("c", now, team="hr"), cohort="control"),
        replace(ended("d", then, team="hr", escalated=True), cohort="control"),
    ]
    store.write("s", rows, {})
    asked = question({"kpi": "escalation_ratio", "window": "1d", "team": "it", "cohort": "wave1"}, made)

    with store.reading() as reader:
        found = {each["baseline"]: each for each in comparisons(reader, store, made, AT, [FEED], asked)}

    assert found["fixed"] == {
        "baseline": "fixed",
        "absent": "no_records",
        "periods": [["2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"]],
    }
    for kind in ("previous", "control"):
        told = found[kind]
        assert (told["value"], told["n"], told["now"], told["n_now"], told["difference"]) == (0, 1, 1, 1, 1)
    assert found["previous"]["periods"] == [["2026-03-29T12:00:00+00:00", "2026-03-30T12:00:00+00:00"]]


def test_the_rows_for_people_have_both_sides_over_all_segments(store: Store) -> None:
    made = plan("escalation_ratio", previous=True)
    now, then = HOUR - timedelta(hours=3), HOUR - timedelta(hours=30)
    rows = [ended("a", now, escalated=True), ended("b", now, team="hr"), ended("c", then), ended("d", then, team="hr")]
    store.write("s", [*rows, ended("e", then, team="old")], {})

    [row] = [row for row in summary.rows(evaluated(store, made), made, []) if row.get("window") == "1d"]

    assert row["baselines"] == [
        {"baseline": "previous", "value": 0.0, "n": 2.0, "now": 0.5, "n_now": 2.0, "difference": 0.5}
    ]
    assert wording.baseline(row["baselines"][0], "ratio") == "0.0% (n = 2); now 50.0% (n = 2), +50.0 points"


# The whole program

CONFIG = """
sources:
  - {name: desk, type: files, record: request, path: "requests.jsonl"}
windows: [1d, 7d]
baselines:
  previous: {}
  fixed: {from: "FIRST", to: "LAST"}
"""


async def test_the_running_program_publishes_baselines_and_once_gives_the_same(tmp_path: Path) -> None:
    # A file's times are real ones: the program has no clock but the machine's. Nothing is near an edge.
    now = clock.now()
    days = [now - timedelta(days=day, hours=6) for day in (0, 1, 7, 8, 14, 21, 28, 35, 40)]
    with (tmp_path / "requests.jsonl").open("w") as file:
        for i, day in enumerate(days):
            row = {"id": f"{i}", "team": "it", "opened_at": day.isoformat(), "resolved_at": day.isoformat()}
            file.write(json.dumps(row | {"outcome": "resolved"}) + "\n")
    dates = {"FIRST": days[-1] - 2 * DAY, "LAST": days[-1] + 2 * DAY}
    text = CONFIG
    for word, day in dates.items():
        text = text.replace(word, f"{day:%Y-%m-%d}")
    config = tmp_path / "outcome.yaml"
    config.write_text(text)

    async with running(config) as program:
        live = await program.until(lambda found: value(found, "outcome_requests_baseline") is not None)
        page, kpis = await program.get("/explain?kpi=requests&window=7d&team=it"), await program.get("/kpis")
        shown = await command("kpis", "--config.file", str(config), folder=tmp_path)
        assert await program.stopped() == 0
    at = datetime.fromtimestamp(value(live, "outcome_evaluation_last_timestamp_seconds") or 0, UTC)
    told = await command("once", "--no-poll", "--at", at.isoformat(), "--config.file", str(config), folder=tmp_path)
    once = {
        (s.name, frozenset(s.labels.items())): float(s.value)
        for family in text_string_to_metric_families(told[1])
        for s in family.samples
    }

    names = (
        "outcome_requests_baseline",
        "outcome_escalation_ratio_baseline",
        "outcome_escalation_baseline_denominator",
    )
    assert value(live, names[0], window="1d", baseline="previous") == 1
    assert value(live, names[0], window="7d", baseline="fixed") == pytest.approx(7 / 5)
    assert value(live, names[1], window="1d", baseline="weekday_median") == 0
    assert value(live, names[2], window="1d", baseline="weekday_median") == 5
    assert value(live, "outcome_baseline_absent", kpi="csat_ratio", reason="no_records") == 2
    assert {key: v for key, v in once.items() if "baseline" in key[0]} == {
        key: v for key, v in live.items() if "baseline" in key[0]
    }
    assert "Baseline previous" in page
    assert "Baseline fixed" in page
    assert "previous:" in kpis
    assert "previous" in shown[1]


def test_a_source_that_takes_what_is_pushed_limits_only_what_it_has_brought() -> None:
    made = plan("escalation_ratio", previous=True)
    pushed = replace(FEED, source="pushed", whole_since=AT)
    silent, of_runs, of_requests = (replace(pushed, begun=frozenset(brought)) for brought in ((), {"run"}, {"request"}))

    assert [reach(made, "escalation_ratio", [FEED, each]) for each in (silent, of_runs)] == [BEGINNING] * 2
    assert reach(made, "escalation_ratio", [FEED, of_requests]) == AT
