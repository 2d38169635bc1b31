"""Reads the thresholds and the target of a KPI, for all segments and for single ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.base.strict_yaml import At
from exporter.catalogue.kpi import Kpi, Threshold, value_labels
from exporter.config.section import KpiSection, LevelsOf, LevelsSection
from exporter.config.shape import Checker

Match = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The thresholds and the target of a KPI; `..._by`: those of single segments, as (labels to match, level)."""

    threshold: Threshold
    thresholds_by: tuple[tuple[Match, Threshold], ...]
    target: float | None
    targets_by: tuple[tuple[Match, float | None], ...]


@dataclass(frozen=True)
class LevelReader:
    """Reads the levels of KPIs and notes mistakes. `catalogue`: ours and the user's KPIs."""

    checker: Checker
    labels: Mapping[str, Sequence[str]]
    catalogue: Mapping[str, Kpi]

    def levels(self, kpi: Kpi, section: KpiSection, at: At) -> Levels:
        """The levels of a KPI; what its section does not say is as shipped."""
        threshold = _merged(kpi.threshold, section.threshold)
        if section.threshold.model_fields_set:
            self._check_threshold(kpi, threshold, section.threshold, (*at, "threshold"))
        if section.target is not None:
            self._check_target(kpi, section.target, threshold, (*at, "target"))
        entries = [*self._entries(kpi, section, threshold, at)]
        return Levels(
            threshold=threshold,
            thresholds_by=tuple((dict(e.match), Threshold(**_written(e))) for e in entries if _written(e)),
            target=section.target,
            targets_by=tuple((dict(e.match), e.target) for e in entries if "target" in e.model_fields_set),
        )

    def _entries(self, kpi: Kpi, section: KpiSection, threshold: Threshold, at: At) -> Iterator[LevelsOf]:
        known = value_labels(kpi, self.catalogue, self.labels)
        seen: list[Match] = []
        for i, entry in enumerate(section.thresholds_by):
            place: At = (*at, "thresholds_by", i)
            for label in entry.match:
                if label not in known:
                    self.checker.unknown("label", label, known, (*place, "match", label), owner=kpi.name)
            if entry.match in seen:
                self.checker.wrong((*place, "match"), "this segment already has thresholds; keep them in one place")
            if not entry.model_fields_set & {"warning", "critical", "target"}:
                self.checker.wrong(place, "give warning, critical, target or several of them")
            seen.append(entry.match)
            here = _merged(threshold, entry)
            self._check_threshold(kpi, here, entry, place)
            own = "target" in entry.model_fields_set
            target = entry.target if own else section.target
            if target is not None:
                self._check_target(kpi, target, here, (*place, "target") if own else place)
            yield entry

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
            if level is not None and not _possible(kpi, level):
                self.checker.wrong((*at, key), "a ratio is between 0 and 1; write 0.15 for 15 %")
                return
        if warning is None or critical is None or warning == critical:
            return
        if (critical < warning) == (kpi.better == "lower"):
            place = (*at, "critical") if written.critical is not None else (*at, "warning")
            self.checker.wrong(place, f"critical must be {_worse(kpi)} warning, {warning:g}: {kpi.better} is better")

    def _check_target(self, kpi: Kpi, target: float, threshold: Threshold, at: At) -> None:
        """Whether a target can be of this KPI, and lies on the good side of the first threshold."""
        if kpi.better == "none":
            message = f"{kpi.name} is neither good nor bad by itself, so it cannot have a target; leave the key out"
            self.checker.wrong(at, message)
            return
        if not _possible(kpi, target):
            self.checker.wrong(at, "a ratio is between 0 and 1; write 0.15 for 15 %")
            return
        name = "critical" if threshold.warning is None else "warning"
        limit = getattr(threshold, name)
        if limit is not None and target != limit and (target > limit) == (kpi.better == "lower"):
            also = "" if at[-1] == "target" else f", but here it is {target:g}; give this segment a target of its own"
            self.checker.wrong(
                at, f"the target must not be {_worse(kpi)} {name}, {limit:g}: {kpi.better} is better{also}"
            )


def _possible(kpi: Kpi, level: float) -> bool:
    """Whether a KPI can have this value."""
    return kpi.kind != "ratio" or not kpi.name.endswith("_ratio") or 0 <= level <= 1


def _worse(kpi: Kpi) -> str:
    return "above" if kpi.better == "lower" else "below"


def _merged(below: Threshold, above: LevelsSection) -> Threshold:
    """Thresholds, overridden by those in the config."""
    return below.model_copy(update=_written(above))


def _written(levels: LevelsSection) -> dict[str, float | None]:
    """Severity -> threshold in the config; None switches it off."""
    return {key: getattr(levels, key) for key in ("warning", "critical") if key in levels.model_fields_set}
