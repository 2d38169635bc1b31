"""Figures -> metric families: names, labels, bounds, thresholds; what is too much is folded into `other`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter import trust
from exporter.baseline import Baseline, compare, unmatched
from exporter.figure import Evaluation, Figure, Key
from exporter.fold import Crowd, by_record, folded_alike
from exporter.kpi import Kpi, Threshold
from exporter.merge import value_of
from exporter.plan import Plan, Setting
from exporter.stats import Distribution, Family, Snapshot, wilson

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

    def width(figure: Figure) -> int:
        # Baselines have their room whether they are there or not: history, which has none, is folded alike.
        return published(figure, settings[figure.kpi]) + room(figure, settings[figure.kpi], plan)

    crowds = {
        record: Crowd(mine, settings, plan, limits.values_per_label, width)
        for record, mine in by_record(evaluation.figures, settings).items()
    }
    budget, most = limits.series_per_metric, limits.series - sum(map(size, told))
    while True:
        for crowd in crowds.values():
            crowd.fit(budget)
        if sum(crowd.count for crowd in crowds.values()) <= most or budget <= len(plan.windows):
            break
        budget //= 2
    names = {record: crowd.names for record, crowd in crowds.items()}
    folded = {key: count for crowd in crowds.values() for key, count in crowd.folded.items()}
    figures = [figure for crowd in crowds.values() for figure in crowd.figures]
    baselines = compare(figures, folded_alike(evaluation.baselines, settings, names), settings)
    families = [*kpi_families(figures, settings, baselines), *told]
    families.append(baseline_absent(unmatched(evaluation, baselines, plan.settings)))
    return Series(Snapshot(evaluation.at, tuple(families)), folded, sum(map(size, families)))


def published(figure: Figure, setting: Setting) -> int:
    """How many series samples_of() makes of a figure."""
    count = len(resolve(setting, figure.segment))
    if figure.denominator is None:
        return count + 1
    count += (value_of(figure) is not None) + 1 + (len(figure.by) or 1)
    count += 2 if setting.kpi.kind == "ratio" and figure.denominator else 0
    return count + (len(figure.distribution.buckets) if figure.distribution else 0)


def room(figure: Figure, setting: Setting, plan: Plan) -> int:
    """How many series its baselines may have: the value, and the parts where there are any."""
    weekday = setting.baselines.weekday_median and figure.window not in (None, plan.windows[0][0])
    return (len(setting.baselines.kinds) - weekday) * (1 if figure.denominator is None else 3)


def size(family: Family) -> int:
    """How many series a family is to Prometheus."""
    return sum(len(value.buckets) if isinstance(value, Distribution) else 1 for _, value in family.samples)


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
        if (quotient := value_of(figure)) is not None:
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
    labels = dict(segment)
    if not setting.limited or labels.get("basis", setting.basis) != setting.basis:
        return {}
    matching = [(match, t) for match, t in setting.thresholds_by if match.items() <= labels.items()]
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
        "switched_off (a KPI it is made of), no_team_label (it is by team, and team is no label of its record).",
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
