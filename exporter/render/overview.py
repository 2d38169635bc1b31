"""Many KPIs -> one panel: breaches, the status of every team over time, the matrix of teams, and sentences."""

from collections.abc import Iterable, Mapping, Sequence

from exporter.catalogue.kpi import Kpi
from exporter.records.labels import LABEL_NAMES
from exporter.render.figures import JOB, UNKNOWN, Figure
from exporter.render.panels import (
    BLUE,
    DETAIL_SIZE,
    ORANGE,
    QUIET,
    RED,
    SENTENCE_SIZE,
    STATES,
    Panel,
    fixed,
    hidden,
    override,
    stat,
    table,
    target,
    timeline,
)
from exporter.render.roles import COUNT, addressed, count_text, explain, labels_first
from exporter.render.words import Form, address, age, form, joined, labelled, mapped, written

SEVERITIES = {"critical": RED, "warning": ORANGE, "unknown": QUIET, "none": "blue"}
MARKS = (("[01]", ""), ("2", "▲ "), ("3", "■ "))
"""Status -> the mark before a value in a table, which chooses its colour, too."""
MARKED = [
    {"type": "regex", "options": {"pattern": f"^{mark.strip()}.*", "result": {"color": colour, "index": i}}}
    for i, (mark, colour) in enumerate((("■", RED), ("▲", ORANGE)))
]
PADDED = ("0([1-9]..)", "00([1-9].)", "000([1-9])")
TEAMS_BEYOND = (
    (".+", "$0 teams are beyond a threshold"),
    ("0", "No team is beyond a threshold"),
    ("1", "1 team is beyond a threshold"),
    *((f"(.+){pattern}", "$2 teams are beyond a threshold ($1 critical)") for pattern in PADDED),
    ("10001", "1 team is beyond a critical threshold"),
)
LATE = 10
"""So many poll intervals without a complete poll are no longer a slow one."""
UNKNOWING = "Nothing is known"
COLOURED = {"type": "color-text"}
ROW = "${__data.fields[0]:percentencode}"
"""What a row is called: its first column."""
UNSCRAPED = f"absent(outcome_exporter_build_info{{{JOB}}})"
FAULTY = f"count(max by (kpi) (outcome_kpi_absent{{{JOB}, {UNKNOWN}}}))"
DOWN = f"(max by (source) (outcome_source_up{{{JOB}}}) == 0)"


def judged(kpis: Mapping[str, Kpi], segment: str) -> list[Figure]:
    """Every KPI with thresholds."""
    return [Figure(kpi, kpis, segment) for kpi in kpis.values() if kpi.alerts]


def breach_rows(figure: Figure) -> str:
    """A row for each team beyond a threshold, everything about it in its labels; its value is how far it is beyond."""
    on = ", ".join(("team", *figure.own))
    with_severity = f"{on}, severity"
    limit = figure.levels(on)
    waited = f'max by ({with_severity}) (ALERTS_FOR_STATE{{{JOB}, kpi="{figure.kpi.name}", alertname!~".+Spike"}})'
    hours = Form(1 / 3600, 0.1, " h")
    since = f"({written(f'time() - {waited}', 'since', with_severity, hours)} or on ({with_severity}) {limit} * 0 + 1)"
    columns = [f"group_left (limit) {written(limit, 'limit', with_severity, form(figure.kpi))}"]
    columns.append(f"group_left (since) {since}")
    rows = figure.beyond()
    for column in columns:
        rows = f"{rows}\n* on ({with_severity}) {column}"
    rows = f"{rows}\n* on ({on}) group_left (value) {written(figure.value(on), 'value', on, form(figure.kpi))}"
    if figure.counted():
        rows = f"{rows}\n* on ({on}) group_left (n) {count_text(figure, 'n', on, '{}')}"
    return labelled(address(rows, f"explain?kpi={figure.kpi.name}", figure.own), "kpi", figure.kpi.title)


def breaches(kpis: Mapping[str, Kpi], segment: str) -> Panel:
    """Every team surely beyond a threshold, the worst first; what is not known is a row, too."""
    figures = judged(kpis, segment)
    rows = [breach_rows(figure) for figure in figures]
    unknown = written(FAULTY, "kpi", "", COUNT, "KPIs without values: {}")
    rows.append(f"({labelled(unknown, 'severity', 'unknown')} * 0)")
    stale = written(f"count({DOWN})", "kpi", "", COUNT, "Sources that do not answer: {}")
    rows.append(f"({labelled(stale, 'severity', 'unknown')} * 0 unless on () {FAULTY})")
    rows.append(labelled(labelled(f"({UNSCRAPED} * 0)", "severity", "unknown"), "kpi", "The exporter is not scraped"))
    known = f"(group(outcome_exporter_build_info{{{JOB}}}) * 0)"
    listed = "\nor\n".join([*rows[: len(figures)], *(address(row, "?") for row in rows[len(figures) :])])
    well = address(labelled(labelled(known, "severity", "none"), "kpi", "Nothing is beyond a threshold"), "?")
    own = dict.fromkeys(label for figure in figures for label in figure.own)
    columns = {"severity": "Severity", "kpi": "KPI", "team": "Team"}
    columns |= {label: label.title() for label in own}
    columns |= {"value": "Value", "limit": "Threshold", "n": "n", "since": "Since", "Value": "Beyond"} | {
        "address": "address"
    }
    made = table(
        "Beyond a threshold",
        "Teams whose value is beyond a threshold by more than chance (95 %; a mean of 5 records or more): the "
        "condition of the alerts, in the chosen window. One row for a KPI and team, of its worst severity. "
        "Beyond: how far, as a share of the threshold. Since: how long the alert's condition has held, "
        "where Prometheus has the rules.",
        [target(f"{listed}\nor on () {well}", "", instant=True, table=True)],
        columns,
        unit="short",
        noValue="-",
    )
    made["options"]["sortBy"] = [{"displayName": "Severity", "desc": False}, {"displayName": "Beyond", "desc": True}]
    texts = {name: {"color": colour, "index": i} for i, (name, colour) in enumerate(SEVERITIES.items())}
    made["fieldConfig"]["overrides"] = [
        override(
            "Severity", mappings=[{"type": "value", "options": texts}], custom__cellOptions=COLOURED, custom__width=90
        ),
        override("KPI", links=[addressed("${__data.fields.Team:percentencode}")]),
        override(
            "Beyond",
            unit="percentunit",
            decimals=0,
            custom__align="right",
            custom__width=90,
            mappings=[{"type": "value", "options": {"0": {"text": "-", "index": 0}}}],
        ),
        *(override(name, custom__align="right", custom__width=110) for name in ("Value", "Threshold", "n", "Since")),
        hidden("address"),
        override("Basis", custom__width=90),
    ]
    return made


def any_status(figures: Iterable[Figure], by: str) -> str:
    """The worst status of each segment, over all KPIs."""
    named = (labelled(f"({figure.status(by)})", "kpi", figure.kpi.name) for figure in figures)
    return f"max by ({by}) (\n" + "\nor\n".join(named) + "\n)"


def statuses(figures: Sequence[Figure], by: str, title: str) -> Panel:
    """When each team was beyond a threshold."""
    moving = [Figure(each.kpi, each.kpis, each.segment, each.where, over_time=True) for each in figures]
    if by == "team" and len(figures) > 1:
        url = "${explain}/kpis?team=${__field.labels.team:percentencode}"
        link = {"title": "All KPIs of the team", "url": url, "targetBlank": True}
    else:
        link = explain(figures[0], *((label, f"${{__field.labels.{label}:percentencode}}") for label in by.split(", ")))
    made = timeline(
        title,
        "The worst status of each over the shown KPIs: " + ", ".join(each.kpi.title for each in figures) + ". "
        "Warning and critical: beyond a threshold by more than chance. A gap: no value.",
        [target(any_status(moving, by), " ".join(f"{{{{{label}}}}}" for label in by.split(", ")))],
        STATES,
    )
    made["fieldConfig"]["defaults"]["links"] = [link]
    return made


def matrix(figures: Sequence[Figure], by: str, title: str, uid: str) -> Panel:
    """A row for each segment, a column for each KPI: value, n and a mark of its status in each cell."""
    targets: list[Panel] = []
    overrides: list[Panel] = []
    columns: dict[str, str] = {}
    shown = LABEL_NAMES.get(by, by)
    for i, figure in enumerate(figures):
        cell = written(figure.value(by), "v", by, form(figure.kpi))
        parts, text = ["v"], "{0}"
        if figure.counted():
            cell = f"{cell} * on ({by}) group_left (n) {count_text(figure, 'n', by, '{}')}"
            parts, text = ["v", "n"], "{0} ({1})"
        if figure.kpi.alerts:
            status = f'count_values by ({by}) ("s", {figure.status(by)})'
            marked = mapped(
                f"({status} or on ({by}) {written(figure.value(by), 's', by, COUNT, '0')})", "m", "s", MARKS
            )
            cell = f"{cell} * on ({by}) group_left (m) {marked}"
            parts, text = ["m", *parts], "{0}{1} ({2})" if len(parts) == 2 else "{0}{1}"
        label = f"k{i}"
        only = f"max by ({by}, {label}) ({joined(cell, label, text, *parts)})"
        targets.append(target(only, "", i, instant=True, table=True))
        columns |= {label: figure.kpi.title, f"Value #{chr(ord('A') + i)}": ""}
        overrides.append(
            override(
                figure.kpi.title,
                custom__cellOptions=COLOURED,
                mappings=MARKED,
                links=[explain(figure, ("${split}" if by == "$split" else shown, ROW))],
            )
        )
    ruled = [each for each in figures if each.kpi.alerts]
    if ruled:  # what is worst stands first
        targets.append(target(any_status(ruled, by), "", len(targets), instant=True, table=True))
        columns[f"Value #{targets[-1]['refId']}"] = "Status"
        short = STATES | {"1": STATES["1"] | {"text": "May be chance"}}
        states = [{"type": "value", "options": short}]
        overrides.append(override("Status", mappings=states, custom__cellOptions=COLOURED, custom__width=120))
    # An empty table says nothing; where text stands for no value, it stands in empty cells, too.
    nothing = labelled("vector(1)", shown, "no values in this choice")
    some = " or ".join(f"group({figure.value(by)})" for figure in figures)
    targets.append(target(f"{nothing} unless on () ({some})", "", len(targets), instant=True, table=True))
    columns[f"Value #{targets[-1]['refId']}"] = ""
    made = table(
        title,
        "Each value with the number of records behind it. ■ critical, ▲ warning: beyond a threshold by more than "
        "chance. An empty cell: no records in the window.",
        targets,
        {by: shown.replace("_", " ").capitalize()} | columns,
        unit="short",
        noValue="",
    )
    labels_first(made)
    made["fieldConfig"]["defaults"]["custom"]["minWidth"] = 90  # else the last column is cut where a table is narrow
    made["options"]["sortBy"] = [{"displayName": "Status", "desc": True}] * any(each.kpi.alerts for each in figures)
    made["options"]["sortBy"] += [{"displayName": shown.replace("_", " ").capitalize(), "desc": False}]
    if by == "team":
        queries = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "job", "window", "basis", "explain"))
        link = f"/d/{uid}?{queries}&var-team=${{__data.fields.Team}}&${{__url_time_range}}"
        overrides.append(override("Team", links=[{"title": "This team", "url": link, "targetBlank": False}]))
    made["fieldConfig"]["overrides"] = overrides
    return made


def sentence(description: str, expr: str, well: str, *, size: int, worst: str = UNKNOWING) -> Panel:
    """One sentence: blue where it says that all is well, red the worst, grey that nothing is known; else orange."""
    made = stat(
        "",
        description,
        [target(expr, "{{text}}", instant=True)],
        size=size,
        unit="short",
        color=fixed(ORANGE),
        noValue="Prometheus does not answer",
    )
    made["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byRegexp", "options": f"/^{said}/"},
            "properties": [{"id": "color", "value": fixed(colour)}],
        }
        for said, colour in ((well, BLUE), (worst, RED), (UNKNOWING, QUIET))
    ]
    made["options"] |= {"textMode": "name", "justifyMode": "center"}
    made["transparent"] = True
    return made


def verdict(kpis: Mapping[str, Kpi], segment: str, *, money: bool) -> Panel:
    """How many teams are beyond a threshold, what is not known, and what it brings and costs."""
    beyond = "\nor\n".join(
        f"group by (team, severity) ({each.surely(', '.join(('team', *each.own)))})" for each in judged(kpis, segment)
    )
    # One number for both, as it is a long query: 20003 are 3 teams, of which 2 are beyond a critical threshold.
    weights = [labelled(f"vector({n})", "severity", severity) for severity, n in (("warning", 1), ("critical", 10001))]
    teams = f"sum(max by (team) (({beyond}) * on (severity) group_left () ({' or '.join(weights)}))) or vector(0)"
    said = mapped(f'count_values("n", {teams})', "text", "n", TEAMS_BEYOND)
    missing = written(FAULTY, "missing", "", COUNT, "; KPIs without values: {}")
    said = joined(
        f"({said} * on () group_left (missing) ({missing} or on () vector(1)))", "text", "{0}{1}", "text", "missing"
    )
    if money:
        value, roi = Figure(kpis["total_net_value"], kpis), Figure(kpis["total_roi_ratio"], kpis)
        net = written(value.value(), "net", "", form(value.kpi), "{} $currency")
        cost = written(roi.count(), "cost", "", COUNT, "{} $currency")
        both = f"({net} * on () group_left (cost) {cost})"
        worth = joined(both, "worth", ". Net value in $window: {0}, after a cost of {1}", "net", "cost")
        unpriced = labelled("vector(1)", "worth", ". There is no net value")
        said = joined(
            f"({said} * on () group_left (worth) ({worth} or on () {unpriced}))", "text", "{0}{1}", "text", "worth"
        )
    known = f"group(outcome_exporter_build_info{{{JOB}}})"
    unscraped = labelled(UNSCRAPED, "text", f"{UNKNOWING}: the exporter is not scraped")
    return sentence(
        "Teams beyond a threshold by more than chance, in the chosen window; KPIs without values because of a fault; "
        "net value of all claims, and what automation costs.",
        f"{said} and on () {known}\nor on () {unscraped}",
        "No team is beyond a threshold(?!; )",
        size=SENTENCE_SIZE,
        worst=".*critical",
    )


def freshness() -> Panel:
    """Whether the sources answer, in one line."""
    since = f"max by (source) (outcome_source_last_success_timestamp_seconds{{{JOB}}})"
    never = f"({since} == 0)"
    oldest = f"topk(1, time() - ({since} > 0))"
    silent = f"topk(1, time() - ({since} > 0) and on (source) {DOWN})"
    all_of_them = written(f"count(max by (source) (outcome_source_up{{{JOB}}}))", "all", "", COUNT)
    down = written(f"count({DOWN})", "down", "", COUNT)
    fine = f"{age(oldest, 'age', 'source')} * on () group_left (all) {all_of_them}"
    fine = joined(
        f"({fine})", "text", "All {0} sources answer; the oldest data is {1} old ({2})", "all", "age", "source"
    )
    bad = f"{age(silent, 'age', 'source')} * on () group_left (all) {all_of_them} * on () group_left (down) {down}"
    text = "{0} of {1} sources do not answer; {2} not for {3}: what is made of it is old"
    bad = joined(f"({bad})", "text", text, "down", "all", "source", "age")
    every = f"max by (source) (outcome_source_poll_interval_seconds{{{JOB}}})"
    behind = f"topk(1, time() - ({since} > 0) and on (source) (time() - {since} > {LATE} * {every}))"
    late = joined(
        f"({age(behind, 'age', 'source')})",
        "text",
        f"The data of {{0}} is {{1}} old, more than {LATE} times its poll interval",
        "source",
        "age",
    )
    first = written(f"count({never} or {DOWN})", "text", "", COUNT, "Sources that have not been read yet: {}")
    unscraped = labelled(UNSCRAPED, "text", f"{UNKNOWING}: the exporter is not scraped")
    return sentence(
        "Whether all sources answered when they were last polled; if not, which one has been silent longest. "
        "Its KPIs are withdrawn after max_staleness.",
        f"({bad}) or on () ({first}) or on () ({late}) or on () ({fine}) or on () {unscraped}",
        "All [0-9,]+ sources answer",
        size=DETAIL_SIZE,
    )
