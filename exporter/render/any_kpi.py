"""The view "Any KPI": any KPI that the reader chooses, own ones too, in queries that know only its name."""

from collections.abc import Iterator, Mapping

from exporter.catalogue.kpi import NON_ADDITIVE, Kpi
from exporter.evaluation.breach import MIN_RECORDS
from exporter.render.promql import difference, summed, wilson
from exporter.render.rules import ANY_KPI
from exporter.render.view import PanelRow, Query, Shown, View, Written
from exporter.render.words import REASONS, labelled, mapped

CHOSEN = 'job=~"$job", team=~"$team|", window=~"$window|", basis=~"$basis|"'
"""What is chosen on the dashboard; a figure of now has no window, a figure of no team no team."""
FIRST = "deflection_ratio"
"""The KPI that is shown before one has been chosen."""
PAGE = "explain?kpi=${kpi}&window=${window}"
COLOURS = {"warning": "orange", "critical": "red"}
UNITS = {"ratio": "percentunit", "seconds": "s", "": "short"}
"""Unit of a KPI as outcome_kpi_info says it -> Grafana's; any other is a plain number."""
LEGEND = " ".join(f"{{{{{label}}}}}" for label in NON_ADDITIVE)
SEVERITIES = ("warning", "critical")
COLUMNS = {"Value #A": "Share", "Value #B": "Time", "Value #C": "Amount", "Value #D": "n"}
LAST = "$__interval"
OF_COLUMNS = {"Share": "percentunit", "Time": "s", "n": "locale"}


def series(name: str, *more: str) -> str:
    """A selector of series by their whole name, where a KPI is chosen."""
    return "{" + ", ".join((f'__name__{"=~" if "(" in name else "="}"{name}"', *more, CHOSEN)) + "}"


def part(which: str, by: str, last: str = "") -> str:
    """The numerators or denominators. A ratio leaves _ratio out of the names of its parts, a quotient does not."""
    name = "outcome_(${stem}|${kpi})"
    return counted_once(series(f"{name}_overall_{which}"), series(f"{name}_{which}"), by, last)


def counted_once(whole: str, name: str, by: str, last: str = "") -> str:
    """A sum, where an exporter has it of the series in which every record counts once."""
    either = " or ".join(summed("", chosen, f"job, {by}", last=last) for chosen in (whole, name))
    return f"sum by ({by}) ({either})"


def figure(kpis: Mapping[str, Kpi], by: str, last: str = "") -> str:
    """Sums divided where there is something to divide by; else added up, or the largest where that is meant."""
    largest = "|".join(kpi.name for kpi in kpis.values() if kpi.aggregate == "max")
    added = series("outcome_${kpi}", f'__name__!~"outcome_({largest})"')
    plain = counted_once(series("outcome_${kpi}_overall"), added, by, last)
    of_largest = summed("", series("outcome_${kpi}", f'__name__=~"outcome_({largest})"'), by, last=last, function="max")
    divided = series("outcome_(${stem}|${kpi})_denominator")
    divided = f"last_over_time({divided}[{last}])" if last else divided
    quotient = f"{part('numerator', by, last)} / ({part('denominator', by, last)} > 0)"
    gross, overhead = (summed("", series(f"outcome_${{kpi}}_{part}"), by, last=last) for part in ("gross", "overhead"))
    return (
        f"(\n  {quotient}\n  or {difference(gross, overhead)}\n  or ({plain} unless on () group({divided}))"
        f"\n  or {of_largest}\n)"
    )


def known(**labels: str) -> str:
    """Whether the chosen KPI is of a certain unit, or better in a certain way."""
    matchers = ", ".join(f"{name}{value}" for name, value in labels.items())
    return f'group(outcome_kpi_info{{job=~"$job", kpi="$kpi", {matchers}}})'


def in_each_unit(expr: str, legend: str, *, severity: str = "") -> Iterator[Query]:
    """A query for each unit, of which one answers: a panel cannot choose its unit by a variable."""
    for unit, shown in UNITS.items():
        of_unit = known(unit=f'="{unit}"' if unit else '!~"ratio|seconds"')
        expr_of = f"{expr}\nand on () {of_unit}"
        colour = COLOURS.get(severity, "")
        yield Query(expr=expr_of, legend=legend, unit=shown, dashed=bool(severity), colour=colour)


def limit(severity: str, by: str, last: str = "") -> str:
    """The threshold of everything chosen; where segments differ, the one hardest to breach."""
    of_it = series("outcome_${kpi}_threshold", f'severity="{severity}"')
    of_it = f"last_over_time({of_it}[{last}])" if last else of_it
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


def colour(kpis: Mapping[str, Kpi], by: str) -> str:
    """The colour of the status and the unit, as labels. Overrides of single queries do not outlive a colour."""

    def beyond(severity: str) -> str:
        ends = []
        for better, sign, upper in (("lower", ">", False), ("higher", "<", True)):
            of_ratio = f"({bound(by, upper=upper)})"
            few = f"({part('denominator', by)} < {MIN_RECORDS})"
            end = f"({of_ratio} or ({figure(kpis, by)} unless on ({by}) {of_ratio} unless on ({by}) {few}))"
            better_so = known(better=f'="{better}"')
            ends.append(f"({end} {sign} on ({by}) {limit(severity, by)} and on () {better_so})")
        return f"group({' or '.join(ends)})"

    named = [labelled(beyond(severity), "color", COLOURS[severity]) for severity in reversed(SEVERITIES)]
    fine = labelled(f"group({limit('warning', by)} and on () {figure(kpis, by)})", "color", "blue")
    colours = "\nor on () ".join((*named, fine, labelled("vector(1)", "color", "text")))
    info = 'topk(1, group by (unit) (outcome_kpi_info{job=~"$job", kpi="$kpi"}))'
    units = [(unit or ".*", shown) for unit, shown in sorted(UNITS.items())]  # that of any other comes first
    return f"({colours})\n* on () group_left (shown) {mapped(info, 'shown', 'unit', units)}"


def any_kpi(kpis: Mapping[str, Kpi]) -> View:
    """The view; `kpis`: all there are."""
    return View(
        uid=ANY_KPI,
        title="Any KPI",
        description="One KPI of your choice, from the catalogue or your own: value, n, limits, teams and course.",
        any_kpi=FIRST,
        rows=(
            PanelRow(panels=(Shown(sentence="freshness"), *now(kpis), course(kpis), teams(kpis))),
            PanelRow(title="Segments", closed=True, panels=(segments(kpis),)),
        ),
    )


def now(kpis: Mapping[str, Kpi]) -> Iterator[Shown]:
    """Value, n, interval and limits as they are now; where there is no value, why."""
    by = ", ".join(NON_ADDITIVE)
    text = (
        "Of everything chosen, in the window or, of a state, now. Two currencies, claims or bases are two values. "
        "Orange and red: beyond a threshold by more than chance."
    )
    values = list(in_each_unit(figure(kpis, by), LEGEND))
    values.append(Query(expr=reason(figure(kpis, by)), legend="{{text}}"))
    link = {"": f"{PAGE}&team=${{team:percentencode}}&basis=${{__field.labels.basis}}"}
    yield shown(6, 5, "stat", "Value", text, values, links=link, colour=colour(kpis, by))
    text = "What it is taken over: records, or what its denominator counts. A dash: it is only added up."
    n = [Query(expr=part("denominator", by), legend=LEGEND)]
    yield shown(4, 5, "stat", "n", text, n, unit="locale", no_value="-")
    text = "The true share lies between these, 95 times of 100. Alerts compare the end kinder to the team."
    ends = [Query(expr=bound(by, upper=upper), legend="upper" if upper else "lower") for upper in (False, True)]
    yield shown(6, 5, "stat", "95 % interval", text, ends, unit="percentunit", no_value="-")
    text = "As configured, for everything chosen; where segments differ, the one hardest to breach."
    limits = [q for each in SEVERITIES for q in in_each_unit(limit(each, by), f"{each} {LEGEND}")]
    yield shown(8, 5, "stat", "Thresholds", text, limits, no_value="none configured")


def reason(value: str) -> str:
    """Why there is no value, as a label of what is none."""
    absent = mapped('max by (reason) (outcome_kpi_absent{job=~"$job", kpi="$kpi"})', "text", "reason", REASONS.items())
    unscraped = labelled('absent(outcome_exporter_build_info{job=~"$job"})', "text", "the exporter is not scraped")
    nothing = labelled("vector(1)", "text", "no records in this choice")
    return f"((topk(1, {absent}) or on () {unscraped} or on () {nothing}) * NaN)\nunless on () {value}"


def teams(kpis: Mapping[str, Kpi]) -> Shown:
    """A row for each team."""
    by = ", ".join(("team", *NON_ADDITIVE))
    text = "Each team's value beside the number of records behind it. A KPI that belongs to no team has one row."
    queries = [*in_each_unit(figure(kpis, by), ""), Query(expr=part("denominator", by))]
    link = {"Team": f"{PAGE}&team=${{__data.fields.Team:percentencode}}"}
    columns = {"team": "Team"} | COLUMNS
    return shown(9, 10, "table", "By team", text, queries, columns=columns, units=OF_COLUMNS, links=link)


def course(kpis: Mapping[str, Kpi]) -> Shown:
    """The figure of each team over time."""
    by = ", ".join(("team", *NON_ADDITIVE))
    lines = [*in_each_unit(figure(kpis, by, LAST), f"{{{{team}}}} {LEGEND}")]
    for severity in SEVERITIES:
        limits = limit(severity, ", ".join(NON_ADDITIVE), LAST)
        lines += in_each_unit(limits, f"{severity} threshold {LEGEND}", severity=severity)
    text = "Each point is the value of the whole window before it. Dashed: thresholds as configured."
    link = {"": f"{PAGE}&team=${{__field.labels.team:percentencode}}"}
    return shown(15, 10, "timeseries", "Over time", text, lines, links=link)


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
