"""The view "Any KPI": any KPI that the reader chooses, own ones too, in queries that know only its name."""

from collections.abc import Iterator, Mapping

from exporter.catalogue.kpi import NON_ADDITIVE, Kpi
from exporter.render.promql import difference, summed, wilson
from exporter.render.rules import ANY_KPI
from exporter.render.view import PanelRow, Query, Shown, View, Written

CHOSEN = 'job=~"$job", team=~"$team|", window=~"$window|", basis=~"$basis|"'
"""What is chosen on the dashboard; a figure of now has no window, a figure of no team no team."""
UNITS = {"ratio": "percentunit", "seconds": "s", "": "short"}
"""Unit of a KPI as outcome_kpi_info says it -> Grafana's; any other is a plain number."""
LEGEND = " ".join(f"{{{{{label}}}}}" for label in NON_ADDITIVE)
SEVERITIES = ("warning", "critical")
COLUMNS = {"Value #A": "Share", "Value #B": "Time", "Value #C": "Amount", "Value #D": "n"}
OF_COLUMNS = {"Share": "percentunit", "Time": "s"}


def series(name: str, *more: str) -> str:
    """A selector of series by their whole name, where a KPI is chosen."""
    return "{" + ", ".join((f'__name__{"=~" if "(" in name else "="}"{name}"', *more, CHOSEN)) + "}"


def part(which: str, by: str) -> str:
    """The numerators or denominators. A ratio leaves _ratio out of the names of its parts, a quotient does not."""
    name = "outcome_(${stem}|${kpi})"
    return counted_once(series(f"{name}_overall_{which}"), series(f"{name}_{which}"), by)


def counted_once(whole: str, name: str, by: str) -> str:
    """A sum, where an exporter has it of the series in which every record counts once."""
    either = " or ".join(summed("", chosen, f"job, {by}") for chosen in (whole, name))
    return f"sum by ({by}) ({either})"


def figure(kpis: Mapping[str, Kpi], by: str) -> str:
    """Sums divided where there is something to divide by; else added up, or the largest where that is meant."""
    largest = "|".join(kpi.name for kpi in kpis.values() if kpi.aggregate == "max")
    added = series("outcome_${kpi}", f'__name__!~"outcome_({largest})"')
    plain = counted_once(series("outcome_${kpi}_overall"), added, by)
    of_largest = summed("", series("outcome_${kpi}", f'__name__=~"outcome_({largest})"'), by, function="max")
    divided = series("outcome_(${stem}|${kpi})_denominator")
    quotient = f"{part('numerator', by)} / ({part('denominator', by)} > 0)"
    gross, overhead = (summed("", series(f"outcome_${{kpi}}_{part}"), by) for part in ("gross", "overhead"))
    return (
        f"(\n  {quotient}\n  or {difference(gross, overhead)}\n  or ({plain} unless on () group({divided}))"
        f"\n  or {of_largest}\n)"
    )


def known(**labels: str) -> str:
    """Whether the chosen KPI is of a certain unit, or better in a certain way."""
    matchers = ", ".join(f"{name}{value}" for name, value in labels.items())
    return f'group(outcome_kpi_info{{job=~"$job", kpi="$kpi", {matchers}}})'


def in_each_unit(expr: str, legend: str, *, dashed: bool = False) -> Iterator[Query]:
    """A query for each unit, of which one answers: a panel cannot choose its unit by a variable."""
    for unit, shown in UNITS.items():
        of_unit = known(unit=f'="{unit}"' if unit else '!~"ratio|seconds"')
        yield Query(expr=f"{expr}\nand on () {of_unit}", legend=legend, unit=shown, dashed=dashed)


def limit(severity: str, by: str) -> str:
    """The threshold of everything chosen; where segments differ, the one hardest to breach."""
    of_it = series("outcome_${kpi}_threshold", f'severity="{severity}"')
    sides = (("max", "lower"), ("min", "higher"))
    sides_of = (
        f"({function} by ({by}) ({of_it}) and on () " + known(better=f'="{way}"') + ")" for function, way in sides
    )
    return "(" + " or ".join(sides_of) + ")"


def bound(by: str, *, upper: bool) -> str:
    """An end of the 95 % interval, of what is a ratio."""
    n = f"({part('denominator', by)} > 0)"
    p = f"({part('numerator', by)} / {n})"
    has_one = f"group({series('outcome_${kpi}_lower')})"
    return f"({wilson(p, n, upper=upper)})\nand on () {has_one}"


def any_kpi(kpis: Mapping[str, Kpi]) -> View:
    """The view; `kpis`: all there are."""
    return View(
        uid=ANY_KPI,
        title="Any KPI",
        description="One KPI of your choice, from the catalogue or your own: value, n, limits, teams and course.",
        any_kpi=True,
        rows=(
            PanelRow(title="Can it be trusted?", panels=tuple(trust())),
            PanelRow(title="The value", panels=tuple(now(kpis))),
            PanelRow(title="Teams", panels=(teams(kpis),)),
            PanelRow(title="Course", panels=(course(kpis),)),
            PanelRow(title="Segments", closed=True, panels=(segments(kpis),)),
        ),
    )


def trust() -> Iterator[Shown]:
    """Whether to believe it."""
    up = 'sum(1 - max without (instance, pod) (outcome_source_up{job=~"$job"}))'
    success = 'max without (instance, pod) (outcome_source_last_success_timestamp_seconds{job=~"$job"})'
    age = f"max(time() - ({success} > 0))"
    absent = 'max by (kpi, reason) (outcome_kpi_absent{job=~"$job", kpi="$kpi"})'
    text = "Sources whose last poll failed, on every replica. What is made of them is old."
    yield shown(4, 4, "stat", "Sources not answering", text, [Query(expr=up)], no_value="no source configured")
    text = "Time since the last complete poll of the source that is furthest behind."
    yield shown(4, 4, "stat", "Oldest data", text, [Query(expr=age)], unit="s", no_value="nothing read yet")
    text = (
        "no_source: nothing feeds it. initial_sync: not read to the end yet. stale_source: no answer for too long. "
        "unreadable: too many records could not be read."
    )
    columns = {"kpi": "KPI", "reason": "Why", "Value": "State"}
    queries = [Query(expr=absent)]
    yield shown(16, 4, "table", "Why there is none", text, queries, columns=columns, no_value="It has values")


def now(kpis: Mapping[str, Kpi]) -> Iterator[Shown]:
    """Value, n, interval and limits as they are now."""
    by = ", ".join(NON_ADDITIVE)
    text = "Of everything chosen, in the window or, of a state, now. Two currencies, claims or bases are two values."
    yield shown(8, 6, "stat", "Value", text, list(in_each_unit(figure(kpis, by), f"value {LEGEND}")))
    text = "What it is taken over: records, or what its denominator counts. Empty for what is only added up."
    n = [Query(expr=part("denominator", by), legend=f"n {LEGEND}")]
    yield shown(4, 6, "stat", "n", text, n, no_value="nothing to divide by")
    text = "The true share lies between these, 95 times of 100. Alerts compare the end kinder to the team."
    ends = [Query(expr=bound(by, upper=upper), legend="upper" if upper else "lower") for upper in (False, True)]
    yield shown(6, 6, "stat", "95 % interval", text, ends, unit="percentunit", no_value="no ratio")
    text = "As configured, for everything chosen; where segments differ, the one hardest to breach."
    limits = [q for each in SEVERITIES for q in in_each_unit(limit(each, by), f"{each} {LEGEND}")]
    yield shown(6, 6, "stat", "Thresholds", text, limits, no_value="none configured")


def teams(kpis: Mapping[str, Kpi]) -> Shown:
    """A row for each team."""
    by = ", ".join(("team", *NON_ADDITIVE))
    text = "Each team's value beside the number of records behind it. A KPI that belongs to no team has one row."
    queries = [*in_each_unit(figure(kpis, by), ""), Query(expr=part("denominator", by))]
    return shown(24, 9, "table", "By team", text, queries, columns={"team": "Team"} | COLUMNS, units=OF_COLUMNS)


def course(kpis: Mapping[str, Kpi]) -> Shown:
    """The figure over time."""
    by = ", ".join(NON_ADDITIVE)
    lines = [*in_each_unit(figure(kpis, by), f"value {LEGEND}")]
    for severity in SEVERITIES:
        lines += in_each_unit(limit(severity, by), f"{severity} threshold {LEGEND}", dashed=True)
    text = "Each point is the value of the whole window before it. Dashed: thresholds as configured."
    return shown(24, 10, "timeseries", "Over time", text, lines)


def segments(kpis: Mapping[str, Kpi]) -> Shown:
    """A row for each segment, as it is published."""
    split = sorted({label for kpi in kpis.values() for label in kpi.numerator_labels})
    dropped = ", ".join(("job", "instance", "pod", "window", *split))

    def each(name: str) -> str:
        return f"sum without ({dropped}) (max without (instance, pod) ({series(name)}))"

    below = "outcome_(${stem}|${kpi})_denominator"
    quotient = f"({each('outcome_(${stem}|${kpi})_numerator')} / ({each(below)} > 0))"
    plain = f"({each('outcome_${kpi}')} unless on () group({series(below)}))"
    queries = [*in_each_unit(f"({quotient} or {plain})", ""), Query(expr=each(below))]
    text = "A row for each combination of the labels configured for it: where to look when a team stands out."
    return shown(24, 10, "table", "By segment", text, queries, columns=COLUMNS, units=OF_COLUMNS)


def shown(width: int, height: int, kind: str, title: str, text: str, queries: list[Query], **more: object) -> Shown:
    """A written panel in its place."""
    written = {"type": kind, "title": title, "description": text, "queries": queries, "unit": "short"}
    return Shown(width=width, height=height, panel=Written.model_validate(written | {"no_value": "no value"} | more))
