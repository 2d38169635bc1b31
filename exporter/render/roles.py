"""One KPI -> one panel, in the role that it plays on a view: headline, small, lines, bars, spread, segments."""

from collections.abc import Iterator

from exporter.records.labels import LABEL_NAMES, LABELS
from exporter.render.figures import JOB, Figure, at_end
from exporter.render.panels import (
    BLUE,
    DASHED,
    DETAIL_SIZE,
    NO_VALUE,
    ORANGE,
    RED,
    TEAMS,
    Panel,
    bars,
    coloured,
    fixed,
    hidden,
    of_query,
    override,
    stat,
    table,
    target,
    timeseries,
)
from exporter.render.promql import counted_once, ratio
from exporter.render.words import REASONS, Form, address, drawn, form, joined, labelled, mapped, written

COUNT = Form(1, 1, "")
POINTS = 48
"""Of the course behind a headline: a history of hours or half days has one in each step."""
DETAILS = 2
"""Height of the line below a headline."""


def heading(figure: Figure, title: str = "") -> str:
    """The title of a panel; money in the chosen currency, of which raw is empty where there is none."""
    return (title or figure.kpi.title) + (" ${currency:raw}" if figure.monetary and "currency" in figure.own else "")


def explain(figure: Figure, *fields: tuple[str, str]) -> Panel:
    """The link to the page that explains a value. `fields`: label -> how a panel names its value."""
    chosen = [] if figure.monetary else [("team", "${team:percentencode}")]
    named = dict([*chosen, *((label, value) for label, value in figure.where), *fields])
    if figure.kpi.windowed:
        named = {"window": "${window}"} | named
    if figure.kpi.business:
        named |= {"basis": "${basis}"}
    if figure.segment and not figure.monetary:
        named = {"${split}": "${segment:percentencode}"} | named
    query = "".join(f"&{label}={value}" for label, value in named.items())
    url = "${explain}/explain?kpi=" + figure.kpi.name + query
    return {"title": f"Explain {figure.kpi.title}", "url": url, "targetBlank": True}


def addressed(team: str = "", *, basis: bool = False) -> Panel:
    """The link to the page that a row of a table names in its field `address`."""
    url = "${explain}/${__data.fields.address:raw}&window=${window}" + (f"&team={team}" if team else "")
    return {"title": "Explain", "url": url + "&basis=${basis}" * basis, "targetBlank": True}


def or_reason(figure: Figure, expr: str) -> str:
    """A labelled value; where there is none, the reason for it as text: empty never reads as good."""
    said = mapped(figure.absent(), "text", "reason", REASONS.items())
    unscraped = labelled(f"absent(outcome_exporter_build_info{{{JOB}}})", "text", "the exporter is not scraped")
    nothing = labelled("vector(1)", "text", "no records in this choice")
    reasons = f"topk(1, {said}) or on () {unscraped} or on () {nothing}"
    return f"(\n  {expr}\n)\nor on () (\n  ({reasons}) * NaN\n)"


def count_text(figure: Figure, label: str, by: str = "", text: str = "n {}") -> str:
    """The number of records, in full digits."""
    return written(figure.count(by), label, by, COUNT, text)


def worst_text(figure: Figure) -> str:
    """The worst team in words: its name, its value, and the number of records behind it."""
    value = written(figure.value("team"), "v", "team", form(figure.kpi))
    if not figure.counted():
        return joined(f"({value} and on (team) {figure.worst()})", "text", "worst: {0} {1}", "team", "v")
    both = f"({value} * on (team) group_left (n) {count_text(figure, 'n', 'team')} and on (team) {figure.worst()})"
    return joined(both, "text", "worst: {0} {1} ({2})", "team", "v", "n")


def headline(figure: Figure, title: str = "") -> Iterator[Panel]:
    """A value now over its course, in the colour of the worst team, which is named; below it n, target and before."""
    kpi, how = figure.kpi, drawn(figure.kpi)
    now = f"({how.scaled(figure.value())})"
    named = f"{now} * on () group_left (text) {worst_text(figure)}"
    if figure.counted():
        plain = f"{now} * on () group_left (text) {count_text(figure, 'text')}"
    else:
        plain = labelled(now, "text", "all teams")
    moving = Figure(kpi, figure.kpis, figure.segment, figure.where, over_time=True)
    course = how.scaled(f"({moving.value()})")
    targets = [
        target(or_reason(figure, f"{named}\nor on () {plain}"), "{{text}}", instant=True),
        target(course, "course", 1),
    ]
    made = stat(
        heading(figure, title),
        f"{kpi.help} In the colour of the worst team, which is named with its own value and n. "
        "A dash: there is no value, and why. Below it n, the records over which it is taken; the target or, where none "
        "is configured, the threshold of a warning; and the value of the window before, where that is known.",
        targets,
        unit=how.unit,
        decimals=how.decimals,
        color=fixed("text"),
        mappings=[NO_VALUE],
        links=[explain(figure)],
    )
    made["options"]["graphMode"] = "area"
    made["maxDataPoints"] = POINTS
    # The value of now is appended to the course, which ends up to a step earlier.
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "Time", "desc": False}]}},
    ]
    if kpi.alerts:
        colour = (("0", BLUE), ("1", BLUE), ("2", ORANGE), ("3", RED))
        coloured(made, mapped(f'count_values("s", max({figure.status("team")}))', "color", "s", colour))
    yield made
    yield details(figure)


def details(figure: Figure) -> Panel:
    """n, target or threshold, and the window before, below a headline."""
    how = drawn(figure.kpi)
    levels = [("target", figure.target())] if figure.kpi.better != "none" else []
    levels += [("threshold", figure.threshold("warning"))] if figure.kpi.alerts else []
    shown = [
        ("n", [("n", f"({figure.count()})")] if figure.counted() else []),
        ("{{text}}", [(text, how.scaled(f"({expr})")) for text, expr in levels]),
        ("before", [("before", how.scaled(f"({figure.before()})"))]),
    ]
    targets = []
    for i, (legend, found) in enumerate(shown):
        named = (*found, ((found or [("target", "")])[0][0], "vector(NaN)"))
        exprs = [labelled(expr, "text", text) if legend == "{{text}}" else expr for text, expr in named]
        targets.append(target("\nor on () ".join(exprs), legend, i, instant=True))
    made = stat(
        "",
        "",  # the mark of a description would lie on the text
        targets,
        size=DETAIL_SIZE,
        unit=how.unit,
        decimals=how.decimals,
        color=fixed("text"),
        mappings=[NO_VALUE],
    )
    made["fieldConfig"]["overrides"] = [override("n", unit="locale", decimals=0)]
    made["transparent"] = True
    return made


def small(figure: Figure, title: str = "") -> Panel:
    """A value now with its n, or why there is none."""
    how = drawn(figure.kpi)
    now = f"({how.scaled(figure.value())})"
    if figure.counted():
        expr = f"{now} * on () group_left (text) {count_text(figure, 'text')}"
    else:
        expr = labelled(now, "text", " ")
    return stat(
        heading(figure, title),
        f"{figure.kpi.help} Below it the number of records, or why there is no value.",
        [target(or_reason(figure, expr), "{{text}}", instant=True)],
        size=24,
        unit=how.unit,
        decimals=how.decimals,
        color=fixed("text"),
        mappings=[NO_VALUE],
        links=[explain(figure)],
    )


def lines(figure: Figure, by: str, title: str = "") -> Panel:
    """A line for each team, thresholds drawn; teams beyond one now in the colour of their status."""
    kpi, how = figure.kpi, drawn(figure.kpi)
    moving = Figure(kpi, figure.kpis, figure.segment, figure.where, over_time=True)
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    value = how.scaled(moving.value(by))
    if kpi.alerts:
        # Only one of the three answers for a team: none is drawn twice, and none is left out.
        status = f"({at_end(moving.status(by))})"
        shown = [f"({value}) unless on ({by}) {status} >= 2"]
        shown += [f"({value}) and on ({by}) {status} == {level}" for level in (2, 3)]
        targets = [target(expr, legend, i) for i, expr in enumerate(shown)]
        for severity in ("warning", "critical"):
            targets.append(target(how.scaled(moving.threshold(severity)), f"{severity} threshold", len(targets)))
    else:
        targets = [target(value, legend)]
    made = timeseries(
        heading(figure, title or f"{kpi.title} by {by.replace('_', ' ')}"),
        f"{kpi.help} Each point is the value of the whole window before it. Dashed: thresholds as configured. "
        "Orange and red: beyond one of them now by more than chance.",
        targets,
        rising=kpi.better != "higher",
        unit=how.unit,
        decimals=how.decimals,
        color=TEAMS,
        links=[explain(figure, *((label, f"${{__field.labels.{label}:percentencode}}") for label in by.split(", ")))],
    )
    if kpi.alerts:
        made["fieldConfig"]["overrides"] = [
            of_query(1, color=fixed(ORANGE)),
            of_query(2, color=fixed(RED)),
            of_query(3, DASHED, color=fixed(ORANGE), custom__lineWidth=1, links=[]),
            of_query(4, DASHED, color=fixed(RED), custom__lineWidth=1, links=[]),
        ]
    return made


def ranked(figure: Figure, by: str, title: str = "") -> Panel:
    """Segments by value, those to look at first at the top."""
    how = drawn(figure.kpi)
    worst = "bottomk" if figure.kpi.better == "higher" else "topk"
    order = "sort" if figure.kpi.better == "higher" else "sort_desc"
    expr = f"{order}({worst}(12, {how.scaled(f'({figure.value(by)})')}))"
    return bars(
        heading(figure, title or f"{figure.kpi.title} by {by.replace('_', ' ')}"),
        f"{figure.kpi.help} The twelve to look at first.",
        [target(expr, " ".join(f"{{{{{label}}}}}" for label in by.split(", ")), instant=True)],
        unit=how.unit,
        decimals=how.decimals,
        color=fixed(BLUE),
        noValue="no records",
        links=[explain(figure, *((label, f"${{__field.labels.{label}:percentencode}}") for label in by.split(", ")))],
    )


def spread(figure: Figure) -> Panel:
    """The median and the 90th percentile of a duration, for a mean hides both."""
    kpi, how = figure.kpi, drawn(figure.kpi)
    moving = Figure(kpi, figure.kpis, figure.segment, figure.where, over_time=True)
    name, chosen = f"{kpi.stem}_distribution_bucket", moving.selector()
    last = "$__interval"
    buckets, shown = counted_once(kpi, name, chosen, "le", last=last), ""
    if kpi.windowed:
        # Where series are saved, there is only that of the alert; never for a window in which nothing happened.
        alone = counted_once(kpi, name, chosen.replace("$window", kpi.window), "le", last=last)
        buckets = f"(\n{buckets}\nor\n{alone} and on () {moving.count()} > 0\n)"
        shown = f" Where the exporter saves series, they are of {kpi.window}, whatever window is chosen."
    lines = [("p50", 0.5, BLUE, False), ("p90", 0.9, ORANGE, True)]
    targets = [
        target(how.scaled(f"histogram_quantile({q}, {buckets})"), line, i) for i, (line, q, _, _) in enumerate(lines)
    ]
    made = timeseries(
        f"{kpi.title}: p50 and p90",
        f"{kpi.help} Half of the records take no longer than p50, nine in ten no longer than p90; "
        f"estimated within buckets of a minute to 30 days.{shown}",
        targets,
        unit=how.unit,
        decimals=how.decimals,
        # p50 would lie on the zero line below p90.
        custom={"scaleDistribution": {"type": "log", "log": 10}},
        links=[explain(figure)],
    )
    made["fieldConfig"]["overrides"] = [
        of_query(i, *([DASHED] if dash else []), color=fixed(colour)) for i, (_, _, colour, dash) in enumerate(lines)
    ]
    return made


def labels_first(made: Panel) -> None:
    """Names the columns of labels and puts them first, whichever the config chooses."""
    organised = made["transformations"][1]["options"]
    labels = sorted({LABEL_NAMES.get(label, label) for labels in LABELS.values() for label in labels} | {"team"})
    labels = ["team", *(label for label in labels if label != "team")]
    others = [name for name in organised["indexByName"] if name not in labels]
    organised["indexByName"] = {name: i for i, name in enumerate((*labels, *others))}
    organised["renameByName"] |= {label: label.replace("_", " ").capitalize() for label in labels}


def segments(figure: Figure) -> Panel:
    """A row for each segment, whatever labels are configured: where to look when a team stands out."""
    kpi, how = figure.kpi, drawn(figure.kpi)
    basis = bool(kpi.business)
    dropped = ", ".join(("job", "instance", "pod", "window", *["basis"] * basis, *kpi.numerator_labels))
    parts = [
        f"sum without ({dropped}) (max without (instance, pod) ({kpi.stem}_{part}{figure.selector()}))"
        for part in ("numerator", "denominator")
    ]
    # Two of two is chance, and would stand first.
    labels = dict.fromkeys(("team", *(LABEL_NAMES.get(each, each) for each in LABELS[kpi.record]), *figure.own))
    value = address(how.scaled(f"({ratio(parts[0], parts[1])})"), f"explain?kpi={kpi.name}", labels)
    shown = [f"({value}) and ignoring (address) {parts[1]} >= 5", f"{parts[1]} >= 5"]
    targets = [target(expr, "", i, instant=True, table=True) for i, expr in enumerate(shown)]
    made = table(
        f"{kpi.title} by segment",
        f"{kpi.help} A row for each combination of the labels configured for it with 5 records or more, the worst "
        "first.",
        targets,
        {"Value #A": kpi.title, "Value #B": "n", "address": "address"},
        unit="locale",
        decimals=0,
        noValue="no segment with 5 records",
    )
    labels_first(made)
    link = addressed(basis=basis)
    made["options"]["sortBy"] = [{"displayName": kpi.title, "desc": kpi.better != "higher"}]
    made["fieldConfig"]["overrides"] = [
        override(kpi.title, unit=how.unit, decimals=how.decimals, custom__align="right", links=[link]),
        override("n", custom__align="right"),
        hidden("address"),
    ]
    return made
