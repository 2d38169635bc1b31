"""Reads what the section `kpis` says of several KPIs at once: which are computed (`only`), and what `groups` share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.base.strict_yaml import At
from exporter.catalogue.group import GROUPS
from exporter.catalogue.kpi import Kpi, Threshold, part_names
from exporter.config.section import GroupSection
from exporter.config.shape import Checker

ONLY, SHARED = "only", "groups"
KEYS = (ONLY, SHARED)
"""The keys beside the names of KPIs."""
PREFIX = "outcome_"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which KPIs are computed. `only`: those that the config chooses, None: all. `beside`: those that come with them.

    `named`: those that it names one by one. `groups`: what the config says of each group.
    """

    only: frozenset[str] | None = None
    beside: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    groups: Mapping[str, GroupSection] = field(default_factory=dict)

    def chosen(self, name: str) -> bool:
        """Whether a KPI is computed for its own sake."""
        return self.only is None or name in self.only

    def computed(self, name: str) -> bool:
        """Whether a KPI is computed at all."""
        return self.chosen(name) or name in self.beside

    def of(self, kpi: Kpi) -> GroupSection:
        """What the config says of the group of a KPI."""
        return self.groups.get(kpi.group or "", NOTHING)


NOTHING = GroupSection()
ALL = Choice()


def one_by_one(data: Any) -> Any:
    """The section without the keys that are about several KPIs."""
    return {name: body for name, body in data.items() if name not in KEYS} if isinstance(data, dict) else data


def choice(checker: Checker, data: Any, kpis: Mapping[str, Kpi], warn: Callable[[At, str], None]) -> Choice:
    """The choice among `kpis`, shipped and own ones; notes mistakes, and warns of settings that nothing uses."""
    data = data if isinstance(data, dict) else {}
    groups = checker.read(dict[str, GroupSection], _known_groups(checker, data.get(SHARED)), ("kpis", SHARED)) or {}
    if ONLY not in data:
        return Choice(groups=groups)
    written = checker.read(tuple[str, ...], data[ONLY], ("kpis", ONLY)) or ()
    if not written and checker.clean(("kpis", ONLY)):
        checker.wrong(("kpis", ONLY), f"this chooses no KPI; name groups ({', '.join(GROUPS)}) or KPIs")
    named, chosen = set[str](), set[str]()
    for i, name in enumerate(written):
        if name in GROUPS:
            chosen |= {kpi.name for kpi in kpis.values() if kpi.group == name}
        elif name.removeprefix(PREFIX) in kpis:
            named.add(name.removeprefix(PREFIX))
        else:
            checker.unknown("KPI or group", name, [*kpis, *GROUPS], ("kpis", ONLY, i))
    chosen |= named
    for name in sorted(named):
        if isinstance(data.get(name), dict) and data[name].get("enabled") is False:
            checker.wrong(
                ("kpis", name, "enabled"), f"kpis.{ONLY} names {name}; remove it there, or leave this key out"
            )
    beside = needed(chosen, kpis) - chosen
    for name in (name for name in data if name in kpis and name not in chosen | beside):
        warn(("kpis", name), f"kpis.{ONLY} names neither {name} nor its group, so this is not used")
    return Choice(only=frozenset(chosen), beside=frozenset(beside), named=frozenset(named), groups=groups)


def needed(chosen: Iterable[str], kpis: Mapping[str, Kpi]) -> set[str]:
    """KPIs with the guards read beside them, and whatever any of these is computed from."""
    found = set[str]()
    open_ends = [*chosen, *(guard for name in chosen for guard in kpis[name].guard)]
    while open_ends:
        name = open_ends.pop()
        if name in kpis and name not in found:
            found.add(name)
            open_ends += part_names(kpis[name])
    return found


def quiet(kpi: Kpi) -> Kpi:
    """A KPI that only comes with others: without the thresholds and baselines that it has by itself."""
    return kpi.model_copy(update={"threshold": Threshold(), "spike": None, "baselines": ()})


def _known_groups(checker: Checker, data: Any) -> Any:
    if not isinstance(data, dict):
        return {} if data is None else data
    for name in data:
        if name not in GROUPS:
            checker.unknown("group", name, [*GROUPS], ("kpis", SHARED, name))
    return {name: body for name, body in data.items() if name in GROUPS}
