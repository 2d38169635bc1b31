"""How far figures can be believed: what share of records has the fields that KPIs need, what no attribution reached.

Both are ratios like any other, so they are counted in the same scans; what is missing too often withdraws a KPI.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.catalogue.kpi import Kpi, Needed, Unattributed, bases_of, parts
from exporter.catalogue.sql import formula
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.stats import Family

COVERAGE = "coverage_ratio"
UNATTRIBUTED = "unattributed_ratio"
HELP = {
    COVERAGE: "Share of the records of the window that have a field that KPIs need, by source. A field of records that "
    "are not tied to a window has its present share in every window.",
    UNATTRIBUTED: "Share of what a KPI attributes to something that no rule could attribute, such as failed changes "
    "without an incident.",
}
Shares = dict[tuple[Key, str | None], tuple[float, float]]
"""(what, window) -> (records that have it, records that should)."""


def checks(settings: Sequence[Setting], plan: Plan) -> list[Setting]:
    """What is to be counted beside some KPIs, as settings of KPIs that nobody declared."""
    measured = {(s.kpi.name, basis) for s in settings for basis in bases_of(s.kpi, bool(plan.calendars))}
    fields = dict.fromkeys(
        field
        for s in settings
        for field in s.kpi.fields
        if not field.bases or any((s.kpi.name, basis) in measured for basis in field.bases)
    )
    rules = ((s, s.kpi.unattributed) for s in settings)
    return [*map(coverage, fields), *(unattributed(s, rule) for s, rule in rules if rule)]


def subjects(settings: Iterable[Setting]) -> set[Key]:
    """The labels of all that is counted for some KPIs."""
    return {called(field) for s in settings for field in s.kpi.fields} | {
        (("kpi", s.kpi.name),) for s in settings if s.kpi.unattributed
    }


def subject(figure: Figure) -> Key:
    """What a figure of coverage or attribution is about, of whatever source."""
    return tuple(pair for pair in figure.segment if pair[0] != "source")


def coverage(field: Needed) -> Setting:
    """How often a field is filled, by source."""
    kpi = Kpi(
        name=COVERAGE,
        facts=field.record,
        needs=(field.record,),
        title="Coverage",
        help="Share of the records of the window that have a field that KPIs need; the label field names it.",
        kind="ratio",
        placed_by=field.placed_by,
        numerator=field.filled,
        denominator=field.among,
        labels=("source",),
        segmented=False,
        better="higher",
        guard=(UNATTRIBUTED,),
    )
    return Setting(kpi=kpi, fixed=called(field))


def called(field: Needed) -> Key:
    """The labels that name a field."""
    return ("record", field.record), ("field", field.name)


def unattributed(setting: Setting, rule: Unattributed) -> Setting:
    """How much of what a KPI attributes is nobody's."""
    kpi = setting.kpi
    counted = Kpi(
        name=UNATTRIBUTED,
        facts=kpi.facts,
        needs=kpi.needs,
        title="Unattributed",
        help="Share of what a KPI attributes to something that no rule could attribute.",
        kind="ratio",
        placed_by=rule.placed_by or kpi.placed_by,
        numerator=rule.where,
        denominator=rule.among,
        weight=rule.weight,
        segmented=False,
        better="lower",
        guard=(COVERAGE,),
    )
    params = {**setting.params, "counted": formula(kpi, setting.params).counted}
    return Setting(kpi=counted, params=params, fixed=(("kpi", kpi.name),))


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


def withdrawn(settings: Sequence[Setting], windows: Sequence[str], counted: Iterable[Figure]) -> Withdrawn:
    """What some KPIs lack fields for."""
    shares = summed(counted)
    by_name = {s.kpi.name: s for s in settings}
    whole = {(s.kpi.name, window) for s in settings for window in _lost(s, by_name, windows, shares)}
    bases = {
        (s.kpi.name, window, basis)
        for s in settings
        if s.kpi.business
        for window in (windows if s.kpi.windowed else (None,))
        for field, _ in missing(s, by_name, windows, shares, window)
        for basis in field.bases
    }
    return Withdrawn(frozenset(whole), frozenset(bases))


def _lost(
    setting: Setting, by_name: Mapping[str, Setting], windows: Sequence[str], shares: Shares
) -> Iterator[str | None]:
    # What is derived falls with its parts, for what is left would be a quotient or a difference of something else.
    made_of = [by_name[name] for name in part_names(setting.kpi) if name in by_name]
    of_parts = {window for part in made_of for window in _lost(part, by_name, windows, shares)}
    for window in windows if setting.kpi.windowed else (None,):
        fields = (field for field, _ in missing(setting, by_name, windows, shares, window))
        if {window, None} & of_parts or any(not field.bases for field in fields):
            yield window


def missing(
    setting: Setting, by_name: Mapping[str, Setting], windows: Sequence[str], shares: Shares, window: str | None
) -> Iterator[tuple[Needed, float]]:
    """The fields that are filled on fewer records of a window than they must be, with the share that has them."""
    for field in needed(setting.kpi, by_name):
        n, d = share(shares, called(field), windows, window)
        if d and not field.instead and n / d < setting.min_coverage:
            yield field, n / d


def share(shares: Shares, what: Key, windows: Sequence[str], window: str | None) -> tuple[float, float]:
    """The share that speaks for a window: its own, or that of now. For a figure of now it is that of the longest."""
    own = shares.get((what, window or windows[-1]))
    return own or shares.get((what, None), (0.0, 0.0))


def needed(kpi: Kpi, by_name: Mapping[str, Setting]) -> list[Needed]:
    """The fields a KPI needs; a derived one also needs those of its parts."""
    below = (by_name[name].kpi for name in part_names(kpi) if name in by_name)
    return list(dict.fromkeys((*kpi.fields, *(field for part in below for field in needed(part, by_name)))))


def needed_on(setting: Setting, by_name: Mapping[str, Setting]) -> list[Needed]:
    """The fields that a KPI needs as it is counted: on one basis, where it has several."""
    basis = dict(setting.fixed).get("basis")
    return [field for field in needed(setting.kpi, by_name) if not field.bases or basis in field.bases]


def part_names(kpi: Kpi) -> list[str]:
    """The KPIs that a derived one is made of."""
    return [part.split(".")[0] for part in parts(kpi)] if kpi.kind == "derived" else []


def summed(counted: Iterable[Figure]) -> Shares:
    """Shares of all sources together."""
    found: Shares = {}
    for figure in counted:
        key = subject(figure), figure.window
        n, d = found.get(key, (0.0, 0.0))
        found[key] = n + figure.numerator, d + (figure.denominator or 0.0)
    return found


def told(setting: Setting, by_name: Mapping[str, Setting], windows: Sequence[str], shares: Shares) -> dict[str, Any]:
    """How often each field that a KPI cannot do without is filled, by window (`now`: of a figure of now)."""
    found: dict[str, Any] = {}
    for field in (each for each in needed(setting.kpi, by_name) if not each.instead and not each.bases):
        of_field = found.setdefault(f"{field.record}.{field.name}", {})
        for window in windows if setting.kpi.windowed else (None,):
            n, d = share(shares, called(field), windows, window)
            if d:
                of_field[window or "now"] = n / d
    return found


def answer(
    setting: Setting,
    by_name: Mapping[str, Setting],
    windows: Sequence[str],
    window: str | None,
    counted: Sequence[Figure],
) -> dict[str, Any]:
    """How far the figure of one window can be believed, ready for JSON: its fields by source, and what is nobody's."""
    sources = sorted({value for figure in counted for label, value in figure.segment if label == "source"})
    fields = []
    for field in needed_on(setting, by_name):
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
                "instead": field.instead,
                "ratio": n / d if d else None,
                "too_rare": bool(d) and not field.instead and n / d < setting.min_coverage,
                "by_source": {source: of / among for source, (of, among) in shares.items() if among},
            }
        )
    n, d = share(summed(counted), (("kpi", setting.kpi.name),), windows, window)
    return {"min_coverage": setting.min_coverage, "coverage": fields, "unattributed": n / d if d else None}


def families(windows: Sequence[str], *counted: Sequence[Figure]) -> Iterator[Family]:
    """The series of coverage and of what is unattributed: the ratio and its parts."""
    for figures in counted:
        if not figures:
            continue
        name, labels = figures[0].kpi, tuple(label for label, _ in figures[0].segment)
        stem = name.removesuffix("_ratio")
        told = sorted(
            ((window, *(value for _, value in f.segment)), f.numerator, f.denominator or 0.0)
            for f in figures
            for window in ([f.window] if f.window else windows)
        )
        values = {
            name: [(key, n / d) for key, n, d in told],
            f"{stem}_numerator": [(key, n) for key, n, _ in told],
            f"{stem}_denominator": [(key, d) for key, _, d in told],
        }
        for metric, samples in values.items():
            part = "" if metric == name else f"{metric.rsplit('_', 1)[1].capitalize()} of outcome_{name}. "
            yield Family(f"outcome_{metric}", part + HELP[name], "gauge", ("window", *labels), tuple(samples))
