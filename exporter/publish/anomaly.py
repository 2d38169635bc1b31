"""Families of days beside their usual weekday: a score across all KPIs, and of each KPI the day and its usual range."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.figure import Key, Past, Weekdays
from exporter.evaluation.plan import NOBODY, Setting
from exporter.evaluation.stats import Family
from exporter.insight.anomaly import Anomaly, judged
from exporter.publish.cardinality import Names, folded_alike

TEAM = "team"
NO_SPLIT = "none"
PARTS: Mapping[str, str] = {
    "day": "Value of {metric} over the last whole day (UTC), of the team as a whole; compare it with "
    "{metric}_usual_lower and {metric}_usual_upper. {title}.",
    "usual_lower": "Lower end of what is usual for {metric}_day: the range around the median of the same weekday of "
    "the last eight weeks. {title}.",
    "usual_upper": "Upper end of what is usual for {metric}_day: the range around the median of the same weekday of "
    "the last eight weeks. {title}.",
}


def families(weekdays: Weekdays, settings: Mapping[str, Setting], names: Mapping[str, Names]) -> list[Family]:
    """Everything published about them. `names`: the values of crowded labels that keep their names."""
    every = judged(alike(weekdays, settings, names), settings)
    by_kpi: dict[str, list[Anomaly]] = {}
    for each in every:
        by_kpi.setdefault(each.kpi, []).append(each)
    parts = [family for name, mine in by_kpi.items() for family in of_kpi(settings[name].kpi, mine)]
    return [score(every), *parts] if every else []


def alike(weekdays: Weekdays, settings: Mapping[str, Setting], names: Mapping[str, Names]) -> Weekdays:
    """The same with teams combined in `other` as they are in the values."""
    past = folded_alike(Past({"": (weekdays.last, *weekdays.earlier)}), settings, names)
    last, *earlier = past.days[""]
    return replace(weekdays, last=last, earlier=tuple(earlier))


def score(every: Sequence[Anomaly]) -> Family:
    """How far each day is from its usual weekday."""
    return Family(
        "outcome_anomaly_score",
        "How far a KPI was, over the last whole day (UTC), from the median of the same weekday of the last eight "
        "weeks: 0 is usual, beyond 1 or -1 is outside the usual range, negative below it. For headlines, drivers and "
        "KPIs with the baseline weekday_median; nothing where fewer than five of the weekdays have a value, or the day "
        "has fewer than 20 records. split: currency or other label that makes no sum.",
        "gauge",
        ("kpi", "team", "split"),
        tuple(sorted(((each.kpi, *place(each.segment)), each.score) for each in every)),
    )


def of_kpi(kpi: Kpi, mine: Sequence[Anomaly]) -> Iterator[Family]:
    """The day of a KPI and its usual range, by team."""
    for part, text in PARTS.items():
        yield Family(
            f"{kpi.metric}_{part}",
            text.format(metric=kpi.metric, title=kpi.title),
            "gauge",
            ("team", "split"),
            tuple(sorted((place(each.segment), value(each, part)) for each in mine)),
        )


def place(segment: Key) -> tuple[str, str]:
    """The team of a segment, and the values of its other labels in one, for a metric has one set of labels."""
    others = ", ".join(text for label, text in segment if label not in (TEAM, "basis"))
    return dict(segment).get(TEAM, NOBODY), others or NO_SPLIT


def value(of: Anomaly, part: str) -> float:
    """What is published of it under a part's name."""
    return {"day": of.value, "usual_lower": of.lower, "usual_upper": of.upper}[part]
