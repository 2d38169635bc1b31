"""Figures beyond a threshold, judged as alerts do: by the end of the interval, not by the value alone."""

from collections.abc import Mapping

from exporter.catalogue.kpi import Kpi, Threshold, parts
from exporter.evaluation.add import value_of
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.plan import Setting
from exporter.evaluation.stats import wilson

MIN_RECORDS = 5
"""A mean over fewer records than this is no reason to alert: it has no interval that would say how sure it is."""

Breach = tuple[int, float]
"""(how many thresholds a figure is surely beyond, how far it is beyond the first of them, as a share of that)."""
NONE: Breach = (0, 0.0)


def resolve(setting: Setting, segment: Key) -> dict[str, float]:
    """Severity -> threshold of a segment: of those that match and set it, or switch it off, the one that names most
    labels; at a tie the later one.
    """
    labels = dict(segment)
    if not setting.has_threshold or labels.get("basis", setting.basis) != setting.basis:
        return {}
    matching = [(match, t) for match, t in setting.thresholds_by if match.items() <= labels.items()]
    levels = levels_of(setting.threshold)
    for _, layer in sorted(matching, key=lambda pair: len(pair[0])):
        written = layer.model_fields_set
        levels |= {severity: value for severity, value in levels_of(layer).items() if severity in written}
    return {severity: value for severity, value in levels.items() if value is not None}


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
