"""Combines the section `kpis` of the config with the catalogue: parameters, thresholds, owners."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.base import duration
from exporter.base.strict_yaml import At
from exporter.catalogue import expression
from exporter.catalogue.expression_types import ColumnKind
from exporter.catalogue.kpi import MIN_COVERAGE, Kpi, Param, Threshold, labels_made
from exporter.config.baselines import ComparisonReader
from exporter.config.section import KpiSection, LevelsSection
from exporter.config.shape import Checker
from exporter.evaluation.business_time import ON_HOLD
from exporter.evaluation.plan import Setting
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

    def settings(self, data: Any) -> tuple[Setting, ...]:
        """The settings of every KPI that is not switched off."""
        written: Mapping[str, Any] = {}
        if isinstance(data, dict):
            written = data
        elif data is not None:
            self.checker.wrong(("kpis",), "this is not a mapping; write the name of a KPI: and its settings below it")
        for name in written:
            if name not in self.catalogue and name not in self.own:
                self.checker.unknown("KPI", name, list(self.catalogue), ("kpis", name))
        settings = (self._setting(kpi, written.get(name), ("kpis", name)) for name, kpi in self.catalogue.items())
        return tuple(setting for setting in settings if setting)

    def _setting(self, kpi: Kpi, data: Any, at: At) -> Setting | None:
        if data is not None and not isinstance(data, dict):
            self.checker.wrong(at, "this is not a mapping; write owner: ... or threshold: ... and so on below it")
        data = data if isinstance(data, dict) else {}
        common = set(KpiSection.model_fields)
        for key in data:
            if key not in common and key not in kpi.params and kpi.name not in self.own:
                self.checker.unknown("key", key, [*common, *kpi.params], (*at, key))
        section = self.checker.read(KpiSection, {key: value for key, value in data.items() if key in common}, at)
        params = {name: self._param(kpi, name, param, data, (*at, name)) for name, param in kpi.params.items()}
        if section is None or not section.enabled:
            return None
        self._basis(kpi, section, (*at, "basis"))
        threshold = _merged(kpi.threshold, section.threshold)
        if section.threshold.model_fields_set:
            self._check_threshold(kpi, threshold, section.threshold, (*at, "threshold"))
        return Setting(
            kpi=kpi,
            params={name: sql for name, sql in params.items() if sql is not None},
            threshold=threshold,
            thresholds_by=tuple(self._by_segment(kpi, section, threshold, at)),
            baselines=self.comparison.of(kpi, section.baselines, (*at, "baselines")),
            owner=section.owner or kpi.owner,
            escalation=section.escalation or kpi.escalation,
            cadence=section.cadence or kpi.cadence,
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

    def _by_segment(
        self, kpi: Kpi, section: KpiSection, threshold: Threshold, at: At
    ) -> Iterator[tuple[Mapping[str, str], Threshold]]:
        known = labels_made(kpi, self.catalogue, self.labels)
        seen: list[Mapping[str, str]] = []
        for i, entry in enumerate(section.thresholds_by):
            place: At = (*at, "thresholds_by", i)
            for label in entry.match:
                if label not in known:
                    self.checker.unknown("label", label, known, (*place, "match", label), owner=kpi.name)
            if entry.match in seen:
                self.checker.wrong((*place, "match"), "this segment already has thresholds; keep them in one place")
            if not entry.model_fields_set & {"warning", "critical"}:
                self.checker.wrong(place, "give warning, critical or both")
            seen.append(entry.match)
            self._check_threshold(kpi, _merged(threshold, entry), entry, place)
            yield dict(entry.match), Threshold(**_written(entry))

    def _check_threshold(self, kpi: Kpi, threshold: Threshold, written: LevelsSection, at: At) -> None:
        """Whether thresholds can be of this KPI, and critical is worse than warning."""
        warning, critical = threshold.warning, threshold.critical
        if kpi.better == "none" and (warning is not None or critical is not None):
            self.checker.wrong(
                at, f"{kpi.name} is neither good nor bad by itself, so it cannot have thresholds; leave the key out"
            )
            return
        for key in ("warning", "critical"):
            level = getattr(written, key)
            if level is not None and kpi.name.endswith("_ratio") and kpi.kind == "ratio" and not 0 <= level <= 1:
                self.checker.wrong((*at, key), "a ratio is between 0 and 1; write 0.15 for 15 %")
                return
        if warning is None or critical is None or warning == critical:
            return
        if (critical < warning) == (kpi.better == "lower"):
            side = "above" if kpi.better == "lower" else "below"
            place = (*at, "critical") if written.critical is not None else (*at, "warning")
            self.checker.wrong(place, f"critical must be {side} warning, {warning:g}: {kpi.better} is better")


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


def _merged(below: Threshold, above: LevelsSection) -> Threshold:
    """Thresholds, overridden by those in the config."""
    return below.model_copy(update=_written(above))


def _written(levels: LevelsSection) -> dict[str, float | None]:
    """Severity -> threshold in the config; None switches it off."""
    return {key: getattr(levels, key) for key in ("warning", "critical") if key in levels.model_fields_set}
