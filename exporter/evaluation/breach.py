"""Figures beyond a threshold, judged as alerts do: by the end of the interval, not by the value alone."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from exporter.catalogue.kpi import Kpi, Threshold, parts
from exporter.evaluation.add import value_of
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.plan import Setting
from exporter.evaluation.stats import wilson

T = TypeVar("T")
MIN_RECORDS = 5
"""A mean over fewer records than this is no reason to alert: it has no interval that would say how sure it is."""

Breach = tuple[int, float]
"""(how many thresholds a figure is surely beyond, how far it is beyond the first of them, as a share of that)."""
NONE: Breach = (0, 0.0)


def resolve(setting: Setting, segment: Key) -> dict[str, float]:
    """Severity -> threshold of a segment: of those that match and set it, or switch it off, the one that names most
    labels; at a tie the later one.
    """
    if not setting.has_threshold or not judged(setting, segment):
        return {}
    levels = levels_of(setting.threshold)
    for layer in matching(setting.thresholds_by, segment):
        written = layer.model_fields_set
        levels |= {severity: value for severity, value in levels_of(layer).items() if severity in written}
    return {severity: value for severity, value in levels.items() if value is not None}


def target(setting: Setting, segment: Key) -> float | None:
    """The target of a segment, found as its thresholds are; None if it has none."""
    if not setting.has_target or not judged(setting, segment):
        return None
    return [setting.target, *matching(setting.targets_by, segment)][-1]


def judged(setting: Setting, segment: Key) -> bool:
    """Whether a segment has thresholds and a target: of a duration, the one on the basis that they are for."""
    return dict(segment).get("basis", setting.basis) == setting.basis


def matching(layers: Iterable[tuple[Mapping[str, str], T]], segment: Key) -> list[T]:
    """What is set for segments that this one is among: that for the most labels last, at a tie the later one."""
    labels = dict(segment).items()
    return [layer for match, layer in sorted(layers, key=lambda pair: len(pair[0])) if match.items() <= labels]


def levels_of(threshold: Threshold) -> dict[str, float | None]:
    """Severity -> value; None: not set."""
    return {"warning": threshold.warning, "critical": threshold.critical}


def least(kpi: Kpi, kpis: Mapping[str, Kpi]) -> float | None:
    """The smallest denominator of a mean or quotient that is judged; None if it does not count records."""
    if kpi.kind in ("mean", "duration"):
        return MIN_RECORDS if not kpi.weight else None
    below = parts(kpi).get("denominator")
    if not below:
        return None
    part, which = kpis[below.kpi], below.part
    if which == "denominator":
        counts = part.kind in ("ratio", "mean", "duration") and not part.weight
    else:
        counts = part.kind == ("ratio" if which else "count") and not part.weight and not part.per
    return MIN_RECORDS / float(kpi.per or 1) if counts else None


def breach(figure: Figure, setting: Setting, enough: float | None) -> Breach:
    """Compares a figure with the thresholds of its segment. `enough`: what least() returns for its KPI."""
    levels, value, n = resolve(setting, figure.segment), value_of(figure), figure.denominator
    if not levels or value is None or (enough is not None and (n or 0.0) < enough):
        return NONE
    sign = 1.0 if setting.kpi.better == "lower" else -1.0
    sure = value
    if setting.kpi.kind == "ratio" and n:
        lower, upper = wilson(figure.numerator, n)
        sure = lower if sign > 0 else upper
    beyond = [sign * (value - level) / (abs(level) or 1.0) for level in levels.values() if sign * (sure - level) > 0]
    return (len(beyond), max(beyond)) if beyond else NONE
