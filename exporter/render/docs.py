"""Generates exporter/kpis/README.md from the catalogue: what every KPI means, and the series it has."""

from collections.abc import Iterator, Mapping

from exporter.base.duration import text as length
from exporter.catalogue.group import GROUPS, TIERS
from exporter.catalogue.kpi import BUCKETS, COUNTED, NON_ADDITIVE, Kpi, Needed, Unattributed, bases_of
from exporter.publish.families import unit
from exporter.records.labels import LABEL_NAMES
from exporter.render.promql import alert_name
from exporter.render.spike import spike_name

HEAD = """\
<!-- Made by `outcome-exporter render` from exporter/kpis/*.yaml. Do not edit: change the KPI, render, commit both. -->
# KPI catalogue

This page says what each KPI means. A KPI is declared once, in a file of this folder; its series, alert, panels and the
text below are generated from the declaration. To add one, copy a neighbour in its file, run `outcome-exporter render`,
and add a scenario to `tests/scenarios/`. [GLOSSARY.md](../../GLOSSARY.md) explains the words.

- **Window.** A value covers the time `(time - window, time]` up to the evaluation; the label `window` names the
  length. Never add windows up. Nothing that happened after the time of the evaluation is seen.
- **Time** is the column whose time puts a row into a window.
- **Adding segments up.** Divide sums: `sum(numerator) / sum(denominator)`. An average of ratios is a different number.
  Never add up over {apart}: two currencies, claims or handoffs have no meaningful sum.
- **Several services.** An incident or change of several services (`services`) counts once under each of them. A sum
  over `app_service` would count it again, so while there are such records, the series that can be added up are also
  published without that label, with every record once: `outcome_incidents_overall`,
  `outcome_mttr_seconds_overall_numerator`. Use those where they exist: `sum by (job) (X_overall) or sum by (job) (X)`,
  as the shipped rules and panels do. In `app_service="other"` a record counts once for each of its services there.
  Downtime and availability belong to each service: an outage of two services is downtime of both, and counts twice in
  a sum.
- **Median.** `_median`, beside the mean of a duration, is exact and belongs to one series. The median over several
  series cannot be computed from theirs: estimate it from the sum of their `_distribution`.
- **No data, no sample.** Where there is nothing to divide by, no ratio is published: neither 0 nor NaN.
  `outcome_kpi_absent{{kpi,reason}}` says why a KPI has no values at all. While a source is read for the first time,
  recent records first, short windows have values before long ones: `outcome_kpi_window_absent{{kpi,window,reason}}`.
- **Labels** are `window`, the segment labels configured for the record, and those listed with the KPI. A KPI that is
  divided by the value of another record has only those labels of its record that both have. Some labels are published
  under another name, because Prometheus uses theirs itself: {renamed}.
- **Basis.** Durations of human work are published as `basis="calendar"` (calendar time, for all records) and as
  `basis="business"` (the open hours only, for records whose team or source has a calendar). If all time on hold
  (waiting for a customer or a vendor) lies within what is measured, from the opening to the resolution, there are also
  `basis="calendar_active"`, which subtracts `on_hold_seconds`, and `basis="business_active"`, which subtracts
  `on_hold_business_seconds` from the open hours. A length does not say when it was, so only the time that the platform
  itself counted in open hours is subtracted from open hours. Both cover the records for which that time is known (0 is
  known, empty is unknown) and leave out records that were on hold for longer than they took. Times to respond,
  acknowledge or detect have no such basis, because it is unknown how much of the waiting came before; nor has the age
  of the backlog, because time on hold is known only at the end. A basis whose time on hold is known too rarely is not
  published. Never add bases up.
- **Fields** are those without which a KPI would be wrong. `outcome_coverage_ratio{{window,source,record,field}}` shows
  on which share of records each is filled; in a window in which one is filled on less than `min_coverage`, over all
  sources, the KPI is not published.
- **Unattributed**: `outcome_unattributed_ratio{{window,kpi}}` shows how much of what a KPI attributes no rule reached.
- **Guard** is the KPI to read beside it, because this one can be improved by harming that one.
- **Bounds**: `_lower` and `_upper` are the ends of the 95 % Wilson interval of a ratio. Alerts compare them with the
  threshold, so 1 of 2 fires no alert.
- **Baselines**, where configured: `_baseline` beside the value, by the label `baseline` (`previous`, `weekday_median`,
  `control`, `fixed`), and `_baseline_numerator` and `_baseline_denominator` with the n of that side. Only segments that
  have both sides are published. Compare totals over the same segments:
  `sum(N and ignoring (baseline) N_baseline)` with `sum(N_baseline)`. `outcome_baseline_absent{{kpi,baseline,reason}}`
  says why a baseline is missing.
- **Thresholds** can be set in the config, for all segments or for single ones; those below are the defaults.
- **Groups**: {groups}. `kpis: {{only: [support]}}` in the config chooses groups and single KPIs.
- **Tiers**: {tiers}.
- **Indicator**: a lagging one shows the outcome, a leading one moves before it. The config can change tier and
  indicator, and says who owns a KPI, who helps, and how often it is reviewed; see `outcome_kpi_info`.
- **Assumptions** that figures of money rest on are the series of `outcome_assumption_info`: `assumption`, `subject`
  (`all`, or a name), `value` and `origin` (`none`: not said).
"""


def catalogue_page(kpis: Mapping[str, Kpi]) -> str:
    """The text of exporter/kpis/README.md."""
    renamed = ", ".join(f"`{name}` as `{out}`" for name, out in LABEL_NAMES.items())
    apart = ", ".join(f"`{label}`" for label in NON_ADDITIVE)
    groups = ", ".join(f"`{group}`" for group in GROUPS)
    tiers = ", ".join(f"`{tier}` ({text.rstrip('.')[0].lower()}{text.rstrip('.')[1:]})" for tier, text in TIERS.items())
    lines = [HEAD.format(renamed=renamed, apart=apart, groups=groups, tiers=tiers), *contents(kpis)]
    for facts in dict.fromkeys(kpi.facts for kpi in kpis.values()):
        lines += [
            "",
            f"## {facts}",
            "",
            f"Declared in [{facts}.yaml]({facts}.yaml); the rows are those of [{facts}.sql](../facts/{facts}.sql).",
        ]
        for kpi in kpis.values():
            if kpi.facts == facts:
                lines += ["", *section(kpi, kpis)]
    return "\n".join(lines) + "\n"


def contents(kpis: Mapping[str, Kpi]) -> Iterator[str]:
    """A line for each KPI."""
    yield "| KPI | group | tier | series | better | alert |"
    yield "|---|---|---|---|---|---|"
    for kpi in kpis.values():
        alerts = [alert_name(kpi)] * kpi.alerts + [spike_name(kpi)] * bool(kpi.spike)
        alert = ", ".join(f"[{name}](../../alerts/README.md#{name.lower()})" for name in alerts)
        title = f"[{kpi.title}](#{anchor(kpi.title)})"
        yield f"| {title} | {kpi.group} | {kpi.tier} | `{kpi.metric}` | {kpi.better} | {alert} |"


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
    yield "group", f"{kpi.group}; {kpi.tier}, {kpi.indicator}"
    yield "formula", formula(kpi)
    if kpi.placed_by:
        yield "time", f"`{kpi.placed_by}`"
    if kpi.numerator_placed_by:
        yield (
            "time",
            f"`{kpi.numerator_placed_by}` for the numerator; the denominator is the present one in every window",
        )
    alternatives = "".join(f", or `{record}`" for record in kpi.alternative_records)
    yield "needs", ", ".join(f"`{record}`" for record in kpi.needs) + f"{alternatives} records" + used(kpi)
    if kpi.fields:
        yield "fields", "wrong without " + ", ".join(map(needed, kpi.fields))
    if kpi.unattributed:
        yield "unattributed", unattributed(kpi.unattributed)
    yield "series", " ".join(f"`{name}`" for name in kpi.series)
    yield "labels", labels(kpi)
    if kpi.wholes:
        once = " ".join(f"`{name}`" for name in kpi.wholes.values())
        label = LABEL_NAMES.get(kpi.several or "", kpi.several)
        yield "not additive", f"over `{label}`, because a record of several counts under each; with each once: {once}"
    yield "better", kpi.better
    yield "guard", ", ".join(f"[{kpis[name].title}](#{anchor(kpis[name].title)})" for name in kpi.guard)
    if kpi.spike:
        rise = f"{kpi.spike.factor:g} times what is usual on the weekday, and {kpi.spike.rise:g} more"
        yield "spike", f"{rise}: `{spike_name(kpi)}`"
    if kpi.alerts:
        looked_at = f"over {kpi.window}" if kpi.windowed else "as a present state"
        yield "thresholds", f"{thresholds(kpi)}, evaluated {looked_at}, for {kpi.for_}; `{kpi.metric}_threshold`"
        yield "alert", f"[{alert_name(kpi)}](../../alerts/README.md#{alert_name(kpi).lower()})"
    if kpi.business:
        yield "basis", ", ".join(f"`{basis}`" for basis in bases_of(kpi, calendars=True))
    if kpi.params:
        yield "parameters", ", ".join(parameter(name, param.type, param.default) for name, param in kpi.params.items())
    if kpi.kind == "duration":
        yield "buckets", " ".join(length(int(bound)) for bound in BUCKETS) + " and more"


def needed(field: Needed) -> str:
    """A field, and what stands in for it."""
    return f"`{field.record}.{field.name}`" + (
        f" (otherwise `{field.fallback}`, by definition)" if field.fallback else ""
    )


def formula(kpi: Kpi) -> str:
    """How it is computed, in the words of the declaration."""
    if kpi.kind == "ratio":
        counted = f"sum of `{kpi.weight}`" if kpi.weight else "records"
        return f"{counted} with `{kpi.numerator}` / {counted} with `{kpi.denominator}`"
    if kpi.kind == "derived":
        over = f"`{kpi.numerator}` - `{kpi.minus}`" if kpi.minus else f"`{kpi.numerator}`"
        per = {"second": " per second of the window", 100: " in 100s"}.get(kpi.per or 1, "")
        under = f"`{kpi.denominator}`{per}"
        return (f"({over}) / {under}" if kpi.minus else f"{over} / {under}") if kpi.denominator else over
    where = "" if kpi.where == "true" else f" where `{kpi.where}`"
    if kpi.kind in ("mean", "duration"):
        return f"mean of `{kpi.value}`" + (f" weighted by `{kpi.weight}`" if kpi.weight else "") + where
    what = f"{'largest' if kpi.aggregate == 'max' else 'sum of'} `{kpi.value}`" if kpi.value else "number of records"
    return what + where + (" / days of the window" if kpi.per == "day" else "")


def labels(kpi: Kpi) -> str:
    """The labels beside those configured for its record."""
    own = [f"`{LABEL_NAMES.get(label, label)}`" for label in kpi.labels]
    own += ["`basis`"] if kpi.business else []
    window = ["`window`"] if kpi.windowed else []
    configured = f"those configured for `{kpi.record}`"
    if kpi.missing_labels:
        configured += f" except {', '.join(f'`{LABEL_NAMES.get(label, label)}`' for label in kpi.missing_labels)}"
    text = ", ".join([*window, configured, *own])
    if kpi.numerator_labels:
        text += f"; on the numerator also {', '.join(f'`{label}`' for label in kpi.numerator_labels)}"
    return text


def used(kpi: Kpi) -> str:
    """Records that are taken in where they are fed."""
    return f"; also uses {', '.join(f'`{record}`' for record in kpi.uses)} records if there are any" if kpi.uses else ""


def unattributed(rule: Unattributed) -> str:
    """The rows that no rule of attribution reached."""
    among = "" if rule.among == COUNTED else f" among `{rule.among}`"
    return f"`{rule.where}`{among}" + (f", weighted by `{rule.weight}`" if rule.weight else "")


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
