"""The demo's table of values, read from /metrics, as any scraper could."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from rich.table import Table

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.stats import wilson
from exporter.explain.wording import length

WINDOW = "7d"
SHOWN = (
    "deflection_ratio",
    "abandonment_ratio",
    "escalation_ratio",
    "recontact_ratio",
    "first_response_seconds",
    "resolution_seconds",
    "backlog",
    "completion_ratio",
    "exception_ratio",
    "consecutive_failures",
    "no_show_ratio",
    "attendance_ratio",
    "mttr_seconds",
    "lead_time_seconds",
    "change_failure_ratio",
    "spend",
    "cost_per_run",
)
FEWEST = 5  # records that a mean is judged by, as in the alerts
LEAST = 20  # a team with fewer records is not called the worst

SAMPLE = re.compile(r"([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Samples by name: (labels, value)."""

    samples: Mapping[str, list[tuple[Labels, float]]]

    @staticmethod
    def parse(text: str, names: tuple[str, ...] = ("",)) -> "Metrics":
        """The samples of an exposition in the text format. `names`: how those begin that are wanted."""
        samples: dict[str, list[tuple[Labels, float]]] = defaultdict(list)
        for line in text.splitlines():
            if line.startswith(names) and (match := SAMPLE.fullmatch(line)):
                samples[match[1]].append((dict(LABEL.findall(match[2] or "")), float(match[3])))
        return Metrics(samples)

    def by(self, name: str, *labels: str, **wanted: str) -> dict[tuple[str, ...], float]:
        """The sums of a metric by some labels, of the samples whose other labels are as wanted."""
        sums: dict[tuple[str, ...], float] = defaultdict(float)
        for labels_here, value in self.samples.get(name, ()):
            if wanted.items() <= labels_here.items():
                sums[tuple(labels_here.get(label, "") for label in labels)] += value
        return sums


READING = (
    "outcome_kpi_absent",
    "outcome_kpi_info",
    "outcome_source_backfill_complete",
    "outcome_source_records_total",
)
"""What tells how far the first reading is."""


def complete(metrics: Metrics) -> bool:
    """Whether every source has been read once, and figures were made of it; told by READING alone."""
    waiting = {labels["reason"] for labels, _ in metrics.samples.get("outcome_kpi_absent", ())}
    sources = metrics.samples.get("outcome_source_backfill_complete", ())
    evaluated = "outcome_kpi_info" in metrics.samples
    return bool(sources) and all(value for _, value in sources) and evaluated and "initial_sync" not in waiting


def progress(metrics: Metrics) -> str:
    """How far the first reading is, told by READING alone."""
    read = [value for _, value in metrics.samples.get("outcome_source_backfill_complete", ())]
    records = sum(metrics.by("outcome_source_records_total").values())
    computing = "; computing the values" if read and all(read) else ""
    return f"Reading: {sum(map(bool, read))} of {len(read)} sources, {number(records)} records{computing}"


def worst(metrics: Metrics, kpis: Mapping[str, Kpi]) -> str:
    """The query of /explain for the first critical KPI of the table and its worst team; empty where all is well."""
    for name in SHOWN:
        if name in kpis and kpis[name].kind in ("ratio", "duration"):
            team, severity = judged(metrics, kpis[name])
            if severity == "CRITICAL":
                return urlencode({"kpi": name, "window": WINDOW, "team": team})
    return ""


def figures(metrics: Metrics, kpis: Mapping[str, Kpi]) -> Table:
    """The figures of the last seven days, all teams together and the worst team."""
    table = Table("KPI", f"last {WINDOW}", "n", "threshold", "worst team", "n", "", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
        column.justify = "right" if column.header in (f"last {WINDOW}", "n", "threshold") else "left"
    for name in SHOWN:
        if name in kpis:
            for row in rows(metrics, kpis[name]):
                table.add_row(*row)
    return table


def rows(metrics: Metrics, kpi: Kpi) -> Iterable[tuple[str, ...]]:
    """A KPI's line, or one for each currency."""
    if kpi.kind == "derived" or kpi.unit == "currency":
        return money(metrics, kpi)
    if kpi.kind in ("ratio", "duration"):
        return [shared(metrics, kpi)]
    by_team = metrics.by(kpi.metric, "team")
    if not by_team:
        return [(kpi.title, "-", "", "", "", "", "")]
    worst = max(by_team, key=lambda team: by_team[team])
    total = by_team[worst] if kpi.aggregate == "max" else sum(by_team.values())
    return [(kpi.title, number(total), "", "", worst[0], number(by_team[worst]), "")]


def money(metrics: Metrics, kpi: Kpi) -> list[tuple[str, ...]]:
    """Money is never added up over currencies."""
    if kpi.kind != "derived":
        by_currency = metrics.by(kpi.metric, "currency", window=WINDOW)
        return [
            (kpi.title, f"{value:,.0f} {currency}", "", "", "", "", "") for (currency,), value in by_currency.items()
        ]
    above = metrics.by(f"{kpi.stem}_numerator", "currency", window=WINDOW)
    below = metrics.by(f"{kpi.stem}_denominator", "currency", window=WINDOW)
    return [(kpi.title, f"{above[key] / n:,.2f} {key[0]}", number(n), "", "", "", "") for key, n in below.items() if n]


def shared(metrics: Metrics, kpi: Kpi) -> tuple[str, ...]:
    """The line of a KPI that is a quotient: summed before it is divided, never a mean of quotients."""
    above, below = parts(metrics, kpi)
    if not below:
        return (kpi.title, "-", "0", "", "", "", "")
    show = percent if kpi.kind == "ratio" else length
    team = worst_team(kpi, above, below)
    limit = (
        f"{'<' if kpi.better == 'higher' else '>'} {show(kpi.threshold.warning)}"
        if kpi.threshold.warning is not None
        else ""
    )
    return (
        kpi.title,
        show(sum(above.values()) / sum(below.values())),
        number(sum(below.values())),
        limit,
        *(
            (f"{team[0]} {show(above[team] / below[team])}", number(below[team]), breach(kpi, above[team], below[team]))
            if team
            else ("", "", "")
        ),
    )


Parts = Mapping[tuple[str, ...], float]


def parts(metrics: Metrics, kpi: Kpi) -> tuple[Parts, Parts]:
    """Numerator and denominator of a quotient, by team, where the denominator is not 0."""
    wanted = {"window": WINDOW} | ({"basis": "calendar"} if kpi.business else {})
    above = metrics.by(f"{kpi.stem}_numerator", "team", **wanted)
    below = metrics.by(f"{kpi.stem}_denominator", "team", **wanted)
    return above, {team: n for team, n in below.items() if n}


def worst_team(kpi: Kpi, above: Parts, below: Parts) -> tuple[str, ...] | None:
    """The worst of the teams with enough records; None if no team has: of a few records nothing is said."""
    sign = -1 if kpi.better == "higher" else 1
    means = {team: above[team] / n for team, n in below.items() if n >= LEAST}
    return max(means, key=lambda team: sign * means[team], default=None)


def judged(metrics: Metrics, kpi: Kpi) -> tuple[str, str]:
    """The worst team of a quotient and how bad it is."""
    above, below = parts(metrics, kpi)
    team = worst_team(kpi, above, below)
    return (team[0], breach(kpi, above[team], below[team])) if team else ("", "")


def breach(kpi: Kpi, above: float, below: float) -> str:
    """How bad it is, with 95 % certainty: the end of the interval that speaks for the team is compared."""
    if kpi.kind != "ratio" and below < FEWEST:
        return ""
    lower, upper = wilson(above, below) if kpi.kind == "ratio" else (above / below, above / below)
    for severity in ("critical", "warning"):
        level = getattr(kpi.threshold, severity)
        if level is not None and (lower > level if kpi.better == "lower" else upper < level):
            return severity.upper()
    return ""


def freshness(metrics: Metrics, now: datetime) -> Table:
    """How old what the figures are made of is."""
    table = Table("source", "last answer", "newest event", "records read", box=None, pad_edge=False)
    newest = metrics.samples.get("outcome_source_watermark_timestamp_seconds", ())
    read = metrics.by("outcome_source_records_total", "source")
    for (source,), moment in sorted(metrics.by("outcome_source_last_success_timestamp_seconds", "source").items()):
        event = max((value for labels, value in newest if labels["source"] == source), default=0.0)
        table.add_row(source, ago(moment, now), ago(event, now), number(read.get((source,), 0.0)))
    return table


def summary(metrics: Metrics, now: datetime) -> str:
    """The same in a line."""
    answers = metrics.by("outcome_source_last_success_timestamp_seconds", "source").values()
    read = number(sum(metrics.by("outcome_source_records_total").values()))
    return f"{len(answers)} sources, {read} records read; oldest answer {ago(min(answers, default=0.0), now)}"


def ago(moment: float, now: datetime) -> str:
    return f"{length(max(0.0, now.timestamp() - moment))} ago" if moment else "never"


def percent(share: float) -> str:
    return f"{share:.1%}"


def number(value: float) -> str:
    return f"{value:,.0f}"
