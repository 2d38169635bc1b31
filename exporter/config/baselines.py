"""Reads the section `baselines`, for every KPI or for one: what a KPI is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exporter.base.clock import DAY
from exporter.base.strict_yaml import At
from exporter.catalogue.kpi import Kpi, labels_of, part_names
from exporter.config.section import ComparisonSection, ControlSection, FixedSection
from exporter.config.shape import Checker
from exporter.evaluation.plan import Baselines, Period

SEPARATE_LABELS = frozenset({"currency", "kind"})
"""Labels that the control group is never summed over: two currencies make no sum."""


@dataclass(frozen=True)
class ComparisonReader:
    """Reads baselines and notes mistakes. `common`: the section for every KPI."""

    checker: Checker
    labels: Mapping[str, Sequence[str]]
    catalogue: Mapping[str, Kpi]
    windows: Sequence[tuple[str, int]]
    common: ComparisonSection | None = None

    def check(self) -> None:
        """Notes what is wrong with the section for every KPI."""
        at: At = ("baselines",)
        if self.common is None:
            return
        self._check_period(self.common.fixed, at)
        if self.common.control:
            known = sorted({label for labels in self.labels.values() for label in labels} - {"cohort"})
            self._match(self.common, known, at)

    def of(self, kpi: Kpi, own: ComparisonSection | None, at: At) -> Baselines:
        """The baselines of a KPI: its own section, or else the section for every KPI plus those that it declares."""
        if own is not None:
            self._own(kpi, own, at)
        chosen = own or self.common or ComparisonSection()
        declared = kpi.compared_with if own is None else ()
        control = chosen.control or (ControlSection() if "control" in declared else None)
        return Baselines(
            fixed=period(chosen.fixed) if chosen.fixed else None,
            previous=chosen.previous is not None or "previous" in declared,
            control=self._over(kpi, control.match) if control and self._has_cohort(kpi) else (),
            weekday_median=(chosen.weekday_median is not None or "weekday_median" in declared) and self._has_days(kpi),
        )

    def _own(self, kpi: Kpi, own: ComparisonSection, at: At) -> None:
        self._check_period(own.fixed, at)
        if own.control and not self._has_cohort(kpi):
            self.checker.wrong((*at, "control"), f"{kpi.name} has no label cohort; add it under labels")
        elif own.control:
            self._match(own, [label for label in self._labels(kpi) if label != "cohort"], at, owner=kpi.name)
        if own.weekday_median and not self._has_days(kpi):
            self.checker.wrong((*at, "weekday_median"), "the shortest window must be a day for this; add 1d to windows")

    def _check_period(self, section: FixedSection | None, at: At) -> None:
        if section and section.to < section.from_:
            self.checker.wrong((*at, "fixed", "to"), "this is before from; write the last day of the period")

    def _match(self, section: ComparisonSection, known: Sequence[str], at: At, *, owner: str = "") -> None:
        for i, label in enumerate((section.control and section.control.match) or ()):
            if label not in known:
                self.checker.unknown("label", label, known, (*at, "control", "match", i), owner=owner)

    def _has_days(self, kpi: Kpi) -> bool:
        """Whether there are values of single days, or of the present."""
        return self.windows[0][1] == DAY or not kpi.windowed

    def _has_cohort(self, kpi: Kpi) -> bool:
        return all("cohort" in labels_of(part, self.labels) for part in self._parts(kpi)) and "cohort" not in kpi.drop

    def _labels(self, kpi: Kpi) -> list[str]:
        labels = dict.fromkeys(label for part in self._parts(kpi) for label in labels_of(part, self.labels))
        return [label for label in labels if label not in kpi.drop]

    def _over(self, kpi: Kpi, match: Sequence[str] | None) -> tuple[str, ...]:
        """The labels that the control group is summed over: where some are to match, all others that are configured."""
        if match is None:
            return ("cohort",)
        own = {label for part in self._parts(kpi) for label in part.labels}
        kept = {*match, *own, *SEPARATE_LABELS, "cohort"}
        return ("cohort", *(label for label in self._labels(kpi) if label not in kept))

    def _parts(self, kpi: Kpi) -> list[Kpi]:
        """The KPIs that are counted and make a KPI."""
        if kpi.kind != "derived":
            return [kpi]
        return [leaf for name in part_names(kpi) for leaf in self._parts(self.catalogue[name])]


def period(section: FixedSection) -> Period:
    """Whole days as a period."""
    begin, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (section.from_, section.to))
    return Period(begins_at=begin, ends_at=last + timedelta(days=1))
