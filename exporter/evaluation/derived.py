"""Computes KPIs from other KPIs: one part divided by another, or minus another, in the segments they share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from exporter.evaluation.compiled import Measure, PartOf
from exporter.evaluation.figure import Figure, Key, summable

Parts = dict[tuple[str | None, Key], float]
"""(window, segment) -> amount."""

CALENDAR = ("basis", "calendar")


def derive(measure: Measure, figures: Sequence[Figure]) -> Iterator[Figure]:
    """The figures of a derived KPI, by the labels its parts leave it (see value_labels).

    Where a segment has one part only, the other is 0: there is no value then, but sums over segments lose nothing.
    A count that has no figure is 0, and that is known; any other numerator without one is not known, whatever is
    subtracted from it: a cost alone is no loss.
    """
    if len(measure.below) < len(measure.parts):
        return
    labels = {*measure.labels}
    several = {part.kpi.several for part in measure.below} & labels
    if not several:
        yield from _derived(measure, summable(figures), labels)
        return
    yield from _derived(measure, [f for f in figures if not f.whole], labels)
    # What is by such a label cannot be added up over it either.
    names = {part.name for part in measure.below}
    if any(f.whole and f.kpi in names for f in figures):
        wholes = _derived(measure, summable(figures), labels - several)
        yield from (replace(figure, whole=True) for figure in wholes)


def _derived(measure: Measure, figures: Sequence[Figure], labels: set[str]) -> Iterator[Figure]:
    """The same by some of its labels, of figures that can be added up over the others."""
    kpi, first, last = measure.kpi, measure.below[0], measure.below[-1]
    above = summed(figure_part(figures, measure.numerator), labels)
    counts = first.kpi.kind == "count"
    if not above and not counts:
        return
    known = {*above}
    taken = summed(figure_part(figures, measure.minus), labels) if measure.minus else {}
    above = less(above, taken)
    if not measure.denominator:
        for (window, key), value in sorted(above.items(), key=str):
            deducted = taken.get((window, key), 0.0) if measure.minus else None
            yield Figure(
                kpi.name, window, key, value, partial=(window, key) not in known and not counts, deducted=deducted
            )
        return
    common = labels & {*last.labels}
    if not measure.numerator_windowed:
        above = in_windows(above, {*measure.seconds})
        known = {(window, key) for window in measure.seconds for _, key in known}
    windows: set[str | None] = {f.window for f in figures if f.window} if counts else {window for window, _ in above}
    below = summed(in_windows(figure_part(figures, measure.denominator), windows), common)
    extras = {(window, narrowed(key, labels - common)) for window, key in above}
    if counts and labels == common:
        extras |= {(window, ()) for window in windows}
    keys = {*above, *((w, tuple(sorted((*key, *more)))) for w, key in below for window, more in extras if window == w)}
    for window, key in sorted(keys, key=str):
        n, d = above.get((window, key)), below.get((window, narrowed(key, common)))
        if d or not kpi.only_matched_segments:
            partial = (window, key) not in known and not counts
            yield Figure(kpi.name, window, key, n or 0.0, (d or 0.0) / measure.divisor(window), partial=partial)


def less(parts: Parts, taken: Parts) -> Parts:
    """The difference of two sets of amounts; a key that only one side has counts with its sign."""
    return {key: parts.get(key, 0.0) - taken.get(key, 0.0) for key in {**parts, **taken}}


def in_windows(parts: Parts, windows: set[str | None]) -> Parts:
    """Amounts of now, such as a head count, as amounts of each window."""
    if windows == {None}:
        return parts
    return {
        (w, key): value for (window, key), value in parts.items() for w in (windows if window is None else [window])
    }


def narrowed(key: Key, labels: set[str]) -> Key:
    """A segment by some of its labels only."""
    return tuple(pair for pair in key if pair[0] in labels)


def summed(parts: Parts, labels: set[str]) -> Parts:
    """The parts by some labels only."""
    sums: Parts = {}
    for (window, key), value in parts.items():
        place = window, tuple(sorted(narrowed(key, labels)))
        sums[place] = sums.get(place, 0.0) + value
    return sums


def figure_part(figures: Sequence[Figure], part: PartOf | None) -> Parts:
    """The numerators or the denominators of a KPI, by window and segment.

    A duration goes in as calendar time: all records have that, and two bases make no sum.
    """
    name, which = part.reference if part else ("", "")
    return {
        (f.window, tuple(pair for pair in f.segment if pair != CALENDAR)): (f.denominator or 0.0)
        if which == "denominator"
        else f.numerator
        for f in figures
        if f.kpi == name and not any(pair[0] == "basis" and pair != CALENDAR for pair in f.segment)
    }
