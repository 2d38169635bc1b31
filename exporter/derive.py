"""KPIs made of other KPIs: one part over another, or less another, in the segments they share."""

from collections.abc import Iterator, Sequence

from exporter.figure import Figure, Key
from exporter.kpi import Kpi

Parts = dict[tuple[str | None, Key], float]
"""(window, segment) -> amount."""

CALENDAR, BUSINESS = ("basis", "calendar"), ("basis", "business")


def derive(kpi: Kpi, figures: Sequence[Figure]) -> Iterator[Figure]:
    """The figures of a derived KPI, by the labels its parts share and those only the numerator has, unless dropped.

    Where a segment has one part only, the other is 0: there is no quotient then, but sums over segments lose nothing.
    """
    over = figure_part(figures, kpi.numerator or "")
    if not over:
        return
    if kpi.minus:
        over = less(over, figure_part(figures, kpi.minus), {*kpi.drop})
    if not kpi.denominator:
        for (window, key), value in sorted(summed(over, labels_in(over) - {*kpi.drop}).items(), key=str):
            yield Figure(kpi.name, window, key, value)
        return
    under = in_windows(figure_part(figures, kpi.denominator), {window for window, _ in over})
    common = labels_in(over) & labels_in(under)
    extra = labels_in(over) - common - {*kpi.drop}
    above, below = summed(over, common | extra), summed(under, common)
    each = float(kpi.per or 1)
    extras = {(window, narrowed(key, extra)) for window, key in above}
    keys = {*above, *((w, tuple(sorted((*key, *more)))) for w, key in below for window, more in extras if window == w)}
    for window, key in sorted(keys, key=str):
        if kpi.matched and not below.get((window, narrowed(key, common))):
            continue
        yield Figure(
            kpi.name, window, key, above.get((window, key), 0.0), below.get((window, narrowed(key, common)), 0.0) / each
        )


def less(parts: Parts, taken: Parts, drop: set[str]) -> Parts:
    """Amounts less others, by the labels both have; what only one side has counts with its sign."""
    shared = (labels_in(parts) & labels_in(taken)) - drop
    found = summed(parts, shared)
    for key, value in summed(taken, shared).items():
        found[key] = found.get(key, 0.0) - value
    return found


def in_windows(parts: Parts, windows: set[str | None]) -> Parts:
    """Amounts of now, such as a head count, as amounts of each window."""
    if windows == {None}:
        return parts
    return {
        (w, key): value for (window, key), value in parts.items() for w in (windows if window is None else [window])
    }


def labels_in(parts: Parts) -> set[str]:
    """Every label that occurs."""
    return {label for _, key in parts for label, _ in key}


def narrowed(key: Key, labels: set[str]) -> Key:
    """A segment by some of its labels only."""
    return tuple(pair for pair in key if pair[0] in labels)


def summed(parts: Parts, labels: set[str]) -> Parts:
    """The parts summed over all but some labels."""
    sums: Parts = {}
    for (window, key), value in parts.items():
        kept = window, tuple(sorted(narrowed(key, labels)))
        sums[kept] = sums.get(kept, 0.0) + value
    return sums


def figure_part(figures: Sequence[Figure], part: str) -> Parts:
    """The numerators (or, as `kpi.denominator`, the denominators) of a KPI, by window and segment.

    A duration goes in as calendar time: all records have that, and two bases make no sum.
    """
    name, _, which = part.partition(".")
    return {
        (f.window, tuple(pair for pair in f.segment if pair != CALENDAR)): (f.denominator or 0.0)
        if which == "denominator"
        else f.numerator
        for f in figures
        if f.kpi == name and BUSINESS not in f.segment
    }
