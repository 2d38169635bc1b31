"""One evaluation as pages show it: computed when the first page asks for it, and kept until the next evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from exporter.catalogue.kpi import non_additive
from exporter.evaluation.figure import Evaluation, Key
from exporter.evaluation.plan import Plan
from exporter.explain import summary
from exporter.explain.breaches import TEAM, Breach, breaches
from exporter.store.status import SourceStatus

Row = Mapping[str, Any]
MOST_TEAMS = 8
"""Of how many teams the rows are kept: pages of one team are asked for several times, of all of them hardly ever."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """An evaluation, the plan and the sources that it was made of, and how many series it has of so many at most."""

    evaluation: Evaluation
    plan: Plan
    sources: Sequence[SourceStatus]
    series: int = 0
    most_series: int = 0
    combined: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (KPI, label) -> values in `other`
    tiles: dict[object, list[Row]] = field(default_factory=dict, repr=False)  # by the histories that they show
    _by_team: dict[str, dict[str, list[Row]]] = field(default_factory=dict, repr=False)

    @property
    def at(self) -> str:
        """Of when its values are, for people."""
        return f"{self.evaluation.at:%Y-%m-%d %H:%M} UTC"

    @cached_property
    def breaches(self) -> list[Breach]:
        """Everything beyond a threshold, worst first."""
        return breaches(self.evaluation, self.plan)

    @cached_property
    def teams(self) -> list[str]:
        """Every team that has a value."""
        return sorted({value for f in self.evaluation.figures for label, value in f.segment if label == TEAM})

    @cached_property
    def totals(self) -> dict[str, list[Row]]:
        """The rows of each KPI over all segments, apart only where they cannot be added up."""
        return by_kpi(self._rows(splits=non_additive))

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of every window, as /api/v1/kpis gives them."""
        return [*summary.rows(self.evaluation, self.plan, self.sources)]

    @cached_property
    def of_all(self) -> dict[str, list[Row]]:
        """The rows of each KPI over all segments."""
        return by_kpi(self._rows())

    def prepare(self) -> None:
        """Computes what the first page would otherwise wait for."""
        _ = self.breaches, self.teams, self.totals, self.of_all

    def of_team(self, team: str) -> dict[str, list[Row]]:
        """The rows of each KPI that has values of a team."""
        if team not in self._by_team:
            while len(self._by_team) >= MOST_TEAMS:
                self._by_team.pop(next(iter(self._by_team)))
            self._by_team[team] = by_kpi(self._rows(((TEAM, team),)))
        return self._by_team[team]

    def _rows(self, segment: Key = (), **options: Any) -> list[Row]:
        narrow = summary.narrowed_to(self.evaluation, self.plan, segment)
        return [*summary.rows(narrow, self.plan, self.sources, segment=segment, **options)]


def by_kpi(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by KPI."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["kpi"], []).append(row)
    return found
