"""The catalogue -> exporter/kpis/README.md: what every figure means, and every series it is published as."""

from collections.abc import Iterator, Mapping

from exporter.base.duration import text as length
from exporter.catalogue.kpi import APART, BUCKETS, COUNTED, Kpi, Needed, Unattributed, bases_of
from exporter.publish.families import unit
from exporter.records.labels import LABEL_NAMES
from exporter.render.promql import alert_name
from exporter.render.spike import spike_name

HEAD = """\
<!-- Made by `outcome-exporter render` from exporter/kpis/*.yaml. Do not edit: change the KPI, render, commit both. -->
# KPI catalogue

What each figure means. A KPI is declared once, in a file here; series, alert, panels and this page are made from it.
To add one: copy a neighbour in its file, run `outcome-exporter render`, and give it a scenario in `tests/scenarios/`.

- **Window.** A figure covers the time `(instant - window, instant]`, ending now; label `window` says which.
  Never add windows up.
- **Placed by** names the time that puts a record into a window. Nothing later than the instant is seen.
- **Adding segments up.** Divide sums: `sum(numerator) / sum(denominator)`. An average of ratios is another figure.
  Never add up over {apart}: two currencies, claims or handoffs make no sum.
- **Several services.** One incident or change of several services (`services`) counts once under each of them. A sum
  over `app_service` would count it again, so while there are such records, what is added up is published a second time
  without that label, every record once: `outcome_incidents_overall`, `outcome_mttr_seconds_overall_numerator`. Add up
  those where they are there: `sum by (job) (X_overall) or sum by (job) (X)`, as the shipped rules and panels do. Folded
  into `app_service="other"` a record counts once for each of its services there. Downtime and availability are those
  of each service: an outage of two is downtime of both, and of that the sum is meant.
- **Median.** `_median` beside the mean of a duration is exact, and that of one series. The median of several series is
  not to be had from theirs: estimate it from the sum of their `_distribution`.
- **No data, no sample.** Where there is nothing to divide by there is no ratio: neither 0 nor NaN.
  `outcome_kpi_absent{{kpi,reason}}` says why a whole KPI has none.
- **Labels** are `window`, the segment labels configured for the record, and those listed with the KPI. What is divided
  by another record's figure has of its record's labels only those that both have. Some leave under another name, for
  Prometheus has its own use for theirs: {renamed}.
- **Basis.** How long people took is published as `basis="calendar"`, all the time there was, of all records; and as
  `basis="business"`, the open hours in it, of the records whose team or source has a calendar. Where all time on hold
  (waiting for a customer or a vendor) lies within what is measured, that is from the opening to the resolution, there
  is also `basis="calendar_active"`, less `on_hold_seconds`, and `basis="business_active"`, the open hours less
  `on_hold_business_seconds`: a length does not say when it was, so only what the platform itself counted in open hours
  is taken off them. Both are of the records of which that time is known (0 is known, empty is not), and of none that
  was on hold for longer than it took. Time to first response, to acknowledge or to detect has no such basis, for nobody
  tells how much of the waiting came before; nor has the age of the backlog, for time on hold is known at the end. A
  basis whose time on hold is known too rarely is not published. Never add bases up.
- **Fields** are what a KPI would be wrong without. `outcome_coverage_ratio{{window,source,record,field}}` says on which
  share of records each is filled; in a window in which one is filled on fewer than `min_coverage`, over all sources,
  the KPI is not published.
- **Unattributed**: `outcome_unattributed_ratio{{window,kpi}}` says how much of what a KPI attributes no rule reached.
- **Guard**: the figure to read beside it, because this one can be improved by harming that one.
- **Bounds**: `_lower` and `_upper` end the 95 % Wilson interval of a ratio; alerts compare them, so 1 of 2 is no alert.
- **Baselines**, where they are configured: `_baseline` beside the figure, by the label `baseline` (`previous`,
  `weekday_median`, `control`, `fixed`), and `_baseline_numerator`, `_baseline_denominator` with n of that side. Only
  segments that have both sides are there. Compare totals over the same: `sum(N and ignoring (baseline) N_baseline)`
  with `sum(N_baseline)`. `outcome_baseline_absent{{kpi,baseline,reason}}` says why one is missing.
- **Thresholds** can be set in the configuration, for all or by segment; those below are the defaults.
"""


def catalogue_page(kpis: Mapping[str, Kpi]) -> str:
    """The text of exporter/kpis/README.md."""
    renamed = ", ".join(f"`{name}` as `{out}`" for name, out in LABEL_NAMES.items())
    apart = ", ".join(f"`{label}`" for label in APART)
    lines = [HEAD.format(renamed=renamed, apart=apart), *contents(kpis)]
    for facts in dict.fromkeys(kpi.facts for kpi in kpis.values()):
        lines += [
            "",
            f"## {facts}",
            "",
            f"Declared in [{facts}.yaml]({facts}.yaml), counted over [{facts}.sql](../facts/{facts}.sql).",
        ]
        for kpi in kpis.values():
            if kpi.facts == facts:
                lines += ["", *section(kpi, kpis)]
    return "\n".join(lines) + "\n"


def contents(kpis: Mapping[str, Kpi]) -> Iterator[str]:
    """A line for each KPI."""
    yield "| KPI | series | better | alert |"
    yield "|---|---|---|---|"
    for kpi in kpis.values():
        alerts = [alert_name(kpi)] * kpi.alerts + [spike_name(kpi)] * bool(kpi.spike)
        alert = ", ".join(f"[{name}](../../alerts/README.md#{name.lower()})" for name in alerts)
        yield f"| [{kpi.title}](#{anchor(kpi.title)}) | `{kpi.metric}` | {kpi.better} | {alert} |"


def section(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterator[str]:
    """Everything about one KPI."""
    yield f"### {kpi.title}"
    yield ""
    yield kpi.help
    yield ""
    if kpi.details:
        yield kpi.details
        yield ""
    for i, (name, value) in enumerate(rows(kpi, kpis)):
        yield f"| {name} | {value.replace('|', chr(92) + '|')} |"
        if i == 0:
            yield "|---|---|"


def rows(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterator[tuple[str, str]]:
    """What is said of a KPI, as (name, value)."""
    scale = "0 to 1" if kpi.kind in ("ratio", "mean") and not kpi.unit else f"in {kpi.unit or unit(kpi)}"
    yield "name", f"`{kpi.name}`, a {kpi.kind}, {scale}"
    yield "formula", formula(kpi)
    if kpi.placed_by:
        yield "placed by", f"`{kpi.placed_by}`"
    if kpi.numerator_placed_by:
        yield (
            "placed by",
            f"`{kpi.numerator_placed_by}`, the numerator; the denominator is of now, in every window",
        )
    instead = "".join(f", or `{record}`" for record in kpi.instead)
    yield "needs", ", ".join(f"`{record}`" for record in kpi.needs) + f"{instead} records" + used(kpi)
    if kpi.fields:
        yield "fields", "wrong without " + ", ".join(map(needed, kpi.fields))
    if kpi.unattributed:
        yield "unattributed", unattributed(kpi.unattributed)
    yield "series", " ".join(f"`{name}`" for name in kpi.series)
    yield "labels", labels(kpi)
    if kpi.wholes:
        once = " ".join(f"`{name}`" for name in kpi.wholes.values())
        label = LABEL_NAMES.get(kpi.several or "", kpi.several)
        yield "not additive", f"over `{label}`, as a record of several counts under each; then each once: {once}"
    yield "better", kpi.better
    yield "guard", ", ".join(f"[{kpis[name].title}](#{anchor(kpis[name].title)})" for name in kpi.guard)
    if kpi.spike:
        rise = f"{kpi.spike.factor:g} times what is usual on the weekday, and {kpi.spike.rise:g} more"
        yield "spike", f"{rise}: `{spike_name(kpi)}`"
    if kpi.alerts:
        looked_at = f"over {kpi.window}" if kpi.windowed else "as it is now"
        yield "thresholds", f"{thresholds(kpi)}, looked at {looked_at}, for {kpi.for_}; `{kpi.metric}_threshold`"
        yield "alert", f"[{alert_name(kpi)}](../../alerts/README.md#{alert_name(kpi).lower()})"
    if kpi.business:
        yield "basis", ", ".join(f"`{basis}`" for basis in bases_of(kpi, calendars=True))
    if kpi.params:
        yield "parameters", ", ".join(parameter(name, param.type, param.default) for name, param in kpi.params.items())
    if kpi.kind == "duration":
        yield "buckets", " ".join(length(int(bound)) for bound in BUCKETS) + " and more"


def needed(field: Needed) -> str:
    """A field, and what stands in for it."""
    return f"`{field.record}.{field.name}`" + (f" (else `{field.instead}`, by definition)" if field.instead else "")


def formula(kpi: Kpi) -> str:
    """How it is computed, in the words of the declaration."""
    if kpi.kind == "ratio":
        counted = f"sum of `{kpi.weight}`" if kpi.weight else "records"
        return f"{counted} with `{kpi.numerator}` / {counted} with `{kpi.denominator}`"
    if kpi.kind == "derived":
        over = f"`{kpi.numerator}` - `{kpi.minus}`" if kpi.minus else f"`{kpi.numerator}`"
        under = f"`{kpi.denominator}` in {kpi.per}s" if kpi.per else f"`{kpi.denominator}`"
        return (f"({over}) / {under}" if kpi.minus else f"{over} / {under}") if kpi.denominator else over
    where = "" if kpi.where == "true" else f" where `{kpi.where}`"
    if kpi.kind in ("mean", "duration"):
        return f"mean of `{kpi.value}`" + (f" weighed by `{kpi.weight}`" if kpi.weight else "") + where
    what = f"{'largest' if kpi.aggregate == 'max' else 'sum of'} `{kpi.value}`" if kpi.value else "number of records"
    return what + where + (" / days of the window" if kpi.per == "day" else "")


def labels(kpi: Kpi) -> str:
    """The labels beside those configured for its record."""
    own = [f"`{LABEL_NAMES.get(label, label)}`" for label in kpi.labels]
    own += ["`basis`"] if kpi.business else []
    window = ["`window`"] if kpi.windowed else []
    configured = f"those configured for `{kpi.record}`"
    if kpi.lacks:
        configured += f" but for {', '.join(f'`{LABEL_NAMES.get(label, label)}`' for label in kpi.lacks)}"
    text = ", ".join([*window, configured, *own])
    if kpi.numerator_labels:
        text += f"; on the numerator also {', '.join(f'`{label}`' for label in kpi.numerator_labels)}"
    return text


def used(kpi: Kpi) -> str:
    """Records that are taken in where they are fed."""
    return f"; takes in {', '.join(f'`{record}`' for record in kpi.uses)} where fed" if kpi.uses else ""


def unattributed(rule: Unattributed) -> str:
    """The rows that no rule of attribution reached."""
    among = "" if rule.among == COUNTED else f" among `{rule.among}`"
    return f"`{rule.where}`{among}" + (f", weighed by `{rule.weight}`" if rule.weight else "")


def thresholds(kpi: Kpi) -> str:
    """Both levels, in the reader's unit."""
    levels = kpi.threshold.model_dump(exclude_none=True)
    side = "above" if kpi.better == "lower" else "below"
    if not levels:
        return "none unless configured"

    def told(level: float) -> str:
        if kpi.name.endswith("_seconds"):
            return length(int(level))
        return f"{level:.0%}" if kpi.name.endswith("_ratio") else f"{level:g} {kpi.unit}"

    return ", ".join(f"{name} {side} {told(level)}" for name, level in levels.items())


def parameter(name: str, kind: str, default: str | float | None) -> str:
    """A value the configuration may set."""
    return f"`{name}` ({kind}, {'off unless set' if default is None else f'default `{default}`'})"


def anchor(title: str) -> str:
    """The anchor that rendered Markdown gives a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
