"""The catalogue -> alerts/kpi.rules.yaml: for every KPI with thresholds, recording rules and one alert."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from exporter.base import assets
from exporter.catalogue.kpi import Kpi, Spike
from exporter.evaluation.breach import MIN_RECORDS, least
from exporter.render.promql import (
    LAST,
    alert_name,
    counted_once,
    difference,
    kept,
    lenient,
    looked_up,
    ratio,
    since,
    summed,
    wilson,
    worse,
)
from exporter.render.runbook import first_steps
from exporter.render.spike import SpikeRules, spike_name

RUNBOOK_URL = "https://runbooks.example.com/outcome-exporter/alerts/README.md"
DASHBOARD_URL = "https://grafana.example.com"
"""Placeholders: hosts that cannot exist. `render --runbook-url` and `--dashboard-url` set the real ones."""
SCRAPED = (
    "{{ with query (printf `sort_desc(last_over_time(up{job=%q}[10m]))` $labels.job) }}"
    "http://{{ . | first | label `instance` }}"
)
"""The exporter as Prometheus reaches it, a replica that is up before others; the rules know no other address.

Ends with a `with` that is still open.
"""

ANY_KPI = "outcome-any-kpi"
HEAD = """\
# Made by `outcome-exporter render` from exporter/kpis/*.yaml. Do not edit: change the KPI, render, commit both.
#
# A rule looks at the team as a whole, in one window; labels that a KPI always has (currency, workflow) stay apart.
# Replicas are collapsed before anything is summed. A ratio is compared by the end of its 95 % Wilson interval, so 1 of
# 2 alerts nobody; a mean needs {min_records} records. Without a threshold series a rule keeps quiet.
# Severity comes from the threshold series: one rule serves warning and critical, and every team's own threshold.
"""


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Where the links in annotations lead."""

    runbook: str = RUNBOOK_URL
    dashboard: str = DASHBOARD_URL
    view: str = "outcome-core-operations"
    explain: str = ""  # the exporter, as people reach it

    def of(self, alert: str) -> str:
        """The runbook heading of an alert; anchors of rendered Markdown are lower case."""
        return f"{self.runbook}#{alert.lower()}"

    def panel(self, kpi: Kpi) -> str:
        """The view, with the alert's own team and window chosen."""
        window = "&var-window={{ $labels.window }}" if kpi.windowed else ""
        basis = "&var-basis={{ $labels.basis }}" if kpi.business else ""
        chosen = f"&var-kpi={kpi.name}" if self.view == ANY_KPI else ""
        return (
            f"{self.dashboard}/d/{self.view}?var-job={{{{ $labels.job | urlquery }}}}"
            f"&var-team={{{{ $labels.team | urlquery }}}}{window}{basis}{chosen}"
        )

    def explanation(self, names: "Names") -> str:
        """The exporter's page about the value of the alert: of its KPI, window, team and whatever else names it."""
        labels = ("window", *(label for label in names.labels if label not in ("job", "window")))
        chosen = "".join(f"&{label}={{{{ $labels.{label} | urlquery }}}}" for label in labels if label in names.labels)
        page = f"/explain?kpi={names.kpi.name}{chosen}"
        return self.explain.rstrip("/") + page if self.explain else f"{SCRAPED}{page}{{{{ end }}}}"


@dataclass(frozen=True)
class Names:
    """The recorded series of one KPI, as selectors. A figure of now has no window."""

    kpi: Kpi
    kpis: Mapping[str, Kpi]

    @property
    def kept(self) -> tuple[str, ...]:
        return kept(self.kpi, self.kpis)

    @property
    def labels(self) -> tuple[str, ...]:
        """What tells the recorded series apart, beside the severity of a threshold."""
        own = tuple(label for label in self.kept if label != "basis")
        window, basis = ["window"] * self.kpi.windowed, ["basis"] * bool(self.kpi.business)
        return ("job", "team", *own, *window, *basis)

    @property
    def level(self) -> str:
        return "_".join(self.labels[1:])

    def series(self, name: str) -> str:
        """A series in the window that the KPI's alert looks at."""
        return name + self.window

    @property
    def window(self) -> str:
        """Selects the window that the KPI's alert looks at."""
        return f'{{window="{self.kpi.window}"}}' if self.kpi.windowed else ""

    @property
    def numerator(self) -> str:
        return f"{self.level}:{self.kpi.stem}_numerator:sum"

    @property
    def denominator(self) -> str:
        return f"{self.level}:{self.kpi.stem}_denominator:sum"

    @property
    def value(self) -> str:
        divided = "ratio" if self.kpi.kind in ("ratio", "derived") else "mean"
        return f"{self.level}:{self.kpi.metric}:{divided if self.kpi.divided else self.kpi.aggregate}"

    @property
    def bound(self) -> str:
        return f"{self.level}:{self.kpi.metric}:{'lower' if self.kpi.better == 'lower' else 'upper'}"

    @property
    def threshold(self) -> str:
        return f"{self.level}_severity:{self.kpi.metric}_threshold:{lenient(self.kpi)}"

    @property
    def owner(self) -> str:
        return f"job_kpi_owner:{self.kpi.metric}_owner:group"


def kpi_rules(kpis: Mapping[str, Kpi], urls: Urls = Urls()) -> str:
    """The text of alerts/kpi.rules.yaml: a group for each KPI that has thresholds."""
    return HEAD.format(min_records=MIN_RECORDS) + rule_file(kpis.values(), kpis, urls)


def rule_file(chosen: Iterable[Kpi], kpis: Mapping[str, Kpi], urls: Urls) -> str:
    """The rules of those of the chosen KPIs that have any."""
    chosen = list(chosen)
    groups = [group(kpi, kpis, urls) for kpi in chosen if kpi.alerts]
    groups += [spike_group(kpi, kpi.spike, kpis, urls) for kpi in chosen if kpi.spike]
    return yaml.dump({"groups": groups}, Dumper=RulesDumper, sort_keys=False, allow_unicode=True, width=1000)


def group(kpi: Kpi, kpis: Mapping[str, Kpi], urls: Urls) -> dict[str, Any]:
    """All rules of one KPI, in the order they build on each other."""
    return {
        "name": "outcome-" + kpi.name.replace("_", "-"),
        "interval": "1m",
        "rules": [*recordings(kpi, kpis), alert(kpi, kpis, urls)],
    }


def spike_group(kpi: Kpi, spike: Spike, kpis: Mapping[str, Kpi], urls: Urls) -> dict[str, Any]:
    """The rules for a day that is unlike the same weekday otherwise."""
    names, name = Names(kpi, kpis), spike_name(kpi)
    rules = SpikeRules(kpi, spike, names.labels, names.owner)
    made = {
        "alert": name,
        "expr": rules.expression(),
        "for": kpi.for_,
        "keep_firing_for": "1h",
        "labels": {"kpi": kpi.name, "severity": "warning"},
        "annotations": {
            "summary": f"{kpi.title} far above what is usual on this weekday.",
            "description": rules.description(", ".join(kpis[guard].title for guard in kpi.guard)) + first_step(name),
            "explain_url": urls.explanation(Names(kpi, kpis)),
            "runbook_url": urls.of(name),
            "dashboard_url": urls.panel(kpi),
        },
    }
    owners = [] if kpi.alerts else [owner(kpi, kpis)]
    return {
        "name": f"outcome-{kpi.name.replace('_', '-')}-spike",
        "interval": "1m",
        "rules": [*owners, *rules.recordings(), made],
    }


def recordings(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterable[dict[str, str]]:
    """What the alert is built on: parts, value, bound, thresholds, owner."""
    names = Names(kpi, kpis)
    by = ", ".join(names.labels)
    if kpi.divided:
        for name, part in ((names.numerator, "numerator"), (names.denominator, "denominator")):
            yield {"record": name, "expr": counted_once(kpi, f"{kpi.stem}_{part}", names.window, by, last=LAST)}
        n = names.series(names.denominator)
        yield {"record": names.value, "expr": ratio(names.series(names.numerator), n)}
    elif kpi.shows_gross:
        parts = (summed(f"{kpi.metric}_{part}", names.window, by, last=LAST) for part in ("gross", "overhead"))
        yield {"record": names.value, "expr": difference(*parts)}
    else:
        expr = counted_once(kpi, kpi.metric, names.window, by, last=LAST, function=kpi.aggregate)
        yield {"record": names.value, "expr": expr}
    if kpi.kind == "ratio":
        bound = wilson(names.series(names.value), n, upper=kpi.better == "higher")
        yield {"record": names.bound, "expr": bound}
    thresholds = names.series(f"{kpi.metric}_threshold")
    yield {
        "record": names.threshold,
        "expr": f"{lenient(kpi)} by ({by}, severity) (last_over_time({thresholds}[{LAST}]))",
    }
    yield owner(kpi, kpis)


def owner(kpi: Kpi, kpis: Mapping[str, Kpi]) -> dict[str, str]:
    """Who is named; of two at once (a change half rolled out) none, or the join would fail and the alert too."""
    owners = f'group by (job, kpi_owner) (last_over_time(outcome_kpi_info{{kpi="{kpi.name}"}}[{LAST}]))'
    return {"record": Names(kpi, kpis).owner, "expr": f"{owners}\nunless on (job)\ncount by (job) (\n  {owners}\n) > 1"}


def alert(kpi: Kpi, kpis: Mapping[str, Kpi], urls: Urls) -> dict[str, Any]:
    """The alert: its value is the plain figure, its severity that of the threshold breached."""
    name = alert_name(kpi)
    return {
        "alert": name,
        "expr": expression(kpi, kpis),
        "for": kpi.for_,
        "keep_firing_for": "1h",
        "labels": {"kpi": kpi.name},
        "annotations": {
            "summary": f"{kpi.title} {side(kpi)} the threshold.",
            "description": description(kpi, kpis) + first_step(name),
            "explain_url": urls.explanation(Names(kpi, kpis)),
            "runbook_url": urls.of(name),
            "dashboard_url": urls.panel(kpi),
        },
    }


def expression(kpi: Kpi, kpis: Mapping[str, Kpi]) -> str:
    """Breach, with severity from the threshold and the owner where exactly one is known."""
    names = Names(kpi, kpis)
    on = ", ".join(names.labels)
    value, threshold = names.series(names.value), names.series(names.threshold)
    against = f"{worse(kpi)} on ({on}) group_right ()\n  {threshold}"
    sure, enough = "", least(kpi, kpis)
    if kpi.kind == "ratio":
        sure = f"\n  and {names.series(names.bound)}\n  {against}"
    elif enough is not None:
        sure = f"\n  and on ({on})\n  {names.series(names.denominator)} >= {enough:g}"
    return (
        f"(\n  {value}\n  {against}{sure}\n)\n* on (job) group_left (kpi_owner)\n"
        f"(\n  {names.owner}\n  or on (job)\n  group by (job) ({threshold})\n)"
    )


def shape(kpi: Kpi) -> tuple[str, str]:
    """How a template prints a value of the KPI, and the unit that stands behind it."""
    if kpi.name.endswith("_ratio"):
        return "humanizePercentage", ""
    if kpi.name.endswith("_seconds"):
        return "humanizeDuration", ""
    return "humanize", " {{ $labels.currency }}" if kpi.unit == "currency" else f" {kpi.unit}"


def side(kpi: Kpi) -> str:
    """On which side of its threshold a KPI is bad."""
    return "above" if kpi.better == "lower" else "below"


def description(kpi: Kpi, kpis: Mapping[str, Kpi]) -> str:
    """Team, value, number of records, threshold, and what to look at: all a woken person needs to decide."""
    names, (form, unit) = Names(kpi, kpis), shape(kpi)
    limit = looked_up(names.threshold, (*names.labels, "severity"), form)
    against = f" {side(kpi)} {limit}"
    if kpi.alert_says:
        labels = {label: f"{{{{ $labels.{label} }}}}" for label in names.labels}
        says, unit = kpi.alert_says.format(value=f"{{{{ $value | {form} }}}}", **labels), ""
        if "{value}" not in kpi.alert_says:
            against = ""
    else:
        says = f"{segment(names)} is {{{{ $value | {form} }}}}{unit}{when(kpi)}{records(names)}"
    guards = ", ".join(kpis[guard].title for guard in kpi.guard)
    where = "the runs of this workflow" if "workflow" in names.kept else "the segments of this team"
    beside = f"; read beside it: {guards}." if guards else "."
    began = since(alert_name(kpi), (*names.labels, "severity"))
    return f"{says}; {{{{ $labels.severity }}}}{against}{unit}{began}. Look first at {where} on the dashboard{beside}"


def first_step(alert: str) -> str:
    """What to do first, as the runbook says; of a KPI that the runbook does not know, nothing."""
    step = first_steps(assets.root() / "alerts").get(alert)
    return f" {step}" if step else ""


def segment(names: Names) -> str:
    """The KPI, its team, and the other labels that it always has; a currency and a basis are said elsewhere."""
    elsewhere = {"basis", *(["currency"] if names.kpi.unit == "currency" else [])}
    others = [each for each in names.kept if each not in elsewhere]
    which = "".join(f", {each.replace('_', ' ')} {{{{ $labels.{each} }}}}" for each in others)
    return f"{names.kpi.title} of team {{{{ $labels.team }}}}{which}"


def when(kpi: Kpi) -> str:
    """Over which time a value is taken, and in what time a duration is measured."""
    return (" in {{ $labels.basis }} time" if kpi.business else "") + (
        " over {{ $labels.window }}" if kpi.windowed else " now"
    )


def records(names: Names) -> str:
    """How many records a value is taken over, where it is taken over records."""
    kpi = names.kpi
    if kpi.kind != "ratio" and least(kpi, names.kpis) is None:
        return ""
    scaled = f" in {kpi.per}s" if kpi.per == 100 else ""
    return f" ({looked_up(names.denominator, names.labels, 'humanize')} records{scaled})"


class RulesDumper(yaml.SafeDumper):
    """YAML as a person would write it: texts of several lines as blocks, lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - as overridden
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


RulesDumper.add_representer(str, _text)
