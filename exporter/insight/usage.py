"""Usage against outcome: teams in thirds by their share of work done by automation, with their outcomes side by side.

An association and no cause: teams that automate more may differ in whatever else.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from exporter.baselines.compare import reduced
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.add import merge, value_of
from exporter.evaluation.breach import MIN_RECORDS
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.figure import Evaluation, Figure, Key, additive_within
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.stats import wilson
from exporter.insight.difference import student
from exporter.insight.sides import splits

TEAM, UNASSIGNED = "team", "unassigned"
MEASURES = ("automation_coverage_ratio", "automated_resolution_ratio")
"""What usage is measured by: the first of which enough teams have a value."""
THIRDS = ("low", "middle", "high")
FEWEST_TEAMS = 6
GROUPS = frozenset({"support", "incidents", "changes", "bookings"})
"""The groups whose KPIs are outcomes; of the others many count automation itself."""
USAGE = frozenset(
    {
        *MEASURES, "assisted_resolution_ratio", "deflection_ratio", "containment_ratio", "claimed_resolution_ratio",
        "claim_gap_ratio", "self_service_completion_ratio", "auto_remediation_ratio", "change_automation_ratio",
    }
)  # fmt: skip
"""The KPIs of these groups that count automation themselves."""
CRITICAL: Mapping[int, float] = {6: 0.886, 7: 0.786, 8: 0.738, 9: 0.700, 10: 0.648}
"""Rank correlation beyond which it is beyond chance, 5 % on two sides, by number of teams; above, Student's t will do.

Source: J. H. Zar, Significance testing of the Spearman rank correlation coefficient (1972).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Third:
    """Some teams. `level`: low, middle or high. `least`, `most`: their shares of work done by automation, 0..1."""

    level: str
    teams: tuple[str, ...]
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A KPI over the teams of a third, in its unit (None: they have none). `n`: its denominator. `lower`, `upper`: of a
    ratio, its Wilson interval. `teams`: how many of them have a value.
    """

    value: float | None
    n: float
    teams: int
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One KPI by thirds, low to high. `correlation`: of the ranks of teams by usage and by value, -1..1; None where
    fewer than six teams have a value of at least five records. `beyond_chance`: whether that is beyond chance.
    """

    kpi: str
    split: Key
    thirds: tuple[Value, Value, Value]
    teams: int
    correlation: float | None
    beyond_chance: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Thirds of teams with their outcomes. `measure`: the KPI that usage is measured by.

    `absent`: why there are none: no_team_label, no_share (no team has a share) or few_teams (fewer than six have one).
    `teams`: how many teams have a share.
    """

    window: str
    measure: str | None = None
    teams: int = 0
    thirds: tuple[Third, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    absent: str | None = None


def usage(evaluation: Evaluation, plan: Plan, window: str) -> Usage:
    """Usage against outcome in one window of an evaluation."""
    compiled = compile_plan(plan)
    known = [name for name in MEASURES if name in compiled.by_name]
    if known and not any(TEAM in compiled.by_name[name].labels for name in known):
        return Usage(window=window, absent="no_team_label")
    most = Usage(window=window, absent="no_share")
    for name in known:
        shares = by_team(evaluation, plan, name, (), window)
        if len(shares) >= FEWEST_TEAMS:
            return _thirds(evaluation, plan, window, name, shares)
        if len(shares) > most.teams:
            most = Usage(window=window, measure=name, teams=len(shares), absent="few_teams")
    return most


def by_team(evaluation: Evaluation, plan: Plan, name: str, split: Key, window: str) -> dict[str, Figure]:
    """The figures of a KPI by team, of those that have a value over at least five records."""
    settings = compile_plan(plan).settings
    own = {*split}
    mine = (f for f in evaluation.figures if f.kpi == name and f.window == window and own <= {*f.segment})
    parts = [reduced(f, (TEAM,)) for f in additive_within(mine, (TEAM,))]
    named = {dict(f.segment).get(TEAM, UNASSIGNED): f for f in merge(parts, settings)}
    return {
        team: f
        for team, f in named.items()
        if team != UNASSIGNED and value_of(f) is not None and (f.denominator or 0.0) >= MIN_RECORDS
    }


def _thirds(evaluation: Evaluation, plan: Plan, window: str, measure: str, of: Mapping[str, Figure]) -> Usage:
    shares = {team: value_of(figure) or 0.0 for team, figure in of.items()}
    ranked = sorted(shares, key=lambda team: (shares[team], team))
    size = len(ranked) // 3
    groups = ranked[:size], ranked[size:-size], ranked[-size:]
    return Usage(
        window=window,
        measure=measure,
        teams=len(ranked),
        thirds=tuple(
            Third(level=level, teams=tuple(teams), least=shares[teams[0]], most=shares[teams[-1]])
            for level, teams in zip(THIRDS, groups, strict=True)
        ),
        outcomes=tuple(_outcomes(evaluation, plan, window, shares, groups)),
    )


def _outcomes(
    evaluation: Evaluation,
    plan: Plan,
    window: str,
    shares: Mapping[str, float],
    groups: tuple[Sequence[str], Sequence[str], Sequence[str]],
) -> Iterator[Outcome]:
    for setting in plan.settings:
        kpi = setting.kpi
        if setting.chosen and kpi.group in GROUPS and kpi.name not in USAGE and kpi.divided and kpi.windowed:
            for split in splits(evaluation, setting):
                figures = by_team(evaluation, plan, kpi.name, split, window)
                mine = {team: figure for team, figure in figures.items() if team in shares}
                if mine:
                    low, middle, high = (_value(setting, mine, teams) for teams in groups)
                    correlated = correlation({team: (shares[team], value_of(f) or 0.0) for team, f in mine.items()})
                    yield Outcome(
                        kpi=kpi.name,
                        split=split,
                        thirds=(low, middle, high),
                        teams=len(mine),
                        correlation=correlated,
                        beyond_chance=None if correlated is None else beyond_chance(correlated, len(mine)),
                    )


def _value(setting: Setting, figures: Mapping[str, Figure], teams: Collection[str]) -> Value:
    kpi: Kpi = setting.kpi
    mine = [reduced(figures[team], ()) for team in teams if team in figures]
    if not mine:
        return Value(value=None, n=0.0, teams=0)
    [total] = merge(mine, {kpi.name: setting})
    n = total.denominator or 0.0
    lower, upper = wilson(total.numerator, n) if kpi.kind == "ratio" and n else (None, None)
    return Value(value=value_of(total), n=n, teams=len(mine), lower=lower, upper=upper)


def correlation(pairs: Mapping[str, tuple[float, float]]) -> float | None:
    """The rank correlation (Spearman) of pairs; None of fewer than six, or where all of a side are equal."""
    if len(pairs) < FEWEST_TEAMS:
        return None
    xs, ys = (ranks([pair[side] for pair in pairs.values()]) for side in (0, 1))
    middle = (len(pairs) + 1) / 2
    both = sum((x - middle) * (y - middle) for x, y in zip(xs, ys, strict=True))
    squares = sum((x - middle) ** 2 for x in xs) * sum((y - middle) ** 2 for y in ys)
    return both / sqrt(squares) if squares else None


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1 on; equal ones share the mean of theirs."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed([*enumerate(ordered, 1)])}
    return [first[value] + (ordered.count(value) - 1) / 2 for value in values]


def beyond_chance(correlated: float, teams: int) -> bool:
    """Whether a rank correlation of so many teams is beyond what chance gives in 95 of 100 cases."""
    if teams in CRITICAL:
        return abs(correlated) >= CRITICAL[teams]
    quantile = student(teams - 2)
    return abs(correlated) > quantile / sqrt(quantile**2 + teams - 2)
