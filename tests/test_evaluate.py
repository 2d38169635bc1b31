"""What holds for every KPI, whatever the records."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Literal

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.base.clock import NEVER
from exporter.catalogue import kpi
from exporter.catalogue.kpi import Threshold
from exporter.evaluation import facts_schema
from exporter.evaluation.context import prepare, snapshot, utc
from exporter.evaluation.figure import Evaluation, Figure, summable
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import (
    Plan,
    RecurringCost,
    ServiceSetting,
    Setting,
    SourceSetting,
    TeamSetting,
    WorkflowSetting,
)
from exporter.evaluation.rows import rows_at
from exporter.evaluation.stats import Distribution, Family
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.records import (
    Account,
    Activity,
    Audit,
    Booking,
    Change,
    Cost,
    Incident,
    Opportunity,
    Record,
    Request,
    Run,
    ServiceLevel,
    Workflow,
    record_name,
)
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.scenario import WINDOWS, empty_store, params

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 31, tzinfo=UTC)
LABELS = {
    "request": ["team", "category"],
    "incident": ["team", "service"],
    "change": ["team", "service"],
    "run": ["workflow", "team"],
    "workflow": ["team"],
    "booking": ["team"],
    "opportunity": ["team"],
    "account": ["tool", "team"],
    "activity": ["team"],
    "audit": ["team"],
    "cost": ["team"],
    "service_level": ["service"],
}


def plan(labels: Mapping[str, Sequence[str]] = LABELS) -> Plan:
    return Plan(
        settings=[
            Setting(kpi=k, params=params(k, {"failure_window": "4h"}), threshold=k.threshold, min_coverage=0)
            for k in kpi.catalogue().values()
        ],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels=labels,
        workflows={
            "w0": WorkflowSetting(
                manual_seconds_low=500,
                manual_seconds_high=900,
                category="a",
                rate=40,
                currency="EUR",
                claim="capacity_released",
            ),
            "w1": WorkflowSetting(
                manual_seconds_low=500, manual_seconds_high=900, rate=50, currency="EUR", claim="hard_cost_avoided"
            ),
            "w2": WorkflowSetting(run_timeout_seconds=3600),
        },
        services={"x": ServiceSetting(downtime_cost_per_hour=3600, currency="EUR")},
        # Every team there is, for whoever is not known is in neither part of what is taken per person.
        sources={"s": SourceSetting(claimed_resolution_price=1.5, currency="USD")},
        teams={team: TeamSetting(capacity_seconds_per_week=7000, people=5) for team in ("it", "hr", "unassigned")},
    )


COSTS = [
    RecurringCost(amount=300, currency="EUR", per="month", kind="support", begins_at=datetime(2026, 1, 10)),  # noqa: DTZ001 - as tables hold it
    RecurringCost(amount=900, currency="EUR", per="once", kind="training", begins_at=datetime(2026, 1, 10)),  # noqa: DTZ001
]
FEEDS = [SourceStatus(source="s", records=frozenset(LABELS))]


def evaluated(
    folder: Path,
    pages: Sequence[Sequence[Record]],
    at: datetime,
    labels: Mapping[str, Sequence[str]] = LABELS,
    sources: Sequence[SourceStatus] = FEEDS,
) -> Evaluation:
    path = folder / "store.duckdb"
    path.unlink(missing_ok=True)
    with Store.open(path) as store:
        for page in pages:
            store.write("s", page, {})
        with store.reading() as reader:
            return evaluate(reader, replace(plan(labels), costs=COSTS), at, sources)


def history(seed: int, count: int = 400) -> list[Record]:
    """Records of every kind whose times lie around AT, some of them missing."""
    rng = random.Random(seed)

    def later(begin: datetime | None, days: float) -> datetime | None:
        return begin + timedelta(seconds=rng.randint(1, int(days * 86400))) if begin and rng.random() < 0.8 else None

    def begin() -> datetime:
        return AT - timedelta(seconds=rng.randint(-5 * 86400, 100 * 86400))

    records: list[Record] = []
    for i in range(count):
        team, name = rng.choice(["it", "hr", None]), str(i)
        t = begin()
        end = rng.choice([later(t, 6), later(t, 6), t])
        ended: Literal["resolved", "abandoned"] = rng.choice(["resolved", "abandoned"])
        other = later(t, 9) if rng.random() < 0.2 else None
        records.append(
            Request(
                id=name,
                team=team,
                opened_at=rng.choice([t] * 9 + [None]),
                requester=rng.choice(["ann", "ben", "cat", None]),
                category=rng.choice(["a", "b", None]),
                first_response_at=later(t, 1),
                escalated_at=later(t, 9) if rng.random() < 0.3 else None,
                resolved_at=end if ended == "resolved" else other,
                abandoned_at=end if ended == "abandoned" else other,
                outcome=ended if end else "open",
                handled_by=rng.choice(["automation", "human", "assisted", None]),
                claimed_resolved=(True, False, None)[i % 3],
                self_service=rng.choice([True, False, None]),
                reopen_count=rng.choice([0, 1, None]),
                human_seconds=rng.choice([60.0, 600.0, None]),
                csat=rng.choice([0.0, 0.25, 1.0, None]),
                effort=rng.choice([0.5, None]),
                sentiment=rng.choice([-1.0, 0.25, None]),
                sla_breached=rng.choice([True, False, None]),
                on_hold_seconds=rng.choice([0.0, 900.0, 40_000.0, None]),
                on_hold_business_seconds=rng.choice([0.0, 600.0, None]),
            )
        )
        t = begin()
        records.append(
            Incident(
                id=name,
                team=team,
                started_at=rng.choice([t - timedelta(seconds=rng.randint(0, 7200)), None]),
                detected_at=rng.choice([later(t, 0.1), t - timedelta(seconds=rng.randint(0, 80000))]),
                opened_at=t,
                acknowledged_at=later(t, 1),
                resolved_at=later(t, 3),
                outage=rng.choice([True, False, False, None]),
                auto_remediated=rng.choice([True, False, None]),
                users_affected=rng.choice([3, None]),
                service=rng.choice(["x", "y", None]),
                recurrence_key=rng.choice(["k", "l", None]),
                caused_by=rng.choice([str(rng.randint(0, count)), None, None]),
                on_hold_seconds=rng.choice([0.0, 900.0, None]),
                services=rng.choice([(), (), ("x", "y"), ("z",)]),
            )
        )
        t = begin()
        records.append(
            Change(
                id=name,
                team=team,
                requested_at=t,
                approved_at=later(t, 3),
                deployed_at=later(t, 9),
                unplanned=rng.choice([True, False, None]),
                automated=rng.choice([True, False, None]),
                blocked_seconds=rng.choice([0.0, 600.0, None]),
                result=rng.choice(["succeeded", "succeeded", "failed", "rolled_back", "cancelled"]),
                service=rng.choice(["x", "y"]),
                services=rng.choice([(), (), ("x", "z")]),
            )
        )
        t = begin()
        records.append(
            Booking(
                id=name,
                team=team,
                requested_at=t,
                first_response_at=later(t, 1),
                booked_at=later(t, 2),
                starts_at=later(t, 9),
                cancelled_at=later(t, 9) if rng.random() < 0.3 else None,
                outcome=rng.choice(["attended", "no_show", "unknown", "cancelled", "rescheduled"]),
                conflict=rng.choice([True, False, None]),
                value=rng.choice([10.0, 25.0, None]),
                currency=rng.choice(["EUR", "USD"]),
            )
        )
        records += rollout(rng, name, team, begin, later)
        records.append(
            ServiceLevel(
                id=name,
                service=rng.choice(["z", None]),
                measured_at=begin(),
                ratio=rng.choice([0.5, 1.0, None]),
                interval_seconds=rng.choice([300.0, None]),
            )
        )
        t = begin()
        for attempt in range(1, rng.randint(2, 4)):
            queued = t
            t += timedelta(seconds=rng.randint(0, 3 * 86400) if rng.random() < 0.2 else 0)
            finished = later(t, 2)
            records.append(
                Run(
                    id=f"{name}/{attempt}",
                    root_id=name,
                    attempt=attempt,
                    team=team,
                    workflow=f"w{i % 5}",
                    queued_at=rng.choice([queued, None]) if t == queued else queued,
                    started_at=t,
                    finished_at=finished,
                    status=rng.choice(["succeeded", "failed", "cancelled", "abandoned"]) if finished else "running",
                    exception=rng.choice(["none", "business", "application", None]),
                    human_override=rng.choice([True, False, None]),
                    review=rng.choice(["none", "accepted", "edited", "rejected", None]),
                    rework=rng.choice([True, False, False, None]),
                    human_seconds=rng.choice([100, 250, None]),
                )
            )
            t = (finished or t) + timedelta(seconds=rng.randint(1, 2 * 86400))
    for i in range(7):
        records.append(
            Workflow(
                id=str(i),
                team=rng.choice(["it", "hr", None]),
                name=f"w{i}",
                enabled=i != 3,
                owners=("ann", "ben")[: i % 3],
                dependencies=("system:crm", "credential:crm", "api:x")[: i % 4],
                exportable=rng.choice([True, False, None]),
            )
        )
    records.append(
        Cost(
            id="2",
            team="it",
            workflow="w0",
            period_start=AT - timedelta(days=70),
            period_end=AT + timedelta(days=10),
            amount=800.0,
            currency="EUR",
            kind="maintenance",
            effort_seconds=80000.0,
        )
    )
    records.append(
        Cost(
            id="1",
            team="it",
            period_start=AT - timedelta(days=50),
            period_end=AT + timedelta(days=10),
            amount=600.0,
            currency="EUR",
            kind="licence",
        )
    )
    return records


def rollout(
    rng: random.Random,
    name: str,
    team: str | None,
    begin: Callable[[], datetime],
    later: Callable[[datetime | None, float], datetime | None],
) -> Iterator[Record]:
    """An opportunity, an account, a day of work and an event, that have nothing to do with each other."""
    stages: list[datetime | None] = [begin()]
    for _ in range(rng.randint(0, 5)):
        stages.append(later(stages[-1], 9))
    lead, contacted, booked, attended, qualified, won = (stages + [None] * 5)[:6]
    yield Opportunity(
        id=name,
        team=team,
        lead_at=lead,
        contacted_at=contacted if rng.random() < 0.8 else None,
        booked_at=booked,
        attended_at=attended,
        qualified_at=qualified,
        won_at=won or (later(lead, 40) if rng.random() < 0.3 else None),
        lost_at=later(lead, 60) if rng.random() < 0.5 else None,
        amount=rng.choice([100.0, 250.0, None]),
        currency=rng.choice(["EUR", "USD"]),
    )
    granted = begin() - timedelta(days=rng.choice([0, 0, 60, 200]))
    tool = rng.choice(["crm", "wiki", None])
    yield Account(
        id=name,
        team=team,
        tool=tool,
        person=rng.choice([*"abcdefgh", None]),
        granted_at=granted if rng.random() < 0.9 else None,
        first_success_at=later(granted, 20),
        last_active_at=later(granted, 90),
        disabled=rng.choice([True, False, False, None]),
        mfa=rng.choice(["none", "weak", "phishing_resistant", None]),
        privileged=rng.choice([True, False, None]),
        shared=rng.choice([True, False, None]),
        client_outdated=rng.choice([True, False, None]),
    )
    done = rng.randint(0, 9)
    yield Activity(
        id=name,
        team=team,
        tool=tool,
        person=rng.choice("abcdefgh"),
        day=begin().replace(hour=0, minute=0, second=0),
        tasks_done=done,
        tasks_with_help=rng.choice([rng.randint(0, done), None]),
        legacy_tasks=rng.choice([0, 3, None]),
    )
    yield Audit(
        id=name,
        team=team,
        occurred_at=begin(),
        kind=rng.choice(["privileged_action", "policy_violation", "policy_exception", "manual_exception", None]),
        attributable=rng.choice([True, False, None]),
    )


def steady(figures: Iterable[Figure]) -> list[tuple[Figure, float | None]]:
    """Figures in one order, without what the order of a sum leaves in the last digits; each with its median."""
    rounded = (
        replace(f, numerator=round(f.numerator, 6), denominator=f.denominator and round(f.denominator, 6))
        for f in figures
    )
    return [(f, f.median) for f in sorted(rounded, key=str)]


def as_told(record: Record, at: datetime) -> Record | None:  # noqa: PLR0911 - a case for each record
    """What the platform would have said of a record at an earlier instant; None where there was nothing to say."""

    def past(moment: datetime | None) -> datetime | None:
        return moment if moment and moment <= at else None

    match record:
        case (
            Request(opened_at=begin)
            | Booking(requested_at=begin)
            | Opportunity(lead_at=begin)
            | Account(granted_at=begin)
            | Activity(day=begin)
            | Audit(occurred_at=begin)
            | Change(requested_at=begin)
            | ServiceLevel(measured_at=begin)
        ) if begin and begin > at:
            return None
        case Request():
            ends = {"resolved": past(record.resolved_at), "abandoned": past(record.abandoned_at)}
            ended: list[Any] = [word for word, moment in ends.items() if moment]
            # Of a request that ends twice, the platform says by the word of which end it is that came first.
            twice = record.resolved_at and record.abandoned_at and record.outcome in ends
            return replace(
                record,
                first_response_at=past(record.first_response_at),
                escalated_at=past(record.escalated_at),
                resolved_at=past(record.resolved_at),
                abandoned_at=past(record.abandoned_at),
                outcome="open" if not ended else ended[0] if twice and len(ended) == 1 else record.outcome,
                on_hold_seconds=record.on_hold_seconds if ended else 7.0,  # so far
            )
        case Incident():
            if not (past(record.started_at) or past(record.detected_at) or past(record.opened_at)):
                return None
            return replace(
                record,
                started_at=past(record.started_at),
                on_hold_seconds=record.on_hold_seconds if past(record.resolved_at) else 7.0,  # so far
                detected_at=past(record.detected_at),
                opened_at=past(record.opened_at),
                acknowledged_at=past(record.acknowledged_at),
                resolved_at=past(record.resolved_at),
            )
        case Change():
            approved = replace(record, approved_at=past(record.approved_at))
            return approved if past(record.deployed_at) else replace(approved, deployed_at=None, result="pending")
        case Run():
            if not past(record.queued_at) and not past(record.started_at):
                return None
            told = replace(record, started_at=past(record.started_at))
            if past(record.finished_at):
                return told
            told = replace(told, finished_at=None, status="running", exception=None, human_override=None)
            return replace(told, review=None, rework=None, human_seconds=None)
        case Booking():
            upset = record.outcome in ("cancelled", "rescheduled") and record.cancelled_at and record.cancelled_at > at
            return replace(
                record,
                first_response_at=past(record.first_response_at),
                booked_at=past(record.booked_at),
                cancelled_at=past(record.cancelled_at),
                outcome="unknown" if upset else record.outcome if past(record.starts_at) else "upcoming",
            )
        case Opportunity():
            return replace(
                record,
                contacted_at=past(record.contacted_at),
                booked_at=past(record.booked_at),
                attended_at=past(record.attended_at),
                qualified_at=past(record.qualified_at),
                won_at=past(record.won_at),
                lost_at=past(record.lost_at),
            )
        case Account():
            first, last = past(record.first_success_at), past(record.last_active_at)
            return replace(record, first_success_at=first, last_active_at=last)
        case Activity(day=day) if day and day + timedelta(days=1) > at:
            return replace(record, tasks_done=1, tasks_with_help=1, legacy_tasks=0)  # that day was still going on
    return record


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), seconds=st.integers(0, 50 * 86400))
@example(seed=17, seconds=17 * 86400)
def test_a_past_instant_gives_what_a_store_of_that_time_gave(tmp_path: Path, seed: int, seconds: int) -> None:
    records = history(seed)
    at = AT - timedelta(seconds=seconds)
    told = [old for record in records if (old := as_told(record, at))]

    then = evaluated(tmp_path, [told], at)

    assert len(then.figures) > 500
    assert len(then.absent) == 0
    assert steady(then.figures) == steady(evaluated(tmp_path, [records], at).figures)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), size=st.integers(1, 50))
def test_order_repetition_and_splitting_of_pages_do_not_matter(tmp_path: Path, seed: int, size: int) -> None:
    records = history(seed, 20)
    shuffled = records + records[: len(records) // 2]
    random.Random(seed).shuffle(shuffled)
    pages = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]

    assert steady(evaluated(tmp_path, [records], AT).figures) == steady(evaluated(tmp_path, pages, AT).figures)


UNTIMED = re.compile(r"\w+_told|told_\w+|result|known_at|tasks|outcome")
"""Columns of which no platform tells since when they are so, or that this world's platforms tell otherwise then."""


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), seconds=st.integers(0, 50 * 86400))
def test_no_column_of_facts_knows_the_future(tmp_path: Path, seed: int, seconds: int) -> None:
    """Users count columns that no KPI of ours counts."""
    at, records = AT - timedelta(seconds=seconds), history(seed, 150)
    told = [old for record in records if (old := as_told(record, at))]

    then, now = (facts_rows(tmp_path, given, at) for given in (told, records))

    assert len(then) > 500
    assert {key: now[key] for key in then if key in now} == {key: row for key, row in then.items() if key in now}
    assert len(then.keys() & now.keys()) > 0.9 * len(then)


def facts_rows(tmp_path: Path, records: Sequence[Record], at: datetime) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of all facts by what tells them apart."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    path = tmp_path / "facts.duckdb"
    path.unlink(missing_ok=True)
    with Store.open(path) as store:
        store.write("s", records, {})
        with store.reading() as reader:
            prepare(reader, plan(), at, FEEDS)
            for facts, columns in facts_schema.Columns().items():
                names = ", ".join(f'"{name}"' for name in columns)
                for values in reader.execute(f"select {names} {rows_at(facts, plan(), utc(at))}").fetchall():
                    row = dict(zip(columns, values, strict=True))
                    apart = (
                        str(row.get(name)) for name in ("source", "id", "kind", "from", "to", "span_end", "service")
                    )
                    found[facts, *apart] = {name: value for name, value in row.items() if not UNTIMED.fullmatch(name)}
    return found


def totals(
    figures: Sequence[Figure], also: Sequence[str] = ("handled_by", "kind", "currency", "workflow")
) -> dict[tuple[str, str | None, tuple[object, ...]], tuple[float, float]]:
    """Numerators and denominators summed over team and category."""
    sums: dict[tuple[str, str | None, tuple[object, ...]], tuple[float, float]] = {}
    for f in summable(figures):
        key = (
            f.kpi,
            f.window,
            tuple(sorted(pair for pair in f.segment if pair[0] in also and f.kpi != "consecutive_failures")),
        )
        n, d = sums.get(key, (0.0, 0.0))
        sums[key] = (
            (max(n, f.numerator), 0.0)
            if f.kpi == "consecutive_failures"
            else (n + f.numerator, d + (f.denominator or 0.0))
        )
    rounded = {key: (round(n, 6), round(d, 6)) for key, (n, d) in sums.items()}
    return {key: parts for key, parts in rounded.items() if any(parts)}


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16))
def test_segments_add_up_to_the_whole(tmp_path: Path, seed: int) -> None:
    records = history(seed, 60)
    whole: dict[str, list[str]] = {record: [] for record in LABELS} | {"run": ["workflow"]}

    expected = totals(evaluated(tmp_path, [records], AT, whole).figures)
    of_segments = totals(evaluated(tmp_path, [records], AT).figures)

    # What is matched by team is known of teams only.
    by_team = {setting.kpi.name for setting in plan().settings if setting.kpi.only_matched_segments}
    assert by_team <= {kpi for kpi, _, _ in of_segments}
    assert expected
    assert expected == {key: parts for key, parts in of_segments.items() if key[0] not in by_team}


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), most=st.integers(1, 4))
def test_whatever_is_folded_sums_stay_and_bounds_contain_their_ratio(tmp_path: Path, seed: int, most: int) -> None:
    evaluation = evaluated(tmp_path, [history(seed, 60)], AT)
    unlimited = series(evaluation, plan(), Limits(series_per_metric=100_000, series=1_000_000)).snapshot.families

    folded = series(evaluation, plan(), Limits(values_per_label=most))

    assert folded.folded
    assert additive(unlimited) == pytest.approx(additive(folded.snapshot.families))
    for families in (unlimited, folded.snapshot.families):
        by_name: dict[str, Any] = {family.name: dict(family.samples) for family in families}
        ratios = {name: by_name[name] for name in by_name if f"{name}_lower" in by_name}
        assert len(ratios) > 40
        for name, samples in ratios.items():
            for key, value in samples.items():
                assert 0 <= by_name[f"{name}_lower"][key] <= value <= by_name[f"{name}_upper"][key] <= 1, (name, key)


def additive(families: Sequence[Family]) -> dict[tuple[str, str | None, float | None], float]:
    """(series, window, bucket) -> the sum over all segments, of every series that may be summed."""
    kinds = {k.metric: k for k in kpi.catalogue().values()}
    parts = {f"{k.stem}_{part}" for k in kinds.values() for part in ("numerator", "denominator", "distribution")}
    summed = {m for m, k in kinds.items() if k.kind in ("count", "sum", "state") and k.aggregate == "sum"}
    found: dict[tuple[str, str | None, float | None], float] = {}
    for family in families:
        if family.name in parts | summed:
            for values, value in family.samples:
                window = dict(zip(family.labels, values, strict=True)).get("window")
                buckets = value.buckets if isinstance(value, Distribution) else [(None, value)]
                for bound, number in [*buckets]:
                    key = family.name, window, bound
                    found[key] = found.get(key, 0.0) + number
    return found


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16))
def test_what_no_window_reaches_changes_nothing(tmp_path: Path, seed: int) -> None:
    records = history(seed, 40)
    end = AT - timedelta(days=200)
    ancient = [
        Request(id="old", opened_at=end, resolved_at=end, outcome="resolved", requester="ann", category="a", team="it"),
        Run(id="old", workflow="w1", started_at=end, finished_at=end, status="succeeded", team="it"),
        Change(id="old", deployed_at=end, result="failed", team="it"),
        Booking(id="old", starts_at=end, outcome="no_show", team="it"),
        Opportunity(id="old", lead_at=end, won_at=end, amount=5.0, currency="EUR", team="it"),
        Activity(id="old", day=end, tasks_done=5, tasks_with_help=5, legacy_tasks=5, team="it"),
        Audit(id="old", occurred_at=end, kind="policy_exception", team="it"),
        Incident(id="old", opened_at=end, resolved_at=end, team="it", recurrence_key="m"),
    ]

    without, beside = evaluated(tmp_path, [records], AT), evaluated(tmp_path, [records, ancient], AT)

    assert steady(without.figures) == steady(beside.figures)


def happened_since(records: Sequence[Record], since: datetime) -> list[Record]:
    """What a source has brought that is whole since then: what has a later time, or no end, and what belongs to it."""

    def recent(record: Record) -> bool:
        ends = ("resolved_at", "abandoned_at", "finished_at", "deployed_at", "won_at", "lost_at", "occurred_at")
        names = [f.name for f in fields(record) if f.name.endswith("_at")]
        known = {name: moment for name in names if (moment := getattr(record, name, None))}
        if isinstance(record, Activity) and record.day:
            known["day_end_at"] = record.day + timedelta(days=1)
        ended = not any(hasattr(record, name) for name in ends) or not known.keys().isdisjoint(ends)
        return not ended or not known or max(known.values()) > since

    roots = {record.root_id for record in records if isinstance(record, Run) and recent(record)}
    return [record for record in records if recent(record) or (isinstance(record, Run) and record.root_id in roots)]


def test_windows_that_a_first_sync_has_read_already_have_the_values_they_keep(tmp_path: Path) -> None:
    records, since = history(17, 200), AT - timedelta(seconds=WINDOWS["30d"])
    syncing = SourceStatus(source="s", records=frozenset(LABELS), complete=False, whole_since=since)
    early = evaluated(tmp_path, [happened_since(records, since)], AT, sources=[syncing])
    later = evaluated(tmp_path, [records], AT)
    waits = {**early.waiting, **dict.fromkeys(early.absent, frozenset(WINDOWS))}

    ready = [f for f in later.figures if f.window and f.window not in waits.get(f.kpi, ())]

    assert {f.window for f in ready} == {"1d", "7d", "30d"}
    assert len({f.kpi for f in ready}) > 60
    assert steady(something(early.figures)) == steady(something(ready))


def something(figures: Iterable[Figure]) -> list[Figure]:
    """Without counts and sums of nothing: a segment that is only known from longer ago has none yet."""
    return [each for each in figures if each.numerator or each.denominator is not None]


def test_figures_say_why_they_are_missing(tmp_path: Path) -> None:
    sources = [
        SourceStatus(source="a", records=frozenset({"run"}), complete=False, whole_since=NEVER),
        SourceStatus(source="b", records=frozenset({"booking"}), stale=True),
        SourceStatus(source="c", records=frozenset({"request"})),
        SourceStatus(source="d", records=frozenset({"change"})),
        SourceStatus(source="e", records=frozenset({"incident"}), complete=False, whole_since=NEVER),
    ]
    with empty_store(tmp_path) as store:
        store.write("b", [Booking(id="1", starts_at=AT, outcome="no_show")], {})
        with store.reading() as reader:
            found = evaluate(reader, replace(plan(), teams={}), AT, sources)

    assert found.figures == ()
    assert found.absent["completion_ratio"] == "initial_sync"
    assert found.absent["no_show_ratio"] == "stale_source"
    assert found.absent["backlog"] == "no_records"
    assert found.absent["spend"] == "no_source"
    # It is better with incidents, so it waits for a source of them that is not through yet.
    assert found.absent["change_failure_ratio"] == "initial_sync"
    assert found.absent["rollback_ratio"] == "no_records"
    assert set(found.absent) == set(kpi.catalogue())


def feeding(tmp_path: Path, records: Sequence[Record], chosen: Plan, *sources: SourceStatus) -> Evaluation:
    with Store.open(tmp_path / "store.duckdb") as store:
        store.write("s", records, {})
        with store.reading() as reader:
            return evaluate(reader, chosen, AT, sources)


def test_what_is_made_of_a_kpi_that_is_switched_off_says_so(tmp_path: Path) -> None:
    chosen = plan()
    some = [setting for setting in chosen.settings if setting.kpi.name != "ended_requests"]
    requests = [Request(id="1", opened_at=AT, outcome="open")]

    found = feeding(
        tmp_path, requests, replace(chosen, settings=some), SourceStatus(source="s", records=frozenset({"request"}))
    )

    assert found.absent["backlog_change"] == "switched_off"
    assert "requests" not in found.absent


@pytest.mark.parametrize("record", ["incident", "service_level"])
def test_one_record_may_do_instead_of_another(tmp_path: Path, record: str) -> None:
    records = [
        Incident(id="1", service="x", opened_at=AT),
        ServiceLevel(id="1", service="x", measured_at=AT, ratio=0.5),
    ]
    fed = [each for each in records if record_name(type(each)) == record]

    found = feeding(tmp_path, fed, plan(), SourceStatus(source="s", records=frozenset({record})))
    stale = feeding(tmp_path, fed, plan(), SourceStatus(source="s", records=frozenset({record}), stale=True))

    assert [f.numerator for f in found.figures if f.kpi == "availability_ratio" and f.window == "1d"] == [
        86400 if record == "incident" else 0.5
    ]
    assert stale.absent["availability_ratio"] == "stale_source"


def test_without_labels_and_without_records_there_are_no_figures(tmp_path: Path) -> None:
    found = evaluated(
        tmp_path, [[Booking(id="1", starts_at=AT, outcome="no_show")]], AT, {record: [] for record in LABELS}
    )

    assert found.absent["completion_ratio"] == "no_records"
    assert [f.numerator for f in found.figures if f.kpi == "no_show_ratio"] == [1.0] * 4


def test_a_source_that_left_the_config_counts_no_longer(tmp_path: Path) -> None:
    with empty_store(tmp_path) as store:
        for source in ("stays", "left"):
            store.write(source, [Booking(id="1", starts_at=AT, outcome="no_show", team=source)], {})
        with store.reading() as reader:
            found = evaluate(reader, plan(), AT, [SourceStatus(source="stays", records=frozenset({"booking"}))])

    assert {("team", "stays")} == {pair for figure in found.figures for pair in figure.segment}


def many(tmp_path: Path, teams: int) -> Evaluation:
    bookings = [
        Booking(id=f"{team}-{i}", starts_at=AT, outcome="attended", team=f"team{team:03}")
        for team in range(teams)
        for i in range(team % 7 + 1)
    ]
    return evaluated(tmp_path, [bookings], AT)


def test_crowded_segments_are_folded_and_sums_stay(tmp_path: Path) -> None:
    evaluation = many(tmp_path, 120)

    made = series(evaluation, plan(), Limits(values_per_label=20))
    family = next(f for f in made.snapshot.families if f.name == "outcome_no_show_denominator")
    kept = {values[1] for values, _ in family.samples}

    assert len(kept) == 21
    assert "other" in kept
    assert made.folded["no_show_ratio", "team"] == 100
    expected = sum(f.denominator or 0 for f in evaluation.figures if f.kpi == "no_show_ratio" and f.window == "7d")
    assert expected == sum(float(str(value)) for values, value in family.samples if values[0] == "7d")


@pytest.mark.parametrize("most", [2, 4, 50])
def test_the_median_of_what_is_folded_is_that_of_its_records(tmp_path: Path, most: int) -> None:
    # Skewed, and of sizes that differ: medians of medians, or a mean of them, would be something else.
    lengths = {(team, i): float(60 * (i + 1) ** (1 + team % 3)) for team in range(12) for i in range(2 * team + 1)}
    requests = [
        Request(
            id=f"{team}-{i}",
            team=f"team{team:02}",
            opened_at=AT - timedelta(seconds=length),
            resolved_at=AT,
            outcome="resolved",
            handled_by="human",
        )
        for (team, i), length in lengths.items()
    ]
    evaluation = evaluated(tmp_path, [requests], AT)

    made = series(evaluation, plan(), Limits(values_per_label=most, series_per_metric=100_000, series=1_000_000))
    families = {family.name: family for family in made.snapshot.families}
    family = families["outcome_resolution_seconds_median"]
    teams = [dict(zip(family.labels, values, strict=True)) for values, _ in family.samples]
    named = {told["team"] for told in teams}
    found = {told["team"]: value for told, (_, value) in zip(teams, family.samples, strict=True)}
    groups: dict[str, list[float]] = {}
    for (team, _), length in lengths.items():
        groups.setdefault(f"team{team:02}" if f"team{team:02}" in named else "other", []).append(length)

    assert "never added up" in family.help
    assert ("other" in named) == (most < 12)
    assert found == {team: median(values) for team, values in groups.items()}
    assert {name for name in families if name.endswith("_median")} >= {"outcome_resolution_seconds_median"}


OF_THE_CATALOGUE = ("outcome_kpi_info", "outcome_kpi_absent", "outcome_kpi_source_info", "outcome_assumption_info")
"""Families with a sample for each KPI, whatever the segments."""


def test_series_stay_within_both_budgets(tmp_path: Path) -> None:
    evaluation = many(tmp_path, 200)

    made = series(evaluation, plan(), Limits(series_per_metric=100, series=1000, values_per_label=1000, teams=1))
    by_metric = series(evaluation, plan(), Limits(series_per_metric=100, values_per_label=1000, teams=1))
    of_kpis = [family for family in made.snapshot.families if family.name not in OF_THE_CATALOGUE]

    assert by_metric.count > 1000
    assert made.count <= 1000
    assert {family.name: len(family.samples) for family in of_kpis if len(family.samples) > 100} == {}
    assert made.folded["no_show_ratio", "team"] > 150


def test_the_most_specific_threshold_wins(tmp_path: Path) -> None:
    chosen = plan()
    by = [({"team": "it"}, Threshold(critical=0.9)), ({"team": "it", "channel": "x"}, Threshold(critical=0.1))]
    special = [replace(s, thresholds_by=by) if s.kpi.name == "no_show_ratio" else s for s in chosen.settings]
    bookings = [Booking(id=team, starts_at=AT, outcome="no_show", team=team) for team in ("it", "hr")]
    made = series(evaluated(tmp_path, [bookings], AT), replace(chosen, settings=special), Limits())

    family = next(f for f in made.snapshot.families if f.name == "outcome_no_show_ratio_threshold")
    found = {(values[1], values[2]): value for values, value in family.samples if values[0] == "7d"}

    assert found == {("it", "warning"): 0.15, ("it", "critical"): 0.9, ("hr", "warning"): 0.15, ("hr", "critical"): 0.3}


def test_every_record_type_of_the_catalogue_has_facts_and_a_store_table() -> None:
    used = {name for k in kpi.catalogue().values() for name in (*k.needs, *k.uses)}

    assert used == {record_name(type(record)) for record in history(1, 1)}


def test_what_a_reader_remembers_of_one_plan_is_of_no_other_plan(tmp_path: Path) -> None:
    later = AT + timedelta(days=300)  # of another year, hence with other working days
    started = [at - timedelta(hours=i) for at, end in ((AT, 9), (later, 5)) for i in range(1, end)]
    runs = [
        Run(id=f"{at}", workflow="w", team="it", started_at=at, finished_at=at + timedelta(minutes=5), status="failed")
        for at in started
    ]
    quick = replace(plan(), run_timeout=60.0, costs=COSTS)
    cases = [(plan(), AT, FEEDS), (quick, AT, FEEDS), (plan(), later, FEEDS), (plan(), AT, [])]
    with Store.open(tmp_path / "store.duckdb") as store:
        store.write("s", runs, {})
        found = []
        for chosen, at, sources in [*cases, *reversed(cases)]:
            with store.reading() as reader:  # one after the other they get the same connection
                found.append(evaluate(reader, chosen, at, sources).figures)
    alone = []
    for chosen, at, sources in cases:
        with Store.open(tmp_path / "store.duckdb") as store, store.reading() as reader:
            alone.append(evaluate(reader, chosen, at, sources).figures)

    assert found == [*alone, *reversed(alone)]
    assert len({str(figures) for figures in alone}) == 4


def prepared_and_failed(reader: duckdb.DuckDBPyConnection) -> None:
    with snapshot(reader):
        prepare(reader, plan(), AT, FEEDS)
        reader.execute("from no_such_table")


def test_after_a_failed_evaluation_a_reader_has_all_that_the_next_one_needs(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as store:
        store.write("s", [Run(id="1", workflow="w", started_at=AT - timedelta(days=2))], {})
        with store.reading() as reader:
            with pytest.raises(duckdb.Error, match="no_such_table"):
                prepared_and_failed(reader)
            found = evaluate(reader, plan(), AT, FEEDS).figures
        with store.reading() as reader:
            again = evaluate(reader, plan(), AT, FEEDS).figures

    assert len(found) > 0
    assert found == again
