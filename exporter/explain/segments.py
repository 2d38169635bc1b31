"""The values of a KPI by segment: of the one that is explained, of those beside it, and of what it is computed from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from exporter.baselines.compare import reduced
from exporter.catalogue.kpi import non_additive
from exporter.evaluation.add import merge
from exporter.evaluation.breach import resolve
from exporter.evaluation.checks import called
from exporter.evaluation.compiled import CompiledPlan, Measure, PartOf, compile_plan, narrowed
from exporter.evaluation.context import Connection, prepare
from exporter.evaluation.coverage import needed_on, subject
from exporter.evaluation.derived import derive
from exporter.evaluation.figure import Evaluation, Figure, additive_within
from exporter.evaluation.instant import by_facts, countable, scans
from exporter.evaluation.plan import Plan
from exporter.evaluation.reach import within
from exporter.evaluation.readiness import with_configured
from exporter.explain.history import total
from exporter.explain.query import Question, Unexplained, no_label
from exporter.explain.records import parts_of
from exporter.publish.cardinality import OTHER
from exporter.publish.families import unit as unit_of
from exporter.records.labels import LABEL_NAMES
from exporter.store.status import SourceStatus

MOST_CHOICES = 100


def figures_of(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    measure: Measure,
    window: str,
    known: Evaluation | None,
) -> tuple[list[Figure], list[Figure]]:
    """(the figures of a KPI and its parts, those of its coverage), of all segments: as they are known, else counted."""
    about = {*map(called, needed_on(measure)), (("kpi", measure.name),)}
    counted: Sequence[Figure]
    beside: Sequence[Figure]
    if known and measure.name not in known.absent and measure.name not in known.waiting:
        counted, beside = known.figures, (*known.coverage, *known.unattributed)
    else:
        counted = beside = _counted(connection, plan, at, sources, measure, window)
    return [f for f in counted if f.kpi in measure.names], [f for f in beside if subject(f) in about]


def _counted(
    connection: Connection, plan: Plan, at: datetime, sources: Sequence[SourceStatus], measure: Measure, window: str
) -> Sequence[Figure]:
    mine = within(narrowed(plan, {measure.name}), window)
    compiled = compile_plan(mine)
    by_name = by_facts(countable(compiled, ()))
    prepare(connection, mine, at, with_configured(plan, sources), by_name, snapshot=True)
    figures = [
        figure
        for facts, measures in by_name.items()
        for scan in scans(connection, mine, at, facts, measures)
        for figure in scan.figures()
    ]
    for each in compiled.by_name.values():
        if each.parts:
            figures += derive(each, figures)
    return figures


class Segments:
    """What the figures of all segments say to a question."""

    def __init__(self, compiled: CompiledPlan, measure: Measure, figures: Sequence[Figure], asked: Question) -> None:
        self.measure, self.kpi, self.figures, self.asked = measure, measure.kpi, figures, asked
        self.settings, self.kpis = compiled.settings, compiled.plan.kpis

    def values(self, label: str) -> list[str]:
        """Those of a label that makes no sum, the most frequent first, whichever of them is asked for."""
        wanted = {(name, value) for name, value in self.asked.segment.items() if name != label}
        mine = [f for f in self.figures if f.kpi == self.kpi.name and wanted <= {*f.segment}]
        counts = Counter(value for f in mine for name, value in f.segment if name == label)
        return sorted(counts, key=lambda value: (-counts[value], value))

    def choices(self) -> dict[str, list[dict[str, Any]]]:
        """Published label -> its values with theirs of the KPI, by name; within the rest of the segment."""
        mine = [f for f in self.figures if f.kpi == self.kpi.name and f.window in (self.asked.window, None)]
        labels = dict.fromkeys(label for f in mine for label, _ in f.segment)
        return {
            LABEL_NAMES.get(label, label): self._values(label, mine)
            for label in labels
            if label not in self._separate()
        }

    def _separate(self) -> set[str]:
        return {"basis", *non_additive(self.kpi)} - {self.kpi.several}

    def check(self) -> None:
        """Raises Unexplained for a value of a label that no record has, with those there are."""
        mine = [f for f in self.figures if f.kpi == self.kpi.name]
        for label, value in self.asked.segment.items():
            there = sorted({text for f in mine for name, text in f.segment if name == label})
            if label != "basis" and there and value not in (*there, OTHER):
                published = LABEL_NAMES.get(label, label)
                rest = {LABEL_NAMES.get(k, k): v for k, v in self.asked.segment.items() if k != label}
                query = {"kpi": self.kpi.name, "window": self.asked.window, **rest}
                raise Unexplained(
                    f"{published} {value!r} has no values of {self.kpi.name}; choose one of these",
                    [(each, {**query, published: each}) for each in there[:MOST_CHOICES]],
                )

    def _values(self, label: str, mine: Sequence[Figure]) -> list[dict[str, Any]]:
        rest = {(name, value) for name, value in self.asked.segment.items() if name != label}
        additive = additive_within(mine, {label, *self.asked.segment})
        chosen = [replace(reduced(f, (label,)), window=None) for f in additive if rest <= {*f.segment}]
        return [
            {"name": figure.segment[0][1]}
            | parts_of(self.measure, figure)
            | {"threshold": resolve(self.measure.setting, (*rest, *figure.segment))}
            for figure in sorted(merge(chosen, self.settings), key=lambda f: f.segment)
            if figure.segment
        ]

    def answer(self) -> dict[str, Any]:
        """The value of a derived KPI, and those of its parts."""
        known = {label for f in self.figures if f.kpi == self.kpi.name for label, _ in f.segment}
        unknown = set(self.asked.segment) - known
        if unknown and known:
            raise no_label(self.asked, unknown, sorted(known))
        return {"numbers": self._sum(self.measure), "parts": [self._part(part) for part in self.measure.parts]}

    def total(self) -> dict[str, Any] | None:
        """The value of the KPI in the segment."""
        return self._sum(self.measure)

    def _part(self, part: PartOf) -> dict[str, Any]:
        name, which = part.reference
        kpi = part.measure.kpi if part.measure else None
        labels = {label for f in self.figures if f.kpi == name for label, _ in f.segment}
        segment = {LABEL_NAMES.get(k, k): v for k, v in self.asked.segment.items() if k in labels}
        return {
            "kpi": name,
            "part": which or "numerator",
            "title": kpi.title if kpi else name,
            "unit": (kpi.unit or unit_of(kpi)) if kpi else "",
            "segment": segment,
            "numbers": self._sum(part.measure) if part.measure else None,
        }

    def _sum(self, measure: Measure) -> dict[str, Any] | None:
        mine = [f for f in self.figures if f.kpi == measure.name and f.window in (self.asked.window, None)]
        whole = total(mine, self.settings, self.asked.segment)
        return None if whole is None else parts_of(measure, whole)
