"""Usage against outcome: teams in thirds, and what is said of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random

import pytest

from exporter.catalogue import kpi
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.plan import Plan, Setting
from exporter.insight.usage import Outcome, Usage, beyond_chance, correlation, ranks, usage
from exporter.records import RECORDS
from tests.scenario import WINDOWS

AT = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("automation_coverage_ratio", "automated_resolution_ratio", "escalation_ratio", "requests")


def plan(*labels: str) -> Plan:
    return Plan(
        settings=[Setting(kpi=kpi.catalogue()[name]) for name in NAMES],
        windows=[*WINDOWS.items()],
        labels=dict.fromkeys(RECORDS, labels),
    )


Counts = Mapping[str, tuple[float, float]]


def found(by_kpi: Mapping[str, Counts], *labels: str) -> Usage:
    """Usage of teams of which each KPI has these numerators and denominators."""
    figures = [
        Figure(name, "30d", (("team", team),), n, d) for name, of in by_kpi.items() for team, (n, d) in of.items()
    ]
    return usage(Evaluation(AT, tuple(figures), {}), plan(*(labels or ("team",))), "30d")


def organisation(shares: Mapping[str, float], escalated: Mapping[str, float], n: int = 100) -> Usage:
    covered = {team: (share * n, float(n)) for team, share in shares.items()}
    return found(
        {
            "automation_coverage_ratio": covered,
            "escalation_ratio": {team: (share * n, float(n)) for team, share in escalated.items()},
        }
    )


def escalation(of: Usage) -> Outcome:
    [only] = of.outcomes
    return only


def test_teams_are_in_thirds_with_the_sums_of_their_outcomes_side_by_side() -> None:
    shares = {"g": 0.7, "a": 0.1, "c": 0.3, "b": 0.2, "d": 0.4, "e": 0.5, "f": 0.6}

    made = organisation(shares, {team: 0.5 - share / 2 for team, share in shares.items()})

    assert [(each.level, each.teams) for each in made.thirds] == [
        ("low", ("a", "b")),
        ("middle", ("c", "d", "e")),
        ("high", ("f", "g")),
    ]
    assert (made.thirds[0].least, made.thirds[0].most) == (0.1, 0.2)
    assert [(each.value and round(each.value, 9), each.n, each.teams) for each in escalation(made).thirds] == [
        (0.425, 200, 2),
        (0.3, 300, 3),
        (0.175, 200, 2),
    ]
    assert escalation(made).correlation == pytest.approx(-1)
    assert escalation(made).beyond_chance


@pytest.mark.parametrize(
    ("by_kpi", "labels", "absent", "teams"),
    [
        ({}, ("team",), "no_share", 0),
        ({}, ("category",), "no_team_label", 0),
        ({"automation_coverage_ratio": {f"t{i}": (1.0, 9.0) for i in range(5)}}, ("team",), "few_teams", 5),
        ({"automation_coverage_ratio": {f"t{i}": (1.0, 4.0) for i in range(9)}}, ("team",), "no_share", 0),
        (
            {"automation_coverage_ratio": {**{f"t{i}": (1.0, 9.0) for i in range(5)}, "unassigned": (1.0, 9.0)}},
            ("team",),
            "few_teams",
            5,
        ),
    ],
)
def test_with_fewer_than_six_teams_it_says_so(
    by_kpi: Mapping[str, Counts], labels: tuple[str, ...], absent: str, teams: int
) -> None:
    made = found(by_kpi, *labels)

    assert (made.absent, made.teams, made.thirds) == (absent, teams, ())


def test_where_nothing_takes_the_legacy_path_resolution_by_automation_is_the_measure() -> None:
    made = found({"automated_resolution_ratio": {f"t{i}": (float(i), 9.0) for i in range(6)}})

    assert made.measure == "automated_resolution_ratio"
    assert made.outcomes == ()


def test_of_200_organisations_without_an_association_hardly_any_is_said_to_have_one() -> None:
    chance, said = Random(20261127), 0
    for i in range(200):
        teams = [f"t{k}" for k in range(6 + i % 10)]
        n = chance.randrange(50, 200)
        escalated = {team: sum(chance.random() < 0.15 for _ in range(n)) / n for team in teams}
        said += bool(escalation(organisation({team: chance.random() for team in teams}, escalated, n)).beyond_chance)

    assert said <= 10  # 5 %


def test_a_planted_association_is_found() -> None:
    chance, said = Random(20261128), 0
    for _ in range(20):
        shares = {f"t{k}": k / 12 for k in range(12)}
        escalated = {
            team: sum(chance.random() < 0.4 - 0.3 * share for _ in range(200)) / 200 for team, share in shares.items()
        }
        said += escalation(organisation(shares, escalated, 200)).beyond_chance is True

    assert said == 20


def test_ranks_are_shared_by_equals_and_few_teams_have_no_correlation() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]
    assert correlation({str(i): (i, i) for i in range(5)}) is None
    assert correlation({str(i): (i, 1.0) for i in range(6)}) is None


@pytest.mark.parametrize(("teams", "critical"), [(6, 0.886), (10, 0.648), (12, 0.587), (20, 0.447)])
def test_what_is_beyond_chance_is_so_by_the_tables(teams: int, critical: float) -> None:
    assert beyond_chance(-critical - 0.012, teams)
    assert not beyond_chance(critical - 0.015, teams)
