"""Before and after an intervention: planted effects are found, and chance is not called one."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from exporter.base.clock import NEVER
from exporter.catalogue import kpi
from exporter.evaluation.plan import Intervention, Plan, Setting
from exporter.explain.interventions import of_question
from exporter.explain.query import question
from exporter.insight.difference import Day, Estimate, difference, estimate, of_ratio, student
from exporter.insight.interventions import Effect, compared, effects, periods
from exporter.records import RECORDS, Request
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.organisations import BEGIN, courses
from tests.scenario import WINDOWS, empty_store, params

DAY = timedelta(days=1)
FEED = SourceStatus(source="s", records=frozenset(RECORDS))
KPIS = kpi.catalogue()


def plan(*names: str, labels: tuple[str, ...] = ("team",), interventions: tuple[Intervention, ...] = ()) -> Plan:
    return Plan(
        settings=[Setting(kpi=KPIS[name], params=params(KPIS[name], {}), min_coverage=0) for name in names],
        windows=[*WINDOWS.items()],
        labels=dict.fromkeys(RECORDS, labels),
        interventions=interventions,
    )


def intervention(day: datetime, where: Mapping[str, str], *names: str) -> Intervention:
    return Intervention(at=day, what="New rules", where=where, kpis=frozenset(names))


# What chance does


def verdict(chance: Random, name: str, planted: Mapping[str, float], weeks: int) -> str:
    """What is said of team `a`, of which something may be planted, beside the other teams."""
    made = intervention(BEGIN + 7 * weeks * DAY, {"team": "a"}, name)
    before, after = courses(chance, name, 7 * weeks, planted, after=7 * weeks)
    [effect] = compared(plan(name, interventions=(made,)), made, name, before, after)
    return effect.verdict(KPIS[name])


@pytest.mark.slow
@pytest.mark.parametrize("teams", ["a", "ab"])
def test_of_200_organisations_without_an_effect_hardly_any_is_said_to_have_one(teams: str) -> None:
    chance, names = Random(20261127), ("escalation_ratio", "csat_ratio", "requests")
    planted = dict.fromkeys(teams, 1.0)

    said = [verdict(chance, names[i % 3], planted, weeks=1 + i % 4) for i in range(200)]

    assert said.count("unknown") == 0
    assert len(said) - said.count("no_change") <= 10  # 5 %


@pytest.mark.parametrize(("name", "factor"), [("escalation_ratio", 2.0), ("csat_ratio", 0.7), ("requests", 1.5)])
def test_an_effect_in_one_team_is_found_and_one_of_all_teams_is_not_its_own(name: str, factor: float) -> None:
    chance = Random(20261128)

    own = [verdict(chance, name, {"a": factor, "b": 1.0}, weeks=4) for _ in range(20)]
    of_all = [verdict(chance, name, {"a": factor, "b": factor}, weeks=4) for _ in range(20)]

    assert {"better", "worse", "changed"} & {*own}
    assert own.count("no_change") <= 2
    assert of_all.count("no_change") >= 18


# Periods


@pytest.mark.parametrize(
    ("passed", "since", "expected"),
    [
        (2.9, 400, None),
        (3.5, 400, (-7, -4, 0, 3)),
        (6.9, 400, (-7, -1, 0, 6)),
        (7.0, 400, (-7, 0, 0, 7)),
        (20.5, 400, (-14, 0, 6, 20)),
        (20.5, 8, (-7, 0, 13, 20)),
        (20.5, 6, None),
        (300.0, 400, (-91, 0, 0, 91)),
    ],
)
def test_periods_are_equally_long_and_have_the_same_weekdays(
    passed: float, since: int, expected: tuple[int, int, int, int] | None
) -> None:
    found = periods(BEGIN, BEGIN + passed * DAY, BEGIN - since * DAY)
    times = found and (found[0].begins_at, found[0].ends_at, found[1].begins_at, found[1].ends_at)

    assert expected == (times and tuple((time - BEGIN) // DAY for time in times))


# Statistics, by hand


def test_a_value_varies_as_its_days_do_and_at_least_as_its_records_do() -> None:
    alike = [Day(2, 10)] * 3
    uneven = [Day(0, 10), Day(6, 10), Day(0, 10)]

    assert estimate(6, 30, alike, least_variance=of_ratio(6, 30)) == Estimate(0.2, 7 / 32 * 25 / 32 / 32)
    # Each day is 2, 4 and 2 from the 2 expected; 24 * 3 / 2 / 30 squared
    assert estimate(6, 30, uneven, least_variance=of_ratio(6, 30)) == Estimate(0.2, 24 * 3 / 2 / 30**2, 2)


def test_weekends_are_no_chance() -> None:
    weeks = [Day(n, None) for n in (10, 10, 10, 10, 10, 2, 2)] * 4

    assert estimate(216, None, weeks, least_variance=216).variance == 216
    assert (estimate(54, None, weeks[:7], least_variance=54).variance or 0) > 54


def test_the_interval_of_a_difference_widens_with_few_days() -> None:
    few, many = Estimate(2.0, 0.04, 4), Estimate(1.0, 0.0, 4)

    found = difference(many, few)

    assert found.value == 1
    assert found.lower == pytest.approx(1 - 2.7764 * 0.2, abs=1e-3)
    assert found.beyond_chance
    assert difference(Estimate(1.0), few).beyond_chance is None


@pytest.mark.parametrize(("freedom", "expected"), [(4, 2.776), (6, 2.447), (12, 2.179), (30, 2.042), (1e9, 1.960)])
def test_quantiles_are_those_of_the_tables(freedom: float, expected: float) -> None:
    assert student(freedom) == pytest.approx(expected, abs=1e-3)


# From records


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as opened:
        yield opened


def requests(per_day: int, escalated_before: int, escalated_after: int, team: str, **more: str) -> list[Request]:
    """Four weeks of requests, of which so many a day were escalated before and after the first two."""
    return [
        Request(
            id=f"{team}{more}{day}-{i}",
            team=team,
            opened_at=BEGIN + day * DAY + timedelta(hours=8),
            resolved_at=BEGIN + day * DAY + timedelta(hours=9),
            escalated_at=BEGIN + day * DAY + timedelta(hours=9)
            if i < (escalated_before if day < 14 else escalated_after)
            else None,
            requester=f"{team}{day}-{i}",
            handled_by="human",
            outcome="resolved",
            **more,  # type: ignore[arg-type]  # segments
        )
        for day in range(28)
        for i in range(per_day)
    ]


RULES = intervention(BEGIN + 14 * DAY, {"team": "it"}, "escalation_ratio", "requests", "backlog")
AT = BEGIN + 28 * DAY + timedelta(hours=10)


def found(store: Store, made: Plan, at: datetime = AT, feed: SourceStatus = FEED) -> dict[str, Effect]:
    with store.reading() as reader:
        return {each.kpi: each for each in effects(reader, made, at, [feed])}


@pytest.mark.slow
def test_before_and_after_have_their_numbers_and_other_teams_are_the_control(store: Store) -> None:
    store.write("s", [*requests(10, 1, 4, "it"), *requests(20, 2, 2, "hr")], {})
    made = plan("escalation_ratio", "requests", interventions=(RULES,))

    of_ratio_, of_count = (found(store, made)[name] for name in ("escalation_ratio", "requests"))

    assert of_ratio_.before
    assert of_ratio_.after
    assert of_ratio_.change
    assert of_ratio_.control
    assert of_ratio_.net
    assert (of_ratio_.before.value, of_ratio_.before.n, of_ratio_.before.days) == (0.1, 140, 14)
    assert (of_ratio_.after.value, of_ratio_.after.n) == (0.4, 140)
    assert of_ratio_.change.value == pytest.approx(0.3)
    assert (of_ratio_.control.kind, of_ratio_.control.before.n, of_ratio_.control.after.value) == ("others", 280, 0.1)
    assert of_ratio_.net.value == pytest.approx(0.3)
    assert of_ratio_.verdict(KPIS["escalation_ratio"]) == "worse"
    assert of_count.before
    assert of_count.before.value == 140
    assert of_count.verdict(KPIS["requests"]) == "no_change"


def test_the_control_cohort_is_the_control_group_where_there_is_one(store: Store) -> None:
    rows = [*requests(10, 4, 1, "it", cohort="wave1"), *requests(10, 4, 2, "it", cohort="control")]
    store.write("s", rows, {})
    everywhere = intervention(BEGIN + 14 * DAY, {}, "escalation_ratio")
    made = plan("escalation_ratio", labels=("team", "cohort"), interventions=(everywhere,))

    effect = found(store, made)["escalation_ratio"]

    assert effect.before
    assert effect.control
    assert effect.net
    assert effect.before.n == 140
    assert effect.control.kind == "cohort"
    assert effect.net.value == pytest.approx(-0.1)


def test_what_is_of_the_present_is_shown_and_not_judged(store: Store) -> None:
    waiting = [replace(each, id=f"{each.id}w", resolved_at=None) for each in requests(1, 0, 0, "it")]
    store.write("s", [*requests(2, 0, 0, "it"), *waiting], {})

    effect = found(store, plan("backlog", interventions=(RULES,)))["backlog"]

    assert effect.before
    assert effect.after
    assert (effect.before.value, effect.after.value) == (14, 28)
    assert effect.verdict(KPIS["backlog"]) == "unknown"


@pytest.mark.parametrize(
    ("at", "feed", "absent"),
    [
        (BEGIN + 16 * DAY, FEED, "too_recent"),
        (AT, replace(FEED, whole_since=BEGIN + 10 * DAY), "no_history"),
        (AT, replace(FEED, complete=False, whole_since=NEVER), "initial_sync"),
        (AT, FEED, "no_records"),
    ],
)
def test_without_two_periods_it_says_why(store: Store, at: datetime, feed: SourceStatus, absent: str) -> None:
    made = plan("escalation_ratio", interventions=(RULES,))

    assert absent == found(store, made, at, feed)["escalation_ratio"].absent


def test_what_else_happened_meanwhile_is_named(store: Store) -> None:
    store.write("s", requests(10, 1, 1, "it"), {})
    other = intervention(BEGIN + 20 * DAY, {"team": "hr"}, "escalation_ratio")
    far = intervention(BEGIN + 40 * DAY, {}, "escalation_ratio")
    made = plan("escalation_ratio", interventions=(RULES, other, far))

    with store.reading() as reader:
        first, *_ = effects(reader, made, AT, [FEED])

    assert first.overlaps == (other,)


def test_an_explanation_says_it_in_a_sentence(store: Store) -> None:
    store.write("s", [*requests(10, 1, 4, "it"), *requests(20, 2, 2, "hr")], {})
    later = intervention(BEGIN + 26 * DAY, {}, "escalation_ratio")
    made = plan("escalation_ratio", interventions=(RULES, later))
    asked = question({"kpi": "escalation_ratio", "team": "it"}, made)

    with store.reading() as reader:
        first, second = of_question(reader, made, AT, [FEED], asked)

    assert first["text"] == (
        "10.0% (n = 140) before, 40.0% (n = 140) since (14 days each): +30.0 points (95 % interval +20.5 to +39.5 "
        "points); all others 10.0% (n = 280) before, 10.0% (n = 280) since. Compared with these +30.0 points (95 % "
        "interval +19.2 to +40.8 points); worse, beyond chance. In the same time: New rules (3 October)."
    )
    assert second["text"] == "nothing to compare yet: at least three whole days are needed."


def test_an_intervention_elsewhere_is_not_of_the_segment_that_is_explained(store: Store) -> None:
    made = plan("escalation_ratio", interventions=(RULES,))
    asked = question({"kpi": "escalation_ratio", "team": "hr"}, made)

    with store.reading() as reader:
        assert of_question(reader, made, AT, [FEED], asked) == []
