"""Adds up figures of several segments. Numerators and denominators are added, so ratios and means stay right."""

from collections.abc import Iterable, Mapping

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.plan import Setting
from exporter.evaluation.stats import Distribution


def merge(figures: Iterable[Figure], settings: Mapping[str, Setting]) -> list[Figure]:
    """Adds up the figures that have the same KPI, window and segment."""
    merged: dict[tuple[str, str | None, Key], Figure] = {}
    for figure in figures:
        key = figure.kpi, figure.window, figure.segment
        merged[key] = add(merged[key], figure, settings[figure.kpi].kpi) if key in merged else figure
    return list(merged.values())


def add(a: Figure, b: Figure, kpi: Kpi) -> Figure:
    """The sum of two figures of one KPI."""
    by: dict[Key, float] = {}
    for key, value in (*a.by, *b.by):
        by[key] = by.get(key, 0.0) + value
    spread = None
    if a.distribution and b.distribution:
        buckets = tuple(
            (le, m + n) for (le, m), (_, n) in zip(a.distribution.buckets, b.distribution.buckets, strict=True)
        )
        spread = Distribution(
            buckets, a.distribution.count + b.distribution.count, a.distribution.sum + b.distribution.sum
        )
    return Figure(
        a.kpi,
        a.window,
        a.segment,
        max(a.numerator, b.numerator) if kpi.aggregate == "max" else a.numerator + b.numerator,
        None if a.denominator is None or b.denominator is None else a.denominator + b.denominator,
        spread,
        tuple(sorted(by.items())),
        a.partial and b.partial,
        a.values + b.values,
        a.whole and b.whole,
        None if a.deducted is None or b.deducted is None else a.deducted + b.deducted,
    )


def value_of(figure: Figure) -> float | None:
    """The value of a figure; None if there is nothing to divide by, or what it is made of is not known."""
    if figure.partial:
        return None
    if figure.denominator is None:
        return figure.numerator
    return figure.numerator / figure.denominator if figure.denominator > 0 else None
