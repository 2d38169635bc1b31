"""What gives way where there would be too many series: in which order, what never does, and what nobody may add up."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.catalogue import kpi
from exporter.catalogue.kpi import non_additive
from exporter.evaluation.breach import NONE, breach, least
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.stats import Distribution
from exporter.publish.cardinality import BY_TEAM, EVERY_WINDOW, ONE_WINDOW, Limits, fold, ranking
from exporter.publish.exposition import text
from exporter.publish.families import Series, series
from exporter.records import Cost, Opportunity, Record, Request, Run
from exporter.records.labels import DEFAULT_LABELS
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.bench.records import AT as FULL_AT
from tests.bench.records import INSERTS, MACROS
from tests.scenario import WINDOWS, params

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 31, tzinfo=UTC)


def plan(labels: Mapping[str, Sequence[str]] = DEFAULT_LABELS) -> Plan:
    """Every KPI there is, with the thresholds it is shipped with."""
    return Plan(
        settings=[
            Setting(kpi=k, params=params(k, {}), threshold=k.threshold, min_coverage=0)
            for k in kpi.catalogue().values()
        ],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels=labels,
    )


def evaluated(folder: Path, records: Sequence[Record], chosen: Plan, at: datetime = AT) -> Evaluation:
    path = folder / "store.duckdb"
    path.unlink(missing_ok=True)
    with Store.open(path) as store:
        store.write("s", records, {})
        with store.reading() as reader:
            return evaluate(reader, chosen, at, [SourceStatus(source="s", records=frozenset(DEFAULT_LABELS))])


def told(made: Series, metric: str) -> dict[frozenset[tuple[str, str]], float | Distribution]:
    """Labels -> value of one metric."""
    families = [family for family in made.snapshot.families if family.name == metric]
    return {
        frozenset(zip(family.labels, values, strict=True)): value
        for family in families
        for values, value in family.samples
    }


def names(made: Series, metric: str, label: str) -> set[str]:
    return {dict(labels)[label] for labels in told(made, metric)}


def runs(workflow: str, failed: int, succeeded: int, ago: timedelta = timedelta(hours=1)) -> Iterator[Run]:
    """Runs of one workflow, the failed ones last."""
    for i in range(failed + succeeded):
        end = AT - ago - timedelta(minutes=i)
        status: Literal["failed", "succeeded"] = "failed" if i < failed else "succeeded"
        yield Run(
            id=f"{workflow}-{i}-{ago}", workflow=workflow, started_at=end, finished_at=end, status=status, team="it"
        )


BY_WORKFLOW = {**DEFAULT_LABELS, "run": ("workflow",)}


def test_a_small_workflow_that_always_fails_keeps_its_name_among_many_large_ones(tmp_path: Path) -> None:
    large = [run for i in range(60) for run in runs(f"large{i}", 0, 20)]
    evaluation = evaluated(tmp_path, [*large, *runs("small", 5, 0)], plan(BY_WORKFLOW))

    made = series(evaluation, plan(BY_WORKFLOW), Limits(values_per_label=10))
    failing = {frozenset({("window", "7d"), ("workflow", "small")}): 0.0}

    assert failing.items() <= told(made, "outcome_completion_ratio").items()
    assert len(names(made, "outcome_completion_ratio", "workflow")) == 11
    assert made.folded["completion_ratio", "workflow"] == 51


def test_more_values_than_a_label_may_have_keep_their_names_where_they_are_beyond_a_threshold(tmp_path: Path) -> None:
    failing = [run for i in range(15) for run in runs(f"bad{i:02}", 8, 0)]
    well = [run for i in range(15) for run in runs(f"good{i:02}", 0, 30)]
    evaluation = evaluated(tmp_path, [*failing, *well], plan(BY_WORKFLOW))

    made = series(evaluation, plan(BY_WORKFLOW), Limits(values_per_label=10))

    assert names(made, "outcome_runs", "workflow") == {"other", *(f"bad{i:02}" for i in range(15))}


def test_one_that_recovers_keeps_its_name_until_its_failures_have_left_the_longest_window(tmp_path: Path) -> None:
    large = [run for i in range(20) for day in (1, 60) for run in runs(f"large{i}", 0, 20, timedelta(days=day))]
    once_bad = [*runs("small", 8, 0, timedelta(days=60)), *runs("small", 0, 3)]
    chosen, limits = plan(BY_WORKFLOW), Limits(values_per_label=10)

    def named(at: datetime) -> bool:
        made = series(evaluated(tmp_path, [*large, *once_bad], chosen, at), chosen, limits)
        return "small" in names(made, "outcome_runs", "workflow")

    kept = [named(AT + timedelta(days=days)) for days in (0, 1, 20, 40)]

    assert kept == [True, True, True, False]


def test_sizes_that_hardly_differ_change_nobodys_rank(tmp_path: Path) -> None:
    def order(sizes: Mapping[str, int]) -> Sequence[str]:
        chosen = plan(BY_WORKFLOW)
        found = evaluated(tmp_path, [run for name, n in sizes.items() for run in runs(name, 0, n)], chosen)
        settings = {setting.kpi.name: setting for setting in chosen.settings}
        return ranking([f for f in found.figures if f.kpi == "completion_ratio"], settings, chosen).order["workflow"]

    assert order({"a": 20, "b": 21, "c": 60}) == order({"a": 21, "b": 20, "c": 60}) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        (0.95, 100, NONE),  # within
        (0.89, 10, NONE),  # beyond, but that may be chance
        (0.80, 100, (1, pytest.approx(1 / 9))),  # 0.80 of 0.90
        (0.45, 100, (2, pytest.approx(0.5))),  # beyond both, the further one
    ],
)
def test_a_ratio_is_beyond_a_threshold_where_its_interval_is(value: float, n: int, expected: tuple[int, float]) -> None:
    [setting] = [s for s in plan().settings if s.kpi.name == "completion_ratio"]

    assert breach(Figure("completion_ratio", "7d", (), value * n, n), setting, None) == expected


def test_a_mean_of_few_records_is_beyond_no_threshold() -> None:
    chosen = plan()
    [setting] = [s for s in chosen.settings if s.kpi.name == "mttr_seconds"]
    enough = least(setting.kpi, chosen.kpis)

    found = [breach(Figure("mttr_seconds", "7d", (), 30_000.0 * n, n), setting, enough) for n in (4, 5)]

    assert found == [NONE, (2, pytest.approx(30_000 / 14_400 - 1))]


def test_what_must_never_be_added_up_is_never_folded(tmp_path: Path) -> None:
    day = timedelta(days=1)
    currencies = ["EUR", "USD", "CHF", "GBP"]
    costs = [
        Cost(
            id=c, period_start=AT - day, period_end=AT, amount=10.0 * (i + 1), currency=c, kind="licence", team=f"t{i}"
        )
        for i, c in enumerate(currencies)
    ]
    leads = [
        Opportunity(
            id=f"o{i}", lead_at=AT - 9 * day, contacted_at=AT - 8 * day, booked_at=AT - 7 * day,
            attended_at=AT - 6 * day, qualified_at=AT - 5 * day, won_at=AT - 4 * day, amount=5.0,
            currency=currencies[i % 4], team=f"t{i}",
        )
        for i in range(8)
    ]  # fmt: skip
    evaluation = evaluated(tmp_path, [*costs, *leads], plan())

    made = series(evaluation, plan(), Limits(values_per_label=1, series=1, series_per_metric=1, teams=1))
    spend = told(made, "outcome_spend")
    kpis = {k.metric: k for k in kpi.catalogue().values()}
    added_up = [
        (metric, label)
        for metric, each in kpis.items()
        for labels in told(made, metric)
        for label, value in labels
        if value == "other" and label in non_additive(each)
    ]

    assert added_up == []
    assert {dict(labels)["currency"]: value for labels, value in spend.items() if ("window", "7d") in labels} == {
        "EUR": 10.0,
        "USD": 20.0,
        "CHF": 30.0,
        "GBP": 40.0,
    }
    assert len(names(made, "outcome_funnel_conversion_ratio", "from")) == 5
    assert "other" in names(made, "outcome_spend", "team")


def requests(teams: int, categories: int) -> list[Record]:
    return [
        Request(
            id=f"{team}-{category}-{by}", team=f"team{team:02}", category=f"category{category:02}", handled_by=by,
            opened_at=AT - timedelta(hours=5), first_response_at=AT - timedelta(hours=4),
            resolved_at=AT - timedelta(hours=3), outcome="resolved", human_seconds=600.0,
        )
        for team in range(teams) for category in range(categories) for by in ("automation", "assisted", "human")
    ]  # fmt: skip


def test_distributions_give_way_first_then_the_finest_label_then_teams(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path, requests(12, 6), plan())
    figures, chosen = evaluation.figures, plan()

    def folded(most: int) -> tuple[int, int, int]:
        """(how little of a distribution, categories with a name, teams with a name)"""
        found = fold(figures, chosen, Limits(series_per_metric=100_000, teams=3), most)
        kept = found.names.get("request", {})
        named = [len(kept[label]) if label in kept else all_ for label, all_ in (("category", 6), ("team", 12))]
        return found.spread_levels.get("resolution_seconds", EVERY_WINDOW), named[0], named[1]

    steps = [folded(most) for most in (70_000, 40_000, 33_000, 15_000, 3_000, 100)]

    assert [level for level, *_ in steps] == [EVERY_WINDOW, ONE_WINDOW, BY_TEAM, BY_TEAM, BY_TEAM, BY_TEAM]
    assert [team for *_, team in steps][:4] == [12] * 4
    assert [category for _, category, _ in steps][:3] == [6] * 3
    assert 0 < steps[3][1] < 6
    assert steps[4][1] == steps[5][1] == 0
    assert 3 <= steps[4][2] < 12
    assert steps[5][2] == 3


def test_what_is_left_of_a_distribution_still_has_every_record(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path, requests(5, 4), plan())

    plenty = Limits(series=100_000, series_per_metric=100_000)
    whole, short = (series(evaluation, plan(), limits) for limits in (plenty, Limits(series=5_000)))
    buckets = told(short, "outcome_resolution_seconds_distribution")
    expected = {f"team{i:02}": 12 for i in range(5)}

    assert short.spread_levels["resolution_seconds"] == BY_TEAM
    assert {
        dict(labels)["team"]: value.count for labels, value in buckets.items() if isinstance(value, Distribution)
    } == expected
    assert {dict(labels)["window"] for labels in buckets} == {"7d"}
    assert len(told(whole, "outcome_resolution_seconds_distribution")) == 5 * 4 * 3 * 4


def test_a_distribution_that_is_too_large_for_a_metric_folds_no_label(tmp_path: Path) -> None:
    made = series(evaluated(tmp_path, requests(6, 5), plan()), plan(), Limits())

    assert made.folded == {}
    assert made.spread_levels["resolution_seconds"] > EVERY_WINDOW
    assert len(names(made, "outcome_requests", "team")) == 6
    assert len(names(made, "outcome_requests", "category")) == 5


def organisation(folder: Path) -> Evaluation:
    """12 teams, 12 categories, 40 workflows and 12 services of one team each, and records of every type."""
    with Store.open(folder / "whole.duckdb") as store, store.reading() as reader:
        reader.execute(MACROS)
        for record, statement in INSERTS.items():
            columns, query = statement.split(")", 1)
            values = query.strip().removeprefix("select").strip().replace("team(i)", "'team' || (i % 12)")
            values = values.replace("'service' || pick(i, 'service', 40)", "'service' || (i % 12)")
            values = values.replace("'team' || (i // 10 % 12)", "'team' || (i // 10 % 40 % 12)")
            values = values.replace("'workflow' || pick(i, 'workflow', 40)", "'workflow' || (i % 36)")
            rows = 40 if record == "workflow" else 4_000
            reader.execute(
                f'insert into "{record}" (key, source, id, {columns}) '
                f"select i, 's', i::varchar, {values} from (select i, began(i) as t from range(?) r(i))",
                [rows],
            )
        return evaluate(reader, plan(), FULL_AT, [SourceStatus(source="s", records=frozenset(DEFAULT_LABELS))])


def test_every_team_of_a_whole_organisation_has_its_name_within_the_limits_as_shipped(tmp_path: Path) -> None:
    evaluation, limits = organisation(tmp_path), Limits()

    made = series(evaluation, plan(), limits)
    exposition = text(made.snapshot, CollectorRegistry()).decode()
    of_metric = {family.name: list(family.samples) for family in text_string_to_metric_families(exposition)}
    teams = {
        name: {sample.labels["team"] for sample in samples}
        for name, samples in of_metric.items()
        if any("team" in sample.labels for sample in samples)
    }
    expected = {f"team{i}" for i in range(12)}

    assert len({figure.kpi for figure in evaluation.figures}) > 75
    assert made.count == sum(map(len, of_metric.values())) <= limits.series
    assert max(family.size for family in made.snapshot.families) <= limits.series_per_metric
    assert not [key for key in made.folded if key[1] == "team"]
    assert len(teams) > 200
    assert set().union(*teams.values()) == expected
    assert teams["outcome_deflection_ratio"] == teams["outcome_completion_ratio"] == teams["outcome_spend"] == expected
    assert len({s.labels["workflow"] for s in of_metric["outcome_completion_ratio"]}) > 30
