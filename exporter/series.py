"""Figures -> metric families: names, labels, bounds, thresholds; what is too much is folded into `other`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter import trust
from exporter.baseline import Baseline, compare, unmatched
from exporter.figure import Evaluation, Figure, Key, Past
from exporter.kpi import Kpi, Threshold
from exporter.merge import merge, value_of
from exporter.plan import Plan, Setting
from exporter.stats import Distribution, Family, Snapshot, wilson

OTHER = "other"
Names = Mapping[str, set[str]]
"""Crowded label -> the values that keep their name."""

LABEL_NAMES: Mapping[str, str] = {
    "service": "app_service",
    "environment": "deploy_env",
    "region": "biz_region",
    "owner": "workflow_owner",
    "severity": "incident_severity",
}
"""Columns that would collide with labels that Prometheus, its operator or an alert sets."""

SUFFIX_HELP: Mapping[str, str] = {
    "numerator": "Upper part of {metric}. {help}",
    "denominator": "Lower part of {metric}, the number it is taken over. {help}",
    "lower": "Lower end of the 95 % Wilson interval of {metric}. {help}",
    "upper": "Upper end of the 95 % Wilson interval of {metric}. {help}",
    "distribution": "How the values behind {metric} spread. {help}",
}


BASELINE_HELP: Mapping[str, str] = {
    "baseline": (
        "What {metric} is compared with, in segments that have both. previous: one window earlier. weekday_median: the "
        "same day of the last four weeks. control: cohort control, now. fixed: a period of days, counts and sums "
        "scaled to the window. Totals: sum(N and ignoring (baseline) N_baseline), likewise D, against N_baseline. "
        "{title}."
    ),
    "numerator": "Upper part of {metric}_baseline; what it is compared with has it too: add only those. {title}.",
    "denominator": (
        "Lower part of {metric}_baseline, the number it is taken over (of weekday_median, in all its days). {title}."
    ),
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many series there may be; past that, segments are folded into `other`."""

    series_per_metric: int = 1000
    series: int = 20_000
    values_per_label: int = 50


@dataclass(frozen=True, slots=True)
class Series:
    """A snapshot beside what it left out: (kpi, label) -> values folded into `other`."""

    snapshot: Snapshot
    folded: Mapping[tuple[str, str], int]
    count: int


def series(evaluation: Evaluation, plan: Plan, limits: Limits) -> Series:
    """Every family of one evaluation, within the limits: sums over segments stay what they were."""
    settings = {setting.kpi.name: setting for setting in plan.settings}
    windows = [name for name, _ in plan.windows]
    trusted = trust.families(windows, evaluation.coverage, evaluation.unattributed)
    told = [info(plan.settings), absent(evaluation.absent), *trusted]
    budget = limits.series_per_metric
    figures: Sequence[Figure] = evaluation.figures
    while True:
        # A smaller budget keeps some of the names that a larger one kept: what is merged already stays so.
        folded, names = names_kept(evaluation.figures, settings, plan, budget, limits.values_per_label)
        figures = merged_alike(figures, settings, names)
        families = [*kpi_families(figures, settings)]
        # Baselines have their room whether they are there or not: history, which has none, is folded alike.
        count = sum(map(size, (*told, *families))) + sum(room(figure, settings[figure.kpi], plan) for figure in figures)
        if count <= limits.series or budget <= len(plan.windows):
            break
        budget //= 2
    baselines = compare(figures, folded_alike(evaluation.baselines, settings, names), settings)
    if baselines:
        families = [*kpi_families(figures, settings, baselines)]
    families += [*told, baseline_absent(unmatched(evaluation, baselines, plan.settings))]
    return Series(Snapshot(evaluation.at, tuple(families)), folded, sum(map(size, families)))


def room(figure: Figure, setting: Setting, plan: Plan) -> int:
    """How many series its baselines may have: the value, and the parts where there are any."""
    weekday = setting.baselines.weekday_median and figure.window not in (None, plan.windows[0][0])
    return (len(setting.baselines.kinds) - weekday) * (1 if figure.denominator is None else 3)


def size(family: Family) -> int:
    """How many series a family is to Prometheus."""
    return sum(len(value.buckets) if isinstance(value, Distribution) else 1 for _, value in family.samples)


def names_kept(
    figures: Sequence[Figure], settings: Mapping[str, Setting], plan: Plan, budget: int, most: int
) -> tuple[dict[tuple[str, str], int], dict[str, Names]]:
    """How many values of (KPI, label) are folded into `other`; and for each record, which keep their names.

    The smaller values of crowded labels are folded, alike for all KPIs of one record.
    """
    folded: dict[tuple[str, str], int] = {}
    names: dict[str, Names] = {}
    breadth = {name: breadth_of(setting, plan) for name, setting in settings.items()}
    for record, mine in by_record(figures, settings).items():
        kept = crowd(mine, breadth, budget, most)
        values: dict[tuple[str, str], set[str]] = {}
        for kpi, segment in dict.fromkeys((f.kpi, f.segment) for f in mine):
            for label, value in segment:
                if label != "basis":
                    values.setdefault((kpi, label), set()).add(value)
        left_out = {key: len(told - kept[key[1]] - {OTHER}) for key, told in values.items()}
        folded |= {key: count for key, count in left_out.items() if count}
        names[record] = {label: kept[label] for (_, label), count in left_out.items() if count}
    return folded, names


def merged_alike(
    figures: Sequence[Figure], settings: Mapping[str, Setting], names: Mapping[str, Names]
) -> list[Figure]:
    """The figures with what is not kept by name merged into `other`."""
    of_records = by_record(figures, settings).items()
    return [f for record, mine in of_records for f in merge(with_names(mine, names[record]), settings)]


def by_record(figures: Iterable[Figure], settings: Mapping[str, Setting]) -> dict[str, list[Figure]]:
    """Figures by the record whose labels they have, in the order of records."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(settings[figure.kpi].kpi.record, []).append(figure)
    return dict(sorted(found.items()))


def folded_alike(past: Past, settings: Mapping[str, Setting], names: Mapping[str, Names]) -> Past:
    """The figures of another time in the segments of now: `other` is whatever has no name of its own, then as now."""

    def alike(day: Sequence[Figure]) -> tuple[Figure, ...]:
        mine = ((f, names.get(settings[f.kpi].kpi.record, {})) for f in day if f.kpi in settings)
        return tuple(merge((renamed_figure(f, renamed(f.segment, kept)) for f, kept in mine), settings))

    return replace(past, days={kind: tuple(map(alike, days)) for kind, days in past.days.items()})


def breadth_of(setting: Setting, plan: Plan) -> int:
    """How many series of one metric a segment has: one for each window, or for each window and baseline."""
    weekday = int(setting.baselines.weekday_median)
    return max(len(plan.windows), (len(setting.baselines.kinds) - weekday) * len(plan.windows) + weekday)


def crowd(figures: Sequence[Figure], breadth: Mapping[str, int], budget: int, most: int) -> dict[str, set[str]]:
    """Label -> the values that keep their name: the largest ones, as many as fit.

    `breadth`: KPI -> how many series of one metric a segment has.
    """
    volume: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for figure in figures:
        for label, value in figure.segment:
            if label == "basis":  # what a length is measured in is no segment: mixed up, it would mean nothing
                continue
            volume[label][value] += int(figure.denominator or figure.numerator) + 1
    ranked = {
        label: [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        for label, counts in volume.items()
    }
    kept = {label: set(values[:most]) for label, values in ranked.items()}
    segments = segment_sets(figures, breadth)
    while kept:
        # Renaming merges segments, so what fits with all its names need not be looked at.
        segments = {told: wide for told, wide in segments.items() if len(told) * wide > budget}
        if all(len({renamed(segment, kept) for segment in told}) * wide <= budget for told, wide in segments.items()):
            break
        widest = max(kept, key=lambda label: (len(kept[label]), label))
        if len(kept[widest]) <= 1:
            break
        kept[widest] = set(ranked[widest][: len(kept[widest]) * 3 // 4])
    return kept


def segment_sets(figures: Sequence[Figure], breadth: Mapping[str, int]) -> dict[frozenset[Key], int]:
    """The sets of segments that KPIs have, as many KPIs have the same, each with the breadth of its broadest KPI."""
    of_kpi: dict[str, set[Key]] = {}
    for figure in figures:
        of_kpi.setdefault(figure.kpi, set()).add(figure.segment)
    found: dict[frozenset[Key], int] = {}
    for kpi, told in of_kpi.items():
        same = frozenset(told)
        found[same] = max(found.get(same, 0), breadth[kpi])
    return found


def with_names(figures: Sequence[Figure], kept: Names) -> Iterator[Figure]:
    """The figures in segments where only some values keep their names."""
    if not kept:
        yield from figures
        return
    segments = {segment: renamed(segment, kept) for segment in {f.segment for f in figures}}
    yield from (renamed_figure(f, segments[f.segment]) for f in figures)


def renamed_figure(figure: Figure, segment: Key) -> Figure:
    """A figure in another segment."""
    return figure if figure.segment == segment else replace(figure, segment=segment)


def renamed(segment: Key, kept: Names) -> Key:
    """A segment with values that are not kept called `other`; a label that is not crowded keeps all of its."""
    return tuple(
        (label, value if label == "basis" or value in kept.get(label, {value}) else OTHER) for label, value in segment
    )


def kpi_families(
    figures: Sequence[Figure], settings: Mapping[str, Setting], baselines: Sequence[Baseline] = ()
) -> Iterator[Family]:
    """The families of every KPI that has figures."""
    grouped: dict[str, list[Figure | Baseline]] = {}
    everything: tuple[Figure | Baseline, ...] = (*figures, *baselines)
    for each in everything:
        grouped.setdefault(each.kpi, []).append(each)
    for name in sorted(grouped):
        samples: dict[str, dict[Key, float | Distribution]] = {}
        for each in grouped[name]:
            setting = settings[name]
            told = samples_of(each, setting) if isinstance(each, Figure) else compared(each, setting)
            for metric, key, value in told:
                samples.setdefault(metric, {})[key] = value
        yield from (family(metric, settings[name].kpi, found) for metric, found in samples.items())


def samples_of(figure: Figure, setting: Setting) -> Iterator[tuple[str, Key, float | Distribution]]:
    """(metric, labels, value) of everything published for one figure."""
    kpi, n, d = setting.kpi, figure.numerator, figure.denominator
    window = (("window", figure.window),) if figure.window else ()
    key: Key = (*window, *figure.segment)
    if d is None:
        yield kpi.metric, key, n
    else:
        if (quotient := value_of(figure, kpi)) is not None:
            yield kpi.metric, key, quotient
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
    for severity, value in resolve(setting, figure.segment).items():
        yield f"{kpi.metric}_threshold", (*key, ("severity", severity)), value


def compared(made: Baseline, setting: Setting) -> Iterator[tuple[str, Key, float]]:
    """(metric, labels, value) of everything published for one baseline."""
    kpi = setting.kpi
    window = (("window", made.window),) if made.window else ()
    key: Key = (*window, *made.segment, ("baseline", made.kind))
    if made.value is not None:
        yield f"{kpi.metric}_baseline", key, made.value
    if made.denominator is not None:
        yield f"{kpi.stem}_baseline_denominator", key, made.denominator
        if made.numerator is not None:
            yield f"{kpi.stem}_baseline_numerator", key, made.numerator


def resolve(setting: Setting, segment: Key) -> dict[str, float]:
    """Severity -> threshold of a segment: of those that match, the one naming most labels; at a tie the later one."""
    if dict(segment).get("basis", setting.basis) != setting.basis:
        return {}
    matching = [(match, t) for match, t in setting.thresholds_by if match.items() <= dict(segment).items()]
    layers = [setting.threshold, *(t for _, t in sorted(matching, key=lambda pair: len(pair[0])))]
    found: dict[str, float] = {}
    for layer in layers:
        found |= {severity: value for severity, value in told(layer).items() if value is not None}
    return found


def told(threshold: Threshold) -> dict[str, float | None]:
    """Severity -> value."""
    return {"warning": threshold.warning, "critical": threshold.critical}


def family(metric: str, kpi: Kpi, found: Mapping[Key, float | Distribution]) -> Family:
    """One metric with its help; label names as they leave the process."""
    suffix = metric.rsplit("_", 1)[1]
    text = SUFFIX_HELP.get(suffix, "{title}: {help}") if metric != kpi.metric else "{title}: {help}"
    if "baseline" in dict(next(iter(found))):
        text = BASELINE_HELP[suffix]
    if suffix == "threshold":
        text = "Configured threshold of {metric}, by severity of the alert. {title}."
    labels = next(iter(found))
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
        tuple(sorted(((tuple(v for _, v in key), value) for key, value in found.items()), key=lambda item: item[0])),
    )


def info(settings: Sequence[Setting]) -> Family:
    """What is known of each KPI beside its figures."""
    rows = ((s.kpi.name, s.kpi.unit or unit(s.kpi), s.kpi.better, s.owner, s.escalation, s.cadence) for s in settings)
    return Family(
        "outcome_kpi_info",
        "The KPIs that are configured: unit, which way is better, owner, where to escalate, how often to look at it.",
        "gauge",
        ("kpi", "unit", "better", "kpi_owner", "escalation", "cadence"),
        tuple(sorted((row, 1.0) for row in rows)),
    )


def unit(kpi: Kpi) -> str:
    """The unit of a KPI that names none: its ending says it."""
    return "seconds" if kpi.name.endswith("_seconds") else "ratio"


def absent(reasons: Mapping[str, str]) -> Family:
    """Which KPIs have no figures, and why."""
    return Family(
        "outcome_kpi_absent",
        "1 where a KPI has no figures: no_source, initial_sync, stale_source, no_records, field_missing, "
        "switched_off (a KPI it is made of).",
        "gauge",
        ("kpi", "reason"),
        tuple(sorted(((kpi, reason), 1.0) for kpi, reason in reasons.items())),
    )


def baseline_absent(reasons: Iterable[tuple[str, str, str]]) -> Family:
    """Which baselines that are asked for are missing, and why."""
    return Family(
        "outcome_baseline_absent",
        "1 where a baseline is missing, in all windows or in some: no_history (records do not reach back that far), "
        "period_not_over, definition_changed (and its records are gone), no_records, no_match (only other segments "
        "have it), failed (see the log), or what outcome_kpi_absent says of the KPI.",
        "gauge",
        ("kpi", "baseline", "reason"),
        tuple(sorted((reason, 1.0) for reason in reasons)),
    )
