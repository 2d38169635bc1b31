"""Adds up figures of several segments. Numerators and denominators are added, so ratios and means stay right."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.plan import Setting
from exporter.evaluation.stats import Distribution


def merge(figures: Iterable[Figure], settings: Mapping[str, Setting]) -> list[Figure]:
    """Adds up the figures that have the same KPI, window and segment."""
    return merge_into(((figure, figure.segment) for figure in figures), settings)


def merge_into(placed: Iterable[tuple[Figure, Key]], settings: Mapping[str, Setting]) -> list[Figure]:
    """Adds up figures in other segments than their own: those with the same KPI, window and new segment."""
    together: dict[tuple[str, str | None, Key], list[Figure]] = {}
    for figure, segment in placed:
        together.setdefault((figure.kpi, figure.window, segment), []).append(figure)
    return [
        some[0] if len(some) == 1 and some[0].segment == segment else add(some, settings[kpi].kpi, segment)
        for (kpi, _, segment), some in together.items()
    ]


def add(figures: Sequence[Figure], kpi: Kpi, segment: Key) -> Figure:
    """The sum of figures of one KPI, in a segment; each number is added up in their order."""
    first = figures[0]
    by = first.by
    if len(figures) > 1:
        sums: dict[Key, float] = {}
        for figure in figures:
            for key, value in figure.by:
                sums[key] = sums.get(key, 0.0) + value
        by = tuple(sorted(sums.items()))
    return Figure(
        first.kpi,
        first.window,
        segment,
        max([f.numerator for f in figures]) if kpi.aggregate == "max" else total([f.numerator for f in figures]),
        known([f.denominator for f in figures]),
        spread([f.distribution for f in figures]),
        by,
        all(f.partial for f in figures),
        tuple([run for f in figures for run in f.values]),
        all(f.whole for f in figures),
        known([f.deducted for f in figures]),
    )


def total(values: Sequence[float]) -> float:
    """The sum, from the first to the last: newer versions of sum() round otherwise."""
    return reduce(operator.add, values)


def known(values: Sequence[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    numbers = [value for value in values if value is not None]
    return total(numbers) if len(numbers) == len(values) else None


def spread(spreads: Sequence[Distribution | None]) -> Distribution | None:
    """The sum of distributions; None if one of them is missing."""
    every = [each for each in spreads if each]
    if len(every) < len(spreads) or len(every) == 1:
        return every[0] if len(every) == len(spreads) else None
    counts = map(sum, zip(*([count for _, count in each.buckets] for each in every), strict=True))
    bounds = [bound for bound, _ in every[0].buckets]
    return Distribution(
        tuple(zip(bounds, counts, strict=True)), sum(each.count for each in every), total([each.sum for each in every])
    )


def value_of(figure: Figure) -> float | None:
    """The value of a figure; None if there is nothing to divide by, or what it is made of is not known."""
    if figure.partial:
        return None
    if figure.denominator is None:
        return figure.numerator
    return figure.numerator / figure.denominator if figure.denominator > 0 else None
