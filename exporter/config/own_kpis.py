"""Reads KPIs that users define in the section `kpis` of the config, with the keys of our own catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from exporter.base.deferred import Deferred
from exporter.base.strict_yaml import At, did_you_mean
from exporter.catalogue.expression_types import Expression
from exporter.catalogue.kpi import Kpi, part_names
from exporter.config.section import KpiSection
from exporter.config.shape import Checker
from exporter.evaluation import facts_schema
from exporter.records.labels import LABELS

if TYPE_CHECKING:
    from exporter.catalogue import lint
    from exporter.catalogue.lint import Columns
else:
    lint = Deferred("exporter.catalogue.lint")  # most configs define no KPI

BY_US = frozenset(
    {"name", "needs", "uses", "alternative_records", "written", "segmented", "several", "unattributed", "signed"}
    | {"alert_says", "upper"}
)
"""What a user does not say: it follows from the facts, or is for shipped KPIs only."""
KEYS = {each.alias or name for name, each in Kpi.model_fields.items()} - KpiSection.model_fields.keys() - BY_US
"""The keys of a definition; those of KpiSection stand beside them, as with our own KPIs."""


@dataclass
class DefinitionReader:
    """Reads the definitions of one config and notes mistakes."""

    checker: Checker
    shipped: Mapping[str, Kpi]
    names: list[str] = field(default_factory=list)  # of everything that is meant to be a definition

    def kpis(self, data: Any) -> dict[str, Kpi]:
        """Every KPI without mistakes, each after its parts."""
        entries = (
            {name: body for name, body in data.items() if isinstance(body, dict)} if isinstance(data, dict) else {}
        )
        for name in entries.keys() & self.shipped.keys():
            self._unchanged(name, entries[name])
        defined = {name: body for name, body in entries.items() if name not in self.shipped and KEYS & body.keys()}
        self.names = list(defined)
        for name in [name for name, body in defined.items() if "facts" not in body]:
            known = sorted({each.facts for each in self.shipped.values()})
            self.checker.wrong(
                ("kpis", name),
                f"facts is missing; say which rows the KPI counts, as in facts: request; known: {', '.join(known)}",
            )
            del defined[name]
        if not defined:
            return {}
        columns = facts_schema.Columns()
        everything = dict(self.shipped)
        for kpi in self._in_order({name: kpi for name, body in defined.items() if (kpi := self._read(name, body))}):
            everything[kpi.name] = kpi.model_copy(update=_fed(kpi, everything, self.shipped, columns))
        good: dict[str, Kpi] = {}
        for name, kpi in everything.items():
            if name not in self.shipped:
                faults = list(lint.lint(kpi, everything, self.shipped, columns))
                for at, message in faults:
                    self.checker.wrong(("kpis", name, *at), message)
                # What is made of one that has faults has none of its own to be told.
                if not faults and {*part_names(kpi)} <= self.shipped.keys() | good.keys():
                    good[name] = lint.checked(kpi, columns[kpi.facts])
        return good

    def _unchanged(self, name: str, body: Mapping[str, Any]) -> None:
        for key in body:
            if key in KEYS and key not in self.shipped[name].params:
                message = f"{name} is a shipped KPI, whose meaning cannot be changed; choose another name"
                self.checker.wrong(("kpis", name, key), message)
                return

    def _read(self, name: str, body: Mapping[str, Any]) -> Kpi | None:
        at: At = ("kpis", name)
        for key in body:
            if key in BY_US:
                self.checker.wrong((*at, key), f"{key} is set by the exporter; leave it out")
            elif key not in KEYS and key not in KpiSection.model_fields:
                self.checker.unknown("key", key, [*KEYS, *KpiSection.model_fields], (*at, key))
        counted = siblings(str(body["facts"]), self.shipped)
        if not counted:
            known = {each.facts for each in self.shipped.values()}
            self.checker.wrong(
                (*at, "facts"), f"there are no rows called {str(body['facts'])!r}; {did_you_mean(body['facts'], known)}"
            )
            return None
        written = {key: value for key, value in body.items() if key in KEYS}
        first = {
            "name": name,
            "needs": counted[0].needs,
            "group": counted[0].group,
            "alternative_records": counted[0].alternative_records,
            **written,
        }
        first |= {"several": None if written.get("kind") == "derived" else counted[0].several}
        first |= self._fields(body, at)
        kpi = self.checker.read(Kpi, first, at)
        return kpi if kpi and self.checker.clean(at) else None

    def _fields(self, body: Mapping[str, Any], at: At) -> dict[str, Any]:
        """The fields it needs, which users give by name."""
        declared = {f"{field.record}.{field.name}": field for each in self.shipped.values() for field in each.fields}
        names = body.get("fields", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.checker.wrong((*at, "fields"), "write the names of fields, such as [handled_by, run.workflow]")
            return {"fields": ()}
        full = {name: name if "." in name else f"{body['facts']}.{name}" for name in names}
        for i, name in enumerate(names):
            if full[name] not in declared:
                self.checker.unknown("field", full[name], list(declared), (*at, "fields", i))
        return {"fields": [declared[name] for name in full.values() if name in declared]}

    def _in_order(self, kpis: Mapping[str, Kpi]) -> list[Kpi]:
        """The KPIs in an order in which parts come first; notes a KPI that is computed from itself."""
        below = {name: {*part_names(kpi)} & kpis.keys() for name, kpi in kpis.items()}
        try:
            return [kpis[name] for name in TopologicalSorter(below).static_order()]
        except CycleError as error:
            circle = error.args[1]
            self.checker.wrong(
                ("kpis", circle[0], "numerator"), f"this KPI is computed from itself: {' of '.join(circle)}"
            )
            return []


def siblings(facts: str, shipped: Mapping[str, Kpi]) -> list[Kpi]:
    """The shipped KPIs that count the same rows."""
    return [each for each in shipped.values() if each.facts == facts and each.kind != "derived"]


def _fed(kpi: Kpi, kpis: Mapping[str, Kpi], shipped: Mapping[str, Kpi], columns: "Columns") -> dict[str, Any]:
    """The records from which a KPI is computed, and the labels that its rows cannot have."""
    below = [kpis[name] for name in part_names(kpi) if name in kpis]
    needs = dict.fromkeys((*kpi.needs, *(record for part in below for record in part.needs)))
    takes_in = set(_taken_in(kpi, shipped, columns)).union(*(part.uses for part in below))
    missing = tuple(label for label in LABELS[kpi.record] if label not in columns[kpi.facts])
    return {
        "needs": tuple(needs),
        "uses": tuple(sorted(takes_in - needs.keys())),
        "alternative_records": () if below else kpi.alternative_records,
        "missing_labels": tuple(dict.fromkeys((*kpi.missing_labels, *missing))),
    }


def _taken_in(kpi: Kpi, shipped: Mapping[str, Kpi], columns: "Columns") -> Iterator[str]:
    """Records that make it better: those of the shipped KPIs on its facts, unless one without them counts the same."""
    others = siblings(kpi.facts, shipped)
    plain = {column for each in others if not each.uses for column in _counted(each, columns)}
    if _counted(kpi, columns) - plain - {*LABELS[kpi.record]}:
        yield from (record for each in others for record in each.uses)


def _counted(kpi: Kpi, columns: "Columns") -> set[str]:
    """The columns that decide about its values."""
    read = (
        expression for _, expression in lint.expressions(kpi, columns[kpi.facts]) if isinstance(expression, Expression)
    )
    times = {time for time in (kpi.placed_by, kpi.numerator_placed_by) if time}
    return times.union(*(each.columns for each in read))
