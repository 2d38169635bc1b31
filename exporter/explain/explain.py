"""Explains a value: the records behind a KPI in one window and segment, which of them count, and why others do not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from exporter.catalogue.kpi import Kpi, non_additive
from exporter.catalogue.sql import words
from exporter.evaluation import loss
from exporter.evaluation.assumptions import concerning
from exporter.evaluation.breach import least, resolve, target
from exporter.evaluation.business_time import UNASSIGNED
from exporter.evaluation.compiled import CompiledPlan, Measure, compile_plan
from exporter.evaluation.context import Connection, prepare, snapshot
from exporter.evaluation.coverage import answer as trusted
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.plan import Plan
from exporter.evaluation.readiness import unfits, waiting, with_configured
from exporter.explain.breaches import records_of
from exporter.explain.query import Question, Unexplained, setting_of
from exporter.explain.records import Records, plain
from exporter.explain.roles import roles
from exporter.explain.segments import Segments, figures_of
from exporter.explain.summary import standing
from exporter.publish.cardinality import OTHER
from exporter.publish.families import unit as unit_of
from exporter.records import RECORDS
from exporter.records.labels import LABEL_NAMES
from exporter.store.status import SourceStatus


def explain(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    asked: Question,
    known: Evaluation | None = None,
) -> dict[str, Any]:
    """The explanation, ready for JSON: definition, numbers, freshness and a page of records. Raises Unexplained.

    `known`: the evaluation of this plan at this time, where there is one; it saves counting all segments again.
    """
    with snapshot(connection):
        return _explained(connection, plan, at, sources, asked, known)


def _explained(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    asked: Question,
    known: Evaluation | None,
) -> dict[str, Any]:
    compiled = compile_plan(plan)
    measure = _on_basis(compiled, setting_of(plan, asked.kpi).kpi.name, asked)
    kpi = measure.kpi
    figures, coverage = figures_of(connection, plan, at, sources, measure, asked.window, known)
    read = [] if measure.parts else [kpi.facts]
    prepare(connection, plan, at, with_configured(plan, sources), read, snapshot=True)
    segments = Segments(compiled, measure, figures, asked)
    rows = segments if measure.parts else Records(connection, compiled, at, measure, asked)
    if known:
        segments.check()
    separate: dict[str, list[str]] = {}
    for label in non_additive(kpi):
        # What makes no sum is shown one by one: what most is in comes first.
        if label != "basis" and (values := rows.values(label)):
            separate[LABEL_NAMES.get(label, label)] = values
            if label not in asked.segment:
                segments.asked = rows.asked = asked = replace(asked, segment={**asked.segment, label: values[0]})
    answer: dict[str, Any] = {
        "kpi": kpi.name,
        "title": kpi.title,
        "help": kpi.help,
        "details": kpi.details,
        "kind": kpi.kind,
        "unit": kpi.unit or unit_of(kpi),
        "person_day_seconds": plan.person_day_seconds if kpi.working_time else None,
        "better": kpi.better,
        "record": record_of(kpi),
        "guard": [name for name in kpi.guard if name in compiled.settings],
        "series": list(kpi.series),
        "definition": definition(measure),
        "at": at.isoformat(),
        "pinned": asked.at is not None,
        "window": asked.window if kpi.windowed else None,
        "windows": compiled.windows if kpi.windowed else [],
        "segment": {LABEL_NAMES.get(label, label): value for label, value in asked.segment.items()},
        "apart": separate,
        "segments": segments.choices(),
        "threshold": resolve(measure.setting, tuple(asked.segment.items())),
        "target": target(measure.setting, tuple(asked.segment.items())),
        **roles(measure.setting),
        "fewest": least(kpi, plan.kpis),
        "counts_records": records_of(kpi, plan.kpis, 1.0) is not None,
        "absent": unfits(plan, at, with_configured(plan, sources)).get(kpi.name),
        "sources": [
            {
                "source": source.source,
                "records": sorted(source.records & kpi.fed_by),
                "last_success": plain(source.last_success),
                "state": standing(source),
            }
            for source in sources
            if source.records & kpi.fed_by
        ],
        "assumptions": [each._asdict() | {"text": each.sentence} for each in concerning(plan, measure, asked.segment)],
        "notes": _notes(asked),
        "upper": _upper(connection, plan, at, sources, measure, asked, known),
    }
    answer |= trusted(measure, compiled.windows, answer["window"], coverage)
    if not answer["absent"] and answer["window"] in waiting(plan, at, sources).get(kpi.name, ()):
        answer["absent"] = "initial_sync"
    windows = compiled.windows
    lost = loss.loss(measure, sources, loss.losses(connection, plan, at, sources))
    answer["unreadable"] = loss.withdrawn(lost, windows, windowed=kpi.windowed)
    if not answer["absent"] and loss.touches(lost, answer["window"] or windows[-1], asked.segment.get("team")):
        answer["absent"] = "unreadable"
    if not answer["absent"] and any(each["too_rare"] for each in answer["coverage"]):
        answer["absent"] = "field_missing"
    answer |= rows.answer()
    # What is withheld from alerts is no value here either, and least of all a 0 where no source gives records.
    return answer | {"numbers": None, "segments": {}, "upper": None} if answer["absent"] else answer


def _upper(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    measure: Measure,
    asked: Question,
    known: Evaluation | None,
) -> dict[str, Any] | None:
    """The KPI that is the same at the upper end of manual time, with its value; None where there is none."""
    compiled = compile_plan(plan)
    high = compiled.by_name.get(measure.kpi.upper or "")
    if high is None:
        return None
    figures, _ = figures_of(connection, plan, at, sources, high, asked.window, known)
    numbers = Segments(compiled, high, figures, asked).total()
    return {"kpi": high.name, "title": high.kpi.title, "numbers": numbers}


def _on_basis(compiled: CompiledPlan, name: str, asked: Question) -> Measure:
    """The KPI on the requested basis; by default, the basis of its thresholds. Raises Unexplained."""
    measure = compiled.by_name[name]
    if not measure.kpi.business:
        return measure
    asked_for = asked.segment.get("basis", measure.setting.basis)
    bases = {each.basis: each for each in compiled.bases[name]}
    if asked_for not in bases:
        lacks_calendar = "business" in asked_for and not compiled.plan.calendars
        why = "no calendar is configured" if lacks_calendar else "its time on hold is not subtracted"
        raise Unexplained(f"{name} is not computed on the basis {asked_for}: {why}")
    return bases[asked_for]


def record_of(kpi: Kpi) -> str | None:
    """The record type of which each row is one; None where rows are something else."""
    return kpi.facts if kpi.facts in RECORDS and kpi.kind != "derived" else None


def definition(measure: Measure) -> dict[str, str]:
    """The definition as declared, with parameters filled in."""
    kpi = measure.kpi
    texts = {
        "facts": None if kpi.kind == "derived" else kpi.facts,
        "placed_by": kpi.placed_by,
        "numerator_placed_by": kpi.numerator_placed_by,
        "numerator": words(kpi, "numerator"),
        "minus": kpi.minus,
        "denominator": words(kpi, "denominator"),
        "where": words(kpi, "where") if kpi.kind not in ("ratio", "derived") and kpi.where != "true" else None,
        "value": words(kpi, "value"),
        "weight": words(kpi, "weight"),
        "aggregate": "max" if kpi.aggregate == "max" else None,
        "per": str(kpi.per) if kpi.per else None,
    }
    return {name: text.format_map(measure.setting.params) for name, text in texts.items() if text}


def _notes(asked: Question) -> list[str]:
    notes = []
    for label, value in asked.segment.items():
        published = LABEL_NAMES.get(label, label)
        if value == OTHER:
            notes.append(
                f"{published}=other combines the values beyond the series limit and cannot be "
                f"explained exactly: only records whose own {published} is `other` are shown."
            )
        if value == UNASSIGNED:
            notes.append(f"{published}=unassigned: records without a {published}.")
    return notes
