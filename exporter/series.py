"""Figures -> metric families: names, labels, bounds, thresholds; what is too much is folded into `other`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.figure import Evaluation, Figure, Key
from exporter.kpi import Kpi, Threshold
from exporter.plan import Plan, Setting
from exporter.stats import Distribution, Family, Snapshot, wilson

OTHER = "other"

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
    budget = limits.series_per_metric
    while True:
        figures, folded = fold(evaluation.figures, settings, plan, budget, limits.values_per_label)
        families = [*kpi_families(figures, settings), info(plan.settings), absent(evaluation.absent)]
        count = sum(size(family) for family in families)
        if count <= limits.series or budget <= len(plan.windows):
            return Series(Snapshot(evaluation.at, tuple(families)), folded, count)
        budget //= 2


def size(family: Family) -> int:
    """How many series a family is to Prometheus."""
    return sum(len(value.buckets) if isinstance(value, Distribution) else 1 for _, value in family.samples)


def fold(
    figures: Sequence[Figure], settings: Mapping[str, Setting], plan: Plan, budget: int, most: int
) -> tuple[list[Figure], dict[tuple[str, str], int]]:
    """The figures with the smaller values of crowded labels merged into `other`, alike for all KPIs of one record."""
    result: list[Figure] = []
    folded: dict[tuple[str, str], int] = {}
    records = {name: setting.kpi.record for name, setting in settings.items()}
    for record in sorted(set(records.values())):
        mine = [f for f in figures if records[f.kpi] == record]
        kept = crowd(mine, len(plan.windows), budget, most)
        for figure in mine:
            for label, value in figure.segment:
                if label != "basis" and value not in kept[label] and value != OTHER:
                    folded[figure.kpi, label] = 0
        for kpi, label in folded:
            if records[kpi] == record:
                values = {v for f in mine if f.kpi == kpi for name, v in f.segment if name == label}
                folded[kpi, label] = len(values - kept[label] - {OTHER})
        result += merge((replace(f, segment=renamed(f.segment, kept)) for f in mine), settings)
    return result, folded


def crowd(figures: Sequence[Figure], windows: int, budget: int, most: int) -> dict[str, set[str]]:
    """Label -> the values that keep their name: the largest ones, as many as fit."""
    volume: dict[str, Counter[str]] = {}
    for figure in figures:
        for label, value in figure.segment:
            if label == "basis":  # what a length is measured in is no segment: mixed up, it would mean nothing
                continue
            volume.setdefault(label, Counter())[value] += int(figure.denominator or figure.numerator) + 1
    ranked = {
        label: [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        for label, counts in volume.items()
    }
    kept = {label: set(values[:most]) for label, values in ranked.items()}
    segments = {(f.kpi, f.segment) for f in figures}
    while kept:
        sizes = Counter(kpi for kpi, _ in {(kpi, renamed(segment, kept)) for kpi, segment in segments})
        if max(sizes.values(), default=0) * windows <= budget:
            break
        widest = max(kept, key=lambda label: (len(kept[label]), label))
        if len(kept[widest]) <= 1:
            break
        kept[widest] = set(ranked[widest][: len(kept[widest]) * 3 // 4])
    return kept


def renamed(segment: Key, kept: Mapping[str, set[str]]) -> Key:
    """A segment with values that are not kept called `other`."""
    return tuple((label, value if label == "basis" or value in kept[label] else OTHER) for label, value in segment)


def merge(figures: Iterable[Figure], settings: Mapping[str, Setting]) -> list[Figure]:
    """Figures of the same KPI, window and segment made one."""
    merged: dict[tuple[str, str | None, Key], Figure] = {}
    for figure in figures:
        key = figure.kpi, figure.window, figure.segment
        merged[key] = add(merged[key], figure, settings[figure.kpi].kpi) if key in merged else figure
    return list(merged.values())


def add(a: Figure, b: Figure, kpi: Kpi) -> Figure:
    """Two figures of one KPI as the figure of both together."""
    by: Counter[Key] = Counter()
    for key, value in (*a.by, *b.by):
        by[key] += value  # type: ignore[assignment]  # counts travel as floats here
    spread = None
    if a.distribution and b.distribution:
        buckets = tuple(
            (le, m + n) for (le, m), (_, n) in zip(a.distribution.buckets, b.distribution.buckets, strict=True)
        )
        spread = Distribution(
            buckets, a.distribution.count + b.distribution.count, a.distribution.sum + b.distribution.sum
        )
    return replace(
        a,
        numerator=max(a.numerator, b.numerator) if kpi.aggregate == "max" else a.numerator + b.numerator,
        denominator=None if a.denominator is None or b.denominator is None else a.denominator + b.denominator,
        distribution=spread,
        by=tuple(sorted(by.items())),
    )


def kpi_families(figures: Sequence[Figure], settings: Mapping[str, Setting]) -> Iterator[Family]:
    """The families of every KPI that has figures."""
    grouped: dict[str, list[Figure]] = {}
    for figure in figures:
        grouped.setdefault(figure.kpi, []).append(figure)
    for name in sorted(grouped):
        samples: dict[str, dict[Key, float | Distribution]] = {}
        for figure in grouped[name]:
            for metric, key, value in samples_of(figure, settings[name]):
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
        if d > 0 and (kpi.kind != "derived" or n):
            yield kpi.metric, key, n / d
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
