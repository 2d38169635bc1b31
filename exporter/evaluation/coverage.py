"""How far values can be trusted: the share of records that have the needed fields, and what could not be attributed.

Both are ratios like any other, so they are counted in the same scans; what is missing too often withdraws a KPI.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.catalogue.kpi import Needed
from exporter.evaluation.checks import COVERAGE, UNATTRIBUTED, called
from exporter.evaluation.compiled import Measure
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.stats import Family

HELP = {
    COVERAGE: "Share of the records of the window that have a field that KPIs need, by source. A field of records that "
    "are not tied to a window has its present share in every window.",
    UNATTRIBUTED: "Share of what a KPI attributes to something that no rule could attribute, such as failed changes "
    "without an incident.",
}
Shares = dict[tuple[Key, str | None], tuple[float, float]]
"""(what, window) -> (records that have it, records that should)."""


def subject(figure: Figure) -> Key:
    """The field or KPI that a figure of coverage or attribution is about, without its source."""
    return tuple(pair for pair in figure.segment if pair[0] != "source")


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What is not published because a needed field is filled too rarely; None is the window of a figure of now."""

    whole: frozenset[tuple[str, str | None]]
    """(KPI, window)"""
    bases: frozenset[tuple[str, str | None, str]]
    """(KPI, window, basis)"""

    def holds(self, figure: Figure) -> bool:
        """Whether a figure is withdrawn."""
        kpi, window = figure.kpi, figure.window
        return (kpi, window) in self.whole or (
            bool(self.bases)
            and any((kpi, window, value) in self.bases for label, value in figure.segment if label == "basis")
        )


def withdrawn(measures: Sequence[Measure], windows: Sequence[str], counted: Iterable[Figure]) -> Withdrawn:
    """The windows in which some KPIs are withdrawn because a needed field is filled too rarely."""
    shares = summed(counted)
    whole = {(each.name, window) for each in measures for window in _lost(each, windows, shares)}
    bases = {
        (each.name, window, basis)
        for each in measures
        if each.kpi.business
        for window in (windows if each.kpi.windowed else (None,))
        for field, _ in missing(each, windows, shares, window)
        for basis in field.bases
    }
    return Withdrawn(frozenset(whole), frozenset(bases))


def _lost(measure: Measure, windows: Sequence[str], shares: Shares) -> Iterator[str | None]:
    # What is derived falls with its parts, for what is left would be a quotient or a difference of something else.
    of_parts = {window for part in measure.below for window in _lost(part, windows, shares)}
    for window in windows if measure.kpi.windowed else (None,):
        fields = (field for field, _ in missing(measure, windows, shares, window))
        if {window, None} & of_parts or any(not field.bases for field in fields):
            yield window


def missing(
    measure: Measure, windows: Sequence[str], shares: Shares, window: str | None
) -> Iterator[tuple[Needed, float]]:
    """The fields that are filled on too few records of a window, with the share that has them."""
    for field in measure.needed:
        n, d = share(shares, called(field), windows, window)
        if d and not field.fallback and n / d < measure.setting.min_coverage:
            yield field, n / d


def share(shares: Shares, what: Key, windows: Sequence[str], window: str | None) -> tuple[float, float]:
    """The share that applies to a window: its own, or the present one. A state takes that of the longest window."""
    own = shares.get((what, window or windows[-1]))
    return own or shares.get((what, None), (0.0, 0.0))


def needed_on(measure: Measure) -> list[Needed]:
    """The fields that a KPI needs as it is counted: on one basis, where it has several."""
    return [field for field in measure.needed if not field.bases or measure.basis in field.bases]


def summed(counted: Iterable[Figure]) -> Shares:
    """Shares of all sources together."""
    shares: Shares = {}
    for figure in counted:
        key = subject(figure), figure.window
        n, d = shares.get(key, (0.0, 0.0))
        shares[key] = n + figure.numerator, d + (figure.denominator or 0.0)
    return shares


def filled(measure: Measure, windows: Sequence[str], shares: Shares) -> dict[str, Any]:
    """Field -> window -> the share of records that have it, of the fields a KPI must have (`now`: of a state)."""
    shares_of: dict[str, Any] = {}
    for field in (each for each in measure.needed if not each.fallback and not each.bases):
        of_field = shares_of.setdefault(f"{field.record}.{field.name}", {})
        for window in windows if measure.kpi.windowed else (None,):
            n, d = share(shares, called(field), windows, window)
            if d:
                of_field[window or "now"] = n / d
    return shares_of


def answer(measure: Measure, windows: Sequence[str], window: str | None, counted: Sequence[Figure]) -> dict[str, Any]:
    """How far the value of a window can be trusted, ready for JSON: fields by source, and the unattributed share."""
    sources = sorted({value for figure in counted for label, value in figure.segment if label == "source"})
    fields = []
    for field in needed_on(measure):
        shares = {
            source: share(summed(f for f in counted if ("source", source) in f.segment), called(field), windows, window)
            for source in sources
        }
        n, d = share(summed(counted), called(field), windows, window)
        fields.append(
            {
                "record": field.record,
                "field": field.name,
                "column": field.source_column,
                "instead": field.fallback,
                "ratio": n / d if d else None,
                "too_rare": bool(d) and not field.fallback and n / d < measure.setting.min_coverage,
                "by_source": {source: of / among for source, (of, among) in shares.items() if among},
            }
        )
    n, d = share(summed(counted), (("kpi", measure.name),), windows, window)
    return {"min_coverage": measure.setting.min_coverage, "coverage": fields, "unattributed": n / d if d else None}


def families(windows: Sequence[str], *counted: Sequence[Figure]) -> Iterator[Family]:
    """The series of coverage and of the unattributed share: the ratio and its parts."""
    for figures in counted:
        if not figures:
            continue
        name, labels = figures[0].kpi, tuple(label for label, _ in figures[0].segment)
        stem = name.removesuffix("_ratio")
        rows = sorted(
            ((window, *(value for _, value in f.segment)), f.numerator, f.denominator or 0.0)
            for f in figures
            for window in ([f.window] if f.window else windows)
        )
        values = {
            name: [(key, n / d) for key, n, d in rows],
            f"{stem}_numerator": [(key, n) for key, n, _ in rows],
            f"{stem}_denominator": [(key, d) for key, _, d in rows],
        }
        for metric, samples in values.items():
            part = "" if metric == name else f"{metric.rsplit('_', 1)[1].capitalize()} of outcome_{name}. "
            yield Family(f"outcome_{metric}", part + HELP[name], "gauge", ("window", *labels), tuple(samples))
