"""Reads `interventions` and `go_live`: what was changed on which day, where, and which KPIs that concerns."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from exporter.base.strict_yaml import At
from exporter.catalogue.group import GROUPS
from exporter.catalogue.kpi import Kpi, labels_of, part_names, value_labels
from exporter.config.section import InterventionSection, Whole
from exporter.config.shape import Checker
from exporter.evaluation.plan import Intervention, Setting

DEFAULT_TIERS = ("headline", "driver")
"""The KPIs that an intervention concerns unless it names some."""


def interventions(
    checker: Checker, whole: Whole, labels: Mapping[str, Sequence[str]], settings: Sequence[Setting]
) -> list[Intervention]:
    """Interventions and go-lives, oldest first; notes mistakes."""
    known = Known(checker, labels, settings)
    written = [known.intervention(each, ("interventions", i)) for i, each in enumerate(whole.interventions)]
    for label, days in whole.go_live.items():
        at: At = ("go_live", label)
        if known.has_label(label, at):
            written += [
                Intervention(
                    at=midnight(day),
                    what=f"Go-live of {value}"[:100],
                    where={label: value},
                    kpis=known.concerned((), {label: value}, at),
                    go_live=True,
                )
                for value, day in days.items()
            ]
    return sorted(written, key=lambda each: (each.at, each.what, each.place))


class Known:
    """What a config knows that an intervention may name."""

    def __init__(self, checker: Checker, labels: Mapping[str, Sequence[str]], settings: Sequence[Setting]) -> None:
        self.checker = checker
        self.settings = settings
        self.labels = sorted({label for of_record in labels.values() for label in of_record})
        self.kpis = {setting.kpi.name: setting.kpi for setting in settings}
        self.of_record = labels

    def intervention(self, section: InterventionSection, at: At) -> Intervention:
        """One intervention."""
        for label in section.where:
            self.has_label(label, (*at, "where", label))
        return Intervention(
            at=midnight(section.date),
            what=section.what,
            where=section.where,
            kpis=self.concerned(section.kpis, section.where, (*at, "kpis")),
        )

    def has_label(self, label: str, at: At) -> bool:
        """Whether any record has a label."""
        if label not in self.labels:
            self.checker.unknown("label", label, self.labels, at)
        return label in self.labels

    def concerned(self, written: Sequence[str], where: Collection[str], at: At) -> frozenset[str]:
        """The KPIs that are named one by one or by group; by default every headline and driver that has the labels."""
        if not written:
            mine = (s.kpi for s in self.settings if s.chosen and s.tier in DEFAULT_TIERS)
            return frozenset(kpi.name for kpi in mine if {*where} <= {*self.labels_of(kpi)})
        found = set[str]()
        for i, name in enumerate(written):
            if name in GROUPS:
                found |= {s.kpi.name for s in self.settings if s.kpi.group == name and s.chosen}
            elif name.removeprefix("outcome_") in self.kpis:
                found.add(name.removeprefix("outcome_"))
            else:
                self.checker.unknown("KPI or group", name, [*self.kpis, *GROUPS], (*at, i))
        return frozenset(found)

    def labels_of(self, kpi: Kpi) -> tuple[str, ...]:
        """The labels that its segments are told apart by; none where a part of it is switched off."""
        if kpi.kind != "derived":
            return labels_of(kpi, self.of_record)
        complete = {*part_names(kpi)} <= {*self.kpis}
        return value_labels(kpi, self.kpis, self.of_record) if complete else ()


def midnight(day: str) -> datetime:
    """The beginning of a day, UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
