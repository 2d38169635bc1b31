"""Money, computed again from the records of a random organisation: in plain Python, and not as the facts do it."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.catalogue import kpi
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, RecurringCost, Setting, SourceSetting, WorkflowSetting
from exporter.records import Cost, Record, Request, Run
from exporter.store.status import SourceStatus
from tests.scenario import empty_store, params, parts_of

AT = datetime(2026, 3, 31, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = [("1d", 86400), ("7d", 7 * 86400), ("30d", 30 * 86400)]
RULES = ("none", "runs", "time_saved", "value")
KPIS = (
    "automation_spend",
    "cost_per_run",
    "total_net_value",
    "hard_net_value",
    "net_value",
    "total_roi_ratio",
    "hard_roi_ratio",
    "roi_ratio",
    "value",
    "hard_value",
    "containment_ratio",
    "claimed_resolution_ratio",
    "claim_gap_ratio",
    "claim_gap_cost",
    "adoption_cost",
    "overhead_ratio",
    "payback_seconds",
    "total_net_value_high",
    "hard_net_value_high",
    "net_value_high",
    "total_roi_high_ratio",
    "hard_roi_high_ratio",
    "roi_high_ratio",
    "capacity_released_seconds",
)  # fmt: skip - a list of words
# Words are drawn, so their types are not those of the columns.
RUN: Callable[..., Run] = Run
COST: Callable[..., Cost] = Cost
REQUEST: Callable[..., Request] = Request
RECURRING: Callable[..., RecurringCost] = RecurringCost
SPENT = ("team", "kind", "currency", "claim")
CLAIMED, WHOLE = ("team", "currency", "claim"), ("team", "currency")
Amounts = dict[tuple[str | None, ...], float]
"""(window, values of labels...) -> amount."""


@dataclass
class Organisation:
    """A random one: its records by source, and what is configured of it."""

    runs: list[Run] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    desks: dict[str, list[Request]] = field(default_factory=dict)
    workflows: dict[str, WorkflowSetting] = field(default_factory=dict)
    recurring: list[RecurringCost] = field(default_factory=list)
    sources: dict[str, SourceSetting] = field(default_factory=dict)

    def records(self) -> Iterator[tuple[str, list[Record]]]:
        yield "runs", [*self.runs]
        yield "costs", [*self.costs]
        for name, rows in self.desks.items():
            yield name, [*rows]

    def plan(self, by: str) -> Plan:
        catalogue = kpi.catalogue()
        names = {*KPIS, *(part for name in KPIS for part in parts_of(name))}
        return Plan(
            settings=[
                Setting(kpi=k, params=params(k, {}), min_coverage=0) for k in catalogue.values() if k.name in names
            ],
            windows=WINDOWS,
            labels={"run": ["team"], "cost": ["team"], "request": ["team"]},
            shared_cost=by,  # type: ignore[arg-type] # one of RULES
            workflows=self.workflows,
            costs=self.recurring,
            sources=self.sources,
        )


def organisation(seed: int) -> Organisation:
    """With two currencies, three teams, four workflows, of which one has no claim and one no rate."""
    rng, made = random.Random(seed), Organisation()

    def ago(days: float) -> datetime:
        return AT - timedelta(seconds=rng.randint(-2 * 86400, int(days * 86400)))

    def team() -> str | None:
        return rng.choice(["it", "hr", None])

    def region() -> str | None:
        return rng.choice(["emea", None, None])

    low = rng.choice([0.0, 900.0, 1800.0])
    made.workflows = {
        "hard": WorkflowSetting(
            manual_seconds_low=low, manual_seconds_high=1800, rate=36, currency="EUR", claim="hard_cost_avoided"
        ),
        "capacity": WorkflowSetting(
            manual_seconds_low=900,
            manual_seconds_high=900,
            category="a",
            rate=18,
            currency="EUR",
            claim="capacity_released",
        ),
        "dollars": WorkflowSetting(
            manual_seconds_low=600, manual_seconds_high=900, rate=72, currency="USD", claim="productivity_gained"
        ),
        "no rate": WorkflowSetting(manual_seconds_low=60, manual_seconds_high=60, claim="capacity_released"),
        "no claim": WorkflowSetting(manual_seconds_low=60, manual_seconds_high=60),
    }
    names = [*made.workflows, "unknown", None]
    for i in range(rng.randint(0, 60)):
        begin, where = ago(40), {"team": team(), "region": region(), "workflow": rng.choice(names)}
        for attempt in range(1, rng.choice([1, 1, 1, 2, 3]) + 1):
            end = begin + timedelta(seconds=rng.randint(1, rng.choice([600, 3 * 86400])))
            made.runs.append(
                RUN(
                    id=f"r{i}.{attempt}",
                    root_id=f"r{i}.1",
                    attempt=attempt,
                    started_at=begin,
                    finished_at=end if rng.random() < 0.9 else None,
                    status=rng.choice(["succeeded"] * 8 + ["failed", "cancelled", "abandoned"]),
                    human_seconds=rng.choice([None, 0.0, 120.0, 120.0, 2000.0]),
                    human_override=rng.random() < 0.1 or None,
                    rework=rng.random() < 0.1,
                    **where,
                )  # fmt: skip - a run is one thing
            )
            if made.runs[-1].finished_at is None:
                made.runs[-1] = replace(
                    made.runs[-1], status="running", human_seconds=None, rework=None, human_override=None
                )
                break
            begin = end + timedelta(seconds=rng.randint(1, 600))
    kinds = ["licence", "infrastructure", "labour", "maintenance", "support", "training", None]
    for i in range(rng.randint(0, 25)):
        since = rng.choice([*[ago(45)] * 9, None])
        length = timedelta(seconds=rng.choice([0, 3600, rng.randint(1, 40 * 86400)]))
        made.costs.append(
            COST(
                id=f"c{i}",
                period_start=since,
                period_end=since and rng.choice([*[since + length] * 9, None]),
                amount=rng.choice([None, 0.0, -5.0, *[float(rng.randint(1, 900))] * 9]),
                currency=rng.choice(["EUR", "EUR", "USD", None]),
                kind=rng.choice(kinds),
                workflow=rng.choice([*names, *[None] * 9]),
                team=team(),
                region=region(),
            )  # fmt: skip - a cost is one thing
        )
    for _ in range(rng.randint(0, 3)):
        begin = datetime(2026, rng.randint(1, 3), rng.randint(1, 28))  # noqa: DTZ001 - as tables hold it
        made.recurring.append(
            RECURRING(
                amount=float(rng.randint(1, 3000)),
                currency=rng.choice(["EUR", "USD"]),
                per=rng.choice(["day", "month", "year"]),
                kind=rng.choice(["licence", "labour", "support"]),
                workflow=rng.choice(names),
                team=team(),
                begins_at=begin,
                ends_at=rng.choice([None, begin + rng.randint(1, 60) * DAY]),
            )  # fmt: skip - a cost is one thing
        )
    made.sources = {"zendesk": SourceSetting(claimed_resolution_price=1.5, currency="USD"), "intercom": SourceSetting()}
    for source in made.sources:
        desk = made.desks[source] = []
        for i in range(rng.randint(0, 50)):
            begin = ago(35)
            end = begin + timedelta(seconds=rng.choice([0, rng.randint(1, 5 * 86400)]))
            outcome = rng.choice(["open", "resolved", "resolved", "abandoned", "discarded"])
            desk.append(
                REQUEST(
                    id=f"q{i}",
                    opened_at=begin,
                    resolved_at=end if outcome in ("resolved", "discarded") else None,
                    abandoned_at=end if outcome == "abandoned" else None,
                    outcome=outcome,
                    category=rng.choice(["a", "b", None]),
                    requester=rng.choice(["ann", "ben", "cat", None]),
                    handled_by=rng.choice(["automation", "human", "assisted", None]),
                    team=team(),
                    self_service=rng.choice([True, True, False, None]),
                    claimed_resolved=rng.choice([True, True, False, None]),
                    csat=rng.choice([None, 0.0, 0.5, 1.0]),
                    reopen_count=rng.choice([None, 0, 0, 2]),
                    escalated_at=rng.choice([None, None, begin + timedelta(hours=rng.randint(0, 90))]),
                    human_seconds=rng.choice([None, 60.0, 900.0]),
                    run_id=rng.choice([None] * 20 + [run.id for run in made.runs[:20]]),
                )  # fmt: skip - a request is one thing
            )
    return made


@dataclass(frozen=True)
class Ended:
    """A logical run that has ended."""

    at: datetime
    run: Run
    seconds: float | None  # that it saved; None: not known
    high: float | None  # the same at the upper end of manual time
    succeeded: bool


def ended_runs(made: Organisation, at: datetime) -> Iterator[Ended]:
    """As they were at a time."""
    chains: dict[str | None, list[Run]] = defaultdict(list)
    for run in made.runs:
        chains[run.root_id].append(run)
    manual = [
        q.human_seconds
        for desk in made.desks.values()
        for q in desk
        if q.handled_by == "human"
        and q.category == "a"
        and q.outcome == "resolved"
        and q.human_seconds is not None
        and q.resolved_at
        and at - 30 * DAY < q.resolved_at <= at
    ]  # fmt: skip - a question is one thing
    helped = [
        (q.run_id, q.human_seconds)
        for desk in made.desks.values()
        for q in desk
        if q.run_id
        and q.human_seconds
        and q.outcome != "discarded"
        and (end := q.resolved_at or q.abandoned_at)
        and end <= at
    ]
    for chain in chains.values():
        begun = [run for run in chain if run.started_at and run.started_at <= at]
        if not begun:
            continue
        last = begun[-1]
        over = last.finished_at if last.finished_at and last.finished_at <= at else None
        late = last.started_at + DAY if last.started_at else None
        if (over and last.status == "cancelled") or (not over and not (late and late <= at)):
            continue
        past = [run for run in begun if run.finished_at and run.finished_at <= at]
        people = sum(run.human_seconds or 0 for run in past)
        people += sum(seconds for name, seconds in helped if name in {run.id for run in chain})
        setting = made.workflows.get(last.workflow or "")
        succeeded = bool(over) and last.status == "succeeded"
        saved: list[float | None] = [None, None]
        if setting:
            for i, length in enumerate((setting.manual_seconds_low, setting.manual_seconds_high)):
                takes = sum(manual) / len(manual) if setting.category and manual else length or 0.0
                if any(run.rework for run in past):
                    saved[i] = -people
                else:
                    saved[i] = takes - people if succeeded and not any(run.human_override for run in past) else 0.0
        yield Ended(over or late or at, last, saved[0], saved[1], succeeded)


def periods(made: Organisation, at: datetime) -> Iterator[tuple[Cost, datetime, datetime, float]]:
    """Costs of automation with when they count, from and to, and how long what they are for takes in seconds."""
    for cost in made.costs:
        if cost.period_start and cost.period_end and not (cost.workflow is None and cost.kind == "labour"):
            length = (cost.period_end - cost.period_start).total_seconds()
            yield cost, cost.period_start, cost.period_end, length
    for i, each in enumerate(made.recurring):
        if each.workflow is None and each.kind == "labour":
            continue
        cost = Cost(
            id=str(i),
            amount=each.amount,
            currency=each.currency,
            kind=each.kind,
            workflow=each.workflow,
            team=each.team,
        )
        begins, ends = (t.replace(tzinfo=UTC) if t else at + DAY for t in (each.begins_at, each.ends_at))
        day = datetime(2025, 1, 1, tzinfo=UTC)
        while day <= at:
            following = day + DAY
            if each.per != "day":
                following = datetime(day.year + (each.per == "year" or day.month == 12), 1, 1, tzinfo=UTC)
            if each.per == "month" and day.month < 12:
                following = datetime(day.year, day.month + 1, 1, tzinfo=UTC)
            if max(day, begins) < min(following, ends):
                yield cost, max(day, begins), min(following, ends), (following - day).total_seconds()
            day = following


def weight(by: str, run: Ended, made: Organisation, currency: str | None) -> float:
    """What of a shared cost a run carries."""
    setting = made.workflows[run.run.workflow or ""]
    if by == "runs":
        return 1.0
    if by == "time_saved":
        return run.seconds or 0.0
    return (run.seconds or 0.0) * (setting.rate or 0.0) / 3600 if setting.currency == currency else 0.0


def spend(made: Organisation, at: datetime, by: str, only: Callable[[float], bool] = lambda _: True) -> Amounts:
    """(window, team, kind, currency, claim) -> cost of automation; `only`: for periods of some lengths."""
    amounts: Amounts = defaultdict(float)
    runs = [run for run in ended_runs(made, at) if run.run.workflow in made.workflows]
    runs = [run for run in runs if made.workflows[run.run.workflow or ""].claim]
    for window, seconds in WINDOWS:
        end, begin = at, at - timedelta(seconds=seconds)
        for cost, since, until, length in periods(made, at):
            if cost.amount is None or not only(length):
                continue
            if length:
                part = max((min(end, until) - max(begin, since)).total_seconds(), 0) / length
            else:
                part = float(begin < until <= end)
            setting = made.workflows.get(cost.workflow or "")
            carried: dict[tuple[str | None, ...], float] = defaultdict(float)
            for run in runs if by != "none" and cost.workflow is None else []:
                same = all(
                    getattr(cost, label) in (None, getattr(run.run, label)) for label in ("team", "region")
                )  # fmt: skip - one question
                if same and begin < run.at <= end:
                    key = (cost.team or run.run.team, run.run.region, run.run.workflow)
                    carried[key] += weight(by, run, made, cost.currency)
            # What saved less than it took carries nothing.
            carried = {key: each for key, each in carried.items() if each > 0}
            shares = [
                (team, made.workflows[name or ""].claim, each / sum(carried.values()))
                for (team, _, name), each in carried.items()
            ] or [(cost.team, setting.claim if setting else None, 1.0)]
            if not length or part:  # a cost of another time is none
                for team, claim, share in shares:
                    amounts[window, team, cost.kind, cost.currency, claim] += cost.amount * part * share
    return amounts


def paid_once(made: Organisation, at: datetime) -> Amounts:
    """(window, team, currency) -> all that was paid once up to now, which is the same in every window."""
    amounts: Amounts = defaultdict(float)
    for cost, since, until, _ in periods(made, at):
        if since == until and until <= at and cost.amount is not None:
            for window, _ in WINDOWS:
                amounts[window, cost.team, cost.currency] += cost.amount
    return amounts


def released(made: Organisation, at: datetime) -> Amounts:
    """(window, team) -> seconds of capacity released."""
    amounts: Amounts = defaultdict(float)
    for run in ended_runs(made, at):
        setting = made.workflows.get(run.run.workflow or "")
        for window, seconds in WINDOWS:
            if setting and setting.claim == "capacity_released" and at - timedelta(seconds=seconds) < run.at <= at:
                amounts[window, run.run.team] += run.seconds or 0.0
    return amounts


def values(made: Organisation, at: datetime, *, high: bool = False) -> Amounts:
    """(window, team, currency, claim) -> value of the time saved."""
    amounts: Amounts = {}
    for run in ended_runs(made, at):
        setting = made.workflows.get(run.run.workflow or "")
        for window, seconds in WINDOWS:
            if setting and setting.rate and run.seconds is not None:
                key = (window, run.run.team, setting.currency, setting.claim)
                placed = at - timedelta(seconds=seconds) < run.at <= at
                had = amounts.get(key, 0.0 if at - 30 * DAY < run.at else None)
                if had is not None:
                    saved = (run.high if high else run.seconds) or 0.0
                    amounts[key] = had + saved * setting.rate / 3600 * placed
    return amounts


def claims(made: Organisation, at: datetime) -> tuple[dict[tuple[str | None, ...], tuple[int, int]], Amounts]:
    """(window, team, vendor) -> (claims that did not hold, claims); (window, team, vendor, currency) -> their price."""
    gaps: dict[tuple[str | None, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    prices: Amounts = defaultdict(float)
    every = [(source, q) for source, desk in made.desks.items() for q in desk if q.outcome != "discarded"]
    for source, q in every:
        end = q.resolved_at or q.abandoned_at
        if not (q.claimed_resolved and end and end <= at):
            continue
        back = any(
            (other, o.id) != (source, q.id)
            and q.requester
            and o.requester == q.requester
            and o.opened_at
            and end <= o.opened_at <= min(end + 3 * DAY, at)
            and (q.category == o.category or not (q.category and o.category))
            for other, o in every
        )  # fmt: skip - one question
        broken = back or (q.reopen_count or 0) > 0 or (q.csat is not None and q.csat < 0.5)
        for window, seconds in WINDOWS:
            if end > at - timedelta(seconds=seconds):
                n, d = gaps[window, q.team, source]
                gaps[window, q.team, source] = n + broken, d + 1
                if broken and (price := made.sources[source].claimed_resolution_price):
                    prices[window, q.team, source, made.sources[source].currency] += price
    return gaps, prices


def over(amounts: Amounts, *places: int) -> Amounts:
    """By some labels alone."""
    sums: Amounts = defaultdict(float)
    for key, amount in amounts.items():
        sums[tuple(key[i] for i in places)] += amount
    return sums


def minus(one: Amounts, other: Amounts) -> Amounts:
    """What is known of the difference: a cost alone is no loss."""
    return {key: amount - other.get(key, 0.0) for key, amount in one.items()}


def published(evaluation: Evaluation, name: str, *labels: str, part: str = "numerator") -> Amounts:
    """What is evaluated, by the same keys."""
    found: Amounts = {}
    for f in evaluation.figures:
        if f.kpi == name and (part != "value" or not f.partial):
            segment = {label: None if value == "unassigned" else value for label, value in f.segment}
            assert {*segment} == {*labels}
            amount = f.numerator if part in ("numerator", "value") else f.denominator or 0.0
            if part == "value" and f.denominator is not None:
                amount = f.numerator / f.denominator if f.denominator > 0 else 0.0
            found[f.window, *(segment[label] for label in labels)] = amount
    return found


def same(one: Amounts, other: Amounts) -> dict[Any, tuple[float, float]]:
    """Where two differ; what is not there is 0."""
    pairs = {key: (one.get(key, 0.0), other.get(key, 0.0)) for key in one.keys() | other.keys()}
    return {key: pair for key, pair in pairs.items() if pair[0] != pytest.approx(pair[1], abs=1e-4)}


def check(e: Evaluation, made: Organisation, at: datetime, by: str) -> dict[str, Any]:
    """KPI -> where it differs from what is computed here."""
    spent, worth = spend(made, at, by), values(made, at)
    hard = {key: amount for key, amount in worth.items() if key[3] == "hard_cost_avoided"}
    by_claim, whole, hard_alone = over(worth, 0, 1, 2, 3), over(worth, 0, 1, 2), over(hard, 0, 1, 2)
    of_claim, of_all = over(spent, 0, 1, 3, 4), over(spent, 0, 1, 3)
    gaps, prices = claims(made, at)
    differ = {
        "automation_spend": same(spent, published(e, "automation_spend", *SPENT)),
        "value": same(worth, published(e, "value", "team", "currency", "claim")),
        "hard_value": same(hard_alone, published(e, "hard_value", "team", "currency")),
        "claim_gap_cost": same(prices, published(e, "claim_gap_cost", "team", "vendor", "currency")),
        "claims": same(
            {k: d for k, (_, d) in gaps.items()}, published(e, "claim_gap_ratio", "team", "vendor", part="d")
        ),
        "gaps": same({k: n for k, (n, _) in gaps.items()}, published(e, "claim_gap_ratio", "team", "vendor")),
    }
    if worth:
        differ["net_value"] = same(minus(by_claim, of_claim), published(e, "net_value", *CLAIMED, part="value"))
        differ["total_net_value"] = same(minus(whole, of_all), published(e, "total_net_value", *WHOLE, part="value"))
    if hard:
        differ["hard_net_value"] = same(minus(hard_alone, of_all), published(e, "hard_net_value", *WHOLE, part="value"))
    for name, value, cost, labels in (
        ("roi_ratio", by_claim, of_claim, ("team", "currency", "claim")),
        ("total_roi_ratio", whole, of_all, ("team", "currency")),
        ("hard_roi_ratio", hard_alone, of_all, ("team", "currency")),
    ):
        quotients = {k: v / cost[k] - 1 for k, v in value.items() if cost.get(k)}
        ours = published(e, name, *labels, part="value")
        differ[name] = {k: v for k, v in same(quotients, ours).items() if cost.get(k, 0) > 1e-9}
    differ |= upper_ends(e, made, at, spent) | adoption(e, made, at, spent, by)
    return {name: found for name, found in differ.items() if found}


def upper_ends(e: Evaluation, made: Organisation, at: datetime, spent: Amounts) -> dict[str, Any]:
    """KPI at the upper end of manual time -> where it differs."""
    worth = values(made, at, high=True)
    hard = over({key: amount for key, amount in worth.items() if key[3] == "hard_cost_avoided"}, 0, 1, 2)
    of_claim, of_all = over(spent, 0, 1, 3, 4), over(spent, 0, 1, 3)
    differ: dict[str, Any] = {}
    for name, value, cost, labels in (
        ("net_value_high", worth, of_claim, CLAIMED),
        ("total_net_value_high", over(worth, 0, 1, 2), of_all, WHOLE),
        ("hard_net_value_high", hard, of_all, WHOLE),
    ):
        differ[name] = same(minus(value, cost), published(e, name, *labels, part="value"))
        roi = name.replace("net_value_high", "roi_high_ratio")
        quotients = {k: v / cost[k] - 1 for k, v in value.items() if cost.get(k)}
        ours = published(e, roi, *labels, part="value")
        differ[roi] = {k: v for k, v in same(quotients, ours).items() if cost.get(k, 0) > 1e-9}
    return differ


def adoption(e: Evaluation, made: Organisation, at: datetime, spent: Amounts, by: str) -> dict[str, Any]:
    """KPI on the cost of adoption and what it brings -> where it differs."""
    worth, kinds = values(made, at), ("licence", "training", "maintenance", "support")
    cost = over({key: amount for key, amount in spent.items() if key[2] in kinds}, 0, 1, 3, 4)
    of_claim, whole = over(spent, 0, 1, 3, 4), over(worth, 0, 1, 2)
    once, lengths = paid_once(made, at), {name: timedelta(seconds=seconds) for name, seconds in WINDOWS}
    running = over(spend(made, at, by, only=lambda length: length > 0), 0, 1, 3)
    rate = {key: v / lengths[str(key[0])].total_seconds() for key, v in minus(whole, running).items()}
    payback = {key: once[key] / each for key, each in rate.items() if each > 0 and key in once}
    overhead = {key: of_claim[key] / v for key, v in worth.items() if v > 0 and key in of_claim}
    return {
        "adoption_cost": same(cost, published(e, "adoption_cost", *CLAIMED)),
        "payback_seconds": same(payback, published(e, "payback_seconds", *WHOLE, part="value")),
        "overhead_ratio": same(overhead, published(e, "overhead_ratio", *CLAIMED, part="value")),
        "capacity_released_seconds": same(released(made, at), published(e, "capacity_released_seconds", "team")),
    }


@pytest.mark.slow
def test_money_is_what_plain_arithmetic_makes_of_the_records(tmp_path: Path) -> None:
    made = organisation(0)  # in which every rule allocates otherwise; others cost a second each
    feeds = [SourceStatus(source=name, records=frozenset({"run", "cost", "request"})) for name, _ in made.records()]
    with empty_store(tmp_path) as store:
        for source, rows in made.records():
            store.write(source, rows, {})
        with store.reading() as reader:
            found = {by: evaluate(reader, made.plan(by), AT, feeds) for by in RULES}
            alone = evaluate(reader, replace(made.plan("runs"), windows=WINDOWS[-1:]), AT, feeds)

    wholes = [over(published(e, "automation_spend", *SPENT), 0, 2, 3) for e in found.values()]

    assert {by: check(e, made, AT, by) for by, e in found.items()} == {by: {} for by in RULES}
    assert [same(wholes[0], whole) for whole in wholes] == [{}] * len(RULES)
    of_30d = {k: v for k, v in published(found["runs"], "automation_spend", *SPENT).items() if k[0] == "30d"}
    assert same(of_30d, published(alone, "automation_spend", *SPENT)) == {}  # whatever other windows there are
    assert "" not in frozenset().union(*alone.feeds.values())  # costs of the config are no source
