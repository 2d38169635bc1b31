"""Ratios counted beside the KPIs: how often each needed field is filled, and how much could not be attributed.

Both are ratios like any other, so they are counted in the same scans.
"""

from collections.abc import Sequence

from exporter.catalogue.kpi import Kpi, Needed, Unattributed
from exporter.catalogue.sql import formula
from exporter.evaluation.figure import Key
from exporter.evaluation.plan import Setting

COVERAGE = "coverage_ratio"
UNATTRIBUTED = "unattributed_ratio"


def coverage(field: Needed) -> Setting:
    """The ratio of records on which a field is filled, by source."""
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
    return Setting(kpi=kpi)


def called(field: Needed) -> Key:
    """The labels that identify a field."""
    return ("record", field.record), ("field", field.name)


def unattributed(setting: Setting, rule: Unattributed) -> Setting:
    """The share of what a KPI attributes that no rule could attribute."""
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
        signed=rule.signed,
        segmented=False,
        better="lower",
        guard=(COVERAGE,),
    )
    return Setting(kpi=counted, params={**setting.params, "counted": formula(kpi, setting.params).counted})


def fields_of(settings: Sequence[Setting], bases: Sequence[tuple[str, str]]) -> dict[Needed, frozenset[str]]:
    """The fields that KPIs need -> the names of these KPIs. `bases`: (KPI, basis) of all that is measured."""
    fields: dict[Needed, frozenset[str]] = {}
    for setting in settings:
        name = setting.kpi.name
        for field in setting.kpi.fields:
            if not field.bases or any((name, basis) in bases for basis in field.bases):
                fields[field] = fields.get(field, frozenset()) | {name}
    return fields
