"""Combines the section `kpis` of the config with the catalogue: parameters, thresholds, owners."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.base import duration
from exporter.base.strict_yaml import At
from exporter.catalogue import expression
from exporter.catalogue.expression_types import ColumnKind
from exporter.catalogue.kpi import MIN_COVERAGE, Kpi, Param
from exporter.config.baselines import ComparisonReader
from exporter.config.choice import ALL, KEYS, Choice, quiet
from exporter.config.level import LevelReader
from exporter.config.section import KpiSection
from exporter.config.shape import Checker
from exporter.evaluation.business_time import ON_HOLD
from exporter.evaluation.plan import NOBODY, Setting
from exporter.records import RECORDS, marked
from exporter.records.columns import COLUMNS
from exporter.records.labels import LABELS


@dataclass(frozen=True)
class SettingReader:
    """Reads the KPIs of one config and notes mistakes."""

    checker: Checker
    labels: Mapping[str, Sequence[str]]
    catalogue: Mapping[str, Kpi]  # ours and the user's
    comparison: ComparisonReader
    own: Collection[str] = ()  # the names that the user has defined, well or not
    calendars: Collection[str] = ()
    min_coverage: float = MIN_COVERAGE
    choice: Choice = ALL

    def settings(self, data: Any) -> tuple[list[Setting], list[Setting]]:
        """The settings of the KPIs that are computed, and of those that are switched off or not chosen."""
        written: Mapping[str, Any] = {}
        if isinstance(data, dict):
            written = data
        elif data is not None:
            self.checker.wrong(("kpis",), "this is not a mapping; write the name of a KPI: and its settings below it")
        for name in written:
            if name not in self.catalogue and name not in self.own:
                self.checker.unknown("KPI", name, [*self.catalogue, *KEYS], ("kpis", name))
        computed: list[Setting] = []
        others: list[Setting] = []
        for name, kpi in self.catalogue.items():
            for setting, is_computed in self._setting(kpi, written.get(name), ("kpis", name)):
                (computed if is_computed else others).append(setting)
        return computed, others

    def _setting(self, kpi: Kpi, data: Any, at: At) -> Iterator[tuple[Setting, bool]]:
        """A KPI as configured, and whether it is computed; nothing if that cannot be read."""
        if data is not None and not isinstance(data, dict):
            self.checker.wrong(at, "this is not a mapping; write owner: ... or threshold: ... and so on below it")
        data = data if isinstance(data, dict) else {}
        common = set(KpiSection.model_fields)
        for key in data:
            if key not in common and key not in kpi.params and kpi.name not in self.own:
                self.checker.unknown("key", key, [*common, *kpi.params], (*at, key))
        section = self.checker.read(KpiSection, {key: value for key, value in data.items() if key in common}, at)
        read = {name: self._param(kpi, name, param, data, (*at, name)) for name, param in kpi.params.items()}
        params = {name: sql for name, sql in read.items() if sql is not None}
        if section is None:
            return
        if not section.enabled:
            yield Setting(kpi=kpi, params=params), False
            return
        chosen = self.choice.chosen(kpi.name)
        setting = self._told(kpi if chosen else quiet(kpi), section, at, params, chosen=chosen)
        yield setting, self.choice.computed(kpi.name)

    def _told(self, kpi: Kpi, section: KpiSection, at: At, params: Mapping[str, str], *, chosen: bool) -> Setting:
        """What a section says of a KPI, on top of what its group and the catalogue say."""
        self._basis(kpi, section, (*at, "basis"))
        levels = LevelReader(self.checker, self.labels, self.catalogue).levels(kpi, section, at)
        group = self.choice.of(kpi)
        business_owner = section.business_owner or group.business_owner
        return Setting(
            kpi=kpi,
            chosen=chosen,
            params=params,
            threshold=levels.threshold,
            thresholds_by=levels.thresholds_by,
            target=levels.target,
            targets_by=levels.targets_by,
            baselines=self.comparison.of(kpi, section.baselines, (*at, "baselines")),
            tier=section.tier or kpi.tier,
            indicator=section.indicator or kpi.indicator,
            business_owner=business_owner or NOBODY,
            technical_owner=section.technical_owner or group.technical_owner or NOBODY,
            owner=section.owner or group.owner or business_owner or kpi.owner,
            escalation=section.escalation or group.escalation or kpi.escalation,
            cadence=section.cadence or group.cadence or kpi.cadence,
            basis=section.basis,
            min_coverage=self.min_coverage if section.min_coverage is None else section.min_coverage,
        )

    def _basis(self, kpi: Kpi, section: KpiSection, at: At) -> None:
        """Whether thresholds can be on the basis that is written."""
        if "basis" in section.model_fields_set and not kpi.business:
            self.checker.wrong(at, f"{kpi.name} is not computed in business time; leave the key out")
        elif section.basis in ON_HOLD and not kpi.on_hold:
            self.checker.wrong(at, f"{kpi.name} is not computed without time on hold; write calendar or business")
        elif "business" in section.basis and not self.calendars:
            message = "no calendar is configured; add calendars, and calendar: NAME to a source or a team"
            self.checker.wrong(at, message)

    def _param(self, kpi: Kpi, name: str, param: Param, data: Mapping[str, Any], at: At) -> str | None:
        """A parameter's value as SQL."""
        value = data.get(name, param.default)
        if kpi.name in self.own:
            value, at = param.default, (*at[:-1], "params", name, "default")
        if value is None:
            return "null"
        if param.type == "predicate" and name not in data and kpi.name not in self.own:
            return str(value)  # ours, and SQL as it is
        try:
            return _sql(param, value, predicate_columns(kpi.record))
        except ValueError as error:
            self.checker.wrong(at, str(error))
            return None


def predicate_columns(record: str) -> dict[str, ColumnKind]:
    """The columns that a user's condition may use: those that describe a record, never its outcome."""
    columns = COLUMNS[RECORDS[record]]
    names = (*LABELS[record], *marked(RECORDS[record], "fixed"))
    return {name: "boolean" if columns[name].kind == "boolean" else "text" for name in names}


def _sql(param: Param, value: Any, columns: Mapping[str, ColumnKind]) -> str:
    if param.type == "predicate":
        if not isinstance(value, str):
            raise ValueError("this is not a condition; put quotes around it")
        return expression.predicate(value, columns).sql
    if param.type == "duration":
        return str(duration.seconds(value if isinstance(value, str) else ""))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("this is not a number")
    return repr(float(value))
