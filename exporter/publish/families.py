"""Turns figures into metric families, with names, labels, bounds and thresholds, within the limits on series."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.baselines.compare import Baseline, compare, unmatched
from exporter.catalogue.kpi import Kpi
from exporter.evaluation import coverage
from exporter.evaluation.add import value_of
from exporter.evaluation.assumptions import assumptions
from exporter.evaluation.breach import resolve, target
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.figure import Evaluation, Figure, Key, Spread
from exporter.evaluation.plan import Intervention, Plan, Setting
from exporter.evaluation.stats import Distribution, Family, Snapshot, wilson
from exporter.publish import anomaly
from exporter.publish.cardinality import Limits, fold, folded_alike
from exporter.records.labels import LABEL_NAMES

SUFFIX_HELP: Mapping[str, str] = {
    "numerator": "Numerator of {metric}. {help}",
    "denominator": "Denominator of {metric}. {help}",
    "lower": "Lower end of the 95 % Wilson interval of {metric}. {help}",
    "upper": "Upper end of the 95 % Wilson interval of {metric}. {help}",
    "gross": "What {metric} is before its overhead is subtracted, where that is known. {help}",
    "overhead": "What is subtracted in {metric}, also where nothing is known that it is subtracted from: for a total, "
    "subtract sum({metric}_overhead) from sum({metric}_gross). {help}",
    "overall": "{title}, with each record counted once; {metric} counts a record of several services under each of "
    "them. Published only where that makes a difference. {help}",
    "median": "Exact median of the values behind {metric}. It belongs to one series: medians are never added up or "
    "averaged. {help}",
    "distribution": (
        "Distribution of the values behind {metric}. Where there would be too many series, it is published only for "
        "the window of its alert, and then only by team. {help}"
    ),
}

WHOLE_HELP = "With each record counted once, where some count under several services. "

BASELINE_HELP: Mapping[str, str] = {
    "baseline": (
        "Value that {metric} is compared with, in segments that have both. previous: one window earlier. "
        "weekday_median: the same weekday of the last eight weeks. control: the cohort control, now. fixed: a period "
        "of days, counts and sums scaled to the window. For totals, compare sum(N and ignoring (baseline) N_baseline) "
        "with sum(N_baseline), and likewise the denominators. {title}."
    ),
    "numerator": "Numerator of {metric}_baseline. Add up only segments that have both sides. {title}.",
    "denominator": ("Denominator of {metric}_baseline (for weekday_median, of all its days together). {title}."),
}


@dataclass(frozen=True, slots=True)
class Series:
    """A snapshot beside what it left out: (kpi, label) -> values folded into `other`.

    `spread_levels`: KPI -> how little of its distribution is published, of those of which it is not all.
    """

    snapshot: Snapshot
    folded: Mapping[tuple[str, str], int]
    spread_levels: Mapping[str, int]
    count: int


def series(evaluation: Evaluation, plan: Plan, limits: Limits) -> Series:
    """All families of one evaluation, within the limits; sums over segments do not change."""
    settings = compile_plan(plan).settings
    others = beside(evaluation, plan)
    # Values that are combined have fewer of these series: so many there are at most.
    unusual = anomaly.families(evaluation.weekdays, settings, {}) if evaluation.weekdays else []
    folded = fold(evaluation.figures, plan, limits, limits.series - sum(family.size for family in (*others, *unusual)))
    if evaluation.weekdays and folded.left_out:
        unusual = anomaly.families(evaluation.weekdays, settings, folded.names)
    single = [figure for figure in folded.figures if not figure.whole]
    baselines = compare(single, folded_alike(evaluation.baselines, settings, folded.names), settings)
    families = [*kpi_families([*folded.figures, *baselines, *folded.spreads], settings), *others, *unusual]
    families.append(baseline_absent(unmatched(evaluation, baselines, plan.settings)))
    return Series(
        Snapshot(evaluation.at, tuple(families)),
        folded.left_out,
        folded.spread_levels,
        sum(family.size for family in families),
    )


def beside(evaluation: Evaluation, plan: Plan) -> list[Family]:
    """The families beside the values: about each KPI, which KPIs are absent, and how far values can be trusted."""
    windows = [name for name, _ in plan.windows]
    trusted = coverage.families(windows, evaluation.coverage, evaluation.unattributed)
    waits = [window_absent(evaluation.waiting)] if evaluation.waiting else []
    marks = interventions(plan.interventions) if plan.interventions else []
    return [
        info(plan.settings),
        fed(evaluation.feeds),
        assumed(plan),
        *marks,
        absent(evaluation.absent),
        *waits,
        *trusted,
    ]


Published = Figure | Baseline | Spread
UNSAID = "none"
"""The label of what the config does not say; an empty one would be no label."""
ALL = "all"
"""The label of what an assumption is about that is about everything."""


def kpi_families(everything: Iterable[Published], settings: Mapping[str, Setting]) -> Iterator[Family]:
    """The families of every KPI that has values."""
    grouped: dict[str, list[Published]] = {}
    for each in everything:
        grouped.setdefault(each.kpi, []).append(each)
    for name in sorted(grouped):
        samples: dict[str, dict[Key, float | Distribution]] = {}
        for each in grouped[name]:
            for metric, key, value in part_samples(each, settings[name]):
                samples.setdefault(metric, {})[key] = value
        yield from (family(metric, settings[name].kpi, of_metric) for metric, of_metric in samples.items())


def part_samples(each: Published, setting: Setting) -> Iterator[tuple[str, Key, float | Distribution]]:
    """(metric, labels, value) of everything published for it."""
    if isinstance(each, Figure):
        yield from samples_of(each, setting)
    elif isinstance(each, Baseline):
        yield from compared(each, setting)
    else:
        key = ((("window", each.window),) if each.window else ()) + each.segment
        name = f"{setting.kpi.stem}_distribution"
        yield setting.kpi.wholes[name] if each.whole else name, key, each.distribution


def samples_of(figure: Figure, setting: Setting) -> Iterator[tuple[str, Key, float | Distribution]]:
    """(metric, labels, value) of everything published for one figure."""
    kpi, n, d = setting.kpi, figure.numerator, figure.denominator
    window = (("window", figure.window),) if figure.window else ()
    key: Key = (*window, *figure.segment)
    if figure.whole:
        yield from whole(figure, kpi, key)
        return
    if (known := value_of(figure)) is not None:
        yield kpi.metric, key, known
    if kpi.shows_gross and figure.deducted is not None:
        yield f"{kpi.metric}_overhead", key, figure.deducted
        if known is not None:
            yield f"{kpi.metric}_gross", key, n + figure.deducted
    if d is not None:
        yield f"{kpi.stem}_denominator", key, d
        for by, value in figure.by or (((), n),):
            # A numerator that is split keeps its labels even where it is 0, for one metric has one set of labels.
            blank = by or tuple((label, "none") for label in kpi.numerator_labels)
            yield f"{kpi.stem}_numerator", (*key, *blank), value
    if kpi.kind == "ratio" and d:
        lower, upper = wilson(n, d)
        yield f"{kpi.metric}_lower", key, lower
        yield f"{kpi.metric}_upper", key, upper
    if figure.distribution:
        yield f"{kpi.stem}_distribution", key, figure.distribution
    if (middle := figure.median) is not None:
        yield f"{kpi.metric}_median", key, middle
    for severity, value in resolve(setting, figure.segment).items():
        yield f"{kpi.metric}_threshold", (*key, ("severity", severity)), value
    if (goal := target(setting, figure.segment)) is not None:
        yield f"{kpi.metric}_target", key, goal


def whole(figure: Figure, kpi: Kpi, key: Key) -> Iterator[tuple[str, Key, float | Distribution]]:
    """(metric, labels, value) of what is published where every record counts once: only what is added up."""
    parts: dict[str, float | Distribution | None] = {
        kpi.metric if figure.denominator is None else f"{kpi.stem}_numerator": figure.numerator,
        f"{kpi.stem}_denominator": figure.denominator,
        f"{kpi.stem}_distribution": figure.distribution,
    }
    for name, value in parts.items():
        if value is not None and name in kpi.wholes:
            yield kpi.wholes[name], key, value


def compared(baseline: Baseline, setting: Setting) -> Iterator[tuple[str, Key, float]]:
    """(metric, labels, value) of everything published for one baseline."""
    kpi = setting.kpi
    window = (("window", baseline.window),) if baseline.window else ()
    key: Key = (*window, *baseline.segment, ("baseline", baseline.kind))
    if baseline.value is not None:
        yield f"{kpi.metric}_baseline", key, baseline.value
    if baseline.denominator is not None:
        yield f"{kpi.stem}_baseline_denominator", key, baseline.denominator
        if baseline.numerator is not None:
            yield f"{kpi.stem}_baseline_numerator", key, baseline.numerator


def family(metric: str, kpi: Kpi, samples: Mapping[Key, float | Distribution]) -> Family:
    """One metric with its help; label names as they leave the process."""
    suffix = metric.rsplit("_", 1)[1]
    text = SUFFIX_HELP.get(suffix, "{title}: {help}") if metric != kpi.metric else "{title}: {help}"
    if "baseline" in dict(next(iter(samples))):
        text = BASELINE_HELP[suffix]
    if metric in kpi.wholes.values():
        text = SUFFIX_HELP["overall"] if suffix == "overall" else WHOLE_HELP + text
    elif kpi.several and metric in kpi.wholes:
        label = LABEL_NAMES.get(kpi.several, kpi.several)
        text += f" Do not add up over {label}: a record of several counts under each, and once in {kpi.wholes[metric]}."
    if kpi.business and "basis" in dict(next(iter(samples))):
        text += " Label basis: in calendar time or business time; never add them up."
    if suffix == "threshold":
        text = "Configured threshold of {metric}, by the severity of the alert. {title}."
    if suffix == "target":
        text = "Configured target of {metric}: the value to reach. {title}."
    labels = next(iter(samples))
    return Family(
        metric,
        text.format(metric=kpi.metric, help=kpi.help, title=kpi.title),
        "gaugehistogram" if suffix == "distribution" else "gauge",
        tuple(
            label
            if label == "severity" and suffix == "threshold" and i == len(labels) - 1
            else LABEL_NAMES.get(label, label)
            for i, (label, _) in enumerate(labels)
        ),
        tuple(sorted(((tuple(v for _, v in key), value) for key, value in samples.items()), key=lambda item: item[0])),
    )


def info(settings: Sequence[Setting]) -> Family:
    """The info metric of each KPI."""
    rows = (
        (
            *(s.kpi.name, s.kpi.title, s.kpi.unit or unit(s.kpi), s.kpi.better, s.kpi.group or UNSAID),
            *(s.tier or UNSAID, s.indicator or UNSAID),
            *(s.business_owner, s.technical_owner, s.owner, s.escalation, s.cadence),
        )
        for s in settings
    )
    return Family(
        "outcome_kpi_info",
        "Configured KPIs: title, unit, which direction is better, group, tier (headline, driver, control), indicator "
        "(leading, lagging), owners (kpi_owner is the one that alerts name), escalation and review cadence. Always 1.",
        "gauge",
        (
            *("kpi", "title", "unit", "better", "kpi_group", "tier", "indicator"),
            *("business_owner", "technical_owner", "kpi_owner", "escalation", "cadence"),
        ),
        tuple(sorted((row, 1.0) for row in rows)),
    )


def fed(feeds: Mapping[str, Iterable[str]]) -> Family:
    """From which sources each KPI is computed."""
    return Family(
        "outcome_kpi_source_info",
        "The sources from whose records a KPI is computed. Always 1.",
        "gauge",
        ("kpi", "source"),
        tuple(sorted(((kpi, source), 1.0) for kpi, sources in feeds.items() for source in sources)),
    )


def assumed(plan: Plan) -> Family:
    """What figures of money rest on that is configured and not measured."""
    return Family(
        "outcome_assumption_info",
        "What figures of money rest on that is configured, not measured: manual times, rates, claims, prices, and how "
        "shared cost is allocated; with what each is about (all, or a name) and where it comes from (none: not "
        "said). Always 1.",
        "gauge",
        ("assumption", "subject", "value", "origin"),
        # An empty label is no label to Prometheus, and would not be published.
        tuple(((each.name, each.subject or ALL, each.value, each.origin or UNSAID), 1.0) for each in assumptions(plan)),
    )


def interventions(every: Sequence[Intervention]) -> list[Family]:
    """What was changed on which day, as an info metric and as times for annotations."""
    labels = ("intervention", "place", "date", "kind")
    rows = {
        (each.what, each.place, f"{each.at:%Y-%m-%d}", "go_live" if each.go_live else "intervention"): each
        for each in every
    }
    return [
        Family(
            "outcome_intervention_info",
            "Configured interventions and go-lives: what was changed, where, and on which day (UTC). Always 1; when it "
            "was is outcome_intervention_timestamp_seconds.",
            "gauge",
            labels,
            tuple(sorted((row, 1.0) for row in rows)),
        ),
        Family(
            "outcome_intervention_timestamp_seconds",
            "When the day of an intervention or go-live began, in seconds since 1970. For annotations in Grafana: "
            "outcome_intervention_timestamp_seconds * 1000, with the option to use the value as the time.",
            "gauge",
            labels,
            tuple(sorted((row, each.at.timestamp()) for row, each in rows.items())),
        ),
    ]


def unit(kpi: Kpi) -> str:
    """The unit of a KPI that declares none, from the ending of its name."""
    return "seconds" if kpi.name.endswith("_seconds") else "ratio"


def absent(reasons: Mapping[str, str]) -> Family:
    """The KPIs without values, with the reason."""
    return Family(
        "outcome_kpi_absent",
        "1 where a KPI has no values, by reason: no_source, initial_sync, stale_source, no_records, field_missing, "
        "unreadable (too many records of a source could not be read), switched_off (a KPI that it is computed from), "
        "no_team_label (it is computed by team, and team is not a label of its record).",
        "gauge",
        ("kpi", "reason"),
        tuple(sorted(((kpi, reason), 1.0) for kpi, reason in reasons.items())),
    )


def window_absent(waiting: Mapping[str, Iterable[str | None]]) -> Family:
    """Which KPIs have no figures yet in some of their windows, while there are such families."""
    rows = ((kpi, window, "initial_sync") for kpi, windows in waiting.items() for window in windows if window)
    return Family(
        "outcome_kpi_window_absent",
        "1 where a KPI has no value yet in a window, because the first sync has not read so far back (initial_sync).",
        "gauge",
        ("kpi", "window", "reason"),
        tuple(sorted((row, 1.0) for row in rows)),
    )


def baseline_absent(reasons: Iterable[tuple[str, str, str]]) -> Family:
    """The configured baselines that are missing, with the reason."""
    return Family(
        "outcome_baseline_absent",
        "1 where a baseline is missing in all windows or in some, by reason: no_history (records do not reach back "
        "that far), period_not_over, definition_changed (and its records are gone), no_records, no_match (no segment "
        "has both sides), failed (see the log), or a reason of outcome_kpi_absent.",
        "gauge",
        ("kpi", "baseline", "reason"),
        tuple(sorted((reason, 1.0) for reason in reasons)),
    )
